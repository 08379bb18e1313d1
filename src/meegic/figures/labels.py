"""Picture of labelled components: how each looks, and how probable each class is."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch

from meegic.figures.style import INK, KIND_COLORS, MUTED, open_axes
from meegic.labels.result import UNLABELLED, ComponentLabels
from meegic.labels.scalp_maps import compute_scalp_maps

PER_ROW = 6

# Everything is placed in inches, so that 64 components need one pair of axes only.
_MARGIN = 0.2
_MAP = 0.92  # diameter
_BAR, _BAR_ALONE = 0.66, 1.2  # length of a bar that stands for 1, with a map and not
_STRIP = 0.115  # from bar to bar
_GAP = 0.24
_TITLE = 0.42
_CELL_HEIGHT = _TITLE + _MAP + 0.2
_LEGEND_LINE, _ENTRY = 0.23, 1.45  # height and width of an entry
_HEADING = 0.34
_TRACK = "#e9edf1"
_NOSE = np.array([[-0.09, -0.995], [0.0, -1.12], [0.09, -0.995]])

_COLORS = KIND_COLORS | {"brain/other": KIND_COLORS["brain"]}
_SHOWN_TYPE = {"iclabel": "eeg", "megnet": "mag"}


def plot_labels(labels: ComponentLabels, *, ax: Axes | None = None) -> Figure:
    """Draw every component with its map, its label and the probability of each class.

    Bars stand for the classes in the order of the legend, which says how many
    components have each label. A line through a bar spans what windows of the
    recording say, where the labeller looks at windows.

    Parameters
    ----------
    labels : ComponentLabels
        What `meegic.label_components` gives. Maps are drawn where it knows positions
        of the channels. Components of several models are a block for each.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure. Percentages are shares of the variance.

    Examples
    --------
    >>> labels = ComponentLabels("megnet", np.array([[0.9, 0.1, 0, 0], [0, 1, 0, 0]]))
    >>> figure = plot_labels(labels)
    >>> plt.close(figure)
    """
    panels = [labels.for_model(model) for model in range(labels.n_models)]
    images = [_draw_maps(one) for one in panels]
    bar = _BAR_ALONE if images[0] is None else _BAR
    cell = bar + 2 * _GAP + (0.0 if images[0] is None else _MAP + _GAP)
    n_components = labels.proba.shape[-2]
    n_rows = -(-n_components // PER_ROW)
    n_columns = max(3, -(-n_components // n_rows))
    entries = _list_entries(labels)
    width = 2 * _MARGIN + n_columns * cell - _GAP
    n_entries = max(1, int((width - 2 * _MARGIN) / _ENTRY))
    top = _MARGIN + _LEGEND_LINE * -(-len(entries) // n_entries)
    heading = _HEADING if len(panels) > 1 else 0.0
    block = heading + n_rows * _CELL_HEIGHT

    figure, ax = _open_canvas(ax, width, top + len(panels) * block + _MARGIN / 2)
    _put_legend(ax, entries, min(len(entries), n_entries))
    rows, columns = np.divmod(np.arange(n_components), n_columns)
    for model, (one, shown) in enumerate(zip(panels, images, strict=True)):
        start = top + model * block + heading
        if heading:
            _write(ax, _MARGIN, start - 0.1, f"model {model}", INK, 11)
        left, upper = _MARGIN + cell * columns, start + _CELL_HEIGHT * rows
        _write_titles(ax, one, left, upper)
        middle = upper + _TITLE + _MAP / 2
        for k, image in enumerate(() if shown is None else shown):
            _draw_head(ax, image, left[k] + _MAP / 2, middle[k])
        _draw_bars(ax, one, left + cell - 2 * _GAP - bar, middle, bar)
    return figure


def _draw_maps(labels: ComponentLabels) -> np.ndarray | None:
    """Draw the maps, or nothing where there are none or their channels' positions."""
    if labels.maps is None or labels.info is None:
        return None
    types = np.array(labels.info.get_channel_types())
    picks = np.flatnonzero(types == _SHOWN_TYPE[labels.method])
    positions = np.array([labels.info["chs"][one]["loc"][:3] for one in picks])
    if not len(picks) or not np.nan_to_num(positions).any(axis=1).all():
        return None
    return compute_scalp_maps(labels.maps[picks], positions, extrapolate="head")


