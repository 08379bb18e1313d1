r"""Exponential and logarithm that compilers turn into vector instructions.

The polynomials interpolate :math:`(e^r - 1 - r) / r^2` and
:math:`(2 \operatorname{artanh}(s) / s - 2) / s^2` at Chebyshev nodes; their errors are
below a tenth of the last digit. Compiled functions call these for each element of a
loop; strict arithmetic keeps the splitting constants from being simplified away.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

_F32 = np.float32


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with strict arithmetic."""
    make = njit(fastmath={"contract"}, error_model="numpy")
    return make(inspect.unwrap(function))  # of what checks types in tests


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
def _power_of_two(typing_context, shifted):
    """Take 1.5 * 2 ** digits + k, whose low bits are k, to 2 ** k."""
    layout = _Layout(shifted)

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], layout.whole)
        power = builder.add(bits, layout.constant(layout.bias))
        power = builder.shl(power, layout.constant(layout.digits))
        return builder.bitcast(power, layout.real)

    return shifted(shifted), generate


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


@_compile
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
    return ((p * r) * r + r + 1.0) * _power_of_two(shifted)  # pyright: ignore[reportCallIssue]


@_compile
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
    return ((p * r) * r + r + _F32(1.0)) * _power_of_two(shifted)  # pyright: ignore[reportCallIssue]


@_compile
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


@_compile
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


def fast_exp(x: float) -> float:
    """Compute exp(x) for x <= 700 in compiled code; below -708 it stays there.

    In float32 the bounds are 88 and -87. Two units of the last digit at most.

    Examples
    --------
    >>> njit(lambda x: fast_exp(x))(0.0)
    1.0
    """
    raise NotImplementedError("for compiled functions only")


def fast_log(x: float) -> float:
    """Compute log(x) of a positive normal number in compiled code.

    Two units of the last digit at most; no check of zero, infinity or NaN.

    Examples
    --------
    >>> njit(lambda x: fast_log(x))(1.0)
    0.0
    """
    raise NotImplementedError("for compiled functions only")


@overload(fast_exp, inline="never")
def _overload_exp(x):
    return (lambda x: _exp64(x)) if x == types.float64 else (lambda x: _exp32(x))


@overload(fast_log, inline="never")
def _overload_log(x):
    return (lambda x: _log64(x)) if x == types.float64 else (lambda x: _log32(x))
