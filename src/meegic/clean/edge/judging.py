"""What statistics of a recording look at, and how what they find is annotated."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import mne
import numpy as np
from jaxtyping import Bool, Float, Int

from meegic.base.alerts import warn_user
from meegic.base.errors import DataWarning, InputError
from meegic.clean.edge.annotations import annotate_mask
from meegic.clean.edge.samples import check_inst, pick_types, view_samples
from meegic.clean.edge.segments import Segments, annotate_nonfinite, find_segments


class Used(NamedTuple):
    """What statistics look at, one stretch after the other.

    Attributes
    ----------
    data : array, shape (n_channels, n_used)
        The samples outside of spans that are marked as bad.
    places : array of int, shape (n_used,)
        Where they are in the recording.
    joins : list of int
        Which of them do not follow on the one before.
    """

    data: Float[np.ndarray, "channels used"]
    places: Int[np.ndarray, " used"]
    joins: list[int]

    def spread(self, mask: Bool[np.ndarray, " used"], n_times: int) -> np.ndarray:
        """Take a mask of these samples to one of the recording, False elsewhere."""
        spread = np.zeros(n_times, bool)
        spread[self.places] = mask
        return spread


def take_used(
    inst: Any, picks: Int[np.ndarray, " channels"], segments: Segments
) -> Used:
    """Take the samples that statistics look at; do not write to them.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0, 3.0]], info, verbose="error")
    >>> _ = raw.set_annotations(mne.Annotations([0.1], [0.1], ["BAD"]))
    >>> rows = np.array([0])
    >>> used = take_used(raw, rows, find_segments(raw, rows))
    >>> used.data, used.joins
    (array([[1., 3.]]), [1])
    """
    check_used(segments.used)
    places = np.flatnonzero(segments.used)
    data = view_samples(inst, picks)
    starts = np.isin(places, [one.start for one in segments.slices])
    starts[1:] |= np.diff(places) > 1
    joins = np.flatnonzero(starts)
    return Used(
        data if segments.used.all() else data[:, places],
        places,
        joins[joins > 0].tolist(),
    )


def check_used(used: Bool[np.ndarray, " any"]) -> None:
    """Refuse a recording of which nothing counts.

    Examples
    --------
    >>> check_used(np.array([False, True]))
    """
    if not used.any():
        raise InputError(
            "no sample is left: all lie in spans that are marked as bad or not finite.",
            hint="Look at the annotations.",
        )


def take_varying(
    inst: Any, picks: Int[np.ndarray, " channels"], on_nonfinite: str
) -> Used:
    """Take what statistics look at, without channels that do not vary.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0, 3.0]], info, verbose="error")
    >>> take_varying(raw, np.array([0]), "raise").data
    array([[1., 2., 3.]])
    """
    used = take_used(inst, picks, find_segments(inst, picks, on_nonfinite=on_nonfinite))
    return used._replace(data=used.data[find_varying(inst, picks, used.data)])


def find_varying(
    inst: Any,
    picks: Int[np.ndarray, " channels"],
    data: Float[np.ndarray, "channels used"],
) -> Bool[np.ndarray, " channels"]:
    """Find the channels that vary, and say which others are left out.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0, 3.0]], info, verbose="error")
    >>> find_varying(raw, np.array([0]), raw.get_data())
    array([ True])
    """
    flat = np.ptp(data, axis=1) == 0
    if flat.all():
        raise InputError(
            "all channels are flat: not one varies outside of what is marked as bad.",
            hint="Look at the recording.",
        )
    if flat.any():
        names = [inst.ch_names[index] for index in picks[flat]]
        warn_user(
            f"Channels {names} do not vary and are not looked at. Mark them as bad.",
            DataWarning,
        )
    return ~flat


def check_raw(raw: object) -> None:
    """Refuse what is no Raw, or has no samples.

    Examples
    --------
    >>> check_raw(np.zeros((2, 9)))
    Traceback (most recent call last):
    TypeError: raw must be an mne Raw, but got ndarray. ...
    """
    if not isinstance(raw, mne.io.BaseRaw):
        raise TypeError(
            f"raw must be an mne Raw, but got {type(raw).__name__}. Do this before "
            "epochs are cut."
        )
    check_inst(raw)


def annotate_found(
    raw: mne.io.BaseRaw,
    mask: Bool[np.ndarray, " times"],
    description: str,
    types: Sequence[str],
    on_nonfinite: str,
) -> mne.io.BaseRaw:
    """Annotate the samples that a mask marks in a copy of a recording.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0, 3.0]], info, verbose="error")
    >>> mask = np.array([False, True, True])
    >>> annotate_found(raw, mask, "BAD_window", ["eeg"], "raise").annotations.onset
    array([0.1])
    """
    annotated = raw.copy()
    if on_nonfinite == "annotate":
        found = pick_types(raw.info, types).values()
        annotate_nonfinite(annotated, np.concatenate(list(found)))
    annotate_mask(annotated, mask, description)
    return annotated
