"""Which data artifact subspace reconstruction can learn from."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from scipy.signal import welch

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_option, check_range
from meegic.base.errors import DataWarning, InputError
from meegic.base.spans import mark_spans
from meegic.clean.windows import (
    find_stretches,
    judge_windows,
    round_half_up,
    take_mask,
)

# Stricter than for clean windows: a calibration must not learn artifacts.
_MAX_BAD_CHANNELS = 0.075
_Z_LIMITS = (-3.5, 5.5)
_WINDOW_S = 1.0
_FEW = 0.7  # of the data

_SLOW_HZ = 0.5
_MAX_SLOW = 0.2  # of the power
_SLOW_WINDOW_S = 8.0


def choose_calibration(
    data: Array,
    sfreq: float,
    *,
    max_bad_channels: float = _MAX_BAD_CHANNELS,
    z_limits: tuple[float, float] = _Z_LIMITS,
    mask: np.ndarray | None = None,
    boundaries: Sequence[int] = (),
    fallback: str = "refuse",
) -> Bool[np.ndarray, " times"]:
    """Choose the samples of a recording from which ASR may learn what is usual.

    Those in windows of a second in which few channels are unusually loud or silent,
    compared with the majority of windows.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, high-passed, in any unit; one type of channel, no flat ones.
    sfreq : float
        Sampling rate in Hz.
    max_bad_channels : float
        How many channels may be unusual in a clean window: a fraction below 1, or a
        number.
    z_limits : tuple of float
        Unusual is what lies outside, in standard deviations of the clean windows.
    mask : array of bool, shape (n_times,) | None
        Which samples may be chosen; None takes all.
    boundaries : sequence of int
        Samples before which the recording is interrupted; no window spans them.
    fallback : 'refuse' | 'all'
        What happens when no window is clean: an error, or everything that may be
        chosen is.

    Returns
    -------
    array of bool, shape (n_times,)
        The chosen samples, for ``mask`` of :func:`calibrate_asr`.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((8, 6000))
    >>> data[:, 1000:1100] *= 50
    >>> chosen = choose_calibration(data, 100.0)
    >>> chosen[1000:1100].any(), chosen.mean() > 0.9
    (np.False_, np.True_)
    """
    check_option("fallback", fallback, ["refuse", "all"])
    data = check_data("data", data)
    used = take_mask(mask, data.shape[1])
    stretches = find_stretches(used, boundaries)
    starts, bad = judge_windows(
        data,
        sfreq,
        stretches,
        max_bad_channels=max_bad_channels,
        z_limits=z_limits,
        window_s=_WINDOW_S,
    )
    if bad.all():
        _warn_or_refuse(len(bad), fallback)
        return used
    n_window = round_half_up(_WINDOW_S * sfreq)
    spans = np.stack([starts, starts + n_window], axis=1)
    # No window tells of a stretch that is too short for one.
    judged = stretches[np.diff(stretches)[:, 0] > n_window]
    chosen = mark_spans(judged, len(used)) & ~mark_spans(spans[bad], len(used))
    if chosen.sum() < _FEW * used.sum():
        warn_user(
            f"Only {chosen.sum() / sfreq:g} of {used.sum() / sfreq:g} s are clean "
            "enough to calibrate ASR. Calibrate on another recording, or check bad "
            "channels and the high-pass.",
            DataWarning,
        )
    return chosen


def measure_slow_power(data: Array, sfreq: float) -> float:
    """Measure which share of the power lies below 0.5 Hz, offsets included.

    From the median over windows of 8 s, so that a few artifacts do not count.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit; one type of channel.
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((2, 5000))
    >>> round(measure_slow_power(data + 3.0, 100.0), 1)
    0.9
    """
    data = check_data("data", data)
    check_finite("data", data)
    check_range("sfreq", sfreq, low=4 * _SLOW_HZ, unit="Hz")
    n_window = min(round_half_up(_SLOW_WINDOW_S * sfreq), data.shape[1])
    total, slow = 0.0, 0.0
    scale = max(data.max(), -data.min()) or 1.0  # squares of no unit underflow
    for row in data:
        freqs, power = welch(
            row / scale, sfreq, nperseg=n_window, detrend=False, average="median"
        )
        total += power.sum()
        slow += power[freqs < _SLOW_HZ].sum()
    return float(slow / total) if total else 0.0


def refuse_slow_power(data: Array, sfreq: float) -> None:
    """Refuse data that were not high-passed: ASR would take drifts for artifacts.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit; one type of channel.
    sfreq : float
        Sampling rate in Hz.

    Examples
    --------
    >>> refuse_slow_power(np.random.default_rng(0).standard_normal((2, 5000)), 100.0)
    """
    share = measure_slow_power(data, sfreq)
    if share > _MAX_SLOW:
        raise InputError(
            f"data must have at most {_MAX_SLOW:.0%} of their power below "
            f"{_SLOW_HZ:g} Hz, but have {share:.0%}.",
            hint=f"High-pass them at {_SLOW_HZ:g} to 1 Hz before ASR, which takes "
            "drifts for artifacts; force_lowfreq=True goes on without.",
        )


def _warn_or_refuse(n_windows: int, fallback: str) -> None:
    found = f"0 of {n_windows} windows are clean enough to calibrate ASR."
    if fallback == "refuse":
        raise InputError(
            found,
            hint="Raise max_bad_channels or widen z_limits, calibrate on another "
            "recording, or take everything with fallback='all'.",
        )
    warn_user(f"{found} All data are taken, artifacts included.", DataWarning)
