"""Sources of a recording, read a piece at a time, and which of their samples count."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mne
import numpy as np
from jaxtyping import Bool, Float

from meegic.base.checks import list_words
from meegic.base.errors import InputError
from meegic.labels.edge.decomposition import check_channels

_CHUNK = 1 << 14  # samples that are read at once, or more of a long recording:
_PART = 16  # this part of it, for small products keep threads waiting
_BAD = ("bad", "edge")  # how descriptions of spans begin that are left out


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class Activations:
    """Sources of a recording or of epochs.

    Attributes
    ----------
    values : array, shape (n_components, [n_epochs,] n_times)
        The sources; what lies outside of the stretches may be anything.
    stretches : list of (int, int) | None
        Of every good stretch the first sample and the one after the last. ``None``
        where all samples are good.
    deviations : array, shape (n_channels,)
        Standard deviations of the channels over the good samples, in V or T.
    """

    values: Float[np.ndarray, "components *epochs times"]
    stretches: list[tuple[int, int]] | None
    deviations: Float[np.ndarray, " channels"]

    @property
    def used(self) -> Bool[np.ndarray, " samples"]:
        """Which samples count, epochs one after another."""
        if self.stretches is None:
            return np.ones(int(np.prod(self.values.shape[1:])), dtype=bool)
        return mark_samples(self.stretches, self.values.shape[-1])

    def join(self) -> Float[np.ndarray, "components times"]:
        """Give the good samples only, one stretch after another."""
        if self.stretches is None:
            return self.values.reshape(len(self.values), -1)
        return self.values[:, self.used]


def read_activations(
    inst: Any,
    names: list[str],
    unmixing: Float[np.ndarray, "components channels"],
    *,
    offset: Float[np.ndarray, " components"] | None = None,
    reject_by_annotation: bool = True,
) -> Activations:
    """Unmix a recording, a piece at a time, so that it is never copied as a whole.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording; it need not be loaded.
    names : list of str
        The channels that are unmixed, found by name.
    unmixing : array, shape (n_components, n_channels)
        Takes these channels to the sources.
    offset : array, shape (n_components,) | None
        Taken off the sources.
    reject_by_annotation : bool
        Whether spans whose description begins with bad or edge are left out.

    Returns
    -------
    Activations
        The sources. A channel that is not finite in a good sample is refused.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [3.0, 4.0]], info, verbose="error")
    >>> read_activations(raw, ["Cz", "Fz"], np.array([[1.0, -1.0]])).values
    array([[2., 2.]])
    """
    check_channels(inst, names)
    stretches = None
    if isinstance(inst, mne.io.BaseRaw) and reject_by_annotation:
        stretches = find_stretches(inst)
    if stretches == []:
        raise InputError(
            "no sample is left: all lie in spans that are marked as bad.",
            hint="Pass reject_by_annotation=False to use them.",
        )
    epochs = isinstance(inst, mne.BaseEpochs)
    n_times = len(inst.times) if epochs else int(inst.n_times)
    shape = (len(inst), n_times) if epochs else (n_times,)
    values = np.empty((len(unmixing), *shape))
    used = mark_samples(stretches, n_times)
    moments = np.zeros((2, len(names)))
    for place, data in read_pieces(inst, names):
        found = np.moveaxis(values[:, place], 0, -2)  # a view
        with np.errstate(invalid="ignore"):  # of what is not finite where it is bad
            np.matmul(unmixing, data, out=found)
        if offset is not None:
            found -= offset[:, None]
        if stretches is not None:
            data = data[:, used[place]]
        sums = _sum_moments(data)
        if not np.isfinite(sums).all():
            _refuse_holes(names, data)
        moments += sums
    mean, power = moments / max(values[0].size if stretches is None else used.sum(), 1)
    return Activations(values, stretches, np.sqrt(np.maximum(power - mean**2, 0)))


def _sum_moments(data: np.ndarray) -> np.ndarray:
    """Sum each channel and its square, over times and epochs."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = data.sum(axis=-1), np.einsum("...t,...t->...", data, data)
    return np.array([one.reshape(-1, data.shape[-2]).sum(axis=0) for one in sums])


def _refuse_holes(names: list[str], data: np.ndarray) -> None:
    holes = np.reshape(~np.isfinite(data).all(axis=-1), (-1, len(names)))
    found = [names[one] for one in np.flatnonzero(holes.any(axis=0))]
    if found:
        raise InputError(
            f"NaN or Inf in channels {list_words(found)}.",
            hint="Mark the span as bad by an annotation, or leave the channels out.",
        )


def read_pieces(inst: Any, names: list[str]) -> Iterator[tuple[slice, np.ndarray]]:
    """Read channels of a recording some times, or some epochs, at once.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [3.0, 4.0]], info, verbose="error")
    >>> [data.shape for place, data in read_pieces(raw, ["Cz"])]
    [(1, 2)]
    """
    picks = check_channels(inst, names)
    if isinstance(inst, mne.io.BaseRaw):
        n_times = int(inst.n_times)  # `times` would load numba, for a second
        step = max(_CHUNK, n_times // _PART)
        for start in range(0, n_times, step):
            stop = min(start + step, n_times)
            data = inst.get_data(picks=picks, start=start, stop=stop, verbose="error")
            yield slice(start, stop), np.asarray(data)
        return
    step = max(1, _CHUNK // len(inst.times), len(inst) // _PART)
    for start in range(0, len(inst), step):
        some = slice(start, min(start + step, len(inst)))
        yield some, inst.get_data(picks=picks, item=some, copy=False, verbose="error")


def find_stretches(raw: mne.io.BaseRaw) -> list[tuple[int, int]] | None:
    """Find what lies between spans that are marked as bad; ``None`` where none is.

    A mark without a duration parts two stretches.

    Examples
    --------
    >>> info = mne.create_info(1, 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 500)), info, verbose="error")
    >>> _ = raw.set_annotations(mne.Annotations([1.0], [2.0], ["BAD_jump"]))
    >>> find_stretches(raw)
    [(0, 100), (300, 500)]
    """
    notes = raw.annotations
    chosen = [one.lower().startswith(_BAD) for one in notes.description]
    if not any(chosen):
        return None
    n_times = int(raw.n_times)
    onsets = notes.onset[chosen] - raw.first_time
    starts, stops = (
        np.clip(raw.time_as_index(one, use_rounding=True), 0, n_times)
        for one in (onsets, onsets + notes.duration[chosen])
    )
    stretches, begin = [], 0
    for start, stop in sorted(zip(starts.tolist(), stops.tolist(), strict=True)):
        if start > begin:
            stretches.append((begin, start))
        begin = max(begin, stop)
    if begin < n_times:
        stretches.append((begin, n_times))
    return stretches


def mark_samples(
    stretches: list[tuple[int, int]] | None, n_times: int
) -> Bool[np.ndarray, " times"]:
    """Mark the samples that lie in stretches.

    Examples
    --------
    >>> mark_samples([(1, 3)], 4)
    array([False,  True,  True, False])
    """
    marks = np.full(n_times, stretches is None)
    for start, stop in stretches or []:
        marks[start:stop] = True
    return marks
