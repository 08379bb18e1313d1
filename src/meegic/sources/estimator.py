"""Sparse Bayesian solvers with the reference's names, arguments and results.

Each also takes ``compat="calibrain"``, which gives the reference's numbers, faults
included; ``options``, a `SolverOptions` that stands for ``max_iter``, ``tol`` and
``update_mode``; and ``logger`` and ``verbose``, which do nothing.
"""

from collections.abc import Sequence

import numpy as np

from meegic.base.checks import check_range
from meegic.sources.basis import make_basis
from meegic.sources.compat_sparse import NoiseOptions, Start
from meegic.sources.faces import (
    How,
    refuse_unknown,
    solve_known,
    solve_learned,
    take_problem,
)
from meegic.sources.problem import SolverOptions
from meegic.sources.result import SolverResult


@refuse_unknown
def gamma_map(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float,
    n_orient: int = 1,
    max_iter: int = 300,
    tol: float = 1e-6,
    update_mode: int = 2,
    init_gamma: Start = None,
    *,
    compat: str | None = None,
    options: SolverOptions | None = None,
) -> SolverResult:
    """Estimate sources of which few are active, by sparse Bayesian learning.

    Parameters
    ----------
    L : array, shape (n_sensors, n_sources * n_orient) or (n_sensors, n_sources, k)
        The leadfield; three axes tell `n_orient` themselves.
    y : array, shape (n_sensors, n_times)
        The measurements.
    noise_var : float
        Variance of the noise at every sensor.
    n_orient : 1 | 2 | 3
        Orientations of a source, which share one variance.
    max_iter : int
        How often the evidence is evaluated at most.
    tol : float
        By how much the cost may still fall in the end, relative to it.
    update_mode : 1 | 2 | 3
        The update that is accelerated: MacKay's, convex bounding, or expectation
        maximization. All find the same.
    init_gamma : float | tuple | array | None
        Where the variances begin, in the squared unit of the sources: one number, two
        between which they are spread, one for each source or coefficient.
    compat : None | 'calibrain'
        The reference's numbers, faults included.
    options : SolverOptions | None
        Stands for `max_iter`, `tol` and `update_mode`.

    Returns
    -------
    SolverResult
        The reference's keys; ``gamma`` and ``gammas_full`` are variances.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> L = rng.standard_normal((8, 20))
    >>> y = L[:, [3]] * rng.standard_normal(50) + rng.normal(size=(8, 50))
    >>> int(gamma_map(L, y, noise_var=1.0)["gammas_full"].argmax())
    3
    """
    how = How(max_iter, tol, update_mode, init_gamma, compat, options)
    return solve_known(take_problem(L, y, n_orient), noise_var, how)


@refuse_unknown
def gamma_map_sflex(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float,
    n_orient: int = 1,
    max_iter: int = 300,
    tol: float = 1e-6,
    update_mode: int = 2,
    init_gamma: Start = None,
    sigma: float | Sequence[float] = 0.01,
    threshold_factor: float = 3.0,
    normalize: str | None = "sym",
    eps: float = 1e-12,
    *,
    src_coords: np.ndarray | None = None,
    compat: str | None = None,
    options: SolverOptions | None = None,
) -> SolverResult:
    """Estimate sources as few active patches: `gamma_map` in an sFLEX basis.

    Parameters
    ----------
    L, y, noise_var, n_orient, max_iter, tol, update_mode, init_gamma, compat, options
        As for `gamma_map`.
    sigma, threshold_factor, normalize, src_coords
        As for `make_basis`; positions of the sources are needed, in m.
    eps : float
        Does nothing: no sum of weights is below 1.

    Returns
    -------
    SolverResult
        The reference's keys; those in ``_coeff`` are of the patches.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> L, coords = rng.standard_normal((8, 20)), rng.normal(size=(20, 3), scale=0.05)
    >>> y = L[:, [3]] * rng.standard_normal(50) + rng.normal(size=(8, 50))
    >>> found = gamma_map_sflex(L, y, noise_var=1.0, src_coords=coords)
    >>> int(np.abs(found["posterior_mean"]).sum(axis=1).argmax())
    3
    """
    check_range("eps", eps, low=0.0, open_high=True)
    how = How(max_iter, tol, update_mode, init_gamma, compat, options)
    spatial = make_basis(
        src_coords, sigma=sigma, threshold_factor=threshold_factor, normalize=normalize
    )
    return solve_known(take_problem(L, y, n_orient, spatial), noise_var, how, spatial)


