"""One way to run functions of arrays on the stretches of a recording."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mne
import numpy as np
from jaxtyping import Int

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_known
from meegic.base.errors import DataWarning, InputError
from meegic.clean.edge.annotations import annotate_spans
from meegic.clean.edge.samples import (
    check_inst,
    copy_loaded,
    pick_types,
    put_samples,
    take_samples,
)
from meegic.clean.edge.segments import annotate_nonfinite, find_segments

SHORT = "BAD_short"
"""What stretches are called that were too short for what the others got."""


class Change(NamedTuple):
    """What becomes of some channels of each stretch.

    Attributes
    ----------
    reads, writes : array of int
        Channels that the function takes, and those that it gives.
    compute : callable
        Takes an array of channels by times to another. Its second argument are the
        samples outside of spans that are marked as bad, an array of bool.
    """

    reads: Int[np.ndarray, " reads"]
    writes: Int[np.ndarray, " writes"]
    compute: Callable[[np.ndarray, np.ndarray], Array]


def change_stretches(
    inst: Any,
    changes: Sequence[Change],
    picks: Int[np.ndarray, " channels"],
    *,
    n_least: int = 1,
    count: Callable[[np.ndarray], int] = len,
    on_nonfinite: str = "raise",
) -> Any:
    """Change each stretch of a copy by itself; nothing runs across a boundary.

    Stretches that are too short stay as they are. They are annotated as ``BAD_short``,
    and a warning counts them.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording; left as it is.
    changes : sequence of Change
        What to do, one after the other.
    picks : array of int
        Channels that must be finite.
    n_least : int
        Samples that a stretch must have.
    count : callable
        How many it has, of the array of those outside of bad spans.
    on_nonfinite : 'raise' | 'annotate'
        As in `find_segments`.

    Returns
    -------
    mne.io.Raw | mne.Epochs
        The changed copy, of the same type.

    Examples
    --------
    >>> info = mne.create_info(2, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.ones((2, 30)), info, verbose="error")
    >>> row = np.array([1])
    >>> turn = Change(row, row, lambda data, used: -data)
    >>> change_stretches(raw, [turn], row).get_data()[:, 0]
    array([ 1., -1.])
    """
    check_inst(inst)
    changed = copy_loaded(inst)
    segments = find_segments(changed, picks, on_nonfinite=on_nonfinite)
    if on_nonfinite == "annotate":
        annotate_nonfinite(changed, picks)
    sizes = [count(segments.used[one]) for one in segments.slices]
    if max(sizes, default=0) < n_least:
        sfreq = inst.info["sfreq"]
        raise InputError(
            f"inst must have a stretch of at least {n_least / sfreq:.3g} s between "
            f"boundaries, but the longest has {max(sizes, default=0) / sfreq:.3g} s.",
            hint="Use a longer recording, or look at its annotations.",
        )
    short = []
    for one, size in zip(segments.slices, sizes, strict=True):
        if size < n_least:
            short.append((one.start, one.stop))
            continue
        for reads, writes, compute in changes:
            data = take_samples(changed, reads, one)
            written = compute(data, segments.used[one])
            put_samples(changed, writes, one, np.asarray(written))
    _tell_short(changed, short, n_least)
    return changed


def _tell_short(inst: Any, short: list[tuple[int, int]], n_least: int) -> None:
    if not short:
        return
    sfreq = inst.info["sfreq"]
    total = sum(stop - start for start, stop in short) / sfreq
    annotate_spans(inst, short, SHORT)
    warn_user(
        f"{len(short)} stretches between boundaries ({total:.3g} s in all) have less "
        f"than {n_least / sfreq:.3g} s: they stay as they are, annotated as {SHORT}.",
        DataWarning,
    )


def pick_rows(
    info: mne.Info, picks: str | Sequence[str] | None
) -> Int[np.ndarray, " channels"]:
    """Find good channels by types or names.

    Parameters
    ----------
    info : mne.Info
        Of the recording.
    picks : str | sequence of str | None
        Types such as ``'eog'``, or names. ``None`` is all of type mag, grad and eeg.

    Returns
    -------
    array of int
        Indices in the order of the recording, without those that are marked as bad.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz", "EOG"], 100.0, ["eeg", "eeg", "eog"])
    >>> pick_rows(info, ["Cz", "eog"])
    array([1, 2])
    """
    if picks is None:
        return np.sort(np.concatenate(list(pick_types(info).values())))
    words = [picks] if isinstance(picks, str) else list(picks)
    kinds = info.get_channel_types()
    check_known("type or channel", words, [*dict.fromkeys(kinds), *info["ch_names"]])
    rows = [
        index
        for index, (name, kind) in enumerate(zip(info["ch_names"], kinds, strict=True))
        if (name in words or kind in words) and name not in info["bads"]
    ]
    if not rows:
        raise InputError(
            f"picks must select a channel that is not bad, but {words} select none.",
            hint="Look at info['bads'].",
        )
    return np.array(rows)
