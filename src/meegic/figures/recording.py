"""Pictures of a recording: traces and spectra."""

from collections.abc import Sequence

import mne
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from meegic.base.checks import check_range, list_words
from meegic.base.errors import InputError
from meegic.figures.style import (
    ACCENT,
    INK,
    KIND_COLORS,
    MUTED,
    label_density,
    open_axes,
)
from meegic.math.spectra import welch_power

SCALES = {
    "eeg": (1e6, "µV"),
    "mag": (1e15, "fT"),
    "grad": (1e13, "fT/cm"),
    "seeg": (1e6, "µV"),
    "ecog": (1e6, "µV"),
    "dbs": (1e6, "µV"),
}
"""What a value in SI is multiplied by for showing, and the unit then."""

MAX_TRACES = 64

MAX_HEIGHT = 3.0
"""Traces are cut at this many steps from their line, so that a loud one hides few."""


def plot_traces(
    raw: mne.io.BaseRaw,
    *,
    start: float = 0.0,
    duration: float = 10.0,
    spans: Sequence[tuple[str, float, float]] = (),
    marked: Sequence[str] = (),
    ax: Axes | None = None,
) -> Figure:
    """Draw channels over time, one below the other.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording.
    start, duration : float
        What to show, in s from the first sample.
    spans : sequence of (kind, start, stop)
        Shaded spans in s, coloured by kind.
    marked : sequence of str
        Channels to draw in another colour.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", duration_s=12)
    >>> figure = plot_traces(raw, start=2, marked=truth.bad_channels)
    >>> figure.savefig("traces.png")  # doctest: +SKIP
    """
    check_range("start", start, low=0, high=raw.times[-1], open_high=True, unit="s")
    check_range("duration", duration, low=0, open_low=True, unit="s")
    picks = _pick_data(raw)[:MAX_TRACES]
    auxiliary = mne.pick_types(raw.info, eog=True, ecg=True)
    rows = np.concatenate([picks, auxiliary])
    first, last = raw.time_as_index([start, min(start + duration, raw.times[-1])])
    times = raw.times[first : last + 1]
    data = raw.get_data(picks=rows, start=first, stop=last + 1)
    data = data - np.median(data, axis=1, keepdims=True)
    step = _choose_step(raw, picks)
    sizes = np.full(len(rows), step)
    for index in range(len(picks), len(rows)):
        sizes[index] = np.ptp(data[index]) or 1.0

    figure, ax = open_axes(ax, size=(11, 0.24 * len(rows) + 1.4))
    for kind, begin, end in spans:
        if begin < times[-1] and end > times[0]:
            ax.axvspan(begin, end, color=KIND_COLORS[kind], alpha=0.16, lw=0)
    for index, row in enumerate(rows):
        name = raw.ch_names[row]
        color = ACCENT if name in marked else INK if index < len(picks) else MUTED
        trace = np.clip(data[index] / sizes[index], -MAX_HEIGHT, MAX_HEIGHT)
        behind = 1 if name in marked else 2
        ax.plot(times, trace - index, color=color, lw=0.6, zorder=behind)
    ax.set_yticks(-np.arange(len(rows)), [raw.ch_names[row] for row in rows])
    ax.set(
        xlim=(times[0], times[-1]),
        ylim=(-len(rows) - 0.3, MAX_HEIGHT + 0.2),
        xlabel="Time (s)",
    )
    _draw_scale_bar(ax, raw, picks, step)
    _draw_kinds(ax, [kind for kind, *_ in spans])
    return figure


