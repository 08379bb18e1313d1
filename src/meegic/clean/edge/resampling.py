"""Another sampling rate for a Raw and its events."""

from fractions import Fraction
from math import ceil
from typing import NamedTuple

import mne
import numpy as np
from jaxtyping import Int

from meegic.base.alerts import warn_user
from meegic.base.checks import check_shape
from meegic.base.errors import DataWarning, InputError
from meegic.clean.edge.judging import check_raw
from meegic.clean.edge.samples import TYPES, take_samples
from meegic.clean.edge.segments import annotate_nonfinite, find_segments
from meegic.clean.resample import find_ratio, resample_poly

# The filter sees that many samples of the slower rate to either side, and no more.
_REACH = 80

_N_ROWS = 16


class MovedEvents(NamedTuple):
    """Events at another sampling rate.

    Attributes
    ----------
    events : array of int, shape (n_events, 3)
        The events, as MNE has them.
    rounding_s : float
        The farthest that one moved, in seconds, to lie on a sample.
    """

    events: Int[np.ndarray, "events 3"]
    rounding_s: float


def resample_recording(
    raw: mne.io.BaseRaw, sfreq: float, *, on_nonfinite: str = "raise"
) -> mne.io.RawArray:
    """Resample a recording, each stretch between boundaries by itself.

    The first sample stays where it is. Annotations keep their distance from it, in
    seconds. Trigger channels are not filtered: each new sample holds the largest value
    of those that it replaces.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording; left as it is. It need not be loaded.
    sfreq : float
        The new rate in Hz; over the old one it is a ratio of whole numbers.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity in good channels, outside of BAD spans, are refused, or
        are kept, end a stretch and are annotated as ``BAD_nan``. Bad channels and
        others than data may hold them; they keep the nearest earlier value then.

    Returns
    -------
    mne.io.RawArray
        The recording at the new rate.

    Examples
    --------
    >>> info = mne.create_info(1, 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.ones((1, 1000)), info, verbose="error")
    >>> resample_recording(raw, 25.0).get_data().shape
    (1, 250)
    """
    check_raw(raw)
    ratio = find_ratio(float(raw.info["sfreq"]), sfreq)
    good = _find_good(raw.info)
    segments = find_segments(raw, good, on_nonfinite=on_nonfinite)
    n_new = ceil(len(raw.times) * ratio)
    data = np.empty((len(raw.ch_names), n_new))
    stim = mne.pick_types(raw.info, meg=False, stim=True, exclude=[])
    rest = np.setdiff1d(np.arange(len(data)), stim)
    for rows in np.array_split(rest, -(-len(rest) // _N_ROWS)):
        signals = take_samples(raw, rows, slice(None))
        data[rows] = _resample_signals(signals, segments.slices, ratio, n_new)
    if len(stim):
        data[stim] = _resample_triggers(raw, stim, ratio, n_new)
    resampled = _assemble(raw, data, sfreq, ratio)
    if on_nonfinite == "annotate":
        annotate_nonfinite(resampled, good)
    return resampled


def resample_events(
    events: Int[np.ndarray, "events 3"], before: mne.io.BaseRaw, after: mne.io.BaseRaw
) -> MovedEvents:
    """Move events from a recording to what `resample_recording` made of it.

    Parameters
    ----------
    events : array of int, shape (n_events, 3)
        Events of the recording before, as `mne.find_events` gives them.
    before, after : mne.io.Raw
        The recording before and after.

    Returns
    -------
    MovedEvents
        The events at the nearest samples, and how far they are from where they were.

    Examples
    --------
    >>> info = mne.create_info(1, 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.ones((1, 1000)), info, verbose="error")
    >>> resample_events(np.array([[13, 0, 1]]), raw, resample_recording(raw, 25.0))
    MovedEvents(events=array([[3, 0, 1]]), rounding_s=0.01)
    """
    for one in (before, after):
        check_raw(one)
    events = np.asarray(events)
    check_shape("events", events, (None, 3))
    rates = float(before.info["sfreq"]), float(after.info["sfreq"])
    ratio = find_ratio(*rates)
    old = events[:, 0] - before.first_samp
    outside = (old < 0) | (old >= len(before.times))
    if outside.any():
        raise InputError(
            f"events must lie within before, but {int(outside.sum())} do not, the "
            f"first at sample {events[outside.argmax(), 0]}.",
            hint="Samples of events count from the start of the measurement, as "
            "raw.first_samp does.",
        )
    new = np.minimum(_round(old, ratio), len(after.times) - 1)
    moved = events.copy()
    moved[:, 0] = new + after.first_samp
    rounding = np.abs(new / rates[1] - old / rates[0])
    return MovedEvents(moved, float(rounding.max(initial=0.0).round(12)))


def _find_good(info: mne.Info) -> np.ndarray:
    """Find the channels that must be finite; a recording may have none."""
    named = zip(info["ch_names"], info.get_channel_types(), strict=True)
    good = [kind in TYPES and name not in info["bads"] for name, kind in named]
    return np.flatnonzero(good)


def _resample_signals(
    signals: np.ndarray, stretches: tuple[slice, ...], ratio: Fraction, n_new: int
) -> np.ndarray:
    """Resample each stretch; hold the last value elsewhere and in rows with NaN."""
    earlier = np.arange(n_new) * ratio.denominator // ratio.numerator
    new = signals[:, earlier]
    for one in stretches:
        places = slice(ceil(one.start * ratio), ceil(one.stop * ratio))
        old = signals[:, one]
        finite = np.isfinite(old).all(axis=1)
        if finite.any():
            new[finite, places] = _resample_stretch(old[finite], one.start, ratio)
    return new


def _resample_stretch(signals: np.ndarray, start: int, ratio: Fraction) -> np.ndarray:
    """Resample what begins at a sample, to the grid that begins at sample 0."""
    up, down = ratio.numerator, ratio.denominator
    before = start % down
    if before:  # go back to where both grids meet, beyond what the filter sees
        before += down * ceil(_REACH * max(1, 1 / ratio) / down)
        near = min(before, signals.shape[1] - 1)
        rows = ((0, 0), (near, 0))
        if near:
            signals = np.pad(signals, rows, mode="reflect", reflect_type="odd")
        signals = np.pad(signals, ((0, 0), (before - near, 0)), mode="edge")
    first = ceil(start * ratio) - int((start - before) * ratio)
    return np.asarray(resample_poly(signals, up, down))[:, first:]


def _resample_triggers(
    raw: mne.io.BaseRaw, stim: np.ndarray, ratio: Fraction, n_new: int
) -> np.ndarray:
    """Keep pulses, however short: the largest of the values nearest to each sample."""
    old = take_samples(raw, stim, slice(None))
    nearest = _round(np.arange(old.shape[1]), ratio)
    firsts = np.searchsorted(nearest, np.arange(n_new + 1))
    held = firsts[:-1] == firsts[1:]  # nearest to no old sample
    new = np.maximum.reduceat(old, np.minimum(firsts[:-1], len(nearest) - 1), axis=1)
    new[:, held] = old[:, firsts[:-1][held] - 1]
    onsets = [(np.diff(one, axis=1) > 0).sum(axis=1) for one in (old, new)]
    lost = onsets[0] != onsets[1]
    if lost.any():
        names = [raw.ch_names[index] for index in stim[lost]]
        warn_user(
            f"Triggers follow each other too fast for the new rate in {names}: of "
            f"{onsets[0][lost].tolist()} onsets {onsets[1][lost].tolist()} are left. "
            "Find events before, and move them with resample_events.",
            DataWarning,
        )
    return new


def _assemble(
    raw: mne.io.BaseRaw, data: np.ndarray, sfreq: float, ratio: Fraction
) -> mne.io.RawArray:
    info = raw.info.copy()
    with info._unlock():
        info["sfreq"] = float(sfreq)
        info["lowpass"] = min(info["lowpass"] or np.inf, sfreq / 2)
    first = int(_round(np.array(raw.first_samp), ratio))
    resampled = mne.io.RawArray(data, info, first_samp=first, verbose="error")
    notes = raw.annotations
    resampled.annotations.append(
        notes.onset - raw.first_time + resampled.first_time,
        notes.duration,
        notes.description,
        ch_names=notes.ch_names,
        extras=notes.extras,
    )
    return resampled


def _round(samples: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Find the nearest samples at the new rate; halves go up."""
    up, down = ratio.numerator, ratio.denominator
    return (2 * samples.astype(np.int64) * up + down) // (2 * down)
