"""Filters follow SciPy and MNE, in every kind and precision, forward and centred."""

import jax
import jax.numpy as jnp
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, lfilter_zi, sosfilt, sosfiltfilt, tf2sos
from scipy.signal import lfilter as scipy_lfilter

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.preprocessing.filter import (
    apply_filter,
    design_filter,
    design_notch,
    filter_data,
    lfilter,
)

HIGH_PASS = design_filter(250.0, l_freq=1.0)
FINITE = design_filter(250.0, l_freq=10.0, h_freq=40.0, kind="fir")

COEFFICIENTS = {
    "Butterworth": butter(4, 0.2),
    "high-pass": butter(2, 0.1, "high"),
    "more numerator": ([1.0, 2.0, 3.0], [1.0, -0.5]),
    "more denominator": ([1.0], [2.0, -0.5, 0.3, 0.0]),
    "delay": ([0.0, 0.0, 0.0, 2.0], [2.0, -0.5, 0.1]),
    "small numerator": ([1e-15, 2e-15, 1e-15], [1.0, -0.5]),
    "nothing": ([0.0, 0.0], [1.0, 0.5]),
    "moving average": (np.full(5, 0.2), [1.0]),
    "scaled average": (np.full(5, 0.2), [4.0, 0.0]),
    "many taps": (np.hanning(101), [1.0]),
    "gain": ((3.0,), (2.0,)),
}


