"""Riemannian geometry of symmetric positive definite matrices.

The metric is the affine-invariant one: nothing changes when all matrices are taken
to ``W @ matrix @ W.T``, so neither the unit nor an invertible mixture matters.
NumPy in is NumPy out, float64 in float64 whatever JAX's flag says (`keep_kind`).
"""

import warnings
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.linalg import solve_triangular
from jaxtyping import Float

from meegic.base.arrays import Array, keep_kind, precise, to_host
from meegic.base.checks import check_finite, check_range, check_shape
from meegic.base.errors import ConvergenceError, ConvergenceWarning, ShapeError
from meegic.math.linalg import (
    eigh_safe,
    is_skewed,
    refuse_matrices,
    symmetric_function,
    symmetric_power,
)
from meegic.math.loops import FixedPoint, fixed_point


@keep_kind
def riemannian_distance(
    a: Float[Array, "*#batch n n"], b: Float[Array, "*#batch n n"]
) -> Float[Array, "..."]:
    r"""Distance :math:`\sqrt{\sum_i \log^2 \lambda_i(A^{-1} B)}`.

    Its derivative at equal matrices, where it has a kink, is 0.

    Parameters
    ----------
    a, b : array, shape (..., n, n)
        Symmetric positive definite matrices in any unit, the same for both.

    Returns
    -------
    array, shape (...)
        The distances.

    Examples
    --------
    >>> print(riemannian_distance(jnp.eye(2), jnp.diag(jnp.array([1.0, jnp.e]))))
    1.0
    """
    a, b = take_spd("a", a), take_spd("b", b)
    values, _ = eigh_safe(_whiten(b, jnp.linalg.cholesky(a)))
    square = (jnp.log(values) ** 2).sum(axis=-1)
    apart = square > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1)), 0)


@keep_kind
def log_map(
    matrix: Float[Array, "*#batch n n"], reference: Float[Array, "*#batch n n"]
) -> Float[Array, "..."]:
    """Direction and length of the way from the reference to a matrix.

    Parameters
    ----------
    matrix, reference : array, shape (..., n, n)
        Symmetric positive definite matrices.

    Returns
    -------
    array, shape (..., n, n)
        Symmetric matrices, tangent at the reference, in the unit of the matrices.

    Examples
    --------
    >>> print(log_map(jnp.eye(2), jnp.eye(2)))
    [[0. 0.]
     [0. 0.]]
    """
    matrix, reference = take_spd("matrix", matrix), take_spd("reference", reference)
    factor = jnp.linalg.cholesky(reference)
    return _color(symmetric_function(jnp.log, _whiten(matrix, factor)), factor)


@keep_kind
def exp_map(
    tangent: Float[Array, "*#batch n n"], reference: Float[Array, "*#batch n n"]
) -> Float[Array, "..."]:
    """Where one arrives from the reference along a tangent; inverse of `log_map`.

    Parameters
    ----------
    tangent : array, shape (..., n, n)
        Symmetric matrices, in the unit of the reference.
    reference : array, shape (..., n, n)
        Symmetric positive definite matrices.

    Returns
    -------
    array, shape (..., n, n)
        Symmetric positive definite matrices.

    Examples
    --------
    >>> print(exp_map(jnp.zeros((2, 2)), jnp.eye(2)))
    [[1. 0.]
     [0. 1.]]
    """
    if not isinstance(tangent, Tracer):
        check_finite("tangent", np.asarray(tangent))
    factor = jnp.linalg.cholesky(take_spd("reference", reference))
    inner = symmetric_function(jnp.exp, _whiten(tangent, factor))
    return _color(inner, factor)


@keep_kind
def geodesic(
    a: Float[Array, "*#batch n n"], b: Float[Array, "*#batch n n"], *, position: float
) -> Float[Array, "..."]:
    """Go a part of the shortest way from one matrix to another.

    Parameters
    ----------
    a, b : array, shape (..., n, n)
        Symmetric positive definite matrices in the same unit.
    position : float
        0 stays at ``a``, 1 arrives at ``b``, 0.5 is their mean.

    Returns
    -------
    array, shape (..., n, n)
        Symmetric positive definite matrices.

    Examples
    --------
    >>> print(geodesic(jnp.eye(1), 4 * jnp.eye(1), position=0.5))
    [[2.]]
    """
    check_range(
        "position", position, open_low=True, open_high=True, hint="Make it finite."
    )
    factor = jnp.linalg.cholesky(take_spd("a", a))
    inner = _whiten(take_spd("b", b), factor)
    part = symmetric_function(lambda values: values**position, inner)
    return _color(part, factor)


