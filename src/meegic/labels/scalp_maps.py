"""Maps of components on a square grid, as seen from above."""

import numpy as np
from jaxtyping import Float

from meegic.base.checks import check_count, check_finite, check_option, check_shape
from meegic.base.errors import InputError
from meegic.labels.planar import EXTRAPOLATIONS, interpolate_plane

HEAD_RADIUS = 0.095
"""Radius in metres of the sphere that stands for the head."""


def compute_scalp_maps(
    mixing: np.ndarray,
    positions: np.ndarray,
    *,
    res: int = 64,
    image_interp: str = "cubic",
    border: float | str = "mean",
    extrapolate: str = "auto",
    channel_type: str = "eeg",
) -> Float[np.ndarray, "components rows columns"]:
    """Draw the maps of all components on a square grid.

    Parameters
    ----------
    mixing : array, shape (n_channels, n_components)
        How each component reaches the channels, in any unit.
    positions : array, shape (n_channels, 3)
        Where the channels lie, in metres: x right, y front, z up. Positions may
        coincide.
    res : int
        Number of rows and of columns.
    image_interp : 'cubic' | 'linear' | 'nearest'
        How values between channels are found.
    border : float | 'mean'
        The map at points around the channels: a number, or the mean of neighbors.
    extrapolate : 'auto' | 'head' | 'box' | 'local'
        How far those points lie out: on a circle around the head, at the corners of a
        wide box, or next to the outermost channels. ``'auto'`` is ``'local'`` for MEG
        and ``'head'`` for all else.
    channel_type : str
        The type of the channels in MNE's word, for ``'auto'``.

    Returns
    -------
    array, shape (n_components, res, res)
        The maps, the front in row 0 and the left in column 0. The largest magnitude
        of each is one; outside the points around the channels it is zero.

    Examples
    --------
    >>> positions = 0.09 * np.array(
    ...     [[0.0, 0.0, 1.0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]
    ... )
    >>> mixing = np.array([[1.0], [0], [0], [0], [0]])  # at the vertex only
    >>> compute_scalp_maps(mixing, positions, res=5)[0].argmax() == 12
    np.True_
    """
    check_count("res", res)
    check_option("extrapolate", extrapolate, ("auto", *EXTRAPOLATIONS))
    if extrapolate == "auto":
        extrapolate = "local" if channel_type in ("mag", "grad") else "head"
    planar = project_to_plane(positions)
    mixing = np.asarray(mixing, dtype=float)
    check_shape("mixing", mixing, (len(planar), None))
    check_finite("mixing", mixing)
    refuse_flat_maps(mixing)

    radius = measure_radius(planar, HEAD_RADIUS)
    steps = np.linspace(-radius, radius, res)
    across, front = np.meshgrid(steps, steps[::-1])
    maps = interpolate_plane(
        mixing, planar, np.column_stack([across.ravel(), front.ravel()]),
        radius=radius, method=image_interp, border=border, extrapolate=extrapolate,
    )  # fmt: skip
    maps[np.isnan(maps)] = 0.0  # outside of all points
    maps /= np.abs(maps).max(axis=1, keepdims=True)
    return maps.reshape(-1, res, res)


def project_to_plane(positions: np.ndarray) -> Float[np.ndarray, "channels 2"]:
    """Unroll positions on a head to a plane, as seen from above.

    The direction of a position is kept. Its distance from the middle is the length of
    the arc from the vertex, so that the equator has the radius of the head.

    Parameters
    ----------
    positions : array, shape (n_channels, 3)
        Positions around the center of the head, in any unit.

    Returns
    -------
    array, shape (n_channels, 2)
        Positions in the plane, in the same unit: x right, y front.

    Examples
    --------
    >>> project_to_plane(np.array([[0.0, 0, 3.0], [0, 3, 0], [-3, 0, 0]])).round(6)
    array([[ 0.,  0.],
           [ 0.,  3.],
           [-3.,  0.]])
    """
    positions = take_positions(positions)
    x, y, z = positions.T
    lengths = np.linalg.norm(positions, axis=1)
    arcs = lengths * (np.arccos(z / lengths) / (np.pi / 2))
    azimuths = np.arctan2(y, x)
    return np.column_stack([arcs * np.cos(azimuths), arcs * np.sin(azimuths)])


def take_positions(positions: np.ndarray) -> Float[np.ndarray, "channels 3"]:
    """Take positions of channels, or say which channels have none.

    Examples
    --------
    >>> take_positions(np.array([[0.0, 0.0, 0.1]]))
    array([[0. , 0. , 0.1]])
    """
    positions = np.asarray(positions, dtype=float)
    check_shape("positions", positions, (None, 3))
    missing = ~np.isfinite(positions).all(axis=1) | (positions == 0).all(axis=1)
    if missing.any() or not len(positions):
        raise InputError(
            f"positions must be known for every channel, but {int(missing.sum())} of "
            f"{len(positions)} are NaN or zero: {np.flatnonzero(missing).tolist()}.",
            hint="Set a montage, or leave those channels out.",
        )
    return positions


def measure_radius(planar: np.ndarray, head: float) -> float:
    """Give the radius of a circle around the head and all positions.

    Parameters
    ----------
    planar : array, shape (n_channels, 2)
        Positions in the plane.
    head : float
        Radius of the head, in the same unit.

    Returns
    -------
    float
        The radius of the head, or a little more than that of the outermost position.

    Examples
    --------
    >>> measure_radius(np.array([[0.0, 2.0]]), 1.0)
    2.02
    """
    return max(head, 1.01 * float(np.linalg.norm(planar, axis=1).max()))


def refuse_flat_maps(mixing: np.ndarray) -> None:
    """Refuse components that reach none of the channels, by their numbers.

    Examples
    --------
    >>> refuse_flat_maps(np.ones((3, 2)))
    """
    flat = np.flatnonzero(~mixing.any(axis=0))
    if len(flat):
        raise InputError(
            f"Every component must have a map, but those of components "
            f"{flat.tolist()} are zero at all {len(mixing)} channels.",
            hint="Leave those components out.",
        )
