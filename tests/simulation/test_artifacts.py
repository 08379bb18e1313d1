"""Laws of the simulated artifacts."""

import numpy as np
import pytest
from scipy.signal import hilbert

from meegic.math.spectra import band_power, welch_power
from meegic.simulation.artifacts import (
    simulate_blinks,
    simulate_heart,
    simulate_line,
    simulate_muscle,
    simulate_pops,
    simulate_saccades,
)
from meegic.simulation.sources import Clock

CLOCK = Clock(60_000, 250.0)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("draw", [simulate_blinks, simulate_saccades])
def test_nothing_happens_outside_the_spans(draw, rng):
    course, spans = draw(CLOCK, rng)
    outside = np.ones(CLOCK.n_times, dtype=bool)
    for start, stop in spans:
        assert 0 <= start < stop <= CLOCK.n_times
        outside[start:stop] = False
    assert outside.any()
    assert np.abs(course[outside]).max() < 1e-3 * np.abs(course).max()


@pytest.mark.parametrize(
    "draw", [simulate_blinks, simulate_saccades, simulate_heart, simulate_muscle]
)
@pytest.mark.parametrize("n_times", [500, 501, 1250])
def test_even_a_short_recording_has_every_artifact(draw, n_times, rng):
    course, spans = draw(Clock(n_times, 100.0), rng)
    assert len(spans) >= 1
    assert np.abs(course).max() > 0.3


def test_heart_beats_at_a_resting_rate_with_an_r_wave_of_one(rng):
    course, spans = simulate_heart(CLOCK, rng)
    assert len(spans) / (CLOCK.duration / 60) == pytest.approx(66, abs=3)
    assert course.max() == pytest.approx(1, abs=0.05)
    peaks = [start + course[start:stop].argmax() for start, stop in spans[1:-1]]
    intervals = np.diff(peaks) / CLOCK.sfreq
    assert np.ptp(intervals) < 0.3
    assert intervals.std() > 0.025  # breath, beside 20 ms of chance


def test_blinks_rise_faster_than_they_fall(rng):
    course, spans = simulate_blinks(CLOCK, rng)
    shape = [course[start:stop] for start, stop in spans]
    assert np.mean([one.argmax() / len(one) for one in shape]) < 0.45
    assert np.mean([one.max() for one in shape]) == pytest.approx(1, abs=0.1)


def test_muscle_is_fast_and_comes_in_bursts(rng):
    course, spans = simulate_muscle(CLOCK, rng)
    spectrum = welch_power(course, 250.0, window_s=2.0)
    slow = band_power(spectrum, low=0.5, high=15)
    fast = band_power(spectrum, low=20, high=110)
    assert fast > 20 * slow
    inside = np.zeros(CLOCK.n_times, dtype=bool)
    for start, stop in spans:
        inside[start:stop] = True
    # the tone between bursts is 4 % of a burst
    assert 10 < course[inside].std() / course[~inside].std() < 40


def test_hum_sits_at_the_mains_and_its_harmonics_only(rng):
    course = simulate_line(50.0, Clock(60_000, 500.0), rng)
    spectrum = welch_power(course, 500.0, window_s=10.0)
    at = [band_power(spectrum, low=f - 1, high=f + 1) for f in (50, 100, 150)]
    assert sum(at) == pytest.approx(band_power(spectrum, low=0, high=250), rel=1e-3)
    assert at[0] > at[2] > at[1]


def test_hum_never_aliases(rng):
    course = simulate_line(60.0, Clock(20_000, 125.0), rng)
    spectrum = welch_power(course, 125.0, window_s=10.0)
    assert band_power(spectrum, low=0, high=55) < 1e-6 * band_power(
        spectrum, low=0, high=62.5
    )


def test_fundamental_of_the_hum_has_unit_rms_and_drifts(rng):
    # below Nyquist there is but the fundamental
    course = simulate_line(60.0, Clock(60_000, 125.0), rng)
    assert course.std() == pytest.approx(1, abs=0.05)
    strength = np.abs(hilbert(course))[500:-500]  # the ends are not analytic
    assert strength.std() / strength.mean() == pytest.approx(0.15, rel=0.2)


def test_pops_hit_the_channels_that_are_named(rng):
    course, spans, channels = simulate_pops(5, CLOCK, rng)
    assert set(np.flatnonzero(np.abs(course).sum(axis=1))) == set(channels)
    for (start, _), channel in zip(spans, channels, strict=True):
        assert abs(course[channel, start]) > 0.3
        before = course[channel, max(start - 1, 0)]
        assert abs(course[channel, start] - before) > 0.3
