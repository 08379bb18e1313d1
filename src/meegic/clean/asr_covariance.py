"""The covariance that most short pieces of a recording agree on.

The recording is cut into blocks of ten samples; the geometric median of their second
moments is not moved by the blocks with artifacts. The moments of all blocks together
would not fit into memory, so distances are computed from the samples in every round.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from meegic.base.arrays import Array, precise
from meegic.base.errors import InputError
from meegic.math.spd_median import fit_covariance_median

# A constant: a size chosen by the free memory would make the result depend on it.
_BLOCK = 10
_PIECE = 512  # blocks
_PER_CHANNEL = 4  # samples of a longer block
_SHRINKAGE = 1e-4
_MAX_ENTRIES = 2**22


@dataclass(frozen=True)
class BlockMedian:
    """A robust second moment.

    Attributes
    ----------
    covariance : array, shape (n_channels, n_channels)
        The geometric median over blocks, in the squared unit of the data.
    n_iter : int
        Rounds of Weiszfeld's iteration.
    converged : bool
        Whether the last round moved it by less than the tolerance.
    """

    covariance: Float[np.ndarray, "channels channels"]
    n_iter: int
    converged: bool


def join_stretches(
    data: Float[np.ndarray, "channels times"], stretches: Int[np.ndarray, "stretches 2"]
) -> tuple[Float[np.ndarray, "channels used"], Int[np.ndarray, "stretches 2"]]:
    """Put stretches of a recording side by side, so that no block holds two of them.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording.
    stretches : array of int, shape (n_stretches, 2)
        The first sample of each stretch and the one after its last.

    Returns
    -------
    joined : array, shape (n_channels, n_used)
        The stretches, each filled up to whole blocks by its last sample; the data
        themselves when they are one stretch.
    spans : array of int, shape (n_stretches, 2)
        Where the stretches lie in it.

    Examples
    --------
    >>> data = np.arange(40.0)[None]
    >>> joined, spans = join_stretches(data, np.array([[0, 10], [35, 40]]))
    >>> print(joined[0, 10:], spans.tolist())
    [35. 36. 37. 38. 39. 39. 39. 39. 39. 39.] [[0, 10], [10, 15]]
    """
    if stretches.tolist() == [[0, data.shape[1]]]:
        return data, stretches
    lengths = np.diff(stretches)[:, 0]
    filled = -(-lengths // _BLOCK) * _BLOCK
    places = [
        np.minimum(np.arange(start, start + length), stop - 1)
        for (start, stop), length in zip(stretches, filled, strict=True)
    ]
    begins = np.cumsum(filled) - filled
    spans = np.stack([begins, begins + lengths], axis=1)
    return data[:, np.concatenate(places)], spans


def fit_block_median(
    data: Float[np.ndarray, "channels times"],
    *,
    tolerance: float = 1e-5,
    max_iter: int = 500,
    n_start: int | None = None,
) -> BlockMedian:
    """Find the geometric median of the second moments of blocks of ten samples.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit; the last block repeats the last sample.
    tolerance : float
        Ends the iteration when the median moves by less than this fraction.
    max_iter : int
        The largest number of rounds.
    n_start : int | None
        From the median entries of about so many blocks the iteration starts; None
        takes all, as other programs do. What it ends at differs by the tolerance.

    Returns
    -------
    BlockMedian
        The median and whether it converged.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((2, 5000))
    >>> data[:, :500] *= 100
    >>> bool(np.trace(fit_block_median(data).covariance) < 3)
    True
    """
    pieces = _cut(data)
    sizes = np.concatenate([_square_norms(one) for one in pieces])
    center, change, n_iter = _median_of_entries(_thin(pieces, n_start)), np.inf, 0
    while change >= tolerance and n_iter < max_iter:
        with precise():
            moved = _move(center, pieces, sizes)
        change = _norm(moved - center) / (_norm(moved) or 1.0)
        center, n_iter = moved, n_iter + 1
    return BlockMedian(center, n_iter, bool(change < tolerance))


def fit_riemann_median(
    data: Float[np.ndarray, "channels times"], stretches: Int[np.ndarray, "stretches 2"]
) -> BlockMedian:
    """Find the affine-invariant median of the second moments of longer blocks.

    Its blocks have four samples per channel, so that a moment has full rank, and each
    moment is drawn a little towards a multiple of the identity. Second moments of
    short blocks are too small in this geometry, by a common factor in directions of
    the same spectrum, so the size of the result is not that of the data.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit.
    stretches : array of int, shape (n_stretches, 2)
        The first sample of each stretch and the one after its last; what is left of
        one after its last whole block is not used.

    Returns
    -------
    BlockMedian
        The median and whether it converged.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((2, 5000))
    >>> data[:, :500] *= 100
    >>> median = fit_riemann_median(data, np.array([[0, 5000]]))
    >>> bool(np.trace(median.covariance) < 3)
    True
    """
    n_channels, n_block = len(data), _PER_CHANNEL * len(data)
    starts = [
        start
        for first, stop in stretches.tolist()
        for start in range(first, stop - n_block + 1, n_block)
    ]
    pieces = [data[:, start : start + n_block] for start in starts]
    moments = [one @ one.T / n_block for one in pieces if one.any()]
    if not moments:
        raise InputError(
            f"clean_data must have a stretch of at least {n_block} samples, "
            f"{_PER_CHANNEL} per channel, for covariance='riemann-median'.",
            hint="Use more data, or covariance='geometric-median'.",
        )
    covariances = np.stack(moments)
    size = np.trace(covariances, axis1=1, axis2=2) / n_channels
    covariances *= 1 - _SHRINKAGE
    covariances += _SHRINKAGE * size[:, None, None] * np.eye(n_channels)
    found = fit_covariance_median(covariances)
    return BlockMedian(found.state, int(found.n_iter), bool(found.converged))


def _cut(data: np.ndarray) -> list[np.ndarray]:
    """Cut into pieces that fit into a cache: channels by samples by blocks.

    Blocks lie side by side, so that sums over their samples are sums of rows.
    """
    n_channels, n_times = data.shape
    pieces = []
    for first in range(0, n_times, _PIECE * _BLOCK):
        piece = data[:, first : first + _PIECE * _BLOCK].astype(np.float64)
        short = -piece.shape[1] % _BLOCK
        piece = np.pad(piece, [(0, 0), (0, short)], mode="edge")
        blocks = piece.reshape(n_channels, -1, _BLOCK).swapaxes(1, 2)
        pieces.append(np.ascontiguousarray(blocks))
    return pieces


def _thin(pieces: list[np.ndarray], n_start: int | None) -> list[np.ndarray]:
    """Take every so many blocks of each piece."""
    n_blocks = sum(one.shape[2] for one in pieces)
    step = 1 if n_start is None else max(1, n_blocks // n_start)
    return [np.ascontiguousarray(one[:, :, ::step]) for one in pieces]


def _move(
    center: np.ndarray, pieces: list[np.ndarray], sizes: np.ndarray
) -> np.ndarray:
    """Weigh every block by one over its distance from the center."""
    inner = np.concatenate([_inner_products(center, one) for one in pieces])
    squares = np.maximum(sizes - 2 * inner + (center**2).sum(), 0.0)
    # Relative to the data: with a constant, all weights are equal in small units.
    squares += 1e-20 * (np.median(squares) or squares.mean())
    if not squares.all():  # every block is the center
        return center
    weights = 1 / np.sqrt(squares)
    roots = np.sqrt(weights / weights.sum() / _BLOCK)
    moved, first = np.zeros_like(center), 0
    for one in pieces:
        moved += np.asarray(_weigh(one, roots[first : first + one.shape[2]]))
        first += one.shape[2]
    return moved


@jax.jit
def _inner_products(center: Array, piece: Array) -> jax.Array:
    """Inner product of every block's moment with the center."""
    flat = jnp.reshape(piece, (len(center), -1))
    products = ((center @ flat) * flat).sum(axis=0)
    return products.reshape(_BLOCK, -1).mean(axis=0)


