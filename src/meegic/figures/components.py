"""Pictures of a decomposition: model probabilities, likelihood, component maps."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import mne
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meegic.base.checks import check_count, check_range, check_shape, list_words
from meegic.base.errors import InputError, ShapeError
from meegic.components.model import AmicaModel
from meegic.figures.style import ACCENT, INK, KIND_COLORS, MUTED, open_axes

MODEL_COLORS = (
    "#2563a8", "#ed8b00", "#00798c", "#d1495b", "#8e2f6e", "#6a994e", "#7a6a53",
)  # fmt: skip
"""One colour for each model, from the palette of the kinds; they repeat after that."""

MAX_BINS = 1200
"""More points in time than that are averaged: no page shows them."""

PER_ROW = 9
DRAWN_TYPES = ("eeg", "mag", "grad")


def plot_fit(
    model: AmicaModel,
    posteriors: np.ndarray,
    sfreq: float,
    *,
    truth: np.ndarray | None = None,
) -> Figure:
    """Draw what a fit of several models found: when each holds, how well, how often.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    posteriors : array, shape (n_models, n_times)
        How probable each model is at each time; NaN where there is no answer.
    sfreq : float
        Sampling rate in Hz.
    truth : array of int, shape (n_times,) | None
        The model that held, where that is known.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 1000))
    >>> model = fit_amica(data)
    >>> figure = plot_fit(model, model.posteriors(data), 250.0)
    >>> plt.close(figure)
    """
    figure = plt.figure(figsize=(11, 5.0), layout="constrained")
    axes = figure.subplot_mosaic([["when", "when"], ["how well", "how often"]],
                                 width_ratios=[2, 1])  # fmt: skip
    plot_model_probabilities(posteriors, sfreq, truth=truth, ax=axes["when"])
    plot_likelihood(model, ax=axes["how well"])
    plot_shares(model, ax=axes["how often"])
    return figure


def plot_model_probabilities(
    posteriors: np.ndarray,
    sfreq: float,
    *,
    truth: np.ndarray | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw how probable each model is over time, as areas that fill the axes.

    Parameters
    ----------
    posteriors : array, shape (n_models, n_times)
        How probable each model is at each time; NaN leaves a gap.
    sfreq : float
        Sampling rate in Hz.
    truth : array of int, shape (n_times,) | None
        The model that held, shown as a band above.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> posteriors = np.repeat([[0.9, 0.2], [0.1, 0.8]], 500, axis=1)
    >>> truth = np.repeat([0, 1], 500)
    >>> figure = plot_model_probabilities(posteriors, 100.0, truth=truth)
    >>> plt.close(figure)
    """
    check_range("sfreq", sfreq, low=0, open_low=True, unit="Hz")
    posteriors = np.asarray(posteriors, dtype=float)
    check_shape("posteriors", posteriors, (None, None))
    n_times = posteriors.shape[1]
    edges = np.linspace(0, n_times, min(n_times, MAX_BINS) + 1).astype(int)
    shown = average_bins(posteriors, edges)
    figure, ax = open_axes(ax, size=(11, 2.2))
    upper = np.cumsum(shown, axis=0)
    for h, top in enumerate(upper):
        ax.stairs(
            top, edges / sfreq, baseline=top - shown[h], fill=True,
            color=color_of(h), alpha=0.75, lw=0, label=f"model {h}",
        )  # fmt: skip
    if truth is not None:
        _draw_truth(ax, np.asarray(truth), n_times, sfreq)
    ax.set(
        xlim=(0, n_times / sfreq), ylim=(0, 1 if truth is None else 1.16),
        xlabel="Time (s)", ylabel="Probability",
    )  # fmt: skip
    ax.set_yticks([0, 0.5, 1])
    ax.legend(
        ncols=min(len(shown), 8), loc="lower left", bbox_to_anchor=(0, 1),
        frameon=False, fontsize=8, handlelength=1.2,
    )  # fmt: skip
    return figure


