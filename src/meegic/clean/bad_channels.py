"""Bad channels: flat, noisy, or unlike what the others predict."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.signal import filtfilt, firwin2

from meegic.base.arrays import Array
from meegic.base.checks import (
    check_count,
    check_data,
    check_finite,
    check_range,
    check_shape,
)
from meegic.base.errors import InputError
from meegic.clean.filter import apply_filter
from meegic.clean.filter_design import design_notch
from meegic.clean.interpolate import make_spline_operator
from meegic.clean.windows import round_half_up
from meegic.math.robust import mad
from meegic.math.sphere import normalize_positions

LOW_PASS = (45.0, 50.0)
"""Up to where a channel is signal, and from where on it is noise, in Hz."""


@dataclass(frozen=True)
class BadChannelOptions:
    """What makes a channel bad.

    Attributes
    ----------
    max_flat_s : float
        A channel that stands still for longer, in seconds, is flat.
    max_noise : float
        Robust standard deviations by which the noise above 50 Hz may exceed that of
        the other channels.
    min_correlation : float
        Least correlation with what the other channels predict.
    min_neighbor_correlation : float
        Without positions: least correlation with the channels most like it.
    max_bad_time : float
        For how long the correlation may be lower: a fraction below 1, or seconds.
    n_subsets : int
        How many random subsets of channels predict.
    subset_fraction : float
        Which fraction of the channels is a subset.
    regularization : float
        What is added to the diagonal of the spline system.
    """

    max_flat_s: float = 5.0
    max_noise: float = 4.0
    min_correlation: float = 0.8
    min_neighbor_correlation: float = 0.45
    max_bad_time: float = 0.5
    n_subsets: int = 50
    subset_fraction: float = 0.25
    regularization: float = 1e-5

    def __post_init__(self) -> None:
        check_range("max_flat_s", self.max_flat_s, low=0.0, open_low=True, unit="s")
        check_range("max_noise", self.max_noise, low=0.0, open_low=True)
        for name in ("min_correlation", "min_neighbor_correlation"):
            check_range(name, getattr(self, name), low=0.0, high=1.0)
        check_range("max_bad_time", self.max_bad_time, low=0.0)
        check_count("n_subsets", self.n_subsets)
        fraction = self.subset_fraction
        check_range("subset_fraction", fraction, low=0.0, high=1.0, open_low=True)
        check_range("regularization", self.regularization, low=0.0)


@dataclass(frozen=True)
class BadChannels:
    """Which channels are bad, and why.

    Attributes
    ----------
    reasons : dict
        From the index of a bad channel to the words ``'flat'``, ``'noisy'`` and
        ``'uncorrelated'`` that hold for it.
    noise : array, shape (n_channels,)
        Robust z score of the noise above 50 Hz; 0 for flat channels and where the
        sampling rate shows no such noise.
    bad_time_s : array, shape (n_channels,)
        For how many seconds the correlation was too low; 0 for flat channels.
    """

    reasons: dict[int, tuple[str, ...]]
    noise: Float[np.ndarray, " channels"]
    bad_time_s: Float[np.ndarray, " channels"]

    @property
    def indices(self) -> Int[np.ndarray, " bad"]:
        """Indices of the bad channels, ascending."""
        return np.array(sorted(self.reasons), dtype=np.intp)


def find_flat_channels(
    data: Array, sfreq: float, *, max_flat_s: float = 5.0
) -> Int[np.ndarray, " flat"]:
    """Find channels that stand still for too long.

    A channel stands still where successive samples are equal, or differ by no more
    than the rounding of its own usual size.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit.
    sfreq : float
        Sampling frequency in Hz.
    max_flat_s : float
        The longest time in seconds for which a channel may stand still. One that
        never moves is flat in a shorter recording too.

    Returns
    -------
    array of int, shape (n_flat,)
        Indices of the flat channels, ascending.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((3, 1000))
    >>> data[1, 200:] = 0.5
    >>> find_flat_channels(data, 100.0)
    array([1])
    """
    data = check_data("data", data)
    check_finite("data", data)
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    check_range("max_flat_s", max_flat_s, low=0.0, open_low=True, unit="s")
    longest = min(max_flat_s * sfreq, data.shape[1] - 2)
    rounding = 20 * float(np.finfo(data.dtype).eps)
    stills = [
        _longest_still(row, rounding * float(np.median(np.abs(row)))) for row in data
    ]
    flat = np.flatnonzero(np.array(stills) > longest)
    if flat.size == len(data):
        raise InputError(
            f"All channels are flat: each stands still for more than {max_flat_s:g} s.",
            hint="The recording has no signal; check that it was read as it should be.",
        )
    return flat


def find_bad_channels(
    data: Array,
    sfreq: float,
    positions: Array | None = None,
    *,
    options: BadChannelOptions | None = None,
    key: jax.Array | None = None,
) -> BadChannels:
    """Find channels that are flat, noisy, or unlike what the others predict.

    Noise is what a low-pass at 45 to 50 Hz takes off, beside what it leaves. What a
    channel should look like is predicted from random subsets of all channels by
    spherical splines; without positions it must look like a tenth of the others.
    Nothing is dropped: the caller decides.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, high-passed, in any unit; one type of channel.
    sfreq : float
        Sampling frequency in Hz.
    positions : array, shape (n_channels, 3) | None
        Positions of the channels around the center of the head, in any unit.
    options : BadChannelOptions | None
        What makes a channel bad.
    key : jax.Array | None
        Draws the subsets; ``None`` is ``jax.random.key(0)``.

    Returns
    -------
    BadChannels
        The bad channels and the reasons.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> data = rng.standard_normal((8, 2)) @ rng.standard_normal((2, 2000))
    >>> data[3] = rng.standard_normal(2000)
    >>> find_bad_channels(data, 100.0).reasons
    {3: ('uncorrelated',)}
    """
    options = BadChannelOptions() if options is None else options
    data = check_data("data", data).astype(np.float64)
    flat = find_flat_channels(data, sfreq, max_flat_s=options.max_flat_s)
    rest = np.setdiff1d(np.arange(len(data)), flat)
    # At the same size no unit underflows; correlations do not see it.
    live = data[rest] / _measure_size(data[rest])[:, None]
    signal = _low_pass(live, sfreq)
    noise, bad_time_s = np.zeros(len(data)), np.zeros(len(data))
    noise[rest] = _score_noise(live, signal)
    if positions is None:
        windows = _flag_unlike_others(_notch(live, sfreq), sfreq, options)
    else:
        unit = _take_positions(positions, len(data))[rest]
        key = jax.random.key(0) if key is None else key
        windows = _flag_unpredicted(signal, sfreq, unit, options, key)
    bad_time_s[rest] = windows.flags.sum(axis=1) * windows.length_s
    limit = options.max_bad_time * (windows.total_s if options.max_bad_time < 1 else 1)
    return _collect(flat, noise, bad_time_s, limit, options)


class _Windows(NamedTuple):
    """Which windows of which channel are unlike the others; lengths in s."""

    flags: np.ndarray
    length_s: float
    total_s: float


def _measure_size(data: np.ndarray) -> np.ndarray:
    """Median absolute deviation of every row, or its peak where that is 0."""
    size = mad(data)
    return np.where(size > 0, size, np.abs(data).max(axis=-1))


def _longest_still(row: np.ndarray, tolerance: float) -> int:
    """Longest number of successive steps that are no larger than the tolerance."""
    moves = np.flatnonzero(np.abs(np.diff(row)) > tolerance)
    edges = np.concatenate([[-1], moves, [len(row) - 1]])
    return int(np.diff(edges).max()) - 1


def _low_pass(data: np.ndarray, sfreq: float) -> np.ndarray:
    """Take off what is above 50 Hz, forward and backward; nothing below 100 Hz."""
    if sfreq <= 2 * LOW_PASS[1]:
        return data
    taps = firwin2(101, [0, *LOW_PASS, sfreq / 2], [1, 1, 0, 0], fs=sfreq)
    _check_length(data, sfreq, n_least=304)
    return filtfilt(taps, 1.0, data, axis=1)


def _notch(data: np.ndarray, sfreq: float) -> np.ndarray:
    """Take off 50 and 60 Hz, which all channels share, whatever else they record."""
    if sfreq <= 110:
        return data
    notch = design_notch(sfreq, [50.0, 60.0], quality=10)
    return np.asarray(apply_filter(data, notch))


def _check_length(data: np.ndarray, sfreq: float, *, n_least: int) -> None:
    if data.shape[1] < n_least:
        raise InputError(
            f"data must have at least {n_least / sfreq:.3g} s, but have "
            f"{data.shape[1] / sfreq:.3g} s.",
            hint="Use a longer recording.",
        )


def _score_noise(data: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Robust z score of the noise of every channel beside its signal."""
    ratio = mad(data - signal) / _measure_size(signal)
    above = ratio - np.median(ratio)
    spread = float(mad(ratio, to_sigma=True))
    # Where most channels are alike to all digits, any other is far away.
    far = np.where(np.abs(above) > 1e-9 * np.abs(ratio).max(), np.inf, 0.0)
    return above / spread if spread > 0 else np.copysign(far, above)


