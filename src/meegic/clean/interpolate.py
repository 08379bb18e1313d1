"""Bad channels from good ones, by spherical splines [1]_.

References
----------
.. [1] Perrin, Pernier, Bertrand & Echallier (1989). Spherical splines for scalp
   potential and current density mapping. Electroencephalography and Clinical
   Neurophysiology 72, 184-187.
"""

from collections.abc import Sequence
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from meegic.base.arrays import Array, keep_kind
from meegic.base.checks import check_finite, check_range, check_shape
from meegic.base.errors import OptionError, RankError, ShapeError
from meegic.math.sphere import compute_cosines, normalize_positions, spline_g

# A spline through fewer positions than these is hardly more than their mean.
_FEWEST_GOOD = 4


def spherical_spline_interpolate(
    data: Array,
    bad_idx: Sequence[int] | Array,
    sensor_coords: Array,
    n_terms: int = 50,
    lambda_reg: float = 1e-5,
    *,
    origin: Sequence[float] | Array | None = None,
) -> Float[Array, "channels times"]:
    """Replace bad channels by the spline through the good ones.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit. What the bad channels hold is not looked at.
    bad_idx : array of int
        Which channels to replace.
    sensor_coords : array, shape (n_channels, 3)
        Positions of all channels, in any unit.
    n_terms : int
        The highest degree of the Legendre series.
    lambda_reg : float
        Smoothing, added to the diagonal of the kernel between good channels.
    origin : array, shape (3,) | None
        Center of the head in the unit of the positions; ``None`` is their zero.

    Returns
    -------
    array, shape (n_channels, n_times)
        The recording with good channels as they were, bit for bit.

    Examples
    --------
    >>> angles = np.linspace(0.0, 5.0, 6)
    >>> coords = np.c_[np.cos(angles), np.sin(angles), 0.1 * angles]
    >>> spherical_spline_interpolate(np.ones((6, 3)), [2], coords)[2]
    array([1., 1., 1.])
    """
    coords = np.asarray(sensor_coords, dtype=float)
    check_shape("sensor_coords", coords, (None, 3))
    bad = _check_bad(bad_idx, len(coords))
    if bad.size == 0:
        return _replace(data, (), np.zeros((0, len(coords))))
    center = np.zeros(3) if origin is None else np.asarray(origin, dtype=float)
    unit = normalize_positions(coords, origin=center)
    good = np.setdiff1d(np.arange(len(coords)), bad)
    operator = make_spline_operator(
        unit[bad], unit[good], n_terms=n_terms, lambda_reg=lambda_reg
    )
    return _replace(data, tuple(bad.tolist()), operator)


def make_spline_operator(
    to_unit: Float[np.ndarray, "to 3"],
    from_unit: Float[np.ndarray, "from 3"],
    *,
    n_terms: int = 50,
    lambda_reg: float = 1e-5,
) -> Float[np.ndarray, "to from"]:
    r"""Make the matrix that takes values at some directions to values at others.

    With the kernel :math:`G` between all directions it is
    :math:`G_{tf} C_{ff} + \mathbf 1 c^\top`, where :math:`C` is the inverse of
    :math:`[G_{ff} + \lambda I, \mathbf 1; \mathbf 1^\top, 0]` and :math:`c` its last
    row without the corner. The last operators are kept, so that a second call with the
    same arguments costs nothing.

    Parameters
    ----------
    to_unit : array, shape (n_to, 3)
        Directions of length one at which values are wanted.
    from_unit : array, shape (n_from, 3)
        Directions of length one at which values are known, all different.
    n_terms : int
        The highest degree of the Legendre series.
    lambda_reg : float
        Smoothing; the values known are met exactly where it is zero.

    Returns
    -------
    array, shape (n_to, n_from)
        The operator, read-only; every row sums to one.

    Examples
    --------
    >>> unit = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    >>> make_spline_operator(unit[:1], unit[1:]).sum().round(9)
    np.float64(1.0)
    """
    check_range("lambda_reg", lambda_reg, low=0.0)
    to_unit, from_unit = (
        np.ascontiguousarray(one, dtype=float) for one in (to_unit, from_unit)
    )
    key = (to_unit.tobytes(), from_unit.tobytes())
    return _make_operator(*key, int(n_terms), float(lambda_reg))


