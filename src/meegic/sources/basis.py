"""The sFLEX basis: patches of neighbouring sources, as a sparse matrix.

Coefficients c of the patches give sources x = B c, so that what is sparse is not a
source but a patch, of one width or of several.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from meegic.base.checks import check_option, check_range, check_shape
from meegic.base.errors import InputError, OptionError
from meegic.sources.leadfield import take_reals

LARGEST_EXTENT_M = 1.0
"""No head is larger; coordinates that are larger are in mm."""

_CHUNK = 256  # vertices whose distances to all others are held at once


def make_basis(
    src_coords: np.ndarray | None,
    *,
    sigma: float | Sequence[float] = 0.01,
    threshold_factor: float = 3.0,
    normalize: str | None = "sym",
    triangles: np.ndarray | None = None,
) -> scipy.sparse.csr_array:
    r"""Make patches around every source.

    A patch has the weights :math:`\exp(-r^2 / 2 \sigma^2)`, r being the distance from
    its middle, and ends at ``threshold_factor`` times sigma.

    Parameters
    ----------
    src_coords : array, shape (n_sources, 3)
        Positions of the sources in m.
    sigma : float | sequence of float
        Width of the patches in m; several make several patches around every source.
    threshold_factor : float
        Where a patch ends, in widths.
    normalize : 'sym' | 'row' | None
        With D the sums of the rows, ``D^-1/2 B D^-1/2``, ``D^-1 B``, or B itself.
    triangles : array of int, shape (n_triangles, 3) | None
        The mesh of which the sources are the vertices; distances are then the shortest
        ways along its edges, which cross neither sulci nor hemispheres. ``None`` takes
        straight distances.

    Returns
    -------
    sparse array, shape (n_sources, n_scales * n_sources)
        One patch in a column; all of the first width come first.

    Examples
    --------
    >>> corners = np.array([[0.0, 0.0, 0.0], [0.01, 0.0, 0.0], [0.1, 0.0, 0.0]])
    >>> make_basis(corners).nnz, make_basis(corners, sigma=(0.01, 0.05)).shape
    (5, (3, 6))
    """
    coords = _check_coords(src_coords)
    check_range("threshold_factor", threshold_factor, low=0.0, open_low=True)
    check_option("normalize", normalize, ["sym", "row", None])
    sigmas = np.atleast_1d(np.asarray(sigma))
    for one in sigmas.tolist():
        check_range(
            "sigma", one, low=0.0, high=LARGEST_EXTENT_M, open_low=True, unit="m"
        )
    if sigmas.ndim != 1 or not sigmas.size:
        raise OptionError(f"sigma must be one or several widths, but got {sigma!r}.")
    reach = threshold_factor * sigmas.max()
    if triangles is None:
        distances = _measure_straight(coords, reach)
    else:
        distances = _measure_along(coords, triangles, reach)
    patches = [
        _shape_patches(distances, one, threshold_factor, normalize) for one in sigmas
    ]
    return scipy.sparse.hstack(patches, format="csr")


def repeat_orientations(
    basis: scipy.sparse.csr_array, n_orient: int
) -> scipy.sparse.csr_array:
    """Let each orientation of the sources have the same patches.

    Parameters
    ----------
    basis : sparse array, shape (n_sources, n_patches)
        As `make_basis` makes it.
    n_orient : 1 | 2 | 3
        Orientations of a source.

    Returns
    -------
    sparse array, shape (n_sources * n_orient, n_patches * n_orient)
        The orientations of a source, and of a patch, side by side.

    Examples
    --------
    >>> basis = make_basis(np.zeros((1, 3)))
    >>> repeat_orientations(basis, 2).toarray().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    check_option("n_orient", n_orient, [1, 2, 3])
    if n_orient == 1:
        return basis
    return scipy.sparse.kron(basis, scipy.sparse.eye_array(n_orient), format="csr")


