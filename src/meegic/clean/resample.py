"""Resampling by a rational factor, with a pass band and a stop band of 110 dB.

The filter is a Kaiser low-pass, flat up to 0.9 of the smaller Nyquist frequency and
closed from there on. It is applied to the Fourier coefficients of the extended signal:
its 142 samples per side of the slower rate cost several times more in time. The
extended length is one that both rates divide, so that no time axis is stretched.
"""

from fractions import Fraction
from functools import lru_cache, partial
from math import ceil, gcd
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax.core import Tracer
from jaxtyping import Float
from scipy.signal import firwin, kaiserord

from meegic.base.arrays import Array, keep_kind, precise
from meegic.base.checks import check_count, check_finite, check_range
from meegic.base.errors import OptionError, ShapeError
from meegic.base.threads import spread_over_threads

_ATTENUATION_DB = 110.0
_PASS = 0.9  # of the smaller Nyquist frequency, where the stop band starts

_LARGEST_DENOMINATOR = 10_000
_SAME_RATE = 1e-9

# Rows transformed at once; more of them would not be faster, but take more memory.
_N_ROWS = 8


@keep_kind
def resample_poly(
    x: Array,
    up: int,
    down: int,
    axis: int = -1,
    window: Array | None = None,
) -> Float[Array, "..."]:
    """Resample by a ratio of whole numbers.

    Ends are continued by their point reflection, so that a constant stays what it is.
    The first sample out is at the time of the first sample in.

    Parameters
    ----------
    x : array, shape (..., n_times, ...)
        The signals, in any unit.
    up, down : int
        The new rate is ``up / down`` of the old one.
    axis : int
        The axis of time.
    window : array, shape (n_taps,) | None
        An odd number of taps of another low-pass filter at ``up`` times the rate, with
        a gain of one. They are applied tap by tap.

    Returns
    -------
    array
        Signals of ``ceil(n_times * up / down)`` samples, in the precision of ``x``.

    Examples
    --------
    >>> resample_poly(np.full(10, 5.0), 1, 2).round(9)
    array([5., 5., 5., 5., 5.])
    """
    for name, one in (("up", up), ("down", down)):
        check_count(name, one)
    if x.ndim == 0 or x.size == 0:
        raise ShapeError(f"x has no samples: its shape is {x.shape}.")
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"axis must be one of the {x.ndim} of x, but got {axis!r}.")
    if not isinstance(x, Tracer):
        check_finite("x", np.asarray(x))
    common = gcd(up, down)
    up, down = up // common, down // common
    if up == down:
        return x
    with precise():
        xp: Any = np if isinstance(x, np.ndarray) else jnp
        turned = axis not in (-1, x.ndim - 1)  # turning nothing would copy in JAX
        rows = xp.moveaxis(x, axis, -1) if turned else x
        if window is None:
            resampled = _resample_by_fourier(rows, up, down)
        else:
            resampled = _resample_by_taps(rows, _check_taps(window), up, down)
        return xp.moveaxis(resampled, -1, axis) if turned else resampled


def resample_minimal(
    x: Array, original_sfreq: float, target_sfreq: float, axis: int = -1
) -> Float[Array, "..."]:
    """Resample from one sampling rate to another.

    Parameters
    ----------
    x : array, shape (..., n_times, ...)
        The signals, in any unit.
    original_sfreq, target_sfreq : float
        The rates in Hz. Their ratio must be that of two whole numbers, the smaller of
        which is at most 10 000; it is never rounded.
    axis : int
        The axis of time.

    Returns
    -------
    array
        The signals at the new rate, as :func:`resample_poly` makes them.

    Examples
    --------
    >>> resample_minimal(np.ones((2, 512)), 512.0, 200.0).shape
    (2, 200)
    """
    ratio = find_ratio(original_sfreq, target_sfreq)
    return resample_poly(x, ratio.numerator, ratio.denominator, axis=axis)


def find_ratio(original_sfreq: float, target_sfreq: float) -> Fraction:
    """Find the ratio of two sampling rates in whole numbers.

    Parameters
    ----------
    original_sfreq, target_sfreq : float
        The rates in Hz.

    Returns
    -------
    Fraction
        Target over original, to a relative error of 1e-9.

    Examples
    --------
    >>> find_ratio(512.0, 200.0)
    Fraction(25, 64)
    """
    for name, rate in (
        ("original_sfreq", original_sfreq),
        ("target_sfreq", target_sfreq),
    ):
        check_range(name, rate, low=0.0, open_low=True, unit="Hz")
        if not np.isfinite(rate):
            raise OptionError(f"{name} must be a finite rate in Hz, but got {rate!r}.")
    exact = Fraction(float(target_sfreq)) / Fraction(float(original_sfreq))
    ratio = exact.limit_denominator(_LARGEST_DENOMINATOR)
    if abs(ratio / exact - 1) > _SAME_RATE:
        nearest = float(original_sfreq) * float(ratio)
        raise OptionError(
            f"target_sfreq / original_sfreq must be a ratio of whole numbers with a "
            f"denominator of at most {_LARGEST_DENOMINATOR}, but got {target_sfreq!r} "
            f"and {original_sfreq!r} Hz.",
            hint=f"The nearest rate that can be had is {nearest:.12g} Hz."
            if ratio
            else "",
        )
    return ratio


