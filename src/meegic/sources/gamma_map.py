"""Sparse Bayesian learning: a variance of its own for each group of coefficients."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from meegic.base.arrays import Array, precise, to_host
from meegic.base.errors import InputError
from meegic.sources.acceleration import (
    UPDATES,
    Descent,
    Point,
    Settings,
    begin_descent,
    go_down,
)
from meegic.sources.evidence import Evidence, Problem, Variances, evaluate_evidence

_GONE = 1e-12  # of the largest variance: a group below it that is not missed leaves
_PACKING = 1.41  # ratio of neighbouring sizes, so that few programs are compiled
_FEWEST = 256  # groups, below which compiling anew takes longer than it saves
_TRACE = 1024  # evaluations: histories have a multiple of this length, for one program
_MISSED = 1e-6  # by how much more power than expected a group that left is called back
_MAX_RETURNS = 20


@dataclass(frozen=True)
class Fitted:
    """Variances that explain the data best.

    Attributes
    ----------
    variances : Variances
        Of all groups and kinds of noise; zero for groups that left.
    cost : float
        F of these variances.
    trace : array, shape (n_evaluations, 4)
        After each evaluation the best cost, how many groups have a variance, by which
        share the variances changed, and the mean noise of the kinds.
    n_evaluations : int
        How often the evidence was evaluated.
    remaining : float
        How much lower the cost is predicted to get.
    stop_reason : 'evidence' | 'max_iter' | 'noise_floor'
        Why it ended.
    """

    variances: Variances
    cost: float
    trace: Float[np.ndarray, "evaluations 4"]
    n_evaluations: int
    remaining: float
    stop_reason: str

    @property
    def converged(self) -> bool:
        """Whether the cost is as low as asked for."""
        return self.stop_reason != "max_iter"


def learn_variances(
    problem: Problem,
    start: Variances,
    *,
    learned: Bool[Array, " kinds"],
    rule: str = "mackay",
    max_iter: int = 1000,
    tolerance: float = 1e-6,
) -> Fitted:
    """Find the variances that explain the data best.

    Groups whose variance vanishes leave the computation, and are called back when the
    data miss them in the end.

    Parameters
    ----------
    problem : Problem
        What is explained, by what.
    start : Variances
        Where to begin. A group without variance is called back when data miss it.
    learned : array of bool, shape (n_kinds,)
        Which kinds of noise are learned; the others stay.
    rule : 'mackay' | 'convex' | 'em'
        The update that is accelerated.
    max_iter : int
        How often the evidence is evaluated at most.
    tolerance : float
        Of the cost, in units of it or of the number of channels if that is larger.

    Returns
    -------
    Fitted
        The variances, and how they were found.

    Examples
    --------
    >>> one = np.ones(1)
    >>> kinds = np.zeros(1, int)
    >>> problem = Problem(one[None], 2 * one[None], kinds, 0 * one, one, one)
    >>> found = learn_variances(
    ...     problem, Variances(one, one), learned=one == 0, tolerance=1e-10
    ... )
    >>> found.variances.gamma.round(3), found.stop_reason
    (array([3.]), 'evidence')
    """
    n_groups = len(start.gamma)
    n_orient = problem.gain.shape[1] // n_groups
    trace, n_left, n_returns = [], max_iter, 0
    with precise():
        problem, variances = jax.tree.map(jnp.asarray, (problem, start))
        learned = jnp.asarray(learned)
        while True:
            inside = np.flatnonzero(variances.gamma > 0)
            part = _pack(problem, inside, n_orient)
            n_fill = part.gain.shape[1] // n_orient - len(inside)
            gamma = jnp.pad(variances.gamma[inside], (0, n_fill))
            descent = begin_descent(
                variances._replace(gamma=gamma),
                max_evaluations=-(-max_iter // _TRACE) * _TRACE,
            )
            descent = _descend(
                *(descent, part, learned, tolerance, n_left),
                len(inside) - _count_packable(part.gain.shape[1] // n_orient),
                list(UPDATES).index(rule),
                n_orient=n_orient,
            )
            trace.append(np.asarray(descent.trace[: int(descent.n_evaluations)]))
            n_left -= int(descent.n_evaluations)
            variances = _unpack(descent.best, inside, n_groups)
            done = bool(_is_done(descent, tolerance, len(part.gain)))
            if n_left > 0 and not done:
                continue  # so many groups left that a smaller problem pays
            evidence = evaluate_evidence(problem, variances)
            missed = _find_missed(variances, evidence)
            n_returns += 1
            if n_left <= 0 or not missed.any() or n_returns > _MAX_RETURNS:
                break
            variances = _call_back(variances, evidence, missed)
    floored = bool((learned & (variances.noise <= problem.floor)).any())
    reason = "noise_floor" if floored else "evidence"
    return Fitted(
        variances=to_host(variances),
        cost=_check_cost(float(evidence.cost)),
        trace=np.concatenate(trace),
        n_evaluations=max_iter - n_left,
        remaining=float(descent.remaining),
        stop_reason=reason if done else "max_iter",
    )


def _check_cost(cost: float) -> float:
    if np.isfinite(cost):
        return cost
    raise InputError(
        "noise is too small beside the sources: the covariance of the data under the "
        "model is singular in float64.",
        hint="Is the noise in the squared unit of the data?",
    )


@partial(jax.jit, static_argnames=("n_orient",))
def _descend(
    descent: Descent,
    problem: Problem,
    learned: Array,
    tolerance: float | Array,
    max_evaluations: int | Array,
    n_leaving: int | Array,
    rule: int | Array,
    *,
    n_orient: int,
) -> Descent:
    """Go down until little can be gained, the time is up, or packing pays."""

    def go_on(descent: Descent) -> Array:
        room = descent.n_evaluations < max_evaluations
        pays = _find_gone(descent.best).sum() > n_leaving
        return room & ~_is_done(descent, tolerance, len(problem.gain)) & ~pays

    settings = Settings(learned, jnp.asarray(rule), n_orient)
    step = partial(go_down, problem=problem, settings=settings)
    return jax.lax.while_loop(go_on, step, descent)


def _count_packable(n_groups: int) -> int:
    """Count the groups at which, of so many, a smaller problem pays."""
    return int(n_groups / _PACKING**2) if n_groups > _FEWEST else 0


def _is_done(descent: Descent, tolerance: float | Array, n_channels: int) -> Array:
    scale = jnp.maximum(jnp.abs(descent.best.evidence.cost), n_channels)
    begun = descent.n_evaluations > 0
    return begun & (descent.remaining <= tolerance * scale)


def _find_gone(point: Point) -> Array:
    """Find the groups that vanish."""
    gamma, evidence = point.variances.gamma, point.evidence
    silent = evidence.observed.gamma < evidence.expected.gamma
    return silent & (gamma < _GONE * gamma.max())


def _find_missed(variances: Variances, evidence: Evidence) -> Array:
    """Find the groups that left although the data have more power than expected."""
    wanted = (1 + _MISSED) * evidence.expected.gamma
    return (variances.gamma == 0) & (evidence.observed.gamma > wanted)


def _call_back(variances: Variances, evidence: Evidence, missed: Array) -> Variances:
    """Give groups that are missed the variance that would be the best for one alone."""
    observed, expected = evidence.observed.gamma, evidence.expected.gamma
    back = jnp.where(missed, (observed - expected) / expected**2, 0.0)
    return variances._replace(gamma=variances.gamma + back)


def _pack(problem: Problem, inside: np.ndarray, n_orient: int) -> Problem:
    """Leave out the groups that left; zeros fill the rest up to one of few sizes."""
    n_groups = problem.gain.shape[1] // n_orient
    size = min(_FEWEST, n_groups)
    while size < len(inside):
        size = int(np.ceil(size * _PACKING))
    size = min(size, n_groups)
    gain = problem.gain.reshape(len(problem.gain), n_groups, n_orient)[:, inside]
    gain = jnp.pad(gain, [(0, 0), (0, size - len(inside)), (0, 0)])
    return problem._replace(gain=gain.reshape(len(gain), -1))


def _unpack(point: Point, inside: np.ndarray, n_groups: int) -> Variances:
    gamma = jnp.where(_find_gone(point), 0.0, point.variances.gamma)[: len(inside)]
    return point.variances._replace(gamma=jnp.zeros(n_groups).at[inside].set(gamma))
