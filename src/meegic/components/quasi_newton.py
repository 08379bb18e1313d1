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
    floor_weights,
    keep_dead,
    likelihood,
    m_step,
)
from meegic.components.newton import (
    Curvature,
    at_least,
    compute_curvature,
    natural_direction,
    newton_direction,
)
from meegic.components.options import AmicaOptions
from meegic.components.parameters import (
    AmicaParameters,
    move_center,
    psi,
    restore_gauge,
)
from meegic.components.statistics import Statistics

MEMORY = 30
WARM_UP = 10
_WARM_RATE = 0.1
_ARMIJO = 1e-4
_MAX_TRIALS = 10
_LARGEST_MOVE = 0.5  # of an element of E in the first trial
_RHO_SCALE = 0.05  # EM's scaling of rho is twenty times too bold
_SMALLEST_ALPHA = 1e-8
_CURVED = 1e-10  # a pair (s, y) is kept when the cosine between them is larger
_WINDOW, _GAIN = 20, 6e-6  # the default stop: gain per passes


class Unknowns(NamedTuple):
    """A direction, gradient or displacement in all unknowns."""

    unmix: Float[np.ndarray, "models components components"]
    log_alpha: Float[np.ndarray, "models mixtures components"]
    mu: Float[np.ndarray, "models mixtures components"]
    log_beta: Float[np.ndarray, "models mixtures components"]
    rho: Float[np.ndarray, "models mixtures components"]
    log_weight: Float[np.ndarray, " models"]

    def flat(self) -> Float[np.ndarray, " unknowns"]:
        """Join all unknowns in one vector."""
        return np.concatenate([one.ravel() for one in self])

    def like(self, vector: Float[np.ndarray, " unknowns"]) -> "Unknowns":
        """Cut a vector into unknowns of these shapes."""
        ends = np.cumsum([one.size for one in self])[:-1]
        parts = np.split(vector, ends)
        shaped = (a.reshape(b.shape) for a, b in zip(parts, self, strict=True))
        return Unknowns(*shaped)


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
    marks: Float[np.ndarray, "iterations 2"]
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
            warmed = self._warm_up(state, evaluate)
            if warmed is not None:
                return warmed, Progress(value, norm, _WARM_RATE, "")
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
        )

    def scored_at(self, state: QuasiNewtonState) -> AmicaParameters:
        """Give the parameters whose likelihood decides about rejection."""
        return state.parameters

    def finish(self, state: QuasiNewtonState) -> AmicaParameters:
        """Give the parameters that a fit ends with, in the usual gauge."""
        return fix_gauge(state.parameters, state.sums, self.options)

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

    def _warm_up(
        self, state: QuasiNewtonState, evaluate: Evaluate
    ) -> QuasiNewtonState | None:
        """Make an EM step along the natural gradient; ``None`` if it does not help."""
        parameters = m_step(
            state.parameters, state.sums, natural_direction(state.sums), self.options,
            lrate=_WARM_RATE, rholrate=self.options.rholrate, fisher=True,
        )  # fmt: skip
        sums = evaluate(parameters)
        if not likelihood(sums) >= likelihood(state.sums) - FALL:
            return None
        return state._replace(
            iteration=state.iteration + 1, n_evals=state.n_evals + 1,
            parameters=parameters, sums=sums,
        )  # fmt: skip

    def _step(
        self, state: QuasiNewtonState, gradient: Unknowns, evaluate: Evaluate
    ) -> tuple[QuasiNewtonState, float, str]:
        """Search along the direction; without memory when that leads nowhere."""
        for _ in range(2):
            direction, slope = self._direct(state, gradient)
            found = self._search(state, direction, slope, evaluate)
            state = state._replace(n_evals=found.n_evals)
            if found.sums is not None:
                return self._accept(state, gradient, found), found.rate, ""
            if found.rate == 0:
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
        slope = float(direction @ ascent)
        if not slope > 0:
            direction = scaling.apply(gradient).flat()
            slope = float(direction @ ascent)
        return gradient.like(direction), slope

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
                return _Found(n_evals, rate, trial, sums, step)
            finite = math.isfinite(gain)
            any_finite |= finite
            best = rate * rate * slope / (2 * (rate * slope - gain)) if finite else 0.0
            rate = min(max(best, 0.1 * rate), 0.5 * rate)
        return _Found(n_evals, float(any_finite), state.parameters, None, direction)

    def _accept(
        self, state: QuasiNewtonState, gradient: Unknowns, found: "_Found"
    ) -> QuasiNewtonState:
        assert found.sums is not None
        after = ascent_gradient(found.parameters, found.sums, self.options)
        step, change = found.step.flat(), gradient.flat() - after.flat()
        steps, changes = state.steps, state.changes
        product = step @ change
        if product > _CURVED * math.sqrt((step @ step) * (change @ change)):
            steps = np.vstack([steps, step])[-MEMORY:]
            changes = np.vstack([changes, change])[-MEMORY:]
        return state._replace(
            iteration=state.iteration + 1, parameters=found.parameters,
            sums=found.sums, steps=steps, changes=changes,
        )  # fmt: skip


