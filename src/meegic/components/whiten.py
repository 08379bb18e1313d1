"""Whitening: the affine map that gives uncorrelated components of unit variance."""

from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_option, check_shape
from meegic.base.errors import InputError, RankError

RANK_TOLERANCE = 1e-7
_BLOCK = 2**11
_ROUNDING = 1e-13  # what is left of a constant, relative to it
_EMPTY = 1e-12  # a channel so much smaller than the largest holds rounding only
_GAP = 1e3  # channels whose sizes differ by more, without any between, are two groups

Sphering = Literal["zca", "pca", "none"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Whitener:
    """An affine map from channels to white components, and its inverse.

    Attributes
    ----------
    mean : array, shape (n_channels,)
        Mean of every channel, in the unit of the data.
    forward : array, shape (n_components, n_channels)
        Takes centered channels to components; the unit is 1 / data unit.
    inverse : array, shape (n_channels, n_components)
        Takes components back to centered channels.
    directions : array, shape (n_channels, n_components)
        Principal directions of the scaled channels, by descending variance.
    variances : array, shape (n_components,)
        Variances along them.
    scale : array, shape (n_channels,)
        What channels were multiplied by first, so that their sizes are comparable.
    log_determinant : float
        The log volume of the map in the unit of the scaled data; every
        log-likelihood contains it.
    """

    mean: Float[np.ndarray, " channels"]
    forward: Float[np.ndarray, "components channels"]
    inverse: Float[np.ndarray, "channels components"]
    directions: Float[np.ndarray, "channels components"]
    variances: Float[np.ndarray, " components"]
    scale: Float[np.ndarray, " channels"]
    log_determinant: float

    def __call__(
        self, data: Float[Array, "channels times"]
    ) -> Float[np.ndarray, "components times"]:
        """Whiten the data, block by block."""
        data = np.asarray(data)
        result = np.empty((len(self.forward), data.shape[1]))
        for start in range(0, data.shape[1], _BLOCK):
            span = slice(start, start + _BLOCK)
            centered = data[:, span] - self.mean[:, None]
            np.matmul(self.forward, centered, out=result[:, span])
        return result

    def restore(
        self, components: Float[Array, "components times"]
    ) -> Float[np.ndarray, "channels times"]:
        """Take components back to channels."""
        return self.inverse @ components + self.mean[:, None]


def fit_whitener(
    data: Float[Array, "channels times"],
    *,
    weights: Float[Array, " times"] | None = None,
    scale: Array | None = None,
    n_components: int | None = None,
    sphering: Sphering = "zca",
    rank_tolerance: float = RANK_TOLERANCE,
) -> Whitener:
    r"""Fit a whitener by principal components.

    With the covariance :math:`C = E \Lambda E^\top` of the scaled channels the forward
    map is :math:`E \Lambda^{-1/2} E^\top` (``'zca'``, where the rank is full) or
    :math:`\Lambda^{-1/2} E^\top` (``'pca'``, and whenever it is not).

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit.
    weights : array, shape (n_times,) | None
        How much every sample counts.
    scale : array, shape (n_channels,) | None
        Factors that make the sizes of channels comparable. ``None`` finds groups of
        channels that are a thousand times larger than others, and leaves all others.
    n_components : int | None
        How many components to keep. ``None`` keeps the numerical rank.
    sphering : 'zca' | 'pca' | 'none'
        ``'none'`` divides by the channels' RMS only.
    rank_tolerance : float
        Directions with less than this fraction of the largest variance count as
        empty. A fraction, so that the unit of the data does not matter.

    Returns
    -------
    Whitener
        The fitted map.

    Examples
    --------
    >>> data = np.random.default_rng(0).normal(size=(4, 1000))
    >>> fit_whitener(data, n_components=2)(data).shape
    (2, 1000)
    """
    check_option("sphering", sphering, ["zca", "pca", "none"])
    with np.errstate(over="ignore", invalid="ignore"):
        mean, covariance = _compute_moments(np.asarray(data), weights)
    if not np.isfinite(covariance).all():
        raise InputError(
            "data are so large that their squares are not finite.",
            hint="Use another unit, or look at the recording with meegic check.",
        )
    sizes = np.sqrt(np.diag(covariance))
    scale = find_scale(sizes) if scale is None else _check_scale(scale, len(sizes))
    covariance = covariance * scale[:, None] * scale
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1], directions[:, ::-1]
    if not variances[0] > 0:
        raise InputError(
            "all channels are flat: nothing varies over time.",
            hint="Look at the recording with meegic check.",
        )
    rank = int((variances > rank_tolerance * variances[0]).sum())
    n = _pick_n_components(n_components, rank, len(variances))
    variances, directions = variances[:n], directions[:, :n]

    if sphering == "none":
        return _scale_only(mean, sizes * scale, scale, directions, variances)
    root = np.sqrt(variances)
    forward, inverse = (directions / root).T, directions * root
    if sphering == "zca" and n == len(scale):
        forward, inverse = directions @ forward, inverse @ directions.T
    return Whitener(
        mean=mean,
        forward=forward * scale,
        inverse=inverse / scale[:, None],
        directions=directions,
        variances=variances,
        scale=scale,
        log_determinant=float(-np.log(variances).sum() / 2),
    )


