"""Fit AMICA: prepare the data, start, iterate, order."""

import logging
import math
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Real
from scipy.special import softmax

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.errors import ConvergenceError, ConvergenceWarning, OptionError
from meegic.base.record import draw_seed, make_record
from meegic.components.callbacks import Callback, add_to_likelihood
from meegic.components.checkpoint import Checkpoints, find_seed, open_store
from meegic.components.em import likelihood
from meegic.components.inspection import (
    check_recording_array,
    check_size,
    check_weights,
    find_spikes,
    hash_data,
    split_mask,
    warn_about_data,
)
from meegic.components.kernels import make_estep, pick_kernel
from meegic.components.loop import FitState, Problem
from meegic.components.model import AmicaModel, History, order_parameters
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters
from meegic.components.starts import Start, make_start
from meegic.components.threads import one_blas_thread
from meegic.components.whiten import Whitener, fit_whitener

LOG = logging.getLogger("meegic.components")

_RESTART_PASSES = 50
_OPEN = ("", "max_iter", "callback")  # reasons that leave something to be done
_STILL_RISING = 1e-6
_FLAT = 1e-3  # of a gradient per sample, at which a line search may give up


def fit_amica(
    data: Real[Array, "channels times"],
    options: AmicaOptions | None = None,
    *,
    weights: Float[Array, " times"] | None = None,
    scale: Float[Array, " channels"] | None = None,
    start: Start = None,
    seed: int | None = 0,
    callback: Callback | None = None,
    checkpoints: Checkpoints | Path | str | None = None,
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
    start : None | 'fix' | 'fastica' | 'one-term' | AmicaModel | array | mapping | path
        Where to begin: at random, without the random part, at a FastICA, at a fit
        with one term, at a model, at an unmixing of sphered data, at arrays by name
        (W, A, c, gm, alpha, mu, sbeta, rho), or at a folder of EEGLAB's AMICA.
    seed : int | None
        Of the random start; ``None`` draws one. It is kept in the record.
    callback : callable | None
        Gets a `FitProgress` after every iteration; a true answer ends the fit.
    checkpoints : Checkpoints | path | None
        Where and how often the state of the fit is kept; a path keeps the end only.

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
    options = _check_arguments(options, callback)
    if isinstance(checkpoints, (str, Path)):
        checkpoints = Checkpoints(checkpoints)
    if seed is None and checkpoints is not None:
        seed = find_seed(checkpoints)
    seed = draw_seed(seed, name="seed")
    plain, weights = split_mask(data, weights)
    array = check_recording_array("data", plain)
    check_size("data", array)
    weights = check_weights(weights, *array.shape)
    whitener, x, calm = _whiten(array, weights, scale, options)
    if len(x) < len(array):
        LOG.info("%d components for %d channels: their rank", len(x), len(array))
    warn_about_data(x, weights, sfreq=options.sfreq)
    record = make_record(
        asdict(options), seed=seed, input_digest=hash_data(array, weights)
    )
    store = None if checkpoints is None else open_store(checkpoints, record, whitener)
    # The log-determinant is added at the end: the bits of a fit do not hang on units.
    jacobian = whitener.log_determinant / len(x)
    # Samples that rule the covariance would ruin the first step as well.
    kept = (calm > 0) | (weights == 0) | (not options.do_reject)
    fit = _Fit(
        x, weights, kept, whitener, options,
        seed=seed, callback=add_to_likelihood(callback, jacobian), store=store,
    )  # fmt: skip
    with one_blas_thread(), store or nullcontext():
        state = fit.run(start)
        parameters, value, scores = fit.conclude(state)
    order = np.argsort(-parameters.weight, kind="stable")
    _warn_about_end(state, options)
    values, *others = state.history.T
    return AmicaModel(
        whitener=whitener,
        parameters=order_parameters(
            whitener, parameters, as_pyamica=options.compat == "pyamica"
        ),
        fitted_posteriors=softmax(scores, axis=0)[order],
        rejected=~state.kept,
        history=History(values + jacobian, *others),
        log_likelihood=value + jacobian,
        n_evals=state.n_evals + state.n_lost,
        converged=_is_converged(state),
        stop_reason=state.reason,
        solver=options.picked_solver,
        kernel=pick_kernel(options.kernel, options.device),
        restarts=state.restarts + jacobian,
        record=record,
    )


def _check_arguments(options: object, callback: object) -> AmicaOptions:
    if options is None:
        options = AmicaOptions()
    if not isinstance(options, AmicaOptions):
        raise TypeError(
            f"options must be AmicaOptions, but got {type(options).__name__}; pass "
            "AmicaOptions(n_models=2) or the like."
        )
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function, but got {callback!r}.")
    return options


def _whiten(
    data: np.ndarray,
    weights: np.ndarray,
    scale: Array | None,
    options: AmicaOptions,
    *,
    n_rounds: int = 5,
) -> tuple[Whitener, np.ndarray, np.ndarray]:
    """Whiten the data, without the few samples that would rule the covariance.

    Those have no weight in the last of what is returned.
    """
    whitener = fit_whitener(
        data,
        weights=weights,
        scale=scale,
        n_components=options.n_components,
        sphering="zca" if options.do_sphere else "none",
    )
    x = whitener(data)
    spikes = find_spikes(x, weights)
    if options.compat is not None or not n_rounds or not spikes.any():
        return whitener, x, weights
    del x  # or there would be two of them
    calm = np.where(spikes, 0.0, weights)
    return _whiten(data, calm, scale, options, n_rounds=n_rounds - 1)


class _Fit:
    """The phases of one fit: starts, the main run, the last steps in float64."""

    def __init__(
        self,
        x: np.ndarray,
        weights: np.ndarray,
        kept: np.ndarray,
        whitener: Whitener,
        options: AmicaOptions,
        *,
        seed: int,
        callback: Callback | None,
        store: Any,
    ) -> None:
        self._x, self._weights, self._whitener = x, weights, whitener
        self._kept = kept
        self._options, self._seed, self._callback = options, seed, callback
        self._store = store
        self._problem = self._make_problem(options.dtype)

    def run(self, start: Start) -> FitState:
        """Iterate to the end."""
        problem = self._problem
        state = None if self._store is None else self._store.read()
        if state is None:
            state = self._begin(start)
        if state.reason in _OPEN:
            state = problem.run(state, limit=self._options.max_iter)
        if self._options.dtype == "float32":
            self._problem = self._make_problem("float64")
            state = self._polish(state)
        return state

    def conclude(
        self, state: FitState
    ) -> tuple[AmicaParameters, float, Float[np.ndarray, "models times"]]:
        """Give the parameters, their likelihood, and the scores of all samples."""
        problem = self._problem
        problem.resume(state)
        parameters = problem.solver.finish(state.solver)
        scores = np.empty((self._options.n_models, len(self._weights)))
        value = likelihood(problem.evaluate(parameters, scores))
        best = problem.solver.fall_back(state.solver, value)
        if best is not None:  # the last step was one too many
            parameters = best
            value = likelihood(problem.evaluate(parameters, scores))
        if not math.isfinite(value):
            raise ConvergenceError(
                "the log-likelihood of the last step was not finite.",
                hint="Look at the data with meegic check, or use do_reject=True.",
            )
        return parameters, value, scores

    def _make_problem(self, dtype: str) -> Problem:
        options = self._options
        estep = make_estep(
            self._x,
            kernel=options.kernel,
            dtype=dtype,
            chunk=options.chunk_t,
            device=options.device,
        )
        return Problem(
            estep, self._weights, options,
            seed=self._seed, callback=self._callback, store=self._store,
        )  # fmt: skip

    def _begin(self, start: Start) -> FitState:
        """Draw the start, or the best of several after some passes each."""
        n_restarts = self._options.n_restarts
        if n_restarts == 1:
            return self._problem.start(
                self._draw(start, self._seed), kept=self._kept, redraw=start is None
            )
        drawn_anew = isinstance(start, str) and start in ("fastica", "one-term")
        if start is not None and not drawn_anew:
            raise OptionError(
                f"n_restarts must be 1 when start is given, but got {n_restarts}: "
                "every start would be the same."
            )
        quiet = self._problem.quietly()
        limit = min(_RESTART_PASSES, self._options.max_iter)
        states = []
        for k in range(n_restarts):
            drawn = self._draw(start, [self._seed, k])
            states.append(quiet.run(quiet.start(drawn, kept=self._kept), limit=limit))
        values = np.array([one.history[-1, 0] for one in states])
        best = states[int(values.argmax())]
        lost = sum(one.n_evals for one in states) - best.n_evals
        return best._replace(restarts=values, reason="", n_lost=lost)

    def _draw(self, start: Start, seed: int | list[int]) -> AmicaParameters:
        weights = self._weights * self._kept
        return make_start(
            start, self._x, weights, self._whitener, self._options, seed=seed
        )

    def _polish(self, state: FitState) -> FitState:
        """Go on for some passes in float64; the fit ended for its former reason."""
        problem = self._problem.quietly()
        problem.resume(state)
        solver = problem.solver.go_on_from(
            state.solver, state.solver.parameters, problem.evaluate
        )
        limit = problem.spent(state) + self._options.polish
        polished = problem.run(state._replace(solver=solver), limit=limit)
        return polished._replace(reason=state.reason)


def _is_converged(state: FitState) -> bool:
    """Tell whether a rule ended the fit, at a point where steps lead nowhere."""
    if state.reason == "line_search":
        return bool(state.history[-1, 1] <= _FLAT)
    return state.reason not in ("max_iter", "callback")


def _warn_about_end(state: FitState, options: AmicaOptions) -> None:
    """Warn when the fit ended before it was done."""
    values = state.history[:, 0]
    if state.reason == "line_search" and not _is_converged(state):
        warn_user(
            f"the fit ended after {len(values)} steps because none raises the "
            "log-likelihood, though the gradient is not small; look for extreme "
            "samples, use do_reject=True or another random_state.",
            ConvergenceWarning,
        )
    if state.reason != "max_iter" or len(values) < 2:
        return
    gain = values[-1] - values[-2]
    if gain > _STILL_RISING:
        warn_user(
            f"the fit reached max_iter={options.max_iter} while the log-likelihood "
            f"still rose by {gain:.1e} per iteration; raise max_iter.",
            ConvergenceWarning,
        )
