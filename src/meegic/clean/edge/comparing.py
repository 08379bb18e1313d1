"""A recording before and after cleaning, in numbers."""

from collections.abc import Sequence
from typing import Any

import mne
import numpy as np
from jaxtyping import Bool, Int

from meegic.base.alerts import warn_user
from meegic.base.checks import list_words
from meegic.base.errors import DataWarning, InputError
from meegic.base.spans import mark_spans
from meegic.clean.edge.judging import take_used
from meegic.clean.edge.samples import (
    USUAL,
    check_inst,
    count_samples,
    load_epochs,
    pick_types,
)
from meegic.clean.edge.segments import find_segments
from meegic.clean.quality import Quality, compute_quality

REPAIRED = "ASR_repaired"


def compare_recordings(
    before: Any,
    after: Any,
    *,
    types: Sequence[str] = USUAL,
    line_freq: float | None = None,
) -> dict[str, Quality]:
    """Say what cleaning did to each type of channel.

    Spans that were marked as bad, or not finite, before are left out; so are channels
    that are marked in either recording, such as those that were interpolated. What is
    annotated as ``ASR_repaired`` after tells how many dimensions were removed, and is
    left out of `Quality.correlation`.

    Parameters
    ----------
    before, after : mne.io.Raw | mne.Epochs
        The recording, of the same times and rate; none need be loaded.
    types : sequence of str
        Which types of channel to look at.
    line_freq : float | None
        Frequency of the line in Hz. ``None`` takes ``before.info["line_freq"]``, or 50
        where that is not known.

    Returns
    -------
    dict of str to Quality
        The numbers, by type; channels in the order of the recording before.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 2000))
    >>> info = mne.create_info(4, 200.0, "eeg")
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> half = mne.io.RawArray(0.5 * data, info, verbose="error")
    >>> round(compare_recordings(raw, half)["eeg"].power_removed_percent)
    75
    """
    check_inst(before, "before")
    check_inst(after, "after")
    before, after = load_epochs(before), load_epochs(after)
    _check_pair(before, after)
    if line_freq is None:
        line_freq = float(before.info["line_freq"] or 50.0)
    found = {}
    for kind, picks in pick_types(before.info, types).items():
        names = [before.ch_names[index] for index in picks]
        names = [name for name in names if name not in after.info["bads"]]
        rows = [_find_rows(inst, names) for inst in (before, after)]
        segments = find_segments(before, rows[0], on_nonfinite="annotate")
        first, second = (
            take_used(inst, one, segments)
            for inst, one in zip((before, after), rows, strict=True)
        )
        repaired, n_removed = _find_repaired(after, kind)
        found[kind] = compute_quality(
            first.data,
            second.data,
            before.info["sfreq"],
            mask=repaired[first.places],
            dims_removed=n_removed,
            line_freq=line_freq,
        )
    return found


def _check_pair(before: Any, after: Any) -> None:
    rates = before.info["sfreq"], after.info["sfreq"]
    if rates[0] != rates[1]:
        raise InputError(
            f"before and after must have one sampling rate, but have {rates[0]:g} and "
            f"{rates[1]:g} Hz.",
            hint="Resample the recording before as well.",
        )
    lengths = count_samples(before), count_samples(after)
    if lengths[0] != lengths[1] or len(before.times) != len(after.times):
        raise InputError(
            f"before and after must have as many samples, but have {lengths[0]} and "
            f"{lengths[1]}, {len(before.times)} and {len(after.times)} in a row.",
            hint="Crop both alike, or drop the same epochs.",
        )
    starts = [getattr(one, "first_time", one.times[0]) for one in (before, after)]
    if not np.isclose(*starts, rtol=0, atol=0.5 / rates[0]):
        warn_user(
            f"before begins at {starts[0]:.3f} s and after at {starts[1]:.3f} s: they "
            "may not be of the same time. Crop both alike.",
            DataWarning,
        )


def _find_rows(inst: Any, names: list[str]) -> np.ndarray:
    lost = [name for name in names if name not in inst.ch_names]
    if lost:
        raise InputError(
            "after must have the good channels of before, but lacks "
            f"{list_words(lost)}.",
            hint="Drop them from before as well.",
        )
    return np.array([inst.ch_names.index(name) for name in names], dtype=np.intp)


def _find_repaired(
    inst: Any, kind: str
) -> tuple[Bool[np.ndarray, " times"], Int[np.ndarray, " spans"] | None]:
    """Find the samples that were repaired, and what each of the spans lost."""
    n_times = count_samples(inst)
    if not isinstance(inst, mne.io.BaseRaw):
        return np.zeros(n_times, bool), None
    notes, sfreq = inst.annotations, inst.info["sfreq"]
    chosen = [
        index
        for index, extras in enumerate(notes.extras)
        if notes.description[index] == REPAIRED
        and extras.get("channel_type", kind) == kind
    ]
    onsets = (notes.onset[chosen] - inst.first_time) * sfreq
    spans = np.stack([onsets, onsets + notes.duration[chosen] * sfreq], axis=1)
    removed = np.array([notes.extras[index].get("n_removed", 0) for index in chosen])
    mask = mark_spans(np.rint(spans).astype(int), n_times)
    return mask, removed if len(removed) else None
