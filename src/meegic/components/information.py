"""Mutual information between signals, and what a decomposition takes of it."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import differential_entropy

from meegic.base.arrays import Array
from meegic.base.checks import (
    check_count,
    check_finite,
    check_option,
    check_range,
    check_shape,
    list_words,
)
from meegic.base.errors import InputError

_FLAT = 0.1  # of the time, from which on one value is no signal
ENOUGH = 60
"""Samples per weight from which implementations of AMICA agree."""

_CHUNK = 8192  # samples that are counted at once


class Reduction(NamedTuple):
    """How much less signals tell of each other after an unmixing.

    Attributes
    ----------
    nats : float
        Per sample.
    kbit_per_s : float
        The same, as a rate.
    k : float
        Samples per weight, as `compute_k` gives them.
    """

    nats: float
    kbit_per_s: float
    k: float

    def __str__(self) -> str:
        return (
            f"{self.nats:.4g} nats per sample ({self.kbit_per_s:.4g} kbit/s); "
            f"k = {self.k:.3g} samples per weight{_judge(self.k)}"
        )


class PairwiseInformation(NamedTuple):
    """The mean mutual information of all pairs, in bits.

    Attributes
    ----------
    before, after : float
        Of channels, and of sources.
    k : float
        Samples per weight, as `compute_k` gives them.
    """

    before: float
    after: float
    k: float

    def __str__(self) -> str:
        return (
            f"{self.before:.4g} bits per pair before, {self.after:.4g} after; "
            f"k = {self.k:.3g} samples per weight{_judge(self.k)}"
        )


def compute_k(n_times: int, n_components: int) -> float:
    r"""Compute how many samples there are for each weight of an unmixing.

    Parameters
    ----------
    n_times : int
        Samples that were fitted.
    n_components : int
        Components of each model.

    Returns
    -------
    float
        :math:`k = T / n^2`. With about 60, implementations of AMICA agree on the
        components (matched correlation 0.98; 0.93 with 30, 0.91 with 15).

    Examples
    --------
    >>> compute_k(n_times=61_440, n_components=32)
    60.0
    """
    check_count("n_times", n_times, low=0)
    check_count("n_components", n_components)
    return float(n_times / n_components**2)


def compute_mutual_information(
    signals: Float[Array, "components times"],
    *,
    n_bins: int = 30,
    bias: Literal["miller-madow"] | None = None,
) -> Float[np.ndarray, "components components"]:
    r"""Compute the mutual information of all pairs of signals by histograms.

    Histograms see dependence where there is none: the estimate is too high by about
    :math:`(n_{bins} - 1)^2 / 2T`, less where bins stay empty.

    Parameters
    ----------
    signals : array, shape (n_components, n_times)
        One signal in each row.
    n_bins : int
        Bins of equal width between the extremes of each signal.
    bias : None | 'miller-madow'
        Whether what the occupied bins explain of that, most of it, is subtracted.

    Returns
    -------
    array, shape (n_components, n_components)
        In nats; symmetric, not negative, with a zero diagonal.

    Examples
    --------
    >>> signals = np.random.default_rng(0).normal(size=(2, 5000))
    >>> signals = np.vstack([signals, signals[0] + signals[1]])
    >>> compute_mutual_information(signals, bias="miller-madow").round(1)
    array([[0. , 0. , 0.4],
           [0. , 0. , 0.4],
           [0.4, 0.4, 0. ]])
    """
    signals = np.asarray(signals, dtype=float)
    check_shape("signals", signals, (None, None))
    check_finite("signals", signals)
    check_count("n_bins", n_bins, low=2)
    check_option("bias", bias, [None, "miller-madow"])
    n, n_times = signals.shape
    if not signals.size:
        raise InputError(
            f"signals must not be empty, but its shape is {signals.shape}."
        )
    joint = _count_pairs(signals, n_bins)
    single = np.stack([joint[k, k].diagonal() for k in range(n)])
    entropy = _entropy(single / n_times, axis=1)
    pairs = _entropy(joint / n_times, axis=(2, 3))
    information = entropy[:, None] + entropy - pairs
    if bias is not None:
        used = (single > 0).sum(axis=1) - 1
        excess = (joint > 0).sum(axis=(2, 3)) - 1 - used[:, None] - used
        information -= excess / (2 * n_times)
    information = np.maximum((information + information.T) / 2, 0.0)
    np.fill_diagonal(information, 0.0)
    return information


def compute_reduction(
    signals: Float[Array, "components times"],
    unmixing: Float[Array, "components components"],
    *,
    sfreq: float,
) -> Reduction:
    r"""Compute the mutual information that an unmixing takes out of signals.

    With :math:`s = W x` it is
    :math:`\sum_i H(x_i) - \sum_i H(s_i) + \log |\det W|`; joint entropies cancel. Those
    of one signal are estimated from the spacings of sorted samples.

    Parameters
    ----------
    signals : array, shape (n_components, n_times)
        As many as there are sources: channels, or their principal components.
    unmixing : array, shape (n_components, n_components)
        From signals to sources.
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    Reduction
        In nats per sample, as a rate, and with the samples per weight.

    Examples
    --------
    >>> sources = np.random.default_rng(0).laplace(size=(2, 5000))
    >>> mixing = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> found = compute_reduction(mixing @ sources, np.linalg.inv(mixing), sfreq=100)
    >>> 0.2 < found.nats < 0.6
    True
    """
    signals, unmixing = np.asarray(signals, dtype=float), np.asarray(unmixing)
    check_shape("signals", signals, (None, None))
    check_finite("signals", signals)
    check_range("sfreq", sfreq, low=0, open_low=True, unit="Hz")
    n, n_times = signals.shape
    check_shape("unmixing", unmixing, (n, n))
    if n_times < 2:
        raise InputError(f"signals must have at least 2 times, but got {n_times}.")
    sign, log_determinant = np.linalg.slogdet(unmixing)
    if sign == 0:
        raise InputError("unmixing must be invertible.")
    before = _sum_entropies("signal", signals)
    after = _sum_entropies("source", unmixing @ signals)
    nats = before - after + float(log_determinant)
    k = compute_k(n_times, n)
    return Reduction(nats, nats * sfreq / (1000 * np.log(2)), k)


def _sum_entropies(name: str, signals: np.ndarray) -> float:
    """Sum the entropy of each signal, in nats."""
    flat = [k for k, one in enumerate(signals) if _share_of_one(one) > _FLAT]
    if flat:
        raise InputError(
            f"{name} {list_words(flat)} holds one value for too long to have an "
            "entropy.",
            hint="Leave flat channels out, and mark flat spans as BAD.",
        )
    return sum(float(differential_entropy(_spread_steps(one))) for one in signals)


def _share_of_one(signal: np.ndarray) -> float:
    """Tell for which share of the time a signal has its most frequent value."""
    return float(np.unique(signal, return_counts=True)[1].max() / len(signal))


def _spread_steps(signal: np.ndarray) -> np.ndarray:
    """Sort, and spread equal values, as of a recording in whole microvolts, evenly."""
    values, counts = np.unique(signal, return_counts=True)
    if len(values) == len(signal):
        return values
    middles = (values[1:] + values[:-1]) / 2
    low = np.concatenate([[2 * values[0] - middles[0]], middles])
    high = np.concatenate([middles, [2 * values[-1] - middles[-1]]])
    first = np.cumsum(counts) - counts
    within = np.arange(len(signal)) - np.repeat(first, counts) + 0.5
    width = np.repeat((high - low) / counts, counts)
    return np.repeat(low, counts) + within * width


def mean_pairwise_bits(information: Float[Array, "components components"]) -> float:
    """Average the mutual information of all pairs, from nats to bits.

    Examples
    --------
    >>> round(mean_pairwise_bits(np.log(2) * (np.ones((3, 3)) - np.eye(3))), 12)
    1.0
    """
    n = len(information)
    return float(np.sum(information) / max(n * (n - 1), 1) / np.log(2))


def _judge(k: float) -> str:
    if k >= ENOUGH:
        return ""
    return f", fewer than the {ENOUGH} from which implementations agree"


def _count_pairs(
    signals: np.ndarray, n_bins: int
) -> Int[np.ndarray, "components components bins bins"]:
    """Count how often two signals are in two bins, for all pairs, in chunks of time."""
    n, n_times = signals.shape
    edges = [_find_edges(one, n_bins) for one in signals]
    cells = n_bins**2 * np.arange(n)[:, None]
    counts = np.zeros((n, n, n_bins, n_bins), dtype=np.int64)
    for start in range(0, n_times, _CHUNK):
        part = signals[:, start : start + _CHUNK]
        bins = np.stack([_find_bins(*pair) for pair in zip(part, edges, strict=True)])
        for k in range(n):  # with itself and all after it
            places = (cells[: n - k] + n_bins * bins[k] + bins[k:]).ravel()
            found = np.bincount(places, minlength=(n - k) * n_bins**2)
            counts[k, k:] += found.reshape(n - k, n_bins, n_bins)
    for k in range(n):
        counts[k + 1 :, k] = counts[k, k + 1 :].swapaxes(1, 2)
    return counts


def _find_edges(signal: np.ndarray, n_bins: int) -> np.ndarray:
    low, high = signal.min(), signal.max()
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, n_bins + 1)


def _find_bins(signal: np.ndarray, edges: np.ndarray) -> Int[np.ndarray, " times"]:
    """Find the bin of each sample as NumPy's histograms do: the last has its end."""
    bins = np.searchsorted(edges, signal, side="right") - 1
    bins[signal == edges[-1]] = len(edges) - 2
    return bins


def _entropy(shares: np.ndarray, axis: int | tuple[int, int]) -> np.ndarray:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logs).sum(axis=axis)
