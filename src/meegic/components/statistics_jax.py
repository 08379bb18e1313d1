"""The statistics in one compiled pass over blocks, on every device of a kind, by JAX.

Time is shared out among the devices, and each goes through its part in blocks: a
block's sums in the dtype, their totals in float64 with the rounding carried along.
"""

import logging
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from meegic.base.arrays import Array, pick_device, precise, to_host
from meegic.components.elementary_jax import fast_exp, fast_log
from meegic.components.parameters import FLOOR, AmicaParameters, compute_constants
from meegic.components.statistics import Statistics

_CACHE_BYTES = 100_000  # of one array of all terms: about ten stay near a core
_FREE_SHARE = 0.3  # of an accelerator's free memory, for about ten such arrays
_UNKNOWN_FREE = 2**30  # where an accelerator does not tell
_GRAIN = 64  # blocks are multiples of it

LOG = logging.getLogger("meegic.components")


class _Model(NamedTuple):
    """What a block needs of the parameters, in the dtype of the data."""

    unmix: Float[Array, "models components components"]
    offset: Float[Array, "models components"]
    terms: Float[Array, "models mixtures components"]
    mu: Float[Array, "models mixtures components"]
    beta: Float[Array, "models mixtures components"]
    rho: Float[Array, "models mixtures components"]
    models: Float[Array, " models"]


class _Sums(NamedTuple):
    """Sums over times, of a block or of all; the seven of each term are stacked."""

    log_likelihood: Float[Array, ""]
    v: Float[Array, " models"]
    vb2: Float[Array, "models components"]
    vx: Float[Array, "models components"]
    by_term: Float[Array, "7 models mixtures components"]
    cross: Float[Array, "models components components"]


