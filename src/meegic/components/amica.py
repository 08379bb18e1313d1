"""Fit AMICA: prepare the data, start, iterate, order."""

import hashlib
import warnings
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_shape
from meegic.base.errors import (
    ConvergenceWarning,
    DataWarning,
    InputError,
)
from meegic.base.record import draw_seed, make_record
from meegic.components.checkpoint import Checkpoints, open_store
from meegic.components.em import likelihood
from meegic.components.loop import Callback, FitState, Problem
from meegic.components.model import AmicaModel, History, order_parameters
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters
from meegic.components.starts import Start, make_start
from meegic.components.statistics import make_estep, pick_kernel
from meegic.components.threads import one_blas_thread
from meegic.components.whiten import Whitener, fit_whitener

_RESTART_PASSES = 50
_OPEN = ("", "max_iter", "callback")  # reasons that leave something to be done
_STILL_RISING = 1e-6
_LARGE_NORM = 50.0  # of a sphered sample, in units of what is usual
_BLOCK = 2**14


def fit_amica(
    data: Float[Array, "channels times"],
    options: AmicaOptions | None = None,
    *,
    weights: Float[Array, " times"] | None = None,
    scale: Float[Array, " channels"] | None = None,
    start: Start = None,
    seed: int | None = 0,
    callback: Callback | None = None,
    checkpoints: Checkpoints | None = None,
) -> AmicaModel:
    """Fit a mixture of independent component models.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit.
    options : AmicaOptions | None
        How; ``None`` takes the defaults.
    weights : array, shape (n_times,) | None
        How much every sample counts; 0 leaves it out.
    scale : array, shape (n_channels,) | None
        Factors that bring channels of different types to one size.
    start : None | 'fix' | 'fastica' | 'one-term' | AmicaModel | mapping | path
        Where to begin: at random, without the random part, at a FastICA, at a fit
        with one term, at a model, at arrays by name (W, A, c, gm, alpha, mu, sbeta,
        rho), or at a folder with EEGLAB's AMICA results.
    seed : int | None
        Of the random start; ``None`` draws one. It is kept in the record.
    callback : callable | None
        Gets a `FitProgress` after every iteration; a true answer ends the fit.
    checkpoints : Checkpoints | None
        Where and how often the state of the fit is kept.

    Returns
    -------
    AmicaModel
        The fitted model.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sources = rng.laplace(size=(2, 2000))
    >>> model = fit_amica(rng.normal(size=(2, 2)) @ sources)
    >>> model.n_components, model.solver
    (2, 'quasi-newton')
    """
    options = options or AmicaOptions()
    seed = draw_seed(seed)
    data = check_recording_array(data)
    weights = check_weights(weights, data.shape[1])
    whitener = fit_whitener(
        data,
        weights=weights,
        scale=None if scale is None else np.asarray(scale),
        n_components=options.n_components,
        sphering="zca" if options.do_sphere else "none",
    )
    x = whitener(data)
    warn_about_data(x, weights)
    record = make_record(
        asdict(options), seed=seed, input_digest=hash_data(data, weights)
    )
    store = None if checkpoints is None else open_store(checkpoints, record)
    fit = _Fit(x, weights, whitener, options, seed=seed, callback=callback, store=store)
    with one_blas_thread(), store or nullcontext():
        state, parameters, value = fit.run(start)
    _warn_about_end(state, options)
    return AmicaModel(
        whitener=whitener,
        parameters=order_parameters(whitener, parameters),
        rejected=~state.kept,
        history=History(*state.history.T),
        log_likelihood=value,
        n_evals=state.n_evals,
        converged=state.reason not in ("max_iter", "callback"),
        stop_reason=state.reason,
        solver=options.picked_solver,
        kernel=pick_kernel(options.kernel, options.device),
        restarts=state.restarts,
        record=record,
    )


class _Fit:
    """The phases of one fit: starts, the main run, the last steps in float64."""

    def __init__(
        self,
        x: np.ndarray,
        weights: np.ndarray,
        whitener: Whitener,
        options: AmicaOptions,
        *,
        seed: int,
        callback: Callback | None,
        store: Any,
    ) -> None:
        self._x, self._weights, self._whitener = x, weights, whitener
        self._options, self._seed, self._callback = options, seed, callback
        self._store = store

    def run(self, start: Start) -> tuple[FitState, AmicaParameters, float]:
        """Iterate to the end; give the state, its parameters and their likelihood."""
        problem = self._problem(self._options.dtype)
        state = None if self._store is None else self._store.read()
        if state is None:
            state = self._begin(problem, start)
        if not state.polish_from and state.reason in _OPEN:
            state = problem.run(state, limit=self._options.max_iter)
        if self._options.dtype == "float32" and self._options.polish:
            problem = self._problem("float64")
            state = self._polish(problem, state)
        problem.resume(state)
        parameters = problem.solver.finish(state.solver)
        return state, parameters, likelihood(problem.evaluate(parameters))

    def _problem(self, dtype: str) -> Problem:
        options = self._options
        estep = make_estep(
            self._x,
            jacobian=self._whitener.log_determinant,
            kernel=options.kernel,  # pyright: ignore[reportArgumentType]
            dtype=dtype,
            chunk=options.chunk_t,
            device=options.device,
        )
        return Problem(
            estep, self._weights, options,
            seed=self._seed, callback=self._callback, store=self._store,
        )  # fmt: skip

    def _begin(self, problem: Problem, start: Start) -> FitState:
        """Draw the start, or the best of several after some passes each."""
        if self._options.n_restarts == 1:
            return problem.start(self._draw(start, self._seed))
        quiet = problem.quietly()
        states = []
        for k in range(self._options.n_restarts):
            state = quiet.start(self._draw(start, [self._seed, k]))
            states.append(quiet.run(state, limit=_RESTART_PASSES))
        values = np.array([one.history[-1, 0] for one in states])
        n_evals = sum(one.n_evals for one in states)
        best = states[int(values.argmax())]
        return best._replace(restarts=values, reason="", n_evals=n_evals)

    def _draw(self, start: Start, seed: int | list[int]) -> AmicaParameters:
        return make_start(start, self._x, self._whitener, self._options, seed=seed)

    def _polish(self, problem: Problem, state: FitState) -> FitState:
        problem.resume(state)
        if not state.polish_from:
            solver = problem.solver.go_on_from(
                state.solver, state.solver.parameters, problem.evaluate
            )
            spent = problem.spent(state)
            state = state._replace(solver=solver, polish_from=spent, reason="")
        if state.reason in _OPEN:
            limit = state.polish_from + self._options.polish
            state = problem.run(state, limit=limit)
        return state


