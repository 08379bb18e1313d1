r"""The joint quasi-Newton solver: L-BFGS over unmixing and densities of all models.

It minimizes the negative log-likelihood per sample. The unmixing moves relative to
itself, :math:`W \leftarrow (I + E) W`; weights and scales move as logarithms. The
first guess of the inverse Hessian is rebuilt at every iteration: pair blocks for the
unmixing, Fisher information or EM's own scaling for each density parameter.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meegic.components.em import (
    FALL,
    Evaluate,
    Progress,
    keep_dead,
    likelihood,
    m_step,
)
from meegic.components.newton import natural_direction
from meegic.components.options import AmicaOptions
from meegic.components.parameters import (
    AmicaParameters,
    move_center,
    restore_gauge,
)
from meegic.components.statistics import Statistics
from meegic.components.unknowns import (
    Scaling,
    Unknowns,
    ascent_gradient,
    make_scaling,
    move,
)

MEMORY = 30
WARM_UP = 10
_WARM_RATE = 0.1
_ARMIJO = 1e-4
_MAX_TRIALS = 10
_LARGEST_MOVE = 0.5  # of an element of E in the first trial
_CURVED = 1e-10  # a pair (s, y) is kept when the cosine between them is larger
_WINDOW, _GAIN = 25, 2e-5  # the default stop: gain per passes


class QuasiNewtonState(NamedTuple):
    """Everything that the next iteration depends on.

    Attributes
    ----------
    iteration, n_evals : int
        Accepted steps, and passes over the data.
    parameters, sums : AmicaParameters, Statistics
        The present point.
    steps, changes : array, shape (n_memory, n_unknowns)
        Displacements and changes of the gradient, oldest first.
    marks : array, shape (n_iter, 2)
        Passes and log-likelihood after every iteration since the last reset.
    n_small : int
        Gains in a row below the user's ``min_dll``.
    """

    iteration: int
    n_evals: int
    parameters: AmicaParameters
    sums: Statistics
    steps: Float[np.ndarray, "memory unknowns"]
    changes: Float[np.ndarray, "memory unknowns"]
    marks: Float[np.ndarray, "recent 2"]
    n_small: int


class QuasiNewtonSolver:
    """Preconditioned L-BFGS whose steps never lower the likelihood."""

    name = "quasi-newton"

    def __init__(self, options: AmicaOptions) -> None:
        self.options = options

    def start(
        self, parameters: AmicaParameters, evaluate: Evaluate
    ) -> QuasiNewtonState:
        """Make the first pass at the parameters."""
        none = np.zeros((0, _count_unknowns(parameters)))
        return QuasiNewtonState(
            0, 1, parameters, evaluate(parameters), none, none, np.zeros((0, 2)), 0
        )

    def advance(
        self, state: QuasiNewtonState, evaluate: Evaluate
    ) -> tuple[QuasiNewtonState, Progress]:
        """Make one accepted step, by EM at first; or say why there is none."""
        value = likelihood(state.sums)
        if not math.isfinite(value):
            return state, Progress(value, math.nan, math.nan, "")
        gradient = ascent_gradient(state.parameters, state.sums, self.options)
        norm = float(max(np.abs(one).max() for one in gradient))
        state = self._mark(state, value)
        reason = self._stop(state, norm)
        rate = 0.0
        if not reason and state.iteration < WARM_UP:
            iteration = state.iteration
            state = self._warm_up(state, evaluate)
            if state.iteration > iteration:
                return state, Progress(value, norm, _WARM_RATE, "")
        if not reason:
            state, rate, reason = self._step(state, gradient, evaluate)
        return state, Progress(value, norm, rate, reason)

    def go_on_from(
        self,
        state: QuasiNewtonState,
        parameters: AmicaParameters,
        evaluate: Evaluate,
    ) -> QuasiNewtonState:
        """Go on after parameters or weights have changed, which ends the memory."""
        return _forget(state)._replace(
            parameters=parameters,
            sums=evaluate(parameters),
            n_evals=state.n_evals + 1,
            marks=state.marks[:0],
            n_small=0,
        )

    def scored_at(self, state: QuasiNewtonState) -> AmicaParameters:
        """Give the parameters whose likelihood decides about rejection."""
        return state.parameters

    def finish(self, state: QuasiNewtonState) -> AmicaParameters:
        """Give the parameters that a fit ends with, in the usual gauge."""
        return fix_gauge(state.parameters, state.sums, self.options)

    def fall_back(
        self, state: QuasiNewtonState, value: float
    ) -> AmicaParameters | None:
        """Give nothing: no step that lowers the likelihood is accepted."""
        del state, value

    def _mark(self, state: QuasiNewtonState, value: float) -> QuasiNewtonState:
        min_dll = self.options.min_dll
        small = state.n_small
        if len(state.marks) and min_dll is not None:
            small = small + 1 if value - state.marks[-1, 1] < min_dll else 0
        marks = np.vstack([state.marks, [state.n_evals, value]])
        return state._replace(marks=marks[-4 * _WINDOW :], n_small=small)

    def _stop(self, state: QuasiNewtonState, norm: float) -> str:
        options = self.options
        if options.use_grad_norm and norm <= options.min_nd:
            return "min_nd"
        if not options.use_min_dll:
            return ""
        if options.min_dll is not None:
            return "min_dll" if state.n_small > options.maxincs else ""
        passes, values = state.marks.T
        earlier = np.flatnonzero(passes <= passes[-1] - _WINDOW)
        slow = len(earlier) and values[-1] - values[earlier[-1]] < _GAIN
        return "min_dll" if slow and state.iteration > WARM_UP + _WINDOW else ""

    def _warm_up(self, state: QuasiNewtonState, evaluate: Evaluate) -> QuasiNewtonState:
        """Make an EM step along the natural gradient, if that helps."""
        parameters = m_step(
            state.parameters, state.sums, natural_direction(state.sums), self.options,
            lrate=_WARM_RATE, rholrate=self.options.rholrate, fisher=True,
        )  # fmt: skip
        sums = evaluate(parameters)
        state = state._replace(n_evals=state.n_evals + 1)
        if not likelihood(sums) >= likelihood(state.sums) - FALL:
            return state
        iteration = state.iteration + 1
        return state._replace(iteration=iteration, parameters=parameters, sums=sums)

    def _step(
        self, state: QuasiNewtonState, gradient: Unknowns, evaluate: Evaluate
    ) -> tuple[QuasiNewtonState, float, str]:
        """Search along the direction; without memory when that leads nowhere."""
        for _ in range(2):
            direction, slope = self._direct(state, gradient)
            if not slope > 0:  # no ascent
                state = _forget(state)
                direction, slope = self._direct(state, gradient)
            found = self._search(state, direction, slope, evaluate)
            state = state._replace(n_evals=found.n_evals)
            if found.sums is not None:
                accepted = self._accept(state, gradient, found, found.sums)
                return accepted, found.rate, ""
            if not found.any_finite:
                return state, 0.0, "not_finite"
            if not len(state.steps):
                break
            state = _forget(state)
        return state, 0.0, "line_search"

    def _direct(
        self, state: QuasiNewtonState, gradient: Unknowns
    ) -> tuple[Unknowns, float]:
        scaling = make_scaling(state.parameters, state.sums)
        ascent = gradient.flat()
        direction = _two_loops(ascent, state.steps, state.changes, gradient, scaling)
        return gradient.like(direction), float(direction @ ascent)

    def _search(
        self,
        state: QuasiNewtonState,
        direction: Unknowns,
        slope: float,
        evaluate: Evaluate,
    ) -> "_Found":
        """Backtrack until the likelihood rises by a share of what the slope says."""
        base = state.sums.log_likelihood / state.sums.n_samples
        rate = min(1.0, _LARGEST_MOVE / max(np.abs(direction.unmix).max(), 1e-300))
        n_evals, any_finite = state.n_evals, False
        for _ in range(_MAX_TRIALS):
            trial, step = move(state.parameters, direction, rate, self.options)
            sums = evaluate(trial)
            n_evals += 1
            gain = sums.log_likelihood / sums.n_samples - base
            if gain >= _ARMIJO * rate * slope:
                return _Found(n_evals, True, rate, trial, sums, step)
            finite = math.isfinite(gain)
            any_finite |= finite
            best = rate * rate * slope / (2 * (rate * slope - gain)) if finite else 0.0
            rate = min(max(best, 0.1 * rate), 0.5 * rate)
        return _Found(n_evals, any_finite, 0.0, state.parameters, None, direction)

    def _accept(
        self,
        state: QuasiNewtonState,
        gradient: Unknowns,
        found: "_Found",
        sums: Statistics,
    ) -> QuasiNewtonState:
        after = ascent_gradient(found.parameters, sums, self.options)
        step, change = found.step.flat(), gradient.flat() - after.flat()
        steps, changes = state.steps, state.changes
        product = step @ change
        if product > _CURVED * math.sqrt((step @ step) * (change @ change)):
            steps = np.vstack([steps, step])[-MEMORY:]
            changes = np.vstack([changes, change])[-MEMORY:]
        return state._replace(
            iteration=state.iteration + 1, parameters=found.parameters,
            sums=sums, steps=steps, changes=changes,
        )  # fmt: skip


class _Found(NamedTuple):
    """Where a line search ended; nowhere without statistics."""

    n_evals: int
    any_finite: bool
    rate: float
    parameters: AmicaParameters
    sums: Statistics | None
    step: Unknowns


def fix_gauge(
    parameters: AmicaParameters, sums: Statistics, options: AmicaOptions
) -> AmicaParameters:
    """Scale the mixing's columns and center the models, at the same likelihood.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> from meegic.components.options import AmicaOptions
    >>> fix_gauge(start, sums, AmicaOptions()).center.round(2).shape
    (1, 2)
    """
    mean = sums.vx / sums.explained[:, None]
    fixed = move_center(parameters, mean)
    if options.doscaling:
        fixed = restore_gauge(fixed)
    return keep_dead(parameters, fixed, sums.alive)


def _two_loops(
    ascent: np.ndarray,
    steps: np.ndarray,
    changes: np.ndarray,
    shapes: Unknowns,
    scaling: Scaling,
) -> np.ndarray:
    """Apply the L-BFGS inverse Hessian to the gradient."""
    products = np.einsum("kd,kd->k", steps, changes)
    rest, parts = ascent.copy(), np.zeros(len(steps))
    for k in reversed(range(len(steps))):
        parts[k] = steps[k] @ rest / products[k]
        rest -= parts[k] * changes[k]
    result = scaling.apply(shapes.like(rest)).flat()
    for k in range(len(steps)):
        result += (parts[k] - changes[k] @ result / products[k]) * steps[k]
    return result


def _forget(state: QuasiNewtonState) -> QuasiNewtonState:
    return state._replace(steps=state.steps[:0], changes=state.changes[:0])


def _count_unknowns(parameters: AmicaParameters) -> int:
    p = parameters
    return p.unmix.size + 4 * p.mu.size + p.weight.size