@pytest.fixture
def data():
    """An offset, a drift and noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3, 500))
    return 10.0 + noise.cumsum(axis=1) + noise


def assert_close(actual, wanted, tolerance):
    """Compare relative to the largest wanted value, as the targets are stated."""
    largest = np.abs(wanted).max()
    assert_allclose(np.asarray(actual), wanted, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_coefficients_filter_as_in_scipy(data, name):
    b, a = COEFFICIENTS[name]
    wanted = scipy_lfilter(b, a, data)
    double = filter_data(data, b, a)
    assert isinstance(double, np.ndarray)
    assert double.dtype == np.float64
    assert_close(double, wanted, 1e-11)
    assert_close(lfilter(np.array(b), np.array(a), data), wanted, 1e-11)
    single = filter_data(jnp.asarray(data), b, a)
    assert isinstance(single, jax.Array)
    assert single.dtype == jnp.float32
    assert_close(single, wanted, 2e-6)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_traced_coefficients_filter_as_known_ones(data, name):
    b, a = (jnp.asarray(one) for one in COEFFICIENTS[name])
    wanted = scipy_lfilter(*COEFFICIENTS[name], data)
    actual = jax.jit(filter_data)(jnp.asarray(data), b, a)
    assert actual.dtype == jnp.float32
    assert_close(actual, wanted, 3e-6)


def test_public_names_are_found_under_both_paths():
    import meegic.preprocessing as face

    assert face.filter.filter_data is face.filter_data is filter_data
    assert face.resample.resample_minimal is face.resample_minimal
    replace = face.spherical_spline_interpolate
    assert face.interpolate.spherical_spline_interpolate is replace


def test_tutorial_of_filters_holds_in_single_precision():
    noise = jax.random.normal(jax.random.PRNGKey(0), (3, 200))
    same = filter_data(noise, jnp.array([1.0]), jnp.array([1.0]))
    assert_allclose(same, noise, atol=1e-6)
    times = jnp.linspace(0, 1.0, 1000)
    both = jnp.sin(2 * jnp.pi * 5 * times) + jnp.sin(2 * jnp.pi * 200 * times)
    filtered = filter_data(both[None], jnp.ones(5) / 5, jnp.array([1.0]))
    power = [np.abs(np.fft.rfft(one)[200]) ** 2 for one in (filtered[0], both)]
    assert power[0] < 0.5 * power[1]
    averaged = filter_data(jnp.ones((4, 100)), jnp.array([0.5, 0.5]), jnp.array([1.0]))
    assert averaged.shape == (4, 100)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_filter_of_order_zero_is_a_gain_in_the_precision_of_the_data(kind):
    data = kind(np.arange(6, dtype=np.float32).reshape(2, 3))
    filtered = filter_data(data, np.array([3.0]), np.array([2.0]))
    assert filtered.dtype == np.float32
    assert_allclose(filtered, 1.5 * np.asarray(data), rtol=1e-6)


@pytest.mark.parametrize("name", ["Butterworth", "delay", "moving average"])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_coefficients_may_be_applied_in_pieces(data, name, kind):
    b, a = COEFFICIENTS[name]
    whole, wanted = filter_data(kind(data), b, a, return_zf=True)
    before, state = filter_data(kind(data[:, :3]), b, a, return_zf=True)
    after, zf = filter_data(kind(data[:, 3:]), b, a, zi=state, return_zf=True)
    pieces = np.hstack([np.asarray(before), np.asarray(after)])
    tolerance = 1e-12 if kind is np.asarray else 1e-6
    assert_close(pieces, np.asarray(whole), tolerance)
    assert_close(zf, np.asarray(wanted), tolerance)


def test_states_are_those_of_scipy(data):
    b, a = COEFFICIENTS["moving average"]
    zi = np.tile(lfilter_zi(b, a), (3, 1))
    wanted, wanted_zf = scipy_lfilter(b, a, data, zi=zi)
    filtered, zf = filter_data(data, b, a, zi=zi, return_zf=True)
    assert_close(filtered, wanted, 1e-14)
    assert_close(zf, wanted_zf, 1e-13)
    b, a = COEFFICIENTS["Butterworth"]
    zi = np.random.default_rng(1).standard_normal((2, 3, 2))
    wanted, wanted_zf = sosfilt(tf2sos(b, a), data, zi=zi)
    filtered, zf = filter_data(data, b, a, zi=zi, return_zf=True)
    assert_close(filtered, wanted, 1e-11)
    assert_close(zf, wanted_zf, 1e-11)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("b", "a"), [([0.2, 0.3, 0.1], [1.0]), ([0.2, 0.3], [2.0, -0.9, 0.3])]
)
def test_derivatives_in_the_coefficients_are_central_differences(data, b, a):
    def energy(b, a):
        return (filter_data(jnp.asarray(data), b, a) ** 2).mean()

    b, a = jnp.array(b), jnp.array(a)
    found = jnp.concatenate(jax.grad(energy, argnums=(0, 1))(b, a))
    joined, n = np.concatenate([b, a]), len(b)
    for index, derivative in enumerate(found):
        step = 1e-5 * np.eye(len(joined))[index]
        up, down = joined + step, joined - step
        wanted = (energy(up[:n], up[n:]) - energy(down[:n], down[n:])) / 2e-5
        assert_allclose(derivative, wanted, rtol=1e-6)


def test_derivatives_in_the_coefficients_hold_in_single_precision(data):
    def energy(b, a, data):
        return (filter_data(data, b, a) ** 2).mean()

    known = np.array([0.2, 0.3]), np.array([1.0, -0.9, 0.3])
    b, a, single = (jnp.asarray(one) for one in (*known, data))
    found = jax.grad(energy, argnums=1)(b, a, single)
    assert found.dtype == jnp.float32
    for index in range(1, 3):
        step = 1e-5 * np.eye(3)[index]
        sides = [energy(known[0], known[1] + one, data) for one in (step, -step)]
        assert_allclose(found[index], (sides[0] - sides[1]) / 2e-5, rtol=1e-4)


@pytest.mark.parametrize("padding", ["odd", "even", "constant", "none"])
def test_no_delay_agrees_with_scipy_for_every_padding(data, padding):
    padtype = None if padding == "none" else padding
    wanted = sosfiltfilt(HIGH_PASS.sos, data, padtype=padtype)
    assert_close(apply_filter(data, HIGH_PASS, padding=padding), wanted, 1e-10)
    single = apply_filter(data.astype(np.float32), HIGH_PASS, padding=padding)
    assert single.dtype == np.float32
    assert np.abs(single - wanted).max() < 1e-6 * np.abs(data).max()


def test_sections_run_forward_in_pieces(data):
    whole, wanted = apply_filter(data, HIGH_PASS, phase="forward", return_zf=True)
    assert_close(whole, sosfilt(HIGH_PASS.sos, data), 1e-12)
    for kind, tolerance in ((np.asarray, 1e-12), (jnp.asarray, 1e-6)):
        before, state = apply_filter(
            kind(data[:, :123]), HIGH_PASS, phase="forward", return_zf=True
        )
        after, zf = apply_filter(
            kind(data[:, 123:]), HIGH_PASS, phase="forward", zi=state, return_zf=True
        )
        pieces = np.hstack([np.asarray(before), np.asarray(after)])
        assert_close(pieces, whole, tolerance)
        assert_close(zf, wanted, 10 * tolerance)


@pytest.mark.parametrize("n_times", [500, 40])
def test_finite_filter_without_delay_agrees_with_mne(data, n_times):
    data = data[:, :n_times]
    wanted = mne.filter.filter_data(data, 250.0, 10.0, 40.0, verbose="error")
    assert_close(apply_filter(data, FINITE), wanted, 1e-13)
    assert_close(apply_filter(jnp.asarray(data), FINITE), wanted, 1e-5)


def test_finite_filter_forward_is_the_convolution(data):
    filtered, zf = apply_filter(data, FINITE, phase="forward", return_zf=True)
    zi = np.zeros((3, len(FINITE.form) - 1))
    wanted, wanted_zf = scipy_lfilter(FINITE.form, [1.0], data, zi=zi)
    assert_close(filtered, wanted, 1e-13)
    assert_close(zf, wanted_zf, 1e-13)


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1e9])
@pytest.mark.parametrize("design", [HIGH_PASS, FINITE], ids=["sections", "taps"])
def test_unit_of_the_data_does_not_matter(data, unit, design):
    assert_close(
        apply_filter(unit * data, design), unit * apply_filter(data, design), 1e-12
    )


def test_sine_in_the_notch_vanishes_and_others_stay():
    times = np.arange(2500) / 500.0
    notch = design_notch(500.0, 50.0, harmonics=True)
    for hum in (50.0, 100.0, 200.0):
        left = apply_filter(np.sin(2 * np.pi * hum * times), notch)
        assert np.abs(left[1000:1500]).max() < 0.01
    sine = np.sin(2 * np.pi * 20.0 * times)
    kept = apply_filter(sine, notch)
    assert np.abs(kept - sine)[1000:1500].max() < 0.01


@pytest.mark.parametrize("shape", [(200,), (2, 3, 200)])
@pytest.mark.parametrize("design", [HIGH_PASS, FINITE], ids=["sections", "taps"])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_any_leading_axes_are_kept(shape, design, kind):
    data = np.random.default_rng(0).standard_normal(shape)
    rows = data.reshape(-1, 200)
    for phase in ("zero", "forward"):
        wanted = apply_filter(rows, design, phase=phase).reshape(shape)
        assert_close(apply_filter(kind(data), design, phase=phase), wanted, 1e-5)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("<i2", "f8"), (">f4", "f4"), (">f8", "f8"), ("f2", "f8")],
)
@pytest.mark.parametrize("design", [HIGH_PASS, FINITE], ids=["sections", "taps"])
def test_any_real_dtype_and_layout_is_taken_untouched(dtype, kept, design):
    data = np.asfortranarray(np.arange(400).reshape(2, 200) % 7).astype(dtype)
    data.flags.writeable = False
    before = data.copy()
    filtered = apply_filter(data, design)
    assert filtered.dtype == np.dtype(kept)
    assert_close(filtered, apply_filter(data.astype(float), design), 1e-5)
    assert_array_equal(data, before)


@pytest.mark.parametrize("design", [HIGH_PASS, FINITE], ids=["sections", "taps"])
def test_filter_can_be_transformed_and_passed_through_jit(data, design):
    wanted = apply_filter(data, design)
    single = jnp.asarray(data)
    assert_close(jax.jit(apply_filter)(single, design), wanted, 1e-5)
    assert_close(jax.vmap(lambda row: apply_filter(row, design))(single), wanted, 1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("design", [HIGH_PASS, FINITE], ids=["sections", "taps"])
def test_derivative_in_the_data_is_the_filter_itself(data, design):
    """Without delay a filter is its own adjoint, but for the ends."""
    weights = np.zeros((3, 500))
    weights[:, 250] = 1.0
    _, pull = jax.vjp(lambda one: apply_filter(one, design), jnp.asarray(data))
    middle = slice(200, 300)
    wanted = apply_filter(weights, design)[:, middle]
    assert_close(pull(jnp.asarray(weights))[0][:, middle], wanted, 1e-3)


@pytest.mark.parametrize(
    ("b", "a", "words"),
    [
        ([1.0], [0.0, 1.0], "a must not start with zero"),
        ([], [1.0], "b must be a row of at least one number"),
        ([1.0], np.eye(2), r"a must be a row .* shape \(2, 2\)"),
        ([1.0], [1.0, -1.5], "not those of a stable filter.*modulus 1.5"),
        ([1.0, np.nan], [1.0], "b contains NaN"),
    ],
)
def test_row_37_bad_coefficients_are_refused(data, b, a, words):
    with pytest.raises(InputError, match=words):
        filter_data(data, b, a)


def test_slow_edges_that_rounding_makes_unstable_are_refused(data):
    b, a = butter(4, 0.01, "high", fs=1000.0)
    with pytest.raises(OptionError, match="use design_filter"):
        filter_data(data, b, a)


def test_states_of_traced_coefficients_are_refused(data):
    def run(b):
        return filter_data(data, b, [1.0, -0.5], return_zf=True)

    with pytest.raises(OptionError, match="coefficients that are known"):
        jax.jit(run)(jnp.ones(2))


def test_state_without_a_direction_is_refused(data):
    with pytest.raises(OptionError, match="phase must be 'forward' where zi"):
        apply_filter(data, HIGH_PASS, return_zf=True)


@pytest.mark.parametrize("design", [HIGH_PASS, FINITE], ids=["sections", "taps"])
def test_state_of_other_data_is_refused(data, design):
    for kind in (np.asarray, jnp.asarray):
        with pytest.raises(ShapeError, match="zi must have shape"):
            apply_filter(kind(data), design, phase="forward", zi=np.zeros((2, 1, 2)))


@pytest.mark.parametrize("option", ["phase", "padding"])
def test_unknown_options_are_refused(data, option):
    with pytest.raises(OptionError, match=f"{option} must be"):
        apply_filter(data, HIGH_PASS, **{option: "both"})


@pytest.mark.parametrize("design", [HIGH_PASS, FINITE], ids=["sections", "taps"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_row_21_one_bad_sample_is_named_and_never_spread(data, design, bad):
    data[1, 77] = bad
    for run in (
        lambda one: apply_filter(one, design),
        lambda one: apply_filter(one, design, phase="forward"),
        lambda one: filter_data(one, [0.5, 0.5], [1.0]),
        lambda one: filter_data(one, [0.5, 0.5], [1.0, -0.5]),
    ):
        for one in (data, jnp.asarray(data)):
            with pytest.raises(InputError, match=r"NaN or Inf: 1 values.*\(1, 77\)"):
                run(one)


def test_row_36_too_short_data_are_refused_with_the_seconds_needed():
    assert apply_filter(np.ones((1, 16)), HIGH_PASS).shape == (1, 16)
    for kind in (np.ones, jnp.ones):
        with pytest.raises(InputError, match=r"at least 16 times \(0.064 s\).*have 15"):
            apply_filter(kind((1, 15)), HIGH_PASS)


@pytest.mark.parametrize("shape", [(), (2, 0)])
def test_data_without_samples_are_refused(shape):
    with pytest.raises(ShapeError, match="data have no samples"):
        apply_filter(np.zeros(shape), HIGH_PASS)
    with pytest.raises(ShapeError, match="data have no samples"):
        filter_data(np.zeros(shape), [1.0], [1.0])


def test_masked_and_complex_data_are_refused(data):
    with pytest.raises(InputError, match="data has 1 masked elements"):
        apply_filter(np.ma.masked_equal(data, data[0, 0]), HIGH_PASS)
    with pytest.raises(InputError, match="real numbers, but its dtype is complex128"):
        filter_data(data + 1j, [1.0], [1.0])