class _Layout(NamedTuple):
    """How time is cut: into as many blocks for each device, the last ones padded.

    Attributes
    ----------
    n_times, n_devices, chunk : int
        Samples, devices, and samples in a block.
    """

    n_times: int
    n_devices: int
    chunk: int

    @property
    def n_blocks(self) -> int:
        """Blocks of one device."""
        return -(-self.n_times // (self.n_devices * self.chunk))

    @property
    def room(self) -> int:
        """Blocks that a device has memory for, an eighth more at most.

        Recordings of similar length share it, and with it the compiled code.
        """
        step = 1 << max(0, self.n_blocks.bit_length() - 4)
        return -(-self.n_blocks // step) * step

    def cut(self, rows: np.ndarray, mesh: Mesh, dtype: str) -> jax.Array:
        """Put rows by times on the devices, as blocks by rows by times."""
        n_rows, span = len(rows), self.n_blocks * self.chunk

        def take(index: Any) -> np.ndarray:
            first = (index[0].start or 0) // self.room * span
            part = rows[:, first : first + span]
            blocks = np.zeros((n_rows, self.room * self.chunk), dtype)
            blocks[:, : part.shape[1]] = part
            blocks = blocks.reshape(n_rows, self.room, self.chunk)
            return np.ascontiguousarray(blocks.swapaxes(0, 1))

        shape = (self.n_devices * self.room, n_rows, self.chunk)
        sharding = NamedSharding(mesh, PartitionSpec("times"))
        return jax.make_array_from_callback(shape, sharding, take)

    def join(self, blocks: np.ndarray) -> np.ndarray:
        """Put blocks by rows by times together to rows by times again."""
        shape = (self.n_devices, self.room, *blocks.shape[1:])
        used = blocks.reshape(shape)[:, : self.n_blocks]
        rows = np.moveaxis(used, 2, 0).reshape(shape[2], -1)
        return rows[:, : self.n_times]


class JaxEStep:
    """One pass over data that lie on every device of a kind, cut along time.

    The data are sent at the first call, when the size of the model is known, and stay.
    Another number of times is compiled anew only if it needs more than about an eighth
    more or fewer blocks, or, on accelerators, another block.

    Parameters
    ----------
    x : array, shape (n_components, n_times)
        Sphered data.
    jacobian : float
        The log-determinant of the sphering.
    dtype : 'float64' | 'float32'
        In what the elements are computed.
    chunk : int | None
        Samples in a block; ``None`` fits the cache of a core, or 30 % of the free
        memory of an accelerator.
    device : 'cpu' | 'gpu'
        The kind of device.
    """

    def __init__(
        self,
        x: Float[Array, "components times"],
        *,
        jacobian: float = 0.0,
        dtype: str = "float64",
        chunk: int | None = None,
        device: str = "cpu",
    ) -> None:
        platform = pick_device(device).platform
        self._mesh = Mesh(np.array(jax.devices(platform)), ("times",))
        self._x = np.asarray(x)
        self._jacobian = jacobian
        self._dtype = dtype
        self._chunk = chunk
        self._placed: tuple[_Layout, jax.Array] | None = None

    def __call__(
        self,
        parameters: AmicaParameters,
        weights: Float[np.ndarray, " times"],
        scores: Float[np.ndarray, "models times"] | None = None,
    ) -> Statistics:
        """Compute the statistics; fill in each model's log joint density if asked."""
        try:
            return self._compute(parameters, weights, scores)
        except jax.errors.JaxRuntimeError as error:
            if self._placed is None or "RESOURCE_EXHAUSTED" not in str(error):
                raise
            self._chunk = max(1, self._placed[0].chunk // 2)
            self._placed = None
            LOG.warning("Out of memory: blocks now have %d samples.", self._chunk)
        return self._compute(parameters, weights, scores)

    def _compute(
        self,
        parameters: AmicaParameters,
        weights: np.ndarray,
        scores: np.ndarray | None,
    ) -> Statistics:
        with precise():
            if self._placed is None:
                self._placed = self._place(parameters)
            layout, data = self._placed
            totals, blocks = to_host(
                _pass(
                    data,
                    layout.cut(weights[None], self._mesh, self._dtype),
                    np.asarray(layout.n_blocks),
                    _take_model(parameters, self._jacobian, self._dtype),
                    mesh=self._mesh,
                    with_scores=scores is not None,
                )
            )
        if scores is not None:
            scores[:] = layout.join(blocks)
        log_likelihood, v, vb2, vx, by_term, cross = totals
        n_samples = float(weights.sum())
        u, ur, ur_y, ur_y2, url, ur2, ur2_y2 = by_term
        return Statistics(
            log_likelihood=float(log_likelihood), n_samples=n_samples, v=v, vb2=vb2,
            vx=vx, u=u, ur=ur, ur_y=ur_y, ur_y2=ur_y2, url=url, ur2=ur2,
            ur2_y2=ur2_y2, cross=cross,
        )  # fmt: skip

    def _place(self, parameters: AmicaParameters) -> tuple[_Layout, jax.Array]:
        """Choose the block, and put the data on the devices."""
        devices = self._mesh.devices.flat
        layout = _Layout(self._x.shape[1], len(devices), chunk=1)
        itemsize = np.dtype(self._dtype).itemsize
        chunk = self._chunk or _choose_chunk(
            devices[0].platform,
            devices[0].memory_stats(),
            layout.n_blocks,
            parameters.mu.size * itemsize,
        )
        layout = layout._replace(chunk=chunk)
        return layout, layout.cut(self._x, self._mesh, self._dtype)


def _choose_chunk(
    platform: str, memory: dict[str, int] | None, n_times: int, term_bytes: int
) -> int:
    """Choose the samples of a block, where one of all terms takes so many bytes."""
    if platform == "cpu":
        chunk = _CACHE_BYTES // term_bytes
    else:
        memory = memory or {}
        free = memory.get("bytes_limit", _UNKNOWN_FREE) - memory.get("bytes_in_use", 0)
        chunk = min(int(_FREE_SHARE * free) // (10 * term_bytes), n_times + _GRAIN - 1)
    return max(_GRAIN, chunk // _GRAIN * _GRAIN)


def _take_model(parameters: AmicaParameters, jacobian: float, dtype: str) -> _Model:
    terms, models = compute_constants(parameters, jacobian)
    offset = np.einsum("hik,hk->hi", parameters.unmix, parameters.center)
    by_term = (terms, parameters.mu, parameters.beta, parameters.rho)
    model = _Model(np.asarray(parameters.unmix), offset, *by_term, models)
    return jax.tree.map(lambda one: np.asarray(one, dtype), model)


@partial(jax.jit, static_argnames=("mesh", "with_scores"))
def _pass(
    data: Float[Array, "blocks components chunk"],
    weights: Float[Array, "blocks 1 chunk"],
    n_blocks: Array,
    model: _Model,
    *,
    mesh: Mesh,
    with_scores: bool,
) -> tuple[_Sums, Float[Array, "scored models chunk"]]:
    """Go through the blocks on every device, and add up what they found."""
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    cut, whole = PartitionSpec("times"), PartitionSpec()
    return jax.shard_map(
        partial(_add_blocks, on_cpu=on_cpu, with_scores=with_scores),
        mesh=mesh,
        in_specs=(cut, cut, whole, whole),
        out_specs=(whole, cut),
        check_vma=False,
    )(data, weights, n_blocks, model)


def _add_blocks(
    data: Float[Array, "blocks components chunk"],
    weights: Float[Array, "blocks 1 chunk"],
    n_blocks: Array,
    model: _Model,
    *,
    on_cpu: bool,
    with_scores: bool,
) -> tuple[_Sums, Float[Array, "scored models chunk"]]:
    """Add up the blocks of one device, then the devices."""
    sum_block = partial(_sum_block, model=model, on_cpu=on_cpu)
    shapes, score = jax.eval_shape(sum_block, data[0], weights[0])
    zeros = jax.tree.map(lambda one: jnp.zeros(one.shape, jnp.float64), shapes)
    scores = jnp.zeros((len(data) if with_scores else 0, *score.shape), score.dtype)

    def step(k: Array, carry: tuple[_Sums, _Sums, Array]):
        totals, lost, scores = carry
        sums, score = sum_block(_pick(data, k), _pick(weights, k))
        if with_scores:
            scores = lax.dynamic_update_index_in_dim(scores, score, k, 0)
        sums = jax.tree.map(lambda one: one.astype(jnp.float64), sums)
        moved = jax.tree.map(jnp.add, totals, sums)
        lost = jax.tree.map(_add_lost, lost, totals, sums, moved)
        return moved, lost, scores

    # The number of rounds is no part of the compiled code: lengths share it.
    totals, lost, scores = lax.fori_loop(0, n_blocks, step, (zeros, zeros, scores))
    return lax.psum(jax.tree.map(jnp.add, totals, lost), "times"), scores


def _pick(blocks: Array, k: Array) -> Array:
    return lax.dynamic_index_in_dim(blocks, k, keepdims=False)


def _add_lost(lost: Array, total: Array, new: Array, moved: Array) -> Array:
    """Add what rounding took from total + new = moved (Knuth's two-sum)."""
    back = moved - total
    return lost + ((total - (moved - back)) + (new - back))


def _sum_block(
    x: Float[Array, "components chunk"],
    weights: Float[Array, "1 chunk"],
    *,
    model: _Model,
    on_cpu: bool,
) -> tuple[_Sums, Float[Array, "models chunk"]]:
    """Compute the sums of one block, and each model's log joint density."""
    fast = on_cpu and x.dtype == jnp.float64
    log, exp = (fast_log, fast_exp) if fast else (jnp.log, jnp.exp)
    matmul = partial(jnp.einsum, precision=lax.Precision.HIGHEST)  # no short float32
    beta, rho, floor = model.beta[..., None], model.rho[..., None], FLOOR[x.dtype.name]

    b = matmul("hik,kt->hit", model.unmix, x) - model.offset[..., None]
    y = beta * (b[:, None] - model.mu[..., None])
    size = jnp.abs(y)
    inverse = 1 / jnp.where(size > floor, y, floor)
    log_y = log(jnp.maximum(size, floor))
    r = exp(rho * log_y)
    z = model.terms[..., None] - r
    top = z.max(axis=1)
    z = exp(z - top[:, None])
    total = z.sum(axis=1)
    score = model.models[:, None] + (top + log(total)).sum(axis=1)

    best = score.max(axis=0, keepdims=True)
    v = exp(score - best)
    joint = v.sum(axis=0, keepdims=True)
    v = v * (weights / joint)

    u = z * (v[:, None] / total)[:, None]
    ur = u * r
    q = ur * inverse
    qy = q * inverse
    terms = (u, ur, q, qy, ur * log_y, ur * r, qy * r)
    sums = _Sums(
        log_likelihood=(weights * (best + log(joint))).sum(),
        v=v.sum(axis=1),
        vb2=(v[:, None] * b * b).sum(axis=2),
        vx=matmul("ht,kt->hk", v, x),
        by_term=jnp.stack([_sum_times(one, on_cpu) for one in terms]),
        cross=matmul("hit,hkt->hik", (beta * rho * q).sum(axis=1), b),
    )
    return sums, score


def _sum_times(values: Array, on_cpu: bool) -> Array:
    """Sum over times; on a processor XLA has vector instructions for products only."""
    if not on_cpu:
        return values.sum(axis=-1)
    ones = jnp.ones(values.shape[-1], values.dtype)
    return jnp.matmul(values, ones, precision=lax.Precision.HIGHEST)
