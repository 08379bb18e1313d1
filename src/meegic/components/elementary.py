r"""Exponential and logarithm that compilers turn into vector instructions.

The polynomials interpolate :math:`(e^r - 1 - r) / r^2`, :math:`(2^f - 1) / f`,
:math:`(2 \operatorname{artanh}(s) / s - 2) / s^2` and :math:`2 \operatorname{artanh}(s)
/ (s \log 2)` at Chebyshev nodes; their errors are below a tenth of the last digit.
Compiled functions call these for each element of a loop; strict arithmetic keeps the
splitting constants from being simplified away. Powers of two take fewer instructions.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

_F32 = np.float32


class _Layout:
    """How a float is laid out in bits, as LLVM constants."""

    def __init__(self, kind: types.Type) -> None:
        double = kind == types.float64
        self.digits, self.bias = (52, 1023) if double else (23, 127)
        self.whole = ir.IntType(64 if double else 32)
        self.real = ir.DoubleType() if double else ir.FloatType()
        # The bits of sqrt(1/2), where the mantissa's range begins, and of 2 ** digits.
        self.half = 0x3FE6A09E667F3BCD if double else 0x3F3504F3
        self.carrier = (self.bias + self.digits) << self.digits

    def constant(self, value: int) -> ir.Constant:
        """Make a whole number of the float's width."""
        return ir.Constant(self.whole, value)


@intrinsic
def _times_power_of_two(typing_context, value, shifted):
    """Multiply by 2 ** k, given 1.5 * 2 ** digits + k, whose low bits are k."""
    layout = _Layout(value)

    def generate(context, builder, signature, arguments):
        bits, power = (builder.bitcast(one, layout.whole) for one in arguments)
        power = builder.shl(power, layout.constant(layout.digits))
        return builder.bitcast(builder.add(bits, power), layout.real)

    return value(value, shifted), generate


def _binary_exponent(builder: ir.IRBuilder, bits: ir.Value, layout: _Layout):
    above = builder.sub(bits, layout.constant(layout.half))
    return builder.ashr(above, layout.constant(layout.digits))


@intrinsic
def _exponent(typing_context, value):
    """Split off the power of two of a positive number, as a float."""
    layout = _Layout(value)

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], layout.whole)
        exponent = _binary_exponent(builder, bits, layout)
        # Added to 2 ** digits it is in the low bits: no conversion instruction needed.
        lifted = builder.add(exponent, layout.constant(layout.carrier + 2048))
        base = ir.Constant(layout.real, float(2**layout.digits + 2048))
        return builder.fsub(builder.bitcast(lifted, layout.real), base)

    return value(value), generate


@intrinsic
def _mantissa(typing_context, value):
    """Give what is left of a positive number: between sqrt(1/2) and sqrt(2)."""
    layout = _Layout(value)

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], layout.whole)
        exponent = _binary_exponent(builder, bits, layout)
        scaled = builder.shl(exponent, layout.constant(layout.digits))
        return builder.bitcast(builder.sub(bits, scaled), layout.real)

    return value(value), generate


def _exp64(x):
    x = x if x > -708.0 else -708.0
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    whole = shifted - 6755399441055744.0
    r = x - whole * 6.93147180369123816490e-01 - whole * 1.90821492927058770002e-10
    p = 2.510038549551032e-08
    p = p * r + 2.7620088445409746e-07
    p = p * r + 2.7557268459997064e-06
    p = p * r + 2.4801521295954376e-05
    p = p * r + 1.9841269863053618e-04
    p = p * r + 1.3888888917213717e-03
    p = p * r + 8.333333333330062e-03
    p = p * r + 4.166666666662413e-02
    p = p * r + 1.6666666666666669e-01
    p = p * r + 5.0e-01
    return _times_power_of_two((p * r) * r + r + 1.0, shifted)  # pyright: ignore[reportCallIssue]


def _exp32(x):
    x = x if x > _F32(-87.0) else _F32(-87.0)
    shifted = x * _F32(1.44269504) + _F32(12582912.0)
    whole = shifted - _F32(12582912.0)
    r = x - whole * _F32(0.693145752) - whole * _F32(1.42860677e-06)
    p = _F32(1.3926183587713494e-03)
    p = p * r + _F32(8.363179052722578e-03)
    p = p * r + _F32(4.1666554617204574e-02)
    p = p * r + _F32(1.6666576989698775e-01)
    p = p * r + _F32(0.5)
    one = _F32(1.0)
    return _times_power_of_two((p * r) * r + r + one, shifted)  # pyright: ignore[reportCallIssue]


def _exp2_64(x):
    x = x if x > -1021.0 else -1021.0
    shifted = x + 6755399441055744.0
    f = x - (shifted - 6755399441055744.0)
    p = 4.4549605981865186e-10
    p = p * f + 7.072585949269223e-09
    p = p * f + 1.0178062445845774e-07
    p = p * f + 1.321544258792169e-06
    p = p * f + 1.525273382983612e-05
    p = p * f + 1.540353044173605e-04
    p = p * f + 1.3333558146416936e-03
    p = p * f + 9.618129107606888e-03
    p = p * f + 5.55041086648216e-02
    p = p * f + 2.4022650695910097e-01
    p = p * f + 6.931471805599453e-01
    return _times_power_of_two(p * f + 1.0, shifted)  # pyright: ignore[reportCallIssue]


