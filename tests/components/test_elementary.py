"""Exponential and logarithm, to two units of the last digit over the whole range."""

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

from meegic.base.arrays import precise
from meegic.components import elementary_jax
from meegic.components.elementary import fast_exp, fast_exp2, fast_log, fast_log2

N = 1_000_000
BOUNDS = {"float64": (-708, 700), "float32": (-87, 88)}


@njit
def apply_exp(x):
    result = np.empty_like(x)
    for k in range(len(x)):
        result[k] = fast_exp(x[k])
    return result


@njit
def apply_log(x):
    result = np.empty_like(x)
    for k in range(len(x)):
        result[k] = fast_log(x[k])
    return result


@njit
def apply_exp2(x):
    result = np.empty_like(x)
    for k in range(len(x)):
        result[k] = fast_exp2(x[k])
    return result


@njit
def apply_log2(x):
    result = np.empty_like(x)
    for k in range(len(x)):
        result[k] = fast_log2(x[k])
    return result


def exp_by_jax(x):
    with precise():
        return np.asarray(elementary_jax.fast_exp(x))


def log_by_jax(x):
    with precise():
        return np.asarray(elementary_jax.fast_log(x))


EXPS = [(apply_exp, "float64"), (apply_exp, "float32"), (exp_by_jax, "float64")]
LOGS = [(apply_log, "float64"), (apply_log, "float32"), (log_by_jax, "float64")]


def units_off(found, x, function):
    """The largest error in units of the last digit; the reference has more digits."""
    finer = np.longdouble if x.dtype == np.float64 else np.float64
    exact = function(x.astype(finer))
    spacing = np.spacing(np.abs(exact).astype(x.dtype)).astype(finer)
    return float((np.abs(found.astype(finer) - exact) / spacing).max())


@pytest.mark.parametrize(("exp", "dtype"), EXPS)
def test_exp_to_two_units_of_the_last_digit(exp, dtype):
    rng = np.random.default_rng(0)
    anywhere = rng.uniform(*BOUNDS[dtype], N // 2)
    small = rng.choice([-1, 1], N // 2) * 10.0 ** rng.uniform(-30, 1, N // 2)
    x = np.concatenate([anywhere, small, [0.0], BOUNDS[dtype]]).astype(dtype)
    found = exp(x)
    assert found.dtype == dtype
    assert units_off(found, x, np.exp) <= 2


@pytest.mark.parametrize(("log", "dtype"), LOGS)
def test_log_to_two_units_of_the_last_digit(log, dtype):
    rng = np.random.default_rng(1)
    info = np.finfo(dtype)
    powers = rng.uniform(info.minexp, info.maxexp - 1, N // 2)
    near_one = 1 + rng.choice([-1, 1], N // 2) * 10.0 ** rng.uniform(-17, -0.5, N // 2)
    x = np.concatenate([2.0**powers, near_one, [1.0, info.tiny, info.max]])
    x = x.astype(dtype)
    found = log(x)
    assert found.dtype == dtype
    assert units_off(found, x, np.log) <= 2


@pytest.mark.parametrize(("exp", "dtype"), EXPS)
def test_exp_stays_at_its_bound_far_below(exp, dtype):
    low = BOUNDS[dtype][0]
    found = exp(np.array([low, low - 1, -1e30, -np.inf, 0.0, -0.0], dtype))
    assert (found[:4] == found[0]).all()
    assert 0 < found[0] < np.finfo(dtype).tiny * 8
    assert (found[4:] == 1).all()


def test_exp_of_jax_stays_at_its_bound_far_above():
    found = exp_by_jax(np.array([709.0, 710.0, 1e300, np.inf]))
    assert (found == found[0]).all()
    assert_allclose(found[0], np.exp(709.0), rtol=1e-15)


@pytest.mark.parametrize(("log", "dtype"), LOGS)
def test_log_of_what_is_no_positive_normal_number_is_finite(log, dtype):
    """The kernels never ask for it; what comes out is the next power of two's."""
    info = np.finfo(dtype)
    subnormal = info.smallest_subnormal * 1000
    found = log(np.array([0.0, subnormal, info.tiny, np.inf], dtype))
    edge = np.log(2.0) * np.array([info.minexp - 1, info.minexp, info.maxexp])
    assert_allclose(found[[0, 2, 3]], edge, rtol=1e-6)
    assert found[0] <= found[1] <= found[2]


BOUNDS_2 = {"float64": (-1021, 1023), "float32": (-125, 127)}


@pytest.mark.parametrize("dtype", BOUNDS_2)
def test_exp2_to_two_units_of_the_last_digit(dtype):
    rng = np.random.default_rng(2)
    low, high = BOUNDS_2[dtype]
    anywhere = rng.uniform(low, high, N // 2)
    small = rng.choice([-1, 1], N // 2) * 10.0 ** rng.uniform(-30, 1, N // 2)
    x = np.concatenate([anywhere, small, [0.0, low, high]]).astype(dtype)
    found = apply_exp2(x)
    assert found.dtype == dtype
    assert units_off(found, x, np.exp2) <= 2


@pytest.mark.parametrize("dtype", BOUNDS_2)
def test_log2_to_four_units_of_the_last_digit(dtype):
    rng = np.random.default_rng(3)
    info = np.finfo(dtype)
    powers = rng.uniform(info.minexp, info.maxexp - 1, N // 2)
    near_one = 1 + rng.choice([-1, 1], N // 2) * 10.0 ** rng.uniform(-17, -0.5, N // 2)
    x = np.concatenate([2.0**powers, near_one, [1.0, info.tiny, info.max]])
    x = x.astype(dtype)
    found = apply_log2(x)
    assert found.dtype == dtype
    assert units_off(found, x, np.log2) <= 4
    whole = np.arange(info.minexp, info.maxexp).astype(dtype)
    assert (apply_log2(np.exp2(whole)) == whole).all()