def find_scale(sizes: Float[np.ndarray, " channels"]) -> Float[np.ndarray, " channels"]:
    """Find powers of ten that bring groups of channels of other units to one size.

    Parameters
    ----------
    sizes : array, shape (n_channels,)
        Standard deviations.

    Returns
    -------
    array, shape (n_channels,)
        Factors; all 1 when no gap of a thousand separates the sizes.

    Examples
    --------
    >>> find_scale(np.array([1.0, 2.0, 3e9, 2e9]))
    array([1.e+00, 1.e+00, 1.e-09, 1.e-09])
    """
    scale = np.ones_like(sizes)
    moving = np.flatnonzero(sizes > _EMPTY * sizes.max(initial=0))
    order = moving[np.argsort(sizes[moving])]
    gaps = np.flatnonzero(np.diff(np.log(sizes[order])) > np.log(_GAP)) + 1
    groups = np.split(order, gaps)
    for group in groups[1:]:
        ratio = np.median(sizes[group]) / np.median(sizes[groups[0]])
        scale[group] = 10.0 ** -round(float(np.log10(ratio)))
    return scale


def _check_scale(scale: Array, n_channels: int) -> np.ndarray:
    scale = np.asarray(scale, dtype=float)
    check_shape("scale", scale, (n_channels,))
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise InputError(f"scale must be finite and positive, but got {scale!r}.")
    return scale


def _scale_only(
    mean: np.ndarray,
    sizes: np.ndarray,
    scale: np.ndarray,
    directions: np.ndarray,
    variances: np.ndarray,
) -> Whitener:
    if len(variances) < len(sizes) or not (sizes > 0).all():
        raise RankError(
            f"without sphering every channel must add a dimension, but {len(sizes)} "
            f"channels have the rank {len(variances)}.",
            hint="Leave do_sphere at True.",
        )
    return Whitener(
        mean=mean,
        forward=np.diag(scale / sizes),
        inverse=np.diag(sizes / scale),
        directions=directions,
        variances=variances,
        scale=scale,
        log_determinant=float(-np.log(sizes).sum()),
    )


def _pick_n_components(wanted: int | None, rank: int, n_channels: int) -> int:
    if wanted is None:
        return rank
    check_count("n_components", wanted, high=n_channels)
    if wanted > rank:
        raise RankError(
            f"n_components must be between 1 and the rank of the data, {rank}, but got "
            f"{wanted}. An average reference or interpolated channels lower the rank.",
            hint="Pass n_components=None to use the rank.",
        )
    return wanted


def _compute_moments(
    data: np.ndarray, weights: Array | None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and covariance, weighted, without a copy of the data."""
    n_channels, n_times = data.shape
    weights = np.ones(n_times) if weights is None else np.asarray(weights, dtype=float)
    total = weights.sum()
    spans = [slice(at, at + _BLOCK) for at in range(0, n_times, _BLOCK)]
    mean = np.zeros(n_channels)
    for span in spans:
        mean += data[:, span] @ weights[span]
    mean /= total
    rest = np.zeros(n_channels)  # of rounding, which grows with the number of times
    for span in spans:
        rest += (data[:, span] - mean[:, None]) @ weights[span]
    mean += rest / total
    covariance = np.zeros((n_channels, n_channels))
    for span in spans:
        centered = data[:, span] - mean[:, None]
        covariance += (centered * weights[span]) @ centered.T
    covariance /= total
    # What varies less than rounding of the mean does not vary.
    flat = np.sqrt(np.diag(covariance)) <= _ROUNDING * np.abs(mean)
    covariance[flat], covariance[:, flat] = 0.0, 0.0
    return mean, covariance
