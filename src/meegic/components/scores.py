"""Scores: how good a decomposition is, against the truth or by itself."""

import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_finite, check_shape


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
