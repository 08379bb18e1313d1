"""Flat, noisy and uncorrelated channels: recovery, laws and refusals."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, sosfiltfilt

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.clean.bad_channels import (
    BadChannelOptions,
    find_bad_channels,
    find_flat_channels,
)

SFREQ = 200.0
FEW = BadChannelOptions(n_subsets=20)


@pytest.fixture(scope="module")
def positions():
    """Directions spread evenly over the upper half of a sphere."""
    z = (np.arange(32) + 0.5) / 32
    angle = np.pi * (1 + 5**0.5) * np.arange(32)
    width = np.sqrt(1 - z**2)
    return np.c_[width * np.cos(angle), width * np.sin(angle), z]


@pytest.fixture(scope="module")
def clean(positions):
    """Smooth maps of 1 to 30 Hz, and a little noise of every channel."""
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((6, 6000))
    sources = sosfiltfilt(butter(2, [1, 30], "band", fs=SFREQ, output="sos"), sources)
    maps = np.c_[positions, positions[:, [0]] * positions[:, [1, 2]], np.ones(32)]
    return maps @ sources + 0.02 * rng.standard_normal((32, 6000))


@pytest.fixture(scope="module")
def data(clean):
    rng = np.random.default_rng(1)
    data = clean.copy()
    data[3] = np.roll(clean[3], 1500)
    data[7] += 0.3 * rng.standard_normal(6000)
    data[11, 2000:] = data[11, 2000]
    return data


def test_clean_channels_are_left_alone(clean, positions):
    found = find_bad_channels(clean, SFREQ, positions, options=FEW)
    assert found.reasons == {}
    assert found.indices.shape == (0,)
    assert found.noise.max() < 4
    assert_array_equal(found.bad_time_s, 0)


def test_bad_channels_are_found_with_their_reasons(data, positions):
    found = find_bad_channels(data, SFREQ, positions, options=FEW)
    assert found.reasons == {3: ("uncorrelated",), 7: ("noisy",), 11: ("flat",)}
    assert_array_equal(found.indices, [3, 7, 11])
    assert found.bad_time_s[3] == 30
    assert found.noise[7] > 10
    assert found.noise[11] == found.bad_time_s[11] == 0


def test_row_39_without_positions_channels_are_compared_with_each_other(clean):
    rng = np.random.default_rng(2)
    data = clean.copy()
    data[5] = sosfiltfilt(
        butter(2, [1, 30], "band", fs=SFREQ, output="sos"), rng.standard_normal(6000)
    )
    # Shared by all, the line must not make them alike.
    data += 5 * np.sin(2 * np.pi * 50 * np.arange(6000) / SFREQ)
    found = find_bad_channels(data, SFREQ)
    assert_array_equal(found.indices, [5])
    assert found.bad_time_s[5] == 30


@pytest.mark.parametrize("unit", [1e-13, 1e-6, 1e6])
def test_row_28_unit_does_not_matter(data, positions, unit):
    expected = find_bad_channels(data, SFREQ, positions, options=FEW)
    found = find_bad_channels(unit * data, SFREQ, 1e3 * positions, options=FEW)
    assert found.reasons == expected.reasons
    assert_allclose(found.noise, expected.noise, rtol=1e-9)
    assert_array_equal(found.bad_time_s, expected.bad_time_s)


def test_key_draws_the_subsets(data, positions):
    keys = [None, jax.random.key(0), jax.random.key(1)]
    options = BadChannelOptions(n_subsets=4, min_correlation=0.995)
    default, same, other = (
        find_bad_channels(data, SFREQ, positions, options=options, key=key)
        for key in keys
    )
    assert_array_equal(default.bad_time_s, same.bad_time_s)
    assert (default.bad_time_s != other.bad_time_s).any()


def test_time_may_be_given_in_seconds(clean, positions):
    data = clean.copy()
    data[3, :2000] = np.roll(clean[3], 1500)[:2000]
    for limit, bad in ((0.5, []), (0.2, [3]), (9.0, [3]), (10.0, [])):
        options = BadChannelOptions(n_subsets=20, max_bad_time=limit)
        found = find_bad_channels(data, SFREQ, positions, options=options)
        assert_array_equal(found.indices, bad)
        assert found.bad_time_s[3] == 10


def test_slow_recordings_show_no_noise(clean, positions):
    found = find_bad_channels(clean[:, ::2], SFREQ / 2, positions, options=FEW)
    assert found.reasons == {}
    assert_array_equal(found.noise, 0)


def test_positions_that_predict_nothing_are_refused(positions):
    data = np.random.default_rng(2).standard_normal((32, 2000))
    with pytest.raises(InputError, match=r"of 32 channels would be bad\. Check the m"):
        find_bad_channels(data, SFREQ, positions, options=FEW)


def test_row_39_positions_that_say_nothing_are_refused(clean, positions):
    with pytest.raises(ShapeError, match=r"positions must have shape \(32, 3\)"):
        find_bad_channels(clean, SFREQ, positions[:5])
    with pytest.raises(InputError, match="positions contains NaN"):
        find_bad_channels(clean, SFREQ, np.full((32, 3), np.nan))
    with pytest.raises(InputError, match="positions must lie in different directions"):
        find_bad_channels(clean, SFREQ, np.ones((32, 3)))


def test_few_channels_need_no_positions(clean, positions):
    with pytest.raises(InputError, match=r"at least 4 channels, but 0.25 of 8.*None"):
        find_bad_channels(clean[:8], SFREQ, positions[:8])


def test_row_36_short_data_are_refused_with_what_is_needed(clean, positions):
    with pytest.raises(InputError, match="at least 5 s, but have 4"):
        find_bad_channels(clean[:, :800], SFREQ, positions)
    with pytest.raises(InputError, match=r"at least 2 s, but have 1.75"):
        find_bad_channels(clean[:, :350], SFREQ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_flat_s", 0.0),
        ("max_noise", -1.0),
        ("min_correlation", 1.5),
        ("min_neighbor_correlation", np.nan),
        ("max_bad_time", -0.1),
        ("n_subsets", 0),
        ("subset_fraction", 0.0),
        ("regularization", -1e-5),
    ],
)
def test_impossible_options_are_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} must be"):
        BadChannelOptions(**{name: value})


@pytest.mark.parametrize("unit", [1e-13, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_row_23_flat_channels_are_found_in_any_unit(unit, offset):
    rng = np.random.default_rng(0)
    data = unit * (rng.standard_normal((4, 2000)) + offset)
    data[1, 400:950] = data[1, 400]  # 549 steps: longer than 5 s
    data[2, 400:901] = data[2, 400]  # 500 steps: 5 s
    data[3] = unit * (offset + 1) * (1 + 1e-16 * rng.standard_normal(2000))
    assert_array_equal(find_flat_channels(data, 100.0), [1, 3])
    assert_array_equal(find_flat_channels(data, 100.0, max_flat_s=4.0), [1, 2, 3])


def test_rounding_is_that_of_the_precision():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2, 2000))
    data[1] = 1000 + 1e-4 * rng.standard_normal(2000)
    assert_array_equal(find_flat_channels(data, 100.0), [])
    assert_array_equal(find_flat_channels(data.astype(np.float32), 100.0), [1])


def test_channel_that_never_moves_is_flat_in_a_short_recording():
    data = np.random.default_rng(0).standard_normal((2, 50))
    data[0] = 3.0
    assert_array_equal(find_flat_channels(data, 100.0), [0])


def test_row_24_flat_recording_is_refused():
    with pytest.raises(InputError, match="All channels are flat"):
        find_flat_channels(np.ones((3, 2000)), 100.0)
    with pytest.raises(InputError, match="All channels are flat"):
        find_bad_channels(np.zeros((3, 2000)), 100.0)


def test_row_21_nan_is_refused():
    data = np.zeros((2, 100))
    data[1, 7] = np.inf
    for find in (find_flat_channels, find_bad_channels):
        with pytest.raises(InputError, match=r"data contains NaN or Inf: 1 .*\(1, 7\)"):
            find(data, 100.0)
