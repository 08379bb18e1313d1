"""Learning rates and stopping of the EM solver, as a pure state machine."""

from typing import NamedTuple

from meegic.components.options import AmicaOptions


class ScheduleState(NamedTuple):
    """Rates and counters between two iterations.

    Attributes
    ----------
    lrate, rholrate : float
        Rates of the unmixing and of the shapes, as last used.
    lrate0, newtrate, rholrate0 : float
        Their ceilings: before Newton, with Newton, of the shapes.
    n_decs, n_incs : int
        Falls since the ceilings were lowered; small gains in a row.
    previous : float
        The log-likelihood of the iteration before.
    """

    lrate: float
    rholrate: float
    lrate0: float
    newtrate: float
    rholrate0: float
    n_decs: int
    n_incs: int
    previous: float


def start_schedule(options: AmicaOptions) -> ScheduleState:
    """Begin with the rates of the options.

    Examples
    --------
    >>> start_schedule(AmicaOptions()).lrate
    0.1
    """
    return ScheduleState(
        lrate=options.lrate,
        rholrate=options.rholrate,
        lrate0=options.lrate0,
        newtrate=options.newtrate,
        rholrate0=options.rholrate,
        n_decs=0,
        n_incs=0,
        previous=float("-inf"),
    )


def check_progress(
    state: ScheduleState,
    options: AmicaOptions,
    *,
    iteration: int,
    log_likelihood: float,
    norm: float,
) -> tuple[ScheduleState, str]:
    """Compare with the iteration before: lower the rates, count, or stop.

    Parameters
    ----------
    state : ScheduleState
        Before this iteration.
    options : AmicaOptions
        The rules.
    iteration : int
        From 1.
    log_likelihood, norm : float
        Of the present parameters and of the step that would follow.

    Returns
    -------
    state : ScheduleState
        With the rates before the ramp.
    reason : str
        Why to stop; empty to go on.

    Examples
    --------
    >>> options = AmicaOptions()
    >>> given = {"iteration": 1, "log_likelihood": -3.5, "norm": 0.1}
    >>> check_progress(start_schedule(options), options, **given)[1]
    ''
    """
    if iteration == options.newt_start:
        state = state._replace(n_decs=0)
    reason = ""
    state = state._replace(rholrate=state.rholrate0)
    if iteration > 1:
        gain = log_likelihood - state.previous
        if gain < 0:
            if state.lrate <= options.minlrate:
                reason = "minlrate"
            elif norm <= options.min_nd:
                reason = "min_nd"
            else:
                state = lower_rates(state, options, iteration)
        if not reason and options.use_min_dll:
            min_dll = 1e-9 if options.min_dll is None else options.min_dll
            state = state._replace(n_incs=state.n_incs + 1 if gain < min_dll else 0)
            reason = "min_dll" if state.n_incs > options.maxincs else ""
        if not reason and options.use_grad_norm and norm <= options.min_nd:
            reason = "min_nd"
    return state._replace(previous=log_likelihood), reason


def ramp_rate(
    state: ScheduleState, options: AmicaOptions, *, ceiling: float
) -> ScheduleState:
    """Raise the rate towards its ceiling.

    Examples
    --------
    >>> options = AmicaOptions()
    >>> ramp_rate(start_schedule(options), options, ceiling=1.0).lrate
    0.2
    """
    step = min(1 / options.newt_ramp, state.lrate)
    return state._replace(lrate=min(ceiling, state.lrate + step))


def lower_rates(
    state: ScheduleState, options: AmicaOptions, iteration: int
) -> ScheduleState:
    """Lower the rates after a fall, and after several also their ceilings.

    Examples
    --------
    >>> options = AmicaOptions()
    >>> lower_rates(start_schedule(options), options, 1).lrate
    0.05
    """
    state = state._replace(
        lrate=state.lrate * options.lratefact,
        rholrate=state.rholrate * options.rholratefact,
        n_decs=state.n_decs + 1,
    )
    if state.n_decs < options.maxdecs:
        return state
    state = state._replace(lrate0=state.lrate0 * options.lratefact, n_decs=0)
    if options.do_newton and iteration > options.newt_start:
        state = state._replace(
            rholrate0=state.rholrate0 * options.rholratefact,
            newtrate=state.newtrate * options.lratefact,
        )
    return state
