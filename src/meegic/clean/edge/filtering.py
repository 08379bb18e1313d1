"""Filters for Raw and Epochs: each stretch by itself, nothing across a gap."""

from collections.abc import Sequence
from math import ceil, isclose, log
from typing import Any

import mne
import numpy as np

from meegic.base.checks import check_option
from meegic.base.errors import InputError, OptionError
from meegic.clean.edge.samples import USUAL, check_inst
from meegic.clean.edge.stretches import Change, change_stretches, pick_rows
from meegic.clean.filter import apply_filter
from meegic.clean.filter_design import Filter, design_filter, design_notch
from meegic.math.iir import BlockFilter

_SETTLED = 1e-3
"""An edge is over when what is left of it has fallen to this."""

_N_ROWS = 16  # filtered at once: more would not be faster, but take more memory


def filter_recording(
    inst: Any,
    l_freq: float | None = None,
    h_freq: float | None = None,
    *,
    notch: float | Sequence[float] | None = None,
    kind: str = "butter",
    phase: str = "zero",
    picks: str | Sequence[str] | None = None,
    on_nonfinite: str = "raise",
) -> Any:
    """Filter a recording by edges; `apply_filters` takes filters of any other design.

    Boundaries, acquisition skips, gaps and samples that are not finite end a stretch.
    Each stretch is filtered by itself, from reflected ends, or causally from a state
    of zero. Spans that are marked as bad otherwise are filtered with the rest.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording; left as it is. It need not be loaded.
    l_freq, h_freq : float | None
        The lower and the upper edge of what passes, in Hz.
    notch : float | sequence of float | None
        Single frequencies to remove, in Hz.
    kind : str
        The family as in `design_filter`, of order 4: ``'butter'``, ``'fir'`` (MNE's
        default design), ...
    phase : 'zero' | 'forward'
        Without delay, or causally.
    picks : str | sequence of str | None
        Types or names of channels. ``None`` is all of type mag, grad and eeg. Bad
        channels, and what is not picked, stay as they are, bit for bit.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity outside of BAD spans are refused, or are kept, end a
        stretch and are annotated as ``BAD_nan``.

    Returns
    -------
    mne.io.Raw | mne.Epochs
        A filtered copy. Its ``highpass`` and ``lowpass`` say so, where all good
        channels of type mag, grad and eeg were filtered.

    Examples
    --------
    >>> info = mne.create_info(2, 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.ones((2, 1000)), info, verbose="error")
    >>> filtered = filter_recording(raw, 1.0, 40.0)
    >>> bool(abs(filtered.get_data()).max() < 1e-9), filtered.info["highpass"]
    (True, 1.0)
    """
    check_inst(inst)
    designs = _design(float(inst.info["sfreq"]), l_freq, h_freq, notch, kind)
    return apply_filters(
        inst, designs, phase=phase, picks=picks, on_nonfinite=on_nonfinite
    )


