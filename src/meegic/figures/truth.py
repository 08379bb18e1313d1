"""Pictures of a simulated recording's truth: maps, courses and places."""

import matplotlib.pyplot as plt
import mne
import numpy as np
from matplotlib.figure import Figure

from meegic.base.checks import check_count
from meegic.figures.style import INK, KIND_COLORS, MUTED
from meegic.simulation.truth import RecordingTruth

PER_ROW = 8
SECONDS = 6.0


def plot_truth(
    raw: mne.io.BaseRaw, truth: RecordingTruth, *, model: int = 0, n_brain: int = 8
) -> Figure:
    """Draw the map and the course of every artifact source and of some brain ones.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording, for its sensor positions.
    truth : RecordingTruth
        What it is made of.
    model : int
        Which mixing condition.
    n_brain : int
        How many brain sources, evenly from the back of the head to its front.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", duration_s=12)
    >>> figure = plot_truth(raw, truth)
    >>> plt.close(figure)
    """
    check_count("model", model, low=0, high=truth.n_models - 1)
    brain = truth.select("brain")
    some = brain[np.linspace(0, len(brain) - 1, min(n_brain, len(brain))).astype(int)]
    others = np.setdiff1d(np.arange(len(truth.kinds)), brain)
    shown = [*others, *some]
    picks, info = _pick_one_type(raw, truth)

    n_rows = -(-len(shown) // PER_ROW)
    figure, axes = plt.subplots(
        2 * n_rows,
        PER_ROW,
        figsize=(1.5 * PER_ROW, 2.2 * n_rows),
        height_ratios=[2.6, 1] * n_rows,
        layout="constrained",
        squeeze=False,
    )
    for ax in axes.ravel():
        ax.set_axis_off()
    n_times = round(SECONDS * truth.sfreq)
    for place, source in enumerate(shown):
        row, column = divmod(place, PER_ROW)
        kind = truth.kinds[source]
        ax = axes[2 * row, column]
        field = truth.mixing[model, picks, source]
        mne.viz.plot_topomap(
            field, info, axes=ax, show=False, sensors=False, contours=4
        )
        ax.set_title(kind, fontsize=8, color=KIND_COLORS[kind])
        start = _find_busy(truth.sources[source], n_times)
        course = truth.sources[source, start : start + n_times]
        axes[2 * row + 1, column].plot(course, color=KIND_COLORS[kind], lw=0.5)
    figure.text(
        0.999,
        0.001,
        f"{len(some)} of {len(brain)} brain sources; courses of {SECONDS:g} s",
        ha="right",
        va="bottom",
        fontsize=7,
        color=MUTED,
    )
    return figure


def plot_conditions(truth: RecordingTruth) -> Figure:
    """Draw which mixing condition holds when, and what happened in it.

    Parameters
    ----------
    truth : RecordingTruth
        What the recording is made of.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", duration_s=20, n_models=2)
    >>> figure = plot_conditions(truth)
    >>> plt.close(figure)
    """
    kinds = [kind for kind in KIND_COLORS if kind in truth.span_kinds]
    figure, ax = plt.subplots(
        figsize=(11, 0.3 * len(kinds) + 1.2), layout="constrained"
    )
    n_times = truth.sources.shape[1]
    stops = [*truth.block_starts[1:], n_times]
    for start, stop, model in zip(
        truth.block_starts, stops, truth.block_models, strict=True
    ):
        left, right = start / truth.sfreq, stop / truth.sfreq
        shade = 0.10 + 0.25 * model / max(truth.n_models - 1, 1)
        ax.axvspan(left, right, color=KIND_COLORS["brain"], alpha=shade, lw=0)
        ax.text(
            (left + right) / 2,
            -0.95,
            f"condition {model}",
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
        )
    for row, kind in enumerate(kinds):
        spans = truth.spans(kind) / truth.sfreq
        bars = np.column_stack([spans[:, 0], np.diff(spans, axis=1)[:, 0]])
        ax.broken_barh(bars.tolist(), (row - 0.35, 0.7), color=KIND_COLORS[kind])
    events = truth.event_samples / truth.sfreq
    ax.plot(events, np.full(len(events), len(kinds) - 0.2), "|", color=INK, ms=7)
    ax.set_yticks(
        [*range(len(kinds)), len(kinds) - 0.2], [*kinds, "stimulus"], fontsize=8
    )
    ax.set(xlim=(0, n_times / truth.sfreq), ylim=(-1.4, len(kinds) + 0.2))
    ax.set_xlabel("Time (s)")
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    return figure


def _pick_one_type(
    raw: mne.io.BaseRaw, truth: RecordingTruth
) -> tuple[np.ndarray, mne.Info]:
    """Pick the channels that one map can show: EEG or magnetometers."""
    info = mne.pick_info(raw.info, mne.pick_channels(raw.ch_names, truth.ch_names))
    kinds = np.array(info.get_channel_types())
    picks = np.flatnonzero(kinds == ("eeg" if "eeg" in kinds else "mag"))
    return picks, mne.pick_info(info, picks)


def _find_busy(course: np.ndarray, n_times: int) -> int:
    """Find the stretch of a course that holds its largest value in the middle."""
    peak = int(np.abs(course).argmax())
    return int(np.clip(peak - n_times // 2, 0, max(len(course) - n_times, 0)))
