"""Clean windows: which samples may serve as a model of clean data."""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_range
from meegic.base.errors import DataWarning, InputError
from meegic.math.robust import fit_generalized_gaussian, mad

FEWEST = 60
"""With fewer windows than these a distribution cannot be fitted to their power."""


def find_clean_windows(
    data: Array,
    sfreq: float,
    *,
    max_bad_channels: float = 0.2,
    z_limits: tuple[float, float] = (-3.5, 5.0),
    window_s: float = 1.0,
    overlap: float = 0.66,
) -> Bool[np.ndarray, " times"]:
    """Mark the samples outside of windows in which too many channels are unusual.

    In every channel the RMS of overlapping windows is compared with a truncated
    generalised Gaussian, fitted to the clean majority of windows. A window is bad when
    more channels than allowed are too loud, or too silent [1]_.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, high-passed, in any unit; one type of channel, no flat ones.
    sfreq : float
        Sampling frequency in Hz.
    max_bad_channels : float
        How many channels may be unusual in a clean window: a fraction below 1, or a
        number.
    z_limits : tuple of float
        Unusual is what lies outside, in standard deviations of the clean windows.
    window_s : float
        Length of a window in seconds.
    overlap : float
        Which fraction of a window the next one repeats.

    Returns
    -------
    array of bool, shape (n_times,)
        True where the data are clean; False throughout when no window is.

    References
    ----------
    .. [1] Mullen et al. (2015). Real-time neuroimaging and cognitive monitoring using
       wearable dry EEG. IEEE Transactions on Biomedical Engineering 62(11), 2553-2567.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 3000))
    >>> data[:, 1000:1100] *= 50
    >>> clean = find_clean_windows(data, 100.0)
    >>> clean[1000:1100].any(), clean[:900].mean() > 0.9
    (np.False_, np.True_)
    """
    data = check_data("data", data)
    check_finite("data", data)
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    check_range("window_s", window_s, low=2 / sfreq, unit="s")
    check_range("overlap", overlap, low=0.0, high=1.0, open_high=True)
    n_allowed = _count_allowed(max_bad_channels, len(data))
    low, high = _take_limits(z_limits)
    n_window = round_half_up(window_s * sfreq)
    if data.shape[1] <= n_window:
        raise InputError(
            f"data must be longer than one window of {window_s:g} s, but have "
            f"{data.shape[1] / sfreq:g} s.",
            hint="Use a longer recording or shorter windows.",
        )
    starts = place_windows(data.shape[1], n_window, overlap)
    scores = np.sort(_score_windows(data, starts, n_window), axis=0)
    bad = (scores[-1 - n_allowed] > high) | (scores[n_allowed] < low)
    clean = np.ones(data.shape[1], bool)
    for start in starts[bad]:
        clean[start : start + n_window] = False
    return clean


def place_windows(
    n_times: int, n_window: int, overlap: float = 0.66
) -> Int[np.ndarray, " windows"]:
    """List where overlapping windows begin that end before the data do.

    Examples
    --------
    >>> place_windows(300, 100)
    array([  0,  34,  68, 102, 136, 170])
    """
    step = n_window * (1 - overlap)
    positions = step * np.arange(math.ceil((n_times - n_window) / step))
    return np.floor(positions + 0.5).astype(int)


def locate_usual(
    rms: Float[np.ndarray, "channels windows"],
) -> tuple[Float[np.ndarray, " channels"], Float[np.ndarray, " channels"]]:
    """Find mean and standard deviation of the RMS of clean windows, by channel.

    Of fewer windows than `FEWEST` the median and the absolute deviation serve.

    Examples
    --------
    >>> rms = np.random.default_rng(0).normal(5.0, 1.0, size=(1, 2000))
    >>> [float(one[0].round()) for one in locate_usual(rms)]
    [5.0, 1.0]
    """
    if rms.shape[1] >= FEWEST:
        fit = fit_generalized_gaussian(rms)
        return fit.mu, fit.sigma
    return np.median(rms, axis=1), mad(rms, to_sigma=True)


def _score_windows(data: np.ndarray, starts: np.ndarray, n_window: int) -> np.ndarray:
    """Deviation of the RMS of every channel and window, in standard deviations."""
    rms = np.empty((len(data), len(starts)))
    for one, row in zip(rms, data, strict=True):
        windows = sliding_window_view(row, n_window)[starts].astype(np.float64)
        peak = np.abs(windows).max()  # divided by it, squares of no unit underflow
        windows /= peak if peak > 0 else 1.0
        one[:] = peak * np.sqrt(np.einsum("wt,wt->w", windows, windows) / n_window)
    _refuse_flat(rms.max(axis=1) == 0)
    if len(starts) < FEWEST:
        warn_user(
            f"Only {len(starts)} windows fit into the data; below {FEWEST} their "
            "median and absolute deviation serve, which artifacts move more than a "
            "fit. Use a longer recording.",
            DataWarning,
        )
    mean, spread = locate_usual(rms)
    _refuse_flat(spread == 0)
    return (rms - mean[:, None]) / spread[:, None]


def _refuse_flat(flat: np.ndarray) -> None:
    if flat.any():
        raise InputError(
            "data must vary in every channel, but these do not: "
            f"{np.flatnonzero(flat).tolist()}.",
            hint="Leave them out; find_flat_channels finds them.",
        )


def _count_allowed(max_bad_channels: float, n_channels: int) -> int:
    """How many channels may be unusual, from a fraction or a number."""
    check_range(
        "max_bad_channels", max_bad_channels, low=0, high=n_channels, open_high=True
    )
    scale = n_channels if max_bad_channels < 1 else 1
    n_allowed = round_half_up(scale * max_bad_channels)
    return min(n_allowed, n_channels - 1)


def _take_limits(z_limits: tuple[float, float]) -> tuple[float, float]:
    low, high = z_limits
    check_range("the lower of z_limits", low)
    check_range("the upper of z_limits", high, low=low, open_low=True)
    return low, high


def round_half_up(number: float) -> int:
    """Round a positive number to a whole one, halves up.

    Examples
    --------
    >>> round_half_up(2.5)
    3
    """
    return math.floor(number + 0.5)
