"""Estimates of place and spread that outliers do not move."""

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import gamma, gammaincinv, ndtri

from meegic.base.arrays import Array, precise, to_host
from meegic.base.checks import check_finite, check_range, check_shape
from meegic.base.errors import InputError, ShapeError
from meegic.math.loops import FixedPoint, fixed_point

# The grid of the truncated fit: which part of the sorted values is tried, from the
# quantiles between which the distribution is looked at, and with which shapes.
_LOW, _HIGH = 0.022, 0.6
_SHAPES = 1.7 + 0.15 * np.arange(13)
_STARTS = _LOW + 0.01 * np.arange(11)
_WIDTHS = _HIGH - _LOW - 0.01 * np.arange(44)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GeneralizedGaussian:
    r"""Densities proportional to :math:`\exp(-|(x - \mu)/\alpha|^\beta)`.

    Attributes
    ----------
    mu, sigma : array, shape (n_rows,)
        Mean and standard deviation, in the unit of the values.
    alpha : array, shape (n_rows,)
        Scale, in the unit of the values.
    beta : array, shape (n_rows,)
        Shape; 2 is Gaussian, more is flatter.
    """

    mu: Float[np.ndarray, " rows"]
    sigma: Float[np.ndarray, " rows"]
    alpha: Float[np.ndarray, " rows"]
    beta: Float[np.ndarray, " rows"]


def mad(values: Array, *, axis: int = -1, to_sigma: bool = False) -> np.ndarray:
    """Median absolute deviation from the median.

    Parameters
    ----------
    values : array
        The values, in any unit; NaN is refused.
    axis : int
        The axis along which the deviation is taken.
    to_sigma : bool
        Whether to divide by the deviation of the standard normal distribution, 0.674,
        so that Gaussian values give their standard deviation.

    Returns
    -------
    array
        The deviations, without that axis.

    Examples
    --------
    >>> print(mad(np.array([1.0, 2.0, 3.0, 4.0, 1000.0])))
    1.0
    """
    values = np.asarray(values, np.float64)
    check_finite("values", values)
    center = np.median(values, axis=axis, keepdims=True)
    deviation = np.median(np.abs(values - center), axis=axis)
    return np.asarray(deviation / ndtri(0.75) if to_sigma else deviation)


def geometric_median(
    points: Float[Array, "points axes"],
    *,
    tolerance: float = 1e-5,
    max_iter: int = 500,
) -> FixedPoint:
    """Find the point with the smallest sum of distances to all points.

    Weiszfeld's iteration from the coordinate-wise median, in float64, which leaves a
    data point that is not the median as Vardi and Zhang do [1]_.

    Parameters
    ----------
    points : array, shape (n_points, n_axes)
        The points, in any unit.
    tolerance : float
        Ends the iteration when the median moves by less than this fraction of its
        norm, its distance from zero. Points that are far from zero beside their spread
        need a smaller one.
    max_iter : int
        The largest number of rounds.

    Returns
    -------
    FixedPoint
        The median as ``state``, shape (n_axes,), and whether it converged.

    References
    ----------
    .. [1] Vardi & Zhang (2000). The multivariate L1-median and associated data depth.
       Proceedings of the National Academy of Sciences 97(4), 1423-1426.

    Examples
    --------
    >>> points = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [9.0, 9.0]])
    >>> print(geometric_median(points).state.round(6))
    [0. 1.]
    """
    points = _as_table("points", points)
    check_range("tolerance", tolerance, low=0.0)
    with precise():
        return to_host(_find_median(points, tolerance, max_iter))


def fit_generalized_gaussian(
    values: Float[Array, "rows values"],
) -> GeneralizedGaussian:
    """Fit the lower half of contaminated values by a generalised Gaussian.

    Windows of the sorted values, from small to the median and a little beyond, are
    compared as histograms with truncated densities; the least Kullback-Leibler
    divergence wins. Large outliers fall outside every window. In float64.

    Parameters
    ----------
    values : array, shape (n_rows, n_values)
        One sample of values a row, in any unit; at least 60 values are advisable.

    Returns
    -------
    GeneralizedGaussian
        One density a row.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(10, 2, (1, 900))
    >>> print(fit_generalized_gaussian(values).mu.round())
    [10.]
    """
    rows = np.sort(_as_table("values", values), axis=1)
    n_values = rows.shape[1]
    starts, widths = _round(n_values * _STARTS), _round(n_values * _WIDTHS)
    widths = widths[widths >= 1]
    scores = np.stack([_divergence(rows, starts, int(one)) for one in widths], axis=1)
    _refuse_flat(np.isinf(scores.min(axis=(1, 2, 3))))
    best = scores.reshape(len(rows), -1).argmin(axis=1)
    which_width, which_shape, which_start = np.unravel_index(best, scores.shape[1:])
    first = starts[which_start]
    last = first + widths[which_width] - 1
    return _make_density(rows, first, last, _SHAPES[which_shape])


