"""Recursive filters made of second-order sections, by SciPy over several rows at once.

For NumPy arrays; `meegic.math.iir` serves those of JAX. Everything is computed in
float64, some rows at a time, so that float32 loses nothing and needs little memory.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.signal import sosfilt, sosfiltfilt

from meegic.base.threads import count_threads, spread_over_threads

_FEW = 2**17  # samples that are not worth another thread
_MANY = 2**21  # samples that one thread takes at a time


def filter_sections(
    sos: Float[np.ndarray, "sections 6"],
    data: Float[np.ndarray, "*rows times"],
    zi: Float[np.ndarray, "sections *rows 2"] | None = None,
) -> tuple[Float[np.ndarray, "*rows times"], Float[np.ndarray, "sections *rows 2"]]:
    """Filter along time, causally; the bits do not depend on the number of threads.

    Parameters
    ----------
    sos : array, shape (n_sections, 6)
        As SciPy lays them out.
    data : array, shape (..., n_times)
        The signals, in any unit.
    zi : array, shape (n_sections, ..., 2) | None
        The state to start from; None has seen zeros only.

    Returns
    -------
    filtered : array, shape (..., n_times)
        The filtered signals, in the precision of the data.
    zf : array, shape (n_sections, ..., 2)
        The state after the last sample, in float64.

    Examples
    --------
    >>> sos = np.array([[1.0, 0, 0, 1, -0.5, 0]])
    >>> filter_sections(sos, np.array([1.0, 0.0, 0.0]))[0]
    array([1.  , 0.5 , 0.25])
    """
    shape = (len(sos), *data.shape[:-1], 2)
    states = np.zeros(shape) if zi is None else np.array(zi, np.float64)
    by_row = states.reshape(len(sos), -1, 2)

    def run(rows: np.ndarray, some: slice) -> np.ndarray:
        filtered, by_row[:, some] = sosfilt(sos, rows, zi=by_row[:, some])
        return filtered

    return _over_rows(run, data), states


def filter_sections_both_ways(
    sos: Float[np.ndarray, "sections 6"],
    data: Float[np.ndarray, "*rows times"],
    *,
    padding: str | None,
    n_padding: int,
) -> Float[np.ndarray, "*rows times"]:
    """Filter along time forward then backward, so that nothing is delayed.

    Parameters
    ----------
    sos : array, shape (n_sections, 6)
        As SciPy lays them out.
    data : array, shape (..., n_times)
        The signals, in any unit.
    padding : 'odd' | 'even' | 'constant' | None
        How the ends are continued.
    n_padding : int
        For how many samples.

    Returns
    -------
    array, shape (..., n_times)
        The filtered signals, in the precision of the data.

    Examples
    --------
    >>> sos = np.array([[0.5, 0.5, 0, 1, 0, 0]])
    >>> data = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    >>> filter_sections_both_ways(sos, data, padding="odd", n_padding=3)
    array([0.  , 0.25, 0.5 , 0.25, 0.  ])
    """

    def run(rows: np.ndarray, some: slice) -> np.ndarray:
        return sosfiltfilt(sos, rows, padtype=padding, padlen=n_padding)

    return _over_rows(run, data)


def _over_rows(
    run: Callable[[np.ndarray, slice], np.ndarray], data: np.ndarray
) -> np.ndarray:
    """Run over some rows at a time, in float64."""
    rows = data.reshape(-1, data.shape[-1])
    filtered = np.empty(rows.shape, data.dtype)
    n_threads = min(count_threads(), -(-rows.size // _FEW))
    n_rounds = -(-rows.size // (n_threads * _MANY))
    height = -(-len(rows) // (n_threads * n_rounds))

    def filter_some(first: int) -> None:
        some = slice(first, first + height)
        filtered[some] = run(np.asarray(rows[some], np.float64), some)

    spread_over_threads(filter_some, range(0, len(rows), height))
    return filtered.reshape(data.shape)
