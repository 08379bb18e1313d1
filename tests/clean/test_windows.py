"""Clean windows: laws, recovery and refusals."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.clean.windows import find_clean_windows, round_half_up

SFREQ = 100.0


@pytest.fixture(scope="module")
def data():
    data = np.random.default_rng(0).standard_normal((6, 6000))
    data[:4, 2000:2150] *= 30
    data[:, 4000:4120] *= 0.01
    return data


@pytest.fixture(scope="module")
def clean(data):
    return find_clean_windows(data, SFREQ)


def test_loud_and_silent_spans_are_marked(clean):
    assert clean.shape == (6000,)
    assert clean.dtype == bool
    assert not clean[2000:2150].any()
    assert not clean[4020:4100].any()
    # A window that touches one of the two starts less than a second before it.
    touched = np.zeros(6000, bool)
    touched[1900:2250] = touched[3900:4220] = True
    assert clean[~touched].mean() > 0.9


@pytest.mark.parametrize("unit", [1e-13, 1e-6, 1e6])
def test_row_28_unit_does_not_matter(data, clean, unit):
    assert_array_equal(find_clean_windows(unit * data, SFREQ), clean)


def test_order_of_channels_does_not_matter(data, clean):
    assert_array_equal(find_clean_windows(data[::-1], SFREQ), clean)


def test_number_of_channels_may_be_given_instead_of_a_fraction(data):
    # One channel of six is 0.17 of them.
    loud = np.random.default_rng(1).standard_normal((6, 6000))
    loud[2, 3000:3100] *= 30
    for allowed, kept in ((0.2, True), (1, True), (0, False)):
        clean = find_clean_windows(
            loud, SFREQ, max_bad_channels=allowed, z_limits=(-20.0, 20.0)
        )
        assert clean[3000:3100].all() == kept


def test_limits_are_those_of_too_loud_and_too_silent(data):
    deaf = find_clean_windows(data, SFREQ, z_limits=(-np.inf, 5.0))
    assert deaf[4030:4090].any()
    assert not deaf[2000:2150].any()
    assert find_clean_windows(data, SFREQ, z_limits=(-np.inf, np.inf)).all()


@pytest.mark.parametrize("kind", [np.int16, np.float32, ">f8"])
def test_row_34_real_numbers_of_any_kind_are_accepted(data, kind):
    whole = np.round(100 * data)
    other = np.asfortranarray(whole.astype(kind))
    other.flags.writeable = False
    assert_array_equal(
        find_clean_windows(other, SFREQ), find_clean_windows(whole, SFREQ)
    )


def test_few_windows_are_compared_with_their_median(data):
    short = data[:, 1200:3000]
    with pytest.warns(DataWarning, match="Only 50 windows fit into the data; below 60"):
        clean = find_clean_windows(short, SFREQ)
    assert not clean[800:950].any()
    assert clean[:600].mean() > 0.9


def test_row_36_too_short_data_are_refused_with_what_is_needed(data):
    with pytest.raises(
        InputError, match=r"longer than one window of 1 s, but have 0\.9"
    ):
        find_clean_windows(data[:, :90], SFREQ)


def test_row_21_nan_is_refused(data):
    data = data.copy()
    data[1, 5] = np.nan
    with pytest.raises(InputError, match=r"data contains NaN or Inf: 1 .* \(1, 5\)"):
        find_clean_windows(data, SFREQ)


def test_row_23_flat_channels_are_refused_by_number(data):
    data = data.copy()
    data[3] = 0
    with pytest.raises(InputError, match=r"vary in every channel.*\[3\]"):
        find_clean_windows(data, SFREQ)


def test_row_33_transposed_data_are_refused(data):
    with pytest.raises(ShapeError, match="transposed"):
        find_clean_windows(data.T, SFREQ)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_bad_channels": -0.1}, "max_bad_channels must be a number at least 0"),
        ({"max_bad_channels": 6}, "max_bad_channels must be .* below 6"),
        ({"z_limits": (5.0, -3.5)}, "the upper of z_limits must be a number above 5"),
        ({"window_s": 0.0}, "window_s must be a number at least 0.02 s"),
        ({"overlap": 1.0}, "overlap must be a number at least 0 and below 1"),
    ],
)
def test_impossible_options_are_refused(data, options, message):
    with pytest.raises(OptionError, match=message):
        find_clean_windows(data, SFREQ, **options)


def test_halves_are_rounded_up():
    assert [round_half_up(one) for one in (0.5, 1.5, 2.4, 2.5)] == [1, 2, 2, 3]
