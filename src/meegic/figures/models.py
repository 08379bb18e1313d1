"""Pictures of several models over a recording: which holds when, and how it looks."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import mne
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import TICKUP
from scipy.signal import fftconvolve

from meegic.base.checks import check_count, check_range, check_shape
from meegic.components.model import AmicaModel
from meegic.figures.components import (
    DRAWN_TYPES,
    average_bins,
    color_of,
    plot_likelihood,
    plot_maps,
    plot_model_probabilities,
    plot_shares,
)
from meegic.figures.style import INK, MUTED, open_axes

_BINS_PER_INCH = 40  # finer lines would be a thicket
_ENTRY_INCHES = 1.35  # width of an entry of a legend
_MARKS_PER_INCH = 10  # more beginnings than that are not told apart
_MAX_MAPS = 8  # in one row
_MAX_ROWS = 5  # kinds of annotations that have a row of their own
_MAX_LETTERS = 18

Note = tuple[float, float, str]
"""Onset and duration in s, and what it says."""


def plot_posterior_lines(
    posteriors: np.ndarray,
    sfreq: float,
    *,
    shares: np.ndarray,
    starts: Sequence[int] | np.ndarray = (0,),
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes:
    """Draw how probable each model is over time, a line for each.

    A long recording is averaged to as many points as a page can show.

    Parameters
    ----------
    posteriors : array, shape (n_models, n_times)
        How probable each model is; NaN leaves a gap.
    sfreq : float
        Sampling rate in Hz.
    shares : array, shape (n_models,)
        How often each model holds, for the legend.
    starts : sequence of int
        Where new stretches, such as epochs, begin; a mark above the axes each.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.
    figsize : tuple | None
        Of a new figure, in inches.

    Returns
    -------
    matplotlib Axes
        Where it was drawn.

    Examples
    --------
    >>> posteriors = np.repeat([[0.9, 0.2], [0.1, 0.8]], 500, axis=1)
    >>> ax = plot_posterior_lines(posteriors, 100.0, shares=np.array([0.5, 0.5]))
    >>> plt.close(ax.figure)
    """
    check_range("sfreq", sfreq, low=0, open_low=True, unit="Hz")
    posteriors = np.asarray(posteriors, dtype=float)
    check_shape("posteriors", posteriors, (None, None))
    check_shape("shares", np.asarray(shares), (len(posteriors),))
    _, ax = open_axes(ax, size=figsize or (12, 3))
    n_times = posteriors.shape[1]
    n_bins = min(n_times, max(2, round(_BINS_PER_INCH * measure_width(ax))))
    edges = np.linspace(0, n_times, n_bins + 1).astype(int)
    middles = (edges[:-1] + edges[1:]) / 2 / sfreq
    for h, line in enumerate(average_bins(posteriors, edges)):
        label = f"model {h} ({100 * shares[h]:.1f} %)"
        ax.plot(middles, line, color=color_of(h), lw=1.1, alpha=0.9, label=label)
    ax.set(
        xlim=(0, n_times / sfreq), ylim=(-0.03, 1.03), xlabel="Time (s)",
        ylabel="Probability",
    )  # fmt: skip
    ax.set_yticks([0, 0.5, 1])
    _mark_starts(ax, starts, sfreq)
    _put_legend(ax, ax)
    return ax


def plot_posterior_areas(
    posteriors: np.ndarray,
    sfreq: float,
    *,
    starts: Sequence[int] | np.ndarray = (0,),
    smooth_s: float = 0.0,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes:
    """Draw how probable each model is over time, as areas that fill the axes.

    Parameters
    ----------
    posteriors : array, shape (n_models, n_times)
        How probable each model is; NaN leaves a gap.
    sfreq : float
        Sampling rate in Hz.
    starts : sequence of int
        Where new stretches, such as epochs, begin, a mark above the axes each; no
        Gaussian reaches across them.
    smooth_s : float
        Standard deviation in s of a Gaussian; 0 for none.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.
    figsize : tuple | None
        Of a new figure, in inches.

    Returns
    -------
    matplotlib Axes
        Where it was drawn.

    Examples
    --------
    >>> posteriors = np.repeat([[0.9, 0.2], [0.1, 0.8]], 500, axis=1)
    >>> ax = plot_posterior_areas(posteriors, 100.0, smooth_s=0.2)
    >>> plt.close(ax.figure)
    """
    check_range("smooth_s", smooth_s, low=0, open_high=True, unit="s")
    _, ax = open_axes(ax, size=figsize or (12, 3))
    if smooth_s > 0:
        posteriors = smooth_over_gaps(posteriors, smooth_s * sfreq, starts=starts)
    plot_model_probabilities(posteriors, sfreq, ax=ax)
    _mark_starts(ax, starts, sfreq)
    _put_legend(ax, ax)
    return ax


def plot_overview(
    model: AmicaModel,
    posteriors: np.ndarray,
    info: mne.Info,
    *,
    starts: Sequence[int] | np.ndarray = (0,),
    annotations: Sequence[Note] = (),
    n_components: int = 6,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw a fit on one page: when each model holds, its maps, and how the fit went.

    Parameters
    ----------
    model : AmicaModel
        The fit. Of a single model it is not shown when it holds.
    posteriors : array, shape (n_models, n_times)
        How probable each model is; NaN leaves a gap.
    info : mne.Info
        Of the channels that were fitted, with positions.
    starts : sequence of int
        Where new stretches begin.
    annotations : sequence of tuple
        Onset and duration in s, and text. Spans whose text begins with BAD are grey;
        others are shown above the probabilities, a row for each kind.
    n_components : int
        How many maps of each model, by descending variance; 8 at most.
    figsize : tuple | None
        In inches.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> from meegic.components.amica import fit_amica
    >>> raw, _ = simulate_recording("eeg19", duration_s=10)
    >>> raw = raw.pick(["Fz", "C3", "C4", "Pz"])
    >>> model = fit_amica(raw.get_data())
    >>> figure = plot_overview(model, model.posteriors(raw.get_data()), raw.info)
    >>> plt.close(figure)
    """
    check_count("n_components", n_components, high=_MAX_MAPS)
    several = model.n_models > 1
    heights = [2.6] * several + [1.6] * model.n_models + [2.2]
    figure = plt.figure(figsize=figsize or (11, sum(heights)), layout="constrained")
    rows: Any = figure.subfigures(len(heights), height_ratios=heights, hspace=0.03)
    parts = list(rows)
    if several:
        _draw_times(parts.pop(0), posteriors, info["sfreq"], starts, annotations)
    for h, part in enumerate(parts[:-1]):
        _draw_row(part, model, info, h, min(n_components, model.n_components))
    if several:
        left, right = parts[-1].subplots(1, 2, width_ratios=[2.5, 1])
        plot_likelihood(model, ax=left)
        plot_shares(model, ax=right)
        right.set_xlim(0, 1.45 * model.parameters.weight.max())  # room for its text
    else:
        plot_likelihood(model, ax=parts[-1].subplots())
    return figure


