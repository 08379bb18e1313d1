"""The loop around a solver: rejection, dead models, checkpoints, callbacks, stops."""

import logging
import math
import time
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp

from meegic.base.alerts import warn_user
from meegic.base.errors import ConvergenceError, DataWarning
from meegic.components.callbacks import Callback, FitProgress
from meegic.components.em import EmSolver, EmState, Evaluate, Progress
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters, draw_parameters
from meegic.components.quasi_newton import QuasiNewtonSolver, QuasiNewtonState
from meegic.components.rejection import check_kept, find_kept
from meegic.components.statistics import EStep, Statistics

LOG = logging.getLogger("meegic.components")

_MAX_FAILED = 3  # passes in a row that are not finite
_MAX_REDRAWS = 3
_MAX_RETRIES = 20  # of an EM step that lowers the likelihood
_EARLY = 10  # until this iteration a start that fails is drawn again


class FitState(NamedTuple):
    """Everything that the rest of a fit depends on.

    Attributes
    ----------
    solver : EmState | QuasiNewtonState
        Where the solver is.
    kept : array of bool, shape (n_times,)
        Samples that are not rejected.
    n_events, n_redraws, n_evals : int
        Rejections, starts that were drawn again, and passes.
    n_lost : int
        Passes of starts that did not go on.
    redraw : bool
        Whether a start that fails may be replaced by another one.
    deaths : array of int, shape (n_models,)
        How often a model died: drawn again once, then kept out.
    history : array, shape (n_iter, 4)
        Log-likelihood, gradient, rate and seconds of every iteration.
    restarts : array, shape (n_restarts,)
        What every start reached.
    reason : str
        Why the fit ended; empty while it goes on.
    """

    solver: EmState | QuasiNewtonState
    kept: Bool[np.ndarray, " times"]
    n_events: int
    n_redraws: int
    n_evals: int
    n_lost: int
    redraw: bool
    deaths: Int[np.ndarray, " models"]
    history: Float[np.ndarray, "iterations 4"]
    restarts: Float[np.ndarray, " restarts"]
    reason: str


@runtime_checkable
class Solver(Protocol):
    """What the loop needs of a solver, whose state is its own matter."""

    name: str

    def start(self, parameters: AmicaParameters, evaluate: Evaluate) -> Any:
        """Make the state before the first iteration."""
        ...

    def advance(self, state: Any, evaluate: Evaluate) -> tuple[Any, Progress]:
        """Make one iteration."""
        ...

    def go_on_from(
        self, state: Any, parameters: AmicaParameters, evaluate: Evaluate
    ) -> Any:
        """Go on after parameters or weights of samples have changed."""
        ...

    def scored_at(self, state: Any) -> AmicaParameters:
        """Give the parameters whose likelihood decides about rejection."""
        ...

    def finish(self, state: Any) -> AmicaParameters:
        """Give the parameters that a fit ends with."""
        ...

    def fall_back(self, state: Any, value: float) -> AmicaParameters | None:
        """Give better parameters than the last ones, when their likelihood fell."""
        ...


@runtime_checkable
class Store(Protocol):
    """Where states are kept between runs."""

    def is_due(self, n_iter: int) -> bool:
        """Tell whether the state after this iteration is to be kept."""
        ...

    def write(self, state: FitState) -> None:
        """Keep the state."""
        ...


