"""Minimum norm and eLORETA with the reference's names, arguments and results."""

from dataclasses import replace

import numpy as np

from meegic.base.checks import check_option
from meegic.base.errors import OptionError
from meegic.sources import compat as reference
from meegic.sources.compat_results import check_noise
from meegic.sources.compat_scalar import ScalarOptions
from meegic.sources.faces import How, refuse_unknown, solve_shared, take_problem
from meegic.sources.problem import SolverOptions
from meegic.sources.result import KEYS, SolverResult, make_result
from meegic.sources.solve import solve_eloreta


@refuse_unknown
def BMN(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float,
    n_orient: int = 1,
    max_iter: int = 1000,
    tol: float = 1e-6,
    init_gamma: float | None = None,
    normalization: bool = False,
    *,
    compat: str | None = None,
    options: SolverOptions | None = None,
) -> SolverResult:
    """Estimate sources that share one variance: Bayesian minimum norm.

    The maximum of the evidence is found exactly, wherever one begins.

    Parameters
    ----------
    L, y, noise_var, n_orient, compat, options
        As for `gamma_map`.
    max_iter, tol, init_gamma
        Of the reference's iteration; without `compat` they change nothing.
    normalization : bool
        Whether sources are first scaled to equal resolution; ``gamma`` is then the
        variance of what is scaled.

    Returns
    -------
    SolverResult
        The reference's keys.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> L = rng.standard_normal((30, 60))
    >>> y = L @ rng.normal(size=(60, 200)) + rng.normal(size=(30, 200))
    >>> bool(0.9 < BMN(L, y, noise_var=1.0)["gamma"] < 1.1)
    True
    """
    problem = take_problem(L, y, n_orient)
    scalar = ScalarOptions(max_iter, tol, init_gamma, normalization)
    how = How(max_iter, tol, 2, None, compat, options)
    variance = check_noise("noise_var", noise_var)
    if how.is_reference:
        return SolverResult(
            reference.BMN(
                *(problem.leadfield, problem.data, variance),
                n_orient=problem.n_orient,
                options=scalar,
            )
        )
    return solve_shared(problem, variance, how, scalar)


@refuse_unknown
def BMN_joint(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float | None = None,
    n_orient: int = 1,
    max_iter: int = 1000,
    tol: float = 1e-6,
    init_gamma: float | None = None,
    init_lambda: float | None = None,
    learn_noise: bool = True,
    normalization: bool = False,
    track_history: bool = True,
    *,
    compat: str | None = None,
    options: SolverOptions | None = None,
) -> SolverResult:
    """Estimate sources that share one variance, and the noise.

    Parameters
    ----------
    L, y, n_orient, max_iter, tol, init_gamma, normalization, compat, options
        As for `BMN`.
    noise_var : float | None
        Variance of the noise, where it is not learned.
    init_lambda : float | None
        Where the reference begins; without `compat` it changes nothing.
    learn_noise : bool
        Whether the noise is learned.
    track_history : bool
        Whether the histories are in the result; what is found at once has one entry.

    Returns
    -------
    SolverResult
        The reference's keys.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> L = rng.standard_normal((30, 20))
    >>> y = L @ rng.normal(size=(20, 200)) + rng.normal(size=(30, 200))
    >>> bool(0.9 < BMN_joint(L, y)["noise_var"] < 1.1)
    True
    """
    problem = take_problem(L, y, n_orient)
    scalar = ScalarOptions(max_iter, tol, init_gamma, normalization)
    how = How(max_iter, tol, 2, None, compat, options)
    if learn_noise and noise_var is not None:
        raise OptionError(
            "noise_var must be None where the noise is learned, but got "
            f"{noise_var!r}.",
            hint="Set learn_noise=False, or pass it to BMN.",
        )
    variance = None if learn_noise else check_noise("noise_var", noise_var)
    if init_lambda is not None:
        check_noise("init_lambda", init_lambda)
    if how.is_reference:
        return SolverResult(
            reference.BMN_joint(
                *(problem.leadfield, problem.data, variance),
                n_orient=problem.n_orient,
                options=scalar,
                learn_noise=learn_noise,
                init_lambda=init_lambda,
                track_history=track_history,
            )
        )
    keys = ("lambda", *(KEYS["scalar_history"] if track_history else ()))
    return solve_shared(problem, variance, how, scalar, keys=keys)


@refuse_unknown
def eloreta(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float,
    n_orient: int = 1,
    *,
    compat: str | None = None,
    options: SolverOptions | None = None,
) -> SolverResult:
    """Estimate sources by eLORETA.

    Its covariance describes the method, and its intervals are not to be relied on.

    Parameters
    ----------
    L, y, noise_var, n_orient
        As for `gamma_map`.
    compat, options : None
        There is nothing to choose.

    Returns
    -------
    SolverResult
        The reference's keys; several orientations are an axis of ``posterior_mean``.

    Examples
    --------
    >>> eloreta(np.eye(2), np.ones((2, 5)), noise_var=1.0)["posterior_mean"][:, 0]
    array([0.5, 0.5])
    """
    check_option("compat", compat, [None])
    check_option("options", options, [None])
    problem = take_problem(L, y, n_orient)
    variance = check_noise("noise_var", noise_var)
    found = solve_eloreta(replace(problem, noise=variance))
    return make_result(found, KEYS["eloreta"])
