"""Channels of an MNE object as one array, and where its samples lie in time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mne
import numpy as np
from jaxtyping import Bool, Float, Int

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import did_you_mean, list_words
from meegic.base.errors import DataWarning, InputError

UNITS = {"mag": 1e15, "grad": 1e13, "ref_meg": 1e15}
"""What brings SI units to about one, for each type; 1e6 (microvolts) for others."""

_TYPES = ("eeg", "mag", "grad", "ref_meg", "seeg", "ecog", "dbs", "eog", "csd")
_EDGE = re.compile(r"(?i)(BAD_ACQ_SKIP|EDGE|(BAD )?boundary)")
_ROUNDING = 1e-3  # of a place in samples
_FLAT = 1e-13  # of the mean: what is left of a constant


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class Samples:
    """Some channels of an MNE object, its epochs one after another.

    Attributes
    ----------
    data : array, shape (n_channels, n_times)
        The values, in SI units; a copy.
    used : array of bool, shape (n_times,)
        Samples outside of spans that are marked as bad, finite in all channels.
    starts : array of int, shape (n_stretches,)
        Where what follows is not the next moment: epochs, boundaries, gaps.
    sfreq : float
        Sampling rate in Hz.
    """

    data: Float[np.ndarray, "channels times"]
    used: Bool[np.ndarray, " times"]
    starts: Int[np.ndarray, " stretches"]
    sfreq: float

    @property
    def known(self) -> Bool[np.ndarray, " times"]:
        """Samples that are finite in all channels, whether marked as bad or not."""
        return np.asarray(np.isfinite(self.data).all(axis=0))


def is_recording(inst: object) -> bool:
    """Tell whether an object is a Raw, Epochs or Evoked.

    Examples
    --------
    >>> is_recording(np.zeros((2, 9)))
    False
    """
    return isinstance(inst, (mne.io.BaseRaw, mne.BaseEpochs, mne.Evoked))


def pick_names(info: mne.Info, picks: Any) -> list[str]:
    """Name the good channels that a fit takes.

    Parameters
    ----------
    info : mne.Info
        Of the recording.
    picks : str | list
        A type (``'eeg'``, ``'meg'``, ``'mag'``, ``'grad'`` ...), several, names, or
        indices; bad channels are left out.

    Returns
    -------
    list of str
        In the order of the recording, unless indices or names say another.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz", "EOG"], 100.0, ["eeg", "eeg", "eog"])
    >>> info["bads"] = ["Cz"]
    >>> pick_names(info, "eeg")
    ['Fz']
    """
    picks = "data" if picks is None else picks
    _check_names(info, picks)
    empty = mne.EvokedArray(np.zeros((len(info["ch_names"]), 1)), info, verbose="error")
    try:
        found = empty.pick(picks, exclude="bads", verbose="error")
    except (ValueError, IndexError) as error:
        raise InputError(
            f"picks={picks!r} selects no good channel; {_count_types(info)}.",
            hint="Pass a type that is there, or names; bad channels do not count.",
        ) from error
    bads = [one for one in found.ch_names if one in info["bads"]]
    if bads:
        warn_user(f"channels {bads} are marked as bad and left out.", DataWarning)
        found.drop_channels(bads)
    names, kinds = list(found.ch_names), found.get_channel_types()
    odd = sorted(set(kinds) - set(_TYPES))
    if odd:
        raise InputError(
            f"picks={picks!r} selects channels of type {list_words(odd)}, which "
            "cannot be unmixed.",
            hint="Pass a type such as picks='eeg', or names of channels.",
        )
    return names


def _check_names(info: mne.Info, picks: Any) -> None:
    """Name what is wrong with a list of names, which MNE would not."""
    if not isinstance(picks, (list, tuple)) or not set(picks) & set(info["ch_names"]):
        return  # types, or numbers
    for one in picks:
        if one not in info["ch_names"]:
            raise InputError(
                f"picks names {one!r}, which is no channel of the recording.",
                hint=did_you_mean(one, info["ch_names"]) or "Pass names, or types.",
            )
        if picks.count(one) > 1:
            raise InputError(f"picks names {one!r} more than once.")


def take_samples(
    inst: Any, names: Sequence[str], *, reject_by_annotation: bool = True
) -> Samples:
    """Take channels by name, whatever their order in the recording.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs | mne.Evoked
        The recording.
    names : sequence of str
        Channels, in the order that is wanted.
    reject_by_annotation : bool
        Whether spans whose description begins with BAD count as not used.

    Returns
    -------
    Samples
        A copy of the data.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [3.0, 4.0]], info, verbose="error")
    >>> take_samples(raw, ["Cz"]).data
    array([[3., 4.]])
    """
    if not is_recording(inst):
        raise TypeError(
            f"inst must be an mne Raw, Epochs or Evoked, but got {type(inst).__name__}."
        )
    picks = find_channels(inst, names)
    sfreq = float(inst.info["sfreq"])
    if isinstance(inst, mne.io.BaseRaw):
        data = np.asarray(inst.get_data(picks=picks, verbose="error"))
        used = np.ones(data.shape[1], dtype=bool)
        if reject_by_annotation:
            used = ~_find_bad_spans(inst)
        starts = _find_gaps(inst)
    elif isinstance(inst, mne.Evoked):
        data = inst.data[picks]
        used, starts = np.ones(data.shape[1], dtype=bool), np.zeros(1, dtype=int)
    else:
        cube = inst.get_data(picks=picks, verbose="error")
        data = cube.transpose(1, 0, 2).reshape(len(picks), -1)
        used = np.ones(data.shape[1], dtype=bool)
        starts = np.arange(0, data.shape[1], max(cube.shape[2], 1))
    if not data.shape[1]:
        raise InputError("inst has no samples.")
    used &= np.isfinite(data).all(axis=0)
    return Samples(data, used=used, starts=starts, sfreq=sfreq)


def put_samples(
    inst: Any, names: Sequence[str], data: Float[Array, "channels times"]
) -> None:
    """Put channels back, in place, as `take_samples` gave them.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [3.0, 4.0]], info, verbose="error")
    >>> put_samples(raw, ["Cz"], np.array([[5.0, 6.0]]))
    >>> raw.get_data()[1]
    array([5., 6.])
    """
    picks = find_channels(inst, names)
    if isinstance(inst, mne.io.BaseRaw):
        inst[picks, :] = data
    elif isinstance(inst, mne.Evoked):
        inst.data[picks] = data
    else:
        n_epochs, _, n_times = inst._data.shape
        cube = data.reshape(len(picks), n_epochs, n_times).transpose(1, 0, 2)
        inst._data[:, picks] = cube


def find_channels(inst: Any, names: Sequence[str]) -> np.ndarray:
    """Find where channels are in a recording, by name.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((2, 9)), info, verbose="error")
    >>> find_channels(raw, ["Cz", "Fz"])
    array([1, 0])
    """
    places = {name: place for place, name in enumerate(inst.ch_names)}
    missing = [one for one in names if one not in places]
    if missing:
        raise InputError(
            f"inst must have the {len(names)} channels of the fit, but it lacks "
            f"{len(missing)}: {list_words(missing[:10])}"
            f"{' and others' if len(missing) > 10 else ''}.",
            hint="Interpolate or rename channels, or fit on those that all have.",
        )
    return np.array([places[one] for one in names])


def check_values(
    samples: Samples,
    inst: Any,
    names: Sequence[str],
    *,
    reject_by_annotation: bool = True,
) -> None:
    """Refuse what is not finite outside of spans that are marked as bad.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, np.nan], [3.0, 4.0]], info, verbose="error")
    >>> check_values(take_samples(raw, ["Fz"]), raw, ["Fz"])
    Traceback (most recent call last):
    meegic.base.errors.InputError: NaN or Inf in channel 'Fz': 1 samples, the first ...
    """
    holes = ~np.isfinite(samples.data)
    if isinstance(inst, mne.io.BaseRaw) and reject_by_annotation:
        holes &= ~_find_bad_spans(inst)
    if not holes.any():
        return
    counts = holes.sum(axis=1)
    channel = int(counts.argmax())
    first = int(holes[channel].argmax())
    where = f"at {first / samples.sfreq:.3f} s"
    hint = "Mark the channel as bad, or annotate the span as BAD."
    if isinstance(inst, mne.BaseEpochs):
        where = f"in epoch {first // len(inst.times)}"
        hint = "Mark the channel as bad, or drop the epoch."
    raise InputError(
        f"NaN or Inf in channel {names[channel]!r}: {counts[channel]} samples, the "
        f"first {where}; {(counts > 0).sum()} channels have some.",
        hint=hint,
    )


def find_flat(samples: Samples, names: Sequence[str]) -> list[str]:
    """Name the channels that do not vary over the samples that are used.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [4.0, 4.0]], info, verbose="error")
    >>> find_flat(take_samples(raw, ["Fz", "Cz"]), ["Fz", "Cz"])
    ['Cz']
    """
    if not samples.used.any():
        raise InputError(
            "no sample is left: all lie in spans that are marked as bad.",
            hint="Pass reject_by_annotation=False to use them.",
        )
    used = samples.data if samples.used.all() else samples.data[:, samples.used]
    flat = used.std(axis=1) <= _FLAT * np.abs(used.mean(axis=1))
    if flat.all():
        raise InputError("all channels are flat.", hint="Look at the recording.")
    return [name for name, one in zip(names, flat, strict=True) if one]


def size_channels(
    samples: Samples, types: Sequence[str]
) -> Float[np.ndarray, " channels"]:
    """Compute what brings channels of all types to one size.

    One type is only brought to its usual unit (microvolts, femtotesla); of several,
    each is divided by the median standard deviation of its channels as well.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [4.0, 5.0]], info, verbose="error")
    >>> size_channels(take_samples(raw, ["Fz", "Cz"]), ["eeg", "eeg"])
    array([1000000., 1000000.])
    """
    scale = np.array([UNITS.get(one, 1e6) for one in types])
    kinds = np.array(types)
    if len(set(types)) > 1:
        deviation = samples.data[:, samples.used].std(axis=1) * scale
        for kind in set(types):
            scale[kinds == kind] /= np.median(deviation[kinds == kind])
    return scale


def count_rank(info: mne.Info) -> int:
    """Count the dimensions that channels can have after what was done to them.

    Applied projectors and Maxwell filtering leave fewer than there are channels.

    Examples
    --------
    >>> count_rank(mne.create_info(["Fz", "Cz"], 100.0, "eeg"))
    2
    """
    empty = mne.EvokedArray(np.zeros((len(info["ch_names"]), 1)), info, verbose="error")
    idle = [k for k, one in enumerate(empty.info["projs"]) if not one["active"]]
    empty.del_proj(idle)
    empty.info["bads"] = []
    kinds = empty.get_channel_types()
    others = sum(one not in ("mag", "grad", "eeg") for one in kinds)
    if others == len(kinds):
        return others
    covariance = mne.make_ad_hoc_cov(empty.info, verbose="error")
    ranks = mne.compute_rank(covariance, rank="info", info=empty.info, verbose="error")
    return others + sum(ranks.values())


def warn_about_rate(fitted: float, found: float) -> None:
    """Warn when a recording has another sampling rate than that of the fit.

    Examples
    --------
    >>> warn_about_rate(250.0, 250.0)
    """
    if not np.isclose(fitted, found, rtol=1e-6):
        warn_user(
            f"inst has a sampling rate of {found:g} Hz, but the fit had {fitted:g} Hz: "
            "the filters differ as well, and with them what the densities say.",
            DataWarning,
        )


def _find_bad_spans(raw: mne.io.BaseRaw) -> np.ndarray:
    bad = np.zeros(len(raw.times), dtype=bool)
    if len(raw.annotations):
        _, times = raw.get_data(
            picks=[0], reject_by_annotation="omit", return_times=True, verbose="error"
        )
        bad[:] = True
        bad[raw.time_as_index(times, use_rounding=True)] = False
    return bad


def _find_gaps(raw: mne.io.BaseRaw) -> np.ndarray:
    """Find where stretches begin: at boundaries, at skips and after them."""
    notes = raw.annotations
    edges = [bool(_EDGE.match(one)) for one in notes.description]
    starts = {0}
    if any(edges):
        sfreq = raw.info["sfreq"]
        onsets = (notes.onset[edges] - raw.first_time) * sfreq
        for places in (onsets, onsets + notes.duration[edges] * sfreq):
            # EEGLAB puts boundaries between two samples.
            starts |= set(np.ceil(places - _ROUNDING).astype(int).tolist())
    return np.array(sorted(one for one in starts if 0 <= one < len(raw.times)))


def _count_types(info: mne.Info) -> str:
    kinds = info.get_channel_types()
    counts = [f"{kinds.count(one)} {one}" for one in sorted(set(kinds))]
    bads = f", {len(info['bads'])} of them bad" if info["bads"] else ""
    return f"it has {', '.join(counts)}{bads}"
