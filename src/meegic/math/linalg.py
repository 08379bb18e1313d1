"""Linear algebra of symmetric matrices that says when it fails.

NumPy in is NumPy out, float64 in float64 whatever JAX's flag says (`keep_kind`).
Leading axes are stacks. Checks that need values run on concrete arrays only; inside
``jit`` what cannot be computed is NaN, and :func:`solve_psd` returns a flag.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.linalg import cho_solve
from jaxtyping import Bool, Float

from meegic.base.arrays import Array, keep_kind
from meegic.base.checks import check_finite, check_range, check_shape
from meegic.base.errors import InputError, ShapeError

# Eigenvalues nearer than this fraction of their mean size count as equal in the
# derivative of their eigenvectors.
_BROADENING = 1e-9


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PsdSolution:
    """The solution of a positive semidefinite system, and what it took.

    Attributes
    ----------
    solution : array, shape (..., n, k)
        The unknowns; NaN where it was not solved.
    jitter : array, shape (...)
        What was added to the diagonal, in the unit of the matrix; mostly 0.
    solved : array of bool, shape (...)
        Whether the matrix with its jitter was positive definite.
    """

    solution: Float[Array, "*batch n k"]
    jitter: Float[Array, "*batch"]
    solved: Bool[Array, "*batch"]


@keep_kind
def eigh_safe(
    matrix: Float[Array, "*batch n n"],
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n n"]]:
    r"""Eigendecomposition whose derivative stays finite at equal eigenvalues.

    The derivative of the eigenvectors holds :math:`1/(\lambda_i - \lambda_j)`; here
    it is :math:`d/(d^2 + \epsilon^2)` with :math:`d = \lambda_i - \lambda_j` and
    :math:`\epsilon` 1e-9 of the mean absolute eigenvalue.

    Parameters
    ----------
    matrix : array, shape (..., n, n)
        Symmetric matrices; only their symmetric part counts.

    Returns
    -------
    values : array, shape (..., n)
        Eigenvalues, ascending.
    vectors : array, shape (..., n, n)
        Eigenvectors in columns.

    Examples
    --------
    >>> slope = jax.grad(lambda matrix: eigh_safe(matrix)[1].sum())(jnp.eye(3))
    >>> bool(jnp.isfinite(slope).all())
    True
    """
    return _eigh(jnp.asarray(matrix))


@keep_kind
def symmetric_function(
    function: Callable[[jax.Array], jax.Array], matrix: Float[Array, "*batch n n"]
) -> Float[Array, "*batch n n"]:
    r"""Apply a function to the eigenvalues of a symmetric matrix.

    :math:`V f(\Lambda) V^\top`. The first derivative is exact at equal eigenvalues
    too; the second is finite there, and exact elsewhere.

    Parameters
    ----------
    function : callable
        A smooth function of the eigenvalues (..., n), element by element.
    matrix : array, shape (..., n, n)
        Symmetric matrices; only their symmetric part counts.

    Returns
    -------
    array, shape (..., n, n)
        The matrices with the new eigenvalues.

    Examples
    --------
    >>> print(symmetric_function(jnp.log, jnp.eye(2)))
    [[0. 0.]
     [0. 0.]]
    """
    return _spectral(function, jnp.asarray(matrix))


@keep_kind
def symmetric_power(
    matrix: Float[Array, "*batch n n"], power: float = 0.5
) -> Float[Array, "*batch n n"]:
    """Raise a positive semidefinite matrix to a power; 0.5 is its symmetric root.

    Empty directions (eigenvalues within rounding of zero) stay empty, for negative
    powers too, which makes those pseudo-inverses.

    Parameters
    ----------
    matrix : array, shape (..., n, n)
        Positive semidefinite matrices.
    power : float
        The exponent.

    Returns
    -------
    array, shape (..., n, n)
        The powers; NaN inside ``jit`` where a matrix is not positive semidefinite.

    Examples
    --------
    >>> print(symmetric_power(jnp.diag(jnp.array([4.0, 9.0]))))
    [[2. 0.]
     [0. 3.]]
    """
    check_range("power", power, open_low=True, open_high=True, hint="Make it finite.")
    result = _spectral(partial(_power_of_values, power), jnp.asarray(matrix))
    bad = jnp.isnan(result).any(axis=(-2, -1))
    refuse_matrices("matrix", matrix, bad, "positive semidefinite")
    return result


@keep_kind
def solve_psd(
    matrix: Float[Array, "*batch n n"], right: Float[Array, "*batch n k"]
) -> PsdSolution:
    """Solve positive semidefinite systems by Cholesky, with a jitter where needed.

    The jitter is the smallest of a few steps between eps and its square root, times
    the mean diagonal, with which the factorization succeeds. The derivative takes it
    as a constant.

    Parameters
    ----------
    matrix : array, shape (..., n, n)
        Positive semidefinite matrices; only their symmetric part counts.
    right : array, shape (..., n, k)
        The right-hand sides.

    Returns
    -------
    PsdSolution
        The solution, the jitter and whether it was solved.

    Examples
    --------
    >>> answer = solve_psd(2 * jnp.eye(2), jnp.ones((2, 1)))
    >>> print(answer.solution.ravel().round(3), answer.jitter)
    [0.5 0.5] 0.0
    """
    if matrix.shape != (*right.shape[:-1], *right.shape[-2:-1]):
        raise ShapeError(
            "matrix and right must have shapes (..., n, n) and (..., n, k), but got "
            f"{matrix.shape} and {right.shape}.",
            hint="Pass one right-hand side as a column, right[:, None].",
        )
    matrix, right = jnp.asarray(matrix), jnp.asarray(right)
    matrix = (matrix + matrix.mT) / 2
    if not isinstance(right, Tracer):
        check_finite("right", np.asarray(right))
    factor, jitter = _factorize(jax.lax.stop_gradient(matrix))
    solved = jnp.isfinite(factor).all(axis=(-2, -1))
    refuse_matrices("matrix", matrix, ~solved, "positive semidefinite")
    solution = jax.lax.custom_linear_solve(
        lambda unknown: matrix @ unknown,  # for derivatives: the jitter is constant
        right,
        lambda _, side: cho_solve((factor, True), side),
        symmetric=True,
    )
    return PsdSolution(solution, jitter, solved)


@keep_kind
def log_determinant(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch"]:
    """Logarithm of the determinant of a positive definite matrix.

    Parameters
    ----------
    matrix : array, shape (..., n, n)
        Positive definite matrices.

    Returns
    -------
    array, shape (...)
        The log-determinants; NaN inside ``jit`` where one is not positive definite.

    Examples
    --------
    >>> print(log_determinant(jnp.eye(3)))
    0.0
    """
    factor = jnp.linalg.cholesky(jnp.asarray(matrix))
    roots = jnp.diagonal(factor, axis1=-2, axis2=-1)
    result = 2 * jnp.log(roots).sum(axis=-1)
    refuse_matrices("matrix", matrix, jnp.isnan(result), "positive definite")
    return result


def numerical_rank(eigenvalues: Array, *, tolerance: float = 1e-7) -> int:
    """Count the eigenvalues that are not empty beside the largest, on the host.

    Parameters
    ----------
    eigenvalues : array, shape (n,)
        Eigenvalues of a positive semidefinite matrix, in any order and unit.
    tolerance : float
        Eigenvalues up to this fraction of the largest count as empty.

    Returns
    -------
    int
        The rank; 0 when nothing is above zero.

    Examples
    --------
    >>> numerical_rank(np.array([1e-12, 3e-20, 2e-12]))
    2
    """
    values = np.asarray(eigenvalues)
    check_shape("eigenvalues", values, (None,))
    check_finite("eigenvalues", values)
    check_range("tolerance", tolerance, low=0.0, high=1.0, open_high=True)
    return int((values > tolerance * values.max(initial=0.0)).sum())


@keep_kind
def is_skewed(matrix: Float[Array, "*batch n n"]) -> Bool[Array, "*batch"]:
    """Tell which matrices differ from their transpose by more than rounding.

    Parameters
    ----------
    matrix : array, shape (..., n, n)
        The matrices, in any unit.

    Returns
    -------
    array of bool, shape (...)
        Whether a difference passes root eps of the largest entry.

    Examples
    --------
    >>> bool(is_skewed(jnp.array([[1.0, 2.0], [0.0, 1.0]])))
    True
    """
    matrix = jnp.asarray(matrix)
    difference = jnp.abs(matrix - matrix.mT).max(axis=(-2, -1))
    eps = float(jnp.finfo(matrix.dtype).eps)
    return difference > eps**0.5 * jnp.abs(matrix).max(axis=(-2, -1))


def refuse_matrices(name: str, matrices: Array, bad: Array, wanted: str) -> None:
    """Refuse the first marked matrix of a stack; under ``jit`` or ``vmap`` do nothing.

    Parameters
    ----------
    name : str
        How the caller knows the argument.
    matrices : array, shape (..., n, n)
        The stack.
    bad : array of bool, shape (...)
        Which matrices are refused.
    wanted : str
        What they should have been.

    Examples
    --------
    >>> refuse_matrices("matrix", np.ones((1, 1, 1)), np.zeros(1, bool), "positive")
    """
    matrices = jax.lax.stop_gradient(matrices)  # under grad the values are known
    if isinstance(bad, Tracer) or isinstance(matrices, Tracer) or not np.any(bad):
        return
    index = tuple(np.argwhere(bad)[0].tolist())
    which = f"{name}{list(index)}" if index else name
    fault = _describe(np.asarray(matrices)[index])
    raise InputError(
        f"{name} must be {wanted}, but {which} {fault}.",
        hint="Leave out or shrink what makes it so, or project on what is not empty.",
    )


@jax.custom_jvp
def _eigh(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@_eigh.defjvp
def _eigh_jvp(primals: tuple, tangents: tuple) -> tuple:
    values, vectors = _eigh(*primals)
    turned = _turn(tangents[0], vectors)
    scale = jnp.abs(values).mean(axis=-1)[..., None, None]
    scale = jnp.where(scale > 0, scale, 1)
    # In units of the scale: in float32 the square of a physical gap underflows.
    gaps = (values[..., None, :] - values[..., :, None]) / scale
    rotation = gaps / (gaps**2 + _BROADENING**2) * turned / scale
    # Its own slope at no gap, 1 / _BROADENING^2, would drown a second derivative.
    rotation = jnp.where(gaps == 0, 0, rotation)
    slopes = jnp.diagonal(turned, axis1=-2, axis2=-1)
    return (values, vectors), (slopes, vectors @ rotation)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _spectral(function: Callable, matrix: jax.Array) -> jax.Array:
    values, vectors = _eigh(matrix)
    return _compose(function(values), vectors)


@_spectral.defjvp
def _spectral_jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple:
    """Daleckii-Krein: divided differences of the function, in the eigenbasis."""
    values, vectors = _eigh(*primals)
    images, slopes = jax.jvp(function, (values,), (jnp.ones_like(values),))
    gaps = values[..., :, None] - values[..., None, :]
    rises = images[..., :, None] - images[..., None, :]
    slopes = (slopes[..., :, None] + slopes[..., None, :]) / 2
    sizes = (jnp.abs(images)[..., :, None] + jnp.abs(images)[..., None, :]) / 2
    # The quotient loses eps * size / rise, the mean slope (rise / size)^2 / 12: this
    # is where they are equal.
    border = jnp.finfo(values.dtype).eps ** (1 / 3) * sizes
    near = jnp.abs(gaps * slopes) <= border
    quotients = jnp.where(near, slopes, rises / jnp.where(near, 1, gaps))
    inner = quotients * _turn(tangents[0], vectors)
    return _compose(images, vectors), vectors @ inner @ vectors.mT


def _describe(matrix: np.ndarray) -> str:
    if not np.isfinite(matrix).all():
        return "holds NaN or Inf"
    if is_skewed(matrix):
        return "is not symmetric"
    values = np.linalg.eigvalsh(matrix)
    return (
        f"has rank {numerical_rank(values)} of {len(values)} and eigenvalues from "
        f"{values[0]:.3g} to {values[-1]:.3g}"
    )


def _turn(tangent: Array, vectors: jax.Array) -> jax.Array:
    return vectors.mT @ ((tangent + tangent.mT) / 2) @ vectors


def _compose(values: jax.Array, vectors: jax.Array) -> jax.Array:
    return (vectors * values[..., None, :]) @ vectors.mT


def _power_of_values(power: float, values: jax.Array) -> jax.Array:
    eps = float(jnp.finfo(values.dtype).eps)
    largest = values.max(axis=-1, keepdims=True)
    filled = values > values.shape[-1] * eps * largest
    powers = jnp.where(filled, jnp.where(filled, values, 1) ** power, 0)
    return jnp.where(values < -(eps**0.5) * largest, jnp.nan, powers)


def _factorize(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    eps = float(jnp.finfo(matrix.dtype).eps)
    steps = jnp.asarray([0, *np.geomspace(eps, eps**0.5, 5)], matrix.dtype)
    size = jnp.trace(matrix, axis1=-2, axis2=-1) / matrix.shape[-1]
    places = jnp.arange(matrix.shape[-1])

    def attempt(rung: jax.Array) -> tuple[jax.Array, jax.Array]:
        jitter = (steps[rung] * size)[..., None]
        return rung, jnp.linalg.cholesky(matrix.at[..., places, places].add(jitter))

    def can_climb(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        rung, factor = state
        failed = ~jnp.isfinite(factor).all(axis=(-2, -1))
        return failed & (rung < len(steps) - 1)

    rung, factor = jax.lax.while_loop(
        lambda state: can_climb(state).any(),
        lambda state: attempt(state[0] + can_climb(state)),
        attempt(jnp.zeros(size.shape, int)),
    )
    return factor, steps[rung] * size