@refuse_unknown
def gamma_lambda_map(
    L: np.ndarray,
    y: np.ndarray,
    n_orient: int = 1,
    init_gamma: Start = None,
    init_lambda: float | np.ndarray | None = None,
    max_iter: int = 300,
    tol: float = 1e-6,
    update_mode: int = 2,
    learn_lambda: bool = True,
    update_mode_noise: int = 2,
    lambda_damping: float = 1.0,
    track_history: bool = True,
    *,
    compat: str | None = None,
    options: SolverOptions | None = None,
) -> SolverResult:
    """Estimate sources of which few are active, and the noise.

    One variance is learned for all sensors; the reference's own for each overfits.

    Parameters
    ----------
    L, y, n_orient, init_gamma, max_iter, tol, update_mode, compat, options
        As for `gamma_map`.
    init_lambda : float | array | None
        Where the noise begins, the mean of several; the noise of each sensor itself
        where it is not learned.
    learn_lambda : bool
        Whether the noise is learned.
    update_mode_noise, lambda_damping
        Of the reference's updates; without `compat` they change nothing.
    track_history : bool
        Whether the histories are in the result.

    Returns
    -------
    SolverResult
        The reference's keys.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> L = rng.standard_normal((16, 20))
    >>> y = L[:, [3]] * rng.standard_normal(99) + rng.normal(size=(16, 99))
    >>> bool(0.9 < gamma_lambda_map(L, y)["noise_var"] < 1.1)
    True
    """
    how = How(max_iter, tol, update_mode, init_gamma, compat, options)
    noise = NoiseOptions(learn_lambda, init_lambda, update_mode_noise, lambda_damping)
    return solve_learned(take_problem(L, y, n_orient), noise, how, track_history)


@refuse_unknown
def gamma_lambda_map_sflex(
    L: np.ndarray,
    y: np.ndarray,
    n_orient: int = 1,
    init_gamma: Start = None,
    init_lambda: float | np.ndarray | None = None,
    learn_lambda: bool = True,
    update_mode_noise: int = 2,
    lambda_damping: float = 1.0,
    max_iter: int = 300,
    tol: float = 1e-6,
    update_mode: int = 2,
    track_history: bool = True,
    sigma: float | Sequence[float] = 0.01,
    threshold_factor: float = 3.0,
    normalize: str | None = "sym",
    eps: float = 1e-12,
    *,
    src_coords: np.ndarray | None = None,
    compat: str | None = None,
    options: SolverOptions | None = None,
) -> SolverResult:
    """Estimate sources as few active patches, and the noise.

    Parameters
    ----------
    L, y, n_orient, init_gamma, init_lambda, learn_lambda, update_mode_noise, \
lambda_damping, max_iter, tol, update_mode, track_history, compat, options
        As for `gamma_lambda_map`.
    sigma, threshold_factor, normalize, eps, src_coords
        As for `gamma_map_sflex`.

    Returns
    -------
    SolverResult
        The reference's keys.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> L, coords = rng.standard_normal((16, 20)), rng.normal(size=(20, 3), scale=0.05)
    >>> y = L[:, [3]] * rng.standard_normal(99) + rng.normal(size=(16, 99))
    >>> found = gamma_lambda_map_sflex(L, y, src_coords=coords)
    >>> bool(0.9 < found["noise_var"] < 1.1)
    True
    """
    check_range("eps", eps, low=0.0, open_high=True)
    how = How(max_iter, tol, update_mode, init_gamma, compat, options)
    noise = NoiseOptions(learn_lambda, init_lambda, update_mode_noise, lambda_damping)
    spatial = make_basis(
        src_coords, sigma=sigma, threshold_factor=threshold_factor, normalize=normalize
    )
    problem = take_problem(L, y, n_orient, spatial)
    return solve_learned(problem, noise, how, track_history, spatial)
