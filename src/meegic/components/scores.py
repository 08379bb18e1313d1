"""Scores: how good a decomposition is, against the truth or by itself."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from meegic.base.arrays import Array
from meegic.base.checks import check_finite, check_shape
from meegic.base.errors import InputError, ShapeError


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class Match:
    """Which component of a second decomposition is which of a first.

    Attributes
    ----------
    order : array of int, shape (n_components,)
        For every component of the first the one of the second.
    signs : array, shape (n_components,)
        -1 where their maps have opposite signs, else 1.
    correlations : array, shape (n_components,)
        How alike their maps are: the absolute correlation over channels.
    """

    order: Int[np.ndarray, " components"]
    signs: Float[np.ndarray, " components"]
    correlations: Float[np.ndarray, " components"]


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class Agreement:
    """How well the models of a fit stand for the conditions of the truth.

    Attributes
    ----------
    share : float
        Share of the samples whose dominant model stands for the condition that held.
    conditions : array of int, shape (n_models,)
        For which condition each model stands; -1 for none.
    """

    share: float
    conditions: Int[np.ndarray, " models"]


def amari_distance(
    unmixing: Float[Array, "components channels"],
    mixing: Float[Array, "_channels _sources"],
) -> float:
    r"""Measure how far an unmixing is from separating the sources of a mixing.

    With :math:`P` = unmixing @ mixing, every row and every column of :math:`|P|` is
    divided by its largest entry; what is left beside that entry is averaged. Order,
    sign and size of components do not matter.

    Parameters
    ----------
    unmixing : array, shape (n_components, n_channels)
        From channels to components, as estimated.
    mixing : array, shape (n_channels, n_sources)
        From sources to channels, as it was.

    Returns
    -------
    float
        0 for perfect separation, 1 when every component holds all sources alike. A
        component without any source, or a source in no component, counts as that.

    Examples
    --------
    >>> amari_distance(np.array([[0.0, 2.0], [-3.0, 0.0]]), np.eye(2))
    0.0
    >>> amari_distance(np.ones((2, 2)), np.eye(2))
    1.0
    """
    unmixing = np.asarray(unmixing, dtype=float)
    mixing = np.asarray(mixing, dtype=float)
    n = len(unmixing)
    check_shape("mixing", mixing, (unmixing.shape[1], n))
    gains = np.abs(unmixing @ mixing)
    check_finite("unmixing @ mixing", gains)
    return (_measure_spread(gains) + _measure_spread(gains.T)) / max(2 * n * (n - 1), 1)


def _measure_spread(gains: np.ndarray) -> float:
    """Sum what every row has beside its largest entry, relative to that."""
    largest = gains.max(axis=1, keepdims=True)
    ratios = np.divide(gains, largest, out=np.ones_like(gains), where=largest > 0)
    return float(ratios.sum() - len(gains))


def match_components(
    a: Float[Array, "channels components"], b: Float[Array, "_channels _others"]
) -> Match:
    """Find for every component the one of another decomposition that is most like it.

    Every component is used once, and the sum of the absolute correlations of the
    maps over channels is the largest possible. A reference that is common to all
    channels changes nothing.

    Parameters
    ----------
    a : array, shape (n_channels, n_components)
        Maps of the first decomposition, as of `AmicaModel.maps`.
    b : array, shape (n_channels, n_others)
        Maps of the second, of the same channels; no fewer than the first has.

    Returns
    -------
    Match
        ``b[:, match.order] * match.signs`` is in the order of ``a``.

    Examples
    --------
    >>> a = np.array([[1.0, 0.0], [2.0, 3.0], [4.0, 1.0]])
    >>> match = match_components(a, -5 * a[:, ::-1])
    >>> match.order, match.signs, match.correlations.round(6)
    (array([1, 0]), array([-1., -1.]), array([1., 1.]))
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    check_shape("b", second, (len(first), None))
    for name, maps in (("a", first), ("b", second)):
        check_finite(name, maps)
    if len(first) < 3:
        raise ShapeError(
            f"maps must have at least 3 channels to be compared, but got {len(first)}."
        )
    if second.shape[1] < first.shape[1]:
        raise ShapeError(
            f"b must have at least as many components as a, {first.shape[1]}, but got "
            f"{second.shape[1]}.",
            hint="Swap a and b.",
        )
    correlations = _standardize(first).T @ _standardize(second)
    _, order = linear_sum_assignment(-np.abs(correlations))
    found = np.take_along_axis(correlations, order[:, None], axis=1)[:, 0]
    signs = np.where(found < 0, -1.0, 1.0)
    return Match(order, signs=signs, correlations=np.minimum(np.abs(found), 1.0))


def compute_agreement(
    posteriors: Float[Array, "models times"], labels: Int[Array, " _times"]
) -> Agreement:
    """Compute how often the dominant model is that of the condition that held.

    Which model stands for which condition is chosen so that they agree most often.
    By chance alone two models and two conditions of equal length agree in half of
    the samples.

    Parameters
    ----------
    posteriors : array, shape (n_models, n_times)
        How probable each model is at each time.
    labels : array of int, shape (n_times,)
        The condition at each time, from 0.

    Returns
    -------
    Agreement
        The share, and the condition of each model.

    Examples
    --------
    >>> posteriors = np.array([[0.9, 0.8, 0.6, 0.1], [0.1, 0.2, 0.4, 0.9]])
    >>> agreement = compute_agreement(posteriors, np.array([1, 1, 0, 0]))
    >>> agreement.share, agreement.conditions
    (0.75, array([1, 0]))
    """
    posteriors, labels = np.asarray(posteriors), np.asarray(labels)
    check_shape("posteriors", posteriors, (None, len(labels)))
    check_finite("posteriors", posteriors)
    if posteriors.size == 0:
        raise ShapeError(f"posteriors are empty: their shape is {posteriors.shape}.")
    if labels.min() < 0:
        raise InputError(f"labels must not be negative, but got {labels.min()}.")
    counts = np.zeros((len(posteriors), int(labels.max()) + 1), dtype=int)
    np.add.at(counts, (posteriors.argmax(axis=0), labels), 1)
    models, conditions = linear_sum_assignment(-counts)
    stands_for = np.full(len(posteriors), -1)
    stands_for[models] = conditions
    share = float(counts[models, conditions].sum() / len(labels))
    return Agreement(share, conditions=stands_for)


def _standardize(maps: np.ndarray) -> np.ndarray:
    """Give columns zero mean and unit length; flat ones become zero."""
    centered = maps - maps.mean(axis=0)
    length = np.linalg.norm(centered, axis=0)
    flat = length <= 1e-12 * np.linalg.norm(maps, axis=0)
    return np.where(flat, 0.0, centered / np.where(flat, 1.0, length))