def plot_likelihood(model: AmicaModel, *, ax: Axes | None = None) -> Figure:
    """Draw how the log-likelihood rose from iteration to iteration.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 500))
    >>> figure = plot_likelihood(fit_amica(data))
    >>> plt.close(figure)
    """
    values = model.history.log_likelihood
    figure, ax = open_axes(ax, size=(6, 2.4))
    ax.plot(np.arange(1, len(values) + 1), values, color=INK, lw=1.4)
    ax.axhline(model.log_likelihood, color=ACCENT, lw=0.8, ls=(0, (4, 3)))
    if len(values):
        low = np.percentile(values, 5)  # the first steps would hide all others
        room = max(model.log_likelihood - low, 1e-6)
        ax.set_ylim(low - 0.1 * room, model.log_likelihood + 0.2 * room)
        ax.set_xlim(1, max(len(values), 2))
    ax.set(xlabel="Iteration", ylabel="Log-likelihood")
    ax.ticklabel_format(axis="y", useOffset=False)
    end = f"{model.log_likelihood:.4f} after {model.n_evals} passes"
    ax.text(
        0.99, 0.06, f"{end} ({model.stop_reason})", transform=ax.transAxes,
        ha="right", fontsize=8, color=INK,
    )  # fmt: skip
    return figure


def plot_shares(model: AmicaModel, *, ax: Axes | None = None) -> Figure:
    """Draw how large a share of the samples each model explains.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 500))
    >>> figure = plot_shares(fit_amica(data))
    >>> plt.close(figure)
    """
    shares = model.parameters.weight
    figure, ax = open_axes(ax, size=(4, 0.4 * len(shares) + 1))
    places = np.arange(len(shares))
    colors = [color_of(h) for h in range(len(shares))]
    bars = ax.barh(places, shares, color=colors, alpha=0.75, height=0.6)
    ax.bar_label(bars, [f"{100 * one:.1f} %" for one in shares], padding=4, fontsize=8)
    ax.set_yticks(places, [f"model {h}" for h in places])
    ax.set(ylim=(len(shares) - 0.4, -0.6), xlim=(0, 1.25 * shares.max()))
    ax.set_xlabel("Share of the samples")
    return figure


def plot_components(model: AmicaModel, info: mne.Info) -> list[Figure]:
    """Draw the maps of all components, a figure for each model.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    info : mne.Info
        Of the channels that were fitted, with their positions.

    Returns
    -------
    list of matplotlib Figure
        One for each model.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> from meegic.components.amica import fit_amica
    >>> raw, _ = simulate_recording("eeg19", duration_s=10)
    >>> raw = raw.pick(["Fz", "C3", "C4", "Pz"])
    >>> (figure,) = plot_components(fit_amica(raw.get_data()), raw.info)
    >>> plt.close(figure)
    """
    return [plot_maps(model, info, model_index=h) for h in range(model.n_models)]


