"""Time courses of what is not brain: eyes, heart, muscles, mains, electrodes.

Each function draws one course and says when it was active. Courses have a natural
height of 1 (a blink's peak, an R wave, a muscle burst's RMS); the head model gives
them their size.
"""

from typing import NamedTuple

import numpy as np

from meegic.simulation.sources import Clock, shape_noise

HEART_WAVES = (
    (-0.17, 0.025, 0.12),  # P
    (-0.025, 0.009, -0.12),  # Q
    (0.0, 0.011, 1.0),  # R
    (0.027, 0.010, -0.22),  # S
    (0.25, 0.045, 0.25),  # T
)
"""Time from the R wave (s), width (s) and height of the waves of one beat."""

MUSCLE_BAND_HZ = (20.0, 110.0)


class Activity(NamedTuple):
    """A time course and the spans in which it is active.

    Attributes
    ----------
    course : array, shape (n_times,)
        The time course.
    spans : array of int, shape (n_spans, 2)
        First sample and the one after the last of every active span.
    """

    course: np.ndarray
    spans: np.ndarray


def simulate_blinks(clock: Clock, rng: np.random.Generator) -> Activity:
    """Draw blinks: about 15 a minute, closing faster than opening, peak about 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> len(simulate_blinks(Clock(6000, 100.0), rng).spans) > 5
    True
    """
    times = _arrivals(clock, mean_s=4.0, least_s=1.2, rng=rng)
    course = np.zeros(clock.n_times)
    spans = []
    for time in times:
        rise, fall = rng.uniform(0.045, 0.06), rng.uniform(0.075, 0.11)
        start, stop = _clip(time - 4 * rise, time + 4 * fall, clock)
        lag = clock.times[start:stop] - time
        width = np.where(lag < 0, rise, fall)
        height = rng.normal(1.0, 0.15)
        course[start:stop] += height * np.exp(-((lag / width) ** 2) / 2)
        spans.append((start, stop))
    return Activity(course, _as_spans(spans))


def simulate_saccades(clock: Clock, rng: np.random.Generator) -> Activity:
    """Draw looks to a side and back, one in five seconds, of height about 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> simulate_saccades(Clock(6000, 100.0), rng).course.shape
    (6000,)
    """
    times = _arrivals(clock, mean_s=5.0, least_s=2.0, rng=rng)
    seconds = clock.times
    course = np.zeros(clock.n_times)
    spans = []
    for time in times:
        dwell = rng.uniform(0.3, 1.2)
        height = rng.choice([-1.0, 1.0]) * rng.uniform(0.6, 1.3)
        course += height * (_step(seconds - time) - _step(seconds - time - dwell))
        spans.append(_clip(time - 0.1, time + dwell + 0.1, clock))
    return Activity(course, _as_spans(spans))


def simulate_heart(clock: Clock, rng: np.random.Generator) -> Activity:
    """Draw heart beats of about 66 a minute with an R wave of height 1.

    The spans go from P to T of each beat.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> len(simulate_heart(Clock(6000, 100.0), rng).spans)
    65
    """
    count = int(clock.duration * 2) + 2
    breath = np.sin(2 * np.pi * 0.25 * np.arange(count) + rng.uniform(0, 2 * np.pi))
    intervals = 0.91 + 0.04 * breath + 0.02 * rng.standard_normal(count)
    times = rng.uniform(0.2, 0.8) + np.cumsum(intervals)
    course = np.zeros(clock.n_times)
    spans = []
    for time in times[times < clock.duration]:
        start, stop = _clip(time - 0.3, time + 0.45, clock)
        lag = clock.times[start:stop] - time
        for offset, width, height in HEART_WAVES:
            course[start:stop] += height * np.exp(-(((lag - offset) / width) ** 2) / 2)
        spans.append((start, stop))
    return Activity(course, _as_spans(spans))


