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
from numba.extending import intrinsic

from meegic.base.arrays import Array
from meegic.components.elementary import fast_exp, fast_log
from meegic.components.parameters import AmicaParameters, compute_constants
from meegic.components.statistics import Statistics
from meegic.components.threads import run_on_threads

_SCRATCH_BYTES = 400_000  # of one thread: within the second-level cache of a core
_PANEL_BYTES = 48_000_000  # of all panels' sums together
_MAX_PANELS = 64
# How many densities are multiplied before their logarithm is taken, and the smallest
# that can be multiplied that often; those below it take the slower, safe way.
_FOLD = {"float64": 8, "float32": 2}
_SAFE = {"float64": 1e-36, "float32": 1e-18}
_FLOOR = {"float64": 1e-30, "float32": 1e-18}  # of |y|


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter's lock, and keep the code where one may write."""
    flags = {"contract", "arcp", "nsz", "reassoc"}
    make = njit(nogil=True, fastmath=flags, error_model="numpy")
    compiled = make(inspect.unwrap(function))  # of what checks types in tests
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


@_compile
def _evaluate(b, terms, mu, beta, rho, bounds, z, r, log_y, density, score, product):
    """Compute r, log|y| and the unnormalized posterior z of every term; add to score.

    ``product`` collects densities, whose logarithm is still to be taken.
    """
    n_block, n_mix = b.shape[0], mu.shape[0]
    floor, safe, zero, one = bounds[0], bounds[1], bounds[2], bounds[3]
    for t in range(n_block):
        density[t] = zero
    for j in range(n_mix):
        mu_j, beta_j, rho_j, term = mu[j], beta[j], rho[j], terms[j]
        z_j, r_j, log_j = z[j], r[j], log_y[j]
        for t in range(n_block):
            y = abs(beta_j * (b[t] - mu_j))
            log_j[t] = fast_log(y if y > floor else floor)
        for t in range(n_block):  # loops of their own: one polynomial fits registers
            r_j[t] = fast_exp(rho_j * log_j[t])
        for t in range(n_block):
            e = fast_exp(term - r_j[t])
            z_j[t] = e
            density[t] += e
    unsafe = zero
    for t in range(n_block):
        unsafe += one if density[t] < safe else zero
    if unsafe > zero:
        _normalize(terms, r, z, density, score)
    for t in range(n_block):
        product[t] *= density[t]
        density[t] = one / density[t]


@_compile
def _normalize(terms, r, z, density, score):
    """Compute z and its sum relative to the largest term, which is added to score."""
    for t in range(density.shape[0]):
        top = terms[0] - r[0, t]
        for j in range(1, terms.shape[0]):
            top = max(top, terms[j] - r[j, t])
        total = top - top
        for j in range(terms.shape[0]):
            z[j, t] = fast_exp(terms[j] - r[j, t] - top)
            total += z[j, t]
        density[t] = total
        score[t] += top


@_compile
def _accumulate(b, mu, beta, rho, bounds, z, r, log_y, inverse, v, g, sums):
    """Add one source's sums over a block; g becomes sum_j u beta rho r / y."""
    n_block = b.shape[0]
    floor, zero, one = bounds[0], bounds[2], bounds[3]
    for t in range(n_block):
        g[t] = zero
        inverse[t] *= v[t]
    for j in range(mu.shape[0]):
        mu_j, beta_j, slope = mu[j], beta[j], beta[j] * rho[j]
        z_j, r_j, log_j = z[j], r[j], log_y[j]
        u0, ur0, q0, qy0, rl0, r20, r2y20 = zero, zero, zero, zero, zero, zero, zero
        for t in range(n_block):
            y = beta_j * (b[t] - mu_j)
            y = one / (y if abs(y) > floor else floor)
            u = z_j[t] * inverse[t]
            ur = u * r_j[t]
            q = ur * y
            qy = q * y
            g[t] += slope * q
            u0 += u
            ur0 += ur
            q0 += q
            qy0 += qy
            rl0 += ur * log_j[t]
            r20 += ur * r_j[t]
            r2y20 += qy * r_j[t]
        row = sums[j]
        row[0] += u0
        row[1] += ur0
        row[2] += q0
        row[3] += qy0
        row[4] += rl0
        row[5] += r20
        row[6] += r2y20


@_compile
def _weigh_models(weights, score, top, v):
    """Turn scores into the weight of each model; return the sum of log-likelihoods."""
    n_models, n_block = score.shape
    total = v[n_models]  # the last row is free
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


@_compile
def _add_moments(b, x, v, moments):
    """Add the sums of v b^2 and v x of every source over a block."""
    for i in range(b.shape[0]):
        b_i, x_i = b[i], x[i]
        power = place = v[0] - v[0]
        for t in range(v.shape[0]):
            power += v[t] * b_i[t] * b_i[t]
            place += v[t] * x_i[t]
        moments[0, i] += power
        moments[1, i] += place


