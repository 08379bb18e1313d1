"""Faults that other programs for ASR have or had, and ours must not have."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clean.asr_recordings import CUTOFF, add_bursts, make_clean
from meegic.base.errors import ConvergenceWarning
from meegic.clean import asr_calibration, asr_covariance
from meegic.clean.asr import apply_asr
from meegic.clean.asr_calibration import CalibrationOptions, calibrate_asr
from meegic.clean.asr_covariance import fit_block_median


def make_rhythm(n_times=8000):
    """Strong slow activity over weak noise, at 250 Hz."""
    times = np.arange(n_times) / 250
    rng = np.random.default_rng(0)
    waves = np.sin(2 * np.pi * np.array([[8.0], [9.1], [10.3], [11.7]]) * times)
    return rng.standard_normal((4, 4)) @ waves + 0.05 * rng.standard_normal(
        (4, n_times)
    )


def test_shaping_shows_artifacts_that_strong_rhythms_hide():
    clean = make_rhythm()
    buzz = np.zeros_like(clean)
    times = np.arange(500) / 250
    buzz[0, 4000:4500] = 1.5 * np.sin(2 * np.pi * 100 * times)
    options = CalibrationOptions(window_s=0.4)
    left = []
    for sfreq in (250.0, None):
        state = calibrate_asr(clean, CUTOFF, sfreq=sfreq, options=options)
        cleaned = apply_asr(clean + buzz, state)
        error = (cleaned - clean)[0, 4050:4450]
        left.append(error.std() / buzz[0, 4050:4450].std())
    assert left[0] < 0.5
    assert left[1] > 0.9


def test_threshold_is_mean_plus_deviations_of_the_usual_amplitude():
    state = calibrate_asr(make_clean(), CUTOFF)
    heights = np.linalg.norm(state.threshold, axis=1)
    assert_allclose(heights, state.mu + CUTOFF * state.sigma, rtol=1e-12)
    # White noise has an RMS near its deviation, with a small spread.
    assert_allclose(state.mu, state.component_stdevs, rtol=0.2)
    assert (state.sigma < 0.2 * state.mu).all()


def test_lost_directions_are_predicted_from_the_others():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(6000)
    clean = shared + 0.3 * rng.standard_normal((6, 6000))
    state = calibrate_asr(clean, CUTOFF)
    spoiled = clean.copy()
    spoiled[2, 2000:3000] += 500.0
    cleaned = apply_asr(spoiled, state)
    inside = slice(2100, 2900)
    assert np.corrcoef(cleaned[2, inside], clean[2, inside])[0, 1] > 0.9


def test_offset_does_not_come_back():
    clean = make_clean()
    state = calibrate_asr(clean, CUTOFF)
    spoiled = clean.copy()
    spoiled[1, 1000:2000] += 300.0
    cleaned = apply_asr(spoiled, state)
    assert abs(cleaned[1, 1100:1900].mean()) < 0.1 * clean[1].std()


@pytest.mark.parametrize("n_times", [600, 601, 649, 651])
def test_no_sample_becomes_zero(n_times):
    clean = make_clean()
    state = calibrate_asr(clean, CUTOFF)
    spoiled = add_bursts(clean, spans=((200, 320),))[:, :n_times]
    cleaned = apply_asr(spoiled, state)
    assert cleaned.shape == spoiled.shape
    assert (cleaned != 0).all()


def test_two_runs_give_the_same_bits():
    data = add_bursts(make_clean())
    first, second = (calibrate_asr(data, CUTOFF) for _ in range(2))
    assert_array_equal(first.threshold, second.threshold)
    assert_array_equal(apply_asr(data, first), apply_asr(data, second))


def test_memory_that_the_calibration_takes_does_not_change_it(monkeypatch):
    data = add_bursts(make_clean())
    wanted = fit_block_median(data).covariance
    monkeypatch.setattr(asr_covariance, "_MAX_ENTRIES", 1)
    assert_array_equal(fit_block_median(data).covariance, wanted)
    monkeypatch.setattr(asr_covariance, "_PIECE", 7)
    assert_allclose(fit_block_median(data).covariance, wanted, rtol=1e-11, atol=1e-12)


def test_window_of_the_calibration_is_used():
    data = make_clean(n_times=6000)
    sigmas = [
        calibrate_asr(
            data, CUTOFF, sfreq=100.0, options=CalibrationOptions(window_s=window_s)
        ).sigma.mean()
        for window_s in (0.2, 0.8)
    ]
    # Means over four times as many samples scatter half as much.
    assert sigmas[1] < 0.75 * sigmas[0]


def test_covariance_that_did_not_converge_is_warned_of_and_still_there(monkeypatch):
    def stop_early(data, n_start=None):
        return fit_block_median(data, n_start=n_start, max_iter=1)

    monkeypatch.setattr(asr_calibration, "fit_block_median", stop_early)
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 rounds"):
        state = calibrate_asr(make_clean(), CUTOFF)
    assert np.isfinite(state.mixing).all()


def measure_growth(run, n_short=50000):
    """Bytes of peak memory per byte of input, beyond what a short input takes."""
    peaks = []
    for n_times in (n_short, 3 * n_short):
        data = make_clean(n_channels=8, n_times=n_times)
        tracemalloc.start()
        run(data)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[1] - peaks[0]) / (8 * 8 * 2 * n_short)


def test_memory_of_the_reconstruction_grows_by_its_output_only():
    state = calibrate_asr(make_clean(n_channels=8), CUTOFF)
    assert measure_growth(lambda data: apply_asr(data, state)) < 1.05


def test_memory_of_the_calibration_grows_by_a_few_copies_only():
    growth = measure_growth(lambda data: calibrate_asr(data, CUTOFF, sfreq=500.0))
    assert growth < 4.5
