"""The block filter is SciPy's filter, linear, splittable and differentiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, ellip, iirnotch, sosfilt, sosfiltfilt, tf2sos

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.math.iir import balance_sos, filter_forward, filter_zero_phase

SOS = {
    "high-pass": butter(4, 1.0, "high", fs=250.0, output="sos"),
    "band-pass": butter(4, [1.0, 40.0], "band", fs=250.0, output="sos"),
    "odd order": ellip(5, 0.5, 60, 30.0, fs=250.0, output="sos"),
    "notch": tf2sos(*iirnotch(50.0, 30, fs=250.0)),
    "first orders": np.vstack(
        [butter(3, 1.0, "high", fs=250.0, output="sos"), butter(5, 0.3, output="sos")]
    ),
    "one pole": np.array([[0.25, 0.5, 0.25, 1.0, -0.95, 0.0]]),
    "moving average": np.array([[0.25, 0.5, 0.25, 1.0, 0.0, 0.0]]),
    "gain": np.array([[2.0, 0.0, 0.0, 1.0, 0.0, 0.0]]),
}
DESIGNS = {name: balance_sos(sos) for name, sos in SOS.items()}
HIGH_PASS = DESIGNS["high-pass"]


@pytest.fixture
def data():
    """An offset, a drift and noise; 500 samples are seven blocks and 52 samples."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3, 500))
    return 10.0 + noise.cumsum(axis=1) + noise


