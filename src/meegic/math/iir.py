r"""Recursive filters made of second-order sections, in blocks of time.

A cascade of sections is one linear system
:math:`s_{t+1} = A s_t + B x_t,\; y_t = C s_t + D x_t`. Over a block of samples the
output is a product with the Toeplitz matrix of the impulse response plus what the
state at the start of the block still rings, so only the few numbers of the state are
scanned. The state is held in balanced coordinates [1]_, where rounding errors are not
amplified: a 0.1 Hz high-pass at 1 kHz is then usable in float32.

References
----------
.. [1] Moore (1981). Principal component analysis in linear systems. IEEE Transactions
   on Automatic Control 26(1), 17-32.
"""

from dataclasses import dataclass, field
from itertools import accumulate, repeat

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float
from scipy.linalg import rq, toeplitz

from meegic.base.arrays import Array, keep_kind, precise
from meegic.base.checks import check_finite
from meegic.base.errors import InputError, OptionError, ShapeError

BLOCK = 64

# Directions weaker than this fraction of the strongest are cancelled pole-zero pairs
# (measured: 3e-13); a Butterworth filter of order 16 has one of 1e-10.
_CANCELLED = 1e-11

# Poles nearer to the unit circle cannot be told from poles outside: rounding moves the
# two poles of a section by the root of its size.
_MARGIN = np.sqrt(np.finfo(float).eps)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BlockFilter:
    """A cascade of second-order sections, ready to run over blocks of time.

    Attributes
    ----------
    response : array, shape (n_block, n_block)
        From the samples of a block to its output.
    observe : array, shape (n_block, n_states)
        From the state before a block to its output.
    gather : array, shape (n_states, n_block)
        From the samples of a block to the state after it.
    powers : array, shape (n_block, n_states, n_states)
        From the state before a block to the state after 1, 2, ... of its samples.
    steady : array, shape (n_states,)
        The state that a constant input of one would have reached.
    leave : array, shape (n_states, n_states)
        From the balanced state to that of the sections, as SciPy defines it.
    enter : array, shape (n_states, n_states)
        Back from the state of the sections.
    n_padding : int
        Samples that zero phase adds at each end, as many as SciPy does.
    """

    response: Float[Array, "block block"]
    observe: Float[Array, "block states"]
    gather: Float[Array, "states block"]
    powers: Float[Array, "block states states"]
    steady: Float[Array, " states"]
    leave: Float[Array, "states states"]
    enter: Float[Array, "states states"]
    n_padding: int = field(metadata={"static": True})


def balance_sos(sos: np.ndarray) -> BlockFilter:
    """Prepare a cascade of second-order sections for filtering.

    Parameters
    ----------
    sos : array, shape (n_sections, 6)
        Numerator and denominator of every section, as SciPy designs them.

    Returns
    -------
    BlockFilter
        The same filter in balanced coordinates, in float64.

    Examples
    --------
    >>> from scipy.signal import butter
    >>> balance_sos(butter(4, 1.0, "high", fs=250.0, output="sos")).enter.shape
    (4, 4)
    """
    sos = _check_sos(sos).astype(np.longdouble)
    a, b, c, d = _chain_sections(sos)
    leave, enter = _balance(*(one.astype(float) for one in (a, b, c)))
    # The maps were found in float64; this makes them inverses to all digits. With the
    # system in float64 a 0.1 Hz high-pass is wrong by 2e-10, with all digits by 2e-13.
    enter = 2 * enter - enter @ leave.astype(np.longdouble) @ enter
    a, b, c = enter @ a @ leave, enter @ b, c @ leave

    identity = np.eye(len(b))
    powers = np.stack(list(accumulate(repeat(a, BLOCK), np.matmul, initial=identity)))
    observe = c @ powers[:-1]
    n_first_order = (sos[:, [2, 5]] == 0).sum(axis=0).min()
    matrices = {
        "response": toeplitz([d, *(observe[:-1] @ b)], np.zeros(BLOCK)),
        "observe": observe,
        "gather": (powers[-2::-1] @ b).T,
        "powers": powers[1:],
        "steady": np.linalg.solve((identity - a).astype(float), b.astype(float)),
        "leave": leave,
        "enter": enter,
    }
    return BlockFilter(
        **{name: one.astype(float) for name, one in matrices.items()},
        n_padding=3 * (2 * len(sos) + 1 - int(n_first_order)),
    )


