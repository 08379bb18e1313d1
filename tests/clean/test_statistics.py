"""Laws of the one-pass statistics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from meegic.clean.statistics import measure_recording

FIELDS = (
    "n_times",
    "n_nonfinite",
    "first_nonfinite",
    "n_outliers",
    "lowest",
    "highest",
    "peak",
    "spread",
    "covariance",
)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((4, 40_000)) * np.array([[1.0], [2], [3], [0.5]])


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 39_999), max_size=6))
def test_chunk_length_does_not_matter(cuts):
    data = np.random.default_rng(1).standard_normal((3, 40_000))
    data[1, 20_000] = np.nan
    whole = measure_recording([data])
    parts = measure_recording(np.split(data, sorted(cuts), axis=1))
    for name in FIELDS:
        assert_array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("power", [-15, -6, 9])
def test_unit_of_the_data_does_not_matter(data, power):
    data[2, 30_000] = 1e9
    scale = 10.0**power
    here, there = measure_recording([data]), measure_recording([scale * data])
    for name in ("lowest", "highest", "spread"):
        assert_allclose(getattr(there, name), scale * getattr(here, name), rtol=1e-12)
    assert_allclose(
        there.covariance, scale**2 * here.covariance, rtol=1e-9, atol=1e-12 * scale**2
    )
    for name in ("n_outliers", "peak", "n_nonfinite"):
        assert_array_equal(getattr(there, name), getattr(here, name))


def test_numbers_agree_with_numpy(data):
    found = measure_recording([data])
    assert found.n_times == 40_000
    assert_array_equal(found.lowest, data.min(axis=1))
    assert_array_equal(found.highest, data.max(axis=1))
    assert_array_equal(found.peak, np.abs(data).argmax(axis=1))
    assert_allclose(found.spread, data.std(axis=1), rtol=0.02)
    assert_allclose(found.covariance, np.cov(data, bias=True), atol=0.01)


def test_first_nonfinite_sample_and_count_are_of_the_whole_recording(data):
    data[1, [17_000, 17_001, 39_000]] = np.nan
    data[3, 5] = np.inf
    found = measure_recording([data])
    assert_array_equal(found.first_nonfinite, [-1, 17_000, -1, 5])
    assert_array_equal(found.n_nonfinite, [0, 3, 0, 1])
    assert np.isfinite(found.covariance).all()
    assert np.isfinite(found.highest).all()


def test_channel_without_a_finite_sample_stays_unknown(data):
    data[0] = np.nan
    found = measure_recording([data])
    assert found.n_nonfinite[0] == 40_000
    assert np.isnan(found.spread[0])
    assert np.isnan(found.highest[0])


def test_recording_without_a_finite_sample_has_no_covariance():
    found = measure_recording([np.full((2, 100), np.nan)])
    assert_array_equal(found.covariance, np.zeros((2, 2)))


def test_covariance_is_over_the_samples_that_all_channels_have(data):
    data = data[:, :1000]  # one block
    holes = data.copy()
    holes[0, ::3] = np.nan
    usable = np.delete(data, np.s_[::3], axis=1)
    assert_allclose(
        measure_recording([holes]).covariance, np.cov(usable, bias=True), atol=1e-12
    )


@pytest.mark.parametrize("lost", [np.s_[::3], np.s_[:800]])
def test_channel_that_does_not_count_costs_the_others_no_sample(data, lost):
    data = data[:, :1000]
    holes = data.copy()
    holes[0, lost] = np.nan
    found = measure_recording([holes], counted=np.array([1, 2, 3])).covariance
    assert_allclose(found[1:, 1:], np.cov(data[1:], bias=True), atol=1e-12)


def test_channel_that_mostly_has_no_samples_has_no_covariance(data):
    data = data[:, :1000]
    holes = data.copy()
    holes[0, :800] = np.nan
    found = measure_recording([holes]).covariance
    assert_array_equal(found[0], 0)
    assert_allclose(found[1:, 1:], np.cov(data[1:], bias=True), atol=1e-12)


def test_spread_is_the_median_over_blocks_of_the_known_samples(data):
    data = np.hstack([data, data])[:, : 3 * 2**14]
    data[:, -(2**14) :] *= 10
    data[1, [5, 2**14 + 5]] = np.nan
    data[2, : 2**14] = np.nan
    data[2, -(2**14) :] /= 10
    # the median of 16 384 samples of noise is within 2 % of its expectation
    assert_allclose(measure_recording([data]).spread, [1, 2, 3, 0.5], rtol=0.03)


def test_peak_is_the_farthest_from_zero_on_either_side_and_in_any_block(data):
    data[0, :20_000] = np.nan
    data[0, 39_000] = 1e3
    data[2, 7] = -1e3
    found = measure_recording([data])
    assert_array_equal(found.peak[[0, 2]], [39_000, 7])
    assert_array_equal(found.peak_value[[0, 2]], [1e3, 1e3])


def test_outlier_is_beyond_a_thousand_deviations_from_the_median(data):
    data += 1e4  # an offset counts for nothing
    data[0, 5] += 300
    data[1, 6] += 3000 * 2
    assert_array_equal(measure_recording([data]).n_outliers, [0, 1, 0, 0])


def test_channel_that_mostly_rests_has_no_outliers(data):
    data[3, 100:] = 0
    assert_array_equal(measure_recording([data]).n_outliers, [0, 0, 0, 0])


def test_numbers_at_the_end_of_the_scale_overflow_in_silence(data):
    data[0] = np.tile([-1.7e308, 1.7e308], 20_000)
    found = measure_recording([data])
    assert found.peak_value[0] == 1.7e308
    assert_array_equal(found.covariance[0], 0)


def test_one_spike_leaves_the_covariance_as_it_was(data):
    before = measure_recording([data])
    data[2, 30_000] = 1e9
    after = measure_recording([data])
    assert_allclose(after.covariance, before.covariance, rtol=0.01, atol=0.01)
    assert_array_equal(after.n_outliers, [0, 0, 1, 0])
    assert after.peak[2] == 30_000


def test_slow_drift_over_blocks_is_left_out():
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((2, 2**15))
    drift = np.repeat([0.0, 1e6], 2**14)
    assert_allclose(
        measure_recording([noise + drift]).covariance,
        measure_recording([noise]).covariance,
        atol=1e-6,
    )


@pytest.mark.parametrize("dtype", [np.int16, np.float32, ">f8"])
def test_any_dtype_is_taken_and_left_untouched(dtype):
    data = (100 * np.random.default_rng(3).standard_normal((2, 500))).astype(dtype)
    before = data.copy()
    data.flags.writeable = False
    found = measure_recording([data])
    assert found.covariance.dtype == np.float64
    assert_array_equal(data, before)