def simulate_muscle(clock: Clock, rng: np.random.Generator) -> Activity:
    """Draw bursts of 20-110 Hz activity, about one in eight seconds, of RMS about 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> simulate_muscle(Clock(6000, 250.0), rng).course.shape
    (6000,)
    """
    low, high = MUSCLE_BAND_HZ
    noise = shape_noise(
        lambda f: 1 / (1 + (low / np.maximum(f, 1e-9)) ** 8) / (1 + (f / high) ** 8),
        clock,
        rng,
    )
    envelope = np.full(clock.n_times, 0.04)
    spans = []
    for time in _arrivals(clock, mean_s=8.0, least_s=3.0, rng=rng):
        start, stop = _clip(time, time + rng.uniform(0.5, 2.0), clock)
        burst = np.sin(np.pi * (np.arange(stop - start) + 0.5) / (stop - start))
        envelope[start:stop] += rng.uniform(0.8, 1.4) * np.sqrt(burst)
        spans.append((start, stop))
    return Activity(noise * envelope, _as_spans(spans))


def simulate_line(
    line_freq_hz: float, clock: Clock, rng: np.random.Generator
) -> np.ndarray:
    """Draw mains hum with its harmonics below Nyquist; the fundamental has RMS 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> simulate_line(50.0, Clock(1000, 250.0), rng).shape
    (1000,)
    """
    seconds = clock.times
    drift = shape_noise(lambda f: np.exp(-((f / 0.05) ** 2)), clock, rng)
    course = np.zeros(clock.n_times)
    for harmonic, height in ((1, 1.0), (2, 0.1), (3, 0.25)):
        phase = rng.uniform(0, 2 * np.pi)
        if harmonic * line_freq_hz < clock.sfreq / 2:
            angle = 2 * np.pi * harmonic * line_freq_hz * seconds + phase
            course += height * np.sin(angle)
    return np.sqrt(2) * course * (1 + 0.15 * drift)


def simulate_pops(
    n_channels: int, clock: Clock, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw electrode pops: jumps of one channel that decay in a fifth of a second.

    Returns
    -------
    course : array, shape (n_channels, n_times)
        The jumps, with heights between 0.5 and 1.5.
    spans : array of int, shape (n_pops, 2)
        First sample and the one after the last of every pop.
    channels : array of int, shape (n_pops,)
        Which channel popped.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> simulate_pops(4, Clock(6000, 100.0), rng)[0].shape
    (4, 6000)
    """
    times = _arrivals(clock, mean_s=18.0, least_s=5.0, rng=rng)
    channels = rng.integers(n_channels, size=len(times))
    course = np.zeros((n_channels, clock.n_times))
    spans = []
    for time, channel in zip(times, channels, strict=True):
        start, stop = _clip(time, time + 1.0, clock)
        height = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.5)
        course[channel, start:stop] += height * np.exp(
            -np.arange(stop - start) / (0.2 * clock.sfreq)
        )
        spans.append((start, stop))
    return course, _as_spans(spans), channels


def _arrivals(
    clock: Clock, *, mean_s: float, least_s: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw times at least `least_s` apart, half a second from both ends."""
    count = int(clock.duration / least_s) + 1
    gaps = least_s + rng.exponential(mean_s - least_s, size=count)
    times = 0.5 + np.cumsum(gaps) - least_s * rng.uniform()
    last = clock.duration - 0.5
    return times[times < last] if times[0] < last else np.array([last / 2])


def _step(lag: np.ndarray) -> np.ndarray:
    """Rise smoothly from 0 to 1 within 40 ms, as long as an eye movement takes."""
    return 0.5 * (1 + np.tanh(lag / 0.012))


def _clip(start_s: float, stop_s: float, clock: Clock) -> tuple[int, int]:
    start, stop = round(start_s * clock.sfreq), round(stop_s * clock.sfreq)
    return max(start, 0), min(stop, clock.n_times)


def _as_spans(spans: list[tuple[int, int]]) -> np.ndarray:
    return np.array(spans, dtype=np.int64).reshape(-1, 2)
