"""Bad channels of a recording, replaced from the good ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from meegic.base.errors import InputError
from meegic.clean.edge.positions import find_origin, take_positions
from meegic.clean.edge.samples import check_inst
from meegic.clean.edge.stretches import Change, change_stretches
from meegic.clean.interpolate import spherical_spline_interpolate


def interpolate_bad_channels(
    inst: Any,
    *,
    origin: str | Sequence[float] = "auto",
    reset_bads: bool = True,
    on_nonfinite: str = "raise",
) -> Any:
    """Replace bad channels by what the good ones of their type say.

    EEG channels by spherical splines, MEG channels by MNE's field maps. Bad channels
    of other types stay as they are, and stay marked.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording; left as it is. It need not be loaded.
    origin : 'auto' | sequence of float
        Center of the head in m, in head coordinates. ``'auto'`` fits a sphere to the
        digitised points, as MNE does.
    reset_bads : bool
        Whether channels that were replaced are no longer marked as bad.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity in good channels outside of BAD spans are refused, or
        are kept and annotated as ``BAD_nan``: what is replaced there means nothing.

    Returns
    -------
    mne.io.Raw | mne.Epochs
        A copy; its good channels are those of the recording, bit for bit.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=5)
    >>> raw.info["bads"] = ["Cz"]
    >>> interpolate_bad_channels(raw).info["bads"]
    []
    """
    check_inst(inst)
    kinds = dict(zip(inst.ch_names, inst.get_channel_types(), strict=True))
    bads = inst.info["bads"]
    eeg = [name for name in bads if kinds[name] == "eeg"]
    meg = [name for name in bads if kinds[name] in ("mag", "grad")]
    if not eeg and not meg:
        return inst.copy()
    changes, picks = [], []
    if eeg:
        good = _pick_good(inst, kinds, ("eeg",))
        changes.append(_interpolate_eeg(inst, good, eeg, origin))
        picks.append(good)
    if meg:
        picks.append(_pick_good(inst, kinds, ("mag", "grad")))
    changed = change_stretches(
        inst, changes, np.concatenate(picks), on_nonfinite=on_nonfinite
    )
    if meg:
        _interpolate_meg(changed, meg, origin)
    left = [name for name in bads if name not in (*eeg, *meg)]
    changed.info["bads"] = left if reset_bads else list(bads)
    return changed


def _pick_good(
    inst: Any, kinds: dict[str, str], types: tuple[str, ...]
) -> Int[np.ndarray, " good"]:
    return np.array(
        [
            index
            for index, name in enumerate(inst.ch_names)
            if kinds[name] in types and name not in inst.info["bads"]
        ],
        dtype=np.intp,
    )


def _interpolate_eeg(
    inst: Any, good: np.ndarray, bads: list[str], origin: str | Sequence[float]
) -> Change:
    """Make the step that writes bad channels from good ones."""
    bad = np.array([inst.ch_names.index(name) for name in bads])
    rows = np.concatenate([good, bad])
    operator = spherical_spline_interpolate(
        np.eye(len(rows)),
        np.arange(len(good), len(rows)),
        take_positions(inst.info, rows),
        origin=find_origin(inst.info, origin),
    )[len(good) :, : len(good)]
    return Change(good, bad, lambda data, used: operator @ data)


def _interpolate_meg(inst: Any, bads: list[str], origin: str | Sequence[float]) -> None:
    """Let MNE write bad channels, in place."""
    inst.info["bads"] = bads
    try:
        inst.interpolate_bads(reset_bads=False, origin=origin, verbose="error")
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"MEG channels {bads} cannot be interpolated: {error}",
            hint="Leave them marked, or pass the origin of a sphere, in m.",
        ) from error
