"""The frozen truth behind a simulated recording."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from meegic.base.files import blame
from meegic.base.npz import ArraySpec, read_arrays, write_arrays

SCHEMA = 1
_FIXED = {"2": 2, "3": 3}  # lengths of the axes that do not vary


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class RecordingTruth:
    """What a simulated recording is made of.

    Within a block of the recording the data are ``mixing[model] @ sources`` plus
    what happens at the sensors only: noise, electrode pops, bad channels.

    Attributes
    ----------
    ch_names : tuple of str
        Channels of the mixing: the EEG or MEG channels of the recording.
    sfreq : float
        Sampling rate in Hz.
    seed : int
        The seed that makes the same recording again.
    kinds : tuple of str
        What every source is, in the words of ICLabel.
    mixing : array, shape (n_models, n_channels, n_sources)
        Field of every source at its RMS strength, in V, T or T/m.
    sources : array, shape (n_sources, n_times)
        Time courses of unit RMS.
    moments : array, shape (n_sources,)
        RMS dipole moment in A m; NaN for a source that is no dipole (mains hum).
    positions : array, shape (n_models, n_sources, 3)
        Where the sources are, in m in head coordinates; NaN where there is none.
    orientations : array, shape (n_models, n_sources, 3)
        Unit vectors along the dipoles.
    evoked : array of int, shape (n_evoked,)
        Which sources answer to the stimuli.
    event_samples : array of int, shape (n_events,)
        When the stimuli came.
    block_starts : array of int, shape (n_blocks,)
        First sample of every block of one mixing.
    block_models : array of int, shape (n_blocks,)
        Which mixing the block has.
    span_kinds : tuple of str
        What happened in every span of activity.
    span_samples : array of int, shape (n_spans, 2)
        First sample and the one after the last of every span.
    span_channels : tuple of str
        The channel of the span; empty when it concerns all.
    bad_channels : tuple of str
        Channels that record nothing but noise.
    noise_std : array, shape (n_channels,)
        Standard deviation of the sensors' white noise.
    """

    ch_names: tuple[str, ...]
    sfreq: float
    seed: int
    kinds: tuple[str, ...]
    mixing: Float[np.ndarray, "models channels sources"]
    sources: Float[np.ndarray, "sources times"]
    moments: Float[np.ndarray, " sources"]
    positions: Float[np.ndarray, "models sources 3"]
    orientations: Float[np.ndarray, "models sources 3"]
    evoked: Int[np.ndarray, " evoked"]
    event_samples: Int[np.ndarray, " events"]
    block_starts: Int[np.ndarray, " blocks"]
    block_models: Int[np.ndarray, " blocks"]
    span_kinds: tuple[str, ...]
    span_samples: Int[np.ndarray, "spans 2"]
    span_channels: tuple[str, ...]
    bad_channels: tuple[str, ...]
    noise_std: Float[np.ndarray, " channels"]

    @property
    def n_models(self) -> int:
        """How many mixing conditions the recording has."""
        return len(self.mixing)

    def select(self, *kinds: str) -> np.ndarray:
        """Give the indices of the sources of these kinds."""
        return np.flatnonzero(np.isin(self.kinds, kinds))

    def project(self, *kinds: str) -> Float[np.ndarray, "channels times"]:
        """Compute what the sources of these kinds add at the sensors.

        ``truth.project("brain")`` is what a perfect cleaning would leave.
        """
        chosen = self.select(*kinds)
        n_times = self.sources.shape[1]
        stops = [*self.block_starts[1:], n_times]
        blocks = zip(self.block_starts, stops, self.block_models, strict=True)
        data = np.empty((self.mixing.shape[1], n_times))
        for start, stop, model in blocks:
            mixing = self.mixing[model][:, chosen]
            data[:, start:stop] = mixing @ self.sources[chosen, start:stop]
        return data

    def spans(self, kind: str) -> Int[np.ndarray, "some 2"]:
        """Give the spans of one kind, in samples."""
        return self.span_samples[np.array(self.span_kinds, dtype=object) == kind]

    def save(self, path: Path | str) -> None:
        """Write the truth to an npz file; equal truths give equal bytes."""
        arrays = {one.name: _as_array(getattr(self, one.name)) for one in fields(self)}
        write_arrays(path, arrays, version=SCHEMA)


def read_truth(path: Path | str) -> RecordingTruth:
    """Read the truth that was saved beside a simulated recording.

    Parameters
    ----------
    path : path-like
        The npz file.

    Returns
    -------
    RecordingTruth
        The truth, bit for bit as it was saved.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", duration_s=5)
    >>> with TemporaryDirectory() as folder:
    ...     truth.save(f"{folder}/truth.npz")
    ...     read_truth(f"{folder}/truth.npz").kinds == truth.kinds
    True
    """
    arrays = read_arrays(path, _ARRAYS, version=SCHEMA)
    with blame(f"{path}"):
        _check_lengths(arrays)
        _check_indices(arrays)
        _check_channels(arrays)
    return RecordingTruth(**{name: _from_array(one) for name, one in arrays.items()})


def _as_array(value: object) -> np.ndarray:
    if isinstance(value, tuple):
        return np.array(value, dtype=np.str_)
    return np.asarray(value)


def _from_array(array: np.ndarray) -> Any:
    if array.dtype.kind == "U":
        return tuple(array.tolist())
    return array.item() if array.ndim == 0 else array


def _check_lengths(arrays: dict[str, np.ndarray]) -> None:
    lengths: dict[str, int] = {}
    for name, (_, axes) in _AXES.items():
        for axis, length in zip(axes.split(), arrays[name].shape, strict=True):
            if lengths.setdefault(axis, length) != length:
                raise ValueError(
                    f"{name} has {length} {axis}, and other arrays {lengths[axis]}"
                )


def _check_indices(arrays: dict[str, np.ndarray]) -> None:
    n_models, _, n_sources = arrays["mixing"].shape
    n_times = arrays["sources"].shape[1]
    stops = {
        "evoked": n_sources,
        "event_samples": n_times,
        "block_starts": n_times,
        "block_models": n_models,
        "span_samples": n_times + 1,  # a span may end where the recording does
    }
    for name, stop in stops.items():
        if np.any((arrays[name] < 0) | (arrays[name] >= stop)):
            raise ValueError(f"{name} must be from 0 to {stop - 1}")
    starts = arrays["block_starts"]
    if starts[:1].tolist() != [0] or np.any(np.diff(starts) <= 0):
        raise ValueError("block_starts must begin with 0 and rise")
    if np.any(np.diff(arrays["span_samples"]) < 0):
        raise ValueError("span_samples must not end before they begin")


def _check_channels(arrays: dict[str, np.ndarray]) -> None:
    named = {*arrays["bad_channels"].tolist(), *arrays["span_channels"].tolist()}
    if unknown := named - {"", *arrays["ch_names"].tolist()}:
        raise ValueError(f"it has no channels {sorted(unknown)}")


_AXES = {  # dtype and axes; axes of one name have one length
    "ch_names": ("U", "channels"),
    "sfreq": ("float64", ""),
    "seed": ("int64", ""),
    "kinds": ("U", "sources"),
    "mixing": ("float64", "models channels sources"),
    "sources": ("float64", "sources times"),
    "moments": ("float64", "sources"),
    "positions": ("float64", "models sources 3"),
    "orientations": ("float64", "models sources 3"),
    "evoked": ("int64", "evoked"),
    "event_samples": ("int64", "events"),
    "block_starts": ("int64", "blocks"),
    "block_models": ("int64", "blocks"),
    "span_kinds": ("U", "spans"),
    "span_samples": ("int64", "spans 2"),
    "span_channels": ("U", "spans"),
    "bad_channels": ("U", "bads"),
    "noise_std": ("float64", "channels"),
}
_ARRAYS = {
    name: ArraySpec(dtype, tuple(_FIXED.get(one) for one in axes.split()))
    for name, (dtype, axes) in _AXES.items()
}