def smooth_over_gaps(
    posteriors: np.ndarray,
    width: float,
    *,
    starts: Sequence[int] | np.ndarray = (0,),
) -> np.ndarray:
    """Average with a Gaussian over what is known; gaps stay.

    Parameters
    ----------
    posteriors : array, shape (n_models, n_times)
        NaN where nothing is known.
    width : float
        Standard deviation in samples.
    starts : sequence of int
        Where stretches begin that have nothing to do with what is before.

    Returns
    -------
    array, shape (n_models, n_times)
        Columns that are known sum to what they did.

    Examples
    --------
    >>> smooth_over_gaps(np.array([[1.0, 1.0, np.nan, 1.0]]), 2.0)
    array([[ 1.,  1., nan,  1.]])
    """
    known = np.asarray(np.isfinite(posteriors).all(axis=0))
    result = np.full(posteriors.shape, np.nan)
    stops = [*starts[1:], len(known)]
    for start, stop in zip(starts, stops, strict=True):
        span = slice(start, stop)
        there = known[span]
        filled = np.where(there, posteriors[:, span], 0.0)
        reach = min(round(4 * width), len(there))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)[None]
        mass = fftconvolve(there[None].astype(float), kernel, "same", axes=1)[0]
        sums = fftconvolve(filled, kernel, "same", axes=1)
        result[:, span][:, there] = sums[:, there] / mass[there]
    return result


def measure_width(ax: Axes) -> float:
    """Give the width of axes in inches.

    Examples
    --------
    >>> figure = plt.figure(figsize=(4, 3))
    >>> round(measure_width(figure.add_axes((0, 0, 0.5, 1))), 6)
    2.0
    >>> plt.close(figure)
    """
    figure = ax.get_figure(root=True)
    width = 1.0 if figure is None else figure.get_figwidth()
    return float(ax.get_position().width * width)