def plot_maps(
    model: AmicaModel,
    info: mne.Info,
    *,
    model_index: int = 0,
    n_components: int | None = None,
    titles: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw how the components of one model look at the sensors.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    info : mne.Info
        Of the channels that were fitted, in their order, with positions.
    model_index : int
        Which model.
    n_components : int | None
        How many, by descending variance; all for None.
    titles : sequence of str | None
        A second line above each map; a known kind gets its colour.
    axes : sequence of matplotlib Axes | None
        One for each map; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure. Percentages are shares of the variance of all components.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> from meegic.components.amica import fit_amica
    >>> raw, _ = simulate_recording("eeg19", duration_s=10)
    >>> raw = raw.pick(["Fz", "C3", "C4", "Pz"])
    >>> figure = plot_maps(fit_amica(raw.get_data()), raw.info, n_components=2)
    >>> plt.close(figure)
    """
    check_count("model_index", model_index, low=0, high=model.n_models - 1)
    if n_components is None:
        n_components = model.n_components
    check_count("n_components", n_components, high=model.n_components)
    maps = model.maps[model_index]
    picks, part = _pick_one_type(info, len(maps))
    shares = model.variances[model_index] / model.variances[model_index].sum()
    figure, axes = _open_grid(axes, n_components)
    for k, ax in enumerate(axes[:n_components]):
        size = np.abs(maps[picks, k]).max()
        mne.viz.plot_topomap(
            maps[picks, k], part, axes=ax, show=False, sensors=False, contours=4,
            cmap="RdBu_r", vlim=(-size, size),
        )  # fmt: skip
        title, color = f"{k} · {100 * shares[k]:.1f} %", INK
        if titles is not None:
            title += f"\n{titles[k]}"
            kind = next((one for one in KIND_COLORS if titles[k].startswith(one)), "")
            color = KIND_COLORS.get(kind, INK)
        ax.set_title(title, fontsize=8, color=color)
    return figure


def _open_grid(
    axes: Sequence[Axes] | None, n_maps: int
) -> tuple[Figure, Sequence[Axes]]:
    if axes is None:
        n_columns = min(n_maps, PER_ROW)
        n_rows = -(-n_maps // n_columns)
        size = (max(1.25 * n_columns, 2.5), 1.75 * n_rows)
        figure, grid = plt.subplots(
            n_rows, n_columns, figsize=size, layout="constrained", squeeze=False
        )
        for ax in grid.ravel():
            ax.set_axis_off()
        return figure, list(grid.ravel())
    if len(axes) < n_maps:
        raise InputError(f"axes must be at least {n_maps}, but got {len(axes)}.")
    return open_axes(axes[0], size=(1, 1))[0], axes


def _pick_one_type(info: mne.Info, n_channels: int) -> tuple[np.ndarray, mne.Info]:
    """Pick the channels that one map can show, among those that were fitted."""
    if len(info["ch_names"]) != n_channels:
        raise ShapeError(
            f"info must have the {n_channels} channels of the fit, but it has "
            f"{len(info['ch_names'])}.",
            hint="Pass the info of the channels that were fitted: mne.pick_info.",
        )
    types = np.array(info.get_channel_types())
    kind = next((one for one in DRAWN_TYPES if one in types), None)
    if kind is None:
        raise InputError(
            f"info has no channels of type {list_words(DRAWN_TYPES, last='or')}, "
            "whose maps can be drawn.",
            hint="Set the types with raw.set_channel_types.",
        )
    picks = np.flatnonzero(types == kind)
    return picks, mne.pick_info(info, picks)


def average_bins(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Average between edges; NaN where nothing is known.

    Examples
    --------
    >>> average_bins(np.array([[1.0, 3.0, np.nan]]), np.array([0, 2, 3]))
    array([[ 2., nan]])
    """
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), edges[:-1], axis=1)
    counts = np.add.reduceat(known, edges[:-1], axis=1, dtype=int)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _draw_truth(ax: Axes, truth: np.ndarray, n_times: int, sfreq: float) -> None:
    """Draw a band above the areas in the colours of the models that held."""
    check_shape("truth", truth, (n_times,))
    starts = np.flatnonzero(np.diff(truth, prepend=truth[0] - 1))
    stops = [*starts[1:], n_times]
    for start, stop in zip(starts, stops, strict=True):
        span = [(start / sfreq, (stop - start) / sfreq)]
        ax.broken_barh(span, (1.05, 0.11), color=color_of(truth[start]), lw=0)
        ax.axvline(start / sfreq, color=INK, lw=0.6, ls=(0, (2, 2)))
    ax.text(
        1.004, 1.105, "truth", transform=ax.get_yaxis_transform(), fontsize=8,
        color=MUTED, va="center",
    )  # fmt: skip


def color_of(model: int) -> str:
    """Give the colour of a model.

    Examples
    --------
    >>> color_of(0) == color_of(len(MODEL_COLORS))
    True
    """
    return MODEL_COLORS[model % len(MODEL_COLORS)]
