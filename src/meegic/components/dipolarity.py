"""How dipolar component maps are: by a plane, and by dipoles in a head."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_shape
from meegic.base.errors import ShapeError

_EMPTY = 1e-6  # of the largest gain: a radial dipole in a sphere has no field outside
_ROUNDING = 1e-12  # of the largest value: what is left of a constant
_FEWEST = 8  # channels: a dipole has six numbers, and the reference is free
_GRID = 0.007  # m between positions that are tried first
_FINEST = 0.0004  # m
_SMALLEST_GAIN = 1e-7  # of the map's power: what is worth a move
_MAX_ROUNDS = 60
_AROUND = np.vstack([np.eye(3), -np.eye(3), list(product([-1, 1], repeat=3))])

Gains = Callable[[np.ndarray], np.ndarray]
"""Takes positions to the fields of unit dipoles there."""


@dataclass(frozen=True, eq=False, repr=False)  # equal to itself only: arrays cannot say
class DipoleFits:
    """The dipole that explains each map best.

    Attributes
    ----------
    residual_variance : array, shape (n_components,)
        Share of the map that it does not explain, from 0 to 1.
    positions : array, shape (n_components, 3)
        In m, in head coordinates.
    moments : array, shape (n_components, 3)
        In the unit of the map over that of the gains.
    """

    residual_variance: Float[np.ndarray, " components"]
    positions: Float[np.ndarray, "components 3"]
    moments: Float[np.ndarray, "components 3"]

    def count_below(self, percent: float) -> int:
        """Count the components whose residual variance is below some percent."""
        return int((100 * self.residual_variance < percent).sum())

    def __repr__(self) -> str:
        n = len(self.residual_variance)
        counts = [(one, self.count_below(one)) for one in (5, 10, 15)]
        words = ", ".join(
            f"{count} ({100 * count / max(n, 1):.0f} %) below {one} %"
            for one, count in counts
        )
        return f"{n} components by residual variance of one dipole: {words}"


def fit_planes(
    maps: Float[Array, "channels components"], positions: Float[Array, "channels 3"]
) -> Float[np.ndarray, " components"]:
    """Compute how much of each map is linear in x and y: a fast sign of a dipole.

    Parameters
    ----------
    maps : array, shape (n_channels, n_components)
        How components look at the sensors.
    positions : array, shape (n_channels, 3)
        Of the sensors; only their directions count.

    Returns
    -------
    array, shape (n_components,)
        R squared of the fit on x, y and a constant; 0 for a flat map.

    Examples
    --------
    >>> positions = np.array([[1.0, 0, 1], [0, 1, 1], [-1, 0, 1], [0, -1, 1]])
    >>> fit_planes(positions[:, :2], positions).round(12)
    array([1., 1.])
    """
    maps, positions = np.asarray(maps, dtype=float), np.asarray(positions, dtype=float)
    check_shape("positions", positions, (len(maps), 3))
    if len(maps) < 4:
        raise ShapeError(
            f"maps must have at least 4 channels to be fitted, but got {len(maps)}: a "
            "plane goes through any three points."
        )
    unit = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    design = np.column_stack([unit[:, :2], np.ones(len(unit))])
    maps = _center(maps)
    rest = maps - design @ np.linalg.lstsq(design, maps, rcond=None)[0]
    total = (maps**2).sum(axis=0)
    return np.divide(
        total - (rest**2).sum(axis=0), total, out=np.zeros_like(total), where=total > 0
    )


def fit_dipoles(
    maps: Float[Array, "channels components"],
    compute_gains: Gains,
    *,
    center: Float[Array, " 3"],
    radius: float,
    average_reference: bool = True,
) -> DipoleFits:
    """Fit a dipole in a sphere to each map.

    The best position of a grid is where a search begins; it goes to the best of the
    positions around, and halves its step where there is none.

    Parameters
    ----------
    maps : array, shape (n_channels, n_components)
        How components look at the sensors.
    compute_gains : callable
        Takes positions (n_positions, 3) to the fields of unit dipoles there along each
        axis, (n_positions, n_channels, 3).
    center : array, shape (3,)
        Of the sphere, in m.
    radius : float
        In m; no dipole is farther out.
    average_reference : bool
        Whether the mean over channels says nothing, as for EEG.

    Returns
    -------
    DipoleFits
        A flat map has no position.

    Examples
    --------
    >>> sensors = np.random.default_rng(0).normal(size=(20, 3))
    >>> sensors /= 10 * np.linalg.norm(sensors, axis=1, keepdims=True)
    >>> def compute_gains(positions):
    ...     away = sensors - positions[:, None]
    ...     return away / np.linalg.norm(away, axis=-1, keepdims=True) ** 3
    >>> (truth,) = compute_gains(np.array([[0.03, 0, 0.04]]))
    >>> fits = fit_dipoles(truth[:, :1], compute_gains, center=np.zeros(3), radius=0.08)
    >>> fits
    1 components by residual variance of one dipole: 1 (100 %) below 5 %,
    1 (100 %) below 10 %, 1 (100 %) below 15 %
    >>> fits.positions.round(3)
    array([[0.03, 0.  , 0.04]])
    """
    maps, center = np.asarray(maps, dtype=float), np.asarray(center, dtype=float)
    grid = _make_grid(center, radius)
    found = measure_rest(maps, compute_gains(grid), average_reference=average_reference)
    best, rest = grid[found.argmin(axis=0)], found.min(axis=0)
    steps = np.full(len(best), _GRID / 2)
    for _ in range(_MAX_ROUNDS):
        moving = np.flatnonzero(steps >= _FINEST)
        if not len(moving):
            break
        tried = best[moving, None] + steps[moving, None, None] * _AROUND
        tried = _pull_inside(tried, center, radius)
        gains = compute_gains(tried.reshape(-1, 3))
        gains = gains.reshape(*tried.shape[:2], *gains.shape[1:])
        for k, positions, some in zip(moving, tried, gains, strict=True):
            left = measure_rest(
                maps[:, [k]], some, average_reference=average_reference
            )[:, 0]
            if left.min() < rest[k] - _SMALLEST_GAIN:
                rest[k], best[k] = left.min(), positions[left.argmin()]
            else:
                steps[k] /= 2
    gains = compute_gains(best)
    moments = fit_moments(maps, gains, average_reference=average_reference)
    flat = ~_refer(maps, gains, average_reference)[0].any(axis=0)
    best[flat] = np.nan
    return DipoleFits(rest, best, moments)


def measure_rest(
    maps: Float[Array, "channels components"],
    gains: Float[Array, "positions channels 3"],
    *,
    average_reference: bool = True,
) -> Float[np.ndarray, "positions components"]:
    """Compute what the best dipole at each position leaves of each map.

    Parameters
    ----------
    maps : array, shape (n_channels, n_components)
        How components look at the sensors.
    gains : array, shape (n_positions, n_channels, 3)
        The field of a unit dipole at each position, along each axis.
    average_reference : bool
        Whether the mean over channels says nothing, as for EEG.

    Returns
    -------
    array, shape (n_positions, n_components)
        Share of each map that is left, from 0 to 1; 1 for a flat one.

    Examples
    --------
    >>> gains = np.random.default_rng(0).normal(size=(4, 9, 3))
    >>> measure_rest(gains[2], gains).shape
    (4, 3)
    """
    maps, gains = _refer(maps, gains, average_reference)
    bases, sizes, _ = np.linalg.svd(gains, full_matrices=False)
    bases *= (sizes > _EMPTY * sizes[:, :1])[:, None, :]
    n_channels = len(maps)
    flat = bases.transpose(0, 2, 1).reshape(-1, n_channels) @ maps
    explained = (flat.reshape(len(gains), 3, -1) ** 2).sum(axis=1)
    total = (maps**2).sum(axis=0)
    share = np.divide(explained, total, out=np.zeros_like(explained), where=total > 0)
    return np.clip(1 - share, 0.0, 1.0)


def fit_moments(
    maps: Float[Array, "channels components"],
    gains: Float[Array, "components channels 3"],
    *,
    average_reference: bool = True,
) -> Float[np.ndarray, "components 3"]:
    """Compute the moment of a dipole at one position for each map.

    Examples
    --------
    >>> gains = np.random.default_rng(0).normal(size=(1, 9, 3))
    >>> bool(np.allclose(fit_moments(gains[0, :, :1], gains), [[1, 0, 0]]))
    True
    """
    maps, gains = _refer(maps, gains, average_reference)
    return np.einsum("nic,cn->ni", np.linalg.pinv(gains, rcond=_EMPTY), maps)


def _refer(
    maps: Array, gains: Array, average_reference: bool
) -> tuple[np.ndarray, np.ndarray]:
    maps, gains = np.asarray(maps, dtype=float), np.asarray(gains, dtype=float)
    check_shape("gains", gains, (None, len(maps), 3))
    if len(maps) < _FEWEST:
        raise ShapeError(
            f"maps must have at least {_FEWEST} channels for dipoles, but got "
            f"{len(maps)}: six numbers of a dipole explain any map of so few.",
            hint="Pass method='linear', or fit to more channels.",
        )
    if average_reference:
        return _center(maps), gains - gains.mean(axis=1, keepdims=True)
    return maps, gains


def _center(maps: np.ndarray) -> np.ndarray:
    """Take off the mean of each map; what is flat but for rounding becomes zero."""
    centered = maps - maps.mean(axis=0)
    centered[:, np.ptp(maps, axis=0) <= _ROUNDING * np.abs(maps).max(axis=0)] = 0
    return centered


def _make_grid(center: np.ndarray, radius: float) -> np.ndarray:
    n_steps = int(radius / _GRID)
    steps = _GRID * np.arange(-n_steps, n_steps + 1)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return center + cube[np.linalg.norm(cube, axis=1) <= radius]


def _pull_inside(
    positions: np.ndarray, center: np.ndarray, radius: float
) -> np.ndarray:
    offsets = positions - center
    lengths = np.linalg.norm(offsets, axis=-1, keepdims=True)
    return center + offsets * radius / np.maximum(lengths, radius)