@keep_kind
def filter_forward(
    design: BlockFilter,
    data: Array,
    *,
    zi: Array | None = None,
) -> tuple[Float[Array, "*rows times"], Float[Array, "sections *rows 2"]]:
    """Filter along time, causally.

    Parameters
    ----------
    design : BlockFilter
        What :func:`balance_sos` made.
    data : array, shape (..., n_times)
        The signals, in any unit. Float32 stays float32; NaN and masks are refused.
    zi : array, shape (n_sections, ..., 2) | None
        The state to start from, as :func:`scipy.signal.sosfilt` defines it. ``None``
        is a filter that has seen zeros only.

    Returns
    -------
    filtered : array, shape (..., n_times)
        The filtered signals; NumPy where nothing that was passed is of JAX.
    zf : array, shape (n_sections, ..., 2)
        The state after the last sample. It is float64 for data of any precision,
        because in SciPy's coordinates float32 loses slow filters.

    Examples
    --------
    >>> from scipy.signal import butter
    >>> design = balance_sos(butter(4, 1.0, "high", fs=250.0, output="sos"))
    >>> filtered, zf = filter_forward(design, np.ones((2, 1000)))
    >>> filtered.shape, zf.shape
    ((2, 1000), (2, 2, 2))
    """
    _check_state(design, data, zi)
    with precise():
        return _forward(design, _take_data(data), zi)


@keep_kind
def filter_zero_phase(design: BlockFilter, data: Array) -> Float[Array, "*rows times"]:
    """Filter along time, forward then backward, so that nothing is delayed.

    The ends are continued by their point reflection, and each pass starts from the
    steady state of its first sample, as in :func:`scipy.signal.sosfiltfilt`.

    Parameters
    ----------
    design : BlockFilter
        What :func:`balance_sos` made.
    data : array, shape (..., n_times)
        The signals, in any unit. Float32 stays float32.

    Returns
    -------
    array, shape (..., n_times)
        The filtered signals; NumPy where the data are.

    Examples
    --------
    >>> from scipy.signal import butter
    >>> design = balance_sos(butter(4, 1.0, "high", fs=250.0, output="sos"))
    >>> bool(abs(filter_zero_phase(design, np.ones((2, 1000)))).max() < 1e-9)
    True
    """
    if data.shape[-1] <= design.n_padding:
        raise InputError(
            f"data must have at least {design.n_padding + 1} times for this filter in "
            f"both directions, but have {data.shape[-1]}.",
            hint="Use a longer recording, a filter of lower order, or one direction.",
        )
    with precise():
        return _both_ways(design, _take_data(data))


@jax.jit
def _forward(
    design: BlockFilter, data: jax.Array, zi: Array | None
) -> tuple[jax.Array, jax.Array]:
    """Filter from and to the state of the sections, which stays in float64."""
    rows = data.shape[:-1]
    if zi is None:
        state = jnp.zeros((*rows, len(design.steady)), data.dtype)
    else:
        joined = jnp.moveaxis(zi, 0, -2).reshape(*rows, -1)
        state = (joined @ design.enter.T).astype(data.dtype)
    filtered, state = _run_blocks(design, data, state)
    zf = (state @ design.leave.T).reshape(*rows, -1, 2)
    return filtered, jnp.moveaxis(zf, -2, 0)


@jax.jit
def _both_ways(design: BlockFilter, data: jax.Array) -> jax.Array:
    """Filter both ways over the extended data, and cut the extension off."""
    n = design.n_padding
    before = 2 * data[..., :1] - data[..., n:0:-1]
    after = 2 * data[..., -1:] - data[..., -2 : -n - 2 : -1]
    signal = jnp.concatenate([before, data, after], axis=-1)
    steady = jnp.asarray(design.steady, data.dtype)
    for _ in ("forward", "backward"):
        start = jnp.einsum("...,s->...s", signal[..., 0], steady)
        signal = _run_blocks(design, signal, start)[0][..., ::-1]
    return signal[..., n:-n]


