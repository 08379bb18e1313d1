"""Muscle scores: recovery, laws and refusals; the oracle is in tests/oracle."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, sosfiltfilt

from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.clean.muscle import find_muscle, muscle_score

SFREQ = 400.0
BURST = slice(3000, 3200)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((4, 8000)).cumsum(axis=1) + rng.standard_normal(
        (4, 8000)
    )
    sos = butter(4, [100, 150], "band", fs=SFREQ, output="sos")
    burst = sosfiltfilt(sos, rng.standard_normal((4, 8000)))
    data[:, BURST] += 10 * burst[:, BURST]
    return data


@pytest.fixture(scope="module")
def scores(data):
    return muscle_score(data, SFREQ)


def test_burst_is_found_and_nothing_else(scores):
    marked = np.flatnonzero(find_muscle(scores, SFREQ))
    assert scores.shape == (8000,)
    assert 2900 < marked.min() < 3010
    assert 3190 < marked.max() < 3300
    assert len(marked) == marked.max() - marked.min() + 1


@pytest.mark.parametrize("unit", [1e-13, 1e-6, 1e6])
def test_row_28_unit_does_not_matter(data, scores, unit):
    assert_allclose(muscle_score(unit * data, SFREQ), scores, atol=1e-9)


def test_offset_does_not_matter(data, scores):
    assert_allclose(muscle_score(data + 1e4, SFREQ), scores, atol=1e-6)


def test_row_42_samples_that_do_not_count_have_no_score_and_no_influence(data):
    good = np.ones(8000, bool)
    good[2800:3400] = False
    louder = data.copy()
    louder[:, BURST] *= 10
    expected, partly = (muscle_score(one, SFREQ, good=good) for one in (data, louder))
    assert_array_equal(np.isnan(partly), ~good)
    # What is left is the tail of the envelope, which falls with the distance.
    assert_allclose(partly, expected, atol=0.05)
    assert_array_equal(find_muscle(partly, SFREQ)[~good], False)


def test_reference_says_what_is_usual(data, scores):
    assert_array_equal(muscle_score(data, SFREQ, reference=data), scores)
    quiet = data[:, 4000:]
    beside_itself = muscle_score(quiet, SFREQ)
    beside_all = muscle_score(quiet, SFREQ, reference=data)
    assert beside_all.mean() < beside_itself.mean() - 0.1
    assert np.ptp(beside_all) < np.ptp(beside_itself)


def test_short_good_spans_are_joined():
    scores = np.array([0.0, 5, 0, 0, 5, 0, 0, 0, 5, np.nan, np.nan])
    for min_good_s, wanted in (
        (0.0, [1, 4, 8]),
        (0.2, [0, 1, 4, 8]),
        (0.3, [0, 1, 2, 3, 4, 8, 9, 10]),
    ):
        marked = find_muscle(scores, 10.0, min_good_s=min_good_s)
        assert_array_equal(np.flatnonzero(marked), wanted)
    assert_array_equal(find_muscle(scores, 10.0, threshold=6.0), False)


def test_slow_recordings_have_a_narrower_band(data):
    with pytest.warns(
        DataWarning, match="At 250 Hz .* is 110 to 116.667 Hz instead of"
    ):
        muscle_score(data, 250.0)
    with pytest.raises(
        OptionError, match=r"sfreq must be a number at least 240 Hz.*res"
    ):
        muscle_score(data, 200.0)


def test_row_23_channels_without_muscles_are_refused(data):
    flat = data.copy()
    flat[2] = 3.0
    with pytest.raises(InputError, match="in every channel, but channel 2 does not"):
        muscle_score(flat, SFREQ)


def test_what_does_not_fit_is_refused(data):
    with pytest.raises(ShapeError, match=r"good must have shape \(8000,\)"):
        muscle_score(data, SFREQ, good=np.ones(10, bool))
    with pytest.raises(InputError, match="good must mark at least one sample"):
        muscle_score(data, SFREQ, good=np.zeros(8000, bool))
    with pytest.raises(InputError, match="good must hold True or False, but its dty"):
        muscle_score(data, SFREQ, good=np.ones(8000, int))
    with pytest.raises(InputError, match="reference contains NaN or Inf"):
        muscle_score(data, SFREQ, reference=np.full_like(data, np.nan))
    with pytest.raises(ShapeError, match=r"reference must have shape \(4, any\)"):
        muscle_score(data, SFREQ, reference=data[:3])
    with pytest.raises(OptionError, match="the upper of freqs must be a number above"):
        muscle_score(data, SFREQ, freqs=(140.0, 110.0))
    with pytest.raises(InputError, match="data contains NaN or Inf"):
        muscle_score(np.where(data > 0, data, np.nan), SFREQ)
