"""Artifact subspace reconstruction of a recording that comes in pieces."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.signal import sosfilt

from meegic.base.arrays import Array, precise
from meegic.base.checks import check_finite
from meegic.base.errors import InputError, ShapeError
from meegic.clean.asr_kernel import Past, Plan, Step, advance, begin, conclude
from meegic.clean.asr_plan import ASROptions, make_plan, start_filter
from meegic.clean.asr_state import ASRState


class Position(NamedTuple):
    """Where a stream stands.

    Attributes
    ----------
    filter_state : array, shape (n_sections, n_channels, 2) | None
        Of the shaping filter.
    past : Past
        What the last whole block left.
    shaped : array, shape (n_channels, n_window + n_partial)
        The shaped samples that a window may still need.
    delayed : array, shape (n_channels, n_ahead + n_partial)
        Recorded samples that are not yet given out.
    tail : array, shape (n_channels, n_ahead + 1)
        The last recorded samples, from which the end is continued.
    n_taken, n_given : int
        How many samples came in and went out.
    """

    filter_state: Float[np.ndarray, "sections channels 2"] | None
    past: Past
    shaped: Float[np.ndarray, "channels recent"]
    delayed: Float[np.ndarray, "channels waiting"]
    tail: Float[np.ndarray, "channels end"]
    n_taken: int
    n_given: int


class ASRStream:
    """Clean a recording piece by piece, as it is recorded.

    The pieces may have any lengths: what comes out, joined, is bit for bit what
    :func:`apply_reported_asr` gives for the whole recording, with the same options. The
    output lags behind by the lookahead and up to one step.

    Parameters
    ----------
    state : ASRState
        What :func:`calibrate_asr` found.
    options : ASROptions | None
        Window, step and the like.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((4, 3000))
    >>> stream = ASRStream(calibrate_asr(data, cutoff=20.0))
    >>> pieces = [stream.push(data[:, :1234]), stream.push(data[:, 1234:])]
    >>> np.hstack([*pieces, stream.finish()]).shape
    (4, 3000)
    """

    def __init__(self, state: ASRState, options: ASROptions | None = None) -> None:
        options = options or ASROptions()
        self._plan = make_plan(state, options)
        self._sos = None if state.sos is None else np.asarray(state.sos)
        self._position: Position | None = open_position(
            self._plan, start_filter(state, options)
        )

    @property
    def latency(self) -> int:
        """How many samples the output may lag behind."""
        return self._plan.n_ahead + self._plan.n_step

    def push(self, data: Array) -> Float[np.ndarray, "channels times"]:
        """Take the next samples, and give out those that are ready.

        Parameters
        ----------
        data : array, shape (n_channels, n_any)
            The next samples.

        Returns
        -------
        array, shape (n_channels, n_ready)
            Cleaned samples, in float64, in order; maybe none.
        """
        here = self._stand()
        block = take_piece(data, len(self._plan.passed))
        self._position, steps = push_samples(self._plan, self._sos, here, block)
        return _join([one.cleaned for one in steps], len(block))

    def finish(self) -> Float[np.ndarray, "channels times"]:
        """End the recording, and give out all samples that are left.

        Returns
        -------
        array, shape (n_channels, n_left)
            Cleaned samples, in float64.
        """
        here = self._stand()
        steps = finish_samples(self._plan, self._sos, here)
        self._position = None
        return _join([one.cleaned for one in steps], len(self._plan.passed))

    def _stand(self) -> Position:
        if self._position is None:
            raise InputError("This stream is finished.", hint="Open a new one.")
        return self._position


def open_position(plan: Plan, filter_state: Array | None) -> Position:
    """Stand before the first sample.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> state = calibrate_asr(np.random.default_rng(0).standard_normal((2, 900)), 20.0)
    >>> open_position(make_plan(state, ASROptions()), None).n_taken
    0
    """
    n_channels = len(plan.passed)
    return Position(
        filter_state=None if filter_state is None else np.asarray(filter_state),
        past=begin(plan),
        shaped=np.zeros((n_channels, plan.n_window)),
        delayed=np.zeros((n_channels, plan.n_ahead)),
        tail=np.zeros((n_channels, 0)),
        n_taken=0,
        n_given=-plan.n_ahead,
    )


def push_samples(
    plan: Plan, sos: np.ndarray | None, here: Position, data: np.ndarray
) -> tuple[Position, list[Step]]:
    """Take samples in, and process every whole block.

    Parameters
    ----------
    plan : Plan
        What stays the same.
    sos : array, shape (n_sections, 6) | None
        The shaping filter.
    here : Position
        Where the stream stands.
    data : array, shape (n_channels, n_any)
        The next samples.

    Returns
    -------
    here : Position
        Where it stands now.
    steps : list of Step
        One for every whole block, without samples from before the recording.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((2, 900))
    >>> plan = make_plan(calibrate_asr(data, 20.0), ASROptions())
    >>> here, steps = push_samples(plan, None, open_position(plan, None), data)
    >>> len(steps), here.n_given
    (18, 850)
    """
    new, final = _shape(sos, data, here.filter_state)
    shaped = np.concatenate([here.shaped, new], axis=1)
    delayed = np.concatenate([here.delayed, data], axis=1)
    tail = np.concatenate([here.tail, data[:, -plan.n_ahead - 1 :]], axis=1)
    past, steps, size = here.past, [], plan.n_step
    n_blocks = (shaped.shape[1] - plan.n_window) // size
    with precise():
        for first in range(0, n_blocks * size, size):
            recent = shaped[:, plan.n_window + first :][:, :size].copy()
            old = delayed[:, first : first + size].copy()
            past, step = advance(plan, past, recent, old)
            steps.append(_without_lead(step, here.n_given + first))
    done = n_blocks * size
    return Position(
        filter_state=final,
        past=past,
        shaped=shaped[:, done:].copy(),
        delayed=delayed[:, done:].copy(),
        tail=tail[:, -plan.n_ahead - 1 :].copy(),
        n_taken=here.n_taken + data.shape[1],
        n_given=here.n_given + done,
    ), steps


def finish_samples(plan: Plan, sos: np.ndarray | None, here: Position) -> list[Step]:
    """Continue the recording beyond its end, and process what is left.

    Parameters
    ----------
    plan : Plan
        What stays the same.
    sos : array, shape (n_sections, 6) | None
        The shaping filter.
    here : Position
        Where the stream stands.

    Returns
    -------
    list of Step
        The last ones; all samples are given out after them.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((2, 900))
    >>> plan = make_plan(calibrate_asr(data, 20.0), ASROptions())
    >>> here, _ = push_samples(plan, None, open_position(plan, None), data)
    >>> sum(one.cleaned.shape[1] for one in finish_samples(plan, None, here))
    50
    """
    if here.n_taken < plan.n_window:
        raise InputError(
            f"data must have at least {plan.n_window} times, one window, but have "
            f"{here.n_taken}.",
            hint="Pass a longer recording or a shorter window.",
        )
    here, steps = push_samples(
        plan, sos, here, np.asarray(continue_end(plan, here.tail))
    )
    n_left = here.delayed.shape[1] - plan.n_ahead
    if n_left:
        recent = here.shaped[:, -plan.n_window :].copy()
        old = here.delayed[:, :n_left].copy()
        with precise():
            step = conclude(plan, here.past, recent, old)
            steps.append(_without_lead(step, here.n_given))
    return steps


def continue_end(plan: Plan, tail: Array) -> Array:
    """Continue data by as many samples as the output lags behind.

    Examples
    --------
    >>> ones = np.ones(1)
    >>> plan = Plan(ones[:, None], ones, ones[:, None], 0 * ones, np.zeros(1, int),
    ...             n_window=4, n_step=2, n_ahead=2, n_always=0, soft=None)
    >>> continue_end(plan, np.array([[1.0, 2.0, 4.0]]))
    array([[6., 7.]])
    """
    mirrored = tail[:, -2 : -plan.n_ahead - 2 : -1]
    return mirrored if plan.padding == "even" else 2 * tail[:, -1:] - mirrored


def take_piece(data: Array, n_channels: int) -> Float[np.ndarray, "channels times"]:
    """Take a piece of a recording of any length as float64, or say why not.

    Examples
    --------
    >>> take_piece(np.ones((2, 1), np.int16), 2).dtype
    dtype('float64')
    """
    piece = np.asanyarray(data)
    if piece.ndim != 2 or len(piece) != n_channels:
        raise ShapeError(
            f"data must have shape ({n_channels}, any), the channels of the "
            f"calibration by times, but got {piece.shape}."
        )
    if piece.dtype.kind not in "biuf" or np.ma.is_masked(piece):
        raise InputError(
            f"data must hold real numbers without a mask, but got {piece.dtype}."
        )
    piece = np.asarray(piece, np.float64)
    check_finite("data", piece)
    return piece


def _shape(
    sos: np.ndarray | None, data: np.ndarray, state: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Filter sample by sample, so that pieces of any length give the same bits."""
    if sos is None or data.shape[1] == 0:
        return data, state
    return sosfilt(sos, data, zi=state)


def _without_lead(step: Step, n_given: int) -> Step:
    """Drop the samples from before the recording, which the delay began with."""
    cleaned = np.asarray(step.cleaned)
    return step._replace(cleaned=cleaned[:, max(0, -n_given) :])


def _join(pieces: list, n_channels: int) -> np.ndarray:
    return np.concatenate([np.zeros((n_channels, 0)), *pieces], axis=1)