def _run_blocks(
    design: BlockFilter, data: jax.Array, state: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Output and last balanced state, computed in the dtype of the data."""
    design = jax.tree.map(lambda one: jnp.asarray(one, data.dtype), design)
    *rows, n_times = data.shape
    n_blocks = -(-n_times // BLOCK)
    n_last = n_times - (n_blocks - 1) * BLOCK
    padding = [(0, 0)] * len(rows) + [(0, n_blocks * BLOCK - n_times)]
    blocks = jnp.pad(data, padding).reshape(*rows, n_blocks, BLOCK)

    def advance(state: jax.Array, push: jax.Array) -> tuple[jax.Array, jax.Array]:
        return state @ design.powers[-1].T + push, state

    # Accelerators multiply float32 with 10 bits unless told not to.
    with jax.default_matmul_precision("highest"):
        pushes = jnp.moveaxis(blocks @ design.gather.T, -2, 0)
        _, states = jax.lax.scan(advance, state, pushes)
        ringing = jnp.moveaxis(states, 0, -2) @ design.observe.T
        filtered = blocks @ design.response.T + ringing
        last = blocks[..., -1, :n_last] @ design.gather[:, BLOCK - n_last :].T
        state = states[-1] @ design.powers[n_last - 1].T + last
    return filtered.reshape(*rows, -1)[..., :n_times], state


def _chain_sections(
    sos: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.floating]:
    """State space of the cascade, each section in transposed direct form II."""
    n_states = 2 * len(sos)
    a = np.zeros((n_states, n_states), sos.dtype)
    b, c, d = np.zeros(n_states, sos.dtype), np.zeros(n_states, sos.dtype), sos[0, 3]
    for first, (b0, b1, b2, _, a1, a2) in zip(range(0, n_states, 2), sos, strict=True):
        own = slice(first, first + 2)
        gain = np.array([b1 - a1 * b0, b2 - a2 * b0])
        a[own] = np.outer(gain, c)
        a[own, own] = [[-a1, 1.0], [-a2, 0.0]]
        b[own] = gain * d
        c = b0 * c
        c[first] = 1.0
        d = b0 * d
    return a, b, c, d


def _balance(
    a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Map out of, and into, states as easily reached as they are observed.

    Cancelled poles and first-order sections leave directions that the input cannot
    reach or the output cannot see. They cannot be balanced; they are kept as they are,
    so that every state of the sections survives the way in and out.
    """
    reach, observe = _gramian_root(a, b), _gramian_root(a.T, c)
    left, weights, right = np.linalg.svd(observe.T @ reach, full_matrices=False)
    kept = weights > _CANCELLED * weights.max(initial=0.0)
    scales = np.sqrt(weights[kept])
    balanced = reach @ right[kept].T / scales
    enter = (left[:, kept] / scales).T @ observe.T
    unseen = np.linalg.qr(enter.T, mode="complete")[0][:, len(enter) :]
    leave = np.hstack([balanced, unseen])
    return leave, np.linalg.inv(leave)


def _gramian_root(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r"""Square root of the Gramian :math:`\sum_k A^k B B^\top A^{k\top}`, by doubling.

    A solver of the Lyapunov equation gives the Gramian itself, whose condition is the
    square of this root's; that lost two states of an 8th order high-pass at 0.01 Hz.
    """
    root, power, step = np.zeros((len(b), 0)), a, b[:, None]
    while np.linalg.norm(step) > np.finfo(float).eps * np.linalg.norm(root):
        root, _ = rq(np.hstack([root, step]), mode="economic")
        step = power @ root
        power = power @ power
    return root


def _check_sos(sos: np.ndarray) -> np.ndarray:
    """Take sections with a leading denominator of one and stable poles."""
    sos = np.asarray(sos, dtype=float)
    if sos.ndim != 2 or sos.shape[0] == 0 or sos.shape[1] != 6:
        raise ShapeError(
            f"sos must have shape (n_sections, 6) with at least one section, but got "
            f"{sos.shape}.",
            hint="Design the filter with output='sos'.",
        )
    check_finite("sos", sos)
    for index, section in enumerate(sos):
        if section[3] == 0:
            raise OptionError(
                "sos must have denominators that do not start with zero, but section "
                f"{index} has a0 = 0."
            )
        radius = np.abs(np.roots(section[3:])).max(initial=0.0)
        if radius >= 1 - _MARGIN:
            raise OptionError(
                "sos must have all poles inside the unit circle by more than rounding, "
                f"but section {index} has a pole of modulus {radius:.9g}.",
                hint="The filter is unstable; move its edges or lower its order.",
            )
    return sos / sos[:, 3:4]


def _take_data(data: Array) -> jax.Array:
    """Refuse no signals, and where values are known those that are not finite."""
    if data.size == 0:
        raise ShapeError(f"data is empty: its shape is {data.shape}.")
    if not isinstance(data, Tracer):
        check_finite("data", np.asarray(data))
    return jnp.asarray(data)


def _check_state(design: BlockFilter, data: Array, zi: Array | None) -> None:
    """Refuse a state of another filter or of other data."""
    wanted = (len(design.steady) // 2, *data.shape[:-1], 2)
    if zi is not None and zi.shape != wanted:
        raise ShapeError(
            f"zi must have shape (n_sections, ..., 2) = {wanted}, but got {zi.shape}."
        )
