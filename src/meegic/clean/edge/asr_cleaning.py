"""Artifact subspace reconstruction of the stretches of MNE objects."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from meegic.base.alerts import warn_user
from meegic.base.errors import DataWarning, OptionError
from meegic.base.spans import find_spans, mark_spans
from meegic.clean.asr_kernel import Plan, Step
from meegic.clean.asr_plan import (
    ASROptions,
    make_plan,
    start_filter,
    warn_of_loss,
)
from meegic.clean.asr_state import ASRState
from meegic.clean.asr_stream import finish_samples, open_position, push_samples
from meegic.clean.edge.annotations import annotate_mask, annotate_spans
from meegic.clean.edge.judging import take_used
from meegic.clean.edge.samples import put_samples, take_samples
from meegic.clean.edge.segments import Segments
from meegic.clean.edge.stretches import SHORT
from meegic.clean.windows import find_stretches, judge_windows, round_half_up

# Of what is still unusual after the reconstruction: as clean_rawdata cuts by default.
_BAD_CHANNELS = 0.25
_Z_LIMITS = (-np.inf, 7.0)
_WINDOW_S = 1.0

_PIECE = 2**14


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class ASRReport:
    """What was done to the channels of one type.

    Samples are counted from the first of a recording, or of the first epoch through
    all epochs.

    Attributes
    ----------
    n_removed : array, shape (n_times,)
        How many dimensions each sample lost; where it goes over from one window to the
        next, the larger number.
    bad : array of bool, shape (n_times,)
        Samples that were changed, and are still unusual.
    passed : array of bool, shape (n_times,)
        Samples that were left as they are: in stretches that are too short, in skips
        and where a channel is not finite.
    n_stretches, n_short : int
        How many stretches there are, and how many of them were too short.
    """

    n_removed: Float[np.ndarray, " times"]
    bad: Bool[np.ndarray, " times"]
    passed: Bool[np.ndarray, " times"]
    n_stretches: int
    n_short: int

    @property
    def repaired(self) -> float:
        """Which share of the processed samples was changed."""
        return float((self.n_removed > 0).sum() / (~self.passed).sum())


def choose_options(
    kind: str, n_channels: int, sfreq: float, settings: dict[str, Any]
) -> ASROptions:
    """Turn seconds into samples; a window too short for the channels is lengthened.

    Parameters
    ----------
    kind : str
        Type of the channels.
    n_channels : int
        How many there are.
    sfreq : float
        Sampling rate in Hz.
    settings : dict
        window_s, step_s and max_dims, as `ASR` has them.

    Returns
    -------
    ASROptions
        In samples.

    Examples
    --------
    >>> settings = {"window_s": 0.5, "step_s": None, "max_dims": 0.66}
    >>> choose_options("eeg", 32, 250.0, settings).step_size
    62
    """
    window_s, step_s = settings["window_s"], settings["step_s"]
    least_s = 1.5 * n_channels / sfreq
    if window_s < least_s:
        warn_user(
            f"window_s is {window_s:g} s, which is too short for {n_channels} {kind} "
            f"channels: {least_s:g} s are used.",
            DataWarning,
        )
        window_s = least_s
    step = window_s * sfreq / 2 if step_s is None else round_half_up(step_s * sfreq)
    if step < 1:
        raise OptionError(
            f"step_s must be at least one sample, {1 / sfreq:.3g} s, but got {step_s}."
        )
    return ASROptions(
        window_size=round_half_up(window_s * sfreq),
        step_size=int(step),
        max_dims=settings["max_dims"],
        # The calibration ended at another moment: its filter state means nothing here.
        initial="zero",
        padding="even",
    )


def clean_type(
    inst: Any,
    picks: Int[np.ndarray, " channels"],
    state: ASRState,
    options: ASROptions,
    segments: Segments,
) -> ASRReport:
    """Clean the channels of one type, in place, each stretch on its own.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        Our own copy, loaded.
    picks : array of int, shape (n_channels,)
        The channels of the calibration, in its order.
    state : ASRState
        The calibration.
    options : ASROptions
        Window and step.
    segments : Segments
        Where the stretches lie.

    Returns
    -------
    ASRReport
        What was done.

    Examples
    --------
    >>> import mne
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> from meegic.clean.edge.segments import find_segments
    >>> data = np.random.default_rng(0).standard_normal((2, 3000))
    >>> raw = mne.io.RawArray(data, mne.create_info(2, 100.0, "eeg"), verbose="error")
    >>> state = calibrate_asr(data, cutoff=20.0)
    >>> raw._data[0, 1000:1200] += 500.0
    >>> picks = np.arange(2)
    >>> segments = find_segments(raw, picks)
    >>> report = clean_type(raw, picks, state, ASROptions(), segments)
    >>> bool(report.n_removed[1000:1200].all())
    True
    """
    plan = make_plan(state, options)
    long = [one for one in segments.slices if one.stop - one.start >= plan.n_window]
    if len(long) < len(segments.slices):
        needed = plan.n_window / inst.info["sfreq"]
        warn_user(
            f"{len(segments.slices) - len(long)} stretches between boundaries are "
            f"shorter than {needed:.3g} s, one window: they stay as they are, "
            f"annotated as {SHORT}.",
            DataWarning,
        )
    n_removed, zi = np.zeros(len(segments.used)), start_filter(state, options)
    for span in long:
        for piece, loss in _clean_stretch(inst, picks, span, plan, state.sos, zi):
            n_removed[piece] = loss
    passed = ~mark_spans([(one.start, one.stop) for one in long], len(n_removed))
    kind = inst.get_channel_types(picks=picks[:1])[0]
    warn_of_loss(n_removed[~passed], plan, f"{kind} ")
    changed = n_removed > 0
    bad = _find_unusual(inst, picks, segments) if changed.any() else changed
    return ASRReport(
        n_removed=n_removed,
        bad=bad & changed,
        passed=passed,
        n_stretches=len(segments.slices),
        n_short=len(segments.slices) - len(long),
    )


def annotate_report(
    inst: Any, kind: str, report: ASRReport, segments: Segments
) -> None:
    """Annotate what was repaired, what is still bad and what was too short, in place.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        Our own copy, for it is changed.
    kind : str
        Type of the channels.
    report : ASRReport
        What was done to them.
    segments : Segments
        Where the stretches lie.

    Examples
    --------
    >>> import mne
    >>> raw = mne.io.RawArray(np.zeros((1, 4)), mne.create_info(1, 1.0, "eeg"),
    ...                       verbose="error")
    >>> none, segments = np.zeros(4, bool), Segments((slice(0, 4),), None, None)
    >>> annotate_report(raw, "eeg", ASRReport(np.r_[0, 1, 1, 0], none, none, 1, 0),
    ...                 segments)
    >>> raw.annotations
    <Annotations | 1 segment: ASR_repaired (1)>
    """
    spans = find_spans(report.n_removed > 0)
    annotate_spans(
        inst,
        spans,
        "ASR_repaired",
        extras=[
            {
                "channel_type": kind,
                "n_removed": int(report.n_removed[start:stop].max()),
            }
            for start, stop in spans
        ],
    )
    annotate_mask(inst, report.bad, "BAD_asr")
    short = [
        (one.start, one.stop) for one in segments.slices if report.passed[one].all()
    ]
    annotate_spans(inst, short, SHORT)


def _clean_stretch(
    inst: Any, picks: np.ndarray, span: slice, plan: Plan, sos: Any, zi: Any
) -> Iterator[tuple[slice, float]]:
    """Clean a stretch in place, and tell what its pieces lost."""
    done, before = span.start, 0.0
    for step in _run(inst, picks, span, plan, sos, zi):
        piece = slice(done, done + step.cleaned.shape[1])
        if piece.stop > done:
            put_samples(inst, picks, piece, np.asarray(step.cleaned))
            yield piece, max(before, float(step.n_removed))
        done, before = piece.stop, float(step.n_removed)


def _run(
    inst: Any, picks: np.ndarray, span: slice, plan: Plan, sos: Any, start: Any
) -> Iterator[Step]:
    """Read a stretch piece by piece; the steps lag behind what was read."""
    here = open_position(plan, start)
    for first in range(span.start, span.stop, _PIECE):
        piece = slice(first, min(first + _PIECE, span.stop))
        here, steps = push_samples(plan, sos, here, take_samples(inst, picks, piece))
        yield from steps
    yield from finish_samples(plan, sos, here)


def _find_unusual(
    inst: Any, picks: np.ndarray, segments: Segments
) -> Bool[np.ndarray, " times"]:
    """Mark windows in which too many channels are too loud."""
    sfreq = float(inst.info["sfreq"])
    n_window = round_half_up(_WINDOW_S * sfreq)
    unusual = np.zeros(len(segments.used), bool)
    if not segments.used.any():
        return unusual
    used = take_used(inst, picks, segments)
    data, places = used.data, used.places
    stretches = find_stretches(np.ones(len(places), bool), used.joins)
    stretches = stretches[np.diff(stretches)[:, 0] > n_window]
    varies = np.ptp(data, axis=1) > 0
    if not len(stretches) or not varies.any():
        return unusual
    with warnings.catch_warnings():  # few windows are enough to find the worst
        warnings.filterwarnings("ignore", "Only .* windows fit into the data")
        windows, bad = judge_windows(
            data if varies.all() else data[varies],
            sfreq,
            stretches,
            max_bad_channels=_BAD_CHANNELS,
            z_limits=_Z_LIMITS,
            window_s=_WINDOW_S,
        )
    spans = np.stack([windows, windows + n_window], axis=1)[bad]
    unusual[places] = mark_spans(spans, len(places))
    return unusual