def check_recording_array(data: object) -> Float[np.ndarray, "channels times"]:
    """Take channels by times, finite, enough of both, or say why not.

    Parameters
    ----------
    data : array-like, shape (n_channels, n_times)
        The recording.

    Returns
    -------
    array, shape (n_channels, n_times)
        The same values in floating point.
    """
    array = check_data("data", data)
    check_finite("data", array)
    n_channels, n_times = array.shape
    if n_channels < 2:
        raise InputError(
            f"data must have at least 2 channels to be unmixed, but got {n_channels}."
        )
    if n_times < 2 * n_channels:
        raise InputError(
            f"data must have at least {2 * n_channels} times for {n_channels} channels,"
            f" but got {n_times}.",
            hint="Take a longer recording, or fewer channels.",
        )
    return array


def check_weights(weights: Array | None, n_times: int) -> Float[np.ndarray, " times"]:
    """Take the weights of the samples: finite, not negative, some positive.

    Parameters
    ----------
    weights : array, shape (n_times,) | None
        As the caller gave them.
    n_times : int
        How many there must be.

    Returns
    -------
    array, shape (n_times,)
        Ones when none were given.
    """
    if weights is None:
        return np.ones(n_times)
    weights = np.asarray(weights, dtype=float)
    check_shape("weights", weights, (n_times,))
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InputError("weights must be finite and not negative.")
    if not (weights > 0).any():
        raise InputError(
            "all samples have the weight 0: nothing is left to be fitted.",
            hint="Look at which spans are marked as bad.",
        )
    return weights


def warn_about_data(
    x: Float[np.ndarray, "components times"], weights: Float[np.ndarray, " times"]
) -> None:
    """Warn of data that are short or hold extreme samples; the fit goes on.

    Parameters
    ----------
    x : array, shape (n_components, n_times)
        Sphered data.
    weights : array, shape (n_times,)
        Samples without weight do not count.
    """
    n, n_times = x.shape
    n_used = int((weights > 0).sum())
    if n_used < 20 * n**2:
        warnings.warn(
            f"{n_used} samples are few for {n} components: 20 x {n}^2 = {20 * n**2} "
            "is what a stable decomposition takes.",
            DataWarning,
            stacklevel=3,
        )
    norms = np.concatenate(
        [
            np.einsum("it,it->t", part, part)
            for part in (x[:, at : at + _BLOCK] for at in range(0, n_times, _BLOCK))
        ]
    )
    extreme = np.flatnonzero((norms > _LARGE_NORM**2 * n) & (weights > 0))
    if len(extreme):
        shown = ", ".join(f"{one}" for one in extreme[:5])
        warnings.warn(
            f"{len(extreme)} samples are more than {_LARGE_NORM:.0f} times larger than "
            f"usual, at {shown}{', ...' if len(extreme) > 5 else ''}; do_reject=True "
            "leaves them out.",
            DataWarning,
            stacklevel=3,
        )


def hash_data(
    data: Float[np.ndarray, "channels times"], weights: Float[np.ndarray, " times"]
) -> str:
    """Compute the sha256 of data and weights, block by block.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording.
    weights : array, shape (n_times,)
        The weights of its samples.

    Returns
    -------
    str
        The digest, whatever the layout in memory is.
    """
    total = hashlib.sha256(f"{data.dtype.str}{data.shape}".encode())
    for at in range(0, data.shape[1], _BLOCK):
        total.update(np.ascontiguousarray(data[:, at : at + _BLOCK]).data)
    total.update(np.ascontiguousarray(weights).data)
    return total.hexdigest()


def _warn_about_end(state: FitState, options: AmicaOptions) -> None:
    values = state.history[:, 0]
    if state.reason != "max_iter" or len(values) < 2:
        return
    gain = values[-1] - values[-2]
    if gain > _STILL_RISING:
        warnings.warn(
            f"the fit reached max_iter={options.max_iter} while the log-likelihood "
            f"still rose by {gain:.1e} per iteration; raise max_iter.",
            ConvergenceWarning,
            stacklevel=3,
        )
