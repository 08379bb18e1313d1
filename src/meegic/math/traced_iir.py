"""Filters whose coefficients are traced, so that one can differentiate through them.

The coordinates of the state are found at the current coefficients and held constant:
what a filter does to a signal does not depend on them.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from meegic.base.arrays import Array, precise
from meegic.math.iir import BLOCK, BlockFilter

# Doublings of the time over which a Gramian is summed: 2^30 samples.
_N_DOUBLINGS = 30


def differentiate_precisely(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be computed and differentiated in float64.

    Its results come in JAX's default precision. Where that is float32, derivatives are
    in reverse mode only: what is transposed outside of `precise` would lose its digits.

    Parameters
    ----------
    function : callable
        Takes arrays to a pytree of arrays.

    Returns
    -------
    callable
        The same function.

    Examples
    --------
    >>> @differentiate_precisely
    ... def cancel(x):
    ...     return (1.0 + x) - 1.0
    >>> bool(abs(cancel(1e-9) - 1e-9) < 1e-15)
    True
    """

    def widen(tree: Any) -> Any:
        return jax.tree.map(lambda one: jnp.asarray(one, jnp.float64), tree)

    def compute(*args: Any) -> tuple[Any, tuple]:
        dtype = jnp.zeros(()).dtype
        with precise():
            made = function(*widen(args))
            return jax.tree.map(lambda one: one.astype(dtype), made), args

    def pull_back(args: tuple, cotangents: Any) -> tuple:
        with precise():
            _, pull = jax.vjp(function, *widen(args))
            found = pull(widen(cotangents))
            return jax.tree.map(lambda one, arg: one.astype(arg.dtype), found, args)

    in_reverse = jax.custom_vjp(lambda *args: compute(*args)[0])
    in_reverse.defvjp(compute, pull_back)

    @wraps(function)
    def follow(*args: Any) -> Any:
        dtype = jnp.zeros(()).dtype
        args = jax.tree.map(lambda one: jnp.asarray(one, dtype), args)
        return (function if dtype == jnp.float64 else in_reverse)(*args)

    return follow


def trace_butter(
    order: int, edge: ArrayLike | Sequence[Array | float], btype: str, sfreq: float
) -> Float[Array, "sections 6"]:
    r"""Design a Butterworth filter with edges that may be traced.

    The analog prototype's pairs of poles become quadratics :math:`s^2 + r s + m`, which
    the bilinear transform with :math:`c = 2 f_s` takes to
    :math:`[c^2 + rc + m,\, 2m - 2c^2,\, c^2 - rc + m]`.

    Parameters
    ----------
    order : int
        Order of the prototype, as SciPy counts.
    edge : float | array, shape () or (2,)
        The edge in Hz; for a band its two edges.
    btype : 'lowpass' | 'highpass' | 'bandpass'
        Which frequencies pass.
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    array, shape (n_sections, 6)
        Second-order sections in float64, all of the same kind.

    Examples
    --------
    >>> trace_butter(2, 1.0, "highpass", 100.0)[0, 3:].round(3)
    Array([ 1.   , -1.911,  0.915], dtype=float64)
    """
    with precise():
        c = 2.0 * sfreq
        w = c * jnp.tan(jnp.pi * jnp.asarray(edge, jnp.float64) / sfreq)
        if btype == "bandpass":
            return _band_sections(order, w[0], w[1], c)
        shape = jnp.array([c**2, -2 * c**2, c**2])
        first = jnp.array([c, -c, 0.0])
        if btype == "lowpass":
            shape = w**2 * jnp.array([1.0, 2.0, 1.0])
            first = w * jnp.array([1.0, 1.0, 0.0])
        sections = [
            _divide(shape, _bilinear(2 * sine * w, w**2, c)) for sine in _sines(order)
        ]
        if order % 2:
            sections.append(_divide(first, jnp.stack([c + w, w - c, 0 * w])))
        return jnp.stack(sections)


def _band_sections(order: int, low: jax.Array, high: jax.Array, c: float) -> jax.Array:
    """Sections of a band-pass: s becomes (s^2 + center^2) / (width s)."""
    width, squared = high - low, low * high
    shape = width * c * jnp.array([1.0, 0.0, -1.0])
    pairs = [(width, squared)] if order % 2 else []
    for sine in _sines(order):
        pole = width * (-sine + 1j * math.sqrt(1 - sine**2))
        # The larger root; the difference that gives the smaller one would cancel.
        large = (pole - jnp.sqrt(pole**2 - 4 * squared)) / 2
        for root in (large, squared / large):
            pairs.append((-2 * root.real, root.real**2 + root.imag**2))
    return jnp.stack([_divide(shape, _bilinear(r, m, c)) for r, m in pairs])


