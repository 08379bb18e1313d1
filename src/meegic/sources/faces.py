"""From the reference's arguments to our solvers, or to the reference's own numbers."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, TypeVar

import numpy as np
from scipy import sparse

from meegic.base.checks import check_known, check_option
from meegic.base.errors import OptionError, ShapeError
from meegic.sources import compat as reference
from meegic.sources.basis import repeat_orientations
from meegic.sources.compat_results import check_noise
from meegic.sources.compat_scalar import ScalarOptions
from meegic.sources.compat_sparse import (
    NoiseOptions,
    SparseOptions,
    Start,
    spread_start,
)
from meegic.sources.leadfield import flatten_leadfield, take_sensors
from meegic.sources.minimum_norm import make_resolution_basis
from meegic.sources.problem import SolverOptions, SourceProblem
from meegic.sources.result import KEYS, SolverResult, make_result
from meegic.sources.solve import Solution, solve_gamma_map, solve_minimum_norm

_UPDATES = {1: "mackay", 2: "convex", 3: "em"}
_Solver = TypeVar("_Solver", bound=Callable[..., SolverResult])


class How(NamedTuple):
    """How a face was asked to search.

    Attributes
    ----------
    max_iter, tol, update_mode, init_gamma
        The reference's arguments.
    compat : None | 'calibrain'
        Whether the reference's numbers are wanted.
    options : SolverOptions | None
        Stands for the first three.
    """

    max_iter: int
    tol: float
    update_mode: int
    init_gamma: Start
    compat: str | None
    options: SolverOptions | None

    @property
    def is_reference(self) -> bool:
        """Whether the reference's numbers are wanted."""
        check_option("compat", self.compat, [None, "calibrain"])
        if self.compat and self.options:
            raise OptionError("options must be None where compat is 'calibrain'.")
        return self.compat is not None

    @property
    def sparse(self) -> SparseOptions:
        """What the reference's sparse solvers take."""
        return SparseOptions(self.max_iter, self.tol, self.update_mode, self.init_gamma)

    def make_options(self, *, learn: bool) -> SolverOptions:
        """Make the options of a search in which the noise is learned, or not."""
        check_option("update_mode", self.update_mode, list(_UPDATES))
        if self.options is None:
            update = _UPDATES[self.update_mode]
            return SolverOptions(self.max_iter, self.tol, update, learn_noise=learn)
        if self.options.learn_noise and not learn:
            raise OptionError(
                "options.learn_noise must be False where noise_var is given.",
                hint="gamma_lambda_map and BMN_joint learn the noise.",
            )
        return replace(self.options, learn_noise=learn)


def refuse_unknown(solver: _Solver) -> _Solver:
    """Name an unknown argument and the one that was meant; take logger and verbose.

    Parameters
    ----------
    solver : callable
        A face.

    Returns
    -------
    callable
        The same, with the same signature.

    Examples
    --------
    >>> @refuse_unknown
    ... def solve(L, max_iter=3):
    ...     return L
    >>> solve(2, max_itr=9)
    Traceback (most recent call last):
    ...
    meegic.base.errors.OptionError: 'max_itr' is not a known argument of solve; ...
    """
    known = list(signature(solver).parameters)

    @wraps(solver)
    def call(*args: Any, logger: Any = None, verbose: Any = None, **kwargs: Any) -> Any:
        del logger, verbose
        check_known(f"argument of {solver.__name__}", kwargs, known)
        return solver(*args, **kwargs)

    return call  # pyright: ignore[reportReturnType]


def take_problem(
    L: np.ndarray,
    y: np.ndarray,
    n_orient: int,
    spatial: sparse.csr_array | None = None,
) -> SourceProblem:
    """Take leadfield and measurements by the names that a user knows.

    Examples
    --------
    >>> take_problem(np.ones((2, 5, 3)), np.ones(2), 1).n_orient
    3
    """
    gain, n_orient = flatten_leadfield(L, n_orient=n_orient)
    data = take_sensors(y, len(gain))
    basis = None
    if spatial is not None:
        n_sources = gain.shape[1] // n_orient
        if spatial.shape[0] != n_sources:
            raise ShapeError(
                f"src_coords must have shape ({n_sources}, 3), one position for each "
                f"source, but got {spatial.shape[0]} positions."
            )
        basis = repeat_orientations(spatial, n_orient)
    return SourceProblem(gain, data, n_orient=n_orient, basis=basis)


