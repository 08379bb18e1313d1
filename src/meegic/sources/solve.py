"""From a problem to a solution: what every solver of sources begins and ends with."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array, precise
from meegic.base.checks import check_range
from meegic.base.errors import ConvergenceWarning, DataWarning, OptionError
from meegic.math.linalg import symmetric_power
from meegic.sources.eloreta import fit_eloreta
from meegic.sources.evidence import Variances, evaluate_evidence
from meegic.sources.gamma_map import Fitted
from meegic.sources.joint_noise import search_both, search_variances
from meegic.sources.leadfield import take_reals
from meegic.sources.minimum_norm import decompose
from meegic.sources.posterior import Posterior
from meegic.sources.problem import SolverOptions, SourceProblem, Task, take_task


class History(NamedTuple):
    """How a search went; one entry for each time that evidence was evaluated.

    Attributes
    ----------
    cost : array
        The best cost F so far.
    n_active : array of int
        How many groups have a variance there.
    change : array
        By which share of their sum the variances changed.
    noise : array
        The mean noise of the kinds.
    """

    cost: Float[np.ndarray, " evaluations"]
    n_active: Int[np.ndarray, " evaluations"]
    change: Float[np.ndarray, " evaluations"]
    noise: Float[np.ndarray, " evaluations"]


@dataclass(frozen=True, eq=False)
class Solution:
    """Sources, with what is known of them, and how they were found.

    Attributes
    ----------
    posterior : Posterior
        Mean and covariance of the sources.
    gamma : array, shape (n_groups,)
        Variance of each group before the data.
    noise : array, shape (n_kinds,)
        Variance of each kind of noise.
    cost : float
        The cost F of these variances.
    history : History
        How the search went.
    n_evaluations : int
        How often the evidence was evaluated.
    stop_reason : 'evidence' | 'max_iter' | 'noise_floor' | 'weights'
        Why the search ended; eLORETA ends when its weights stop to change.
    noise_identifiable : bool
        Whether the data tell the noise from the sources, where it was learned.
    unobserved : array of int
        Groups that no channel sees: nothing is known of them but the prior.
    options : SolverOptions
        How variances were searched.
    """

    posterior: Posterior
    gamma: Float[np.ndarray, " groups"]
    noise: Float[np.ndarray, " kinds"]
    cost: float
    history: History
    n_evaluations: int
    stop_reason: str
    noise_identifiable: bool
    unobserved: Int[np.ndarray, " unseen"]
    options: SolverOptions = field(default_factory=SolverOptions)

    @property
    def converged(self) -> bool:
        """Whether the search came to its end."""
        return self.stop_reason != "max_iter"


def solve_gamma_map(
    problem: SourceProblem,
    options: SolverOptions | None = None,
    *,
    start: Float[Array, " groups"] | None = None,
    start_noise: float | None = None,
) -> Solution:
    """Estimate sources that have each a variance of their own; most vanish.

    Parameters
    ----------
    problem : SourceProblem
        Data, and what sources do to them.
    options : SolverOptions | None
        How variances are searched.
    start : array, shape (n_groups,) | None
        The variances at which to begin; ``None`` has one for all, from the data.
    start_noise : float | None
        Where noise begins that is learned; ``None`` is what was measured of it, or the
        power of the data.

    Returns
    -------
    Solution
        The sources, at a maximum of the evidence.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> leadfield = rng.standard_normal((8, 20))
    >>> data = leadfield[:, [3]] * rng.standard_normal(50) + rng.normal(size=(8, 50))
    >>> found = solve_gamma_map(SourceProblem(leadfield, data, noise=1.0))
    >>> int(found.gamma.argmax()), found.converged
    (3, True)
    """
    task = take_task(problem, options)
    data, seen = task.problem.data, task.seen
    if start is None:
        size = np.abs(task.gain).sum(axis=1).max()
        gamma = np.full(len(seen), np.linalg.norm(data @ data.T) / size**2)
    else:
        gamma = _take_start(start, len(seen))
    if start_noise is not None:
        check_range("start_noise", start_noise, low=0.0, open_low=True, open_high=True)
        noise = np.full(len(task.noise), float(start_noise))
        task = task._replace(problem=replace(task.problem, noise=noise))
    if not data.any():
        return _stay(task, len(seen))
    fitted, known = search_variances(task, np.where(seen, gamma, 0.0))
    gamma = np.where(seen, fitted.variances.gamma, gamma)
    return _conclude(task, gamma, fitted, known)


def solve_minimum_norm(
    problem: SourceProblem, options: SolverOptions | None = None
) -> Solution:
    """Estimate sources that share one variance, at the maximum of the evidence.

    Parameters
    ----------
    problem : SourceProblem
        Data, and what sources do to them.
    options : SolverOptions | None
        How variances are searched.

    Returns
    -------
    Solution
        The sources.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> leadfield = rng.standard_normal((30, 60))
    >>> data = leadfield @ rng.normal(size=(60, 200)) + rng.normal(size=(30, 200))
    >>> found = solve_minimum_norm(SourceProblem(leadfield, data, noise=1.0))
    >>> bool(0.9 < found.gamma[0] < 1.1)
    True
    """
    task = take_task(problem, options)
    if not task.problem.data.any():
        return _stay(task, 1)
    core = task.core
    if len(task.noise) == 1:
        fitted, known = search_both(task, decompose(*map(np.asarray, core[:2])))
    else:  # kinds of noise have no common eigenvectors
        start = (core.root**2).sum() / (core.gain**2).sum()
        fitted, known = search_variances(task, np.array([start]))
    return _conclude(task, np.asarray(fitted.variances.gamma), fitted, known)


def solve_eloreta(problem: SourceProblem) -> Solution:
    """Estimate sources with eLORETA's weights for their prior covariance.

    Its covariance describes the method. It is not learned from data, and its intervals
    are not to be relied on.

    Parameters
    ----------
    problem : SourceProblem
        With one kind of noise, and without a basis.

    Returns
    -------
    Solution
        The sources; `gamma` is the mean weight of each.

    Examples
    --------
    >>> found = solve_eloreta(SourceProblem(np.eye(2), np.ones((2, 5)), noise=1.0))
    >>> found.posterior.mean[:, 0]
    array([0.5, 0.5])
    """
    if problem.basis is not None:
        raise OptionError("basis must be None for eLORETA, which has weights instead.")
    task = take_task(problem, None)
    checked = task.problem
    if len(task.noise) > 1:
        raise OptionError(
            f"noise must be of one kind for eLORETA, but there are {len(task.noise)}.",
            hint="Whiten data and leadfield first.",
        )
    fit = fit_eloreta(
        checked.leadfield, float(task.noise[0]), n_orient=checked.n_orient
    )
    roots = symmetric_power(np.ascontiguousarray(fit.weights), 0.5)
    basis = sparse.csr_array(sparse.block_diag(roots))
    task = take_task(replace(checked, basis=basis), None)
    gamma = np.ones(len(task.seen))
    reason = "weights" if fit.converged else "max_iter"
    cost = _compute_cost(task, gamma)
    fitted = Fitted(
        Variances(gamma, task.noise), cost, np.zeros((0, 4)), fit.n_iter, 0.0, reason
    )
    mean = np.trace(fit.weights, axis1=1, axis2=2) / checked.n_orient
    return _conclude(task, gamma, fitted, True, shown=mean)


def _take_start(start: Array, n_groups: int) -> np.ndarray:
    array = take_reals("start", start)
    if array.shape != (n_groups,) or (array < 0).any() or not array.any():
        raise OptionError(
            f"start must have a variance, not below 0, for each of {n_groups} groups, "
            f"and one above 0, but got {start!r}."
        )
    return array


def _stay(task: Task, n_groups: int) -> Solution:
    """Conclude nothing from data that are zero: sources are as strong as the noise."""
    warn_user(
        "data are zero everywhere: the sources are what they were before.", DataWarning
    )
    power = (task.gain**2).sum(axis=1).mean()
    gamma = np.full(n_groups, task.noise.mean() / power)
    cost = _compute_cost(task, gamma)
    fitted = Fitted(
        Variances(gamma, task.noise), cost, np.zeros((0, 4)), 0, 0.0, "evidence"
    )
    return _conclude(task, gamma, fitted, True)


def _compute_cost(task: Task, gamma: np.ndarray) -> float:
    with precise():
        core, there = jax.tree.map(
            jnp.asarray, (task.core, Variances(gamma, task.noise))
        )
        return float(evaluate_evidence(core, there).cost)


def _conclude(
    task: Task,
    gamma: np.ndarray,
    fitted: Fitted,
    known: bool,
    *,
    shown: np.ndarray | None = None,
) -> Solution:
    """Warn of what is to be known, and make the posterior."""
    if not fitted.converged and fitted.remaining:
        warn_user(
            f"The evidence did not converge in {fitted.n_evaluations} evaluations: its "
            f"cost, {fitted.cost:.6g}, may still fall by {fitted.remaining:.2g}. Raise "
            "max_iter, or tol.",
            ConvergenceWarning,
        )
    if not known:
        warn_user(
            "The data do not tell the noise from the sources: intervals may be wrong. "
            "Pass a noise that was measured, or more samples.",
            DataWarning,
        )
    problem = task.problem
    noise = np.asarray(fitted.variances.noise)
    cost, n_active, change, noises = fitted.trace.T
    return Solution(
        posterior=Posterior(
            gain=task.gain,
            gamma=np.repeat(gamma, task.gain.shape[1] // len(gamma)),
            noise=noise[problem.kinds],
            data=np.asarray(problem.data),
            n_orient=problem.n_orient,
            basis=problem.basis,
        ),
        gamma=gamma if shown is None else shown,
        noise=noise,
        cost=fitted.cost,
        history=History(cost, n_active.astype(int), change, noises),
        n_evaluations=fitted.n_evaluations,
        stop_reason=fitted.stop_reason,
        noise_identifiable=known,
        unobserved=np.flatnonzero(~task.seen),
        options=task.options,
    )
