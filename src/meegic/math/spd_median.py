r"""The matrix that is nearest to most of a set of symmetric positive definite ones.

The geometric median :math:`\arg\min_M \sum_i d(M, C_i)` in the affine-invariant
distance, found as on flat ground by weighing every log map by one over its length
[1]_. How far outliers are hardly matters.

References
----------
.. [1] Fletcher, Venkatasubramanian & Joshi (2009). The geometric median on Riemannian
   manifolds with application to robust atlas estimation. NeuroImage 45(1), S143-S152.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array, precise, to_host
from meegic.base.checks import check_range, check_shape
from meegic.math.linalg import symmetric_function, symmetric_power
from meegic.math.loops import FixedPoint, fixed_point
from meegic.math.spd import take_spd

# Matrices looked at together: what bounds the memory.
_GROUP = 64

# Distances have no unit: the length below which a matrix counts as the median.
_HERE = 1e-12


def fit_covariance_median(
    covariances: Float[Array, "matrices n n"],
    *,
    tolerance: float = 1e-6,
    max_iter: int = 100,
) -> FixedPoint:
    """Find the affine-invariant geometric median, with the history of the search.

    Starts at the arithmetic mean, in float64. A step that makes the sum of distances
    larger is undone and halved.

    Parameters
    ----------
    covariances : array, shape (n_matrices, n, n)
        Symmetric positive definite matrices, in any unit.
    tolerance : float
        Ends the search when a step is shorter than this, in the affine-invariant
        distance.
    max_iter : int
        The largest number of rounds.

    Returns
    -------
    FixedPoint
        The median as ``state``, shape (n, n), whether it converged, and in
        ``changes`` the length of the steps.

    Examples
    --------
    >>> stack = np.array([np.eye(2), np.eye(2), np.eye(2), 1e6 * np.eye(2)])
    >>> print(fit_covariance_median(stack).state.round(5))
    [[1. 0.]
     [0. 1.]]
    """
    check_range("tolerance", tolerance, low=0.0)
    with precise():
        stack = np.asarray(covariances, np.float64)
        check_shape("covariances", stack, (None, None, None))
        take_spd("covariances", stack)
        n_filled = -len(stack) % _GROUP
        size = stack.shape[1]
        counts = np.pad(np.ones(len(stack)), (0, n_filled))
        filled = np.concatenate([stack, np.repeat(stack[:1], n_filled, axis=0)])
        return to_host(
            _find_median(
                jnp.asarray(filled.reshape(-1, _GROUP, size, size)),
                jnp.asarray(counts.reshape(-1, _GROUP)),
                jnp.asarray(stack.mean(axis=0)),
                tolerance,
                max_iter,
            )
        )


class _Search(NamedTuple):
    """The best median so far, its sum of distances, where to go, and how much of it."""

    median: jax.Array
    total: jax.Array
    pull: jax.Array
    step: jax.Array


@partial(jax.jit, static_argnames="max_iter")
def _find_median(
    groups: jax.Array,
    counts: jax.Array,
    start: jax.Array,
    tolerance: float | Array,
    max_iter: int,
) -> FixedPoint:
    def advance(best: _Search) -> tuple[_Search, jax.Array]:
        root = symmetric_power(best.median, 0.5)
        rise = symmetric_function(jnp.exp, best.step * best.pull)
        median = jnp.asarray(root @ rise @ root)
        total, pull = _look_around(median, groups, counts)
        trial = _Search(median, total, pull, best.step)
        shorter = best._replace(step=best.step / 2)
        better = total <= best.total  # not with NaN
        kept = jax.tree.map(partial(jnp.where, better), trial, shorter)
        return kept, kept.step * jnp.linalg.norm(kept.pull)

    here = _Search(start, jnp.asarray(jnp.inf), 0 * start, jnp.asarray(1.0))
    found = fixed_point(advance, here, max_iter=max_iter, tolerance=tolerance)
    return replace(found, state=found.state.median)


def _look_around(
    center: jax.Array, groups: jax.Array, counts: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sum the distances, and average the log maps by one over their length."""
    root = symmetric_power(center, -0.5)

    def add(sums: tuple, group: tuple) -> tuple:
        matrices, present = group
        logs = symmetric_function(jnp.log, root @ matrices @ root)
        lengths = jnp.linalg.norm(logs, axis=(-2, -1))
        weights = present / (lengths + _HERE)
        total, weight, pull = sums
        pull = pull + jnp.tensordot(weights, logs, 1)
        return (total + present @ lengths, weight + weights.sum(), pull), None

    zero = jnp.zeros(())
    sums = jax.lax.scan(add, (zero, zero, 0 * center), (groups, counts))[0]
    return sums[0], sums[2] / sums[1]
