"""The statistics in one fused pass over blocks that stay in the cache, by numba.

Time is cut into panels of whole blocks. Threads draw panels one after the other, so
that a busy core delays nobody; every panel has sums of its own, which are added in a
fixed order, so that threads do not change a bit of the result.
"""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from llvmlite import ir
from numba import njit, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from meegic.base.arrays import Array
from meegic.components.elementary import fast_exp, fast_exp2, fast_log, fast_log2
from meegic.components.parameters import FLOOR, AmicaParameters, compute_constants
from meegic.components.statistics import Statistics
from meegic.components.threads import run_on_threads

_SCRATCH_BYTES = 1_500_000  # of one thread: about the second-level cache of a core
_PANEL_BYTES = 48_000_000  # of all panels' sums together
_MAX_PANELS = 64
# How many densities are multiplied before their logarithm is taken, and the smallest
# that can be multiplied that often; those below it take the slower, safe way.
_FOLD = {"float64": 8, "float32": 2}
_SAFE = {"float64": 1e-36, "float32": 1e-18}
_N_SUMS = 7  # of a term
_LN2 = math.log(2)

# Numba puts off the import of most of itself, and of LLVM's code, to the first call: 44
# megabytes. They belong to the imports, not to the fit that happens to be the first.
cpu_target.target_context.refresh()  # pyright: ignore[reportAttributeAccessIssue]


def _compile_part(function: Callable[..., Any], *, inner: bool = True) -> Any:
    """Compile what compiled code calls; Python cannot, which saves time."""
    flags: Any = {"contract", "arcp", "nsz", "reassoc"}
    wrappers: Any = {"no_cpython_wrapper": inner, "no_cfunc_wrapper": True}
    make = njit(nogil=True, fastmath=flags, error_model="numpy", **wrappers)
    return make(inspect.unwrap(function))  # of what checks types in tests


