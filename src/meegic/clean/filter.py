"""Filtering of signals, forward in time or without delay."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float
from scipy.fft import next_fast_len
from scipy.signal import oaconvolve, tf2sos, upfirdn

from meegic.base.arrays import Array, keep_kind, precise
from meegic.base.checks import check_finite, check_option
from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.clean.filter_design import Filter, prepare_sos
from meegic.math.iir import BlockFilter, filter_forward, filter_zero_phase
from meegic.math.sections import filter_sections, filter_sections_both_ways
from meegic.math.traced_iir import differentiate_precisely, trace_companion

# From here on a convolution is done through the Fourier transform.
_LONG = 64

_PADDING: Mapping[str, dict] = MappingProxyType(
    {
        "odd": {"mode": "reflect", "reflect_type": "odd"},
        "even": {"mode": "reflect", "reflect_type": "even"},
        "constant": {"mode": "edge"},
        "none": {"mode": "constant"},
    }
)


@keep_kind
def apply_filter(
    data: Array,
    design: Filter,
    *,
    phase: str = "zero",
    zi: Array | None = None,
    return_zf: bool = False,
    padding: str = "odd",
) -> Float[Array, "*rows times"] | tuple[Float[Array, "*rows times"], Array]:
    """Filter along the last axis.

    Parameters
    ----------
    data : array, shape (..., n_times)
        The signals, in any unit. Float32 stays float32; NaN is refused.
    design : Filter
        What :func:`design_filter` or :func:`design_notch` made.
    phase : 'zero' | 'forward'
        Without delay, for which recursive filters run in both directions and finite
        ones are shifted; or causally.
    zi : array | None
        The state to start from, forward in time only: shape (n_sections, ..., 2) as
        :func:`scipy.signal.sosfilt` has it, or for a finite filter (..., n_taps - 1)
        as :func:`scipy.signal.lfilter` has it. ``None`` has seen zeros only.
    return_zf : bool
        Whether to return the state after the last sample as well.
    padding : 'odd' | 'even' | 'constant' | 'none'
        How ends are continued for zero phase: reflected in the end point or the end
        time, held, or not at all.

    Returns
    -------
    filtered : array, shape (..., n_times)
        The filtered signals; NumPy where the data are.
    zf : array
        The last state, as ``zi``; only with ``return_zf``.

    Examples
    --------
    >>> from meegic.clean.filter_design import design_filter
    >>> high_pass = design_filter(250.0, l_freq=1.0)
    >>> bool(abs(apply_filter(np.ones((2, 1000)), high_pass)).max() < 1e-9)
    True
    """
    check_option("phase", phase, ["zero", "forward"])
    check_option("padding", padding, list(_PADDING))
    _check_signals(data)
    form = design.form
    if phase == "forward":
        if isinstance(form, BlockFilter):
            filtered, zf = _run_sections(data, design.sos, form, zi)
        else:
            filtered, zf = _run_taps(data, form, zi)
        return (filtered, zf) if return_zf else filtered
    if zi is not None or return_zf:
        raise OptionError(
            "phase must be 'forward' where zi or return_zf is given, but got 'zero'.",
            hint="A filter without delay has no state to hand over.",
        )
    if not isinstance(form, BlockFilter):
        return _center_taps(data, form, padding)
    n_needed = 1 if padding == "none" else form.n_padding + 1
    if data.shape[-1] < n_needed:
        raise InputError(
            f"data must have at least {n_needed} times ({n_needed / design.sfreq:.3g} "
            f"s) for this filter in both directions, but have {data.shape[-1]}.",
            hint="Use a longer recording, a filter of lower order, or one direction.",
        )
    return _run_both_ways(data, design.sos, form, padding)


@keep_kind
def filter_data(
    data: Array,
    b: Array | tuple[float, ...],
    a: Array | tuple[float, ...],
    *,
    zi: Array | None = None,
    return_zf: bool = False,
) -> Float[Array, "*rows times"] | tuple[Float[Array, "*rows times"], Array]:
    r"""Filter along the last axis by the coefficients of a rational filter, causally.

    :math:`a_0 y_t = \sum_k b_k x_{t-k} - \sum_{k>0} a_k y_{t-k}`. Where the
    coefficients are known they are factored into second-order sections; where JAX
    traces them one can differentiate through them.

    Parameters
    ----------
    data : array, shape (..., n_times)
        The signals, in any unit. Float32 stays float32; NaN is refused.
    b, a : array, shape (n_b,) and (n_a,)
        Numerator and denominator, as in :func:`scipy.signal.lfilter`.
    zi : array | None
        The state to start from: for a recursive filter (n_sections, ..., 2), that of
        its sections by :func:`scipy.signal.tf2sos`; for a finite one (..., n_b - 1).
        ``None`` has seen zeros only.
    return_zf : bool
        Whether to return the state after the last sample as well.

    Returns
    -------
    filtered : array, shape (..., n_times)
        The filtered signals; NumPy where the data are.
    zf : array
        The last state, as ``zi``; only with ``return_zf``.

    Examples
    --------
    >>> filter_data(np.array([1.0, 0.0, 0.0]), [1.0], [1.0, -0.5])
    array([1.  , 0.5 , 0.25])
    """
    _check_signals(data)
    b, a = _check_coefficients("b", b), _check_coefficients("a", a)
    if not isinstance(a, Tracer):
        if a[0] == 0:
            raise OptionError(f"a must not start with zero, but got {a.tolist()}.")
        a = np.trim_zeros(a, "b")
    if len(a) == 1:
        filtered, zf = _run_taps(data, b / a[0], zi)
    elif isinstance(b, Tracer) or isinstance(a, Tracer):
        if zi is not None or return_zf:
            raise OptionError(
                "zi and return_zf need coefficients that are known, but JAX traces b "
                "or a.",
                hint="The sections, whose state this is, are found outside of jit.",
            )
        blocks = differentiate_precisely(trace_companion)(b, a)
        filtered, zf = filter_forward(blocks, data)
    else:
        sos = _factor(b.tobytes(), a.tobytes())
        filtered, zf = _run_sections(data, sos, prepare_sos(sos), zi)
    return (filtered, zf) if return_zf else filtered


def lfilter(
    b: Array | tuple[float, ...],
    a: Array | tuple[float, ...],
    x: Array,
    *,
    zi: Array | None = None,
    return_zf: bool = False,
) -> Float[Array, "*rows times"] | tuple[Float[Array, "*rows times"], Array]:
    """Filter as :func:`filter_data` does, with the arguments in SciPy's order.

    Parameters
    ----------
    b, a : array, shape (n_b,) and (n_a,)
        Numerator and denominator.
    x : array, shape (..., n_times)
        The signals.
    zi : array | None
        The state to start from.
    return_zf : bool
        Whether to return the last state as well.

    Returns
    -------
    array, or two of them
        The filtered signals, and with ``return_zf`` the state.

    Examples
    --------
    >>> lfilter(np.array([0.5, 0.5]), np.ones(1), np.array([2.0, 4.0, 6.0]))
    array([1., 3., 5.])
    """
    return filter_data(x, b, a, zi=zi, return_zf=return_zf)


def _run_sections(
    data: Array, sos: Array | None, blocks: BlockFilter, zi: Array | None
) -> tuple[Array, Array]:
    """Filter forward; arrays of NumPy by SciPy, which is faster there."""
    if isinstance(data, jax.Array) or isinstance(zi, jax.Array):
        return filter_forward(blocks, data, zi=zi)
    if not isinstance(sos, np.ndarray):
        return filter_forward(blocks, data, zi=zi)
    if zi is not None:
        _check_state(zi, (len(sos), *data.shape[:-1], 2))
    return filter_sections(sos, data, zi)


def _run_both_ways(
    data: Array, sos: Array | None, blocks: BlockFilter, padding: str
) -> Array:
    """Filter in both directions, each from the steady state of its first sample."""
    n = 0 if padding == "none" else blocks.n_padding
    if isinstance(data, np.ndarray) and isinstance(sos, np.ndarray):
        how = None if padding == "none" else padding
        return filter_sections_both_ways(sos, data, padding=how, n_padding=n)
    if padding == "odd":
        return filter_zero_phase(blocks, data)
    with precise():
        longer = _extend(jnp.asarray(data), n, padding)
        steady = (blocks.leave @ blocks.steady).reshape(-1, 2)
        for _ in ("forward", "backward"):
            start = jnp.einsum("...,ks->k...s", longer[..., 0], steady)
            longer = filter_forward(blocks, longer, zi=start)[0][..., ::-1]
        return longer[..., n : longer.shape[-1] - n]


def _run_taps(data: Array, taps: Array, zi: Array | None) -> tuple[Array, Array]:
    """Convolve; the state is what the samples so far will add to those to come."""
    n_times = data.shape[-1]
    full = _convolve(data, taps)
    if zi is not None:
        _check_state(zi, (*data.shape[:-1], len(taps) - 1))
        xp = np if isinstance(full, np.ndarray) and isinstance(zi, np.ndarray) else jnp
        later = [(0, 0)] * (data.ndim - 1) + [(0, n_times)]
        with precise():
            full = full + xp.pad(zi.astype(full.dtype), later)
    return full[..., :n_times], full[..., n_times:]


def _center_taps(data: Array, taps: Array, padding: str) -> Array:
    """Convolve with the extended data and take away the delay."""
    half = len(taps) // 2
    first, n_times = 2 * half, data.shape[-1]
    full = _convolve(_extend(data, half, padding), taps)
    return full[..., first : first + n_times]


def _convolve(data: Array, taps: Array) -> Array:
    """Full convolution along time, in the precision of the data."""
    n_taps, n_times = len(taps), data.shape[-1]
    if isinstance(data, np.ndarray) and isinstance(taps, np.ndarray):
        taps = taps.astype(data.dtype)
        if n_taps < _LONG:
            return upfirdn(taps, data, axis=-1)
        return oaconvolve(data, taps.reshape([1] * (data.ndim - 1) + [-1]), axes=-1)
    with precise():
        data = jnp.asarray(data)
        taps = jnp.asarray(taps, data.dtype)
        if n_taps < _LONG:
            return _convolve_directly(data, taps)
        n_full = n_times + n_taps - 1
        n_fourier = next_fast_len(n_full, real=True)
        gains = jnp.fft.rfft(taps, n_fourier)
        gains = gains.reshape([1] * (data.ndim - 1) + [-1])
        spectrum = jnp.fft.rfft(data, n_fourier) * gains
        return jnp.fft.irfft(spectrum, n_fourier)[..., :n_full]


def _convolve_directly(data: jax.Array, taps: jax.Array) -> jax.Array:
    margin = len(taps) - 1
    full = jax.lax.conv_general_dilated(
        data.reshape(-1, 1, data.shape[-1]),
        taps[None, None, ::-1],
        window_strides=(1,),
        padding=[(margin, margin)],
        precision="highest",
    )
    return full.reshape(*data.shape[:-1], -1)


def _extend(data: Array, n: int, padding: str) -> Array:
    """Continue both ends; beyond what can be reflected with zeros, as MNE does."""
    xp = np if isinstance(data, np.ndarray) else jnp
    rows = [(0, 0)] * (data.ndim - 1)
    reflects = padding in ("odd", "even")
    near = min(n, data.shape[-1] - 1) if reflects else n
    if near:
        data = xp.pad(data, [*rows, (near, near)], **_PADDING[padding])
    return xp.pad(data, [*rows, (n - near, n - near)])


@lru_cache(maxsize=64)
def _factor(b_bytes: bytes, a_bytes: bytes) -> np.ndarray:
    """Factor into sections, with delays in sections of their own.

    SciPy drops leading zeros of the numerator, and takes small ones for zeros.
    """
    b, a = np.frombuffer(b_bytes), np.frombuffer(a_bytes)
    gain = np.abs(b).max()
    if gain == 0:
        return np.array([[0.0, 0, 0, 1, 0, 0]])
    delay = int(np.flatnonzero(b)[0])
    sos = tf2sos(b[delay:] / gain, a)
    sos[0, :3] *= gain
    delays = [[0.0, 0, 1, 1, 0, 0]] * (delay // 2) + [[0.0, 1, 0, 1, 0, 0]] * (
        delay % 2
    )
    sos = np.vstack([sos, *delays])
    try:
        prepare_sos(sos)
    except OptionError as error:
        raise OptionError(
            f"b and a are not those of a stable filter: {error.message}",
            hint="Slow edges of a high order do not survive as b and a, by rounding; "
            "use design_filter.",
        ) from error
    return sos


def _check_signals(data: Array) -> None:
    """Refuse no samples, and where values are known those that are not finite."""
    if data.ndim == 0 or data.size == 0:
        raise ShapeError(f"data have no samples: their shape is {data.shape}.")
    if not isinstance(data, Tracer):
        check_finite("data", np.asarray(data))


def _check_coefficients(name: str, values: Array | tuple) -> Array:
    """Take a row of numbers, in float64 where they are known."""
    values = np.asarray(values) if isinstance(values, tuple) else values
    if values.ndim != 1 or values.size == 0:
        raise OptionError(
            f"{name} must be a row of at least one number, but has shape "
            f"{values.shape}."
        )
    if isinstance(values, Tracer):
        return values
    known = np.asarray(values, dtype=np.float64)
    check_finite(name, known)
    return known


def _check_state(zi: Array, shape: tuple[int, ...]) -> None:
    if zi.shape != shape:
        raise ShapeError(f"zi must have shape {shape}, but got {zi.shape}.")
