"""Channels of MNE objects as arrays."""

from collections.abc import Sequence
from typing import Any

import mne
import numpy as np
from jaxtyping import Float, Int

from meegic.base.checks import check_known, list_words
from meegic.base.errors import InputError

TYPES = ("mag", "grad", "eeg", "seeg", "ecog")
"""Types of channels that can be cleaned."""

USUAL = ("mag", "grad", "eeg")
"""Those that are cleaned unless others are asked for."""


def pick_types(
    info: mne.Info, types: Sequence[str] = USUAL
) -> dict[str, Int[np.ndarray, " channels"]]:
    """Find the good channels of each type that is there.

    Parameters
    ----------
    info : mne.Info
        Of the recording.
    types : sequence of str
        Which types, of ``TYPES``.

    Returns
    -------
    dict of str to array of int
        Indices of channels by type, without those that are marked as bad.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz", "EOG"], 100.0, ["eeg", "eeg", "eog"])
    >>> info["bads"] = ["Fz"]
    >>> pick_types(info)
    {'eeg': array([1])}
    """
    check_known("type of channel", types, TYPES)
    kinds = info.get_channel_types()
    good = [name not in info["bads"] for name in info["ch_names"]]
    found = {
        one: np.array([k for k, kind in enumerate(kinds) if kind == one and good[k]])
        for one in types
    }
    found = {one: picks for one, picks in found.items() if len(picks)}
    if not found:
        counts = [f"{kinds.count(one)} {one}" for one in sorted(set(kinds))]
        raise InputError(
            f"inst must have good channels of type {list_words(types, last='or')}, but "
            f"it has {', '.join(counts)}, {len(info['bads'])} of them bad.",
            hint="Set the types with set_channel_types, or look at info['bads'].",
        )
    return found


def check_inst(inst: Any, name: str = "inst") -> None:
    """Refuse what is neither a Raw nor Epochs, or has no samples.

    Examples
    --------
    >>> check_inst(np.zeros((2, 9)))
    Traceback (most recent call last):
    TypeError: inst must be an mne Raw or Epochs, but got ndarray. ...
    """
    if not isinstance(inst, (mne.io.BaseRaw, mne.BaseEpochs)):
        raise TypeError(
            f"{name} must be an mne Raw or Epochs, but got {type(inst).__name__}. "
            "mne.io.RawArray makes one of an array."
        )
    if not len(inst.times) or not len(getattr(inst, "events", " ")):
        raise InputError(f"{name} has no samples.")


def copy_loaded(inst: Any) -> Any:
    """Copy a Raw or Epochs into memory, whether it was loaded or not.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 30)), info, verbose="error")
    >>> copy_loaded(raw) is raw
    False
    """
    with mne.use_log_level("error"):
        return inst.copy().load_data()


def load_epochs(inst: Any) -> Any:
    """Copy Epochs into memory that do not know how many they are before they are read.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 30)), info, verbose="error")
    >>> load_epochs(raw) is raw
    True
    """
    lazy = isinstance(inst, mne.BaseEpochs) and not inst.preload
    return copy_loaded(inst) if lazy else inst


def take_samples(
    inst: Any, picks: Int[np.ndarray, " channels"], span: slice
) -> Float[np.ndarray, "channels times"]:
    """Read some channels of a span; of epochs, count the samples through all of them.

    Examples
    --------
    >>> info = mne.create_info(2, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [3.0, 4.0]], info, verbose="error")
    >>> take_samples(raw, np.array([1]), slice(0, 1))
    array([[3.]])
    """
    start, stop, _ = span.indices(count_samples(inst))
    if isinstance(inst, mne.io.BaseRaw):
        data = inst.get_data(picks=picks, start=start, stop=stop, verbose="error")
        return np.array(data, np.float64)
    length = len(inst.times)
    first, last = start // length, -(-stop // length)
    cube = inst.get_data(picks=picks, item=slice(first, last), verbose="error")
    flat = np.asarray(cube, np.float64).transpose(1, 0, 2).reshape(len(picks), -1)
    return flat[:, start - first * length : stop - first * length]


def put_samples(
    inst: Any,
    picks: Int[np.ndarray, " channels"],
    span: slice,
    data: Float[np.ndarray, "channels times"],
) -> None:
    """Put some channels of a span back, in place, as `take_samples` gave them.

    In epochs a span lies within one of them.

    Examples
    --------
    >>> info = mne.create_info(2, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [3.0, 4.0]], info, verbose="error")
    >>> put_samples(raw, np.array([1]), slice(0, 1), np.array([[5.0]]))
    >>> raw.get_data()[1]
    array([5., 4.])
    """
    if isinstance(inst, mne.io.BaseRaw):
        inst._data[picks, span] = data
        return
    epoch, start = divmod(span.start, len(inst.times))
    inst._data[epoch, picks, start : start + data.shape[1]] = data


def count_samples(inst: Any) -> int:
    """Count the samples of a recording, or of all epochs together.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> count_samples(mne.EpochsArray(np.zeros((2, 1, 30)), info, verbose="error"))
    60
    """
    n_times = len(inst.times)
    return n_times if isinstance(inst, mne.io.BaseRaw) else len(inst) * n_times


def find_channels(inst: Any, names: list[str]) -> Int[np.ndarray, " channels"]:
    """Find where channels that are there lie in a recording.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((2, 9)), info, verbose="error")
    >>> find_channels(raw, ["Cz", "Fz"])
    array([1, 0])
    """
    places = {name: place for place, name in enumerate(inst.ch_names)}
    return np.array([places[one] for one in names])


def view_samples(
    inst: Any, picks: Int[np.ndarray, " channels"]
) -> Float[np.ndarray, "channels times"]:
    """Look at all samples of some channels, without a copy where that can be.

    Examples
    --------
    >>> info = mne.create_info(3, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((3, 30)), info, verbose="error")
    >>> np.shares_memory(view_samples(raw, np.array([1, 2])), raw.get_data())
    False
    """
    together = len(picks) > 0 and (np.diff(picks) == 1).all()
    if isinstance(inst, mne.io.BaseRaw) and inst.preload and together:
        return inst._data[picks[0] : picks[-1] + 1]
    return take_samples(inst, picks, slice(None))