def _open_canvas(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    """Give axes in inches from the upper left, in a figure of that size for None."""
    if ax is None:
        figure = plt.figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1))
    figure, ax = open_axes(ax, size=(width, height))
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.set_autoscale_on(False)
    ax.set_axis_off()
    return figure, ax


def _list_entries(labels: ComponentLabels) -> list[Artist]:
    """List what the legend explains: every class, and how many are labelled so."""
    given = np.ravel(np.array(labels.labels, dtype=object))
    entries: list[Artist] = [
        Patch(color=_COLORS[one], label=f"{one} ({(given == one).sum()})")
        for one in labels.classes
    ]
    if n_unknown := int((given == UNLABELLED).sum()):
        entries.append(Patch(color=_TRACK, label=f"{UNLABELLED} ({n_unknown})"))
    if labels.window_proba is not None:
        entries.append(Line2D([], [], color=INK, lw=1, label="range of windows"))
    return entries


def _put_legend(ax: Axes, entries: list[Artist], n_columns: int) -> None:
    # A legend is filled column by column; it shall be read line by line.
    entries = [one for k in range(n_columns) for one in entries[k::n_columns]]
    ax.legend(
        handles=entries, loc="upper left", bbox_to_anchor=(_MARGIN, 0.1),
        bbox_transform=ax.transData, ncols=n_columns, frameon=False, fontsize=9,
        handlelength=0.9, handleheight=0.9, handletextpad=0.5, columnspacing=1.4,
        borderpad=0, borderaxespad=0, labelcolor=INK,
    )  # fmt: skip


def _write_titles(
    ax: Axes, labels: ComponentLabels, left: np.ndarray, upper: np.ndarray
) -> None:
    shares = labels.variance_explained
    for k, (word, proba) in enumerate(
        zip(labels.labels, labels.y_pred_proba, strict=True)
    ):
        number = f"{k}" if shares is None else f"{k} · {100 * shares[k]:.1f} %"
        _write(ax, left[k], upper[k] + 0.13, number, MUTED, 8)
        said = word if word == UNLABELLED else f"{word} {proba:.2f}"
        _write(ax, left[k], upper[k] + 0.30, said, _COLORS.get(word, MUTED), 9.5)


def _write(ax: Axes, x: float, y: float, words: str, color: str, size: float) -> None:
    weight = "bold" if size > 9 else "normal"
    ax.text(x, y, words, color=color, fontsize=size, weight=weight, va="baseline")


def _draw_head(ax: Axes, image: np.ndarray, x: float, y: float) -> None:
    """Draw a map in a circle with a nose, with contours."""
    radius = _MAP / 2
    rim = Circle((x, y), radius, fill=False, edgecolor=INK, lw=1.0)
    ax.add_patch(rim)
    ax.plot(*(radius * _NOSE + [x, y]).T, color=INK, lw=1.0)
    extent = (x - radius, x + radius, y + radius, y - radius)
    ax.imshow(
        image, extent=extent, cmap="RdBu_r", vmin=-1, vmax=1, aspect="equal",
        interpolation="bilinear", clip_path=rim,
    )  # fmt: skip
    steps = np.linspace(-radius, radius, len(image))
    lines = ax.contour(
        x + steps, y + steps, image, levels=[-0.6, -0.2, 0.2, 0.6], colors=INK,
        linewidths=0.4, alpha=0.6,
    )  # fmt: skip
    lines.set_clip_path(rim)


def _draw_bars(
    ax: Axes, labels: ComponentLabels, left: np.ndarray, middle: np.ndarray, one: float
) -> None:
    """Draw a bar for each class of each component; one is how long 1 is."""
    proba, windows = labels.proba, labels.window_proba
    n_components, n_classes = proba.shape
    y = middle[:, None] + _STRIP * (np.arange(n_classes) - (n_classes - 1) / 2)
    x = np.repeat(left[:, None], n_classes, axis=1)
    colors = np.tile([_COLORS[word] for word in labels.classes], (n_components, 1))
    known = ~np.isnan(proba)
    options: dict[str, Any] = {"height": 0.78 * _STRIP, "lw": 0}
    ax.barh(y.ravel(), one, left=x.ravel(), color=_TRACK, **options)
    ax.barh(y[known], one * proba[known], left=x[known], color=colors[known], **options)
    if windows is not None:
        ends = x + one * windows.min(axis=1), x + one * windows.max(axis=1)
        wide = ends[1] - ends[0] > 0.01 * one
        ax.hlines(y[wide], ends[0][wide], ends[1][wide], color=INK, lw=1)