class _Found(NamedTuple):
    """Where a line search ended; nowhere without statistics.

    Then the rate is 0 if no trial was finite, else 1.
    """

    n_evals: int
    rate: float
    parameters: AmicaParameters
    sums: Statistics | None
    step: Unknowns


class Scaling(NamedTuple):
    """The first guess of the inverse Hessian."""

    n_samples: float
    explained: Float[np.ndarray, " models"]
    curvature: Curvature
    diagonal: Unknowns

    def apply(self, gradient: Unknowns) -> Unknowns:
        """Scale a gradient to a step."""
        part = (at_least(self.explained) / self.n_samples)[:, None, None]
        scaled = (a * b for a, b in zip(self.diagonal, gradient, strict=True))
        unmix = newton_direction(gradient.unmix / part, self.curvature)
        return Unknowns(*scaled)._replace(unmix=unmix)


def make_scaling(parameters: AmicaParameters, sums: Statistics) -> Scaling:
    """Build the first guess of the inverse Hessian from the statistics of a point.

    Parameters
    ----------
    parameters : AmicaParameters
        The point.
    sums : Statistics
        One pass over the data there.

    Returns
    -------
    Scaling
        Blocks for the unmixing, diagonals for the rest.
    """
    share = np.maximum(sums.u / sums.n_samples, 1e-3 * _model_share(sums))
    rho = parameters.rho
    fisher = (parameters.beta * rho) ** 2 * sums.ur2_y2
    alive = (sums.v >= 2 * parameters.unmix.shape[1]).astype(float)
    by_term = alive[:, None, None]
    return Scaling(
        n_samples=sums.n_samples,
        explained=sums.v,
        curvature=compute_curvature(parameters, sums),
        diagonal=Unknowns(
            unmix=np.zeros_like(parameters.unmix),
            log_alpha=by_term / np.maximum(parameters.alpha, 1e-3) / _model_share(sums),
            mu=by_term * sums.n_samples / np.maximum(fisher, np.finfo(float).tiny),
            log_beta=by_term / (rho * share),
            rho=by_term * _RHO_SCALE * rho**2 / (psi(rho) * share),
            log_weight=alive / np.maximum(parameters.weight, 1e-3),
        ),
    )