def assert_close(actual, wanted, tolerance):
    """Compare relative to the largest wanted value, as the targets are stated."""
    assert_allclose(actual, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def assert_same_as_scipy(sos, data):
    """From any state, even one that no input can reach; SciPy rounds to 2e-13."""
    zi = np.random.default_rng(1).standard_normal((len(sos), *data.shape[:-1], 2))
    wanted, wanted_zf = sosfilt(sos, data, zi=zi)
    filtered, zf = filter_forward(balance_sos(sos), data, zi=zi)
    assert_close(filtered, wanted, 1e-11)
    assert_allclose(zf, wanted_zf, rtol=0, atol=1e-11 * np.abs(wanted).max())


@pytest.mark.parametrize("name", SOS)
def test_one_direction_agrees_with_scipy(data, name):
    assert_same_as_scipy(SOS[name], data)


# SciPy's own rounding is 2e-11 both ways.
@pytest.mark.parametrize("name", SOS)
def test_both_directions_agree_with_scipy(data, name):
    wanted = sosfiltfilt(SOS[name], data)
    assert_close(filter_zero_phase(DESIGNS[name], data), wanted, 1e-9)


def test_zero_state_is_the_default(data):
    wanted = filter_forward(HIGH_PASS, data, zi=np.zeros((2, 3, 2)))
    for actual, expected in zip(filter_forward(HIGH_PASS, data), wanted, strict=True):
        assert_array_equal(actual, expected)


@pytest.mark.parametrize("cut", [1, 64, 193])
def test_signal_may_be_split_anywhere(data, cut):
    whole, wanted_zf = filter_forward(HIGH_PASS, data)
    before, state = filter_forward(HIGH_PASS, data[:, :cut])
    after, zf = filter_forward(HIGH_PASS, data[:, cut:], zi=state)
    assert_close(np.hstack([before, after]), whole, 1e-13)
    assert_close(zf, wanted_zf, 1e-13)


# A state in float32 would cost 1e-3 here; the rest is rounding of the samples.
def test_single_precision_may_be_split_too():
    design = balance_sos(butter(4, 0.1, "high", fs=1000.0, output="sos"))
    noise = np.random.default_rng(0).standard_normal((1, 4000))
    drift = 1000 + noise.cumsum(axis=1)
    wanted, _ = filter_forward(design, drift)
    before, state = filter_forward(design, jnp.asarray(drift[:, :1001]))
    after, _ = filter_forward(design, jnp.asarray(drift[:, 1001:]), zi=state)
    assert before.dtype == np.float32
    assert state.dtype == np.float64
    assert_close(np.hstack([before, after]), wanted, 5e-6)


def test_filter_is_linear(data):
    both, zf = filter_forward(HIGH_PASS, 2 * data - 3 * data[::-1])
    one, one_zf = filter_forward(HIGH_PASS, data)
    assert_close(both, 2 * one - 3 * one[::-1], 1e-13)
    assert_close(zf, 2 * one_zf - 3 * one_zf[:, ::-1], 1e-13)


@pytest.mark.parametrize("unit", [1e-15, 1e9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unit_of_the_data_does_not_matter(data, unit, dtype):
    tolerance = 100 * np.finfo(dtype).eps
    scaled = (unit * data).astype(dtype)
    wanted = filter_zero_phase(HIGH_PASS, data.astype(dtype))
    actual = filter_zero_phase(HIGH_PASS, scaled)
    assert_close(actual, unit * wanted, tolerance)


@pytest.mark.parametrize(("edge", "order"), [(0.01, 8), (0.002, 2)])
def test_slow_edges_stay_exact_in_both_precisions(edge, order):
    sos = butter(order, edge, "high", fs=1000.0, output="sos")
    drift = np.random.default_rng(0).standard_normal(4000).cumsum()
    wanted = sosfilt(sos, drift)
    design = balance_sos(sos)
    # SciPy's error against long double is 4e-11 for these.
    assert_close(filter_forward(design, drift)[0], wanted, 1e-9)
    single = filter_forward(design, drift.astype(np.float32))[0]
    assert_close(single, wanted, 5e-6)


@pytest.mark.parametrize("first", ["pole", "zero"])
def test_cancelled_poles_keep_their_state(data, first):
    slow, fast = (butter(2, edge, output="sos") for edge in (0.02, 0.1))
    cancelling = np.hstack([slow[:, 3:], fast[:, 3:]])
    pair = [slow, cancelling] if first == "pole" else [cancelling, slow]
    assert_same_as_scipy(np.vstack(pair), data)


def test_leading_denominator_is_divided_out(data):
    scaled = SOS["band-pass"] * np.array([[2.0], [-3.0], [0.5], [7.0]])
    wanted, _ = filter_forward(DESIGNS["band-pass"], data)
    assert_close(filter_forward(balance_sos(scaled), data)[0], wanted, 1e-11)


@pytest.mark.usefixtures("x64")
def test_adjoint_is_the_filter_backwards_in_time(data):
    pulled = jax.vjp(lambda one: filter_forward(HIGH_PASS, one)[0], jnp.asarray(data))
    weights = np.random.default_rng(1).standard_normal(data.shape)
    wanted = sosfilt(SOS["high-pass"], weights[:, ::-1])[:, ::-1]
    assert_close(pulled[1](jnp.asarray(weights))[0], wanted, 1e-11)


@pytest.mark.usefixtures("x64")
def test_derivatives_of_both_directions_are_right(data):
    start = jnp.asarray(data[0, :70])
    check_grads(
        lambda one: filter_zero_phase(HIGH_PASS, one) ** 2,
        (start,),
        order=2,
        modes=["fwd", "rev"],
    )


def test_filter_can_be_transformed(data):
    wanted = filter_zero_phase(HIGH_PASS, data.astype(np.float32))
    single = jnp.asarray(data, jnp.float32)
    traced = jax.jit(filter_zero_phase)(HIGH_PASS, single)
    mapped = jax.vmap(lambda one: filter_zero_phase(HIGH_PASS, one))(single)
    assert_close(traced, wanted, 1e-6)
    assert_close(mapped, wanted, 1e-6)


def test_gain_of_the_design_can_be_learned(data):
    def power(response):
        learned = jax.tree.map(lambda one: one * response, DESIGNS["gain"])
        return (filter_forward(learned, data.astype(np.float32))[0] ** 2).sum()

    # The design itself is a tracer, the data are NumPy: E(2 g) = 4 g^2 sum x^2.
    assert_allclose(jax.grad(power)(1.0), 8 * (data**2).sum(), rtol=1e-5)


def test_products_use_all_digits_on_accelerators():
    def run(data):
        return filter_forward(HIGH_PASS, data)[0]

    # The two maps of the state are in float64, the six products of the blocks not.
    products = str(jax.make_jaxpr(run)(jnp.ones(100))).count("Precision.HIGHEST, Prec")
    assert products == 6


@pytest.mark.parametrize("shape", [(200,), (2, 3, 200)])
def test_any_leading_axes_are_kept(shape):
    data = np.random.default_rng(0).standard_normal(shape)
    zi = np.zeros((2, *shape[:-1], 2))
    wanted, wanted_zf = sosfilt(SOS["high-pass"], data, zi=zi)
    filtered, zf = filter_forward(HIGH_PASS, data)
    assert_close(filtered, wanted, 1e-11)
    assert_close(zf, wanted_zf, 1e-10)
    assert filter_zero_phase(HIGH_PASS, data).shape == shape


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("<i2", "f8"), (">f4", "f4"), (">f8", "f8"), ("f2", "f8")],
)
def test_any_real_dtype_and_layout_is_taken_untouched(dtype, kept):
    data = np.asfortranarray(np.arange(400).reshape(2, 200) % 7).astype(dtype)
    data.flags.writeable = False
    before = data.copy()
    filtered, _ = filter_forward(HIGH_PASS, data)
    assert isinstance(filtered, np.ndarray)
    assert filtered.dtype == np.dtype(kept)
    assert_close(filtered, sosfilt(SOS["high-pass"], data.astype(float)), 5e-6)
    assert_array_equal(data, before)


def test_whole_numbers_of_jax_become_single_precision():
    filtered, _ = filter_forward(HIGH_PASS, jnp.arange(100))
    assert isinstance(filtered, jax.Array)
    assert filtered.dtype == jnp.float32


@pytest.mark.parametrize("shape", [(0, 6), (6,), (2, 5)])
def test_sections_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r"sos must have shape \(n_sections, 6\)"):
        balance_sos(np.ones(shape))


