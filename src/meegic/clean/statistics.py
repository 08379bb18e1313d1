"""One pass over a recording: what its samples say about its plausibility.

Samples are grouped in blocks on a fixed grid, so that the numbers do not depend on
the length of the chunks in which a file is read; of a block only a few numbers per
channel are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from meegic.base.arrays import Array
from meegic.math.loops import sum_over_blocks
from meegic.math.robust import mad

OUTLIER = 1000.0
"""A sample this many robust standard deviations away says nothing about a channel."""

LARGEST = np.sqrt(np.finfo(np.float64).max) / 2**20
"""Products of larger values would overflow; no unit makes them samples."""


@dataclass(frozen=True)
class BlockTable:
    """Numbers per block and channel; adding two tables puts one after the other.

    Attributes
    ----------
    n_times : array, shape (n_blocks, 1)
        Samples in the block.
    n_nonfinite, first_nonfinite : array, shape (n_blocks, n_channels)
        How many samples are NaN or Inf, and the first of them; -1 for none.
    n_outliers : array, shape (n_blocks, n_channels)
        How many samples are outliers.
    lowest, highest : array, shape (n_blocks, n_channels)
        Extreme finite values.
    peak : array, shape (n_blocks, n_channels)
        Sample of the value farthest from zero.
    spread : array, shape (n_blocks, n_channels)
        Robust standard deviation.
    """

    n_times: Int[np.ndarray, "blocks 1"]
    n_nonfinite: Int[np.ndarray, "blocks channels"]
    first_nonfinite: Int[np.ndarray, "blocks channels"]
    n_outliers: Int[np.ndarray, "blocks channels"]
    lowest: Float[np.ndarray, "blocks channels"]
    highest: Float[np.ndarray, "blocks channels"]
    peak: Int[np.ndarray, "blocks channels"]
    spread: Float[np.ndarray, "blocks channels"]

    def __add__(self, other: "BlockTable") -> "BlockTable":
        pairs = [(getattr(self, x.name), getattr(other, x.name)) for x in fields(self)]
        return BlockTable(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class RecordingStatistics:
    """What one pass over a recording gives; units are those of the data.

    Attributes
    ----------
    n_times : int
        Samples in the recording.
    n_nonfinite, first_nonfinite : array of int, shape (n_channels,)
        How many samples are NaN or Inf, and the first of them; -1 for none.
    n_outliers : array of int, shape (n_channels,)
        Samples farther than `OUTLIER` robust standard deviations from the median.
    lowest, highest : array, shape (n_channels,)
        Extreme finite values; NaN where there is none.
    peak : array of int, shape (n_channels,)
        Sample of the finite value farthest from zero.
    spread : array, shape (n_channels,)
        Robust standard deviation: the median over blocks.
    covariance : array, shape (n_channels, n_channels)
        Of the samples that are finite and no outlier in every channel that counts;
        zero for channels that mostly have no such samples. Slow drifts over blocks
        are left out.
    """

    n_times: int
    n_nonfinite: Int[np.ndarray, " channels"]
    first_nonfinite: Int[np.ndarray, " channels"]
    n_outliers: Int[np.ndarray, " channels"]
    lowest: Float[np.ndarray, " channels"]
    highest: Float[np.ndarray, " channels"]
    peak: Int[np.ndarray, " channels"]
    spread: Float[np.ndarray, " channels"]
    covariance: Float[np.ndarray, "channels channels"]

    @property
    def peak_value(self) -> Float[np.ndarray, " channels"]:
        """Largest distance from zero."""
        return np.fmax(np.abs(self.lowest), np.abs(self.highest))


def measure_recording(
    chunks: Iterable[Array], *, counted: np.ndarray | None = None
) -> RecordingStatistics:
    """Measure a recording in one pass, a few numbers per block and channel at a time.

    Parameters
    ----------
    chunks : iterable of array, shape (n_channels, n_any)
        The recording, one piece after the other, of any lengths.
    counted : array of int | None
        Channels whose bad samples are left out of all covariances; None for all.
        Others may be as bad as they like.

    Returns
    -------
    RecordingStatistics
        The same bits for any division into chunks.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((2, 1000))
    >>> measure_recording([data[:, :300], data[:, 300:]]).n_times
    1000
    """
    table, products, count = sum_over_blocks(
        lambda block: _measure_block(block, counted), chunks
    )
    starts = np.cumsum(table.n_times, axis=0) - table.n_times
    best = np.fmax(np.abs(table.lowest), np.abs(table.highest))
    block = np.where(np.isnan(best), -1.0, best).argmax(axis=0)
    everyone = np.arange(best.shape[1])
    seen = table.first_nonfinite >= 0
    firsts = np.where(seen, starts + table.first_nonfinite, np.iinfo(np.int64).max)
    return RecordingStatistics(
        n_times=int(table.n_times.sum()),
        n_nonfinite=table.n_nonfinite.sum(axis=0),
        first_nonfinite=np.where(seen.any(axis=0), firsts.min(axis=0), -1),
        n_outliers=table.n_outliers.sum(axis=0),
        lowest=np.fmin.reduce(table.lowest, axis=0),
        highest=np.fmax.reduce(table.highest, axis=0),
        peak=(starts + table.peak)[block, everyone],
        spread=_median_of_known(table.spread),
        covariance=products / max(int(count), 1),
    )


def _measure_block(
    block: np.ndarray, counted: np.ndarray | None
) -> tuple[BlockTable, np.ndarray, np.ndarray]:
    block = np.asarray(block, dtype=np.float64)
    finite = np.isfinite(block)
    known = np.where(finite, block, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        median, spread = _locate(known, finite)
        distance = np.abs(known - median[:, None])
        outlier = (distance > OUTLIER * spread[:, None]) & (spread > 0)[:, None]
    # fmax of NaN and a number is the number: rows without one stay NaN
    lowest, highest = np.fmin.reduce(known, axis=1), np.fmax.reduce(known, axis=1)
    size = np.where(finite, np.abs(block), -1.0)
    used = _center_usable(block, finite & ~outlier & (size < LARGEST), counted)
    table = BlockTable(
        n_times=np.array([[block.shape[1]]]),
        n_nonfinite=(~finite).sum(axis=1)[None],
        first_nonfinite=np.where(finite.all(axis=1), -1, finite.argmin(axis=1))[None],
        n_outliers=outlier.sum(axis=1)[None],
        lowest=lowest[None],
        highest=highest[None],
        peak=size.argmax(axis=1)[None],
        spread=spread[None],
    )
    return table, used @ used.T, np.asarray(used.shape[1])


def _center_usable(
    block: np.ndarray, good: np.ndarray, counted: np.ndarray | None
) -> np.ndarray:
    """Keep the samples that are good in all channels that count, and center them."""
    hopeless = good.mean(axis=1) < 0.5
    rows = np.setdiff1d(
        np.arange(len(block)) if counted is None else counted,
        np.flatnonzero(hopeless),
    )
    usable = good[rows].all(axis=0)
    used = np.where(good, block, 0.0)[:, usable]
    used[hopeless] = 0.0
    return used - used.mean(axis=1, keepdims=True) if usable.any() else used


def _locate(known: np.ndarray, finite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust standard deviation of every row over its finite samples."""
    if finite.all():  # the common case, without a loop over rows
        return np.median(known, axis=1), mad(known, to_sigma=True)
    rows = [row[good] for row, good in zip(known, finite, strict=True)]
    median = [np.median(row) if row.size else np.nan for row in rows]
    spread = [mad(row, to_sigma=True) if row.size else np.nan for row in rows]
    return np.array(median), np.array(spread)


def _median_of_known(table: np.ndarray) -> np.ndarray:
    """Median of every column over the blocks where it is known; NaN without one."""
    known = ~np.isnan(table)
    columns = [
        np.median(column[good]) if good.any() else np.nan
        for column, good in zip(table.T, known.T, strict=True)
    ]
    return np.array(columns)
