"""Loops over rounds and over time whose results do not depend on circumstances."""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from meegic.base.arrays import Array
from meegic.base.checks import check_count
from meegic.base.errors import InputError, ShapeError


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FixedPoint:
    """Where an iteration ended, and how it got there.

    Attributes
    ----------
    state : pytree
        The last state.
    changes : array, shape (max_iter,)
        The change of every round; NaN after the last one.
    n_iter : array, shape ()
        How many rounds were made.
    converged : array of bool, shape ()
        Whether the last change was below the tolerance.
    """

    state: Any
    changes: Float[Array, "*batch max_iter"]
    n_iter: Int[Array, "*batch"]
    converged: Bool[Array, "*batch"]

    @property
    def stop_reason(self) -> str:
        """Why it ended: 'tolerance', 'max_iter' or 'not_finite'; on the host."""
        if self.converged:
            return "tolerance"
        last = self.changes[self.n_iter - 1]
        return "max_iter" if np.isfinite(last) else "not_finite"


def fixed_point(
    step: Callable[[Any], tuple[Any, Any]],
    start: Any,
    *,
    max_iter: int,
    tolerance: float | Array,
) -> FixedPoint:
    """Repeat a step until it changes little, can not go on, or the rounds run out.

    Parameters
    ----------
    step : callable
        Takes a state to the next state and the size of the change, a scalar.
    start : pytree
        The first state.
    max_iter : int
        The largest number of rounds.
    tolerance : float
        A change below it ends the loop; 0 makes all rounds.

    Returns
    -------
    FixedPoint
        The last state and the history of changes.

    Examples
    --------
    >>> def halve(x):
    ...     return x / 2, x / 2
    >>> result = fixed_point(halve, jnp.array(1.0), max_iter=50, tolerance=0.1)
    >>> int(result.n_iter), result.stop_reason
    (4, 'tolerance')
    """
    check_count("max_iter", max_iter)
    dtype = jax.eval_shape(step, start)[1].dtype

    def is_open(carry: tuple) -> jax.Array:
        _, changes, n_iter = carry
        last = changes[n_iter - 1]
        moving = jnp.isfinite(last) & (last >= tolerance)
        return (n_iter < max_iter) & ((n_iter == 0) | moving)

    def advance(carry: tuple) -> tuple:
        state, changes, n_iter = carry
        state, change = step(state)
        return state, changes.at[n_iter].set(change), n_iter + 1

    carry = (start, jnp.full(max_iter, jnp.nan, dtype), jnp.asarray(0))
    state, changes, n_iter = jax.lax.while_loop(is_open, advance, carry)
    return FixedPoint(state, changes, n_iter, changes[n_iter - 1] < tolerance)


def split_blocks(
    chunks: Iterable[Array], *, block_size: int = 2**14
) -> Iterator[np.ndarray]:
    """Cut a stream of chunks of any length into blocks on a grid from sample 0.

    Parameters
    ----------
    chunks : iterable of array, shape (..., n_any)
        The data, one piece of the last axis after the other.
    block_size : int
        Samples in a block; only the last block is shorter.

    Yields
    ------
    array, shape (..., block_size)
        A block in C order: the same bytes however the stream was cut.

    Examples
    --------
    >>> [block.tolist() for block in split_blocks(np.split(np.arange(5), [1, 4]),
    ...                                           block_size=2)]
    [[0, 1], [2, 3], [4]]
    """
    check_count("block_size", block_size)
    if isinstance(chunks, Array):  # its rows would be taken for chunks
        raise TypeError("chunks must be an iterable of arrays; pass [data] for one.")
    block, filled = np.empty(0), 0
    for index, chunk in enumerate(chunks):
        rest = np.asarray(chunk)
        if index == 0:
            block = np.empty((*rest.shape[:-1], block_size), rest.dtype)
        _check_chunk(index, rest, block)
        while rest.shape[-1]:
            taken = min(block_size - filled, rest.shape[-1])
            block[..., filled : filled + taken] = rest[..., :taken]
            rest, filled = rest[..., taken:], filled + taken
            if filled == block_size:
                yield block
                block, filled = np.empty_like(block), 0
    if filled:
        yield np.ascontiguousarray(block[..., :filled])


def sum_over_blocks(
    function: Callable[[np.ndarray], Any],
    chunks: Iterable[Array],
    *,
    block_size: int = 2**14,
) -> Any:
    """Sum a function of the data over time, to the same bits for any chunks.

    The function sees blocks on a fixed grid, and its results are added pairwise in a
    tree that depends on their number alone. Memory: one block and log2 of the number
    of blocks results.

    Parameters
    ----------
    function : callable
        Takes a block (..., n_times) to a pytree of arrays to be summed.
    chunks : iterable of array, shape (..., n_any)
        The data, one piece of the last axis after the other; ``[data]`` for all of it.
    block_size : int
        Samples in a block; only the last block is shorter.

    Returns
    -------
    pytree
        The sums.

    Examples
    --------
    >>> chunks = np.split(np.arange(10.0), [3, 4])
    >>> print(sum_over_blocks(np.sum, chunks, block_size=4))
    45.0
    """
    sums: list[tuple[int, Any]] = []  # a binary counter: depth of a tree and its sum
    for block in split_blocks(chunks, block_size=block_size):
        depth, total = 0, function(block)
        while sums and sums[-1][0] == depth:
            depth, total = depth + 1, _add(sums.pop()[1], total)
        sums.append((depth, total))
    if not sums:
        raise InputError("chunks must hold at least one sample, but got none.")
    return reduce(lambda right, left: _add(left, right), (s for _, s in sums[::-1]))


def _add(left: Any, right: Any) -> Any:
    return jax.tree.map(operator.add, left, right)


def _check_chunk(index: int, chunk: np.ndarray, block: np.ndarray) -> None:
    if chunk.shape[:-1] != block.shape[:-1]:
        raise ShapeError(
            f"chunks must agree in all axes but the last, {block.shape[:-1]}, but "
            f"chunk {index} has shape {chunk.shape}."
        )
    if chunk.dtype != block.dtype:
        raise InputError(
            f"chunks must have one dtype, {block.dtype}, but chunk {index} has "
            f"{chunk.dtype}.",
            hint="Convert all of them to float64 first.",
        )
