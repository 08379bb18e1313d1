"""Clean windows: which samples may serve as a model of clean data."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_range, check_shape
from meegic.base.errors import DataWarning, InputError
from meegic.base.spans import mark_spans
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
    mask: np.ndarray | None = None,
    boundaries: Sequence[int] = (),
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
    mask : array of bool, shape (n_times,) | None
        Which samples count; None takes all.
    boundaries : sequence of int
        Samples before which the recording is interrupted; no window spans them.

    Returns
    -------
    array of bool, shape (n_times,)
        False in unusual windows and outside of the mask.

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
    used = take_mask(mask, data.shape[1])
    starts, bad = judge_windows(
        data,
        sfreq,
        find_stretches(used, boundaries),
        max_bad_channels=max_bad_channels,
        z_limits=z_limits,
        window_s=window_s,
        overlap=overlap,
    )
    spans = np.stack([starts, starts + round_half_up(window_s * sfreq)], axis=1)
    return used & ~mark_spans(spans[bad], len(used))


def judge_windows(
    data: Array,
    sfreq: float,
    stretches: Int[np.ndarray, "stretches 2"],
    *,
    max_bad_channels: float,
    z_limits: tuple[float, float],
    window_s: float,
    overlap: float = 0.66,
) -> tuple[Int[np.ndarray, " windows"], Bool[np.ndarray, " windows"]]:
    """Place windows in stretches of the data, and tell which are unusual.

    Parameters
    ----------
    data, sfreq, max_bad_channels, z_limits, window_s, overlap
        As in `find_clean_windows`.
    stretches : array of int, shape (n_stretches, 2)
        The first sample of each and the one after its last.

    Returns
    -------
    starts : array of int, shape (n_windows,)
        The first sample of every window.
    bad : array of bool, shape (n_windows,)
        Whether too many channels are unusual in it.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 3000))
    >>> options = {"max_bad_channels": 0.2, "z_limits": (-9, 9), "window_s": 1.0}
    >>> starts, bad = judge_windows(data, 100.0, np.array([[0, 3000]]), **options)
    >>> len(starts), bad.any()
    (86, np.False_)
    """
    data = check_data("data", data)
    check_finite("data", data)
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    check_range("window_s", window_s, low=2 / sfreq, unit="s")
    check_range("overlap", overlap, low=0.0, high=1.0, open_high=True)
    n_allowed = _count_allowed(max_bad_channels, len(data))
    low, high = _take_limits(z_limits)
    n_window = round_half_up(window_s * sfreq)
    starts = spread_windows(stretches, n_window, overlap)
    if not len(starts):
        longest = np.diff(stretches).max(initial=0) / sfreq
        raise InputError(
            f"data must be longer than one window of {window_s:g} s, but have "
            f"{longest:g} s.",
            hint="Use a longer recording or shorter windows.",
        )
    scores = np.sort(_score_windows(data, starts, n_window), axis=0)
    return starts, (scores[-1 - n_allowed] > high) | (scores[n_allowed] < low)


def take_mask(
    mask: np.ndarray | None, n_times: int, name: str = "mask"
) -> Bool[np.ndarray, " times"]:
    """Take a mask of samples, or all of them.

    Examples
    --------
    >>> take_mask(None, 2)
    array([ True,  True])
    """
    if mask is None:
        return np.ones(n_times, bool)
    mask = np.asarray(mask)
    check_shape(name, mask, (n_times,))
    if mask.dtype != bool:
        raise InputError(
            f"{name} must hold True or False, but its dtype is {mask.dtype}.",
            hint="Pass a boolean array with one value per sample.",
        )
    return mask


def find_stretches(
    mask: Bool[np.ndarray, " times"], boundaries: Sequence[int] = ()
) -> Int[np.ndarray, "stretches 2"]:
    """List the runs of true samples that no boundary interrupts.

    Parameters
    ----------
    mask : array of bool, shape (n_times,)
        Which samples.
    boundaries : sequence of int
        Samples before which the recording is interrupted.

    Returns
    -------
    array of int, shape (n_stretches, 2)
        The first sample of each and the one after its last.

    Examples
    --------
    >>> find_stretches(np.array([True, True, False, True]), [1]).tolist()
    [[0, 1], [1, 2], [3, 4]]
    """
    places = np.asarray(boundaries, int)
    if places.size and not (places.min() >= 0 and places.max() <= len(mask)):
        raise InputError(
            f"boundaries must be samples between 0 and {len(mask)}, but got "
            f"{places.tolist()}."
        )
    broken = np.zeros(len(mask) + 1, bool)
    broken[places] = True
    before, after = np.append(False, mask[:-1]), np.append(mask[1:], False)
    starts = np.flatnonzero(mask & (broken[:-1] | ~before))
    stops = np.flatnonzero(mask & (broken[1:] | ~after)) + 1
    return np.stack([starts, stops], axis=1)


def spread_windows(
    stretches: Int[np.ndarray, "stretches 2"], n_window: int, overlap: float = 0.66
) -> Int[np.ndarray, " windows"]:
    """List where overlapping windows begin in each stretch.

    Examples
    --------
    >>> spread_windows(np.array([[0, 150], [200, 250], [300, 450]]), 100).tolist()
    [0, 34, 300, 334]
    """
    placed = [
        start + place_windows(stop - start, n_window, overlap)
        for start, stop in stretches.tolist()
    ]
    return np.concatenate([np.zeros(0, int), *placed])


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
