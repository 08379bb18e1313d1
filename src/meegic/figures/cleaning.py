"""Pictures of cleaning: the recording before and after."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from meegic.base.checks import check_range, check_shape
from meegic.figures.style import ACCENT, INK, MUTED, open_axes


def plot_cleaned(
    before: np.ndarray,
    after: np.ndarray,
    sfreq: float,
    *,
    names: Sequence[str],
    truth: np.ndarray | None = None,
    start_s: float = 0.0,
) -> Figure:
    """Draw channels before and after cleaning, one axes each, in microvolts.

    Parameters
    ----------
    before, after : array, shape (n_channels, n_times)
        In V.
    sfreq : float
        Sampling rate in Hz.
    names : sequence of str
        Of the channels.
    truth : array, shape (n_channels, n_times) | None
        What a perfect cleaning leaves, where that is known.
    start_s : float
        Time of the first sample.

    Returns
    -------
    matplotlib Figure
        The figure.

    Examples
    --------
    >>> before = 1e-5 * np.random.default_rng(0).normal(size=(2, 500))
    >>> figure = plot_cleaned(before, 0.5 * before, 250.0, names=["Fz", "Cz"])
    >>> plt.close(figure)
    """
    check_range("sfreq", sfreq, low=0, open_low=True, unit="Hz")
    before = np.asarray(before)
    check_shape("after", np.asarray(after), before.shape)
    times = start_s + np.arange(before.shape[1]) / sfreq
    size = (11, 0.6 + 1.2 * len(before))
    figure, axes = plt.subplots(
        len(before), 1, figsize=size, sharex=True, layout="constrained", squeeze=False
    )
    for k, ax in enumerate(axes[:, 0]):
        open_axes(ax, size=size)
        ax.plot(times, 1e6 * before[k], color=MUTED, lw=0.8, label="before")
        if truth is not None:
            ax.plot(times, 1e6 * truth[k], color=INK, lw=1.6, label="truth")
        ax.plot(times, 1e6 * np.asarray(after)[k], color=ACCENT, lw=0.8, label="after")
        ax.set_ylabel(f"{names[k]} (µV)", fontsize=8)
        ax.margins(x=0)
    axes[0, 0].legend(
        ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=8,
    )  # fmt: skip
    axes[-1, 0].set_xlabel("Time (s)")
    return figure
