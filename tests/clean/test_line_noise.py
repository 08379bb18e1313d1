"""ZapLine: laws, recovery and refusals."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.clean.line_noise import remove_line_noise
from meegic.math.spectra import welch_power


def make_brain(n_channels, n_times, sfreq, seed=0):
    """Mixed noise whose power falls with frequency."""
    rng = np.random.default_rng(seed)
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    spectra = np.fft.rfft(rng.standard_normal((n_channels, n_times)))
    noise = np.fft.irfft(spectra / np.maximum(freqs, 0.5) ** 0.6, n_times)
    return rng.standard_normal((n_channels, n_channels)) @ noise


def make_line(n_channels, n_times, sfreq, freqs, seed=1):
    """Every frequency with its own map."""
    maps = np.random.default_rng(seed).standard_normal((n_channels, len(freqs)))
    return maps @ np.sin(2 * np.pi * np.outer(freqs, np.arange(n_times)) / sfreq)


@pytest.mark.parametrize("sfreq", [128.0, 250.0, 500.0, 512.0, 1000.0])
@pytest.mark.parametrize("line_freq", [50.0, 60.0])
def test_pure_line_falls_by_more_than_40_db(sfreq, line_freq):
    # Periods of 2.1 to 20 samples, mostly not whole; the ends count too.
    line = make_line(8, 4000, sfreq, [line_freq])
    cleaned = remove_line_noise(line, sfreq, line_freq)
    assert (cleaned**2).mean() < 1e-4 * (line**2).mean()


@pytest.mark.parametrize(("sfreq", "line_freq"), [(250.0, 50.0), (512.0, 60.0)])
def test_line_is_removed_and_the_rest_is_kept(sfreq, line_freq):
    brain = make_brain(16, 10_000, sfreq)
    size = 2 * brain.std()
    line = size * make_line(16, 10_000, sfreq, [line_freq, 2 * line_freq])
    cleaned = remove_line_noise(brain + line, sfreq, line_freq)
    before, after, with_line = (
        welch_power(one, sfreq, window_s=4.0) for one in (brain, cleaned, brain + line)
    )
    distance = np.abs(before.freqs[:, None] - line_freq * np.array([1, 2])).min(axis=1)
    near = distance <= 2
    assert after.power[:, near].sum() < 0.02 * with_line.power[:, near].sum()
    # What was there without the line is still there.
    assert_allclose(after.power[:, near].sum(), before.power[:, near].sum(), rtol=0.15)
    change = np.abs(after.power - before.power)[:, ~near].sum()
    assert change < 0.01 * before.power[:, ~near].sum()


def test_weak_line_is_an_outlier_among_the_components():
    brain = make_brain(16, 10_000, 250.0)
    line = 0.015 * brain.std() * make_line(16, 10_000, 250.0, [50.0])
    cleaned = remove_line_noise(brain + line, 250.0)
    assert np.linalg.matrix_rank(brain + line - cleaned) == 1
    # Less than half of the power of that component is the line.
    assert np.std(brain + line - cleaned) > 1.4 * np.std(line)


def test_recording_without_line_is_left_alone():
    brain = make_brain(16, 10_000, 250.0)
    assert_allclose(remove_line_noise(brain, 250.0), brain, rtol=1e-12)


def test_what_is_not_good_is_cleaned_but_not_learned_from():
    data = make_brain(6, 5000, 250.0) + make_line(6, 5000, 250.0, [50.0])
    good = np.ones(5000, bool)
    good[1111:2222] = False
    spoiled = data.copy()
    spoiled[:, 1200:2100] = 1e3 * make_line(6, 900, 250.0, [100.0], seed=7)
    changes = [
        one - remove_line_noise(one, 250.0, n_remove=1, good=good)
        for one in (data, spoiled)
    ]
    assert_allclose(changes[1][:, good], changes[0][:, good], rtol=0, atol=1e-9)
    fooled = spoiled - remove_line_noise(spoiled, 250.0, n_remove=1)
    assert np.abs(fooled - changes[0])[:, good].max() > 0.1
    whole = remove_line_noise(data, 250.0, good=np.ones(5000, bool))
    assert_array_equal(whole, remove_line_noise(data, 250.0))


def test_number_of_components_may_be_given():
    data = make_brain(6, 4000, 250.0) + make_line(6, 4000, 250.0, [50.0, 100.0])
    assert_array_equal(remove_line_noise(data, 250.0, n_remove=0), data)
    ranks = [
        np.linalg.matrix_rank(data - remove_line_noise(data, 250.0, n_remove=n))
        for n in (1, 2, 6)
    ]
    assert ranks == [1, 2, 6]


def test_at_most_a_quarter_of_the_channels_is_removed():
    data = make_line(8, 4000, 500.0, [50.0, 100.0, 150.0, 200.0])
    removed = data - remove_line_noise(data, 500.0)
    assert np.linalg.matrix_rank(removed) == 2


@pytest.mark.parametrize("unit", [1e-13, 1e-6, 1e6])
def test_row_28_unit_does_not_matter(unit):
    data = make_brain(6, 4000, 250.0) + make_line(6, 4000, 250.0, [50.0])
    expected = remove_line_noise(data, 250.0)
    cleaned = remove_line_noise(unit * data, 250.0)
    assert_allclose(cleaned, unit * expected, rtol=0, atol=1e-9 * unit)


def test_row_26_rank_deficient_data_are_cleaned():
    data = make_brain(8, 4000, 250.0) + make_line(8, 4000, 250.0, [50.0])
    data -= data.mean(axis=0)
    cleaned = remove_line_noise(data, 250.0)
    assert np.linalg.matrix_rank(data - cleaned) == 1
    assert_allclose(cleaned.mean(axis=0), 0, atol=1e-12)


def test_flat_data_stay_as_they_are():
    assert_array_equal(remove_line_noise(np.zeros((2, 1000)), 250.0), 0)


def test_kind_and_precision_follow_the_caller():
    data = make_brain(4, 2000, 250.0) + make_line(4, 2000, 250.0, [50.0])
    data = data.astype(np.float32)
    before = data.copy()
    single = remove_line_noise(data, 250.0)
    assert single.dtype == np.float32
    assert_array_equal(data, before)
    traced = remove_line_noise(jnp.asarray(data), 250.0)
    assert isinstance(traced, jnp.ndarray)
    assert_array_equal(traced, single)
    assert remove_line_noise(data.astype(np.int16), 250.0).dtype == np.float64


def test_impossible_input_is_refused():
    data = make_brain(4, 1000, 250.0)
    with pytest.raises(OptionError, match=r"line_freq must be .* below 125 Hz"):
        remove_line_noise(data, 250.0, 125.0)
    with pytest.raises(OptionError, match=r"n_remove must be .* between 0 and 4"):
        remove_line_noise(data, 250.0, n_remove=5)
    with pytest.raises(InputError, match=r"at least 2 whole .* have 1 in 1\.6 s"):
        remove_line_noise(data[:, :400], 250.0)
    with pytest.raises(InputError, match=r"at least 2 whole .* have 0 in 0\.8 s"):
        remove_line_noise(data, 250.0, good=np.arange(1000) < 200)
    with pytest.raises(InputError, match="good must hold True or False"):
        remove_line_noise(data, 250.0, good=np.ones(1000))
    with pytest.raises(ShapeError, match="transposed"):
        remove_line_noise(data.T, 250.0)
    data[2, 3] = np.nan
    with pytest.raises(InputError, match=r"NaN or Inf: 1 values.*\(2, 3\)"):
        remove_line_noise(data, 250.0)