@_compile
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
    unmix, offset, terms, mu, beta, rho, models, bounds,
    x, weights, scores, counter, n_block, panel, fold,
    total, n_explained, moments, sums, cross,
):  # fmt: skip
    """Draw panels until none is left, and add each one's blocks to its sums."""
    n_models, n, _ = unmix.shape
    n_mix, n_times = mu.shape[2], x.shape[1]
    single = n_models == 1  # then weights are known at once: nothing to be kept
    slots = 1 if single else n_models * n
    block = np.empty((n, n_block), x.dtype)
    b = np.empty((n_models, n, n_block), x.dtype)
    g = np.empty((n, n_block), x.dtype)
    # Rows a little longer than a block: powers of two would compete for cache lines.
    z = np.empty((slots, n_mix, n_block + 24), x.dtype)
    r, log_y = np.empty_like(z), np.empty_like(z)
    inverse = np.empty((slots, n_block), x.dtype)
    score, product = np.empty((2, n_models, n_block), x.dtype)
    kept, top = np.empty((2, n_block), x.dtype)
    product_cross = np.empty((n, n), x.dtype)
    v = np.empty((n_models + 1, n_block), x.dtype)
    while True:
        k = _draw_ticket(counter)  # pyright: ignore[reportCallIssue]
        if k >= total.shape[0]:
            break
        for start in range(k * panel, min(n_times, (k + 1) * panel), n_block):
            width = _take_block(x, start, block, kept, weights)
            for h in range(n_models):
                np.dot(unmix[h], block, b[h])
                score_h, product_h = score[h], product[h]
                for t in range(n_block):
                    score_h[t] = models[h]
                    product_h[t] = 1
                for i in range(n):
                    slot = 0 if single else h * n + i
                    b_i, move = b[h, i], offset[h, i]
                    for t in range(n_block):
                        b_i[t] -= move
                    _evaluate(
                        b_i, terms[h, i], mu[h, i], beta[h, i], rho[h, i], bounds,
                        z[slot], r[slot], log_y[slot], inverse[slot],
                        score_h, product_h,
                    )  # fmt: skip
                    if single:
                        _accumulate(
                            b_i, mu[h, i], beta[h, i], rho[h, i], bounds,
                            z[0], r[0], log_y[0], inverse[0], kept, g[i], sums[k, h, i],
                        )  # fmt: skip
                    if i % fold == fold - 1 or i == n - 1:
                        for t in range(n_block):
                            score_h[t] += fast_log(product_h[t])
                            product_h[t] = 1
            if scores.shape[1] > 0:
                for h in range(n_models):
                    for t in range(width):
                        scores[h, start + t] = score[h, t]
            total[k] += _weigh_models(kept, score, top, v)
            for h in range(n_models):
                v_h = v[h]
                for t in range(n_block):
                    n_explained[k, h] += v_h[t]
                _add_moments(b[h], block, v_h, moments[k, :, h])
                for i in range(0 if single else n):
                    slot = h * n + i
                    _accumulate(
                        b[h, i], mu[h, i], beta[h, i], rho[h, i], bounds,
                        z[slot], r[slot], log_y[slot], inverse[slot],
                        v_h, g[i], sums[k, h, i],
                    )  # fmt: skip
                np.dot(g, b[h].T, product_cross)
                for i in range(n):
                    for t in range(n):
                        cross[k, h, i, t] += product_cross[i, t]


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
        offset = np.einsum("hik,hk->hi", parameters.unmix, parameters.center)
        by_source = (terms, parameters.mu, parameters.beta, parameters.rho)
        bounds = (_FLOOR[dtype.name], _SAFE[dtype.name], 0.0, 1.0)
        if scores is None:
            scores = np.empty((len(models), 0))
        n_block, panel, sums = self._plan(parameters)
        fixed = (
            *(_take(one, dtype) for one in (parameters.unmix, offset)),
            *(_take(one.swapaxes(1, 2), dtype) for one in by_source),
            *(np.array(one, dtype) for one in (models, bounds)),
            self._x,
            _take(weights, dtype),
            scores,
            np.zeros(1, np.int64),
            n_block,
            panel,
            _FOLD[dtype.name],
        )
        run_on_threads(lambda: _pass(*fixed, *sums))  # pyright: ignore[reportCallIssue]
        return _collect([_add_pairwise(one) for one in sums], float(weights.sum()))

    def _plan(self, parameters: AmicaParameters) -> tuple[int, int, list[np.ndarray]]:
        """Choose the block, cut time into panels, and make room for their sums."""
        n_models, n_mix, n = parameters.mu.shape
        n_times = self._x.shape[1]
        n_block = self._chunk
        if n_block is None:
            slots = n_models * n if n_models > 1 else n
            per_sample = self._x.itemsize * slots * (3 * n_mix if n_models > 1 else 3)
            n_block = max(64, min(512, _SCRATCH_BYTES // per_sample // 64 * 64))
        shapes = [(), (n_models,), (2, n_models, n), (n_models, n, n_mix, 7)]
        shapes.append((n_models, n, n))
        room = _PANEL_BYTES // (8 * sum(math.prod(one) for one in shapes))
        n_blocks = -(-n_times // n_block)
        per_panel = -(-n_blocks // max(1, min(_MAX_PANELS, room)))
        n_panels = -(-n_blocks // per_panel)
        sums = [np.zeros((n_panels, *shape)) for shape in shapes]
        return n_block, per_panel * n_block, sums


def _take(values: Array, dtype: np.dtype | str) -> np.ndarray:
    """Copy what is not as needed; for read-only arrays all were compiled anew."""
    return np.require(values, dtype, ["C", "W"])


def _add_pairwise(panels: np.ndarray) -> np.ndarray:
    """Add along the first axis in the order of a binary tree."""
    while len(panels) > 1:
        rest = panels[len(panels) // 2 * 2 :]
        panels = np.concatenate([panels[:-1:2] + panels[1::2], rest])
    return panels[0, ...]  # an array, even of a single number


def _collect(sums: list[np.ndarray], n_samples: float) -> Statistics:
    total, v, (vb2, vx), by_term, cross = sums
    by_term = np.ascontiguousarray(np.moveaxis(by_term, -1, 0).swapaxes(2, 3))
    u, ur, ur_y, ur_y2, url, ur2, ur2_y2 = by_term
    return Statistics(
        log_likelihood=float(total), n_samples=n_samples, v=v, vb2=vb2, vx=vx,
        u=u, ur=ur, ur_y=ur_y, ur_y2=ur_y2, url=url, ur2=ur2, ur2_y2=ur2_y2,
        cross=cross,
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