def solve_known(
    problem: SourceProblem,
    noise_var: float,
    how: How,
    spatial: sparse.csr_array | None = None,
) -> SolverResult:
    """Estimate sparse sources where the noise is known.

    Examples
    --------
    >>> problem = take_problem(np.eye(2), 2 * np.eye(2), 1)
    >>> how = How(300, 1e-6, 2, None, None, None)
    >>> solve_known(problem, 1.0, how)["gammas_full"].round(3)
    array([1., 1.])
    """
    variance = check_noise("noise_var", noise_var)
    if how.is_reference:
        given = (problem.leadfield, problem.data, variance)
        rest: dict[str, Any] = {"n_orient": problem.n_orient, "options": how.sparse}
        if spatial is None:
            return SolverResult(reference.gamma_map(*given, **rest))
        return SolverResult(reference.gamma_map_sflex(*given, basis=spatial, **rest))
    options = how.make_options(learn=False)
    found = _solve_sparse(replace(problem, noise=variance), how, options)
    if spatial is None:
        return make_result(found, (*KEYS["known"], "posterior_cov_active"))
    keys = (*KEYS["known"], *KEYS["patches"], "B_spatial")
    return make_result(found, keys, spatial=spatial)


def solve_learned(
    problem: SourceProblem,
    noise: NoiseOptions,
    how: How,
    track_history: bool,
    spatial: sparse.csr_array | None = None,
) -> SolverResult:
    """Estimate sparse sources and the noise.

    Examples
    --------
    >>> problem = take_problem(np.eye(2), 2 * np.eye(2), 1)
    >>> how = How(300, 1e-6, 2, None, None, None)
    >>> noise = NoiseOptions(learn=False, init=1.0)
    >>> solve_learned(problem, noise, how, False)["gammas_full"].round(3)
    array([1., 1.])
    """
    if how.is_reference:
        given = (problem.leadfield, problem.data)
        rest: dict[str, Any] = {"n_orient": problem.n_orient, "options": how.sparse}
        rest |= {"noise": noise, "track_history": track_history}
        if spatial is None:
            return SolverResult(reference.gamma_lambda_map(*given, **rest))
        return SolverResult(
            reference.gamma_lambda_map_sflex(*given, basis=spatial, **rest)
        )
    options = how.make_options(learn=noise.learn)
    start = None if noise.init is None else _check_start_noise(noise.init, problem)
    if not noise.learn:
        kinds = np.arange(len(problem.data))
        problem = replace(problem, noise=start, kinds=kinds)
        start = None
    begin = None if start is None else float(start.mean())
    found = _solve_sparse(problem, how, options, begin)
    keys = KEYS["learned"] + (KEYS["history"] if track_history else ())
    if spatial is not None:
        keys += (*KEYS["patches"], "B_operator", "posterior_cov_active_coeff")
    return make_result(found, keys)


def solve_shared(
    problem: SourceProblem,
    noise_var: float | None,
    how: How,
    scalar: ScalarOptions,
    *,
    keys: tuple[str, ...] = (),
) -> SolverResult:
    """Estimate sources of one variance; learn the noise where it is None.

    Examples
    --------
    >>> problem = take_problem(np.eye(2), 2 * np.eye(2), 1)
    >>> how = How(300, 1e-6, 2, None, None, None)
    >>> round(solve_shared(problem, 1.0, how, ScalarOptions())["gamma"], 6)
    1.0
    """
    options = how.make_options(learn=noise_var is None)
    basis = None
    if scalar.normalization:
        basis = make_resolution_basis(np.asarray(problem.leadfield), problem.n_orient)
    found = solve_minimum_norm(replace(problem, noise=noise_var, basis=basis), options)
    return make_result(found, (*KEYS["scalar"], *keys))


def _solve_sparse(
    problem: SourceProblem,
    how: How,
    options: SolverOptions,
    start_noise: float | None = None,
) -> Solution:
    start = None
    if how.init_gamma is not None:
        columns = problem.leadfield if problem.basis is None else problem.basis
        spread = spread_start(how.init_gamma, columns.shape[1], problem.n_orient)
        start = spread.reshape(-1, problem.n_orient).mean(axis=1)
    return solve_gamma_map(problem, options, start=start, start_noise=start_noise)


def _check_start_noise(init: float | np.ndarray, problem: SourceProblem) -> np.ndarray:
    n_sensors = len(problem.data)
    values = np.ravel(np.asarray(init, dtype=np.float64))
    good = np.isfinite(values) & (values > 0)
    if values.size not in (1, n_sensors) or not good.all():
        raise OptionError(
            f"init_lambda must be one number above 0, or {n_sensors}, one for each "
            f"sensor, but got {init!r}."
        )
    return np.broadcast_to(values, (n_sensors,))