def plot_spectra(
    raw: mne.io.BaseRaw,
    *,
    f_max: float = 100.0,
    marked: Sequence[str] = (),
    ax: Axes | None = None,
) -> Figure:
    """Draw the power spectrum of every channel and their median.

    A recording with several types of channel shows the one with the most channels.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording.
    f_max : float
        Highest frequency to show in Hz.
    marked : sequence of str
        Channels to draw in another colour.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", duration_s=12)
    >>> figure = plot_spectra(raw, marked=truth.bad_channels)
    >>> figure.savefig("traces.png")  # doctest: +SKIP
    """
    sfreq = float(raw.info["sfreq"])
    check_range("f_max", f_max, low=0, open_low=True, unit="Hz")
    picks = _pick_data(raw)
    scale, unit = SCALES[raw.get_channel_types(picks=[picks[0]])[0]]
    window = min(4.0, raw.times[-1])
    data = np.asarray(raw.get_data(picks=picks))
    spectrum = welch_power(scale * data, sfreq, window_s=window)
    shown = (spectrum.freqs > 0) & (spectrum.freqs <= min(f_max, sfreq / 2))
    freqs = spectrum.freqs[shown]
    level = 10 * np.log10(np.fmax(spectrum.power[:, shown], np.finfo(float).tiny))

    figure, ax = open_axes(ax, size=(7, 3.6))
    for row, curve in zip(picks, level, strict=True):
        if raw.ch_names[row] not in marked:
            ax.plot(freqs, curve, color=KIND_COLORS["brain"], lw=0.5, alpha=0.45)
    for row, curve in zip(picks, level, strict=True):
        if raw.ch_names[row] in marked:
            ax.plot(freqs, curve, color=ACCENT, lw=1.0, label=raw.ch_names[row])
    ax.plot(freqs, np.median(level, axis=0), color=INK, lw=1.6, label="median")
    low, high = np.percentile(level, [0.1, 99.9])
    ax.set(
        xlim=(0, freqs[-1]),
        ylim=(low - 4, high + 6),
        xlabel="Frequency (Hz)",
        ylabel=label_density(unit),
    )
    ax.legend(frameon=False, fontsize=8)
    return figure


def _pick_data(raw: mne.io.BaseRaw) -> np.ndarray:
    """Pick the type of data channel that the recording has most of."""
    types = np.array(raw.get_channel_types())
    counts = {kind: int((types == kind).sum()) for kind in SCALES}
    kind = max(counts, key=lambda one: counts[one])
    if not counts[kind]:
        raise InputError(
            f"The recording has no channel of a type that can be drawn: "
            f"{list_words(SCALES, last='or')}.",
            hint="Set the types with raw.set_channel_types.",
        )
    return np.flatnonzero(types == kind)


def _choose_step(raw: mne.io.BaseRaw, picks: np.ndarray) -> float:
    """Choose a distance between traces, as round as an axis would have it."""
    stop = min(len(raw.times), round(60 * raw.info["sfreq"]))
    data = raw.get_data(picks=picks, start=0, stop=stop)
    spread = float(np.median(np.subtract(*np.percentile(data, [90, 10], axis=1))))
    if spread == 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(2.0 * spread))
    return float(
        power * min([1, 2, 5, 10], key=lambda x: abs(x * power - 2.0 * spread))
    )


def _draw_scale_bar(
    ax: Axes, raw: mne.io.BaseRaw, picks: np.ndarray, step: float
) -> None:
    scale, unit = SCALES[raw.get_channel_types(picks=[picks[0]])[0]]
    across = ax.get_yaxis_transform()
    ax.plot([1.01, 1.01], [-1, 0], transform=across, color=INK, lw=1.5, clip_on=False)
    ax.text(
        1.017,
        -0.5,
        f"{scale * step:g} {unit}",
        transform=across,
        fontsize=8,
        va="center",
    )


def _draw_kinds(ax: Axes, kinds: Sequence[str]) -> None:
    """Draw a legend of the kinds, each once, in the order of their colours."""
    patches = [
        Patch(color=color, alpha=0.4, label=kind)
        for kind, color in KIND_COLORS.items()
        if kind in kinds
    ]
    if patches:
        ax.legend(
            handles=patches,
            ncols=len(patches),
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            fontsize=8,
        )
