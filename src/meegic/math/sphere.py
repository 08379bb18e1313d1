"""Functions on the unit sphere: Legendre sums, spline kernels, and getting there."""

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import legval
from scipy.optimize import least_squares
from scipy.spatial import KDTree

from meegic.base.checks import check_count, check_finite, check_shape
from meegic.base.errors import ConvergenceError, InputError, RankError, ShapeError

# Smaller parts of a length are rounding: nobody measures a position to 1e-6 of it.
_SAME = 1e-6


def fit_sphere(
    points: np.ndarray,
) -> tuple[Float[np.ndarray, " 3"], float]:
    """Fit a sphere, so that the squared distances of the points from it are least.

    Parameters
    ----------
    points : array, shape (n_points, 3)
        At least four points that do not lie in one plane, in any unit.

    Returns
    -------
    center : array, shape (3,)
        Center of the sphere, in the unit of the points.
    radius : float
        Its radius.

    Examples
    --------
    >>> points = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1]]) + 5
    >>> center, radius = fit_sphere(points)
    >>> center.round(6), round(radius, 6)
    (array([5., 5., 5.]), 1.0)
    """
    points = _take_points("points", points)
    middle = points.mean(axis=0)
    scale = np.abs(points - middle).max()
    around = (points - middle) / (scale or 1.0)
    # |p|^2 = 2 p.c + (r^2 - |c|^2) is linear and close, a place to start from.
    linear = np.column_stack([2 * around, np.ones(len(around))])
    if np.linalg.matrix_rank(linear, tol=_SAME) < 4:
        raise RankError(
            f"points must hold at least four points that do not lie in one plane, but "
            f"got {len(points)} that do."
        )
    start = np.linalg.lstsq(linear, (around**2).sum(axis=1))[0][:3]

    def distances(center: np.ndarray) -> np.ndarray:
        return np.linalg.norm(around - center, axis=1)

    def misfit(center: np.ndarray) -> np.ndarray:
        return distances(center) - distances(center).mean()

    found = least_squares(misfit, start, method="lm", xtol=1e-14, ftol=1e-14)
    if not found.success:
        raise ConvergenceError(
            f"The sphere fit to {len(points)} points did not converge in {found.nfev} "
            "evaluations.",
            hint="Pass more points, and leave out those far from a sphere.",
        )
    center = found.x
    return middle + scale * center, float(scale * distances(center).mean())


def normalize_positions(
    positions: np.ndarray, *, origin: np.ndarray
) -> Float[np.ndarray, "positions 3"]:
    """Project positions onto the unit sphere around an origin.

    Parameters
    ----------
    positions : array, shape (n_positions, 3)
        Positions in any unit.
    origin : array, shape (3,)
        Center of the sphere, in the same unit.

    Returns
    -------
    array, shape (n_positions, 3)
        Directions of length one.

    Examples
    --------
    >>> normalize_positions(np.array([[1.0, 2.0, 5.0]]), origin=np.array([1, 2, 3]))
    array([[0., 0., 1.]])
    """
    positions = _take_points("positions", positions)
    origin = np.asarray(origin, dtype=float)
    check_shape("origin", origin, (3,))
    check_finite("origin", origin)
    offsets = positions - origin
    lengths = np.linalg.norm(offsets, axis=1)
    if (central := lengths <= _SAME * lengths.max()).any():
        raise InputError(
            f"positions must lie away from the origin {origin.tolist()}, but position "
            f"{int(np.argmax(central))} does not.",
            hint="Leave out what has no position, or pass the center of the head.",
        )
    unit = offsets / lengths[:, None]
    same = KDTree(unit).query_pairs(_SAME)
    if same:
        first, second = min(same)
        raise InputError(
            f"positions must lie in different directions, but {first} and {second} lie "
            "in the same.",
            hint="Leave one of the two out.",
        )
    return unit