def fit_covariance_mean(
    covariances: Float[Array, "matrices n n"],
    *,
    weights: Float[Array, " matrices"] | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 50,
) -> FixedPoint:
    """Find the affine-invariant mean, with the history of the search.

    Starts at the arithmetic mean and follows the mean of the log maps, in float64. A
    step that does not take off half as much of their norm as it would on flat ground
    is undone and halved, so widely spread matrices are no obstacle.

    Parameters
    ----------
    covariances : array, shape (n_matrices, n, n)
        Symmetric positive definite matrices.
    weights : array, shape (n_matrices,) | None
        How much each counts; 0 leaves it out. ``None``: all alike.
    tolerance : float
        Ends the search when the norm of the mean log map at the mean, whitened by it,
        is below it.
    max_iter : int
        The largest number of rounds.

    Returns
    -------
    FixedPoint
        The mean as ``state``, shape (n, n), whether it converged, and in ``changes``
        the norm at the best mean so far.

    Examples
    --------
    >>> result = fit_covariance_mean(np.array([np.eye(2), 4 * np.eye(2)]))
    >>> print(result.state.round(6), result.converged)
    [[2. 0.]
     [0. 2.]] True
    """
    check_range("tolerance", tolerance, low=0.0)
    with precise():
        stack = np.asarray(covariances, np.float64)
        check_shape("covariances", stack, (None, None, None))
        counts = np.ones(len(stack)) if weights is None else np.asarray(weights, float)
        check_shape("weights", counts, (len(stack),))
        matrices = take_spd("covariances", fill_stack(stack))
        shares = np.pad(counts / counts.sum(), (0, len(matrices) - len(stack)))
        found = to_host(_find_mean(matrices, shares, tolerance, max_iter))
    if found.stop_reason == "not_finite":
        raise ConvergenceError(
            "The search for the mean of covariances could not start: their arithmetic "
            "mean, or its log maps, are not finite.",
            hint="Use a smaller unit, or leave out matrices with huge entries.",
        )
    return found


