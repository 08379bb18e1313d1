r"""How well variances of sources and of noise explain the data.

Data have the covariance :math:`S = G \Gamma G^\top + \Lambda` under the model, and
:math:`C = W W^\top` in fact. The cost is
:math:`F = \log\det S + \operatorname{tr}(S^{-1} C)`; the log evidence of T samples is
:math:`-T/2\,(F + M \log 2\pi)`. Its derivative in a group's variance is the power that
the model expects of the group, less the power that is observed. Every step costs
:math:`O(M^2 P)` and nothing has the size of the sources squared.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Float, Int

from meegic.base.arrays import Array


class Problem(NamedTuple):
    """What is explained, by what.

    Attributes
    ----------
    gain : array, shape (n_channels, n_groups * n_orient)
        What coefficients do to channels; the orientations of a group are neighbours.
    root : array, shape (n_channels, n_root)
        W, a root of the covariance of the data; the data by the root of their number
        where these are fewer than the channels.
    kinds : array of int, shape (n_channels,)
        Of which kind each channel's noise is; kinds count from zero.
    weight : array, shape (n_kinds,)
        How strongly the noise of a kind is drawn to what was measured.
    measured : array, shape (n_kinds,)
        What was measured.
    floor : array, shape (n_kinds,)
        What the noise of a kind is at least.
    """

    gain: Float[Array, "channels columns"]
    root: Float[Array, "channels root"]
    kinds: Int[Array, " channels"]
    weight: Float[Array, " kinds"]
    measured: Float[Array, " kinds"]
    floor: Float[Array, " kinds"]


class Variances(NamedTuple):
    """The unknowns, or something for each of them.

    Attributes
    ----------
    gamma : array, shape (n_groups,)
        Variance of each group of coefficients.
    noise : array, shape (n_kinds,)
        Variance of each kind of noise.
    """

    gamma: Float[Array, " groups"]
    noise: Float[Array, " kinds"]


class Evidence(NamedTuple):
    """The cost of variances, and what drives them.

    Attributes
    ----------
    cost : array, shape ()
        F; with the cost of leaving what was measured of the noise.
    observed, expected : Variances
        Power that is observed and expected; the derivative of F is expected less
        observed. They are equal where a variance is optimal and not zero.
    """

    cost: Float[Array, ""]
    observed: Variances
    expected: Variances


def evaluate_evidence(problem: Problem, variances: Variances) -> Evidence:
    """Compute the cost of variances, and what drives each of them.

    Parameters
    ----------
    problem : Problem
        What is explained, by what.
    variances : Variances
        Not negative; the noise is positive.

    Returns
    -------
    Evidence
        With a cost of NaN where the covariance is singular to rounding.

    Examples
    --------
    >>> one = jnp.ones(1)
    >>> same = jnp.zeros(1, int)
    >>> problem = Problem(one[None], 2 * one[None], same, 0 * one, one, one)
    >>> found = evaluate_evidence(problem, Variances(3 * one, one))
    >>> round(float(found.cost), 4), float(found.observed.gamma[0])
    (2.3863, 0.25)
    """
    gain, root = problem.gain, problem.root
    gamma, noise = variances
    n_groups, n_kinds = len(gamma), len(noise)
    spread = jnp.repeat(gamma, gain.shape[1] // n_groups)
    covariance = (gain * spread[None]) @ gain.T + jnp.diag(noise[problem.kinds])
    factor = jnp.linalg.cholesky(covariance)
    inverse = cho_solve((factor, True), jnp.eye(len(gain), dtype=gain.dtype))
    white = inverse @ root
    observed = ((gain.T @ white) ** 2).sum(axis=1).reshape(n_groups, -1).sum(axis=1)
    expected = (gain * (inverse @ gain)).sum(axis=0).reshape(n_groups, -1).sum(axis=1)
    left = jnp.diag(factor) ** 2  # of each channel's variance, given those before
    rounding = len(gain) * jnp.finfo(gain.dtype).eps
    lost = (left <= rounding * jnp.diag(covariance)).any()
    cost = jnp.where(lost, jnp.nan, jnp.log(left).sum() + (root * white).sum())
    by_channel = (white**2).sum(axis=1), jnp.diag(inverse)
    seen, wanted = (
        jax.ops.segment_sum(one, problem.kinds, n_kinds) for one in by_channel
    )
    pull = problem.weight * problem.measured / noise
    return Evidence(
        cost=cost + (problem.weight * jnp.log(noise) + pull).sum(),
        observed=Variances(observed, seen + pull / noise),
        expected=Variances(expected, wanted + problem.weight / noise),
    )