@lru_cache(maxsize=256)
def _make_operator(
    to_bytes: bytes, from_bytes: bytes, n_terms: int, lambda_reg: float
) -> np.ndarray:
    """Solve on the host in float64: the system has a condition of 1e6."""
    to_unit, from_unit = (
        np.frombuffer(one).reshape(-1, 3) for one in (to_bytes, from_bytes)
    )
    n_from = len(from_unit)
    system = np.ones((n_from + 1, n_from + 1))
    among = spline_g(compute_cosines(from_unit, from_unit), n_terms=n_terms)
    system[:-1, :-1] = among + lambda_reg * np.eye(n_from)
    system[-1, -1] = 0.0
    inverse = np.linalg.pinv(system)
    across = spline_g(compute_cosines(to_unit, from_unit), n_terms=n_terms)
    operator = across @ inverse[:-1, :-1] + inverse[-1:, :-1]
    operator.flags.writeable = False
    return operator


def _check_bad(bad_idx: Sequence[int] | Array, n_channels: int) -> np.ndarray:
    """Take different channels that exist and leave enough good ones."""
    bad = np.asarray(bad_idx)
    if bad.size == 0:
        return np.zeros(0, dtype=int)
    if bad.ndim != 1 or bad.dtype.kind not in "iu":
        raise OptionError(
            f"bad_idx must be a list of channel numbers, but has dtype {bad.dtype} and "
            f"shape {bad.shape}.",
            hint="A mask becomes one by np.flatnonzero(mask).",
        )
    if bad.min() < 0 or bad.max() >= n_channels:
        raise OptionError(
            f"bad_idx must be between 0 and {n_channels - 1}, but got {bad.tolist()}."
        )
    if len(np.unique(bad)) < len(bad):
        raise OptionError(
            f"bad_idx must name every channel once, but got {bad.tolist()}."
        )
    n_good = n_channels - len(bad)
    if n_good < max(len(bad), _FEWEST_GOOD):
        raise RankError(
            f"Interpolation needs at least {_FEWEST_GOOD} good channels and no more "
            f"bad than good ones, but got {n_good} good and {len(bad)} bad.",
            hint="Look at the recording and its positions; too much of it is bad.",
        )
    return bad.astype(int)


@keep_kind
def _replace(
    data: Array, bad: tuple[int, ...], operator: Float[np.ndarray, "bad good"]
) -> Array:
    """Put the product into the bad rows, in NumPy where the data are."""
    n_channels = operator.shape[1] + len(bad)
    _check_rows(data, n_channels)
    rows = np.array(bad, dtype=int)
    good = np.setdiff1d(np.arange(n_channels), rows)
    if isinstance(data, np.ndarray):
        check_finite("The good channels of data", data[good])
        replaced = data.copy()
        replaced[rows] = operator @ data[good]
        return replaced
    if not isinstance(data, Tracer):
        check_finite("The good channels of data", np.asarray(data[good]))
    known = jnp.asarray(operator, data.dtype)
    product = jnp.matmul(known, data[good], precision="highest")
    return data.at[rows].set(product)


def _check_rows(data: Array, n_channels: int) -> None:
    if data.ndim == 2 and len(data) == n_channels:
        return
    turned = data.ndim == 2 and data.shape[1] == n_channels
    raise ShapeError(
        f"data must have shape ({n_channels}, n_times), one row for every position, "
        f"but got {data.shape}.",
        hint="Is it transposed? Data are channels by times." if turned else "",
    )
