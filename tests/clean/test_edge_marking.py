"""Clean windows and muscles of a Raw, as annotations that lie where they should."""

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import START, list_spans, make_noise, make_raw, mark
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.base.spans import find_spans, mark_spans
from meegic.clean.edge.marking import annotate_muscle, annotate_windows, score_muscle
from meegic.clean.muscle import find_muscle, muscle_score
from meegic.clean.windows import find_clean_windows

RATE = 320.0


@pytest.fixture
def data():
    data = make_noise(4, 8000)
    data[:, 3000:3100] *= 30
    return data


@pytest.fixture
def loud():
    data = make_noise(4, 8000)
    data[:, 3000:3200] *= 5
    return data


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("first_samp", [0, 77])
def test_windows_are_those_of_the_array_function(data, first_samp, meas_date):
    raw = make_raw(data, first_samp=first_samp, meas_date=meas_date)
    expected = find_spans(~find_clean_windows(data, 100.0))
    assert len(expected)
    assert list_spans(annotate_windows(raw), "BAD_window") == expected.tolist()


@pytest.mark.parametrize("meas_date", [None, START])
def test_marks_lie_right_in_cropped_and_joined_files(data, meas_date):
    raw = make_raw(data, meas_date=meas_date)
    cropped = raw.copy().crop(20.0, 60.0)
    expected = find_spans(~find_clean_windows(data[:, 2000:6001], 100.0)).tolist()
    assert list_spans(annotate_windows(cropped), "BAD_window") == expected
    joined = mne.concatenate_raws([raw.copy(), raw.copy()], verbose="error")
    starts = [start for start, _ in list_spans(annotate_windows(joined), "BAD_window")]
    assert {start // 8000 for start in starts} == {0, 1}


def test_mne_leaves_out_what_is_marked(data):
    annotated = annotate_windows(make_raw(data, first_samp=50))
    kept = annotated.get_data(reject_by_annotation="omit", verbose="error")
    clean = find_clean_windows(data, 100.0)
    assert_array_equal(kept, data[:, clean])


def test_any_type_makes_a_window_bad():
    data = make_noise(8, 8000)
    data[4:, 3000:3100] *= 30
    raw = make_raw(data, ["eeg"] * 4 + ["mag"] * 4)
    expected = ~find_clean_windows(data[:4], 100.0)
    expected |= ~find_clean_windows(data[4:], 100.0)
    found = list_spans(annotate_windows(raw), "BAD_window")
    assert found == find_spans(expected).tolist()
    found = list_spans(annotate_windows(raw, types=["eeg"]), "BAD_window")
    assert found == find_spans(~find_clean_windows(data[:4], 100.0)).tolist()


def test_row_42_marked_spans_and_channels_do_not_count(data):
    louder = data.copy()
    louder[:, 3000:3100] *= 100
    louder[3] = 1e6
    expected, found = (make_raw(one, first_samp=9).copy() for one in (data, louder))
    for raw in (expected, found):
        mark(raw, 29.5, 2.0, "BAD_mine")
        raw.info["bads"] = ["eeg3"]
    found = annotate_windows(found)
    spans = list_spans(found, "BAD_window")
    assert spans == list_spans(annotate_windows(expected), "BAD_window")
    assert not mark_spans([tuple(one) for one in spans], 8000)[2950:3150].any()
    assert list_spans(found, "BAD_mine") == [[2950, 3150]]


def test_row_42_no_window_spans_a_boundary(data):
    raw = make_raw(data)
    mark(raw, 30.0, 0.0, "EDGE boundary")
    expected = ~find_clean_windows(data, 100.0, boundaries=[3000])
    found = list_spans(annotate_windows(raw), "BAD_window")
    assert found == find_spans(expected).tolist()
    assert 3000 in np.array(found)[:, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("annotate", [annotate_windows, annotate_muscle])
def test_row_21_row_22_nonfinite_samples(annotate, value):
    data = make_noise(4, 8000)
    data[1, 500:510] = value
    raw = make_raw(data, sfreq=RATE)
    with pytest.raises(InputError, match=r"channel 'eeg1': 10 samples.* 1\.562 s"):
        annotate(raw)
    annotated = annotate(raw, on_nonfinite="annotate")
    assert list_spans(annotated, "BAD_nan") == [[500, 510]]
    assert_array_equal(annotated.get_data(), data)


@pytest.mark.parametrize("annotate", [annotate_windows, annotate_muscle])
def test_row_23_flat_channels_are_named_and_left_out(loud, annotate):
    expected = annotate(make_raw(loud, sfreq=RATE)).annotations
    flat = np.vstack([loud, np.full(8000, 3.0)])
    with pytest.warns(DataWarning, match=r"\['eeg4'\] do not vary.*Mark them as bad"):
        found = annotate(make_raw(flat, sfreq=RATE)).annotations
    assert_allclose(found.onset, expected.onset)
    with pytest.raises(InputError, match=r"all channels are flat"):
        annotate(make_raw(np.ones((2, 8000)), sfreq=RATE))


@pytest.mark.parametrize("annotate", [annotate_windows, annotate_muscle])
def test_recording_stays_and_need_not_be_loaded(loud, annotate, tmp_path):
    raw = make_raw(loud, sfreq=RATE, first_samp=40, meas_date=START)
    mark(raw, 1.0, 1.0, "go")
    info, notes = raw.info.copy(), raw.annotations.copy()
    expected = annotate(raw)
    assert_array_equal(raw.get_data(), loud)
    assert object_diff(raw.info, info) == object_diff(expected.info, info) == ""
    assert raw.annotations == notes
    assert_array_equal(expected.get_data(), loud)
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    found = annotate(lazy)
    assert not lazy.preload
    assert not found.preload
    assert_allclose(found.annotations.onset, expected.annotations.onset)


@pytest.mark.parametrize("unit", [1e-13, 1e6])
@pytest.mark.parametrize("annotate", [annotate_windows, annotate_muscle])
def test_row_28_unit_does_not_matter(loud, annotate, unit):
    first, second = (
        annotate(make_raw(one, ["mag"] * 4, sfreq=RATE)).annotations
        for one in (loud, unit * loud)
    )
    assert_array_equal(first.onset, second.onset)
    assert len(first)


@pytest.mark.parametrize("annotate", [annotate_windows, annotate_muscle])
def test_only_a_raw_is_taken(annotate):
    with pytest.raises(TypeError, match=r"raw must be an mne Raw, but got ndarray"):
        annotate(np.zeros((2, 100)))
    raw = make_raw(make_noise(2, 4000), sfreq=RATE)
    mark(raw, 0.0, 20.0, "BAD_all")
    with pytest.raises(InputError, match="no sample is left"):
        annotate(raw)


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("kinds", [["eeg"] * 4, ["eeg", "eeg", "mag", "mag"]])
def test_muscles_are_those_of_mne(loud, kinds, meas_date):
    raw = make_raw(loud, kinds, sfreq=RATE, first_samp=50, meas_date=meas_date)
    mark(raw, 16.0, 2.5, "BAD_mine")
    annotations, expected = mne.preprocessing.annotate_muscle_zscore(
        raw, threshold=2, verbose="error"
    )
    assert_allclose(score_muscle(raw), expected, atol=1e-6)
    found = annotate_muscle(raw, threshold=2).annotations
    found = found[found.description == "BAD_muscle"]
    shift = 0 if meas_date else raw.first_time  # MNE's are from the first sample then
    assert_allclose(found.onset, annotations.onset + shift, atol=1e-6)
    # MNE's durations end at the last sample, ours after it.
    assert_allclose(found.duration, annotations.duration, atol=1.01 / RATE)
    assert found.orig_time == annotations.orig_time
    assert len(found)


def test_muscles_of_another_type_on_request(loud):
    raw = make_raw(loud, ["eeg", "eeg", "mag", "mag"], sfreq=RATE)
    assert_array_equal(score_muscle(raw, ch_type="eeg"), muscle_score(loud[:2], RATE))
    raw.info["bads"] = ["mag2"]
    assert_array_equal(score_muscle(raw), muscle_score(loud[3:], RATE))
    with pytest.raises(OptionError, match="ch_type must be 'mag', 'grad' or 'eeg'"):
        score_muscle(raw, ch_type="eog")
    with pytest.raises(InputError, match="good channels of type 'grad'"):
        score_muscle(raw, ch_type="grad")


def test_threshold_and_shortest_span_are_passed_on(loud):
    raw = make_raw(loud, sfreq=RATE)
    scores = score_muscle(raw)
    for threshold, min_good_s in ((1.0, 0.0), (1.0, 0.5), (3.0, 0.1)):
        marked = find_muscle(scores, RATE, threshold=threshold, min_good_s=min_good_s)
        found = annotate_muscle(raw, threshold=threshold, min_good_s=min_good_s)
        assert list_spans(found, "BAD_muscle") == find_spans(marked).tolist()


def test_row_42_a_step_at_a_boundary_is_no_muscle(loud):
    expected = score_muscle(make_raw(loud, sfreq=RATE))
    loud[:, 5000:] += 1e4
    raw = make_raw(loud, sfreq=RATE)
    assert np.nanmax(score_muscle(raw)[4900:5100]) > 10
    mark(raw, 5000 / RATE, 0.0, "BAD boundary")
    found = score_muscle(raw)
    assert_allclose(found, expected, atol=0.1)


def test_row_42_skips_have_no_score(loud):
    loud[:, 5000:5320] = 0
    raw = make_raw(loud, sfreq=RATE)
    mark(raw, 5000 / RATE, 1.0, "BAD_ACQ_SKIP")
    scores = score_muscle(raw)
    assert_array_equal(np.flatnonzero(np.isnan(scores)), np.arange(5000, 5320))
    assert scores.size == 8000