def _as_table(name: str, values: Array) -> np.ndarray:
    table = np.asarray(values, np.float64)
    check_shape(name, table, (None, None))
    if table.size == 0:
        raise ShapeError(f"{name} is empty: its shape is {table.shape}.")
    check_finite(name, table)
    return table


@partial(jax.jit, static_argnames="max_iter")
def _find_median(
    points: jax.Array, tolerance: float | Array, max_iter: int
) -> FixedPoint:
    def step(center: jax.Array) -> tuple[jax.Array, jax.Array]:
        offsets = points - center[None]
        squares = (offsets**2).sum(axis=1)
        typical = jnp.median(squares)
        # The median is 0 where most points coincide, the mean where all do.
        typical = jnp.where(typical > 0, typical, squares.mean())
        typical = jnp.where(typical > 0, typical, 1)
        guard = 1e-20 * typical
        here = squares <= guard
        weights = jnp.where(here, 0, jax.lax.rsqrt(squares + guard))
        pull, total = weights @ offsets, weights.sum()
        # Points at the center hold it with a force of one each.
        force = jnp.linalg.norm(pull)
        free = jnp.where(here.sum() < force, 1 - here.sum() / force, 0)
        moved = center + free * pull / jnp.where(total > 0, total, 1)
        norm = jnp.linalg.norm(moved)
        change = jnp.linalg.norm(moved - center) / jnp.where(norm > 0, norm, 1)
        return moved, change

    start = jnp.median(points, axis=0)
    return fixed_point(step, start, max_iter=max_iter, tolerance=tolerance)


def _round(numbers: np.ndarray) -> np.ndarray:
    """Round positive numbers to whole ones, halves up."""
    return np.floor(numbers + 0.5).astype(int)


def _standard_bounds(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the density with scale 1 has its lower and upper quantile."""
    low = -(gammaincinv(1 / shapes, 1 - 2 * _LOW) ** (1 / shapes))
    high = gammaincinv(1 / shapes, 2 * _HIGH - 1) ** (1 / shapes)
    return low, high


def _divergence(rows: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """Score windows of one width: rows by shapes by starts; flat ones are infinite."""
    n_bins = math.floor(3 * math.log2(1 + width / 2) + 0.5)
    first, last = rows[:, starts], rows[:, starts + width - 1]
    log_counts = np.log(_count(rows, starts, width, n_bins) + 0.01)
    low, high = (one[:, None] for one in _standard_bounds(_SHAPES))
    centers = low + (np.arange(n_bins) + 0.5) / n_bins * (high - low)
    density = np.exp(-(np.abs(centers) ** _SHAPES[:, None]))
    density /= density.sum(axis=1, keepdims=True)
    entropy = (density * np.log(density)).sum(axis=1)
    scores = entropy[:, None] - density @ log_counts.mT + np.log(width)
    return np.where((last > first)[:, None], scores, np.inf)


def _count(rows: np.ndarray, starts: np.ndarray, width: int, n_bins: int) -> np.ndarray:
    """Histograms of windows of sorted rows: rows by starts by bins."""
    first, last = rows[:, starts, None], rows[:, starts + width - 1, None]
    edges = first + (last - first) * np.arange(1, n_bins) / n_bins
    below = np.stack([np.searchsorted(*pair) for pair in zip(rows, edges, strict=True)])
    begin = np.broadcast_to(starts[:, None], first.shape)
    inside = np.maximum(below, begin)  # values equal to the first may lie before it
    return np.diff(np.concatenate([begin, inside, begin + width], axis=2), axis=2)


def _make_density(
    rows: np.ndarray, first: np.ndarray, last: np.ndarray, beta: np.ndarray
) -> GeneralizedGaussian:
    low, high = _standard_bounds(beta)
    lowest, highest = (
        np.take_along_axis(rows, one[:, None], axis=1)[:, 0] for one in (first, last)
    )
    alpha = (highest - lowest) / (high - low)
    sigma = alpha * np.sqrt(gamma(3 / beta) / gamma(1 / beta))
    return GeneralizedGaussian(lowest - low * alpha, sigma, alpha, beta)


def _refuse_flat(flat: np.ndarray) -> None:
    if flat.any():
        raise InputError(
            "values must vary in every row, but the central values are equal in rows "
            f"{np.flatnonzero(flat).tolist()}.",
            hint="Leave those rows out first.",
        )