def compute_cosines(
    to_unit: Float[np.ndarray, "to 3"], from_unit: Float[np.ndarray, "from 3"]
) -> Float[np.ndarray, "to from"]:
    """Compute the cosines of the angles between two sets of directions.

    Parameters
    ----------
    to_unit, from_unit : array, shape (n_to, 3) and (n_from, 3)
        Directions of length one.

    Returns
    -------
    array, shape (n_to, n_from)
        Cosines, none beyond one by rounding.

    Examples
    --------
    >>> compute_cosines(np.eye(3)[:1], np.eye(3))
    array([[1., 0., 0.]])
    """
    return np.clip(to_unit @ from_unit.T, -1.0, 1.0)


def legendre_sum(
    cosines: np.ndarray, coefficients: Float[np.ndarray, " degrees"]
) -> Float[np.ndarray, "..."]:
    r"""Sum Legendre polynomials, :math:`\sum_n c_n P_n(x)`, by Clenshaw's recurrence.

    Parameters
    ----------
    cosines : array, shape (...)
        Where to evaluate, between -1 and 1.
    coefficients : array, shape (n_degrees,)
        The factors of degree 0, 1, ...

    Returns
    -------
    array, shape (...)
        The sums.

    Examples
    --------
    >>> legendre_sum(np.array([0.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    array([0.5, 2. ])
    """
    if not (np.abs(cosines) <= 1).all():  # NaN is refused too
        raise InputError(
            "cosines must be numbers between -1 and 1, but are not.",
            hint="Pass directions of length one to compute_cosines.",
        )
    return legval(cosines, coefficients)


def spline_g(
    cosines: np.ndarray, *, n_terms: int = 50, stiffness: int = 4
) -> Float[np.ndarray, "..."]:
    r"""Evaluate the kernel of spherical splines [1]_.

    :math:`g(x) = \frac{1}{4\pi} \sum_{n=1}^{N} \frac{2n+1}{n^m (n+1)^m} P_n(x)`.

    Parameters
    ----------
    cosines : array, shape (...)
        Cosines of the angles between directions.
    n_terms : int
        The highest degree N.
    stiffness : int
        The order m; larger is smoother.

    Returns
    -------
    array, shape (...)
        The kernel.

    References
    ----------
    .. [1] Perrin, Pernier, Bertrand & Echallier (1989). Spherical splines for scalp
       potential and current density mapping. Electroencephalography and Clinical
       Neurophysiology 72, 184-187.

    Examples
    --------
    >>> spline_g(np.array([1.0, 0.0])).round(5)
    array([ 0.01526, -0.00015])
    """
    return _spline(cosines, n_terms, stiffness, n_laplacians=0)


def spline_h(
    cosines: np.ndarray, *, n_terms: int = 50, stiffness: int = 4
) -> Float[np.ndarray, "..."]:
    """Evaluate the kernel's negative Laplacian on the unit sphere.

    It is the kernel of the current source density: that of :func:`spline_g`, with an
    order smaller by one.

    Parameters
    ----------
    cosines : array, shape (...)
        Cosines of the angles between directions.
    n_terms : int
        The highest degree.
    stiffness : int
        The order of the spline, as in :func:`spline_g`.

    Returns
    -------
    array, shape (...)
        The negative Laplacian.

    Examples
    --------
    >>> spline_h(np.array([1.0, 0.0])).round(5)
    array([ 0.03216, -0.00089])
    """
    return _spline(cosines, n_terms, stiffness, n_laplacians=1)


def _spline(
    cosines: np.ndarray, n_terms: int, stiffness: int, *, n_laplacians: int
) -> np.ndarray:
    """Sum the series, whose terms a Laplacian multiplies by -n (n + 1)."""
    check_count("n_terms", n_terms)
    check_count("stiffness", stiffness, low=2)
    n = np.arange(1.0, n_terms + 1)
    factors = (2 * n + 1) / (4 * np.pi * (n * (n + 1)) ** (stiffness - n_laplacians))
    return legendre_sum(cosines, np.concatenate([[0.0], factors]))


def _take_points(name: str, points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=float)
    check_shape(name, points, (None, 3))
    if points.size == 0:
        raise ShapeError(f"{name} is empty: its shape is {points.shape}.")
    check_finite(name, points)
    return points