def _draw_times(
    part: Any,
    posteriors: np.ndarray,
    sfreq: float,
    starts: Sequence[int] | np.ndarray,
    annotations: Sequence[Note],
) -> None:
    """Draw probabilities with bad spans in them and other annotations above."""
    bad = [one for one in annotations if one[1] and one[2].upper().startswith("BAD")]
    others = [one for one in annotations if one not in bad]
    ax = top = part.subplots()
    if others:
        part.clear()
        n_rows = len(_name_rows(others))
        top, ax = part.subplots(2, sharex=True, height_ratios=[1.3 * n_rows, 10])
    plot_posterior_areas(posteriors, sfreq, starts=starts, ax=ax)
    for k, (onset, duration, _) in enumerate(bad):
        ax.axvspan(
            onset, onset + duration, color=MUTED, alpha=0.35, lw=0,
            label="_" if k else "marked as bad",
        )  # fmt: skip
    if others:
        _draw_notes(top, others)
    _put_legend(ax, top)


def _draw_row(
    part: Any, model: AmicaModel, info: mne.Info, model_index: int, n_maps: int
) -> None:
    """Draw the maps of one model, with its name before them."""
    name, *axes = part.subplots(1, n_maps + 1, width_ratios=[0.8, *[1] * n_maps])
    locations = np.array([one["loc"][:3] for one in info["chs"]])
    if np.nan_to_num(locations).any():
        plot_maps(model, info, model_index=model_index, n_components=n_maps, axes=axes)
        kinds = [one for one in DRAWN_TYPES if one in info.get_channel_types()]
        note = "component,\nshare of variance"
        note += f"\nmaps: {kinds[0]}" if len(kinds) > 1 else ""
    else:
        note = "no positions: set\na montage before\nthe fit for its maps"
        for ax in axes:
            ax.set_axis_off()
    name.set_axis_off()
    words = "components" if model.n_models == 1 else f"model {model_index}"
    name.text(
        0, 0.5, words, transform=name.transAxes, color=color_of(model_index),
        fontsize=10, weight="bold", va="bottom",
    )  # fmt: skip
    name.text(
        0, 0.46, note, transform=name.transAxes, color=MUTED, fontsize=8, va="top",
    )  # fmt: skip


def _name_rows(annotations: Sequence[Note]) -> list[str]:
    """Name the kinds of annotations that get a row; the last stands for the rest."""
    kinds = list(dict.fromkeys(text for _, _, text in annotations))
    if len(kinds) <= _MAX_ROWS:
        return kinds
    return [*kinds[: _MAX_ROWS - 1], f"{len(kinds) - _MAX_ROWS + 1} others"]


def _draw_notes(ax: Axes, annotations: Sequence[Note]) -> None:
    """Draw each annotation as a mark, and as a bar as long as it lasts."""
    rows = _name_rows(annotations)
    for onset, duration, text in annotations:
        row = rows.index(text) if text in rows else len(rows) - 1
        ax.vlines(onset, row - 0.35, row + 0.35, color=INK, lw=0.8)
        if duration:
            ax.broken_barh([(onset, duration)], (row - 0.15, 0.3), color=INK, alpha=0.5)
    short = [
        one if len(one) <= _MAX_LETTERS else f"{one[: _MAX_LETTERS - 1]}…"
        for one in rows
    ]
    ax.set_yticks(range(len(rows)), short, fontsize=7, color=INK)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(length=0, labelbottom=False)
    ax.spines[:].set_visible(False)


def _mark_starts(ax: Axes, starts: Sequence[int] | np.ndarray, sfreq: float) -> None:
    """Draw a mark above the axes where something new begins, if there is room."""
    if 1 < len(starts) <= _MARKS_PER_INCH * measure_width(ax):
        ax.plot(
            np.asarray(starts[1:]) / sfreq, np.ones(len(starts) - 1), ls="",
            marker=TICKUP, ms=5, color=MUTED, transform=ax.get_xaxis_transform(),
            clip_on=False, label="new stretch",
        )  # fmt: skip


def _put_legend(ax: Axes, where: Axes) -> None:
    """Put the legend of some axes above these or others, in rows that fit."""
    handles, labels = ax.get_legend_handles_labels()
    old = ax.get_legend()
    if old is not None:
        old.remove()
    where.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0, 1), frameon=False,
        ncols=max(1, min(len(labels), int(measure_width(ax) / _ENTRY_INCHES))),
        fontsize=8, handlelength=1.2, borderaxespad=0.9, borderpad=0,
    )  # fmt: skip
