"""Another rate for a Raw: the array function on each stretch, times kept."""

from fractions import Fraction
from math import ceil

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import START, list_spans, make_noise, make_raw, mark
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.clean.edge.resampling import resample_events, resample_recording
from meegic.clean.resample import resample_poly

OLD = 512.0


def make_sines(n_times, n_channels=2):
    """Sines well below the new Nyquist frequency, and where they are at any time."""
    freqs = np.linspace(3.0, 20.0, n_channels)[:, None]

    def sample(times):
        return np.sin(2 * np.pi * freqs * times + freqs)

    return sample(np.arange(n_times) / OLD), sample


@pytest.mark.parametrize("rate", [200.0, 256.0, 1024.0])
def test_one_stretch_gets_what_the_array_function_gives(rate):
    data = make_sines(3000)[0]
    raw = make_raw(data, ["eeg", "eog"], sfreq=OLD)
    resampled = resample_recording(raw, rate)
    ratio = Fraction(rate) / Fraction(OLD)
    expected = resample_poly(data, ratio.numerator, ratio.denominator)
    assert_allclose(resampled.get_data(), expected, rtol=0, atol=1e-12)
    assert resampled.info["sfreq"] == rate
    assert resampled.info["lowpass"] == min(rate, OLD) / 2


@pytest.mark.parametrize("rate", [200.0, 333.0])
@pytest.mark.parametrize("cut", [1000, 1001, 1777])
def test_row_42_stretches_keep_their_place_in_time(cut, rate):
    data, sample = make_sines(3000)
    data[:, cut:] += 1e3
    raw = make_raw(data, sfreq=OLD)
    mark(raw, cut / OLD, 0.0, "BAD boundary")
    resampled = resample_recording(raw, rate).get_data()
    first = ceil(Fraction(cut) * Fraction(rate) / Fraction(OLD))
    wanted = sample(np.arange(resampled.shape[1]) / rate)
    wanted[:, first:] += 1e3
    # Where the ends were reflected the sine goes on otherwise.
    assert_allclose(resampled, wanted, rtol=0, atol=2e-1)
    edges = np.r_[0:60, first - 60 : first + 60, len(wanted.T) - 60 : len(wanted.T)]
    inner = np.setdiff1d(np.arange(len(wanted.T)), edges)
    assert_allclose(resampled[:, inner], wanted[:, inner], rtol=0, atol=2e-5)


def test_row_42_nothing_runs_across_a_boundary():
    data = make_sines(3000)[0]
    raw = make_raw(data, sfreq=OLD)
    mark(raw, 1001 / OLD, 0.0, "BAD boundary")
    expected = resample_recording(raw, 200.0).get_data()
    raw._data[:, 1001:] *= -50
    changed = resample_recording(raw, 200.0).get_data()
    assert_array_equal(changed[:, :392], expected[:, :392])  # 1001 * 200 / 512 = 391.02
    assert_allclose(changed[:, 392:], -50 * expected[:, 392:], rtol=1e-9)


@pytest.mark.parametrize("rate", [200.0, 333.0, 1000.0])
@pytest.mark.parametrize("cut", [1001, 1430])
def test_stretches_begin_with_their_point_reflection(cut, rate):
    after = make_noise(2, 1500)
    before = 2 * after[:, :1] - after[:, cut:0:-1]
    raw = make_raw(np.hstack([before, after])[:, : cut + 1400], sfreq=OLD)
    whole = resample_recording(raw, rate).get_data()
    mark(raw, cut / OLD, 0.0, "EDGE boundary")
    parts = resample_recording(raw, rate).get_data()
    first = ceil(Fraction(cut) * Fraction(rate) / Fraction(OLD))
    # The ripple of the filter, which depends on the length, is 1e-6.
    assert_allclose(parts[:, first:], whole[:, first:], rtol=0, atol=3e-6)
    assert np.abs(parts[:, :first] - whole[:, :first]).max() > 1e-3


