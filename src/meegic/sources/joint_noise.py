"""Variances of the sources with those of the noise: search, and whether data tell."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from meegic.sources.evidence import Variances
from meegic.sources.gamma_map import Fitted, learn_variances
from meegic.sources.minimum_norm import Prior, Spectrum, find_both, find_gamma
from meegic.sources.problem import Task

_FACTOR, _RISE = 10.0, 2.0  # a noise this much off must cost this much log evidence
_MOST_KINDS = 4  # with more kinds of noise they are all looked at together


def search_variances(
    task: Task, gamma: Float[np.ndarray, " groups"]
) -> tuple[Fitted, bool]:
    """Search the best variances, and tell whether noise can be told from sources.

    Parameters
    ----------
    task : Task
        What is to be explained, and how.
    gamma : array, shape (n_groups,)
        Where to begin.

    Returns
    -------
    fitted : Fitted
        The variances.
    known : bool
        Whether the data tell the noise, where it is learned.

    Examples
    --------
    >>> from meegic.sources.problem import SourceProblem, take_task
    >>> task = take_task(SourceProblem(np.eye(2), 2 * np.eye(2), noise=1.0), None)
    >>> fitted, known = search_variances(task, np.ones(2))
    >>> fitted.variances.gamma.round(3), known
    (array([1., 1.]), True)
    """
    options, core = task.options, task.core

    def learn(start: Variances, learned: np.ndarray, weight: np.ndarray) -> Fitted:
        return learn_variances(
            core._replace(weight=weight), start, learned=learned, rule=options.update,
            max_iter=options.max_iter, tolerance=options.tol,
        )  # fmt: skip

    def measure_rise(moved: np.ndarray, factor: float) -> float:
        """Measure what noise that is off would cost, whatever was measured of it."""
        best = found.variances.noise
        noise = np.where(moved, factor * best, best)
        weight = np.where(moved, 0.0, core.weight)
        others = learn(Variances(gamma, noise), ~moved, weight)
        pull = (core.weight * (np.log(best) + core.measured / best))[moved].sum()
        return others.cost - (found.cost - float(pull))

    n_kinds = len(task.noise)
    learned = np.full(n_kinds, options.learn_noise)
    found = learn(Variances(gamma, task.noise), learned, np.asarray(core.weight))
    if not options.learn_noise:
        return found, True
    together = np.ones((1, n_kinds), bool)
    each = np.eye(n_kinds, dtype=bool) if n_kinds <= _MOST_KINDS else together
    known = found.stop_reason != "noise_floor" and all(
        _is_told(lambda factor, moved=moved: measure_rise(moved, factor), task)
        for moved in each
    )
    return found, known


def search_both(task: Task, spectrum: Spectrum) -> tuple[Fitted, bool]:
    """Find one variance of all sources and one of the noise, at the lowest cost.

    Parameters
    ----------
    task : Task
        What is to be explained, and how.
    spectrum : Spectrum
        What the evidence depends on.

    Returns
    -------
    fitted : Fitted
        The variances.
    known : bool
        Whether the data tell the noise, where it is learned.

    Examples
    --------
    >>> from meegic.sources.minimum_norm import decompose
    >>> from meegic.sources.problem import SourceProblem, take_task
    >>> task = take_task(SourceProblem(np.eye(2), 2 * np.eye(2), noise=1.0), None)
    >>> fitted, known = search_both(task, decompose(np.eye(2), 2 * np.eye(2)))
    >>> fitted.variances.gamma.round(6), known
    (array([3.]), True)
    """
    noise, reason, known, extra = float(task.noise[0]), "evidence", True, 0.0
    if task.options.learn_noise:
        prior = Prior(*(float(one[0]) for one in task.core[3:]))
        gamma, noise, n_evaluations = find_both(spectrum, prior)
        extra = prior.cost(noise)
        reason = "noise_floor" if noise <= prior.floor else "evidence"
    else:
        gamma, n_evaluations = find_gamma(spectrum, noise)
    cost = spectrum.cost(gamma, noise)

    def measure_rise(factor: float) -> float:
        other = factor * noise
        return spectrum.cost(find_gamma(spectrum, other)[0], other) - cost

    if task.options.learn_noise:
        known = reason == "evidence" and _is_told(measure_rise, task)
    n_columns = task.gain.shape[1] if gamma else 0
    fitted = Fitted(
        Variances(np.array([gamma]), np.array([noise])),
        cost + extra,
        np.array([[cost + extra, n_columns, 0.0, noise]]),
        n_evaluations,
        0.0,
        reason,
    )
    return fitted, known


def _is_told(measure_rise: Callable[[float], float], task: Task) -> bool:
    """Tell whether the evidence falls on both sides of the noise that was found."""
    half = task.problem.data.shape[1] / 2
    return all(half * measure_rise(one) >= _RISE for one in (_FACTOR, 1 / _FACTOR))
