"""MEGNet from arrays: images of the maps, windows of the series, and their votes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from scipy.spatial import ConvexHull, QhullError

from meegic.base.checks import check_count, check_finite, check_option, check_shape
from meegic.base.errors import InputError
from meegic.labels.networks import run_network
from meegic.labels.planar import interpolate_plane
from meegic.labels.scalp_maps import measure_radius, refuse_flat_maps, take_positions

N_WINDOW = 15_000
"""Samples that the network sees at once: 60 s at 250 Hz."""
HOP = 11_250
N_PIXELS = 120
MAX_BATCH = 8
"""Windows that the network sees in one call; more take memory, and no less time."""

_PER_RADIUS = 58.0  # pixels from the middle of an image to the unit circle


@dataclass(frozen=True)
class MegnetVotes:
    """What MEGNet says of each window of each component, and what follows from it.

    Attributes
    ----------
    starts : array of int, shape (n_windows,)
        First sample of each window of 15 000.
    weights : array, shape (n_windows,)
        How many samples each window speaks for; a sample that several windows cover
        is shared among them.
    window_proba : array, shape (n_components, n_windows, 4)
        Probability of every class in every window.
    """

    starts: Int[np.ndarray, " windows"]
    weights: Float[np.ndarray, " windows"]
    window_proba: Float[np.ndarray, "components windows classes"]

    @property
    def proba(self) -> Float[np.ndarray, "components classes"]:
        """Probability of every class, the weighted mean over windows."""
        shares = self.weights / self.weights.sum()
        return np.einsum("w,kwc->kc", shares, self.window_proba.astype(float))


def run_megnet(
    series: np.ndarray,
    mixing: np.ndarray,
    positions: np.ndarray,
    *,
    sample_weights: np.ndarray | None = None,
    compat: str | None = None,
    model_path: Path | str | None = None,
) -> MegnetVotes:
    """Ask MEGNet what each component is, window by window.

    Each window of a series is centered and scaled to a range of ten, and both signs of
    a component are seen, so that neither its sign nor its scale matters.

    Parameters
    ----------
    series : array, shape (n_components, n_times)
        Time courses of the components at 250 Hz, without bad samples.
    mixing : array, shape (n_magnetometers, n_components)
        How each component reaches the magnetometers, in any unit.
    positions : array, shape (n_magnetometers, 3)
        Where the magnetometers lie, in device coordinates: x right, y front, z up.
    sample_weights : array, shape (n_times,) | None
        How much each sample counts, such as the probability of the components' model;
        all the same for None.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` gives the numbers of that package: series as they are, one
        sign, and a last window that counts twice where it repeats the one before.
    model_path : path | None
        Other weights for the network, as an ONNX file.

    Returns
    -------
    MegnetVotes
        Probabilities of brain/other, eye blink, heart beat and eye movement.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> angles = np.arange(12)
    >>> ring = np.column_stack([np.cos(angles), np.sin(angles), 0.1 * angles])
    >>> votes = run_megnet(rng.normal(size=(1, 15000)), ring[:, :1], ring)
    >>> votes.proba.shape
    (1, 4)
    """
    series, mixing = np.asarray(series), np.asarray(mixing, dtype=float)
    check_shape("series", series, (mixing.shape[-1], None))
    starts, weights = plan_windows(
        series.shape[1], sample_weights=sample_weights, compat=compat
    )
    signs = (1,) if compat else (1, -1)
    by_sign = [
        predict_windows(
            series, draw_magnetometer_maps(sign * mixing, positions, compat=compat),
            starts, sign=sign, compat=compat, model_path=model_path,
        )
        for sign in signs
    ]  # fmt: skip
    return MegnetVotes(starts, weights, np.mean(by_sign, axis=0))


def plan_windows(
    n_times: int,
    *,
    sample_weights: np.ndarray | None = None,
    compat: str | None = None,
) -> tuple[Int[np.ndarray, " windows"], Float[np.ndarray, " windows"]]:
    """Place windows over a series, and count the samples that each speaks for.

    Windows begin 11 250 samples apart, and the last ends with the series. Its weight
    is one for each sample that it alone covers, 1/2 where two do, and so on.

    Parameters
    ----------
    n_times : int
        Length of the series.
    sample_weights : array, shape (n_times,) | None
        How much each sample counts; one for None.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` counts the last window twice where it repeats the one before.

    Returns
    -------
    starts : array of int, shape (n_windows,)
        First sample of each window.
    weights : array, shape (n_windows,)
        Weights, which sum to the length of the series, or to the samples' weights.

    Examples
    --------
    >>> plan_windows(35_000)
    (array([    0, 11250, 20000]), array([13125., 10000., 11875.]))
    """
    _check_compat(compat)
    check_count("n_times", n_times)
    if n_times < N_WINDOW:
        raise InputError(
            f"MEGNet needs {N_WINDOW} good samples or more, 60 s at 250 Hz, but got "
            f"{n_times}.",
            hint="Pass a longer recording, or one with fewer spans marked as bad.",
        )
    starts = np.append(np.arange(0, n_times - N_WINDOW + 1, HOP), n_times - N_WINDOW)
    if compat is None:
        starts = np.unique(starts)
    # Between two neighbors of these no window begins or ends.
    edges = np.unique([starts, starts + N_WINDOW])
    covers = (starts[:, None] <= edges[:-1]) & (edges[1:] <= starts[:, None] + N_WINDOW)
    if sample_weights is None:
        counts = np.diff(edges)
    else:
        counts = np.add.reduceat(_check_weights(sample_weights, n_times), edges[:-1])
    weights = covers @ (counts / covers.sum(axis=0))
    starts, place = np.unique(starts, return_inverse=True)
    return starts, np.bincount(place, weights)


def predict_windows(
    series: np.ndarray,
    images: np.ndarray,
    starts: np.ndarray,
    *,
    sign: int = 1,
    compat: str | None = None,
    model_path: Path | str | None = None,
) -> Float[np.ndarray, "components windows classes"]:
    """Ask MEGNet about every window of every component, in one sign.

    Parameters
    ----------
    series : array, shape (n_components, n_times)
        Time courses of the components.
    images : array of uint8, shape (n_components, 120, 120, 3)
        Their images, from `draw_magnetometer_maps`.
    starts : array of int, shape (n_windows,)
        First sample of each window.
    sign : 1 | -1
        What the series are multiplied by; the images must already have that sign.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` leaves the series as they are.
    model_path : path | None
        Other weights for the network, as an ONNX file.

    Returns
    -------
    array, shape (n_components, n_windows, 4)
        Probabilities in float32.

    Examples
    --------
    >>> series = np.random.default_rng(0).normal(size=(1, 15000))
    >>> images = np.zeros((1, 120, 120, 3), dtype=np.uint8)
    >>> predict_windows(series, images, np.array([0])).shape
    (1, 1, 4)
    """
    _check_compat(compat)
    check_option("sign", sign, (1, -1))
    series, images = np.asarray(series), np.asarray(images)
    check_shape("images", images, (len(series), N_PIXELS, N_PIXELS, 3))
    check_finite("series", series)
    if compat is None:
        _refuse_flat_windows(series, starts)
    windows = sliding_window_view(series, N_WINDOW, axis=1)
    components, places = np.divmod(np.arange(len(series) * len(starts)), len(starts))
    probabilities = []
    for first in range(0, len(components), MAX_BATCH):
        batch = slice(first, first + MAX_BATCH)
        taken = sign * windows[components[batch], starts[places[batch]]].astype(float)
        inputs = {
            "spatial_input": images[components[batch]],
            "temporal_input": (taken if compat else _normalize(taken))[..., None],
        }
        probabilities.append(run_network("megnet", inputs, model_path=model_path))
    return np.concatenate(probabilities).reshape(len(series), len(starts), -1)


def draw_magnetometer_maps(
    mixing: np.ndarray, positions: np.ndarray, *, compat: str | None = None
) -> UInt8[np.ndarray, "components 120 120 3"]:
    """Draw the maps of all components as MEGNet was trained to see them.

    Blue is negative, white zero and red positive; outside the helmet it is black. The
    largest magnitude of a map has the strongest colour.

    Parameters
    ----------
    mixing : array, shape (n_magnetometers, n_components)
        How each component reaches the magnetometers, in any unit.
    positions : array, shape (n_magnetometers, 3)
        Where the magnetometers lie, in device coordinates: x right, y front, z up.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` takes white for half the largest value in maps without a
        negative one.

    Returns
    -------
    array of uint8, shape (n_components, 120, 120, 3)
        Images, the front in row 0 and the left in column 0.

    Examples
    --------
    >>> angles = np.arange(12)
    >>> ring = np.column_stack([np.cos(angles), np.sin(angles), 0.1 * angles])
    >>> image = draw_magnetometer_maps(np.ones((12, 1)), ring)[0]
    >>> image[60, 60], image[0, 0]
    (array([255,   0,   0], dtype=uint8), array([0, 0, 0], dtype=uint8))
    """
    _check_compat(compat)
    planar = project_magnetometers(positions)
    mixing = np.asarray(mixing, dtype=float)
    check_shape("mixing", mixing, (len(planar), None))
    check_finite("mixing", mixing)
    refuse_flat_maps(mixing)

    # The triangulation depends on the order of the channels; the image must not.
    order = np.lexsort(planar.T)
    radius = measure_radius(planar, 1.0)
    steps = (np.arange(N_PIXELS) - (N_PIXELS - 1) / 2) / _PER_RADIUS
    across, front = np.meshgrid(steps, -steps)
    distances = np.hypot(across, front)
    # A pixel on the rim is as bright as the part of it that lies inside.
    brightness = np.clip((radius - distances) * _PER_RADIUS + 0.5, 0.0, 1.0)
    lit = brightness > 0
    maps = interpolate_plane(
        (mixing / np.abs(mixing).max(axis=0))[order], planar[order],
        np.column_stack([across[lit], front[lit]]), radius=radius,
    )  # fmt: skip
    levels = (maps + 1) / 2
    if compat:
        one_sided = (mixing >= 0).all(axis=0)
        levels[one_sided] = maps[one_sided]
    images = np.zeros((len(maps), N_PIXELS, N_PIXELS, 3), dtype=np.uint8)
    images[:, lit] = np.rint(255 * _color(levels) * brightness[lit, None])
    return images


def project_magnetometers(positions: np.ndarray) -> Float[np.ndarray, "channels 2"]:
    """Unroll the helmet to a disc, its rim to the unit circle.

    Parameters
    ----------
    positions : array, shape (n_magnetometers, 3)
        Where the magnetometers lie, in device coordinates, in any unit.

    Returns
    -------
    array, shape (n_magnetometers, 2)
        Positions in the plane: x right, y front.

    Examples
    --------
    >>> helmet = np.array([[0.0, 0, 1], [1, 0, 0.5], [-1, 1, 0.5], [-1, -1, 0.5]])
    >>> np.linalg.norm(project_magnetometers(helmet), axis=1).round(6)
    array([0., 1., 1., 1.])
    """
    x, y, z = take_positions(positions).T
    azimuths = np.arctan2(y, x)
    arcs = 1 - np.arctan2(z, np.hypot(x, y)) / (np.pi / 2)
    directions = np.column_stack([np.cos(azimuths), np.sin(azimuths)])
    try:
        rim = ConvexHull(arcs[:, None] * directions).vertices
    except QhullError as error:
        raise InputError(
            "positions must be three magnetometers or more that do not lie on one "
            f"line, but got {len(arcs)} that do.",
            hint="MEGNet needs the magnetometers of a whole helmet.",
        ) from error
    stretch = np.interp(azimuths, azimuths[rim], 1 / arcs[rim], period=2 * np.pi)
    return np.minimum(arcs * stretch, 1)[:, None] * directions


def _color(levels: np.ndarray) -> np.ndarray:
    """Give blue, white and red for 0, 1/2 and 1, in 256 steps."""
    steps = np.clip(np.floor(256 * levels), 0, 255) / 255
    rising, falling = 2 * steps, 2 - 2 * steps
    return np.stack([rising, np.minimum(rising, falling), falling], -1).clip(max=1)


def _normalize(windows: np.ndarray) -> np.ndarray:
    centered = windows - windows.mean(axis=1, keepdims=True)
    return 10 * centered / np.ptp(windows, axis=1, keepdims=True)


def _refuse_flat_windows(series: np.ndarray, starts: np.ndarray) -> None:
    """Refuse series that do not change for a whole window: it has no scale."""
    for start in starts:
        window = series[:, start : start + N_WINDOW]
        largest = np.maximum(window.max(axis=1), -window.min(axis=1))
        flat = np.ptp(window, axis=1) <= np.finfo(float).eps * largest
        if flat.any():
            raise InputError(
                f"Components {np.flatnonzero(flat).tolist()} are constant from sample "
                f"{start} to {start + N_WINDOW}.",
                hint="Mark that span as bad, or leave those components out.",
            )


def _check_weights(sample_weights: np.ndarray, n_times: int) -> np.ndarray:
    weights = np.asarray(sample_weights, dtype=float)
    check_shape("sample_weights", weights, (n_times,))
    check_finite("sample_weights", weights)
    if weights.min() < 0 or not weights.any():
        raise InputError(
            "sample_weights must be positive or zero, and not all zero, but the "
            f"smallest is {weights.min():g} and the largest {weights.max():g}.",
            hint="Pass how probable the components' model is at each sample.",
        )
    return weights


def _check_compat(compat: str | None) -> None:
    check_option("compat", compat, (None, "mne-icalabel"))