@pytest.mark.parametrize("start", [0, 128, 192])
def test_stretches_on_the_common_grid_are_those_of_the_array_function(start):
    data = make_sines(2000)[0]
    raw = make_raw(data, sfreq=OLD)
    mark(raw, start / OLD, 0.0, "EDGE boundary")
    resampled = resample_recording(raw, 200.0).get_data()
    part = resample_poly(data[:, start:], 25, 64)
    assert_allclose(resampled[:, start * 25 // 64 :], part, rtol=0, atol=1e-12)


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("first_samp", [0, 77])
def test_annotations_stay_where_they_are_in_the_data(first_samp, meas_date):
    raw = make_raw(
        make_sines(3000)[0], sfreq=OLD, first_samp=first_samp, meas_date=meas_date
    )
    raw.annotations.append(
        1.2345678 + raw.first_time,
        0.7,
        "go",
        extras=[{"score": 3}],
        ch_names=[["eeg1"]],
    )
    mark(raw, 5.5, 300.0, "to the end and beyond")
    resampled = resample_recording(raw, 200.0)
    for before, after in zip(raw.annotations, resampled.annotations, strict=True):
        distance = after["onset"] - resampled.first_time
        assert distance == pytest.approx(before["onset"] - raw.first_time, abs=1e-12)
        for name in ("duration", "description", "ch_names", "extras", "orig_time"):
            assert before[name] == after[name]
    assert abs(resampled.first_time - raw.first_time) <= 0.5 / 200.0
    assert resampled.info["meas_date"] == meas_date


def test_header_and_input_stay():
    raw = make_raw(make_sines(3000)[0], sfreq=OLD, meas_date=START)
    raw.info["bads"] = ["eeg1"]
    data, info = raw.get_data(), raw.info.copy()
    resampled = resample_recording(raw, 200.0)
    assert_array_equal(raw.get_data(), data)
    assert object_diff(raw.info, info) == ""
    with resampled.info._unlock():
        resampled.info.update(sfreq=OLD, lowpass=info["lowpass"])
    assert object_diff(resampled.info, info) == ""


def test_same_rate_changes_nothing():
    raw = make_raw(make_sines(600)[0], sfreq=OLD, first_samp=5)
    same = resample_recording(raw, OLD)
    assert_array_equal(same.get_data(), raw.get_data())
    assert same.first_samp == 5


@pytest.mark.parametrize("rate", [100.0, 64.0, 1000.0])
def test_events_and_triggers_move_to_the_same_samples(rate):
    places = np.array([30, 250, 700, 1300, 2961])
    stim = np.zeros(3000)
    for code, place in enumerate(places, start=1):
        stim[place] = code  # one sample long
    data = np.vstack([make_sines(3000, 1)[0], stim])
    raw = make_raw(data, ["eeg", "stim"], sfreq=OLD, first_samp=50)
    resampled = resample_recording(raw, rate)
    events = mne.find_events(raw, shortest_event=1, verbose="error")
    found = mne.find_events(resampled, shortest_event=1, verbose="error")
    moved = resample_events(events, raw, resampled)
    assert_array_equal(moved.events, found)
    seconds = (moved.events[:, 0] - resampled.first_samp) / rate
    farthest = np.abs(seconds - places / OLD).max()
    assert moved.rounding_s == pytest.approx(farthest, abs=1e-12)
    assert 0 < farthest <= 0.5 / rate + 1e-12
    assert_array_equal(events[:, 0], places + 50)


def test_the_last_sample_has_a_place():
    stim = np.zeros(600)
    stim[599] = 4
    data = np.vstack([make_sines(600, 1)[0], stim])
    raw = make_raw(data, ["eeg", "stim"], sfreq=OLD, first_samp=7)
    resampled = resample_recording(raw, 256.0)
    moved = resample_events(np.array([[606, 0, 4]]), raw, resampled)
    assert moved.events[0, 0] == resampled.last_samp
    assert resampled.get_data()[1, -1] == 4
    assert moved.rounding_s == pytest.approx(1 / OLD)


def test_triggers_that_merge_are_reported():
    stim = np.zeros(3000)
    stim[[500, 502]] = 1
    data = np.vstack([make_sines(3000, 1)[0], stim])
    raw = make_raw(data, ["eeg", "stim"], sfreq=OLD)
    with pytest.warns(
        DataWarning, match=r"\['stim1'\]: of \[2\] onsets \[1\] are left"
    ):
        resample_recording(raw, 100.0)


def test_events_outside_of_the_recording_are_refused():
    raw = make_raw(make_sines(600)[0], sfreq=OLD, first_samp=50)
    with pytest.raises(
        InputError, match=r"1 do not, the first at sample 7\..*first_samp"
    ):
        resample_events(np.array([[60, 0, 1], [7, 0, 1]]), raw, raw)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_21_row_22_nonfinite_samples_end_a_stretch(value):
    data = make_sines(3000)[0]
    raw = make_raw(data.copy(), sfreq=OLD)
    raw._data[1, 1000:1100] = value
    with pytest.raises(InputError, match=r"channel 'eeg1': 100 samples.* 1\.953 s"):
        resample_recording(raw, 256.0)
    resampled = resample_recording(raw, 256.0, on_nonfinite="annotate")
    values = resampled.get_data()
    assert list_spans(resampled, "BAD_nan") == [[500, 550]]
    assert_array_equal(values[1, 500:550], value)
    assert_array_equal(values[0, 500:550], data[0, 1000:1100:2])
    whole = resample_recording(make_raw(data, sfreq=OLD), 256.0).get_data()
    assert_allclose(values[:, :420], whole[:, :420], rtol=0, atol=1e-4)


def test_bad_channels_with_nan_do_not_stop_the_others():
    data = make_sines(3000)[0]
    raw = make_raw(data, sfreq=OLD)
    raw._data[1, 1000:1100] = np.nan
    raw.info["bads"] = ["eeg1"]
    values = resample_recording(raw, 256.0).get_data()
    assert_allclose(values[0], resample_poly(data[0], 1, 2), rtol=0, atol=1e-12)
    assert_array_equal(np.flatnonzero(np.isnan(values[1])), np.arange(500, 550))


def test_many_lost_channels_are_held():
    data = np.vstack([make_sines(600, 9)[0], np.full((8, 600), np.nan)])
    raw = make_raw(data, sfreq=OLD)
    raw.info["bads"] = raw.ch_names[9:]
    values = resample_recording(raw, 256.0).get_data()
    assert np.isfinite(values[:9]).all()
    assert np.isnan(values[9:]).all()


def test_stretches_shorter_than_a_new_sample_leave_no_trace_or_one_value():
    data = make_sines(600)[0]
    raw = make_raw(data, sfreq=OLD)
    for place in (101, 102, 104, 105):
        mark(raw, place / OLD, 0.0, "EDGE boundary")
    values = resample_recording(raw, 128.0).get_data()
    assert_allclose(values[:, 26], data[:, 104], rtol=0, atol=1e-12)
    assert values.shape == (2, 150)


def test_file_on_disk_is_resampled_like_the_loaded_one(tmp_path):
    raw = make_raw(make_sines(2000)[0], sfreq=OLD, first_samp=33, meas_date=START)
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    resampled, expected = (resample_recording(one, 200.0) for one in (lazy, raw))
    assert not lazy.preload
    assert_array_equal(resampled.get_data(), expected.get_data())
    assert resampled.first_samp == expected.first_samp == 13


def test_row_28_unit_does_not_matter():
    data = make_sines(2000)[0]
    tesla, one = (
        resample_recording(
            make_raw(unit * data, ["mag", "mag"], sfreq=OLD), 200.0
        ).get_data()
        for unit in (1e-13, 1.0)
    )
    assert_allclose(1e13 * tesla, one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("on_nonfinite", ["raise", "annotate"])
def test_recordings_without_good_data_channels_are_resampled(on_nonfinite):
    data = make_sines(2000)[0]
    expected = resample_recording(make_raw(data, sfreq=OLD), 200.0).get_data()
    for kinds, bads in ((["emg", "misc"], []), (["eeg", "mag"], ["eeg0", "mag1"])):
        raw = make_raw(data, kinds, sfreq=OLD)
        raw.info["bads"] = bads
        found = resample_recording(raw, 200.0, on_nonfinite=on_nonfinite)
        assert_array_equal(found.get_data(), expected)
    raw = make_raw(data, ["seeg", "misc"], sfreq=OLD)
    raw._data[0, 7] = np.nan
    with pytest.raises(InputError, match="NaN or Inf in channel 'seeg0'"):
        resample_recording(raw, 200.0)


def test_rates_and_objects_that_cannot_be_are_refused():
    raw = make_raw(make_sines(600)[0], sfreq=OLD)
    with pytest.raises(OptionError, match="ratio of whole numbers"):
        resample_recording(raw, 100.0 * np.pi)
    epochs = mne.EpochsArray(np.zeros((2, 2, 9)), raw.info, verbose="error")
    with pytest.raises(TypeError, match=r"Raw, but got EpochsArray.*before epochs"):
        resample_recording(epochs, 100.0)
