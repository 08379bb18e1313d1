r"""Exponential and logarithm in float64 that XLA turns into vector instructions.

The polynomials are those of `meegic.components.elementary`. XLA has a slow logarithm
for a processor's float64; it is these that the CPU uses, in float64 alone.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from meegic.base.arrays import Array

HIGH, LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # of log 2
_CARRIER = 1.5 * 2**52  # added to a whole number, that is in its bits
HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
_LIFT = ((1023 + 52) << 52) + 2048
EXP = (
    2.510038549551032e-08, 2.7620088445409746e-07, 2.7557268459997064e-06,
    2.4801521295954376e-05, 1.9841269863053618e-04, 1.3888888917213717e-03,
    8.333333333330062e-03, 4.166666666662413e-02, 1.6666666666666669e-01, 0.5,
)  # fmt: skip
LOG = (
    0.14616585424888623, 0.15331710618210773, 0.18182889455674947,
    0.22222211130259878, 0.2857142862600327, 0.39999999999899444, 0.666666666666667,
)  # fmt: skip


def fast_exp(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute exp(x) of float64; outside -708 to 709 it stays at the bounds' values.

    Parameters
    ----------
    x : array
        Any float64; two units of the last digit at most.

    Returns
    -------
    array
        exp(x).

    Examples
    --------
    >>> from meegic.base.arrays import precise
    >>> with precise():
    ...     float(fast_exp(jnp.zeros(())))
    1.0
    """
    x = jnp.clip(x, -708.0, 709.0)
    whole = jnp.round(x * 1.4426950408889634)
    r = x - whole * HIGH - whole * LOW
    p = _evaluate(EXP, r)
    bits = lax.bitcast_convert_type(whole + _CARRIER, jnp.int64)
    power = lax.bitcast_convert_type((bits + 1023) << 52, jnp.float64)
    return ((p * r) * r + r + 1.0) * power


def fast_log(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute log(x) of positive normal float64; zero, infinity, NaN are not checked.

    Parameters
    ----------
    x : array
        Positive normal float64; two units of the last digit at most.

    Returns
    -------
    array
        log(x).

    Examples
    --------
    >>> from meegic.base.arrays import precise
    >>> with precise():
    ...     float(fast_log(jnp.ones(())))
    0.0
    """
    bits = lax.bitcast_convert_type(x, jnp.int64)
    exponent = (bits - HALF) >> 52
    m = lax.bitcast_convert_type(bits - (exponent << 52), jnp.float64)
    whole = lax.bitcast_convert_type(exponent + _LIFT, jnp.float64)
    whole = whole - float(2**52 + 2048)
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    # 2 artanh(s) = f - s (f - z p), which loses nothing where f is small.
    tail = whole * LOW - s * (f - z * _evaluate(LOG, z))
    return f + tail + whole * HIGH


def _evaluate(coefficients: tuple[float, ...], x: Array) -> Array:
    """Evaluate a polynomial, the highest power first."""
    value = coefficients[0] * x + coefficients[1]
    for one in coefficients[2:]:
        value = value * x + one
    return value
