"""What EEGLAB's structure says of a recording: samples, channels, events.

Arrays have MATLAB's axes here, epochs last. Samples are in microvolts, and whatever
has another unit is multiplied alike, for so readers of ``.set`` take them back.
"""

from collections.abc import Sequence
from typing import Any

import mne
import numpy as np
from jaxtyping import Float
from mne.io.constants import FIFF

from meegic.base.checks import list_words
from meegic.base.errors import InputError

MICRO = 1e6
"""What brings SI units to those of the file."""

KINDS = (
    *("eeg", "seeg", "ecog", "dbs", "csd", "eog", "ecg", "emg", "bio"),
    *("misc", "stim", "resp", "temperature", "gsr"),
)
"""Types of channels that a ``.set`` keeps apart; others would be read as EEG."""

_MAX_BYTES = 2**31 - 2**24  # of a variable of MATLAB 5, with room for what is small
_EMPTY = (
    *("filepath", "subject", "group", "condition", "session", "comments", "icaact"),
    *("urchanlocs", "urevent", "eventdescription", "epoch", "epochdescription"),
    *("stats", "specdata", "specicaact", "splinefile", "icasplinefile", "dipfit"),
    *("history", "datfile", "reject", "etc"),
)
_NOTHING = np.zeros((0, 0))
_AVERAGED = 1e-5  # of the largest value: what a mean over channels leaves in float32


def make_recording_fields(inst: Any, picks: Sequence[int]) -> dict[str, Any]:
    """Make the fields of EEGLAB's ``EEG`` structure that a recording fills.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording.
    picks : sequence of int
        Which of its channels.

    Returns
    -------
    dict
        By name; fields that nothing fills are there and empty.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1e-6, 2e-6], [3e-6, 4e-6]], info, verbose="error")
    >>> make_recording_fields(raw, [1, 0])["data"]
    array([[3., 4.],
           [1., 2.]], dtype=float32)
    """
    data = _take_data(inst, picks)
    n_channels, n_times, *rest = data.shape
    start, sfreq = float(inst.times[0]), float(inst.info["sfreq"])
    times = start + np.arange(n_times) / sfreq
    fields: dict[str, Any] = dict.fromkeys(_EMPTY, _NOTHING) | {
        "nbchan": float(n_channels),
        "trials": float(rest[0] if rest else 1),
        "pnts": float(n_times),
        "srate": sfreq,
        "xmin": start,
        "xmax": times[-1],
        "times": 1e3 * times,
        "data": data,
        "chanlocs": _make_places(inst.info, picks),
        "chaninfo": {"nosedir": "+X", "nodatchans": _NOTHING},
        "ref": _name_reference(data, inst.info, picks),
        "saved": "yes",
    }
    if isinstance(inst, mne.io.BaseRaw):
        events = _list_annotations(inst)
    else:
        events = _list_epochs(inst)
        fields["epoch"] = _make_struct(
            [
                {
                    "event": k + 1.0,
                    "eventtype": one["type"],
                    "eventlatency": 0.0,
                    "eventduration": 0.0,
                }
                for k, one in enumerate(events)
            ]
        )
    return fields | {"event": _make_struct(events)}


def convert_place(place: Float[np.ndarray, " 3"]) -> dict[str, Any]:
    """Convert a place on the head to EEGLAB's axes and angles.

    Parameters
    ----------
    place : array, shape (3,)
        In m; x to the right, y to the nose, z up, as MNE's head frame has it.

    Returns
    -------
    dict
        ``X`` to the nose, ``Y`` to the left, ``Z`` up, in mm; angles in degrees. Empty
        arrays where the place is not known.

    Examples
    --------
    >>> cz = convert_place(np.array([0.0, 0.0, 0.09]))
    >>> cz["Z"], cz["radius"]
    (90.0, 0.0)
    """
    names = ["X", "Y", "Z", "theta", "radius", "sph_theta", "sph_phi", "sph_radius"]
    if not np.isfinite(place).all() or not place.any():
        return dict.fromkeys(names, _NOTHING)
    right, x, z = (1e3 * float(one) for one in place)
    y = 0.0 - right
    flat = np.hypot(x, y)
    theta = float(np.degrees(np.arctan2(y, x)))
    phi = float(np.degrees(np.arctan2(z, flat)))
    values = [x, y, z, -theta, 0.5 - phi / 180, theta, phi, float(np.hypot(flat, z))]
    return dict(zip(names, values, strict=True))


