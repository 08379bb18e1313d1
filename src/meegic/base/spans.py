"""Spans of samples: where a mask is true, and back."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int


def find_spans(mask: Bool[np.ndarray, " times"]) -> Int[np.ndarray, "spans 2"]:
    """List the runs of true samples, each by its first and the one after its last.

    Parameters
    ----------
    mask : array of bool, shape (n_times,)
        Which samples.

    Returns
    -------
    array of int, shape (n_spans, 2)
        In order; none where nothing is true.

    Examples
    --------
    >>> find_spans(np.array([True, True, False, True]))
    array([[0, 2],
           [3, 4]])
    """
    padded = np.concatenate([[False], mask, [False]])
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def mark_spans(
    spans: Iterable[tuple[int, int]] | Int[np.ndarray, "spans 2"], n_times: int
) -> Bool[np.ndarray, " times"]:
    """Mark the samples in spans; what lies outside of the recording is left out.

    Parameters
    ----------
    spans : iterable of pairs of int
        The first sample of each, and the one after its last; they may overlap.
    n_times : int
        How many samples there are.

    Returns
    -------
    array of bool, shape (n_times,)
        Which samples.

    Examples
    --------
    >>> mark_spans([(-1, 1), (3, 9)], 5)
    array([ True, False, False,  True,  True])
    """
    mask = np.zeros(n_times, bool)
    for start, stop in spans:
        mask[max(start, 0) : max(stop, 0)] = True
    return mask