@pytest.mark.parametrize("pole", [1.0, -1.0, 1.5, 1.0 - 1e-10])
def test_unstable_poles_are_refused(pole):
    unstable = np.array([1.0, 0.0, 0.0, 1.0, -2 * pole, pole**2])
    with pytest.raises(OptionError, match="section 2 has a pole of modulus"):
        balance_sos(np.vstack([SOS["high-pass"], unstable]))


def test_nearly_unstable_poles_are_taken():
    design = balance_sos(np.array([[1.0, -1.0, 0.0, 1.0, -1 + 1e-6, 0.0]]))
    step, _ = filter_forward(design, np.ones(1000))
    assert_allclose(step, (1 - 1e-6) ** np.arange(1000), rtol=1e-9)


def test_denominator_that_starts_with_zero_is_refused():
    with pytest.raises(OptionError, match="section 0 has a0 = 0"):
        balance_sos(np.array([[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]))


def test_sections_with_nan_are_refused():
    with pytest.raises(InputError, match="sos contains NaN"):
        balance_sos(np.array([[np.nan, 0.0, 0.0, 1.0, 0.0, 0.0]]))


@pytest.mark.parametrize("run", [filter_forward, filter_zero_phase])
def test_bad_data_are_refused_with_their_place(data, run):
    data[1, 77] = np.nan
    with pytest.raises(InputError, match=r"NaN or Inf: 1 values.*\(1, 77\)"):
        run(HIGH_PASS, data)
    with pytest.raises(InputError, match="real numbers, but its dtype is complex128"):
        run(HIGH_PASS, data + 1j)


@pytest.mark.parametrize("run", [filter_forward, filter_zero_phase])
def test_masked_data_are_refused(data, run):
    masked = np.ma.masked_greater(data, np.sort(data, axis=None)[-3])
    with pytest.raises(InputError, match="data has 2 masked elements"):
        run(HIGH_PASS, masked)


def test_empty_data_are_refused():
    with pytest.raises(ShapeError, match="data is empty"):
        filter_forward(HIGH_PASS, np.zeros((2, 0)))


def test_too_short_data_are_refused_with_the_number_needed():
    assert filter_zero_phase(HIGH_PASS, np.ones((1, 16))).shape == (1, 16)
    with pytest.raises(InputError, match=r"at least 16 times .* but have 15"):
        filter_zero_phase(HIGH_PASS, np.ones((1, 15)))


def test_state_of_other_data_is_refused(data):
    with pytest.raises(ShapeError, match=r"= \(2, 3, 2\), but got \(2, 1, 2\)"):
        filter_forward(HIGH_PASS, data, zi=np.zeros((2, 1, 2)))
