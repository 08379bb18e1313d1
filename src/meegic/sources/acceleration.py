r"""Lower the cost of variances in few evaluations.

Plain updates of variances converge slowly. Two of them are extrapolated together, in
the square roots of the variances, by SQUAREM [1]_: with :math:`r = t_1 - t_0` and
:math:`v = t_2 - 2 t_1 + t_0` the next point is :math:`t_0 + 2 \alpha r + \alpha^2 v`,
:math:`\alpha = |r| / |v|`. Small groups that would be better off without variance are
taken out at once. A point that is worse than one update is not taken; after two of
those a step is made that cannot fail.

How much can still be gained is what the groups could gain one by one: exact near the
end, where few groups move and hardly disturb each other.

References
----------
.. [1] Varadhan and Roland (2008). Simple and globally convergent methods for
   accelerating the convergence of any EM algorithm. Scandinavian Journal of Statistics
   35(2), 335-353.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from meegic.base.arrays import Array
from meegic.sources.evidence import Evidence, Problem, Variances, evaluate_evidence

_LONGEST = 64.0  # the longest extrapolation, in updates
_PATIENCE = 2  # failed extrapolations in a row, after which a safe step is made
_CONVEX = 1  # where it stands among the rules
_SMALL = 1e-3  # of the largest variance: below it a group may be taken out at once


class Point(NamedTuple):
    """Variances and what they are worth."""

    variances: Variances
    evidence: Evidence


class Phase(IntEnum):
    """What the candidate is that is evaluated next."""

    UPDATE = 0  # one update from the best point
    FAR = 1  # two updates, extrapolated
    SECOND = 2  # two updates
    SINGLE = 3  # the best point, with one group's best variance
    SAFE = 4  # the update that never raises the cost


class Descent(NamedTuple):
    """Where a descent stands.

    Attributes
    ----------
    best, first : Point
        The best point so far, and one update from it.
    candidate : Variances
        What is evaluated next.
    phase : array of int, shape ()
        What the candidate is.
    n_failed : array of int, shape ()
        Extrapolations that failed since the last one that did not.
    remaining : array, shape ()
        How much lower the cost is predicted to get.
    n_evaluations : array of int, shape ()
        How often the evidence was evaluated.
    trace : array, shape (max_evaluations, 4)
        After each evaluation: the best cost, how many groups have a variance there,
        by which share of them the variances changed, and the mean noise of the kinds.
        NaN for evaluations that are still to come.
    """

    best: Point
    first: Point
    candidate: Variances
    phase: Int[Array, ""]
    n_failed: Int[Array, ""]
    remaining: Float[Array, ""]
    n_evaluations: Int[Array, ""]
    trace: Float[Array, "evaluations 4"]


def update_mackay(
    value: Array, observed: Array, expected: Array, n_orient: int
) -> Array:
    """Scale a variance by the power observed over the power expected.

    Examples
    --------
    >>> float(update_mackay(jnp.ones(()), jnp.array(4.0), jnp.array(2.0), 1))
    2.0
    """
    del n_orient
    return value * _divide(observed, expected)


def update_convex(
    value: Array, observed: Array, expected: Array, n_orient: int
) -> Array:
    """Minimize a bound that is convex; never raises the cost.

    Examples
    --------
    >>> float(update_convex(jnp.ones(()), jnp.array(4.0), jnp.array(1.0), 1))
    2.0
    """
    del n_orient
    return value * jnp.sqrt(_divide(observed, expected))


def update_em(value: Array, observed: Array, expected: Array, n_orient: int) -> Array:
    """Take the mean posterior power of the coefficients; never raises the cost.

    Examples
    --------
    >>> float(update_em(jnp.ones(()), jnp.array(4.0), jnp.array(1.0), 1))
    4.0
    """
    return value + value**2 * (observed - expected) / n_orient


UPDATES: dict[str, Callable[[Array, Array, Array, int], Array]] = {
    "mackay": update_mackay,
    "convex": update_convex,
    "em": update_em,
}
"""Rules by which a variance follows what is observed and what is expected of it."""


class Settings(NamedTuple):
    """How variances may move.

    Attributes
    ----------
    learned : array of bool, shape (n_kinds,)
        Which kinds of noise are learned; the others stay.
    rule : array of int, shape ()
        The update that is extrapolated: which of `UPDATES`.
    n_orient : int
        Coefficients in a group.
    """

    learned: Bool[Array, " kinds"]
    rule: Int[Array, ""]
    n_orient: int


def begin_descent(start: Variances, *, max_evaluations: int) -> Descent:
    """Stand before the first evaluation.

    Examples
    --------
    >>> start = Variances(jnp.ones(3), jnp.ones(1))
    >>> int(begin_descent(start, max_evaluations=9).n_evaluations)
    0
    """
    endless = jnp.full((), jnp.inf, start.gamma.dtype)
    nowhere = Point(start, Evidence(endless, start, start))
    return Descent(
        best=nowhere,
        first=nowhere,
        candidate=start,
        phase=jnp.asarray(Phase.SAFE),
        n_failed=jnp.zeros((), int),
        remaining=endless,
        n_evaluations=jnp.zeros((), int),
        trace=jnp.full((max_evaluations, 4), jnp.nan, start.gamma.dtype),
    )


def go_down(descent: Descent, problem: Problem, settings: Settings) -> Descent:
    """Evaluate the candidate, take it if it is better, and choose the next one.

    Parameters
    ----------
    descent : Descent
        Where the descent stands.
    problem : Problem
        What is explained, by what.
    settings : Settings
        How variances may move.

    Returns
    -------
    Descent
        Where it stands then; its best cost is not higher.

    Examples
    --------
    >>> one = jnp.ones(1)
    >>> same = jnp.zeros(1, int)
    >>> problem = Problem(one[None], 2 * one[None], same, 0 * one, one, one)
    >>> descent = begin_descent(Variances(one, one), max_evaluations=20)
    >>> for _ in range(20):
    ...     descent = go_down(descent, problem, Settings(one == 0, jnp.array(0), 1))
    >>> round(float(descent.best.variances.gamma[0]), 3)
    3.0
    """
    here = Point(descent.candidate, evaluate_evidence(problem, descent.candidate))
    phase, best = descent.phase, descent.best
    bar = jnp.where(
        phase == Phase.FAR,
        jnp.minimum(descent.first.evidence.cost, best.evidence.cost),
        best.evidence.cost,
    )
    good = (here.evidence.cost <= bar) & (phase != Phase.UPDATE)
    best = _choose(good, here, best)
    first = _choose(phase == Phase.UPDATE, here, descent.first)
    phase, n_failed = _choose_phase(phase, good, descent.n_failed)
    alone = find_best_alone(best, settings.n_orient)
    free = settings.learned & (best.variances.noise > problem.floor)
    left = alone.decrease.sum() + _predict_noise(best, free)
    told = _describe(descent.best.variances, best)
    # Where even the safe step does not help, rounding is all that is left.
    left = jnp.where((descent.phase == Phase.SAFE) & ~good, 0.0, left)
    return Descent(
        best=best,
        first=first,
        candidate=_find_candidate(phase, best, first, alone, problem, settings),
        phase=phase,
        n_failed=n_failed,
        remaining=left,
        n_evaluations=descent.n_evaluations + 1,
        trace=jnp.asarray(descent.trace).at[descent.n_evaluations].set(told),
    )


class Alone(NamedTuple):
    """What each group would be if it alone could change.

    Attributes
    ----------
    gamma : array, shape (n_groups,)
        The variance that explains the data best.
    decrease : array, shape (n_groups,)
        By how much that lowers the cost.
    """

    gamma: Float[Array, " groups"]
    decrease: Float[Array, " groups"]


def find_best_alone(point: Point, n_orient: int) -> Alone:
    """Find each group's best variance while all others stay.

    Exact for one orientation; several are taken to be alike.

    Parameters
    ----------
    point : Point
        Variances and their evidence.
    n_orient : int
        Coefficients in a group.

    Returns
    -------
    Alone
        Variances, and what they are worth.

    Examples
    --------
    >>> one = jnp.ones(1)
    >>> same = jnp.zeros(1, int)
    >>> problem = Problem(one[None], 2 * one[None], same, 0 * one, one, one)
    >>> variances = Variances(one, one)
    >>> point = Point(variances, evaluate_evidence(problem, variances))
    >>> round(float(find_best_alone(point, 1).gamma[0]), 3)
    3.0
    """
    gamma, evidence = point.variances.gamma, point.evidence
    expected = evidence.expected.gamma / n_orient
    without = jnp.maximum(1 - gamma * expected, jnp.finfo(gamma.dtype).eps)
    reach = expected / without  # as if the group were not there
    power = evidence.observed.gamma / n_orient / without**2
    some = reach > 0
    scale = jnp.where(some, reach, 1.0)
    best = jnp.where(some, jnp.maximum(power - scale, 0.0) / scale**2, gamma)

    def cost(value: Array) -> Array:
        share = 1 + value * reach
        return n_orient * (jnp.log(share) - value * power / share)

    return Alone(best, jnp.maximum(cost(gamma) - cost(best), 0.0))


def _choose_phase(phase: Array, good: Array, n_failed: Array) -> tuple[Array, Array]:
    n_failed = jnp.where(phase == Phase.FAR, jnp.where(good, 0, n_failed + 1), n_failed)
    worn = (phase == Phase.SECOND) & ((n_failed >= _PATIENCE) | ~good)
    n_failed = jnp.where(worn, 0, n_failed)
    following = jnp.select(
        [
            phase == Phase.UPDATE,
            (phase == Phase.FAR) & ~good,
            worn,
            (phase == Phase.SINGLE) & ~good,
        ],
        [Phase.FAR, Phase.SECOND, Phase.SINGLE, Phase.SAFE],
        Phase.UPDATE,
    )
    return following, n_failed


def _find_candidate(
    phase: Array,
    best: Point,
    first: Point,
    alone: Alone,
    problem: Problem,
    settings: Settings,
) -> Variances:
    second = _move(first, settings)
    far = _extrapolate(best.variances, first.variances, second)
    far = _settle(far, find_best_alone(first, settings.n_orient))
    candidates = [
        _move(best, settings),
        far,
        second,
        _set_best(best.variances, alone),
        _move(best, settings._replace(rule=jnp.asarray(_CONVEX))),
    ]
    candidate = jax.lax.select_n(phase, *[one.gamma for one in candidates])
    noise = jax.lax.select_n(phase, *[one.noise for one in candidates])
    noise = jnp.maximum(noise, problem.floor)
    noise = jnp.where(settings.learned, noise, best.variances.noise)
    return Variances(candidate, noise)


def _move(point: Point, settings: Settings) -> Variances:
    (gamma, noise), (_, observed, expected) = point
    rules = list(UPDATES.values())
    moved = [
        rule(gamma, observed.gamma, expected.gamma, settings.n_orient) for rule in rules
    ]
    # EM counts coefficients, which differ by kind of noise: it takes the convex step.
    rules[-1] = update_convex
    others = [rule(noise, observed.noise, expected.noise, 1) for rule in rules]
    return Variances(
        jax.lax.select_n(settings.rule, *moved),
        jax.lax.select_n(settings.rule, *others),
    )


def _extrapolate(start: Variances, first: Variances, second: Variances) -> Variances:
    """Go on along two updates; sources and noise each by their own length."""

    def reach(zero: Array, one: Array, two: Array) -> Array:
        change, bend = one - zero, two - 2 * one + zero
        size = jnp.maximum(jnp.linalg.norm(bend), jnp.finfo(bend.dtype).tiny)
        length = jnp.clip(jnp.linalg.norm(change) / size, 1.0, _LONGEST)
        return jnp.maximum(zero + 2 * length * change + length**2 * bend, 0.0) ** 2

    roots = [jax.tree.map(jnp.sqrt, one) for one in (start, first, second)]
    return jax.tree.map(reach, *roots)


def _settle(there: Variances, alone: Alone) -> Variances:
    """Take out small groups that do better without variance; call back others."""
    gamma = there.gamma
    small = (gamma < _SMALL * gamma.max()) & (alone.gamma == 0)
    gamma = jnp.where(gamma == 0, alone.gamma, gamma)
    return there._replace(gamma=jnp.where(small, 0.0, gamma))


def _set_best(there: Variances, alone: Alone) -> Variances:
    """Give the group that gains most by it its best variance."""
    most = alone.decrease.argmax()
    return there._replace(
        gamma=jnp.asarray(there.gamma).at[most].set(alone.gamma[most])
    )


def _describe(before: Variances, best: Point) -> Array:
    """Tell for the trace where the best point is."""
    gamma, noise = best.variances
    change = jnp.abs(gamma - before.gamma).sum() / before.gamma.sum()
    told = [best.evidence.cost, (gamma > 0).sum(), change, noise.mean()]
    return jnp.stack([one.astype(gamma.dtype) for one in told])


def _predict_noise(point: Point, learned: Array) -> Array:
    """Predict the decrease by the noise from its slope and curvature."""
    (_, noise), (_, observed, expected) = point
    slope = noise * (expected.noise - observed.noise)
    bend = noise * (expected.noise + observed.noise)
    return jnp.where(learned, slope**2 / bend, 0.0).sum()


def _choose(condition: Array, there: Any, here: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), there, here)


def _divide(observed: Array, expected: Array) -> Array:
    """Divide; where nothing is expected, nothing changes."""
    seen = expected > 0
    return jnp.where(seen, observed / jnp.where(seen, expected, 1.0), 1.0)
