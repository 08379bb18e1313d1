"""What cleaning did to a recording, in numbers."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import binary_dilation

from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_range, check_shape
from meegic.base.errors import InputError
from meegic.clean.muscle import find_muscle, muscle_score
from meegic.clean.windows import take_mask
from meegic.math.linalg import numerical_rank
from meegic.math.robust import mad
from meegic.math.spectra import Spectrum, band_power, welch_power

BANDS = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}
"""Edges of the bands in Hz."""

_SAME = 1e-6
"""What changed by less than this fraction of the size of its channel is the same."""

_ENDS_S, _AROUND_S = 1.0, 0.25
"""Seconds at both ends, and around artifacts, that are left out beside a truth."""


@dataclass(frozen=True)
class Change:
    """A number before and after."""

    before: float
    after: float


@dataclass(frozen=True)
class TruthScores:
    """How near the data are to the truth; a second at both ends is left out.

    Attributes
    ----------
    snr_db : dict of Change
        Power of the truth over that of the error in artifacts, in dB: ``'all'``, and
        by kind.
    rmse : Change
        Root mean square of the error in artifacts, in the unit of the data.
    clean_error : Change | None
        Error relative to the truth 0.25 s and more away from artifacts; None where
        there is no such sample.
    """

    snr_db: dict[str, Change]
    rmse: Change
    clean_error: Change | None


@dataclass(frozen=True)
class Quality:
    """What cleaning did; amplitudes are in the unit of the data.

    Attributes
    ----------
    duration_s : float
        Length in seconds.
    changed_percent : float
        Values that changed, by more than 1e-6 of the size of their channel.
    power_removed_percent : float
        What is missing of the power; negative where there is more.
    dims_removed : dict | None
        ``'median'`` and ``'max'`` of the dimensions removed where any were; None where
        they were not passed.
    peak : Change
        Largest distance from zero.
    size : Change
        Robust standard deviation, the median over channels.
    rank : Change
        Numerical rank.
    line_noise_db : Change | None
        Power density at the line beside that around it; None where the sampling
        frequency is too low.
    muscle_percent : Change | None
        Samples whose muscle score passes 4, both beside what was usual before; None
        below 300 Hz.
    band_ratio : dict
        Power after over power before, by band.
    correlation : array, shape (n_channels,)
        Of the data before and after, outside of the mask.
    truth : TruthScores | None
        Comparison with the truth, where it was passed.
    """

    duration_s: float
    changed_percent: float
    power_removed_percent: float
    dims_removed: dict[str, float] | None
    peak: Change
    size: Change
    rank: Change
    line_noise_db: Change | None
    muscle_percent: Change | None
    band_ratio: dict[str, float]
    correlation: Float[np.ndarray, " channels"]
    truth: TruthScores | None

    def to_dict(self) -> dict:
        """Give the numbers as plain types, for JSON."""
        return asdict(self) | {"correlation": self.correlation.tolist()}


def compute_quality(
    before: Array,
    after: Array,
    sfreq: float,
    mask: np.ndarray | None = None,
    truth: Array | None = None,
    *,
    kinds: Mapping[str, np.ndarray] | None = None,
    dims_removed: Array | None = None,
    line_freq: float = 50.0,
) -> Quality:
    """Compare a recording before and after cleaning.

    Parameters
    ----------
    before, after : array, shape (n_channels, n_times)
        The recording, one type of channel, in one unit.
    sfreq : float
        Sampling frequency in Hz.
    mask : array of bool, shape (n_times,) | None
        Where artifacts are. ``None`` is nowhere; beside a truth, everywhere.
    truth : array, shape (n_channels, n_times) | None
        What a perfect cleaning would give.
    kinds : dict of array of bool, shape (n_times,) | None
        Where artifacts of a kind are, by its name; used beside a truth.
    dims_removed : array of int | None
        How many dimensions every step of a reconstruction removed.
    line_freq : float
        Frequency of the line in Hz.

    Returns
    -------
    Quality
        The numbers.

    Examples
    --------
    >>> before = np.random.default_rng(0).standard_normal((4, 2000))
    >>> after = np.where(np.arange(2000) < 1000, 0.5, 1.0) * before
    >>> quality = compute_quality(before, after, 200.0)
    >>> quality.changed_percent, round(quality.power_removed_percent)
    (50.0, 37)
    """
    before = _take_data("before", before, None)
    after = _take_data("after", after, before.shape)
    n_times = before.shape[1]
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    marked = np.zeros(n_times, bool) if mask is None else take_mask(mask, n_times)
    window_s = min(4.0, n_times / sfreq)
    spectra = [welch_power(one, sfreq, window_s=window_s) for one in (before, after)]
    scores = None
    if truth is not None:
        where = {"all": marked if mask is not None else ~marked}
        for kind, one in (kinds or {}).items():
            where[kind] = take_mask(one, n_times, name=f"kinds[{kind!r}]")
        truth = _take_data("truth", truth, before.shape)
        scores = _score_truth(before, after, truth, where, sfreq)
    return Quality(
        duration_s=n_times / sfreq,
        changed_percent=_count_changed(before, after),
        power_removed_percent=100 * (1 - (_size(after) / _size(before)) ** 2),
        dims_removed=_summarize(dims_removed),
        peak=_compare(lambda one: np.abs(one).max(), before, after),
        size=_compare(lambda one: np.median(mad(one, to_sigma=True)), before, after),
        rank=_compare(_rank, before, after),
        line_noise_db=_compare_lines(spectra, line_freq),
        muscle_percent=_compare_muscle(before, after, sfreq),
        band_ratio=_compare_bands(spectra),
        correlation=_correlate(before[:, ~marked], after[:, ~marked]),
        truth=scores,
    )


def _take_data(
    name: str, data: Array, shape: tuple[int, int] | None
) -> Float[np.ndarray, "channels times"]:
    """Take data as float64, of a shape that is given, or else that vary."""
    values = check_data(name, data).astype(np.float64)
    if shape is not None:
        check_shape(name, values, shape)
    check_finite(name, values)
    if shape is None and not np.ptp(values, axis=1).any():
        raise InputError(
            f"{name} must vary, but every channel of it is constant.",
            hint="Compare a recording that has signals.",
        )
    return values


def _compare(measure: Callable, before: np.ndarray, after: np.ndarray) -> Change:
    return Change(float(measure(before)), float(measure(after)))


def _count_changed(before: np.ndarray, after: np.ndarray) -> float:
    size = mad(before, to_sigma=True)
    size = np.where(size > 0, size, np.abs(before).max(axis=1))
    return 100 * float((np.abs(after - before) > _SAME * size[:, None]).mean())


def _size(data: np.ndarray) -> float:
    """Root of the sum of squares around the mean of every channel."""
    return float(np.linalg.norm(data - data.mean(axis=1, keepdims=True)))


def _summarize(dims_removed: Array | None) -> dict[str, float] | None:
    """Median and largest number of dimensions, over the steps that removed any."""
    if dims_removed is None:
        return None
    counts = np.asarray(dims_removed)
    counts = counts[counts > 0] if (counts > 0).any() else np.zeros(1)
    return {"median": float(np.median(counts)), "max": float(counts.max())}


def _rank(data: np.ndarray) -> int:
    centered = data - data.mean(axis=1, keepdims=True)
    centered /= np.abs(data).max()  # squares of no unit underflow
    return numerical_rank(np.linalg.eigvalsh(centered @ centered.T))


def _compare_lines(spectra: list[Spectrum], line_freq: float) -> Change | None:
    """Density within 1 Hz of the line beside that from 2 to 6 Hz away."""
    check_range("line_freq", line_freq, low=6.0, open_low=True, unit="Hz")
    distance = np.abs(spectra[0].freqs - line_freq)
    if spectra[0].freqs[-1] < line_freq + 6:
        return None
    ratios = []
    for one in spectra:
        density = one.power.sum(axis=0)
        around = density[(distance >= 2) & (distance <= 6)].mean()
        ratios.append(10 * np.log10(density[distance <= 1].mean() / around))
    return Change(*map(float, ratios))


def _compare_muscle(
    before: np.ndarray, after: np.ndarray, sfreq: float
) -> Change | None:
    """Share of samples with muscle activity, beside what was usual before."""
    if sfreq < 300:
        return None
    live = np.ptp(before, axis=1) > 0
    before, after = before[live], after[live]
    scores = [
        muscle_score(before, sfreq),
        muscle_score(after, sfreq, reference=before),
    ]
    shares = [100 * float(find_muscle(one, sfreq).mean()) for one in scores]
    return Change(*shares)


def _compare_bands(spectra: list[Spectrum]) -> dict[str, float]:
    """Ratio of powers in every band that the sampling frequency and length show."""
    freqs = spectra[0].freqs
    shown = {
        name: band
        for name, band in BANDS.items()
        if freqs[-1] >= band[1] and freqs[1] <= band[1] - band[0]
    }
    powers = [
        [band_power(one, low=low, high=high).sum() for low, high in shown.values()]
        for one in spectra
    ]
    ratios = np.divide(powers[1], powers[0])
    return dict(zip(shown, ratios.tolist(), strict=True))


def _correlate(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Correlate every channel with itself; one that does not vary has 0."""
    if not before.shape[1]:
        return np.zeros(len(before))
    before, after = (one - one.mean(axis=1, keepdims=True) for one in (before, after))
    before, after = (
        one / np.where(size > 0, size, 1.0)
        for one in (before, after)
        for size in [np.linalg.norm(one, axis=1, keepdims=True)]
    )
    return (before * after).sum(axis=1)