def apply_filters(
    inst: Any,
    designs: Filter | Sequence[Filter],
    *,
    phase: str = "zero",
    picks: str | Sequence[str] | None = None,
    on_nonfinite: str = "raise",
) -> Any:
    """Filter a recording by what `design_filter` and `design_notch` made.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording; left as it is. It need not be loaded.
    designs : Filter | sequence of Filter
        One filter, or several in their order, for the sampling rate of the recording.
    phase, picks, on_nonfinite
        As in `filter_recording`.

    Returns
    -------
    mne.io.Raw | mne.Epochs
        A filtered copy, as `filter_recording` gives it.

    Examples
    --------
    >>> info = mne.create_info(2, 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.ones((2, 1000)), info, verbose="error")
    >>> steep = design_filter(100.0, l_freq=1.0, order=8)
    >>> bool(abs(apply_filters(raw, steep).get_data()).max() < 1e-9)
    True
    """
    check_inst(inst)
    check_option("phase", phase, ["zero", "forward"])
    chosen = [designs] if isinstance(designs, Filter) else list(designs)
    _check_designs(chosen, float(inst.info["sfreq"]))
    if isinstance(inst, mne.BaseEpochs):
        _refuse_short_epochs(inst, chosen)
    rows = pick_rows(inst.info, picks)
    changes = [
        Change(part, part, lambda data, used: _run(data, chosen, phase))
        for part in np.array_split(rows, -(-len(rows) // _N_ROWS))
    ]
    n_least = max(map(_count_padding, chosen)) + 1 if phase == "zero" else 1
    filtered = change_stretches(
        inst, changes, rows, n_least=n_least, on_nonfinite=on_nonfinite
    )
    _update_info(filtered.info, rows, chosen)
    return filtered


def _check_designs(designs: Sequence[Filter], sfreq: float) -> None:
    if not designs:
        raise OptionError("designs must hold at least one filter, but is empty.")
    for one in designs:
        if not isinstance(one, Filter):
            raise TypeError(
                f"designs must be filters, but got {type(one).__name__}. design_filter "
                "and design_notch make them."
            )
        if not isclose(one.sfreq, sfreq, rel_tol=1e-6):
            raise OptionError(
                f"designs must be made for {sfreq:g} Hz, the sampling rate of inst, "
                f"but one is for {one.sfreq:g} Hz."
            )


def _design(
    sfreq: float,
    l_freq: float | None,
    h_freq: float | None,
    notch: float | Sequence[float] | None,
    kind: str,
) -> list[Filter]:
    designs = []
    if l_freq is not None or h_freq is not None:
        designs.append(design_filter(sfreq, l_freq=l_freq, h_freq=h_freq, kind=kind))
    if notch is not None and np.size(notch):
        designs.append(design_notch(sfreq, notch))
    if not designs:
        raise OptionError(
            "l_freq, h_freq and notch are all None; pass at least one of them."
        )
    return designs


def _run(data: np.ndarray, designs: Sequence[Filter], phase: str) -> np.ndarray:
    for one in designs:
        data = np.asarray(apply_filter(data, one, phase=phase))
    return data


def _count_padding(design: Filter) -> int:
    """Count the samples that filtering without delay needs beyond either end."""
    form = design.form
    return form.n_padding if isinstance(form, BlockFilter) else form.size // 2


def _refuse_short_epochs(epochs: mne.BaseEpochs, designs: Sequence[Filter]) -> None:
    """Refuse epochs that are all edge: what is filtered then is hardly the signal."""
    n_edge, n_times = max(map(_count_edge, designs)), len(epochs.times)
    if n_times < n_edge:
        sfreq = epochs.info["sfreq"]
        raise InputError(
            f"epochs must be at least {n_edge / sfreq:.3g} s long for this filter, as "
            f"long as its edges, but are {n_times / sfreq:.3g} s.",
            hint="Filter the Raw before it is cut into epochs.",
        )


def _count_edge(design: Filter) -> int:
    """Count the samples over which an impulse is felt, or falls to a thousandth."""
    if not isinstance(design.form, BlockFilter):
        return design.form.size
    poles = np.concatenate([np.roots(one) for one in np.asarray(design.sos)[:, 3:]])
    slowest = float(np.abs(poles).max(initial=0.0))
    return ceil(log(_SETTLED) / log(slowest)) if slowest > 0 else 1


def _update_info(info: mne.Info, rows: np.ndarray, designs: Sequence[Filter]) -> None:
    """Narrow the band that the header states, where it holds for all of the data."""
    kinds = np.array(info.get_channel_types())
    bad = np.isin(info["ch_names"], info["bads"])
    if not set(np.flatnonzero(np.isin(kinds, USUAL) & ~bad)) <= set(rows):
        return
    with info._unlock():
        for one in designs:
            if one.l_freq is not None:
                info["highpass"] = max(info["highpass"] or 0.0, float(one.l_freq))
            if one.h_freq is not None:
                info["lowpass"] = min(info["lowpass"] or np.inf, float(one.h_freq))