class Problem:
    """One fit: the data, what is asked for, and who listens."""

    def __init__(
        self,
        estep: EStep,
        weights: Float[np.ndarray, " times"],
        options: AmicaOptions,
        *,
        seed: int,
        callback: Callback | None = None,
        store: Store | None = None,
    ) -> None:
        self.options = options
        self.solver = make_solver(options)
        self._estep, self._weights, self._seed = estep, weights, seed
        self._callback, self._store = callback, store
        self._used = weights
        self._n_evals = 0
        self._began = time.perf_counter()

    def evaluate(
        self,
        parameters: AmicaParameters,
        scores: Float[np.ndarray, "models times"] | None = None,
    ) -> Statistics:
        """Pass over the data."""
        self._n_evals += 1
        return self._estep(parameters, self._used, scores)

    def start(
        self,
        parameters: AmicaParameters,
        *,
        kept: Bool[np.ndarray, " times"] | None = None,
        redraw: bool = True,
    ) -> FitState:
        """Make the state before the first iteration, without samples not to be kept."""
        if kept is None:
            kept = np.ones(len(self._weights), dtype=bool)
        self._n_evals, self._used = 0, self._weights * kept
        solver = self.solver.start(parameters, self.evaluate)
        return FitState(
            solver,
            kept=kept,
            n_events=0,
            n_redraws=0,
            n_evals=self._n_evals,
            n_lost=0,
            redraw=redraw,
            deaths=np.zeros(len(parameters.weight), dtype=np.int64),
            history=np.zeros((0, 4)),
            restarts=np.zeros(0),
            reason="",
        )

    def run(self, state: FitState, *, limit: int) -> FitState:
        """Iterate until a rule of the solver or the limit ends it.

        Parameters
        ----------
        state : FitState
            Where to begin.
        limit : int
            Passes for quasi-Newton, iterations for EM.

        Returns
        -------
        FitState
            With the reason of the stop.
        """
        self.resume(state)
        state = state._replace(reason="")
        while not state.reason:
            if self.spent(state) >= limit:
                state = state._replace(reason="max_iter")
                break
            state = self._iterate(state, limit)
        if self._store is not None:
            self._store.write(state)
        return state

    def _iterate(self, state: FitState, limit: int) -> FitState:
        began, n_events = time.perf_counter(), state.n_events
        n_before = state.solver.iteration
        if self.options.compat == "pyamica":
            state = self._reject(state, n_before + 1)
        solver, progress = self.solver.advance(state.solver, self.evaluate)
        state = state._replace(solver=solver, n_evals=self._n_evals)
        if not math.isfinite(progress.log_likelihood):
            return self._recover(state)
        if solver.iteration == n_before and not progress.reason:
            return self._shorten(state)
        seconds = time.perf_counter() - began
        row = [progress.log_likelihood, progress.norm, progress.rate, seconds]
        state = state._replace(
            history=np.vstack([state.history, row]), reason=progress.reason
        )
        if progress.reason == "not_finite":
            self._give_up(state, ", nor after any shorter step")
        if not progress.reason:
            state = self._revive(state)
            if self.options.compat != "pyamica":
                state = self._reject(state, n_before + 1)
        state = state._replace(n_evals=self._n_evals)
        return self._report(state, progress, limit, state.n_events > n_events)

    def resume(self, state: FitState) -> None:
        """Count passes and weigh samples as the state has them."""
        self._n_evals = state.n_evals
        self._used = self._weights * state.kept

    def quietly(self) -> "Problem":
        """Make the same problem without rejection, a callback and a store."""
        options = replace(self.options, do_reject=False)
        return Problem(self._estep, self._weights, options, seed=self._seed)

    def spent(self, state: FitState) -> int:
        """Count what the limit limits: passes or iterations."""
        if self.solver.name == "quasi-newton":
            return state.n_evals
        return state.solver.iteration

    def _report(
        self, state: FitState, progress: Progress, limit: int, rejected: bool
    ) -> FitState:
        store, n_iter = self._store, len(state.history)
        if self._callback is not None:
            told = FitProgress(
                iteration=n_iter,
                n_evals=state.n_evals,
                log_likelihood=progress.log_likelihood,
                best=float(state.history[:, 0].max()),
                nd=progress.norm,
                rate=progress.rate,
                seconds=time.perf_counter() - self._began,
                n_rejected=int((~state.kept).sum()),
                n_events=state.n_events,
                rejected=rejected,
                spent=self.spent(state),
                max_iter=limit,
            )
            try:
                if self._callback(told):
                    state = state._replace(reason="callback")
            except BaseException:
                if store is not None:
                    store.write(state)
                raise
        if store is not None and store.is_due(n_iter) and not state.reason:
            store.write(state)
        return state

    def _recover(self, state: FitState) -> FitState:
        """Draw another start, or give up, when passes are not finite."""
        solver = state.solver
        failed = solver.n_nan if isinstance(solver, EmState) else 1
        if failed < _MAX_FAILED and solver.iteration:
            return state
        late = solver.iteration > _EARLY or state.n_redraws >= _MAX_REDRAWS
        if late or not state.redraw:
            self._give_up(state, f", {failed} times in a row" if failed > 1 else "")
        parameters = state.solver.parameters
        again = draw_parameters(
            parameters.unmix.shape[1],
            n_models=self.options.n_models,
            n_mix=self.options.n_mix,
            rho=self.options.rho0,
            generator=np.random.default_rng([self._seed, 1 + state.n_redraws]),
        )
        LOG.info("the likelihood is not finite: the start is drawn again")
        return state._replace(
            solver=self.solver.start(again, self.evaluate),
            n_redraws=state.n_redraws + 1,
            n_evals=self._n_evals,
            history=state.history[:0],
        )

    def _shorten(self, state: FitState) -> FitState:
        """Stop when even the smallest step lowers the likelihood."""
        solver = state.solver
        assert isinstance(solver, EmState)
        lasting = solver.n_failed < _MAX_RETRIES
        if lasting and solver.schedule.lrate > self.options.minlrate:
            return state
        best = solver._replace(parameters=solver.origin)
        return state._replace(solver=best, reason="minlrate")

    def _give_up(self, state: FitState, how_often: str) -> None:
        if self._store is not None:
            self._store.write(state._replace(reason=""))  # not a stop, to be kept
        raise ConvergenceError(
            f"the log-likelihood was not finite at iteration {len(state.history) + 1}"
            f"{how_often}.",
            hint="Look at the data with meegic check; remove extreme samples or use "
            "do_reject=True."
            + ("" if self._store is None else " The last good state is in the file."),
        )

    def _revive(self, state: FitState) -> FitState:
        """Seed a model again that explains next to nothing; once."""
        parameters = state.solver.parameters
        n_models, n = parameters.center.shape
        dead = ~state.solver.sums.alive
        if not dead.any() or self.options.compat is not None:
            return state
        for h in np.flatnonzero(dead & (state.deaths == 1)):
            warn_user(
                f"model {h} explains fewer than {2 * n} samples again and is kept out.",
                DataWarning,
            )
        fresh = np.flatnonzero(dead & (state.deaths == 0))
        state = state._replace(deaths=state.deaths + dead)
        if not len(fresh):
            return state
        LOG.info("models %s explain next to nothing and start again", fresh.tolist())
        drawn = draw_parameters(
            n, n_models=n_models, n_mix=self.options.n_mix, rho=self.options.rho0,
            generator=np.random.default_rng([self._seed, 100 + state.n_events]),
        )  # fmt: skip
        mixed = [np.array(one) for one in parameters]
        for old, new in zip(mixed, drawn, strict=True):
            old[fresh] = new[fresh]
        again = AmicaParameters(*mixed)
        again = again._replace(weight=again.weight / again.weight.sum())
        solver = self.solver.go_on_from(state.solver, again, self.evaluate)
        return state._replace(solver=solver)

    def _reject(self, state: FitState, iteration: int) -> FitState:
        options = self.options
        since = iteration - options.reject_start
        due = options.do_reject and since >= 0 and since % options.reject_int == 0
        if not due or state.n_events >= options.num_reject:
            return state
        parameters = self.solver.scored_at(state.solver)
        scores = np.empty((options.n_models, len(state.kept)))
        self.evaluate(parameters, scores)
        kept = find_kept(logsumexp(scores, axis=0), state.kept, self._weights, options)
        check_kept(kept, self._weights, parameters.unmix.shape[1])
        n_events = state.n_events + 1
        LOG.info(
            "Rejection %d/%d at iter %d: %d/%d samples excluded total",
            n_events, options.num_reject, iteration, (~kept).sum(), len(kept),
        )  # fmt: skip
        self._used = self._weights * kept
        solver = self.solver.go_on_from(
            state.solver, state.solver.parameters, self.evaluate
        )
        return state._replace(solver=solver, kept=kept, n_events=n_events)


def make_solver(options: AmicaOptions) -> Solver:
    """Make the solver that the options ask for.

    Examples
    --------
    >>> make_solver(AmicaOptions()).name
    'quasi-newton'
    """
    if options.picked_solver == "em":
        return EmSolver(options)
    return QuasiNewtonSolver(options)
