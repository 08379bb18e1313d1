"""ICLabel's topographies: sensor weights as images of 32 by 32 pixels."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from meegic.base.checks import check_finite, check_shape
from meegic.base.errors import InputError

N_PIXELS = 32
_RADIUS = 0.5  # of the head in the plane; the vertex is its middle
_MARGIN = 1.02  # by which the outermost electrode stays inside


def compute_topographies(
    mixing: np.ndarray,
    positions: np.ndarray,
    *,
    squeeze_again: bool = False,
) -> Float[np.ndarray, "components 32 32"]:
    """Interpolate the maps of components, each divided by its largest value.

    The spline is biharmonic, as that of MATLAB's `griddata` with ``'v4'``; pixels
    outside the head are zero.

    Parameters
    ----------
    mixing : array, shape (n_channels, n_components)
        The weights, in any unit.
    positions : array, shape (n_channels, 3)
        Electrodes in head coordinates: x to the right, y to the front, z up.
    squeeze_again : bool
        Whether to move electrodes inwards once more for each further component until
        all lie inside the head, as mne-icalabel does.

    Returns
    -------
    array, shape (n_components, 32, 32)
        Rows from the back to the front, columns from left to right.

    Examples
    --------
    >>> positions = np.array([[0.1, 0, 0], [-0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]])
    >>> image = compute_topographies(np.array([[1.0], [-1], [0], [0]]), positions)[0]
    >>> bool(image[16, 1] < 0 < image[16, 30])
    True
    """
    positions, mixing = np.asarray(positions, float), np.asarray(mixing, float)
    _check_positions(positions)
    check_shape("mixing", mixing, (len(positions), None))
    check_finite("mixing", mixing)
    operators = _make_operators(positions.tobytes())
    n_used = len(operators) if squeeze_again else 1
    pixels = np.concatenate(
        [operators[k] @ mixing[:, k : k + 1] for k in range(n_used - 1)]
        + [operators[n_used - 1] @ mixing[:, n_used - 1 :]],
        axis=1,
    )
    largest = np.abs(pixels).max(axis=0)
    if not largest.all():
        raise InputError(
            f"mixing must have no column of zeros, but columns "
            f"{np.flatnonzero(largest == 0).tolist()} are.",
            hint="Leave those components out.",
        )
    return (pixels / largest).T.reshape(-1, N_PIXELS, N_PIXELS)


def _check_positions(positions: np.ndarray) -> None:
    check_shape("positions", positions, (None, 3))
    placed = np.isfinite(positions).all(axis=1) & positions.any(axis=1)
    if len(positions) == 0 or not placed.all():
        raise InputError(
            "positions must be those of all channels, but channels "
            f"{np.flatnonzero(~placed).tolist()} of {len(positions)} have none.",
            hint="Set a montage, or leave them out.",
        )


@lru_cache(maxsize=8)
def _make_operators(positions: bytes) -> tuple[np.ndarray, ...]:
    """Make the maps from channels to pixels, after one squeeze, two squeezes, ..."""
    plane = _project(np.frombuffer(positions).reshape(-1, 3))
    operators = []
    factor = 0.0
    while factor < 1 - 1e-12:
        outermost = np.linalg.norm(plane, axis=1).max()
        factor = _RADIUS / max(min(1.0, _MARGIN * outermost), _RADIUS)
        plane = factor * plane
        if not operators or factor < 1 - 1e-12:
            operators.append(_interpolate(plane))
    return tuple(operators)


def _project(positions: np.ndarray) -> np.ndarray:
    """Lay positions flat, to the front and to the right: distance is polar angle."""
    x, y, z = positions.T
    radius = 0.5 - np.arctan2(z, np.hypot(x, y)) / np.pi
    azimuth = np.arctan2(x, y)
    return radius[:, None] * np.column_stack([np.cos(azimuth), np.sin(azimuth)])


def _interpolate(plane: np.ndarray) -> np.ndarray:
    """Make the map from channels to pixels that a biharmonic spline is."""
    merge = _merge(plane)
    points = merge @ plane
    weights = np.linalg.lstsq(_spline(points, points), merge, rcond=-1)[0]
    low = np.minimum(points.min(axis=0), -_RADIUS)
    high = np.maximum(points.max(axis=0), _RADIUS)
    axes = [np.linspace(*limits, N_PIXELS) for limits in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    operator = _spline(grid, points) @ weights
    operator[np.linalg.norm(grid, axis=1) > _RADIUS] = 0
    operator.flags.writeable = False
    return operator


def _spline(to: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Evaluate d^2 (ln d - 1), the Green function of the biharmonic equation."""
    distance = np.linalg.norm(to[:, None] - points, axis=-1)
    near = distance <= 1e-8
    values = distance**2 * (np.log(np.where(near, 1.0, distance)) - 1)
    return np.where(near, 0.0, values)


def _merge(plane: np.ndarray) -> np.ndarray:
    """Average electrodes that coincide, one row for each point that is left."""
    tolerance = np.spacing(np.ptp(plane, axis=0) / 2) ** (1 / 3)
    free = np.ones(len(plane), bool)
    groups = []
    for one in np.argsort(plane[:, 1], kind="stable"):
        if free[one]:
            members = free & (np.abs(plane - plane[one]) < tolerance).all(axis=1)
            groups.append(members)
            free &= ~members
    merge = np.array(groups, float)
    return merge / merge.sum(axis=1, keepdims=True)
