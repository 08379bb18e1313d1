"""Stretches of a recording that nothing runs across."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import mne
import numpy as np
from jaxtyping import Bool, Int

from meegic.base.checks import check_option
from meegic.base.errors import InputError
from meegic.base.spans import find_spans, mark_spans
from meegic.clean.edge.annotations import annotate_spans
from meegic.clean.edge.samples import count_samples, take_samples

_CUT = re.compile(r"(?i)(EDGE|(BAD.?)?boundary)")
_GAP = re.compile(r"(?i)BAD.(ACQ.SKIP|gap)")
_BAD = re.compile(r"(?i)BAD")
_ROUNDING = 1e-3  # of a place in samples
_PIECE = 2**16


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class Segments:
    """Where filters, windows and delays may run.

    Samples are counted from the first of a recording, or of the first epoch through
    all epochs.

    Attributes
    ----------
    slices : tuple of slice
        The stretches, in order. Between them lie boundaries, skips and samples that
        are not finite; each epoch is a stretch of its own.
    used : array of bool, shape (n_times,)
        Samples of the stretches outside of spans that are marked as bad: those that
        calibrations and statistics look at.
    nonfinite : array of bool, shape (n_times,)
        Samples where a channel is NaN or infinite.
    """

    slices: tuple[slice, ...]
    used: Bool[np.ndarray, " times"]
    nonfinite: Bool[np.ndarray, " times"]


def find_segments(
    inst: Any,
    picks: Int[np.ndarray, " channels"],
    *,
    on_nonfinite: str = "raise",
) -> Segments:
    """Find the stretches of a recording within which filters may run.

    They end at annotations that begin with ``BAD boundary``, ``boundary`` or ``EDGE``,
    at ``BAD_ACQ_SKIP`` and ``BAD_gap`` spans, at samples that are not finite, and
    where an epoch ends. Other BAD spans do not end one, but are not `Segments.used`.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording; it need not be loaded.
    picks : array of int, shape (n_channels,)
        The channels that must be finite.
    on_nonfinite : 'raise' | 'annotate'
        Whether samples that are not finite, outside of BAD spans, are an error, or
        end a stretch; `annotate_nonfinite` marks them then.

    Returns
    -------
    Segments
        The stretches.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 30)), info, verbose="error")
    >>> raw.annotations.append([0.5, 1.0], [0.2, 0.0], ["BAD", "EDGE"])
    <Annotations | 2 segments: BAD (1), EDGE (1)>
    >>> find_segments(raw, np.array([0])).slices
    (slice(0, 10, None), slice(10, 30, None))
    """
    check_option("on_nonfinite", on_nonfinite, ["raise", "annotate"])
    n_times = count_samples(inst)
    bad = mark_spans(_locate(inst, _BAD), n_times)
    nonfinite = np.zeros(n_times, bool)
    for span, holes in _find_holes(inst, picks):
        nonfinite[span] = holes.any(axis=0)
        if on_nonfinite == "raise" and (nonfinite[span] & ~bad[span]).any():
            _refuse_nonfinite(inst, picks, bad)
    out = nonfinite | mark_spans(_locate(inst, _GAP), n_times)
    starts = {0, n_times} | {int(one) for one in find_spans(out).ravel()}
    starts |= {int(one) for one in _locate(inst, _CUT).ravel() if 0 < one < n_times}
    if isinstance(inst, mne.BaseEpochs):
        starts |= set(range(0, n_times, len(inst.times)))
    places = sorted(starts)
    return Segments(
        slices=tuple(
            slice(start, stop) for start, stop in pairwise(places) if not out[start]
        ),
        used=~out & ~bad,
        nonfinite=nonfinite,
    )


def annotate_nonfinite(inst: Any, picks: Int[np.ndarray, " channels"]) -> int:
    """Annotate samples that are not finite as ``BAD_nan``, in place.

    The annotations name the channels; spans that are marked as bad already get none.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        Our own copy, for it is changed.
    picks : array of int, shape (n_channels,)
        Which channels to look at.

    Returns
    -------
    int
        How many spans were annotated.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, np.nan, 2.0]], info, verbose="error")
    >>> annotate_nonfinite(raw, np.array([0])), raw.annotations[0]["description"]
    (1, 'BAD_nan')
    """
    n_times = count_samples(inst)
    mask = np.zeros(n_times, bool)
    for span, holes in _find_holes(inst, picks):
        mask[span] = holes.any(axis=0)
    spans = find_spans(mask & ~mark_spans(_locate(inst, _BAD), n_times))
    annotate_spans(
        inst, spans, "BAD_nan", ch_names=[_name_holes(inst, picks, *k) for k in spans]
    )
    return len(spans)


def _locate(inst: Any, pattern: re.Pattern[str]) -> np.ndarray:
    """Find the spans of the annotations that a pattern matches, in samples."""
    sfreq, length, start = inst.info["sfreq"], len(inst.times), inst.times[0]
    if isinstance(inst, mne.io.BaseRaw):
        notes = inst.annotations
        onsets = notes.onset - inst.first_time
        by_epoch = [zip(onsets, notes.duration, notes.description, strict=True)]
    else:
        by_epoch = inst.get_annotations_per_epoch()
    places = [
        (epoch * length, (onset - start) * sfreq, (onset - start + duration) * sfreq)
        for epoch, notes in enumerate(by_epoch)
        for onset, duration, description in notes
        if pattern.match(description)
    ]
    first, *ends = np.array(places).reshape(-1, 3).T
    # EEGLAB puts boundaries between two samples.
    inside = np.clip(np.ceil(np.array(ends) - _ROUNDING), 0, length)
    return (first + inside).astype(int).T


def _name_holes(inst: Any, picks: np.ndarray, start: int, stop: int) -> list[str]:
    """Name the channels that are not finite in a span."""
    holes = ~np.isfinite(take_samples(inst, picks, slice(start, stop)))
    return [inst.ch_names[one] for one in picks[holes.any(axis=1)]]


def _find_holes(
    inst: Any, picks: np.ndarray
) -> Iterator[tuple[slice, Bool[np.ndarray, "channels times"]]]:
    """Give the pieces that have samples that are not finite."""
    n_times = count_samples(inst) if len(picks) else 0
    for start in range(0, n_times, _PIECE):
        span = slice(start, min(start + _PIECE, n_times))
        holes = ~np.isfinite(take_samples(inst, picks, span))
        if holes.any():
            yield span, holes


def _refuse_nonfinite(inst: Any, picks: np.ndarray, bad: np.ndarray) -> None:
    counts, firsts = np.zeros(len(picks), int), np.full(len(picks), -1)
    for span, holes in _find_holes(inst, picks):
        holes &= ~bad[span]
        new = (firsts < 0) & holes.any(axis=1)
        firsts[new] = span.start + holes[new].argmax(axis=1)
        counts += holes.sum(axis=1)
    channel = int(counts.argmax())
    first = int(firsts[channel])
    where = f"at {first / inst.info['sfreq']:.3f} s"
    if isinstance(inst, mne.BaseEpochs):
        epoch, within = divmod(first, len(inst.times))
        where = f"in epoch {epoch} at {inst.times[within]:.3f} s"
    raise InputError(
        f"NaN or Inf in channel {inst.ch_names[picks[channel]]!r}: {counts[channel]} "
        f"samples, the first {where}; {(counts > 0).sum()} channels have some.",
        hint="Mark the channel as bad, annotate the span as BAD, or pass "
        "on_nonfinite='annotate'.",
    )
