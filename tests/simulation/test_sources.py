"""Laws of the simulated time courses."""

import numpy as np
import pytest
from scipy.signal import hilbert
from scipy.stats import kurtosis

from meegic.math.spectra import band_power, welch_power
from meegic.simulation.sources import (
    BACKGROUND_SLOPE,
    EVOKED_PEAKS,
    Clock,
    shape_noise,
    simulate_background,
    simulate_evoked,
    simulate_rhythm,
)

CLOCK = Clock(50_000, 250.0)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_background_falls_with_the_stated_slope(rng):
    course = simulate_background(CLOCK, rng)
    spectrum = welch_power(course, 250.0, window_s=4.0)
    band = (spectrum.freqs >= 2) & (spectrum.freqs <= 60)
    slope, _ = np.polyfit(
        np.log10(spectrum.freqs[band]), np.log10(spectrum.power[band]), 1
    )
    assert slope == pytest.approx(-BACKGROUND_SLOPE, abs=0.08)


def test_brain_courses_are_super_gaussian(rng):
    """Otherwise no ICA could find them; a Gaussian course has an excess of 0."""
    assert all(kurtosis(simulate_background(CLOCK, rng)) > 0.5 for _ in range(5))


def test_every_course_has_unit_rms_and_no_mean(rng):
    for course in (
        simulate_background(CLOCK, rng),
        simulate_rhythm(10.0, CLOCK, rng),
        shape_noise(np.ones_like, CLOCK, rng),
    ):
        assert np.mean(course**2) == pytest.approx(1)
        assert abs(course.mean()) < 0.05


def test_rhythm_peaks_where_it_was_asked_to(rng):
    spectrum = welch_power(simulate_rhythm(11.0, CLOCK, rng), 250.0, window_s=4.0)
    assert spectrum.freqs[spectrum.power.argmax()] == pytest.approx(11, abs=0.8)
    total = band_power(spectrum, low=0, high=125)
    assert band_power(spectrum, low=9, high=13) > 0.9 * total


def test_rhythm_comes_in_bursts(rng):
    """The strength of steady narrow-band noise has an excess of 0.25 (Rayleigh)."""
    assert kurtosis(np.abs(hilbert(simulate_rhythm(10.0, CLOCK, rng)))) > 1


def test_evoked_response_averages_to_its_three_peaks(rng):
    onsets = np.arange(100, 40_000, 300)
    course = simulate_evoked(onsets, CLOCK, rng)
    mean = np.mean([course[onset : onset + 150] for onset in onsets], axis=0)
    for latency, _, height in EVOKED_PEAKS:
        around = slice(round(latency * 250) - 2, round(latency * 250) + 3)
        assert np.abs(mean[around]).max() == pytest.approx(abs(height), rel=0.25)
        assert np.sign(mean[round(latency * 250)]) == np.sign(height)


def test_evoked_response_adds_up_when_trials_overlap():
    rng = np.random.default_rng(0)
    one = simulate_evoked(np.array([10]), Clock(200, 100.0), rng)
    rng = np.random.default_rng(0)
    same_height = rng.standard_normal(1)
    assert one[:10].tolist() == [0] * 10
    assert one[10 + 17] == pytest.approx(-(1 + 0.25 * same_height[0]), rel=0.05)
