"""Pictures of what a decomposition is worth: dipolarity, mutual information."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from meegic.base.checks import check_finite, check_shape
from meegic.components.dipolarity import DipoleFits
from meegic.figures.models import measure_width
from meegic.figures.style import INK, MUTED, open_axes

BANDS = {5: "#17457a", 10: "#2563a8", 15: "#7fa9d6"}
"""A colour for residual variances below each percent; the darker the better."""

_PALE = LinearSegmentedColormap.from_list("pale to blue", ["#f4f6f8", BANDS[5]])
_LOWEST = 0.01  # percent: maps of simulations have none at all
_NAMES_PER_INCH = 7  # more numbers than that do not fit below an axis
_BRIGHT = 98  # percentile of pairs: one pair must not hide all others


def plot_mutual_information(matrix: np.ndarray, *, ax: Axes | None = None) -> Figure:
    """Draw how much each pair of sources tells of each other.

    Parameters
    ----------
    matrix : array, shape (n_components, n_components)
        In nats, as `score_mutual_information` gives it.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure. The few largest pairs may exceed the scale.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> figure = plot_mutual_information(np.array([[0, 0.1], [0.1, 0]]))
    >>> plt.close(figure)
    """
    matrix = np.asarray(matrix, dtype=float)
    check_shape("matrix", matrix, (len(matrix), len(matrix)))
    check_finite("matrix", matrix)
    own = np.eye(len(matrix), dtype=bool)
    pairs = matrix[~own]
    top = np.percentile(pairs, _BRIGHT) if len(pairs) else 0.0
    top = top or max(pairs.max(initial=0.0), 1e-6)
    figure, ax = open_axes(ax, size=(4.6, 3.9))
    image = ax.imshow(
        np.ma.masked_array(matrix, own), cmap=_PALE, vmin=0, vmax=top,
        interpolation="nearest",
    )  # fmt: skip
    ax.set_facecolor("white")
    ax.set(xlabel="Component", ylabel="Component")
    ax.locator_params(integer=True)
    mean = pairs.mean() if len(pairs) else 0.0
    ax.set_title(f"mean of pairs {mean:.3g} nats", fontsize=9, color=INK, loc="left")
    bar = figure.colorbar(
        image, ax=ax, extend="max" if pairs.max(initial=0.0) > top else "neither",
        shrink=0.9, pad=0.03,
    )  # fmt: skip
    bar.set_label("Mutual information (nats)", fontsize=9)
    bar.ax.tick_params(labelsize=8, colors=INK)
    bar.outline.set_visible(False)
    return figure


def plot_dipolarity(
    fits_or_scores: DipoleFits | np.ndarray, *, ax: Axes | None = None
) -> Figure:
    """Draw how dipolar each component is, the best first.

    Parameters
    ----------
    fits_or_scores : DipoleFits | array, shape (n_components,)
        As `score_dipolarity` gives them: dipoles, whose residual variances are drawn
        with the counts below 5, 10 and 15 %, or R squared of planes.
    ax : matplotlib Axes | None
        Where to draw; a new figure for None.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> figure = plot_dipolarity(np.array([0.9, 0.2, 0.7]))
    >>> plt.close(figure)
    """
    figure, ax = open_axes(ax, size=(7, 3))
    if isinstance(fits_or_scores, DipoleFits):
        order = _draw_residuals(fits_or_scores, ax)
    else:
        scores = np.asarray(fits_or_scores, dtype=float)
        check_shape("fits_or_scores", scores, (None,))
        check_finite("fits_or_scores", scores)
        order = np.argsort(-scores, kind="stable")
        _draw_stems(ax, scores[order], [BANDS[10]] * len(scores), foot=0.0)
        ax.set(ylim=(0, 1.03), ylabel="R² of a plane")
        ax.set_yticks([0, 0.5, 1])
    ax.set_xlim(-0.8, len(order) - 0.2)
    if len(order) <= _NAMES_PER_INCH * measure_width(ax):
        ax.set_xticks(range(len(order)), [str(one) for one in order], fontsize=7)
        ax.set_xlabel("Component, the most dipolar first")
    else:
        ax.set_xlabel("Rank of the component")
    ax.tick_params(axis="x", length=0)
    return figure


def _draw_residuals(fits: DipoleFits, ax: Axes) -> np.ndarray:
    """Draw residual variances on a logarithmic axis, with the usual limits."""
    percent = 100 * fits.residual_variance
    order = np.argsort(percent, kind="stable")
    shown = np.maximum(percent[order], _LOWEST)
    low = min(1.0, shown.min(initial=1.0)) / 1.6
    colors = [
        next((BANDS[limit] for limit in BANDS if one < limit), MUTED) for one in shown
    ]
    ax.set_yscale("log")
    ax.set(ylim=(low, 130), ylabel="Residual variance (%)")
    _draw_stems(ax, shown, colors, foot=low)
    for limit, color in BANDS.items():
        ax.axhline(limit, color=color, lw=0.8, ls=(0, (4, 3)), zorder=0)
    ticks = [one for one in (_LOWEST, 0.1, 1, 5, 10, 15, 100) if one >= low]
    words = {_LOWEST: f"≤ {_LOWEST}"}
    ax.set_yticks(ticks, [words.get(one, f"{one:g}") for one in ticks])
    ax.minorticks_off()
    lines = [
        ax.plot([], [], "o", ms=5, color=color,
                label=f"{fits.count_below(limit)} below {limit} %")[0]
        for limit, color in BANDS.items()
    ]  # fmt: skip
    ax.legend(
        handles=lines, title=f"of {len(percent)} components", loc="center left",
        bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, title_fontsize=8,
        handletextpad=0.3, borderaxespad=0, alignment="left",
    )  # fmt: skip
    return order


def _draw_stems(ax: Axes, heights: np.ndarray, colors: list[str], foot: float) -> None:
    places = np.arange(len(heights))
    ax.vlines(places, foot, heights, colors=colors, lw=1.2, alpha=0.5)
    room = 72 * measure_width(ax) / max(len(heights), 1)  # points for each
    size = min(22.0, room**2)
    ax.scatter(places, heights, s=size, c=colors, lw=0, zorder=3, clip_on=False)
