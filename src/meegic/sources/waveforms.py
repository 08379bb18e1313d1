"""Waveforms as evoked potentials have them: noise in a band, under a window."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.signal import butter, filtfilt, sosfiltfilt

from meegic.base.checks import check_count, check_known, check_range
from meegic.base.errors import InputError, OptionError

SHORTEST_WAVEFORM = 82
"""Samples that a waveform has at least, where nothing else is asked for."""

_FILTER_NEEDS = 28
"""Samples that a segment has at least: `filtfilt` pads it by 27 at either end."""

_FINEST_BAND = 1e-6  # of sfreq: below it the filter's coefficients are rounding
_SMALLEST_PEAK = 1e-9  # of white noise with variance 1, after the band-pass


@dataclass(frozen=True)
class ErpOptions:
    """What an evoked waveform looks like.

    Attributes
    ----------
    tmin, tmax : float
        Start and end of the epoch in s; the end is not a sample of it.
    stim_onset : float
        When the stimulus comes, in s; before it there is nothing.
    sfreq : float
        Sampling frequency in Hz.
    fmin, fmax : float
        Edges of the waveform's band in Hz.
    median_nam, sigma : float
        Median of the log-normal peak in nAm, and standard deviation of its logarithm.
    clip_nam : tuple of float | None
        Smallest and largest peak in nAm; ``None`` lets all pass.
    random_timing : bool
        Whether length and start are drawn; else it lasts from the stimulus to the end.
    min_length : int | None
        Samples it has at least; ``None`` is `SHORTEST_WAVEFORM`.

    Examples
    --------
    >>> ErpOptions(tmax=1.0).times.shape
    (375,)
    """

    tmin: float = -0.5
    tmax: float = 0.5
    stim_onset: float = 0.0
    sfreq: float = 250.0
    fmin: float = 1.0
    fmax: float = 5.0
    median_nam: float = 20.0
    sigma: float = 0.2
    clip_nam: tuple[float, float] | None = (2.5, 50.0)
    random_timing: bool = True
    min_length: int | None = None

    def __post_init__(self) -> None:
        finite: dict[str, Any] = {"open_low": True, "open_high": True}
        check_range("sfreq", self.sfreq, low=0.0, unit="Hz", **finite)
        check_range("tmin", self.tmin, unit="s", **finite)
        check_range("tmax", self.tmax, low=self.tmin, unit="s", **finite)
        check_range(
            "stim_onset", self.stim_onset, low=self.tmin, high=self.tmax, unit="s"
        )
        finest = _FINEST_BAND * self.sfreq
        check_range("fmin", self.fmin, low=finest, unit="Hz")
        low = self.fmin + finest
        check_range(
            "fmax", self.fmax, low=low, high=self.sfreq / 2, **finite, unit="Hz"
        )
        check_range("median_nam", self.median_nam, low=0.0, unit="nAm", **finite)
        check_range("sigma", self.sigma, low=0.0, open_high=True)
        if self.min_length is not None:
            check_count("min_length", self.min_length)
            if self.random_timing and self.min_length < _FILTER_NEEDS:
                raise OptionError(
                    f"min_length must be at least {_FILTER_NEEDS} where lengths are "
                    f"drawn, but got {self.min_length}: the filter needs as many.",
                    hint="Make it larger, or set random_erp_timing to False.",
                )
        if self.clip_nam is not None:
            _check_clip(self.clip_nam)

    @property
    def times(self) -> np.ndarray:
        """Time of every sample in s."""
        return np.arange(self.tmin, self.tmax, 1.0 / self.sfreq)

    @property
    def n_baseline(self) -> int:
        """Samples before the stimulus, as the reference counts them."""
        return int((self.stim_onset - self.tmin) * self.sfreq)


def read_erp_config(config: Mapping[str, Any] | None) -> ErpOptions:
    """Take a configuration with the reference's keys.

    Parameters
    ----------
    config : mapping | None
        Keys as `ErpOptions` has them, but ``random_erp_timing``, ``erp_min_length``,
        and ``amplitude_distribution`` with ``median``, ``sigma`` and ``clip``. What is
        left out keeps its default; but where anything is said, peaks without a clip
        are not clipped, and without a distribution they are all 20 nAm.

    Returns
    -------
    ErpOptions
        The options.

    Examples
    --------
    >>> read_erp_config({"sfreq": 100, "erp_min_length": 40}).min_length
    40
    """
    if not config:
        return ErpOptions()
    config = dict(config)
    amplitude = dict(config.pop("amplitude_distribution", None) or {})
    check_known("key of amplitude_distribution", amplitude, _AMPLITUDE_KEYS)
    check_known("key of ERP_config", config, [*_CONFIG_KEYS, "amplitude_distribution"])
    options = {_CONFIG_KEYS[key]: value for key, value in config.items()}
    options |= {_AMPLITUDE_KEYS[key]: value for key, value in amplitude.items()}
    if not amplitude:
        options["sigma"] = 0.0
    clip = options.get("clip_nam")
    options["clip_nam"] = None if clip is None else tuple(clip)
    return ErpOptions(**options)


def simulate_waveform(options: ErpOptions, *, seed: int) -> np.ndarray:
    """Draw one evoked waveform: noise in a band, under a Hann window.

    Parameters
    ----------
    options : ErpOptions
        What it looks like.
    seed : int
        Of all that is random in it.

    Returns
    -------
    array, shape (n_times,)
        The waveform in nAm; zero where it is not.

    Examples
    --------
    >>> simulate_waveform(ErpOptions(), seed=1).shape
    (250,)
    """
    rng = make_generator(seed)
    times = options.times
    onset = int((times < options.stim_onset).sum())
    start, length = _draw_span(rng, options, len(times) - onset)
    segment = _filter_band(rng.randn(length), options) * np.hanning(length)
    peak = np.abs(segment).max()
    if not _SMALLEST_PEAK < peak < np.inf:
        raise InputError(
            f"the band from {options.fmin:g} to {options.fmax:g} Hz leaves a peak of "
            f"{peak:g} of white noise at sfreq {options.sfreq:g} Hz.",
            hint="Widen the band, or lower sfreq.",
        )
    amplitude = rng.lognormal(np.log(options.median_nam), options.sigma)
    if options.clip_nam is not None:
        amplitude = np.clip(amplitude, *options.clip_nam)
    waveform = np.zeros(len(times))
    waveform[onset + start :][:length] = segment / peak * amplitude
    return waveform


def make_generator(seed: int) -> np.random.RandomState:
    """Make the legacy generator that the reference draws from.

    Examples
    --------
    >>> make_generator(0).randint(0, 10)
    5
    """
    check_count("seed", seed, low=0, high=2**32 - 1)
    return np.random.RandomState(seed)


def _filter_band(white: np.ndarray, options: ErpOptions) -> np.ndarray:
    nyquist = options.sfreq / 2.0
    band = [options.fmin / nyquist, options.fmax / nyquist]
    b, a = butter(4, band, btype="band")
    if np.abs(np.roots(a)).max() < 1:
        return filtfilt(b, a, white)
    # Below some hundredths of the sampling rate the reference's form has poles outside
    # the unit circle, and what it gives is rounding; sections are exact.
    return sosfiltfilt(butter(4, band, btype="band", output="sos"), white)


def _check_clip(clip: tuple[float, float]) -> None:
    if len(clip) != 2 or not 0 < clip[0] <= clip[1]:
        raise OptionError(
            "clip_nam must be two amplitudes above 0 nAm, the smaller one first, but "
            f"got {clip!r}."
        )


def _draw_span(
    rng: np.random.RandomState, options: ErpOptions, available: int
) -> tuple[int, int]:
    """Draw first sample after the onset, and length, in the reference's order."""
    shortest = options.min_length or SHORTEST_WAVEFORM
    needed = max(shortest, _FILTER_NEEDS)
    if available < needed:
        raise InputError(
            f"the epoch has {available} samples from stim_onset on, but a waveform "
            f"needs {needed}.",
            hint="Make tmax or sfreq larger, or the least length of a waveform "
            f"smaller: its filter needs {_FILTER_NEEDS}.",
        )
    if not options.random_timing:
        return 0, available
    length = rng.randint(shortest, available + 1)
    return rng.randint(0, available - length + 1), length


_AMPLITUDE_KEYS = {"median": "median_nam", "sigma": "sigma", "clip": "clip_nam"}
_RENAMED = {"random_timing": "random_erp_timing", "min_length": "erp_min_length"}
_CONFIG_KEYS = {
    _RENAMED.get(one.name, one.name): one.name
    for one in fields(ErpOptions)
    if one.name not in _AMPLITUDE_KEYS.values()
}
