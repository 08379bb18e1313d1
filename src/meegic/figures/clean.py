"""Pictures of cleaning: traces and spectra before and after, and what was removed."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import mne
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from meegic.base.checks import check_known, check_range
from meegic.base.errors import InputError
from meegic.base.spans import find_spans
from meegic.clean.edge.asr_cleaning import ASRReport
from meegic.clean.edge.comparing import REPAIRED
from meegic.figures.recording import SCALES
from meegic.figures.style import (
    ACCENT,
    INK,
    KIND_COLORS,
    MUTED,
    label_density,
    open_axes,
)
from meegic.math.spectra import welch_power

SHADE = KIND_COLORS["brain"]
"""The colour of spans that were repaired."""

N_TRACES = 6

TALLEST = 2.5
"""A trace before cleaning is cut at this many times the largest value after."""


def plot_cleaned(
    before: mne.io.BaseRaw,
    after: mne.io.BaseRaw,
    *,
    start: float = 0.0,
    duration: float = 10.0,
    picks: Sequence[str] | None = None,
    truth: mne.io.BaseRaw | None = None,
) -> Figure:
    """Draw channels before and after cleaning, one axes each.

    What is annotated as ``ASR_repaired`` is shaded. What was larger by far before
    leaves its axes, so that the rest can be seen.

    Parameters
    ----------
    before, after : mne.io.Raw
        The recording, of the same times.
    start, duration : float
        What to show, in s from the first sample.
    picks : sequence of str | None
        Which channels; ``None`` takes the six that changed most in this span.
    truth : mne.io.Raw | None
        What a perfect cleaning leaves, where that is known.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> data = 1e-5 * np.random.default_rng(0).standard_normal((3, 500))
    >>> info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> half = mne.io.RawArray(0.5 * data, info, verbose="error")
    >>> figure = plot_cleaned(raw, half, picks=["Cz"])
    >>> figure.axes[0].get_ylabel()
    'Cz (µV)'
    >>> plt.close(figure)
    """
    _check_times(before, after, truth)
    check_range("start", start, low=0, high=before.times[-1], open_high=True, unit="s")
    check_range("duration", duration, low=0, open_low=True, unit="s")
    shown = slice(*before.time_as_index([start, start + duration], use_rounding=True))
    times = before.times[shown]
    names = _choose_changed(before, after, shown) if picks is None else list(picks)
    check_known("channel", names, before.ch_names)
    size = (11, 0.7 + 1.1 * len(names))
    figure, axes = plt.subplots(
        len(names), 1, figsize=size, sharex=True, layout="constrained", squeeze=False
    )
    traces: list[tuple[str, mne.io.BaseRaw, str, float]] = [
        ("before", before, MUTED, 0.8),
        *([("truth", truth, INK, 1.6)] if truth is not None else []),
        ("after", after, ACCENT, 0.8),
    ]
    n_shaded = 0
    for ax, name in zip(axes[:, 0], names, strict=True):
        open_axes(ax, size=size)
        kind = before.get_channel_types(picks=[name])[0]
        scale, unit = SCALES.get(kind, (1.0, "SI"))
        for label, raw, color, width in traces:
            trace = scale * _read(raw, [name], shown)[0]
            ax.plot(times, trace, color=color, lw=width, label=label)
        n_shaded += _shade_repaired(ax, after, kind)
        _limit(ax)
        ax.set_ylabel(f"{name} ({unit})", fontsize=8)
        ax.set_xlim(times[0], times[-1])
    _draw_legend(axes[0, 0], shaded=n_shaded > 0)
    axes[-1, 0].set_xlabel("Time (s)")
    figure.align_ylabels(axes[:, 0])
    return figure


def plot_cleaned_spectra(
    before: mne.io.BaseRaw,
    after: mne.io.BaseRaw,
    *,
    f_max: float = 100.0,
    truth: mne.io.BaseRaw | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw power spectra before and after: the median of channels, and most of them.

    Shown is the type that the recording has most good channels of, and of these those
    that are good in both. The bands hold eight of ten channels.

    Parameters
    ----------
    before, after : mne.io.Raw
        The recording.
    f_max : float
        Highest frequency to show in Hz.
    truth : mne.io.Raw | None
        What a perfect cleaning leaves, where that is known.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> data = 1e-5 * np.random.default_rng(0).standard_normal((4, 1000))
    >>> info = mne.create_info(4, 100.0, "eeg")
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> half = mne.io.RawArray(0.5 * data, info, verbose="error")
    >>> figure = plot_cleaned_spectra(raw, half)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['before', 'after']
    >>> plt.close(figure)
    """
    sfreq = float(before.info["sfreq"])
    _check_times(before, after, truth)
    check_range("f_max", f_max, low=0, open_low=True, unit="Hz")
    kind, names = _find_common(before, after)
    scale, unit = SCALES[kind]
    figure, ax = open_axes(ax, size=(7, 3.6))
    curves: list[tuple[str, mne.io.BaseRaw, str, float]] = [
        ("before", before, MUTED, 1.6),
        *([("truth", truth, INK, 2.4)] if truth is not None else []),
        ("after", after, ACCENT, 1.2),
    ]
    feet = []
    for label, raw, color, width in curves:
        data = scale * _read(raw, names, slice(None))
        spectrum = welch_power(data, sfreq, window_s=min(4.0, raw.times[-1]))
        inside = (spectrum.freqs > 0) & (spectrum.freqs <= f_max)
        freqs, power = spectrum.freqs[inside], spectrum.power[:, inside]
        level = 10 * np.log10(np.fmax(power, np.finfo(float).tiny))
        low, middle, high = np.percentile(level, [10, 50, 90], axis=0)
        ax.fill_between(freqs, low, high, color=color, alpha=0.18, lw=0)
        ax.plot(freqs, middle, color=color, lw=width, label=label)
        ax.set_xlim(0, freqs[-1])
        feet.append(np.percentile(low, 2))  # not where a high-pass leaves nothing
    ax.set(xlabel="Frequency (Hz)", ylabel=label_density(unit))
    ax.set_ylim(bottom=min(feet) - 3)
    ax.legend(frameon=False, fontsize=8)
    return figure