def _compile(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter's lock, and keep the code where one may write."""
    compiled = _compile_part(function, inner=False)
    try:
        compiled.enable_caching()
    except RuntimeError:  # numba finds no folder that it may write to
        return compiled
    return compiled


@intrinsic
def _draw_ticket(typing_context, counter):
    """Count one up, whatever other threads do, and return the number before."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        one = ir.Constant(ir.IntType(64), 1)
        return builder.atomic_rmw("add", array.data, one, "seq_cst")

    return types.int64(counter), generate


@_compile_part
def _evaluate(b, terms, bounds, work, score, product):
    """Compute z, r and log2|y| of every term, and 1 / density, as rows of work.

    z is the posterior, unnormalized; score is added to, or ``product`` is multiplied by
    densities, whose logarithm is still to be taken.
    """
    n_block, n_mix = b.shape[0], terms.shape[1]
    floor, safe, zero, one, bits = bounds[0], bounds[1], bounds[2], bounds[3], bounds[4]
    density = work[3 * n_mix]
    for t in range(n_block):
        density[t] = zero
    for j in range(n_mix):
        term, mu, beta, rho = terms[0, j], terms[1, j], terms[2, j], terms[3, j]
        z, r, log_y = work[j], work[n_mix + j], work[2 * n_mix + j]
        for t in range(n_block):
            y = abs(beta * (b[t] - mu))
            log_y[t] = fast_log2(y if y > floor else floor)
        for t in range(n_block):  # loops of their own: one polynomial fits registers
            r[t] = fast_exp2(rho * log_y[t])
        for t in range(n_block):
            e = fast_exp2(term - bits * r[t])
            z[t] = e
            density[t] += e
    unsafe = zero
    for t in range(n_block):
        unsafe += one if density[t] < safe else zero
    if unsafe > zero:
        _normalize(terms, bits, work, score)
    for t in range(n_block):
        product[t] *= density[t]
        density[t] = one / density[t]


@_compile_part
def _normalize(terms, bits, work, score):
    """Compute z and its sum relative to the largest term, which is added to score."""
    n_mix = terms.shape[1]
    density = work[3 * n_mix]
    for t in range(density.shape[0]):
        top = terms[0, 0] - bits * work[n_mix, t]
        for j in range(1, n_mix):
            top = max(top, terms[0, j] - bits * work[n_mix + j, t])
        total = top - top
        for j in range(n_mix):
            work[j, t] = fast_exp2(terms[0, j] - bits * work[n_mix + j, t] - top)
            total += work[j, t]
        density[t] = total
        score[t] += top / bits


@_compile_part
def _accumulate(b, terms, bounds, work, v, g, sums):
    """Add one source's sums over a block; g becomes sum_j u beta rho r / y."""
    n_block, n_mix = b.shape[0], terms.shape[1]
    floor, zero, one = bounds[0], bounds[2], bounds[3]
    inverse = work[3 * n_mix]
    for t in range(n_block):
        g[t] = zero
        inverse[t] *= v[t]
    for j in range(n_mix):
        mu, beta, slope = terms[1, j], terms[2, j], terms[2, j] * terms[3, j]
        z, r, log_y = work[j], work[n_mix + j], work[2 * n_mix + j]
        u0, ur0, q0, qy0, rl0, r20, r2y20 = zero, zero, zero, zero, zero, zero, zero
        for t in range(n_block):
            y = beta * (b[t] - mu)
            y = one / (y if abs(y) > floor else floor)
            u = z[t] * inverse[t]
            ur = u * r[t]
            q = ur * y
            qy = q * y
            g[t] += slope * q
            u0 += u
            ur0 += ur
            q0 += q
            qy0 += qy
            rl0 += ur * log_y[t]
            r20 += ur * r[t]
            r2y20 += qy * r[t]
        row = sums[_N_SUMS * j :]
        row[0] += u0
        row[1] += ur0
        row[2] += q0
        row[3] += qy0
        row[4] += _LN2 * rl0
        row[5] += r20
        row[6] += r2y20


@_compile_part
def _weigh_models(score, weights, v):
    """Turn scores into the weight of each model; return the sum of log-likelihoods."""
    n_models, n_block = score.shape[0] - 1, score.shape[1]
    top, total = score[n_models], v[n_models]  # the last rows are free
    for t in range(n_block):
        top[t] = score[0, t]
        total[t] = 0
    for h in range(1, n_models):
        for t in range(n_block):
            top[t] = score[h, t] if score[h, t] > top[t] else top[t]
    for h in range(n_models):
        for t in range(n_block):
            e = fast_exp(score[h, t] - top[t])
            v[h, t] = e
            total[t] += e
    log_likelihood = 0.0
    for t in range(n_block):
        log_likelihood += weights[t] * (top[t] + fast_log(total[t]))
    for h in range(n_models):
        for t in range(n_block):
            v[h, t] *= weights[t] / total[t]
    return log_likelihood


@_compile_part
def _add_moments(b, x, v, zero, sums):
    """Add the sums of v b^2 and v x over a block."""
    power, place = zero, zero
    for t in range(v.shape[0]):
        power += v[t] * b[t] * b[t]
        place += v[t] * x[t]
    sums[0] += power
    sums[1] += place


@_compile_part
def _take_block(x, start, block, v, weights):
    """Copy one block of data and weights; what is beyond the end has no weight."""
    n, n_block = block.shape
    width = min(n_block, x.shape[1] - start)
    for i in range(n):
        for t in range(width):
            block[i, t] = x[i, start + t]
    for t in range(width):
        v[t] = weights[start + t]
    for t in range(width, n_block):
        v[t] = 0
        for i in range(n):
            block[i, t] = 0
    return width


@_compile
def _pass(
    unmix, offset, terms, models, bounds,
    x, weights, scores, counter, n_block, panel, fold,
    totals, sums,
):  # fmt: skip
    """Draw panels until none is left, and add each one's blocks to its sums."""
    n_models, n, _, n_mix = terms.shape
    n_times, n_term_sums = x.shape[1], _N_SUMS * n_mix
    single = n_models == 1  # then weights are known at once: nothing to be kept
    slots = 1 if single else n_models * n
    block, g = np.empty((n, n_block), x.dtype), np.empty((n, n_block), x.dtype)
    b = np.empty((n_models, n, n_block), x.dtype)
    # Rows a little longer than a block: powers of two would compete for cache lines.
    work = np.empty((slots, 3 * n_mix + 1, n_block + 24), x.dtype)
    lines = np.empty((3, n_models + 1, n_block), x.dtype)
    score, product, v = lines[0], lines[1], lines[2]
    kept = product[n_models]
    cross = np.empty((n, n), x.dtype)
    while True:
        k = _draw_ticket(counter)  # pyright: ignore[reportCallIssue]
        if k >= totals.shape[0]:
            break
        for start in range(k * panel, min(n_times, (k + 1) * panel), n_block):
            width = _take_block(x, start, block, kept, weights)
            for h in range(n_models):
                np.dot(unmix[h], block, b[h])
                for t in range(n_block):
                    score[h, t] = models[h]
                    product[h, t] = 1
                for i in range(n):
                    slot = 0 if single else h * n + i
                    b_i, move = b[h, i], offset[h, i]
                    for t in range(n_block):
                        b_i[t] -= move
                    _evaluate(
                        b_i, terms[h, i], bounds, work[slot], score[h], product[h]
                    )
                    if single:
                        _accumulate(
                            b_i, terms[0, i], bounds, work[0], kept, g[i], sums[k, 0, i]
                        )
                    if i % fold == fold - 1 or i == n - 1:
                        for t in range(n_block):
                            score[h, t] += fast_log(product[h, t])
                            product[h, t] = 1
            if scores.shape[1] > 0:
                for h in range(n_models):
                    for t in range(width):
                        scores[h, start + t] = score[h, t]
            totals[k, n_models] += _weigh_models(score, kept, v)
            for h in range(n_models):
                for t in range(n_block):
                    totals[k, h] += v[h, t]
                for i in range(n):
                    if not single:
                        _accumulate(
                            b[h, i], terms[h, i], bounds, work[h * n + i],
                            v[h], g[i], sums[k, h, i],
                        )  # fmt: skip
                    rest = sums[k, h, i, n_term_sums:]
                    _add_moments(b[h, i], block[i], v[h], bounds[2], rest)
                np.dot(g, b[h].T, cross)
                for i in range(n):
                    row = sums[k, h, i, n_term_sums + 2 :]
                    for t in range(n):
                        row[t] += cross[i, t]


class NumbaEStep:
    """One pass over data in memory, by as many threads as there are processors.

    Parameters
    ----------
    x : array, shape (n_components, n_times)
        Sphered data; used as they are when they are in the dtype and in C order.
    jacobian : float
        The log-determinant of the sphering.
    dtype : 'float64' | 'float32'
        In what the elements are computed.
    chunk : int | None
        Samples in a block.
    """

    def __init__(
        self,
        x: Float[Array, "components times"],
        *,
        jacobian: float = 0.0,
        dtype: str = "float64",
        chunk: int | None = None,
    ) -> None:
        self._x = _take(x, dtype)
        self._jacobian = jacobian
        self._chunk = chunk

    def __call__(
        self,
        parameters: AmicaParameters,
        weights: Float[np.ndarray, " times"],
        scores: Float[np.ndarray, "models times"] | None = None,
    ) -> Statistics:
        """Compute the statistics; fill in each model's log joint density if asked."""
        dtype = self._x.dtype
        terms, models = compute_constants(parameters, self._jacobian)
        by_source = (terms / _LN2, parameters.mu, parameters.beta, parameters.rho)
        offset = np.einsum("hik,hk->hi", parameters.unmix, parameters.center)
        bounds = (FLOOR[dtype.name], _SAFE[dtype.name], 0.0, 1.0, 1 / _LN2)
        stacked = np.stack(by_source).transpose(1, 3, 0, 2)
        given = (parameters.unmix, offset, stacked, np.array(models), np.array(bounds))
        if scores is None:
            scores = np.empty((len(models), 0))
        n_block, panel, totals, sums = self._plan(parameters)
        fixed = (
            *(_take(one, dtype) for one in given),
            self._x,
            _take(weights, dtype),
            scores,
            np.zeros(1, np.int64),
            *(n_block, panel, _FOLD[dtype.name]),
            *(totals, sums),
        )
        run_on_threads(lambda: _pass(*fixed))  # pyright: ignore[reportCallIssue]
        return _collect(_add_panels(totals), _add_panels(sums), float(weights.sum()))

    def _plan(
        self, parameters: AmicaParameters
    ) -> tuple[int, int, np.ndarray, np.ndarray]:
        """Choose the block, cut time into panels, and make room for their sums."""
        n_models, n_mix, n = parameters.mu.shape
        n_times = self._x.shape[1]
        n_block = self._chunk
        if n_block is None:
            rows = n_models * n * (3 * n_mix if n_models > 1 else 3)
            n_block = _SCRATCH_BYTES // (self._x.itemsize * rows) // 64 * 64
            n_block = max(128, min(512, n_block))
        shape = (n_models, n, _N_SUMS * n_mix + 2 + n)
        room = _PANEL_BYTES // (8 * math.prod(shape))
        n_blocks = -(-n_times // n_block)
        per_panel = -(-n_blocks // max(1, min(_MAX_PANELS, room)))
        n_panels = -(-n_blocks // per_panel)
        totals, sums = np.zeros((n_panels, n_models + 1)), np.zeros((n_panels, *shape))
        return n_block, per_panel * n_block, totals, sums


def _take(values: Array, dtype: np.dtype | str) -> np.ndarray:
    """Copy what is not as needed; for read-only arrays all were compiled anew."""
    return np.require(values, dtype, ["C", "W"])


def _add_panels(panels: np.ndarray) -> np.ndarray:
    """Add along the first axis, in place, in the order of a binary tree."""
    n = len(panels)
    while n > 1:
        half = n // 2
        panels[:half] += panels[n - half : n]
        n -= half
    return panels[0]


def _collect(totals: np.ndarray, sums: np.ndarray, n_samples: float) -> Statistics:
    """Name the sums; by source they are those of terms, v b^2, v x, and g b'."""
    n_models, n, _ = sums.shape
    by_term, moments, cross = np.split(sums, [-n - 2, -n], axis=2)
    by_term = by_term.reshape(n_models, n, -1, _N_SUMS).transpose(3, 0, 2, 1)
    u, ur, ur_y, ur_y2, url, ur2, ur2_y2 = np.ascontiguousarray(by_term)
    vb2, vx = np.ascontiguousarray(np.moveaxis(moments, -1, 0))
    return Statistics(
        log_likelihood=float(totals[-1]), n_samples=n_samples, v=totals[:-1].copy(),
        vb2=vb2, vx=vx,
        u=u, ur=ur, ur_y=ur_y, ur_y2=ur_y2, url=url, ur2=ur2, ur2_y2=ur2_y2,
        cross=cross.copy(),
    )  # fmt: skip


def is_compiled() -> bool:
    """Tell whether the pass was compiled here before, in this process or on disk.

    Examples
    --------
    >>> is_compiled() in (True, False)
    True
    """
    folder = _pass.stats.cache_path
    on_disk = folder is not None and any(Path(folder).glob("statistics_cpu._pass*.nbi"))
    return bool(_pass.signatures) or on_disk
