"""Line noise: taken off by spatial filters that see nothing else (ZapLine)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import convolve1d
from scipy.signal.windows import hann

from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_data, check_finite, check_range
from meegic.base.errors import InputError
from meegic.base.spans import find_spans
from meegic.clean.windows import take_mask
from meegic.math.robust import mad

_SEGMENT_S = 1.0

FEWEST = 2
"""From how many whole seconds the filters can be learned."""

# A component with most of its power at the line is line noise, whatever the others are.
_CERTAIN = 0.5


def remove_line_noise(
    data: Array,
    sfreq: float,
    line_freq: float = 50.0,
    *,
    n_remove: int | None = None,
    good: np.ndarray | None = None,
) -> Float[Array, "channels times"]:
    """Take off the line and its harmonics by spatial filters, not by a notch [1]_.

    A moving average over one period of the line splits the data in what has no line
    and the rest. In the rest the components with the largest share of power at the
    line are removed, and both are added again. What is slow is not touched at all.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit; one type of channel, at least a second of it.
    sfreq : float
        Sampling frequency in Hz.
    line_freq : float
        Frequency of the line in Hz.
    n_remove : int | None
        How many components to remove. ``None`` removes those whose share of power at
        the line is an outlier or more than half, at most a quarter of the channels.
    good : array of bool, shape (n_times,) | None
        Samples from which the filters are learned, two whole seconds at least; None
        takes all. The others are cleaned as well.

    Returns
    -------
    array, shape (n_channels, n_times)
        The data without line noise, in the precision and kind of the input.

    References
    ----------
    .. [1] de Cheveigne (2020). ZapLine: a simple and effective method to remove power
       line artifacts. NeuroImage 207, 116356.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((4, 5000))
    >>> tone = 10 * np.sin(2 * np.pi * 50 * np.arange(5000) / 250)
    >>> cleaned = remove_line_noise(noise + tone, 250.0)
    >>> bool(cleaned.std() < 1.1 * noise.std())
    True
    """
    values = check_data("data", data)
    check_finite("data", values)
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    check_range(
        "line_freq", line_freq, low=2.0, high=sfreq / 2, open_high=True, unit="Hz"
    )
    mask = take_mask(good, values.shape[1], name="good")
    starts = place_segments(mask, sfreq)
    if len(starts) < FEWEST:
        raise InputError(
            f"data must have at least {FEWEST} whole seconds to learn from, but have "
            f"{len(starts)} in {mask.sum() / sfreq:g} s.",
            hint="Use a longer recording, or mark less of it as bad.",
        )
    if n_remove is not None:
        check_count("n_remove", n_remove, low=0, high=len(values))
    slow = _smooth(values.astype(np.float64), sfreq, line_freq)
    rest = values - slow
    found = _find_components(rest, starts, sfreq, line_freq)
    count = _count_line(found.shares, len(values)) if n_remove is None else n_remove
    line = found.patterns[:, :count] @ (found.filters[:count] @ rest)
    cleaned = (values - line).astype(values.dtype)
    if isinstance(data, jax.Array):
        return jnp.asarray(cleaned, data.dtype)
    return cleaned


def place_segments(
    good: Bool[np.ndarray, " times"], sfreq: float
) -> Int[np.ndarray, " segments"]:
    """List where whole seconds begin, one after the other in each good stretch.

    Examples
    --------
    >>> place_segments(np.arange(50) != 25, 10.0)
    array([ 0, 10, 26, 36])
    """
    n_segment = round(_SEGMENT_S * sfreq)
    placed = [
        np.arange(start, stop - n_segment + 1, n_segment)
        for start, stop in find_spans(good)
    ]
    return np.concatenate([np.zeros(0, int), *placed])


class _Components(NamedTuple):
    """Components by falling share of power at the line, their filters and patterns."""

    shares: np.ndarray
    filters: np.ndarray
    patterns: np.ndarray


def _list_harmonics(sfreq: float, line_freq: float) -> np.ndarray:
    """List the line and its harmonics up to the highest frequency there is."""
    return line_freq * np.arange(1, int(sfreq / 2 / line_freq) + 1)


def _smooth(data: np.ndarray, sfreq: float, line_freq: float) -> np.ndarray:
    """Average over one period of the line.

    A period is no whole number of samples. Of all kernels of its length that keep a
    constant and annul the line and each harmonic, this is the one that is least in
    square; for a whole period, it is the plain average.
    """
    reach = int(np.ceil(sfreq / line_freq / 2))
    lags = np.arange(-reach, reach + 1)
    freqs = np.concatenate([[0.0], _list_harmonics(sfreq, line_freq)])
    waves = np.cos(2 * np.pi * np.outer(freqs, lags) / sfreq)
    kernel = np.linalg.lstsq(waves, (freqs == 0).astype(float))[0]
    smooth = convolve1d(data, kernel, axis=1, mode="nearest")
    # Beyond the ends nothing is known: the nearest whole average has no line either.
    smooth[:, :reach] = smooth[:, reach : reach + 1]
    smooth[:, -reach:] = smooth[:, -reach - 1 : -reach]
    return smooth


def _find_components(
    rest: np.ndarray, starts: np.ndarray, sfreq: float, line_freq: float
) -> _Components:
    """Maximise the share of power at the line, by joint diagonalisation."""
    total, line = _measure_power(rest, starts, sfreq, line_freq)
    values, vectors = np.linalg.eigh(total)
    filled = values > 1e-9 * max(values[-1], 0.0)
    scales = np.sqrt(values[filled])
    white = (vectors[:, filled] / scales).T
    shares, turns = np.linalg.eigh(white @ line @ white.T)
    shares, turns = shares[::-1], turns[:, ::-1]
    patterns = (vectors[:, filled] * scales) @ turns
    return _Components(shares, turns.T @ white, patterns)


def _measure_power(
    rest: np.ndarray, starts: np.ndarray, sfreq: float, line_freq: float
) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of all of the data, and of what lies at the line, over segments."""
    n_segment = round(_SEGMENT_S * sfreq)
    segments = rest[:, starts[:, None] + np.arange(n_segment)]
    peak = np.abs(segments).max()
    window = hann(n_segment, sym=False)
    segments *= window / (peak if peak > 0 else 1.0)
    angles = np.outer(np.arange(n_segment), _list_harmonics(sfreq, line_freq))
    lines = (segments @ np.exp(-2j * np.pi * angles / sfreq)).reshape(len(rest), -1)
    flat = segments.reshape(len(rest), -1)
    # so that a sine at the line has the share one
    scale = 2 * (window**2).sum() / window.sum() ** 2
    return flat @ flat.T, scale * (lines @ lines.conj().T).real


def _count_line(shares: np.ndarray, n_channels: int) -> int:
    """How many components are line noise: outliers among the shares, or most of one."""
    if not shares.size:
        return 0
    usual, spread = np.median(shares), float(mad(shares, to_sigma=True))
    outlying = (shares > usual + 3 * spread) | (shares > _CERTAIN)
    return min(int(outlying.sum()), max(n_channels // 4, 1))
