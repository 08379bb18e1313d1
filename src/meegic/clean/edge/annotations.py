"""Spans of samples as annotations of MNE objects."""

from collections.abc import Mapping, Sequence
from typing import Any

import mne
import numpy as np
from jaxtyping import Bool, Int

from meegic.base.spans import find_spans


def annotate_mask(
    inst: mne.io.BaseRaw | mne.BaseEpochs,
    mask: Bool[np.ndarray, " times"],
    description: str,
) -> int:
    """Annotate the runs of samples that a mask marks, in place.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        What gets the annotations; our own copy, for it is changed.
    mask : array of bool, shape (n_times,)
        Which samples, counted from the first of the recording, or of the first epoch
        through all epochs.
    description : str
        What they are called; with BAD in front, MNE leaves them out.

    Returns
    -------
    int
        How many spans there are.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 30)), info, first_samp=50, verbose="error")
    >>> annotate_mask(raw, np.arange(30) < 5, "BAD_window")
    1
    >>> raw.annotations.onset - raw.first_time, raw.annotations.duration
    (array([0.]), array([0.5]))
    """
    spans = find_spans(mask)
    annotate_spans(inst, spans, description)
    return len(spans)


def annotate_spans(
    inst: mne.io.BaseRaw | mne.BaseEpochs,
    spans: Sequence[tuple[int, int]] | Int[np.ndarray, "spans 2"],
    description: str,
    *,
    extras: Sequence[Mapping[str, Any]] | None = None,
    ch_names: Sequence[Sequence[str]] | None = None,
) -> None:
    """Annotate spans of samples, in place.

    Epochs that do not know the annotations of their recording get none, for the time of
    their events is made up.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        What gets the annotations; our own copy, for it is changed.
    spans : array of int, shape (n_spans, 2)
        The first sample of each and the one after its last, counted from the first of
        the recording, or of the first epoch through all epochs.
    description : str
        What they are called; with BAD in front, MNE leaves them out.
    extras : sequence of mapping | None
        For each span, what else is known of it.
    ch_names : sequence of sequence of str | None
        For each span, the channels that it is about; all when None.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 30)), info, verbose="error")
    >>> annotate_spans(raw, [(5, 10)], "ASR_repaired", extras=[{"n_removed": 2}])
    >>> raw.annotations[0]["onset"], raw.annotations.extras[0]["n_removed"]
    (np.float64(0.5), 2)
    """
    pieces = _cut_spans(spans, len(inst.times))
    if inst.annotations is None or not pieces:
        return
    starts, stops, owners = np.array(pieces).T
    inst.annotations.append(
        _tell_onsets(inst, starts),
        (stops - starts) / inst.info["sfreq"],
        description,
        ch_names=None if ch_names is None else [tuple(ch_names[k]) for k in owners],
        extras=None if extras is None else [dict(extras[k]) for k in owners],
    )


def _cut_spans(spans: Any, length: int) -> list[tuple[int, int, int]]:
    """Cut spans where an epoch ends; a recording is one epoch."""
    return [
        (max(start, epoch * length), min(stop, (epoch + 1) * length), owner)
        for owner, (start, stop) in enumerate(spans)
        for epoch in range(start // length, (stop - 1) // length + 1)
    ]


def _tell_onsets(inst: Any, starts: np.ndarray) -> np.ndarray:
    """Give the time of samples on the clock of the annotations."""
    if isinstance(inst, mne.io.BaseRaw):  # it starts where the recording began
        return starts / inst.info["sfreq"] + inst.first_time
    epochs, within = np.divmod(starts, len(inst.times))
    return inst.events[epochs, 0] / inst._raw_sfreq + inst.times[within]