def _exp2_32(x):
    x = x if x > _F32(-125.0) else _F32(-125.0)
    shifted = x + _F32(12582912.0)
    f = x - (shifted - _F32(12582912.0))
    p = _F32(1.545316294512069e-04)
    p = p * f + _F32(1.3390863364671234e-03)
    p = p * f + _F32(9.618082557277852e-03)
    p = p * f + _F32(5.550357114219078e-02)
    p = p * f + _F32(2.4022650760568126e-01)
    p = p * f + _F32(6.931471880262288e-01)
    return _times_power_of_two(p * f + _F32(1.0), shifted)  # pyright: ignore[reportCallIssue]


def _log64(x):
    whole, m = _exponent(x), _mantissa(x)  # pyright: ignore[reportCallIssue]
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    p = 0.14616585424888623
    p = p * z + 0.15331710618210773
    p = p * z + 0.18182889455674947
    p = p * z + 0.22222211130259878
    p = p * z + 0.2857142862600327
    p = p * z + 0.39999999999899444
    p = p * z + 0.666666666666667
    # 2 artanh(s) = f - s (f - z p), which loses nothing where f is small.
    tail = whole * 1.90821492927058770002e-10 - s * (f - z * p)
    return f + tail + whole * 6.93147180369123816490e-01


def _log32(x):
    whole, m = _exponent(x), _mantissa(x)  # pyright: ignore[reportCallIssue]
    f = m - _F32(1.0)
    s = f / (m + _F32(1.0))
    z = s * s
    p = _F32(0.2958005304318844)
    p = p * z + _F32(0.39988778282162807)
    p = p * z + _F32(0.6666668504515603)
    tail = whole * _F32(1.42860677e-06) - s * (f - z * p)
    return f + tail + whole * _F32(0.693145752)


def _log2_64(x):
    whole, m = _exponent(x), _mantissa(x)  # pyright: ignore[reportCallIssue]
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 0.2136589569431927
    p = p * z + 0.2209130842311768
    p = p * z + 0.262334352504183
    p = p * z + 0.32059853491395984
    p = p * z + 0.4121985858409005
    p = p * z + 0.5770780163455203
    p = p * z + 0.9617966939259898
    p = p * z + 2.8853900817779268
    return p * s + whole


def _log2_32(x):
    whole, m = _exponent(x), _mantissa(x)  # pyright: ignore[reportCallIssue]
    s = (m - _F32(1.0)) / (m + _F32(1.0))
    z = s * s
    p = _F32(0.43171769745887384)
    p = p * z + _F32(0.5767151860190234)
    p = p * z + _F32(0.96179883880211)
    p = p * z + _F32(2.8853900798033365)
    return p * s + whole


def fast_exp(x: float) -> float:
    """Compute exp(x) for x <= 700 in compiled code; below -708 it stays there.

    In float32 the bounds are 88 and -87. Two units of the last digit at most.

    Examples
    --------
    >>> from numba import njit
    >>> njit(lambda x: fast_exp(x))(0.0)
    1.0
    """
    raise NotImplementedError("for compiled functions only")


def fast_exp2(x: float) -> float:
    """Compute 2 ** x for x <= 1023 in compiled code; below -1021 it stays there.

    In float32 the bounds are 127 and -125. Two units of the last digit at most; a
    quarter faster than `fast_exp`.

    Examples
    --------
    >>> from numba import njit
    >>> njit(lambda x: fast_exp2(x))(-3.0)
    0.125
    """
    raise NotImplementedError("for compiled functions only")


def fast_log(x: float) -> float:
    """Compute log(x) of a positive normal number in compiled code.

    Two units of the last digit at most; no check of zero, infinity or NaN.

    Examples
    --------
    >>> from numba import njit
    >>> njit(lambda x: fast_log(x))(1.0)
    0.0
    """
    raise NotImplementedError("for compiled functions only")


def fast_log2(x: float) -> float:
    """Compute the logarithm to base 2 of a positive normal number in compiled code.

    Four units of the last digit at most; no check of zero, infinity or NaN.

    Examples
    --------
    >>> from numba import njit
    >>> njit(lambda x: fast_log2(x))(8.0)
    3.0
    """
    raise NotImplementedError("for compiled functions only")


def _provide(
    name: Callable[[float], float],
    double: Callable[..., Any],
    single: Callable[..., Any],
) -> None:
    """Compile calls of a name with strict arithmetic, in the argument's precision."""
    # Unwrapped of what checks types in tests.
    double, single = inspect.unwrap(double), inspect.unwrap(single)
    strict: Any = {"fastmath": {"contract"}, "error_model": "numpy"}
    overload(name, jit_options=strict)(
        lambda x: double if x == types.float64 else single
    )


_provide(fast_exp, _exp64, _exp32)
_provide(fast_exp2, _exp2_64, _exp2_32)
_provide(fast_log, _log64, _log32)
_provide(fast_log2, _log2_64, _log2_32)