def refuse_kinds(kinds: Sequence[str]) -> None:
    """Refuse a fit of channels that a ``.set`` cannot hold.

    Examples
    --------
    >>> refuse_kinds(["eeg", "mag"])
    Traceback (most recent call last):
    meegic.base.errors.InputError: a .set holds potentials, but ... 'mag'. ...
    """
    odd = sorted(set(kinds) - set(KINDS))
    if odd:
        raise InputError(
            f"a .set holds potentials, but the fit has channels of type "
            f"{list_words(odd)}.",
            hint="Use export_fif, or fit with picks='eeg'.",
        )


def _take_data(inst: Any, picks: Sequence[int]) -> np.ndarray:
    n_epochs = 1 if isinstance(inst, mne.io.BaseRaw) else len(inst)
    n_values = len(picks) * len(inst.times) * n_epochs
    if 4 * n_values > _MAX_BYTES:
        raise InputError(
            f"the recording must take less than {_MAX_BYTES / 2**30:.1f} GiB to be "
            f"written as a .set, but it takes {4 * n_values / 2**30:.1f} GiB.",
            hint="Crop or resample it.",
        )
    data = inst.get_data(picks=picks, verbose="error")
    data = (MICRO * data).astype(np.float32)
    if data.ndim == 2:
        return data
    data = data.transpose(1, 2, 0)
    return data[:, :, 0] if n_epochs == 1 else data


def _make_places(info: mne.Info, picks: Sequence[int]) -> np.ndarray:
    kinds = info.get_channel_types()
    places = []
    for k in picks:
        channel = info["chs"][k]
        on_head = channel["coord_frame"] == FIFF.FIFFV_COORD_HEAD
        place = channel["loc"][:3] if on_head else np.zeros(3)
        labels = {"labels": channel["ch_name"], "type": kinds[k].upper()}
        places.append(labels | convert_place(place))
    return _make_struct(places)


def _name_reference(data: np.ndarray, info: mne.Info, picks: Sequence[int]) -> str:
    kinds, bads = info.get_channel_types(), info["bads"]
    good = [
        row
        for row, k in enumerate(picks)
        if kinds[k] == "eeg" and info["ch_names"][k] not in bads
    ]
    if not good:
        return "common"
    mean = np.abs(data[good].mean(axis=0, dtype=float)).max()
    return "average" if mean <= _AVERAGED * np.abs(data[good]).max() else "common"


def _list_annotations(raw: mne.io.BaseRaw) -> list[dict[str, Any]]:
    notes, sfreq = raw.annotations, raw.info["sfreq"]
    return [
        {
            # EEGLAB's word for a place where recordings were joined
            "type": "boundary" if text == "EDGE boundary" else str(text),
            "latency": float((onset - raw.first_time) * sfreq) + 1,
            "duration": float(duration * sfreq),
        }
        for onset, duration, text in zip(
            notes.onset, notes.duration, notes.description, strict=True
        )
    ]


def _list_epochs(epochs: mne.BaseEpochs) -> list[dict[str, Any]]:
    """List the events of epochs; EEGLAB counts samples through all of them."""
    names = {code: str(name) for name, code in epochs.event_id.items()}
    n_times = len(epochs.times)
    zero = -epochs.times[0] * epochs.info["sfreq"]
    return [
        {
            "type": names.get(code, str(code)),
            "latency": float(k * n_times + zero) + 1,
            "duration": 0.0,
            "epoch": k + 1.0,
        }
        for k, code in enumerate(epochs.events[:, 2])
    ]


def _make_struct(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Make MATLAB's array of structures, one row of it."""
    if not rows:
        return _NOTHING
    struct = np.zeros((1, len(rows)), [(name, object) for name in rows[0]])
    for k, row in enumerate(rows):
        struct[0, k] = tuple(row.values())
    return struct