def _check_coords(src_coords: np.ndarray | None) -> np.ndarray:
    if src_coords is None:
        raise InputError(
            "src_coords is needed: an sFLEX basis is made of the positions of sources.",
            hint="Pass an array of shape (n_sources, 3), in m.",
        )
    coords = take_reals("src_coords", src_coords)
    check_shape("src_coords", coords, (None, 3))
    extent = float(np.ptp(coords, axis=0).max())
    if extent > LARGEST_EXTENT_M:
        raise InputError(
            f"src_coords must be in m, but they extend over {extent:g}.",
            hint="Divide them by 1000 if they are in mm.",
        )
    return coords


def _measure_straight(coords: np.ndarray, reach: float) -> scipy.sparse.coo_array:
    """Find the distances up to a reach; what is at distance 0 is stored, too."""
    # The tree and the square root may round a distance up to the last digit.
    tree = cKDTree(coords)
    pairs = tree.query_pairs(reach * (1 + 1e-12), output_type="ndarray")
    steps = coords[pairs[:, 0]] - coords[pairs[:, 1]]
    lengths = np.sqrt((steps**2).sum(axis=1))
    own = np.arange(len(coords))
    rows = np.concatenate([own, pairs[:, 0], pairs[:, 1]])
    columns = np.concatenate([own, pairs[:, 1], pairs[:, 0]])
    values = np.concatenate([np.zeros(len(coords)), lengths, lengths])
    return scipy.sparse.coo_array((values, (rows, columns)), shape=2 * coords.shape[:1])


def _measure_along(
    coords: np.ndarray, triangles: np.ndarray, reach: float
) -> scipy.sparse.coo_array:
    """Find the lengths of the shortest ways along the edges of a mesh."""
    edges = _list_edges(triangles, len(coords))
    lengths = np.linalg.norm(coords[edges[:, 0]] - coords[edges[:, 1]], axis=1)
    shape = 2 * coords.shape[:1]
    mesh = scipy.sparse.csr_array((lengths, (edges[:, 0], edges[:, 1])), shape=shape)
    parts = []
    for start in range(0, len(coords), _CHUNK):
        some = np.arange(start, min(start + _CHUNK, len(coords)))
        ways = dijkstra(mesh, directed=False, indices=some, limit=reach)
        rows, columns = np.nonzero(np.isfinite(ways))
        parts.append((rows + start, columns, ways[rows, columns]))
    rows, columns, values = (np.concatenate(one) for one in zip(*parts, strict=True))
    return scipy.sparse.coo_array((values, (rows, columns)), shape=shape)


def _list_edges(triangles: np.ndarray, n_vertices: int) -> np.ndarray:
    corners = np.asarray(triangles)
    check_shape("triangles", corners, (None, 3))
    if corners.dtype.kind not in "iu":
        raise InputError(
            f"triangles must hold whole numbers, but its dtype is {corners.dtype}."
        )
    if corners.size == 0 or corners.min() < 0 or corners.max() >= n_vertices:
        raise InputError(
            f"triangles must hold numbers of sources, from 0 to {n_vertices - 1}.",
            hint="Renumber the vertices of the mesh if only some of them are sources.",
        )
    pairs = np.concatenate([corners[:, :2], corners[:, 1:], corners[:, ::2]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def _shape_patches(
    distances: scipy.sparse.coo_array,
    sigma: float,
    threshold_factor: float,
    normalize: str | None,
) -> scipy.sparse.csr_array:
    near = distances.data**2 <= (threshold_factor * sigma) ** 2
    weights = np.exp(-(distances.data[near] ** 2) / (2 * sigma**2))
    places = distances.coords[0][near], distances.coords[1][near]
    patches = scipy.sparse.csr_array((weights, places), shape=distances.shape)
    sums = patches.sum(axis=1)  # at least 1, the middle of the patch
    if normalize == "row":
        return scipy.sparse.diags_array(1 / sums) @ patches
    if normalize == "sym":
        roots = scipy.sparse.diags_array(1 / np.sqrt(sums))
        return roots @ patches @ roots
    return patches
