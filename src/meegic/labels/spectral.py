"""ICLabel's spectrum and autocorrelation, from windows that are never all in memory.

Activations are rows of a recording, or of epochs (rows by epochs by times). Windows
never cross from one epoch, or one good stretch of a recording, into another.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import resample_poly

from meegic.base.errors import InputError
from meegic.base.threads import spread_over_threads

N_VALUES = 100  # of either feature
Stretches = Sequence[tuple[int, int]]  # of each the first time, and the one after it
_CHUNK = 1 << 14  # samples that a thread transforms at once
_LINES = (49, 59)  # columns of 50 and 60 Hz
_NOTCH = 5.0  # by which a notch lies below its neighbors
_TIE = 1e-12  # part of all weight that is rounding


def compute_psds(
    activations: np.ndarray,
    sfreq: float,
    *,
    stretches: Stretches | None = None,
    weights: np.ndarray | None = None,
) -> Float[np.ndarray, "components 100"]:
    """Compute the spectra, in decibel relative to the largest value of each.

    The median over windows of 1 s, so that bins are 1 Hz apart. What a notch filter
    took at 50 and 60 Hz is filled in.

    Parameters
    ----------
    activations : array, shape (n_components, n_times) or with epochs in between
        The activations in microvolt: the result depends on their scale.
    sfreq : float
        Sampling frequency in Hz.
    stretches : sequence of (int, int) | None
        Which times of a recording to use. ``None`` uses all.
    weights : array, shape (n_times,) or (n_epochs, n_times) | None
        How much every sample counts. ``None`` is the same for all.

    Returns
    -------
    array, shape (n_components, 100)
        Values at 1, 2, ... 100 Hz; those beyond half of ``sfreq`` repeat the last.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> compute_psds(rng.standard_normal((2, 1000)), 128.0).shape
    (2, 100)
    """
    length = min(activations.shape[-1], int(sfreq))
    nyquist = int(sfreq / 2)
    bins = np.arange(1, min(N_VALUES, nyquist) + 1)
    if bins[-1] >= length:
        raise InputError(
            f"{activations.shape[-1]} times at {sfreq:g} Hz are too few for "
            f"{len(bins)} frequencies."
        )
    taper = np.hamming(length)
    taper *= np.sqrt(2 / (sfreq * (taper**2).sum()))
    shares = _weigh(weights, stretches, length)
    columns = np.minimum(bins, length - bins)
    values = np.empty((len(activations), N_VALUES))
    values[:, : len(bins)] = _map_rows(
        lambda row: _find_power(row, taper, columns, stretches, shares), activations
    )
    _refuse_empty(values[:, : len(bins)])
    if len(bins) == nyquist:
        values[:, nyquist - 1] /= 2
    values[:, len(bins) :] = values[:, len(bins) - 1, None]
    decibels = _fill_notches(20 * np.log10(values))
    return decibels / np.abs(decibels).max(axis=1, keepdims=True)


def compute_autocorrelations(
    activations: np.ndarray,
    sfreq: float,
    *,
    stretches: Stretches | None = None,
    weights: np.ndarray | None = None,
) -> Float[np.ndarray, "components 100"]:
    """Compute the autocorrelations, at lags of 10 ms to 1 s.

    More than 5 s of a recording are cut into windows of 3 s, whose mean is not biased.
    Short recordings and epochs are taken as they are, and the result is biased.

    Parameters
    ----------
    activations : array, shape (n_components, n_times) or with epochs in between
        The activations, in any unit.
    sfreq : float
        Sampling frequency in Hz.
    stretches : sequence of (int, int) | None
        Which times of a recording to use. ``None`` uses all.
    weights : array, shape (n_times,) or (n_epochs, n_times) | None
        How much every sample counts. ``None`` is the same for all.

    Returns
    -------
    array, shape (n_components, 100)
        The values, one at lag zero, which is left out.

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * 10 * np.arange(2000) / 200)
    >>> compute_autocorrelations(wave[None], 200.0)[0, [4, 9]].round(1)
    array([-1.,  1.])
    """
    n_lags, length = int(sfreq), int(3 * sfreq)
    sizes = [stop - start for start, stop in stretches or [(0, activations.shape[-1])]]
    windowed = activations.ndim == 2 and sum(sizes) > 5 * sfreq and max(sizes) >= length
    shares = _weigh(weights, stretches, length if windowed else None)

    def sum_row(row: np.ndarray) -> np.ndarray:
        pieces = _split(row, stretches)
        return _sum_lags(_cut(pieces, length) if windowed else pieces, n_lags, shares)

    sums = _map_rows(sum_row, activations)
    if windowed:
        sums *= length / (length - np.arange(n_lags + 1))
    return (sums / sums[:, :1]) @ _resampler(n_lags)


def _map_rows(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray
) -> np.ndarray:
    """Call a function for every row, for some at the same time."""
    found: list[Any] = [None] * len(rows)

    def fill(place: int) -> None:
        found[place] = function(rows[place])

    spread_over_threads(fill, range(len(rows)))
    return np.array(found)


def _split(row: np.ndarray, stretches: Stretches | None) -> Iterator[np.ndarray]:
    """Give pieces without gaps, as many epochs at a time as a chunk holds."""
    row = np.asarray(row, np.float64)
    if row.ndim == 2:
        step = max(1, _CHUNK // row.shape[1])
        for start in range(0, len(row), step):
            yield row[start : start + step]
    else:
        for start, stop in stretches or [(0, len(row))]:
            yield row[None, start:stop]


def _cut(pieces: Iterator[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut windows that overlap by half, as many at a time as a chunk holds."""
    step = max(1, _CHUNK // length)
    for piece in pieces:
        count, half = piece.shape[1] // length, -(-length // 2)
        for first, n_windows in ((0, count), (half, count - 1)):
            if n_windows > 0:
                times = slice(first, first + n_windows * length)
                windows = piece[:, times].reshape(-1, length)
                for start in range(0, len(windows), step):
                    yield windows[start : start + step]


def _find_power(
    row: np.ndarray,
    taper: np.ndarray,
    columns: np.ndarray,
    stretches: Stretches | None,
    shares: np.ndarray | None,
) -> np.ndarray:
    """Find the median over windows of the power at some frequencies."""
    # Single precision has no room for every unit, but sorts much faster.
    scale = max(max(-one.min(), one.max()) for one in _split(row, stretches)) or 1.0
    powers = []
    for some in _cut(_split(row, stretches), len(taper)):
        spectra: NDArray[np.complex128] = rfft(some * (taper / scale))[:, columns]
        power = spectra.real**2 + spectra.imag**2
        powers.append(power.T.astype(np.float32))
    return scale**2 * _find_median(np.concatenate(powers, axis=1), shares)


def _weigh(
    weights: np.ndarray | None, stretches: Stretches | None, length: int | None
) -> np.ndarray | None:
    """Average the weights of samples over each window, or each piece."""
    if weights is None:
        return None
    pieces = _split(weights, stretches)
    windows = pieces if length is None else _cut(pieces, length)
    shares = np.concatenate([one.mean(axis=1) for one in windows])
    if not shares.sum() > 0:
        raise InputError("weights must not be zero in all windows, but are.")
    return shares / shares.sum()


def _find_median(values: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """Find the median of each row, between its lower and its upper one."""
    if shares is None:
        values.sort(axis=1)
        n_values = values.shape[1]
        ends = values[:, [(n_values - 1) // 2, n_values // 2]]
    else:
        order = values.argsort(axis=1)
        below = np.cumsum(shares[order], axis=1)
        lower = (below < 0.5 - _TIE).sum(axis=1)
        upper = (below <= 0.5 + _TIE).sum(axis=1)
        middle = np.take_along_axis(order, np.column_stack([lower, upper]), axis=1)
        ends = np.take_along_axis(values, middle, axis=1)
    return ends.mean(axis=1, dtype=np.float64)


def _refuse_empty(values: np.ndarray) -> None:
    empty = (values == 0).any(axis=1)
    if empty.any():
        raise InputError(
            f"activations must not be zero in most windows, but {int(empty.sum())} "
            f"rows are, the first at index {int(empty.argmax())}.",
            hint="Leave those components out, or mark those times as bad.",
        )


def _fill_notches(decibels: np.ndarray) -> np.ndarray:
    """Replace what a notch filter left by the mean of its neighbors."""
    for line in _LINES:
        around = decibels[:, [line - 1, line + 1]]
        notched = (around - decibels[:, line, None] > _NOTCH).all(axis=1)
        decibels[notched, line] = around[notched].mean(axis=1)
    return decibels


def _sum_lags(
    windows: Iterator[np.ndarray], n_lags: int, shares: np.ndarray | None
) -> np.ndarray:
    """Sum the products at each lag over windows of any lengths."""
    totals: dict[int, np.ndarray] = {}  # by length of the transform
    done = 0
    for some in windows:
        n_fft = next_fast_len(some.shape[1] + n_lags, real=True)
        spectra = rfft(some, n_fft)
        own = np.ones(len(some)) if shares is None else shares[done : done + len(some)]
        parts = own @ np.square(spectra.view(np.float64))  # real, imaginary, real ...
        totals[n_fft] = totals.get(n_fft, 0.0) + parts.reshape(-1, 2).sum(axis=1)
        done += len(some)
    lags = [irfft(one, n_fft)[: n_lags + 1] for n_fft, one in totals.items()]
    return np.sum(lags, axis=0)


@lru_cache(maxsize=8)
def _resampler(n_lags: int) -> np.ndarray:
    """Make the map from lags in samples to lags of 10 ms, without lag zero."""
    return resample_poly(np.eye(n_lags + 1), N_VALUES, n_lags, axis=1)[:, 1:]
