"""Resampling keeps what passes, removes what would alias, and stretches no time."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import firwin
from scipy.signal import resample_poly as scipy_resample_poly

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.clean.resample import find_ratio
from meegic.preprocessing.resample import resample_minimal, resample_poly

RATES = [(500.0, 250.0), (512.0, 200.0), (500.0, 128.0), (128.0, 500.0), (250.0, 256.0)]


def make_sines(low, high, times):
    """Sixteen sines between two frequencies, of sum about one."""
    rng = np.random.default_rng(0)
    freqs, phases = rng.uniform(low, high, 16), rng.uniform(0, 2 * np.pi, 16)
    return np.sin(2 * np.pi * np.outer(freqs, times) + phases[:, None]).mean(axis=0)


def resample_sines(old, new, low, high):
    """Sixteen sines before and after, without the ends."""
    sines = make_sines(low, high, np.arange(round(6 * old)) / old)
    found = resample_minimal(sines, old, new)
    wanted = make_sines(low, high, np.arange(len(found)) / new)
    middle = slice(len(found) // 4, -len(found) // 4)
    return found[middle], wanted[middle]


@pytest.mark.parametrize(("old", "new"), RATES)
def test_pass_band_is_kept_to_a_hundred_decibels(old, new):
    found, wanted = resample_sines(old, new, 0.1, 0.9 * min(old, new) / 2)
    assert_allclose(found, wanted, rtol=0, atol=5e-6)


@pytest.mark.parametrize(("old", "new"), [one for one in RATES if one[0] > one[1]])
def test_what_would_alias_goes_by_a_hundred_decibels(old, new):
    found, _ = resample_sines(old, new, new / 2, 0.98 * old / 2)
    assert np.abs(found).max() < 5e-6


def test_single_precision_is_as_good_as_its_digits():
    sines = make_sines(1.0, 100.0, np.arange(3000) / 512.0)
    found = resample_minimal(jnp.asarray(sines), 512.0, 250.0)
    assert found.dtype == jnp.float32
    assert_allclose(found, resample_minimal(sines, 512.0, 250.0), atol=2e-6)


@pytest.mark.parametrize("n_times", [1, 2, 1001])
@pytest.mark.parametrize(("up", "down"), [(2, 1), (25, 64), (4, 6)])
def test_length_is_the_ratio_and_a_constant_stays(n_times, up, down):
    found = resample_poly(np.full((2, n_times), 5.0), up, down)
    assert found.shape == (2, -(-n_times * up // down))
    assert_allclose(found, 5.0, rtol=0, atol=1e-5)
    single = resample_poly(jnp.full((2, n_times), 5.0), up, down)
    assert_allclose(single, 5.0, rtol=0, atol=1e-5)


def test_time_axis_is_not_stretched():
    """A pulse stays at its time, also where the lengths have no common divisor."""
    times = np.arange(5000) / 500.0
    pulse = np.exp(-0.5 * ((times - 7.3) / 0.05) ** 2)
    found = resample_minimal(pulse, 500.0, 128.0)
    wanted = np.exp(-0.5 * ((np.arange(len(found)) / 128.0 - 7.3) / 0.05) ** 2)
    assert_allclose(found, wanted, rtol=0, atol=5e-6)


def test_same_rate_is_the_same_signal():
    data = np.random.default_rng(0).standard_normal((2, 50))
    assert_array_equal(resample_poly(data, 3, 3), data)
    assert_array_equal(resample_minimal(data, 250.0, 250.0), data)


def test_there_and_back_again_keeps_what_passes():
    sines = make_sines(1.0, 50.0, np.arange(1000) / 128.0)
    back = resample_minimal(resample_minimal(sines, 128.0, 300.0), 300.0, 128.0)
    assert_allclose(back[250:750], sines[250:750], rtol=0, atol=5e-6)


@pytest.mark.parametrize(("up", "down"), [(3, 2), (1, 4), (25, 64)])
def test_taps_of_ones_own_agree_with_scipy(up, down):
    data = np.random.default_rng(0).standard_normal((2, 700))
    taps = firwin(20 * max(up, down) + 1, 1 / max(up, down), window=("kaiser", 5.0))
    found = resample_poly(data, up, down, window=taps)
    wanted = scipy_resample_poly(data, up, down, axis=-1, window=taps)
    assert found.shape == wanted.shape
    middle = np.s_[:, wanted.shape[1] // 3 : -wanted.shape[1] // 3]  # zeros beyond ends
    assert_allclose(found[middle], wanted[middle], rtol=0, atol=1e-13)


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1e9])
def test_unit_of_the_data_does_not_matter(unit):
    data = np.random.default_rng(0).standard_normal((2, 300))
    wanted = unit * resample_poly(data, 2, 3)
    found = resample_poly(unit * data, 2, 3)
    assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_resampling_is_linear():
    first, second = np.random.default_rng(0).standard_normal((2, 300))
    both = resample_poly(2 * first - 3 * second, 2, 3)
    wanted = 2 * resample_poly(first, 2, 3) - 3 * resample_poly(second, 2, 3)
    assert_allclose(both, wanted, atol=1e-13)


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
@pytest.mark.parametrize("window", [None, np.array([0.25, 0.5, 0.25])])
def test_any_axis_may_be_that_of_time(axis, window):
    data = np.random.default_rng(0).standard_normal((20, 30, 40))
    found = resample_poly(data, 3, 2, axis=axis, window=window)
    wanted = resample_poly(np.moveaxis(data, axis, -1), 3, 2, window=window)
    assert_allclose(found, np.moveaxis(wanted, -1, axis), atol=1e-12)


def test_rows_do_not_know_each_other():
    data = np.random.default_rng(0).standard_normal((19, 200))
    whole = resample_poly(data, 1, 2)
    for index in (0, 18):
        alone = resample_poly(data[index], 1, 2)
        assert_allclose(whole[index], alone, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("window", [None, np.array([0.25, 0.5, 0.25])])
def test_resampling_can_be_transformed(window):
    data = np.random.default_rng(0).standard_normal((3, 100))

    def run(one):
        return resample_poly(one, 2, 3, window=window)

    rows = jnp.asarray(data)
    assert_allclose(jax.jit(run)(rows), run(data), atol=1e-13)
    assert_allclose(jax.vmap(run)(rows), run(data), atol=1e-13)
    weights = np.random.default_rng(1).standard_normal((3, 67))
    other = np.random.default_rng(2).standard_normal((3, 100))
    _, pull = jax.vjp(run, rows)
    pulled = pull(jnp.asarray(weights))[0]
    assert_allclose((pulled * other).sum(), (run(other) * weights).sum(), rtol=1e-10)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("<i2", "f8"), (">f4", "f4"), (">f8", "f8"), ("f2", "f8")],
)
def test_any_real_dtype_and_layout_is_taken_untouched(dtype, kept):
    data = np.asfortranarray(np.arange(400).reshape(2, 200) % 7).astype(dtype)
    data.flags.writeable = False
    before = data.copy()
    found = resample_poly(data, 1, 2)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.dtype(kept)
    assert_allclose(found, resample_poly(data.astype(float), 1, 2), atol=1e-5)
    assert_array_equal(data, before)


def test_rates_that_are_no_whole_numbers_keep_their_ratio():
    assert find_ratio(512.0, 200.0) == Fraction(25, 64)
    assert find_ratio(1017.25, 250.0) == Fraction(1000, 4069)
    assert find_ratio(0.1, 0.3) == 3
    assert resample_minimal(np.ones(4069), 1017.25, 250.0).shape == (1000,)


@pytest.mark.parametrize("new", [250.0, np.pi, 1e-3])
def test_row_19_rates_without_a_ratio_are_refused_and_never_rounded(new):
    with pytest.raises(OptionError, match="a ratio of whole numbers"):
        resample_minimal(np.ones(100), 500.0001, new)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(OptionError, match="target_sfreq must be"):
        resample_minimal(np.ones(100), 500.0, rate)
    with pytest.raises(OptionError, match="original_sfreq must be"):
        resample_minimal(np.ones(100), rate, 500.0)


@pytest.mark.parametrize(("up", "down"), [(0, 1), (1, 0), (-1, 2), (True, 2)])
def test_factors_that_are_no_counts_are_refused(up, down):
    with pytest.raises(OptionError, match="must be a whole number >= 1"):
        resample_poly(np.ones(100), up, down)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_data_without_samples_are_refused(shape):
    with pytest.raises(ShapeError, match="x has no samples"):
        resample_poly(np.zeros(shape), 1, 2)


def test_row_21_bad_samples_are_named():
    data = np.ones((2, 100))
    data[1, 7] = np.nan
    for one in (data, jnp.asarray(data)):
        with pytest.raises(InputError, match=r"NaN or Inf: 1 values.*\(1, 7\)"):
            resample_poly(one, 1, 2)


def test_axis_and_taps_that_cannot_be_are_refused():
    with pytest.raises(OptionError, match="axis must be one of the 2 of x"):
        resample_poly(np.ones((2, 100)), 1, 2, axis=2)
    for window in (np.ones(4), np.ones((3, 3))):
        with pytest.raises(ShapeError, match="an odd number of taps"):
            resample_poly(np.ones((2, 100)), 1, 2, window=window)
    with pytest.raises(InputError, match="window contains NaN"):
        resample_poly(np.ones((2, 100)), 1, 2, window=np.array([np.nan]))
