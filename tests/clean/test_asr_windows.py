"""Calibration data are chosen without artifacts; data with drifts are refused."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from clean.asr_recordings import make_clean
from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.clean.asr_windows import (
    choose_calibration,
    measure_slow_power,
    refuse_slow_power,
)
from meegic.clean.windows import find_clean_windows

SFREQ = 100.0


def make_data(n_times=12000):
    return make_clean(n_channels=8, n_times=n_times)


def test_artifacts_are_left_out_and_most_of_the_rest_is_chosen():
    data = make_data()
    data[:, 3000:3200] *= 20
    chosen = choose_calibration(data, SFREQ)
    assert not chosen[3000:3200].any()
    assert chosen.mean() > 0.9
    wanted = find_clean_windows(
        data, SFREQ, max_bad_channels=0.075, z_limits=(-3.5, 5.5)
    )
    assert_array_equal(chosen, wanted)


@pytest.mark.parametrize("unit", [1e-13, 1e6])
def test_row_28_unit_does_not_matter(unit):
    data = make_data()
    data[:, 3000:3200] *= 20
    wanted = choose_calibration(data, SFREQ)
    assert_array_equal(choose_calibration(unit * data, SFREQ), wanted)


def test_row_42_nothing_outside_of_the_mask_is_chosen_or_looked_at():
    data = make_data()
    mask = np.ones(12000, bool)
    mask[5000:7000] = False
    chosen = choose_calibration(data, SFREQ, mask=mask)
    data[:, 5000:7000] *= 100
    assert_array_equal(choose_calibration(data, SFREQ, mask=mask), chosen)
    assert not chosen[~mask].any()
    assert chosen[mask].mean() > 0.9


def test_stretches_too_short_for_a_window_are_left_out():
    chosen = choose_calibration(make_data(), SFREQ, boundaries=[4000, 4090])
    assert not chosen[4000:4090].any()
    assert chosen.mean() > 0.9


def test_row_42_no_window_spans_a_boundary():
    # A silent piece of half a window beside the boundary spoils its own side only.
    data = make_data()
    data[:, 5930:6000] *= 1e-3
    for boundaries, is_chosen in (((), False), ((6000,), True)):
        chosen = choose_calibration(data, SFREQ, boundaries=boundaries)
        assert not chosen[5950:5980].any()
        assert chosen[6000:6020].all() == is_chosen


def test_row_43_no_clean_window_is_refused_with_the_count():
    data = make_data()
    options = {"z_limits": (50.0, 60.0)}
    with pytest.raises(InputError, match=r"^0 of 350 windows are .* max_bad_channels"):
        choose_calibration(data, SFREQ, **options)
    with pytest.warns(DataWarning, match="0 of 350 windows are .* All data are taken"):
        chosen = choose_calibration(data, SFREQ, fallback="all", **options)
    assert chosen.all()


def test_artifacts_in_a_third_are_warned_of():
    data = make_data()
    for start in range(0, 12000, 3000):
        data[:, start : start + 1000] *= 30
    with pytest.warns(DataWarning, match=r"Only \d+\.?\d* of 120 s are clean"):
        chosen = choose_calibration(data, SFREQ)
    assert not chosen[100:900].any()


def test_row_36_data_shorter_than_a_window_are_refused():
    with pytest.raises(
        InputError, match=r"longer than one window of 1 s, but have 0\.9"
    ):
        choose_calibration(make_data(90), SFREQ)
    with pytest.raises(
        InputError, match=r"longer than one window of 1 s, but have 0\.8"
    ):
        choose_calibration(make_data(160), SFREQ, boundaries=[80])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fallback": "al"}, OptionError, "'refuse' or 'all'.*Did you mean 'all'"),
        ({"mask": np.ones(9, bool)}, ShapeError, r"mask must have shape \(12000,\)"),
        ({"mask": np.ones(12000)}, InputError, "mask must hold True or False"),
        ({"boundaries": [-1]}, InputError, r"between 0 and 12000, but got \[-1\]"),
        ({"boundaries": [12001]}, InputError, r"between 0 and 12000"),
    ],
)
def test_impossible_choices_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        choose_calibration(make_data(), SFREQ, **options)


@pytest.mark.parametrize("unit", [1e-13, 1.0, 1e9])
def test_slow_power_is_the_share_of_what_is_slow(unit):
    rng = np.random.default_rng(0)
    times = np.arange(60000) / SFREQ
    slow, fast = np.sin(2 * np.pi * 0.25 * times), np.sin(2 * np.pi * 10 * times)
    data = np.stack([2 * slow + fast, 2 * slow + fast])
    data += 1e-3 * rng.standard_normal(data.shape)
    assert abs(measure_slow_power(unit * data, SFREQ) - 0.8) < 0.01


def test_offset_counts_as_slow_power():
    data = np.random.default_rng(0).standard_normal((3, 20000))
    assert measure_slow_power(data, SFREQ) < 0.03
    # The median takes noise, not offsets, for less than it is.
    assert 0.8 < measure_slow_power(data + 2.0, SFREQ) < 0.86


def test_few_artifacts_do_not_count_as_slow_power():
    data = make_data()
    data[:, 3000:3300] += 1000.0
    refuse_slow_power(data, SFREQ)


def test_silence_has_no_slow_power():
    assert measure_slow_power(np.zeros((2, 1000)), SFREQ) == 0.0


def test_data_with_drifts_are_refused_with_what_to_do():
    data = np.cumsum(make_data(), axis=1)
    with pytest.raises(
        InputError,
        match=r"at most 20% .* below 0.5 Hz, but have (9\d|100)%.*High-pass them",
    ):
        refuse_slow_power(data, SFREQ)