def _sines(order: int) -> list[float]:
    """Of the angles of the prototype's pairs of poles with the imaginary axis."""
    return [math.sin(math.pi * (2 * k + 1) / (2 * order)) for k in range(order // 2)]


def _bilinear(r: jax.Array, m: jax.Array, c: float) -> jax.Array:
    return jnp.stack([c**2 + r * c + m, 2 * m - 2 * c**2, c**2 - r * c + m])


def _divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    first = denominator[0]
    # Compiled, a number divided by itself need not be one.
    return jnp.concatenate([numerator / first, jnp.ones(1), denominator[1:] / first])


def trace_blocks(sos: Float[Array, "sections 6"], *, n_first_order: int) -> BlockFilter:
    """Prepare traced second-order sections for filtering, in balanced coordinates.

    Parameters
    ----------
    sos : array, shape (n_sections, 6)
        Sections in float64 of which none cancels another, with a0 = 1. Where they are
        unstable the result is not finite.
    n_first_order : 0 | 1
        Whether the last of them is of first order.

    Returns
    -------
    BlockFilter
        The filter, differentiable in the sections.

    Examples
    --------
    >>> sos = trace_butter(4, 1.0, "highpass", 250.0)
    >>> trace_blocks(sos, n_first_order=0).observe.shape
    (64, 4)
    """
    with precise():
        return _trace_sections(jnp.asarray(sos), n_first_order)


@partial(jax.jit, static_argnums=1)
def _trace_sections(sos: jax.Array, n_first_order: int) -> BlockFilter:
    a, b, c, d = _chain(sos)
    # The last section's second state never leaves zero where it is of first order.
    used = slice(2 * len(sos) - n_first_order)
    fixed = jax.lax.stop_gradient((a[used, used], b[used], c[used]))
    leave = jax.scipy.linalg.block_diag(_balance(*fixed), jnp.eye(n_first_order))
    enter = jnp.linalg.inv(leave)
    steady = jnp.linalg.solve(jnp.eye(len(b)) - a, b)
    n_padding = 3 * (2 * len(sos) + 1 - n_first_order)
    system = enter @ a @ leave, enter @ b, c @ leave, d
    return _build(system, enter @ steady, (leave, enter), n_padding)


def trace_companion(b: Array, a: Array) -> BlockFilter:
    """Prepare traced coefficients of a rational filter, in transposed direct form II.

    Parameters
    ----------
    b, a : array, shape (n_b,) and (n_a,)
        Numerator and denominator, as SciPy defines them.

    Returns
    -------
    BlockFilter
        The filter forward in time, differentiable in the coefficients. Nothing makes
        it accurate where they are not: long filters with slow edges.

    Examples
    --------
    >>> trace_companion(np.ones(2), np.array([1.0, -0.5])).response[:3, 0]
    Array([1.  , 1.5 , 0.75], dtype=float64)
    """
    with precise():
        return _trace_direct(*(jnp.asarray(one, jnp.float64) for one in (b, a)))


@jax.jit
def _trace_direct(b: jax.Array, a: jax.Array) -> BlockFilter:
    n_states = max(2, max(len(b), len(a)) // 2 * 2)
    b, a = (jnp.pad(one, (0, n_states + 1 - len(one))) / a[0] for one in (b, a))
    matrix = jnp.eye(n_states, k=1).at[:, 0].set(-a[1:])
    c = jnp.zeros(n_states).at[0].set(1.0)
    system = matrix, b[1:] - a[1:] * b[0], c, b[0]
    same = jnp.eye(n_states)
    return _build(system, jnp.zeros(n_states), (same, same), 0)


def _build(
    system: tuple[jax.Array, ...],
    steady: jax.Array,
    maps: tuple[jax.Array, jax.Array],
    n_padding: int,
) -> BlockFilter:
    """Write the matrices of a block from those of a sample."""
    a, b, c, d = system
    powers = a[None]
    while len(powers) < BLOCK:
        powers = jnp.concatenate([powers, powers @ powers[-1]])
    before = jnp.concatenate([jnp.eye(len(b))[None], powers[:-1]])
    observe = c @ before
    impulse = jnp.concatenate([d[None], (observe @ b)[:-1]])
    lags = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))
    return BlockFilter(
        response=jnp.where(lags >= 0, impulse[np.maximum(lags, 0)], 0.0),
        observe=observe,
        gather=(before[::-1] @ b).T,
        powers=powers,
        steady=steady,
        leave=maps[0],
        enter=maps[1],
        n_padding=n_padding,
    )


def _chain(sos: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """State space of the cascade, each section in transposed direct form II."""
    n_states = 2 * len(sos)
    a, b = [], []
    c, d = jnp.zeros(0), jnp.ones(())
    for b0, b1, b2, _, a1, a2 in sos:
        gain = jnp.stack([b1 - a1 * b0, b2 - a2 * b0])
        own = jnp.stack([-jnp.stack([a1, a2]), jnp.array([1.0, 0.0])], axis=1)
        later = jnp.zeros((2, n_states - len(c) - 2))
        a.append(jnp.concatenate([jnp.outer(gain, c), own, later], axis=1))
        b.append(gain * d)
        c = jnp.concatenate([b0 * c, jnp.array([1.0, 0.0])])
        d = b0 * d
    return jnp.concatenate(a), jnp.concatenate(b), c, d


def _balance(a: jax.Array, b: jax.Array, c: jax.Array) -> jax.Array:
    """Map out of states as easily reached as they are observed."""
    reach, observe = _gramian_root(a, b), _gramian_root(a.T, c)
    _, weights, right = jnp.linalg.svd(observe.T @ reach)
    return reach @ right.T / jnp.sqrt(weights)[None, :]


def _gramian_root(a: jax.Array, b: jax.Array) -> jax.Array:
    """Lower triangular root of the sum of A^k B B' A'^k."""

    def double(_: jax.Array, carry: tuple) -> tuple:
        root, power = carry
        joined = jnp.hstack([root, power @ root])
        return jnp.linalg.qr(joined.T, mode="r").T, power @ power

    start = jnp.zeros_like(a).at[:, 0].set(b)
    return jax.lax.fori_loop(0, _N_DOUBLINGS, double, (start, a))[0]