def _score_truth(
    before: np.ndarray,
    after: np.ndarray,
    truth: np.ndarray,
    where: dict[str, np.ndarray],
    sfreq: float,
) -> TruthScores:
    n_times = truth.shape[1]
    n_ends, n_around = (round(one * sfreq) for one in (_ENDS_S, _AROUND_S))
    inner = np.zeros(n_times, bool)
    inner[n_ends : n_times - n_ends] = True
    clean = inner & ~binary_dilation(where["all"], np.ones(2 * n_around + 1))
    marked = {kind: inner & mask for kind, mask in where.items()}
    for kind, mask in marked.items():
        if not mask.any():
            raise InputError(
                f"The mask of {kind!r} must mark a sample that is not within "
                f"{_ENDS_S:g} s of an end, but marks none."
            )

    def measure_snr(data: np.ndarray, mask: np.ndarray) -> float:
        error = _rms((data - truth)[:, mask])
        return float(20 * np.log10(_rms(truth[:, mask]) / error)) if error else np.inf

    def compare_snr(mask: np.ndarray) -> Change:
        return _compare(lambda one: measure_snr(one, mask), before, after)

    def compare_errors(mask: np.ndarray, unit: float) -> Change:
        return _compare(lambda one: _rms((one - truth)[:, mask]) / unit, before, after)

    size = _rms(truth[:, clean]) if clean.any() else 0.0
    return TruthScores(
        snr_db={kind: compare_snr(mask) for kind, mask in marked.items()},
        rmse=compare_errors(marked["all"], 1.0),
        clean_error=compare_errors(clean, size) if size else None,
    )


def _rms(values: np.ndarray) -> float:
    return float(np.linalg.norm(values) / np.sqrt(values.size))