@jax.jit
def _weigh(piece: Array, roots: Array) -> jax.Array:
    """Sum the moments of the blocks, each with the square of its root."""
    flat = jnp.reshape(piece * jnp.asarray(roots)[None, None], (len(piece), -1))
    return flat @ flat.T


def _square_norms(piece: np.ndarray) -> np.ndarray:
    """Squared norm of every block's moment, from the products of its samples."""
    norms = np.zeros(piece.shape[2])
    for shift in range(_BLOCK // 2 + 1):
        products = np.einsum("ctb,ctb->tb", piece, np.roll(piece, shift, axis=1))
        times = 2 if 0 < shift < _BLOCK / 2 else 1  # those of the other half are equal
        norms += times * (products**2).sum(axis=0)
    return norms / _BLOCK**2


def _median_of_entries(pieces: list[np.ndarray]) -> np.ndarray:
    """Median over blocks of each entry of their moments, some rows at a time."""
    n_channels = len(pieces[0])
    n_blocks = sum(one.shape[2] for one in pieces)
    median = np.zeros((n_channels, n_channels))
    height = max(1, _MAX_ENTRIES // n_blocks)
    for row in range(n_channels):
        for first in range(row, n_channels, height):
            some = slice(first, first + height)
            entries = [np.einsum("ctb,tb->cb", one[some], one[row]) for one in pieces]
            middle = np.median(np.concatenate(entries, axis=1), axis=1) / _BLOCK
            median[row, some] = median[some, row] = middle
    return median


def _norm(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix))
