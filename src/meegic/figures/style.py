"""What all pictures share: colours, and a figure for who brings no axes."""

import io
from collections.abc import Callable
from typing import cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.figure import Figure
from PIL import Image

INK = "#22303c"
MUTED = "#8a97a3"
ACCENT = "#c2410c"

KIND_COLORS = {
    "brain": "#2563a8",
    "eye blink": "#d1495b",
    "eye movement": "#ed8b00",
    "heart beat": "#8e2f6e",
    "muscle artifact": "#00798c",
    "line noise": "#6a994e",
    "channel noise": "#7a6a53",
    "other": "#8a97a3",
}
"""One colour for each class of component, told apart by colour-blind eyes too."""


def open_axes(ax: Axes | None, *, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Give the axes to draw on, and their figure; a new one of this size for None.

    Examples
    --------
    >>> figure, ax = open_axes(None, size=(4, 3))
    >>> plt.close(figure)
    """
    if ax is None:
        figure, ax = plt.subplots(figsize=size, layout="constrained")
    else:
        figure = cast(Figure, ax.get_figure(root=True))
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(colors=INK, labelsize=8)
    return figure, ax


def opens_windows() -> bool:
    """Tell whether figures appear in windows here, in which a user can click.

    Examples
    --------
    >>> opens_windows() in (True, False)
    True
    """
    known = backend_registry.list_builtin(BackendFilter.INTERACTIVE)
    return plt.get_backend().lower() in [one.lower() for one in known]


def render_png(draw: Callable[[], Figure], *, dpi: int = 110) -> bytes:
    """Draw a figure, close it, and give it as a PNG file's bytes.

    Examples
    --------
    >>> render_png(lambda: plt.figure())[1:4]
    b'PNG'
    """
    figure = draw()
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    # A palette takes far fewer bytes; this one keeps the small, strong colours.
    plain = Image.open(buffer).convert("RGB")
    plain.quantize(256, Image.Quantize.MAXCOVERAGE).save(small, "png", optimize=True)
    return small.getvalue()


def label_density(unit: str) -> str:
    """Name the axis of a power density of data in a unit.

    Examples
    --------
    >>> label_density("fT/cm")
    'Power (dB, (fT/cm)²/Hz)'
    """
    unit = f"({unit})" if "/" in unit else unit
    return f"Power (dB, {unit}²/Hz)"
