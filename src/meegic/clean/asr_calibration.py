"""Calibration of artifact subspace reconstruction: what is usual in clean data."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jax.core import Tracer
from jaxtyping import Int
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import sosfilt

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import (
    check_count,
    check_data,
    check_finite,
    check_option,
    check_range,
)
from meegic.base.errors import ConvergenceWarning, DataWarning, InputError, RankError
from meegic.clean.asr_covariance import (
    fit_block_median,
    fit_riemann_median,
    join_stretches,
)
from meegic.clean.asr_shaping import design_shaping
from meegic.clean.asr_state import ASRState, check_cutoff
from meegic.clean.windows import (
    find_stretches,
    locate_usual,
    round_half_up,
    spread_windows,
    take_mask,
)
from meegic.math.linalg import numerical_rank

_COVARIANCES = ("geometric-median", "riemann-median")
_SHORT_S = 30.0
_RAW_START = 1000
_SOME = 16  # components


@dataclass(frozen=True)
class CalibrationOptions:
    """How clean data are calibrated.

    Attributes
    ----------
    window_s : float
        Length in s of the windows whose RMS is looked at; without a sampling rate the
        window is 100 samples or as many as leave 30 windows.
    rank : int | None
        How many dimensions the data have; None counts them.
    rank_tolerance : float
        Directions with less than this fraction of the largest variance are empty.
    covariance : 'geometric-median' | 'riemann-median'
        How the covariances of blocks are joined: by their median entries, as
        publications do, or by their median in the affine-invariant distance, in which
        small directions count as much as large ones.
    """

    window_s: float = 0.5
    rank: int | None = None
    rank_tolerance: float = 1e-7
    covariance: str = "geometric-median"


def calibrate_asr(
    clean_data: Array,
    cutoff: float = 5.0,
    *,
    sfreq: float | None = None,
    mask: np.ndarray | None = None,
    boundaries: Sequence[int] = (),
    options: CalibrationOptions | None = None,
) -> ASRState:
    """Learn from clean data which amplitudes are usual in which directions.

    The covariance is the geometric median over short blocks, and the thresholds come
    from a distribution fitted to the lower half of the windows, so a few artifacts do
    no harm. In float64.

    Parameters
    ----------
    clean_data : array, shape (n_channels, n_times)
        High-passed data with few artifacts, in any unit; a minute or more.
    cutoff : float
        How many standard deviations above the mean a component may rise. The default
        is that of older programs whose ASR did something else; 20 to 30 is what
        studies of real data recommend, and below 10 clean data are distorted.
    sfreq : float | None
        Sampling rate in Hz. Without it the data are not spectrally shaped.
    mask : array of bool, shape (n_times,) | None
        Which samples to learn from, as :func:`choose_calibration` finds them; None
        takes all. The filter runs through the others too, so that it does not ring
        where they were left out.
    boundaries : sequence of int
        Samples before which the recording is interrupted. The filter starts anew, and
        nothing spans them.
    options : CalibrationOptions | None
        Window, rank and kind of covariance.

    Returns
    -------
    ASRState
        What :func:`apply_asr` needs, in float64.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 5000))
    >>> calibrate_asr(data, cutoff=20.0).mixing_matrix.shape
    (4, 4)
    """
    options = options or CalibrationOptions()
    check_cutoff(cutoff)
    check_option("covariance", options.covariance, _COVARIANCES)
    data = _take_clean(clean_data)
    stretches = find_stretches(take_mask(mask, data.shape[1]), boundaries)
    window = choose_window(len(data), stretches, sfreq, options.window_s)
    used, spans = join_stretches(data, stretches)
    kept, twins = _sort_channels(data, used)
    used = _pick(used, kept)
    _warn_of_drift(used)
    shaped, sos, final = used, None, None
    if sfreq is not None:
        sos = design_shaping(sfreq)
        shaped, final = _shape(data, sos, boundaries)
        shaped, _ = join_stretches(_pick(shaped, kept), stretches)
        final = final[:, twins]
    rank, basis = _find_subspace(used, options)
    moment = _fit_median(_project(shaped, basis), spans, options)
    stdevs, components = _find_components(moment)
    directions = basis @ components
    starts = spread_windows(spans, window)
    _warn_of_few(len(starts), int(np.diff(spans).sum()), rank, sfreq)
    mu, sigma = _fit_amplitudes(directions, shaped, starts, window)
    raw = (directions * stdevs**2) @ directions.T  # what it is without shaping
    if sfreq is not None:
        raw = _fit_median(_project(used, basis), spans, options, n_start=_RAW_START)
        raw = basis @ raw @ basis.T
    total = np.median(_window_power(used, starts, window), axis=1).sum()
    raw = raw * (total / np.trace(raw))  # the trace of the typical window
    return ASRState(
        mixing_matrix=_complete(directions, kept, len(data)),
        component_stdevs=_pad(stdevs, len(data)),
        cutoff=cutoff,
        mu=_pad(mu, len(data)),
        sigma=_pad(sigma, len(data)),
        raw_covariance=_spread(raw, kept, len(data)),
        twins=twins,
        sos=sos,
        filter_state=final,
        rank=rank,
        sfreq=sfreq,
    )


def choose_window(
    n_channels: int,
    stretches: Int[np.ndarray, "stretches 2"],
    sfreq: float | None,
    window_s: float = 0.5,
) -> int:
    """Choose how many samples the windows of a calibration have.

    Parameters
    ----------
    n_channels : int
        Channels.
    stretches : array of int, shape (n_stretches, 2)
        The first sample of each stretch of data and the one after its last.
    sfreq : float | None
        Sampling rate in Hz; without it the window shrinks until 30 of them fit.
    window_s : float
        Length in s where there is a rate.

    Returns
    -------
    int
        Samples.

    Examples
    --------
    >>> choose_window(4, np.array([[0, 500]]), None)
    46
    >>> choose_window(4, np.array([[0, 90000]]), 500.0)
    250
    """
    n_times = int(np.diff(stretches).max(initial=0))
    if sfreq is not None:
        check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
        check_range("window_s", window_s, low=0.0, open_low=True, unit="s")
        window = round_half_up(window_s * sfreq)
        needed = f"{window_s:g} s ({window + 1} samples), but last {n_times / sfreq:g}"
        needed += " s"
    else:
        least = max(8, 2 * n_channels)
        window = max(min(100, n_times // 2), least)
        while window > least and len(spread_windows(stretches, window)) < 30:
            window -= 1
        needed = f"{least} samples, but have {n_times}"
    if not 1 < window < n_times:
        raise InputError(
            f"clean_data must be longer than one window, {needed}.",
            hint="Calibrate on a minute of clean data or more.",
        )
    return window


def _take_clean(clean_data: Array) -> np.ndarray:
    if isinstance(clean_data, Tracer):
        raise TypeError("clean_data must be known: calibrate outside jit and grad.")
    data = np.asarray(check_data("clean_data", clean_data), np.float64)
    check_finite("clean_data", data)
    return data


def _shape(
    data: np.ndarray, sos: np.ndarray, boundaries: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Filter from silence after every boundary; the state is that of the end."""
    shaped, last = np.empty_like(data), np.zeros((len(sos), len(data), 2))
    edges = sorted({0, *map(int, boundaries), data.shape[1]})
    for start, stop in pairwise(edges):
        piece = data[:, start:stop]
        shaped[:, start:stop], last = sosfilt(sos, piece, zi=np.zeros_like(last))
    return shaped, last