def plot_repairs(
    reports: Mapping[str, ASRReport],
    sfreq: float,
    *,
    n_dims: Mapping[str, int] | None = None,
) -> Figure:
    """Draw how many dimensions each moment lost, one axes for each type of channel.

    Parameters
    ----------
    reports : dict of str to ASRReport
        ``report_`` of an `ASR`.
    sfreq : float
        Sampling rate in Hz.
    n_dims : dict of str to int | None
        How many dimensions the data of a type have, for the axes' labels.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> n_removed = np.repeat([0.0, 3.0, 0.0], 100)
    >>> none = np.zeros(300, bool)
    >>> report = ASRReport(n_removed, none, none, n_stretches=1, n_short=0)
    >>> figure = plot_repairs({"eeg": report}, 100.0, n_dims={"eeg": 32})
    >>> figure.axes[0].get_title(loc="left")
    'eeg: 33.3 % of the time repaired, 3 of 32 dimensions at most'
    >>> plt.close(figure)
    """
    check_range("sfreq", sfreq, low=0, open_low=True, unit="Hz")
    if not reports:
        raise InputError("reports must have a type of channel, but is empty.")
    size = (11, 0.5 + 1.7 * len(reports))
    figure, axes = plt.subplots(
        len(reports), 1, figsize=size, sharex=True, layout="constrained", squeeze=False
    )
    for ax, (kind, report) in zip(axes[:, 0], reports.items(), strict=True):
        open_axes(ax, size=size)
        n_removed = np.asarray(report.n_removed)
        _draw_steps(ax, n_removed, sfreq)
        marks = {"still unusual": (report.bad, ACCENT), "passed": (report.passed, INK)}
        for label, (mask, color) in marks.items():
            for start, stop in find_spans(mask):
                ax.axvspan(
                    start / sfreq, stop / sfreq, color=color, alpha=0.25, lw=0,
                    label=label,
                )  # fmt: skip
        most = f"{n_removed.max():g}"
        if n_dims is not None and kind in n_dims:
            most += f" of {n_dims[kind]}"
        ax.set_title(
            f"{kind}: {100 * report.repaired:.1f} % of the time repaired, "
            f"{most} dimensions at most",
            loc="left",
            fontsize=9,
            color=INK,
        )
        ax.set_ylabel("Dimensions\nremoved", fontsize=8)
        ax.set(xlim=(0, len(n_removed) / sfreq), ylim=(0, n_removed.max() * 1.1 + 0.5))
        ax.yaxis.get_major_locator().set_params(integer=True)
        _draw_marks(ax)
    axes[-1, 0].set_xlabel("Time (s)")
    return figure