def _flag_unpredicted(
    signal: np.ndarray,
    sfreq: float,
    unit: np.ndarray,
    options: BadChannelOptions,
    key: jax.Array,
) -> _Windows:
    """Compare every channel with the median of the predictions of random subsets."""
    # Below 50 Hz a hundred samples a second tell how alike two signals are, and whether
    # a correlation is 0.8 is seen in float32.
    thinning = max(int(sfreq // (2 * LOW_PASS[1])), 1)
    n_window = round_half_up(5 * sfreq / thinning)
    signal = signal[:, ::thinning].astype(np.float32)
    _check_length(signal, sfreq / thinning, n_least=n_window)
    operator = _make_operator(unit, options, key).astype(np.float32)
    middle = max(round_half_up(options.n_subsets / 2) - 1, 0)
    flags = []
    for window in _split(signal, n_window):
        predictions = np.tensordot(operator, window, axes=1)
        predicted = np.sort(predictions, axis=1)[:, middle]
        product = (window * predicted).sum(axis=1)
        sizes = np.linalg.norm(window, axis=1) * np.linalg.norm(predicted, axis=1)
        flags.append(product < options.min_correlation * sizes)
        flags[-1] |= sizes == 0
    length_s = n_window * thinning / sfreq
    return _Windows(np.array(flags).T, length_s, len(flags) * length_s)


def _make_operator(
    unit: np.ndarray, options: BadChannelOptions, key: jax.Array
) -> Float[np.ndarray, "channels subsets channels"]:
    """Weights with which every subset predicts every channel by spherical splines."""
    n_channels = len(unit)
    n_chosen = round_half_up(options.subset_fraction * n_channels)
    if n_chosen < 4:
        raise InputError(
            f"Subsets must have at least 4 channels, but {options.subset_fraction:g} "
            f"of {n_channels} channels are {n_chosen}.",
            hint="Pass positions=None, or a larger subset_fraction.",
        )
    draws = jax.random.uniform(key, (options.n_subsets, n_channels))
    subsets = np.argsort(np.asarray(draws), axis=1)[:, :n_chosen]
    operator = np.zeros((n_channels, options.n_subsets, n_channels))
    for index, subset in enumerate(subsets):
        operator[:, index, subset] = make_spline_operator(
            unit, unit[subset], lambda_reg=options.regularization
        )
    return operator


def _flag_unlike_others(
    data: np.ndarray, sfreq: float, options: BadChannelOptions
) -> _Windows:
    """Look for channels that are like less than a tenth of all, itself included."""
    n_window = round_half_up(2 * sfreq)
    _check_length(data, sfreq, n_least=n_window)
    last = len(data) - math.ceil(0.1 * len(data)) - 1
    if last < 0:
        raise InputError("data must have at least 2 channels that are not flat.")
    flags = []
    for window in _split(data, n_window):
        centered = window - window.mean(axis=1, keepdims=True)
        sizes = np.linalg.norm(centered, axis=1, keepdims=True)
        centered = centered / np.where(sizes > 0, sizes, 1.0)
        likeness = np.sort(np.abs(centered @ centered.T), axis=1)
        flags.append(likeness[:, last] < options.min_neighbor_correlation)
    length_s = n_window / sfreq
    return _Windows(np.array(flags).T, length_s, len(flags) * length_s)


def _split(data: np.ndarray, n_window: int) -> list[np.ndarray]:
    """Whole windows without overlap; what is left at the end is not looked at."""
    stop = data.shape[1] // n_window * n_window
    return np.split(data[:, :stop], stop // n_window, axis=1)


def _take_positions(positions: Array, n_channels: int) -> np.ndarray:
    positions = np.asarray(positions, dtype=float)
    check_shape("positions", positions, (n_channels, 3))
    return normalize_positions(positions, origin=np.zeros(3))


def _collect(
    flat: np.ndarray,
    noise: np.ndarray,
    bad_time_s: np.ndarray,
    limit: float,
    options: BadChannelOptions,
) -> BadChannels:
    """Join the reasons, and refuse to call most of a recording bad."""
    found = {
        "flat": flat,
        "noisy": np.flatnonzero(noise > options.max_noise),
        "uncorrelated": np.flatnonzero(bad_time_s > limit),
    }
    bad = sorted({int(index) for rows in found.values() for index in rows})
    if len(bad) > 0.75 * len(noise):
        raise InputError(
            f"{len(bad)} of {len(noise)} channels would be bad.",
            hint="Check the montage, the reference and the high-pass: most channels "
            "are like no other.",
        )
    reasons = {
        index: tuple(word for word, rows in found.items() if index in rows)
        for index in bad
    }
    return BadChannels(reasons, noise, bad_time_s)