def _sort_channels(data: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the channels that count, and for each channel whose result it gets."""
    twins = np.arange(len(data))
    first: dict[bytes, int] = {}
    flat = np.ptp(used, axis=1) == 0
    for index in np.flatnonzero(~flat):
        twins[index] = first.setdefault(data[index].tobytes(), int(index))
    if flat.all():
        raise InputError("clean_data must vary, but all channels are flat.")
    copies = np.flatnonzero(twins != np.arange(len(data)))
    for what, found in (("flat", np.flatnonzero(flat)), ("copies of others", copies)):
        if len(found):
            warn_user(
                f"clean_data has channels that are {what}: {found.tolist()}. They are "
                "left out of the calibration.",
                DataWarning,
            )
    return np.flatnonzero((twins == np.arange(len(data))) & ~flat), twins


def _pick(data: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Take some channels, without a copy when they are all."""
    return data if len(kept) == len(data) else data[kept]


def _find_subspace(
    data: np.ndarray, options: CalibrationOptions
) -> tuple[int, np.ndarray]:
    """Find the directions that are not empty; the channels themselves when all."""
    check_range("rank_tolerance", options.rank_tolerance, low=1e-12, high=1.0)
    values, vectors = np.linalg.eigh(data @ data.T / data.shape[1])
    rank = numerical_rank(values, tolerance=options.rank_tolerance)
    if options.rank is not None:
        check_count("rank", options.rank)
        if options.rank > rank:
            raise RankError(
                f"rank must be at most the rank of clean_data, {rank}, but got "
                f"{options.rank}.",
                hint="An average reference, interpolation or projectors lower it; "
                "rank=None counts it.",
            )
        rank = options.rank
    if rank == len(data):
        return rank, np.eye(rank)
    return rank, vectors[:, : -rank - 1 : -1]


def _find_components(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find standard deviations, falling, and directions."""
    # Its weights are positive, so it has the rank of the data.
    variances, vectors = np.linalg.eigh(moment)
    return np.sqrt(variances[::-1]), vectors[:, ::-1]


def _fit_median(
    data: np.ndarray,
    spans: np.ndarray,
    options: CalibrationOptions,
    n_start: int | None = None,
) -> np.ndarray:
    """Find the robust second moment."""
    if options.covariance == "riemann-median":
        result = fit_riemann_median(data, spans)
    else:
        result = fit_block_median(data, n_start=n_start)
    if not result.converged:
        warn_user(
            f"The robust covariance did not converge in {result.n_iter} rounds.",
            ConvergenceWarning,
        )
    return result.covariance


def _project(data: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Take channels to the directions that are not empty, all when none is."""
    return data if basis.shape[0] == basis.shape[1] else basis.T @ data


def _fit_amplitudes(
    directions: np.ndarray, data: np.ndarray, starts: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each component's RMS in clean windows."""
    powers = [  # some components at a time: together they are as large as the data
        _window_power(directions[:, first : first + _SOME].T @ data, starts, window)
        for first in range(0, directions.shape[1], _SOME)
    ]
    return locate_usual(np.sqrt(np.concatenate(powers)))


def _window_power(data: np.ndarray, starts: np.ndarray, window: int) -> np.ndarray:
    power = np.empty((len(data), len(starts)))
    for one, row in zip(power, data, strict=True):
        one[:] = sliding_window_view(row**2, window)[starts].mean(axis=1)
    return power


def _complete(directions: np.ndarray, kept: np.ndarray, n_channels: int) -> np.ndarray:
    """Orthonormal columns for all channels: those that count, then the empty ones."""
    complement = np.linalg.svd(directions)[0][:, directions.shape[1] :]
    square = np.hstack([directions, complement])
    full = np.zeros((n_channels, n_channels))
    full[kept, : len(kept)] = square
    absent = np.setdiff1d(np.arange(n_channels), kept)
    full[absent, np.arange(len(kept), n_channels)] = 1.0
    largest = np.abs(full).argmax(axis=0)
    return full * np.sign(full[largest, np.arange(n_channels)])


def _pad(values: np.ndarray, length: int) -> np.ndarray:
    return np.pad(values, (0, length - len(values)))


def _spread(matrix: np.ndarray, kept: np.ndarray, n_channels: int) -> np.ndarray:
    full = np.zeros((n_channels, n_channels))
    full[np.ix_(kept, kept)] = matrix
    return full


def _warn_of_drift(data: np.ndarray) -> None:
    drifting = np.abs(data.mean(axis=1)) > data.std(axis=1) / 2
    if drifting.any():
        warn_user(
            "clean_data have a mean above half their standard deviation in channels "
            f"{np.flatnonzero(drifting).tolist()}. High-pass them at 0.5 to 1 Hz.",
            DataWarning,
        )


def _warn_of_few(n_windows: int, n_times: int, rank: int, sfreq: float | None) -> None:
    if sfreq is None:
        return
    if n_times < _SHORT_S * sfreq or n_windows < 10 * rank:
        warn_user(
            f"clean_data last {n_times / sfreq:g} s and have {n_windows} windows for "
            f"{rank} components; {_SHORT_S:g} s and {10 * rank} windows are advisable.",
            DataWarning,
        )