def covariance_mean(
    covariances: Float[Array, "matrices n n"],
    *,
    weights: Float[Array, " matrices"] | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 50,
) -> Float[np.ndarray, "n n"]:
    """Affine-invariant mean; warns where the search for it did not converge.

    Parameters
    ----------
    covariances, weights, tolerance, max_iter
        As in `fit_covariance_mean`.

    Returns
    -------
    array, shape (n, n)
        The mean, in float64.

    Examples
    --------
    >>> print(covariance_mean(np.array([np.eye(2), 4 * np.eye(2)])).round(6))
    [[2. 0.]
     [0. 2.]]
    """
    result = fit_covariance_mean(
        covariances, weights=weights, tolerance=tolerance, max_iter=max_iter
    )
    if not result.converged:
        last = result.changes[result.n_iter - 1]
        warnings.warn(
            f"The mean did not converge in {max_iter} rounds: the norm of the mean log "
            f"map is {last:.2g}, the tolerance is {tolerance:g}.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return result.state


@keep_kind
def tangent_space_vectorize(
    tangent: Float[Array, "*batch n n"],
) -> Float[Array, "*batch entries"]:
    """Upper triangles in rows, with off-diagonal entries times the root of 2.

    So the norm of a vector is the Frobenius norm of its matrix.

    Parameters
    ----------
    tangent : array, shape (..., n, n)
        Symmetric matrices.

    Returns
    -------
    array, shape (..., n * (n + 1) / 2)
        The vectors.

    Examples
    --------
    >>> print(tangent_space_vectorize(jnp.eye(2)))
    [1. 0. 1.]
    """
    tangent = jnp.asarray(tangent)
    rows, columns = np.triu_indices(tangent.shape[-1])
    entries = tangent[..., rows, columns]
    return jnp.where(rows == columns, entries, 2**0.5 * entries)


@keep_kind
def map_tangent_space(
    covariances: Float[Array, "matrices n n"],
    mean: Float[Array, "n n"] | None = None,
) -> Float[Array, "matrices entries"]:
    r"""Vectors of :math:`\log(M^{-1/2} C M^{-1/2})`, the tangent space at the mean.

    The norm of a vector is the distance of its matrix to the mean.

    Parameters
    ----------
    covariances : array, shape (n_matrices, n, n)
        Symmetric positive definite matrices in any unit.
    mean : array, shape (n, n) | None
        The reference. ``None`` takes the `covariance_mean`.

    Returns
    -------
    array, shape (n_matrices, n * (n + 1) / 2)
        The vectors, without a unit.

    Examples
    --------
    >>> print(map_tangent_space(jnp.eye(2)[None], jnp.eye(2)))
    [[0. 0. 0.]]
    """
    covariances = take_spd("covariances", covariances)
    mean = take_spd("mean", covariance_mean(covariances) if mean is None else mean)
    root = symmetric_power(mean, -0.5)
    logs = symmetric_function(jnp.log, root @ covariances @ root)
    return tangent_space_vectorize(logs)


def fill_stack(stack: Float[np.ndarray, "some n n"]) -> Float[np.ndarray, "more n n"]:
    """Repeat the first matrix behind the last, up to one of few numbers.

    JAX makes a program for each number of matrices, which takes seconds.

    Examples
    --------
    >>> [len(fill_stack(np.ones((n, 1, 1)))) for n in (3, 60, 61, 65)]
    [3, 64, 64, 80]
    """
    few = 2 ** max(len(stack).bit_length() - 3, 0)
    return np.concatenate([stack, np.repeat(stack[:1], -len(stack) % few, axis=0)])


class _Search(NamedTuple):
    """The best mean so far, where its log maps lead, how far, and the next step."""

    mean: jax.Array
    log: jax.Array
    norm: jax.Array
    step: jax.Array


@partial(jax.jit, static_argnames="max_iter")
def _find_mean(
    matrices: jax.Array, shares: Array, tolerance: float | Array, max_iter: int
) -> FixedPoint:
    def advance(best: _Search) -> tuple[_Search, jax.Array]:
        factor = jnp.linalg.cholesky(best.mean)
        rise = symmetric_function(jnp.exp, best.step * best.log)
        mean = _color(rise, factor)
        factor = jnp.linalg.cholesky(mean)
        logs = symmetric_function(jnp.log, _whiten(matrices, factor))
        log = jnp.tensordot(shares, logs, 1)
        trial = _Search(mean, log, jnp.linalg.norm(log), best.step)
        # Along the log map its norm falls at least as fast as on flat ground, by the
        # step, when the step is short. NaN is no better either.
        better = trial.norm < (1 - best.step / 2) * best.norm
        shorter = best._replace(step=best.step / 2)
        kept = jax.tree.map(partial(jnp.where, better), trial, shorter)
        return kept, kept.norm

    mean = jnp.tensordot(shares, matrices, 1)
    start = _Search(mean, 0 * mean, jnp.asarray(jnp.inf), jnp.asarray(1.0))
    found = fixed_point(advance, start, max_iter=max_iter, tolerance=tolerance)
    return replace(found, state=found.state.mean)


def take_spd(name: str, matrices: Array) -> jax.Array:
    """Take symmetric positive definite matrices, or name the first that is not.

    Examples
    --------
    >>> take_spd("covariances", np.eye(2)[None]).shape
    (1, 2, 2)
    """
    matrices = jnp.asarray(matrices)
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2]:
        raise ShapeError(
            f"{name} must be square in its last two axes, but got {matrices.shape}."
        )
    factor = jnp.linalg.cholesky(matrices)
    bad = ~jnp.isfinite(factor).all(axis=(-2, -1)) | is_skewed(matrices)
    refuse_matrices(name, matrices, bad, "symmetric positive definite")
    return matrices


def _whiten(matrices: Array, factor: jax.Array) -> jax.Array:
    """Take the Cholesky factor off both sides.

    Any root of the reference does: two of them differ by a rotation, which distances
    and maps do not see. A Cholesky factor is the cheapest.
    """
    eye = jnp.broadcast_to(jnp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
    inverse = solve_triangular(factor, eye, lower=True)
    return inverse @ matrices @ inverse.mT


def _color(matrices: Array, factor: jax.Array) -> jax.Array:
    return factor @ matrices @ factor.mT
