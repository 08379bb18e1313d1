"""The reference solver: one M step after each pass, as Fortran's amica15 does it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meegic.components.newton import (
    compute_curvature,
    direction_norm,
    natural_direction,
    newton_direction,
    newton_direction_or_natural,
)
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters, move_center, psi, rescale
from meegic.components.schedule import (
    ScheduleState,
    check_progress,
    lower_rates,
    ramp_rate,
    start_schedule,
)
from meegic.components.statistics import Statistics

_SMALLEST_WEIGHT = 1e-30
_SMALLEST_SHARE = 1e-12  # a term that explains less of its source stays as it is
FALL = 1e-9  # a likelihood that falls by less is rounding

Evaluate = Callable[[AmicaParameters], Statistics]


class Progress(NamedTuple):
    """What one iteration of a solver reports; an empty reason means to go on."""

    log_likelihood: float
    norm: float
    rate: float
    reason: str


class EmState(NamedTuple):
    """Everything that the next EM iteration depends on.

    Attributes
    ----------
    iteration : int
        Iterations that were made.
    parameters : AmicaParameters
        For the next pass.
    origin, sums : AmicaParameters, Statistics
        The parameters before the last step, and their statistics.
    schedule : ScheduleState
        Rates and counters.
    n_failed, n_nan : int
        Passes in a row that lowered the likelihood or were not finite, and how many
        of the last ones were not finite.
    """

    iteration: int
    parameters: AmicaParameters
    origin: AmicaParameters
    sums: Statistics
    schedule: ScheduleState
    n_failed: int
    n_nan: int


class EmSolver:
    """Natural gradient or Newton steps with learning rates, densities by EM."""

    name = "em"

    def __init__(self, options: AmicaOptions) -> None:
        self.options = options

    def start(self, parameters: AmicaParameters, evaluate: Evaluate) -> EmState:
        """Begin at the parameters; no pass is made."""
        del evaluate
        return EmState(
            iteration=0,
            parameters=parameters,
            origin=parameters,
            sums=empty_statistics(parameters),
            schedule=start_schedule(self.options),
            n_failed=0,
            n_nan=0,
        )

    def advance(self, state: EmState, evaluate: Evaluate) -> tuple[EmState, Progress]:
        """Make one pass and one step; a step that failed is made again, shorter."""
        options = self.options
        sums = evaluate(state.parameters)
        value = likelihood(sums)
        if not self._is_good(state, value):
            n_nan = 0 if math.isfinite(value) else state.n_nan + 1
            back = self._step_back(state)._replace(n_nan=n_nan)
            return back, Progress(value, math.nan, math.nan, "")
        iteration = state.iteration + 1
        direction, fell_back = self._direct(state.parameters, sums, iteration)
        norm = self._norm(state.parameters, sums, direction)
        schedule, reason = check_progress(
            state.schedule, options,
            iteration=iteration, log_likelihood=value, norm=norm,
        )  # fmt: skip
        progress = Progress(value, norm, schedule.lrate, reason)
        state = state._replace(
            iteration=iteration,
            origin=state.parameters, sums=sums, schedule=schedule, n_failed=0, n_nan=0,
        )  # fmt: skip
        if reason:
            return state, progress
        newton = self._uses_newton(iteration)
        if newton and not (fell_back and options.newton_fallback == "model"):
            ceiling = schedule.newtrate
        else:
            ceiling = schedule.lrate0
        schedule = ramp_rate(schedule, options, ceiling=ceiling)
        parameters = m_step(
            state.parameters, sums, direction, options,
            lrate=schedule.lrate, rholrate=schedule.rholrate, center=self._center,
        )  # fmt: skip
        return state._replace(parameters=parameters, schedule=schedule), progress

    def go_on_from(
        self, state: EmState, parameters: AmicaParameters, evaluate: Evaluate
    ) -> EmState:
        """Go on after parameters or weights of samples have changed."""
        del evaluate
        schedule = state.schedule._replace(previous=-math.inf)
        return state._replace(parameters=parameters, schedule=schedule)

    def scored_at(self, state: EmState) -> AmicaParameters:
        """Give the parameters whose likelihood decides about rejection."""
        if self.options.compat == "pyamica":
            return state.parameters
        return state.origin

    def finish(self, state: EmState) -> AmicaParameters:
        """Give the parameters that a fit ends with."""
        return state.parameters

    def fall_back(self, state: EmState, value: float) -> AmicaParameters | None:
        """Give the parameters before the last step, when it lowered the likelihood."""
        fine = value >= state.schedule.previous - FALL
        return None if fine or not self.options.safeguard else state.origin

    @property
    def _center(self) -> str:
        return "fixed" if self.options.compat == "pyamica" else "moved"

    def _uses_newton(self, iteration: int) -> bool:
        return self.options.do_newton and iteration >= self.options.newt_start

    def _is_good(self, state: EmState, value: float) -> bool:
        if not math.isfinite(value):
            return False
        fell = value < state.schedule.previous - FALL
        return not (fell and self.options.safeguard)

    def _step_back(self, state: EmState) -> EmState:
        """Return to the parameters before the last step, and make it shorter."""
        options = self.options
        schedule = lower_rates(state.schedule, options, state.iteration)
        # Halving alone would need many passes to leave a bad region.
        extra = options.lratefact ** (2 * state.n_failed)
        schedule = schedule._replace(lrate=schedule.lrate * extra)
        failed = state._replace(schedule=schedule, n_failed=state.n_failed + 1)
        if state.iteration == 0:
            return failed
        direction, _ = self._direct(state.origin, state.sums, state.iteration)
        center = "fixed" if self._center == "fixed" else "compensated"
        parameters = m_step(
            state.origin, state.sums, direction, options,
            lrate=schedule.lrate, rholrate=schedule.rholrate, center=center,
        )  # fmt: skip
        return failed._replace(parameters=parameters)

    def _direct(
        self, parameters: AmicaParameters, sums: Statistics, iteration: int
    ) -> tuple[np.ndarray, bool]:
        natural = natural_direction(sums)
        if not self._uses_newton(iteration):
            return natural, False
        curvature = compute_curvature(parameters, sums)
        scope = self.options.newton_fallback
        if scope == "pair":
            return newton_direction(natural, curvature), False
        return newton_direction_or_natural(natural, curvature, scope=scope)

    def _norm(
        self, parameters: AmicaParameters, sums: Statistics, direction: np.ndarray
    ) -> float:
        if self.options.compat != "pyamica":
            return direction_norm(parameters, direction)
        # The seed measures before Newton, and leaves out one factor n under the root.
        n = direction.shape[1]
        return direction_norm(parameters, natural_direction(sums)) * math.sqrt(n)


def m_step(
    parameters: AmicaParameters,
    sums: Statistics,
    direction: Float[np.ndarray, "models components components"],
    options: AmicaOptions,
    *,
    lrate: float,
    rholrate: float,
    center: str = "compensated",
    fisher: bool = False,
) -> AmicaParameters:
    """Move the unmixing along its direction and the densities by expectation.

    Parameters
    ----------
    parameters : AmicaParameters
        Where the statistics were computed.
    sums : Statistics
        One pass over the data.
    direction : array, shape (n_models, n_components, n_components)
        D; the mixing A becomes A (I - lrate D).
    options : AmicaOptions
        Bounds of the parameters, and whether to scale.
    lrate, rholrate : float
        Rates of the unmixing and of the shapes.
    center : 'compensated' | 'moved' | 'fixed'
        Whether mu follows c so that the likelihood stays, or does not (as in the
        Fortran program), or c does not move either (as in pyAMICA).
    fisher : bool
        Scale the step of mu by Fisher information. EM's own scaling is ruled by the
        sample nearest to mu when rho is near 1, and amplifies rounding.

    Returns
    -------
    AmicaParameters
        The next parameters. A model that explains less than two samples for each
        component keeps all but its weight.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> from meegic.components.options import AmicaOptions
    >>> direction = natural_direction(sums)
    >>> options = AmicaOptions()
    >>> moved = m_step(start, sums, direction, options, lrate=0.1, rholrate=0.05)
    >>> likelihood(make_estep(x)(moved, np.ones(500))) > likelihood(sums)
    True
    """
    old = parameters
    explained = sums.explained
    alpha = floor_weights(sums.u / explained[:, None, None], axis=1)
    mu, beta, rho = _update_terms(old, sums, options, rholrate, fisher=fisher)
    moved = old._replace(alpha=alpha, mu=mu, beta=beta, rho=rho)
    mean = sums.vx / explained[:, None]
    if center == "compensated":
        moved = move_center(moved, mean)
    elif center == "moved":
        moved = moved._replace(center=mean)
    mix = np.linalg.inv(old.unmix)
    mix = mix - lrate * (mix @ direction)
    scale = np.linalg.norm(mix, axis=1)
    if options.doscaling:
        moved = rescale(moved, scale)
        mix = mix / scale[:, None]
    moved = moved._replace(unmix=_invert(mix))
    weight = floor_weights(sums.v / sums.n_samples, axis=0)
    return keep_dead(old, moved, sums.alive)._replace(weight=weight)


def floor_weights(weights: np.ndarray, axis: int) -> np.ndarray:
    """Keep every weight positive, and their sum 1.

    Examples
    --------
    >>> floor_weights(np.array([2.0, 2.0]), axis=0)
    array([0.5, 0.5])
    """
    weights = np.maximum(weights, _SMALLEST_WEIGHT)
    return weights / weights.sum(axis=axis, keepdims=True)


def keep_dead(
    old: AmicaParameters, new: AmicaParameters, alive: np.ndarray
) -> AmicaParameters:
    """Take the old parameters of models that are not alive.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> one, two = draw_parameters(2), draw_parameters(2, rho=1.0)
    >>> keep_dead(one, two, np.array([False])).rho.max()
    np.float64(1.5)
    """
    if alive.all():
        return new
    pairs = zip(old, new, strict=True)
    return AmicaParameters(
        *(np.where(alive.reshape(-1, *[1] * (a.ndim - 1)), b, a) for a, b in pairs)
    )


def likelihood(sums: Statistics) -> float:
    """Compute the log-likelihood per sample and component.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> round(likelihood(sums), 2)
    -1.81
    """
    return float(sums.log_likelihood / (sums.n_samples * sums.cross.shape[1]))


def empty_statistics(parameters: AmicaParameters) -> Statistics:
    """Make statistics of no samples.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> empty_statistics(draw_parameters(2)).n_samples
    0.0
    """
    term = np.zeros_like(parameters.mu)
    place = np.zeros_like(parameters.center)
    return Statistics(
        log_likelihood=0.0, n_samples=0.0, v=np.zeros_like(parameters.weight),
        vb2=place, vx=place, u=term, ur=term, ur_y=term, ur_y2=term, url=term,
        ur2=term, ur2_y2=term, cross=np.zeros_like(parameters.unmix),
    )  # fmt: skip


def _invert(mix: np.ndarray) -> np.ndarray:
    """Invert; zeros where that cannot be, which no sample can come from."""
    try:
        return np.linalg.inv(mix)
    except np.linalg.LinAlgError:
        return np.zeros_like(mix)


def _update_terms(
    old: AmicaParameters,
    sums: Statistics,
    options: AmicaOptions,
    rholrate: float,
    *,
    fisher: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tiny = np.finfo(float).tiny
    u, ur = np.maximum(sums.u, tiny), np.maximum(sums.ur, tiny)
    bend = old.rho * sums.ur2_y2 if fisher else sums.ur_y2
    mu = old.mu + sums.ur_y / (old.beta * np.maximum(bend, tiny))
    beta = old.beta * np.sqrt(u / (old.rho * ur))
    beta = np.clip(beta, options.invsigmin, options.invsigmax)
    step = 1 - old.rho**2 / psi(old.rho) * sums.url / u
    rho = np.clip(old.rho + rholrate * step, options.minrho, options.maxrho)
    used = sums.u >= _SMALLEST_SHARE * sums.explained[:, None, None]
    return (
        np.where(used, mu, old.mu),
        np.where(used, beta, old.beta),
        np.where(used, rho, old.rho),
    )
