r"""Exponential and logarithm that compilers turn into vector instructions.

The polynomials interpolate :math:`(e^r - 1 - r) / r^2`, :math:`(2^f - 1) / f`,
:math:`(2 \operatorname{artanh}(s) / s - 2) / s^2` and :math:`2 \operatorname{artanh}(s)
/ (s \log 2)` at Chebyshev nodes; their errors are below a tenth of the last digit.
Compiled functions call these for each element of a loop. They are written into the
caller as instructions, whose arithmetic is strict, so that the splitting constants are
not simplified away. Powers of two take fewer of them.
"""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, NamedTuple

from llvmlite import ir
from numba.extending import intrinsic

from meegic.components.elementary_jax import EXP, HALF, HIGH, LOG, LOW


class _Tables(NamedTuple):
    """What the algorithms need to know of a precision."""

    digits: int  # of the mantissa
    bias: int  # of the exponent
    half: int  # the bits of sqrt(1/2), where the range of the mantissa begins
    high: float  # log 2, in two parts
    low: float
    least_exp: float
    least_exp2: float
    exp: Sequence[float]  # the highest power first, as in all of them
    exp2: Sequence[float]
    log: Sequence[float]
    log2: Sequence[float]


_DOUBLE = _Tables(
    digits=52, bias=1023, half=HALF, high=HIGH, low=LOW,
    least_exp=-708.0, least_exp2=-1021.0, exp=EXP,
    exp2=(
        4.4549605981865186e-10, 7.072585949269223e-09, 1.0178062445845774e-07,
        1.321544258792169e-06, 1.525273382983612e-05, 1.540353044173605e-04,
        1.3333558146416936e-03, 9.618129107606888e-03, 5.55041086648216e-02,
        2.4022650695910097e-01, 6.931471805599453e-01, 1.0,
    ),
    log=LOG,
    log2=(
        0.2136589569431927, 0.2209130842311768, 0.262334352504183, 0.32059853491395984,
        0.4121985858409005, 0.5770780163455203, 0.9617966939259898, 2.8853900817779268,
    ),
)  # fmt: skip
_SINGLE = _Tables(
    digits=23, bias=127, half=0x3F3504F3, high=0.693145752, low=1.42860677e-06,
    least_exp=-87.0, least_exp2=-125.0,
    exp=(
        1.3926183587713494e-03, 8.363179052722578e-03, 4.1666554617204574e-02,
        1.6666576989698775e-01, 0.5,
    ),
    exp2=(
        1.545316294512069e-04, 1.3390863364671234e-03, 9.618082557277852e-03,
        5.550357114219078e-02, 2.4022650765920567e-01, 6.931471880262288e-01, 1.0,
    ),
    log=(0.2958005304318844, 0.39988778282162807, 0.6666668504515603),
    log2=(
        0.43171769745887384, 0.5767151860190234, 0.96179883880211, 2.8853900798033365,
    ),
)  # fmt: skip