def _check_times(
    before: mne.io.BaseRaw, after: mne.io.BaseRaw, truth: mne.io.BaseRaw | None
) -> None:
    for name, one in (("after", after), ("truth", truth or before)):
        sizes = [(len(k.times), float(k.info["sfreq"])) for k in (one, before)]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{name} must have the times of before, {sizes[1][0]} samples at "
                f"{sizes[1][1]:g} Hz, but has {sizes[0][0]} at {sizes[0][1]:g} Hz.",
                hint="Crop and resample both alike.",
            )


def _choose_changed(
    before: mne.io.BaseRaw, after: mne.io.BaseRaw, shown: slice
) -> list[str]:
    """Choose the channels that changed most, in the order of the recording."""
    names = _find_common(before, after)[1]
    change = np.ptp(_read(before, names, shown) - _read(after, names, shown), axis=1)
    most = np.sort(np.argsort(-change, kind="stable")[:N_TRACES])
    return [names[index] for index in most]


def _find_common(
    before: mne.io.BaseRaw, after: mne.io.BaseRaw
) -> tuple[str, list[str]]:
    """Find the type with most channels that are good in both, and their names."""
    bads = {*before.info["bads"], *after.info["bads"]}
    names: dict[str, list[str]] = {kind: [] for kind in SCALES}
    for name, kind in zip(before.ch_names, before.get_channel_types(), strict=True):
        if kind in names and name in after.ch_names and name not in bads:
            names[kind].append(name)
    kind = max(names, key=lambda one: len(names[one]))
    if not names[kind]:
        raise InputError("before and after have no good data channel in common.")
    return kind, names[kind]


def _read(raw: mne.io.BaseRaw, names: list[str], shown: slice) -> np.ndarray:
    start, stop, _ = shown.indices(len(raw.times))
    return np.asarray(raw.get_data(picks=names, start=start, stop=stop))


def _shade_repaired(ax: Axes, after: mne.io.BaseRaw, kind: str) -> int:
    """Shade what was repaired in channels of a type, and count the spans."""
    notes = after.annotations
    spans = [
        (note["onset"] - after.first_time, note["duration"])
        for note, extras in zip(notes, notes.extras, strict=True)
        if note["description"] == REPAIRED and extras.get("channel_type", kind) == kind
    ]
    for start, length in spans:
        ax.axvspan(start, start + length, color=SHADE, alpha=0.13, lw=0)
    return len(spans)


def _limit(ax: Axes) -> None:
    """Keep the axes as high as what was left needs, and a few times that at most."""
    first, *others = (np.abs(line.get_ydata()).max() for line in ax.lines)
    height = min(max(first, *others), TALLEST * max(others)) or 1.0
    ax.set_ylim(-1.05 * height, 1.05 * height)


def _draw_legend(ax: Axes, *, shaded: bool) -> None:
    handles: list[Artist] = [*ax.lines]
    if shaded:
        handles.append(Patch(color=SHADE, alpha=0.3, label="repaired"))
    ax.legend(
        handles=handles, ncols=len(handles), loc="lower left", bbox_to_anchor=(0, 1),
        frameon=False, fontsize=8,
    )  # fmt: skip


def _draw_steps(ax: Axes, n_removed: np.ndarray, sfreq: float) -> None:
    """Draw a curve of steps; only where it changes there is a point."""
    edges = np.flatnonzero(np.diff(n_removed)) + 1
    edges = np.concatenate([[0], edges, [len(n_removed)]])
    ax.stairs(n_removed[edges[:-1]], edges / sfreq, fill=True, color=SHADE, lw=0)


def _draw_marks(ax: Axes) -> None:
    """Draw a legend of the marks, each once, where there are some."""
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if once:
        ax.legend(
            once.values(), once.keys(), ncols=len(once), loc="lower right",
            bbox_to_anchor=(1, 1), frameon=False, fontsize=8,
        )  # fmt: skip
