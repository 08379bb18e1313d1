"""Filters over rows in threads: SciPy's numbers in any precision, however cut."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, sosfilt, sosfiltfilt

from meegic.math import sections as sections_module
from meegic.math.sections import filter_sections, filter_sections_both_ways

SOS = butter(4, 0.5, "high", fs=500.0, output="sos")


@pytest.fixture(scope="module")
def data():
    return 50 + np.random.default_rng(0).standard_normal((3, 5, 4000))


@pytest.fixture(params=[2**17, 20000, 1])
def few(request, monkeypatch):
    """How much a thread takes: everything, some rows, one row."""
    monkeypatch.setattr(sections_module, "_FEW", request.param)
    monkeypatch.setattr(sections_module, "_MANY", 16 * request.param)


def test_one_direction_is_that_of_scipy_bit_for_bit(data, few):
    zi = np.random.default_rng(1).standard_normal((2, 3, 5, 2))
    before = zi.copy()
    filtered, zf = filter_sections(SOS, data, zi)
    wanted, final = sosfilt(SOS, data, zi=zi)
    assert_array_equal(filtered, wanted)
    assert_array_equal(zf, final)
    assert_array_equal(zi, before)


def test_both_directions_are_those_of_scipy_bit_for_bit(data, few):
    for padding in ("odd", "even", "constant", None):
        actual = filter_sections_both_ways(SOS, data, padding=padding, n_padding=15)
        wanted = sosfiltfilt(SOS, data, padtype=padding, padlen=15)
        assert_array_equal(actual, wanted)


def test_single_precision_loses_only_its_last_digit(data, few):
    single = data.astype(np.float32)
    filtered, zf = filter_sections(SOS, single)
    wanted = sosfilt(SOS, single.astype(float))
    assert filtered.dtype == np.float32
    assert zf.dtype == np.float64
    assert_allclose(filtered, wanted, rtol=1e-7, atol=1e-7 * np.abs(wanted).max())
    # SciPy in float32 is a thousand times as far away.
    assert np.abs(sosfilt(SOS.astype(np.float32), single) - wanted).max() > 1e-4


def test_one_row_is_filtered_too(data):
    filtered, zf = filter_sections(SOS, data[0, 0])
    assert_array_equal(filtered, sosfilt(SOS, data[0, 0]))
    assert zf.shape == (2, 2)