def _resample_by_fourier(rows: Array, up: int, down: int) -> Array:
    """Filter, and cut or fill, the spectrum of the extended signals."""
    # What the filter sees at either side, in whole periods of both rates.
    n_side = ceil(_n_taps(max(up, down)) / 2 / up / down)
    n_periods = scipy.fft.next_fast_len(
        2 * n_side + ceil(rows.shape[-1] / down), real=True
    )
    gains = _find_response(n_periods * min(up, down)) * (up / down)
    gains = gains.astype(rows.dtype)
    if isinstance(rows, np.ndarray):
        return _spread_rows(rows, gains, up, down, n_side, n_periods)
    return _map_rows(rows, gains, up, down, n_side, n_periods)


@partial(jax.jit, static_argnums=range(2, 6))
def _map_rows(
    rows: jax.Array, gains: Array, up: int, down: int, n_side: int, n_periods: int
) -> jax.Array:
    def resample(row: jax.Array) -> Array:
        return _filter_spectrum(row, gains, up, down, n_side, n_periods)

    flat = rows.reshape(-1, rows.shape[-1])
    resampled = jax.lax.map(resample, flat, batch_size=_N_ROWS)
    return resampled.reshape(*rows.shape[:-1], -1)


def _spread_rows(
    rows: np.ndarray, gains: np.ndarray, up: int, down: int, n_side: int, n_periods: int
) -> np.ndarray:
    """Resample by SciPy, which needs no program for each length."""
    flat = rows.reshape(-1, rows.shape[-1])
    resampled = np.empty((len(flat), ceil(flat.shape[1] * up / down)), rows.dtype)

    def resample(index: int) -> None:
        row = flat[index]
        resampled[index] = _filter_spectrum(row, gains, up, down, n_side, n_periods)

    spread_over_threads(resample, range(len(flat)))
    return resampled.reshape(*rows.shape[:-1], -1)


def _filter_spectrum(
    row: Array, gains: Array, up: int, down: int, n_side: int, n_periods: int
) -> Array:
    fft: Any = scipy.fft if isinstance(row, np.ndarray) else jnp.fft
    n_times, before = len(row), n_side * down
    longer = _extend(row, before, n_periods * down - before - n_times)
    spectrum = fft.rfft(longer)[: len(gains)] * gains
    resampled = fft.irfft(spectrum, n_periods * up)
    return resampled[n_side * up :][: ceil(n_times * up / down)]


@lru_cache(maxsize=16)
def _find_response(n_slow: int) -> np.ndarray:
    """Gain at the frequencies of the slower rate's ``n_slow`` samples, up to Nyquist.

    The taps are those at twice the slower rate; at higher ones the response differs by
    less than its ripple.
    """
    taps = _design_taps(2)
    centered = np.zeros(2 * n_slow)
    centered[: len(taps)] = taps
    centered = np.roll(centered, -(len(taps) // 2))
    return np.fft.rfft(centered).real[: n_slow // 2 + 1]


def _design_taps(rate: int) -> np.ndarray:
    """Kaiser low-pass at ``rate`` times the slower rate."""
    _, beta = kaiserord(_ATTENUATION_DB, (1 - _PASS) / rate)
    cut = (1 + _PASS) / 2 / rate
    return firwin(_n_taps(rate), cut, window=("kaiser", beta))


def _n_taps(rate: int) -> int:
    return kaiserord(_ATTENUATION_DB, (1 - _PASS) / rate)[0] // 2 * 2 + 1


def _resample_by_taps(rows: Array, taps: jax.Array, up: int, down: int) -> jax.Array:
    """Convolve without storing the zeros between samples that ``up`` asks for."""
    rows = jnp.asarray(rows)
    n_times, half = rows.shape[-1], len(taps) // 2
    n_side = ceil(half / up)
    longer = jnp.asarray(_extend(rows, n_side, n_side))
    n_out = ceil(n_times * up / down)
    # Of the diluted samples, those that the first and the last output see.
    first = n_side * up - half
    last = n_side * up + (n_out - 1) * down + half
    n_diluted = (longer.shape[-1] - 1) * up + 1
    convolved = jax.lax.conv_general_dilated(
        longer.reshape(-1, 1, longer.shape[-1]),
        up * taps[None, None, ::-1].astype(rows.dtype),
        window_strides=(down,),
        padding=[(-first, last + 1 - n_diluted)],
        lhs_dilation=(up,),
        precision="highest",
    )
    return convolved.reshape(*rows.shape[:-1], n_out)


def _extend(rows: Array, before: int, after: int) -> Array:
    """Reflect in the end points as far as there are samples, then hold the value."""
    xp = np if isinstance(rows, np.ndarray) else jnp
    most = rows.shape[-1] - 1
    reflected = min(before, most), min(after, most)
    held = before - reflected[0], after - reflected[1]
    keep = [(0, 0)] * (rows.ndim - 1)
    if most:
        rows = xp.pad(rows, [*keep, reflected], mode="reflect", reflect_type="odd")
    return xp.pad(rows, [*keep, held], mode="edge")


def _check_taps(window: Array) -> jax.Array:
    if window.ndim != 1 or len(window) % 2 == 0:
        raise ShapeError(
            f"window must be an odd number of taps, but has shape {window.shape}.",
            hint="Design it with scipy.signal.firwin, or leave it out.",
        )
    if not isinstance(window, Tracer):
        check_finite("window", np.asarray(window))
    return jnp.asarray(window)
