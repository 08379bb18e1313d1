"""Fit AMICA: prepare the data, start, iterate, order."""

import warnings
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from meegic.base.arrays import Array
from meegic.base.errors import ConvergenceWarning
from meegic.base.record import draw_seed, make_record
from meegic.components.checkpoint import Checkpoints, find_seed, open_store
from meegic.components.em import likelihood
from meegic.components.inspection import (
    check_recording_array,
    check_weights,
    hash_data,
    warn_about_data,
)
from meegic.components.kernels import make_estep, pick_kernel
from meegic.components.loop import Callback, FitState, Problem
from meegic.components.model import AmicaModel, History, order_parameters
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters
from meegic.components.starts import Start, make_start
from meegic.components.statistics import Statistics
from meegic.components.threads import one_blas_thread
from meegic.components.whiten import Whitener, fit_whitener

_RESTART_PASSES = 50
_OPEN = ("", "max_iter", "callback")  # reasons that leave something to be done
_STILL_RISING = 1e-6


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
    if seed is None and checkpoints is not None:
        seed = find_seed(checkpoints)
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
    warn_about_data(x, weights, sfreq=options.sfreq)
    record = make_record(
        asdict(options), seed=seed, input_digest=hash_data(data, weights)
    )
    store = None if checkpoints is None else open_store(checkpoints, record, whitener)
    fit = _Fit(x, weights, whitener, options, seed=seed, callback=callback, store=store)
    with one_blas_thread(), store or nullcontext():
        state, parameters = fit.run(start)
        scores = np.empty((options.n_models, len(weights)))
        value = likelihood(fit.evaluate(state, parameters, scores))
    order = np.argsort(-parameters.weight, kind="stable")
    _warn_about_end(state, options)
    return AmicaModel(
        whitener=whitener,
        parameters=order_parameters(whitener, parameters),
        fitted_posteriors=softmax(scores, axis=0)[order],
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

    def run(self, start: Start) -> tuple[FitState, AmicaParameters]:
        """Iterate to the end; give the state and the parameters."""
        problem = self._problem(self._options.dtype)
        state = None if self._store is None else self._store.read()
        if state is None:
            state = self._begin(problem, start)
        if state.reason in _OPEN:
            state = problem.run(state, limit=self._options.max_iter)
        if self._options.dtype == "float32" and self._options.polish:
            state = self._polish(state)
        return state, problem.solver.finish(state.solver)

    def evaluate(
        self, state: FitState, parameters: AmicaParameters, scores: np.ndarray
    ) -> Statistics:
        """Pass over the samples that the state keeps, in float64; fill in scores."""
        problem = self._problem("float64")
        problem.resume(state)
        return problem.evaluate(parameters, scores)

    def _problem(self, dtype: str) -> Problem:
        options = self._options
        estep = make_estep(
            self._x,
            jacobian=self._whitener.log_determinant,
            kernel=options.kernel,
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

    def _polish(self, state: FitState) -> FitState:
        """Go on for some passes in float64; the fit ended for its former reason."""
        problem = self._problem("float64").quietly()
        problem.resume(state)
        solver = problem.solver.go_on_from(
            state.solver, state.solver.parameters, problem.evaluate
        )
        limit = problem.spent(state) + self._options.polish
        polished = problem.run(state._replace(solver=solver), limit=limit)
        return polished._replace(reason=state.reason)


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