class _Number:
    """A float of compiled code: arithmetic on it writes the instructions."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        double = isinstance(value.type, ir.DoubleType)
        self.builder, self.value = builder, value
        self.tables = _DOUBLE if double else _SINGLE
        self.whole = ir.IntType(64 if double else 32)

    def __add__(self, other: "_Number | float") -> "_Number":
        return self._combine(self.builder.fadd, other)

    def __sub__(self, other: "_Number | float") -> "_Number":
        return self._combine(self.builder.fsub, other)

    def __mul__(self, other: "_Number | float") -> "_Number":
        return self._combine(self.builder.fmul, other)

    def __truediv__(self, other: "_Number | float") -> "_Number":
        return self._combine(self.builder.fdiv, other)

    def at_least(self, bound: float) -> "_Number":
        """Replace what is below a bound, or no number, by it."""
        low = self._take(bound)
        above = self.builder.fcmp_ordered(">", self.value, low, flags=["contract"])
        return self._number(self.builder.select(above, self.value, low))

    def polynomial(self, coefficients: Sequence[float]) -> "_Number":
        """Evaluate a polynomial, the highest power first."""
        result = self * coefficients[0] + coefficients[1]
        for one in coefficients[2:]:
            result = result * self + one
        return result

    def round(self) -> tuple["_Number", "_Number"]:
        """Round to a whole number; give also that number plus 1.5 * 2 ** digits."""
        carrier = 1.5 * 2.0**self.tables.digits
        shifted = self + carrier
        return shifted - carrier, shifted

    def times_power_of_two(self, shifted: "_Number") -> "_Number":
        """Multiply by 2 ** k, given 1.5 * 2 ** digits + k, whose low bits are k."""
        power = self.builder.shl(shifted._bits(), self._whole(self.tables.digits))
        return self._from_bits(self.builder.add(self._bits(), power))

    def split(self) -> tuple["_Number", "_Number"]:
        """Split into k and m, sqrt(1/2) <= m < sqrt(2), with m * 2 ** k the number."""
        builder, tables, bits = self.builder, self.tables, self._bits()
        above = builder.sub(bits, self._whole(tables.half))
        exponent = builder.ashr(above, self._whole(tables.digits))
        scaled = builder.shl(exponent, self._whole(tables.digits))
        # Added to 2 ** digits it is in the low bits: no conversion instruction needed.
        carrier = (tables.bias + tables.digits) << tables.digits
        lifted = builder.add(exponent, self._whole(carrier + 2048))
        whole = self._from_bits(lifted) - float(2**tables.digits + 2048)
        return whole, self._from_bits(builder.sub(bits, scaled))

    def _combine(self, write: Callable, other: "_Number | float") -> "_Number":
        return self._number(write(self.value, self._take(other), flags=["contract"]))

    def _take(self, other: "_Number | float") -> ir.Value:
        if isinstance(other, _Number):
            return other.value
        return ir.Constant(self.value.type, other)

    def _number(self, value: ir.Value) -> "_Number":
        return _Number(self.builder, value)

    def _whole(self, value: int) -> ir.Constant:
        return ir.Constant(self.whole, value)

    def _bits(self) -> ir.Value:
        return self.builder.bitcast(self.value, self.whole)

    def _from_bits(self, bits: ir.Value) -> "_Number":
        return self._number(self.builder.bitcast(bits, self.value.type))


def _written_as(compute: Callable[[_Number], _Number]) -> Callable:
    """Have compiled code replace the calls of a name by the instructions computed."""

    def describe(typing_context, x):
        def generate(context, builder, signature, arguments):
            return compute(_Number(builder, arguments[0])).value

        return x(x), generate

    def decorate(name: Callable[[float], float]) -> Callable[[float], float]:
        written: Any = intrinsic(describe)
        return update_wrapper(written, name)

    return decorate


def _exp(x: _Number) -> _Number:
    tables = x.tables
    x = x.at_least(tables.least_exp)
    whole, shifted = (x * 1.4426950408889634).round()
    r = x - whole * tables.high - whole * tables.low
    p = r.polynomial(tables.exp)
    return ((p * r) * r + r + 1.0).times_power_of_two(shifted)


def _exp2(x: _Number) -> _Number:
    x = x.at_least(x.tables.least_exp2)
    whole, shifted = x.round()
    return (x - whole).polynomial(x.tables.exp2).times_power_of_two(shifted)


def _log(x: _Number) -> _Number:
    tables = x.tables
    whole, m = x.split()
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    # 2 artanh(s) = f - s (f - z p), which loses nothing where f is small.
    tail = whole * tables.low - s * (f - z * z.polynomial(tables.log))
    return f + tail + whole * tables.high


def _log2(x: _Number) -> _Number:
    whole, m = x.split()
    s = (m - 1.0) / (m + 1.0)
    return (s * s).polynomial(x.tables.log2) * s + whole


@_written_as(_exp)
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


@_written_as(_exp2)
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


@_written_as(_log)
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


@_written_as(_log2)
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
