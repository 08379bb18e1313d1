"""How well cleaning keeps a source that was added to real data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_shape
from meegic.base.errors import InputError


@dataclass(frozen=True)
class InjectionScores:
    """What came back of a source, one number for every strength.

    Attributes
    ----------
    snr_db : array, shape (n_strengths,)
        Power of the source over that of the data, in dB.
    correlation : array, shape (n_strengths,)
        Of what came back with what was added.
    amplitude_ratio : array, shape (n_strengths,)
        Size of what came back along what was added; 1 is all of it.
    distortion : array, shape (n_strengths,)
        Size of the rest of what came back, beside what was added; 0 is none.
    """

    snr_db: Float[np.ndarray, " strengths"]
    correlation: Float[np.ndarray, " strengths"]
    amplitude_ratio: Float[np.ndarray, " strengths"]
    distortion: Float[np.ndarray, " strengths"]


def score_injection(
    clean: Callable[[np.ndarray], Array],
    data: Array,
    source: Array,
    *,
    snr_db: Sequence[float] = (-20.0, -10.0, 0.0, 10.0, 20.0),
) -> InjectionScores:
    """Add a known source to data, clean with and without it, and compare.

    The difference of the two results is what cleaning left of the source: real data
    have no truth, but what was added to them is known.

    Parameters
    ----------
    clean : callable
        Takes data (n_channels, n_times) to cleaned data.
    data : array, shape (n_channels, n_times)
        The recording.
    source : array, shape (n_channels, n_times)
        The source as the channels see it, of any size.
    snr_db : sequence of float
        How strong to add it: its power over that of the data, in dB.

    Returns
    -------
    InjectionScores
        Correlation, amplitude and distortion for every strength.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> data, source = rng.standard_normal((2, 3, 500))
    >>> scores = score_injection(lambda one: 0.5 * one, data, source, snr_db=[0.0])
    >>> scores.correlation.round(6), scores.amplitude_ratio.round(6)
    (array([1.]), array([0.5]))
    """
    data = check_data("data", data).astype(np.float64)
    source = check_data("source", source).astype(np.float64)
    check_shape("source", source, data.shape)
    check_finite("data", data)
    check_finite("source", source)
    if not (data.any() and source.any()):
        raise InputError("data and source must not be zero throughout.")
    strengths = np.asarray(snr_db, dtype=float)
    check_shape("snr_db", strengths, (None,))
    check_finite("snr_db", strengths)
    source = source * (np.linalg.norm(data) / np.linalg.norm(source))
    without = np.asarray(clean(data), dtype=float)
    scores = []
    for factor in 10 ** (strengths / 20):
        added = factor * source
        back = np.asarray(clean(data + added), dtype=float) - without
        scores.append(_compare(back, added))
    columns = np.array(scores).reshape(-1, 3).T
    return InjectionScores(strengths, *columns)


def _compare(back: np.ndarray, added: np.ndarray) -> tuple[float, float, float]:
    """Correlation, amplitude ratio and distortion; nothing back has no correlation."""
    size, total = float(np.linalg.norm(added)), float(np.linalg.norm(back))
    ratio = float((back * added).sum()) / size**2
    rest = float(np.linalg.norm(back - ratio * added))
    correlation = ratio * size / total if total > 0 else 0.0
    return correlation, ratio, rest / size
