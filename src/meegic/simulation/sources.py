"""Time courses of cortical sources: 1/f background, rhythms, evoked responses."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.fft

BACKGROUND_SLOPE = 1.4
"""Exponent of the background's power spectrum; resting EEG lies between 1 and 2."""

BACKGROUND_KNEE_HZ = 0.5
"""Below this frequency the background is flat, so that its variance is finite."""

EVOKED_PEAKS = ((0.10, 0.018, 0.6), (0.17, 0.025, -1.0), (0.35, 0.070, 0.9))
"""Latency (s), width (s) and height of the evoked response's three peaks."""

EVOKED_SPREAD = 0.25
"""Relative standard deviation of the evoked response's height over trials."""


class Clock(NamedTuple):
    """The samples of a recording.

    Attributes
    ----------
    n_times : int
        How many there are.
    sfreq : float
        How many there are in a second.
    """

    n_times: int
    sfreq: float

    @property
    def times(self) -> np.ndarray:
        """Time of every sample in s."""
        return np.arange(self.n_times) / self.sfreq

    @property
    def duration(self) -> float:
        """Length in s."""
        return self.n_times / self.sfreq


def shape_noise(
    amplitude: Callable[[np.ndarray], np.ndarray],
    clock: Clock,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw Gaussian noise with a given amplitude spectrum and unit RMS.

    Parameters
    ----------
    amplitude : callable
        Takes frequencies in Hz to amplitudes; only its shape matters. The mean of
        the noise is zero whatever it says at 0 Hz.
    clock : Clock
        The samples.
    rng : numpy.random.Generator
        Where the randomness comes from.

    Returns
    -------
    array, shape (n_times,)
        The noise.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = shape_noise(np.ones_like, Clock(500, 100.0), rng)
    >>> float(np.round(np.mean(noise**2), 6))
    1.0
    """
    spectrum = scipy.fft.rfft(rng.standard_normal(clock.n_times))
    frequencies = scipy.fft.rfftfreq(clock.n_times, 1 / clock.sfreq)
    spectrum *= amplitude(frequencies)
    spectrum[0] = 0
    noise = scipy.fft.irfft(spectrum, clock.n_times)
    return _unit(noise)


def simulate_background(clock: Clock, rng: np.random.Generator) -> np.ndarray:
    """Draw 1/f activity whose strength waxes and wanes, with unit RMS.

    The slow envelope makes the course super-Gaussian, as cortical sources are; a
    stationary Gaussian course could not be found by any ICA.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> simulate_background(Clock(500, 100.0), rng).shape
    (500,)
    """
    noise = shape_noise(
        lambda f: np.maximum(f, BACKGROUND_KNEE_HZ) ** (-BACKGROUND_SLOPE / 2),
        clock,
        rng,
    )
    return _unit(noise * _envelope(clock, rng, depth=0.5))


def simulate_rhythm(
    peak_hz: float, clock: Clock, rng: np.random.Generator
) -> np.ndarray:
    """Draw a narrow-band rhythm that comes in bursts, with unit RMS.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> simulate_rhythm(10.0, Clock(500, 100.0), rng).shape
    (500,)
    """
    width = 0.08 * peak_hz
    noise = shape_noise(
        lambda f: np.exp(-(((f - peak_hz) / width) ** 2) / 2),
        clock,
        rng,
    )
    return _unit(noise * _envelope(clock, rng, depth=0.7))


def simulate_evoked(
    onsets: np.ndarray, clock: Clock, rng: np.random.Generator
) -> np.ndarray:
    """Place one evoked response after each onset; its largest mean peak is 1.

    Parameters
    ----------
    onsets : array of int, shape (n_onsets,)
        Samples at which the stimuli came.
    clock : Clock
        The samples.
    rng : numpy.random.Generator
        Heights differ from trial to trial.

    Returns
    -------
    array, shape (n_times,)
        The evoked course.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> course = simulate_evoked(np.array([0]), Clock(100, 100.0), rng)
    >>> int(np.abs(course).argmax())
    17
    """
    lags = np.arange(int(0.7 * clock.sfreq)) / clock.sfreq
    latency, width, height = np.array(EVOKED_PEAKS).T[:, :, None]
    response = (height * np.exp(-(((lags - latency) / width) ** 2) / 2)).sum(axis=0)
    heights = 1 + EVOKED_SPREAD * rng.standard_normal(len(onsets))
    impulses = np.zeros(clock.n_times)
    np.add.at(impulses, onsets, heights)
    return np.convolve(impulses, response)[: clock.n_times]


def _envelope(clock: Clock, rng: np.random.Generator, *, depth: float) -> np.ndarray:
    """Log-normal strength that changes over seconds."""
    slow = shape_noise(lambda f: np.exp(-((f / 0.3) ** 2)), clock, rng)
    return np.exp(depth * slow)


def _unit(course: np.ndarray) -> np.ndarray:
    return course / np.sqrt(np.mean(course**2))
