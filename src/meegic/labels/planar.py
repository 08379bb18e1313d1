"""Maps known at scattered points of a plane, interpolated to others.

Points that are added around the known ones carry the map outwards. Everything here is
linear in the maps, so all of them are interpolated in one call.
"""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import (
    CloughTocher2DInterpolator,
    LinearNDInterpolator,
    NearestNDInterpolator,
)
from scipy.spatial import Delaunay, KDTree, QhullError

from meegic.base.checks import check_finite, check_option, check_range, check_shape
from meegic.base.errors import InputError

METHODS = ("cubic", "linear", "nearest")
EXTRAPOLATIONS = ("head", "box", "local")

# Points are one where they are closer than this part of the radius.
_SAME = 1e-6
# Slopes at the points are found by iteration; so precisely, they are linear in the map.
_CONVERGED, _MAX_STEPS = 1e-12, 2000


def interpolate_plane(
    maps: np.ndarray,
    points: np.ndarray,
    queries: np.ndarray,
    *,
    radius: float,
    method: str = "cubic",
    border: float | str = "mean",
    extrapolate: str = "head",
) -> Float[np.ndarray, "components queries"]:
    """Interpolate maps from scattered points of a plane to others.

    Parameters
    ----------
    maps : array, shape (n_points, n_components)
        One map per column.
    points : array, shape (n_points, 2)
        Where the maps are known, around (0, 0). At points that coincide they are
        averaged.
    queries : array, shape (n_queries, 2)
        Where they are wanted.
    radius : float
        Of a circle around all points, which ``'head'`` fills.
    method : 'cubic' | 'linear' | 'nearest'
        Clough-Tocher, linear in triangles, or the value of the nearest point.
    border : float | 'mean'
        The map at the points that are added: a number, or the mean of the known
        points that are its neighbors in the triangulation.
    extrapolate : 'head' | 'box' | 'local'
        Where points are added: on a circle outside the radius, at the corners of a
        box three times as wide, or next to the outermost points.

    Returns
    -------
    array, shape (n_components, n_queries)
        The maps; NaN outside the points that were added.

    Examples
    --------
    >>> corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    >>> interpolate_plane(
    ...     corners[:, :1], corners, np.array([[0.5, 0.0]]), radius=2.0, method="linear"
    ... )
    array([[0.5]])
    """
    check_option("image_interp", method, METHODS)
    check_option("extrapolate", extrapolate, EXTRAPOLATIONS)
    if border != "mean":
        _check_border(border)
    maps, points = np.asarray(maps, dtype=float), np.asarray(points, dtype=float)
    check_shape("points", points, (None, 2))
    check_shape("maps", maps, (len(points), None))
    check_finite("maps", maps)

    points, maps = _merge(points, maps, _SAME * radius)
    mesh, n_added = _triangulate(points, radius, extrapolate)
    if border == "mean":
        outside = _average_neighbors(mesh.simplices, len(points), n_added) @ maps
    else:
        outside = np.full((n_added, maps.shape[1]), float(border))
    known = np.vstack([maps, outside])
    sizes = np.abs(known).max(axis=0)
    sizes[sizes == 0] = 1.0
    return (_interpolate(mesh, known / sizes, np.asarray(queries), method) * sizes).T


def _check_border(border: object) -> None:
    if isinstance(border, str):
        check_option("border", border, ["mean"])
    check_range("border", border, open_low=True, open_high=True)


def _interpolate(
    mesh: Delaunay, values: np.ndarray, queries: np.ndarray, method: str
) -> np.ndarray:
    if method == "cubic":
        return CloughTocher2DInterpolator(
            mesh, values, tol=_CONVERGED, maxiter=_MAX_STEPS
        )(queries)
    if method == "linear":
        return LinearNDInterpolator(mesh, values)(queries)
    found = NearestNDInterpolator(mesh.points, values)(queries)
    found[mesh.find_simplex(queries) < 0] = np.nan
    return found


def _merge(
    points: np.ndarray, maps: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Average the points that coincide, and the maps there."""
    first = [min(one) for one in KDTree(points).query_ball_point(points, distance)]
    members = np.unique(first)[:, None] == np.array(first)
    averaging = members / members.sum(axis=1, keepdims=True)
    return averaging @ points, averaging @ maps


def _triangulate(
    points: np.ndarray, radius: float, extrapolate: str
) -> tuple[Delaunay, int]:
    """Triangulate points and those that are added around them; count the latter.

    Montages have many squares, which can be cut in two ways, and the distance between
    neighbors is taken from two edges of each triangle. Both depend on how Qhull goes
    about it, even on the unit, so it is asked as the reference asks it.
    """
    mesh, grows = _begin(points)
    edges = np.diff(points[mesh.simplices], axis=1)
    spacing = float(np.median(np.linalg.norm(edges, axis=2)))
    if extrapolate == "head":
        n_added = max(12, round(2 * np.pi / np.arcsin(min(spacing / radius, 1.0))))
        added = (1.1 * radius + spacing) * _place_on_circle(n_added)
    elif extrapolate == "box":
        low, high = points.min(axis=0), points.max(axis=0)
        (left, back), (right, front) = 2 * low - high, 2 * high - low
        added = np.array([[left, back], [left, front], [right, back], [right, front]])
    else:
        added = _move_outwards(points, mesh.convex_hull, spacing)
    if grows and extrapolate != "box":
        mesh.add_points(added)
        return mesh, len(added)
    return Delaunay(np.vstack([points, added])), len(added)


def _begin(points: np.ndarray) -> tuple[Delaunay, bool]:
    """Triangulate points, and tell whether others can be added one by one."""
    try:
        return Delaunay(points, incremental=True), True
    except QhullError:  # on one circle or line they are no beginning
        pass
    try:
        return Delaunay(points), False
    except QhullError as error:
        raise InputError(
            f"positions must be three places or more that do not lie on one line, but "
            f"got {len(points)} that do.",
            hint="Maps need more channels.",
        ) from error


def _move_outwards(points: np.ndarray, edges: np.ndarray, spacing: float) -> np.ndarray:
    """Move the outermost points outwards, and fill long gaps between these."""
    outer = np.unique(edges)
    offsets = points[outer] - points.mean(axis=0)
    moved = points.copy()
    moved[outer] += spacing * offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
    added = [moved[outer]]
    for start, stop in edges:
        length = np.linalg.norm(points[stop] - points[start])
        n_steps = round(length / (4 * spacing))
        parts = np.arange(1, n_steps)[:, None] / max(n_steps, 1)
        added.append(moved[start] + parts * (moved[stop] - moved[start]))
    return np.vstack(added)


def _average_neighbors(
    triangles: np.ndarray, n_points: int, n_added: int
) -> np.ndarray:
    """Make the matrix that takes a map to its border, the mean of neighbors.

    An added point that has none of the others for a neighbor takes the mean of the
    added ones that do.
    """
    linked = np.zeros((n_points + n_added, n_points + n_added), dtype=bool)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        linked[triangles[:, one], triangles[:, other]] = True
    weights = (linked | linked.T)[n_points:, :n_points].astype(float)
    counts = weights.sum(axis=1)
    weights[counts > 0] /= counts[counts > 0, None]
    weights[counts == 0] = weights[counts > 0].mean(axis=0)
    return weights


def _place_on_circle(n_points: int) -> np.ndarray:
    angles = 2 * np.pi * np.arange(n_points) / n_points
    return np.column_stack([np.cos(angles), np.sin(angles)])