def ascent_gradient(
    parameters: AmicaParameters, sums: Statistics, options: AmicaOptions
) -> Unknowns:
    """Compute the gradient of the log-likelihood per sample in all unknowns.

    Parameters
    ----------
    parameters : AmicaParameters
        The point.
    sums : Statistics
        One pass over the data there.
    options : AmicaOptions
        The bounds of rho and beta, at which the gradient does not point outward.

    Returns
    -------
    Unknowns
        Zero for models that explain too few samples.
    """
    p, n = parameters, sums.n_samples
    eye = np.eye(p.unmix.shape[1])
    log_beta = (sums.u - p.rho * sums.ur) / n
    rho = (psi(p.rho) / p.rho**2 * sums.u - sums.url) / n
    gradient = Unknowns(
        unmix=(sums.v[:, None, None] * eye - sums.cross) / n,
        log_alpha=(sums.u - p.alpha * sums.v[:, None, None]) / n,
        mu=p.beta * p.rho * sums.ur_y / n,
        log_beta=_inward(log_beta, p.beta, options.invsigmin, options.invsigmax),
        rho=_inward(rho, p.rho, options.minrho, options.maxrho),
        log_weight=sums.v / n - p.weight,
    )
    alive = sums.v >= 2 * len(eye)
    if alive.all():
        return gradient
    keep = (one * alive.reshape(-1, *[1] * (one.ndim - 1)) for one in gradient)
    return Unknowns(*keep)


def move(
    parameters: AmicaParameters, direction: Unknowns, rate: float, options: AmicaOptions
) -> tuple[AmicaParameters, Unknowns]:
    """Go along a direction, within the bounds, and say how far it went.

    Parameters
    ----------
    parameters : AmicaParameters
        From here.
    direction : Unknowns
        Where to.
    rate : float
        How much of it.
    options : AmicaOptions
        The bounds of beta and rho.

    Returns
    -------
    parameters : AmicaParameters
        There.
    step : Unknowns
        The displacement that took place.
    """
    p = parameters
    alpha = p.alpha * np.exp(_centered(rate * direction.log_alpha, axis=1))
    alpha = np.maximum(alpha / alpha.sum(axis=1, keepdims=True), _SMALLEST_ALPHA)
    alpha /= alpha.sum(axis=1, keepdims=True)
    weight = p.weight * np.exp(_centered(rate * direction.log_weight, axis=0))
    bounded = np.clip(rate * direction.log_beta, -1, 1)
    moved = p._replace(
        unmix=p.unmix + rate * (direction.unmix @ p.unmix),
        weight=floor_weights(weight / weight.sum(), axis=0),
        alpha=alpha,
        mu=p.mu + rate * direction.mu,
        beta=np.clip(p.beta * np.exp(bounded), options.invsigmin, options.invsigmax),
        rho=np.clip(p.rho + rate * direction.rho, options.minrho, options.maxrho),
    )
    step = Unknowns(
        unmix=rate * direction.unmix,
        log_alpha=np.log(moved.alpha / p.alpha),
        mu=moved.mu - p.mu,
        log_beta=np.log(moved.beta / p.beta),
        rho=moved.rho - p.rho,
        log_weight=np.log(moved.weight / p.weight),
    )
    return moved, step


def fix_gauge(
    parameters: AmicaParameters, sums: Statistics, options: AmicaOptions
) -> AmicaParameters:
    """Scale the mixing's columns and center the models, at the same likelihood."""
    mean = sums.vx / at_least(sums.v)[:, None]
    fixed = move_center(parameters, mean)
    if options.doscaling:
        fixed = restore_gauge(fixed)
    return keep_dead(parameters, fixed, sums.v >= 2 * mean.shape[1])


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


def _inward(
    gradient: np.ndarray, values: np.ndarray, low: float, high: float
) -> np.ndarray:
    outward = ((values <= low) & (gradient < 0)) | ((values >= high) & (gradient > 0))
    return np.where(outward, 0.0, gradient)


def _centered(change: np.ndarray, axis: int) -> np.ndarray:
    return change - change.max(axis=axis, keepdims=True)


def _model_share(sums: Statistics) -> np.ndarray:
    return (at_least(sums.v) / sums.n_samples)[:, None, None]


def _count_unknowns(parameters: AmicaParameters) -> int:
    p = parameters
    return p.unmix.size + 4 * p.mu.size + p.weight.size
