"""Filters of Raw and Epochs: the array function on each stretch, nothing else."""

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import SFREQ, START, list_spans, make_noise, make_raw, mark
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.clean.edge.filtering import apply_filters, filter_recording
from meegic.clean.filter import apply_filter
from meegic.clean.filter_design import design_filter, design_notch

BAND = design_filter(SFREQ, l_freq=1.0, h_freq=30.0)


@pytest.fixture
def raw():
    return make_raw(make_noise(4, 2000), ["eeg", "eeg", "mag", "eog"])


def make_epochs(data, **options):
    n_channels = data.shape[1]
    info = mne.create_info(n_channels, SFREQ, "eeg")
    return mne.EpochsArray(data, info, verbose="error", **options)


@pytest.mark.parametrize("phase", ["zero", "forward"])
@pytest.mark.parametrize("kind", ["butter", "fir"])
def test_data_get_what_the_array_function_gives_and_others_stay(raw, kind, phase):
    design = design_filter(SFREQ, l_freq=1.0, h_freq=30.0, kind=kind)
    data = raw.get_data()
    filtered = filter_recording(raw, 1.0, 30.0, kind=kind, phase=phase).get_data()
    assert_array_equal(filtered[:3], apply_filter(data[:3], design, phase=phase))
    assert_array_equal(filtered[3], data[3])


def test_finite_filter_is_that_of_mne(raw):
    expected = raw.copy().filter(1.0, 30.0, picks="data", verbose="error")
    filtered = filter_recording(raw, 1.0, 30.0, kind="fir")
    assert_allclose(filtered.get_data(), expected.get_data(), atol=1e-10)
    for name in ("highpass", "lowpass"):
        assert filtered.info[name] == expected.info[name]


def test_input_and_header_stay_but_for_the_band(raw):
    mark(raw, 3.0, 1.0, "BAD_mine")
    data, info, notes = raw.get_data(), raw.info.copy(), raw.annotations.copy()
    filtered = filter_recording(raw, 1.0, 30.0)
    assert_array_equal(raw.get_data(), data)
    assert object_diff(raw.info, info) == ""
    assert raw.annotations == notes == filtered.annotations
    with filtered.info._unlock():
        filtered.info.update(highpass=info["highpass"], lowpass=info["lowpass"])
    assert object_diff(filtered.info, info) == ""


def test_band_of_the_header_only_narrows_and_only_for_all_data(raw):
    first = filter_recording(raw, 2.0, 30.0)
    second = filter_recording(first, 1.0, 40.0)
    assert (second.info["highpass"], second.info["lowpass"]) == (2.0, 30.0)
    part = filter_recording(raw, 2.0, None, picks="eeg")
    assert part.info["highpass"] == raw.info["highpass"]
    notched = filter_recording(raw, notch=20.0)
    assert notched.info["lowpass"] == raw.info["lowpass"]


def test_notch_comes_after_the_band_and_can_stand_alone(raw):
    data = raw.get_data()[:3]
    notch = design_notch(SFREQ, [20.0, 40.0])
    both = filter_recording(raw, 1.0, 30.0, notch=[20.0, 40.0]).get_data()[:3]
    assert_array_equal(both, apply_filter(apply_filter(data, BAND), notch))
    alone = filter_recording(raw, notch=[20.0, 40.0]).get_data()[:3]
    assert_array_equal(alone, apply_filter(data, notch))


def test_filters_of_any_design_are_applied_in_their_order(raw):
    data = raw.get_data()[:3]
    steep = design_filter(SFREQ, l_freq=2.0, order=8, kind="cheby2")
    narrow = design_notch(SFREQ, 20.0, quality=60)
    found = apply_filters(raw, [steep, narrow], phase="forward")
    for one in (steep, narrow):
        data = apply_filter(data, one, phase="forward")
    assert_array_equal(found.get_data()[:3], data)
    assert found.info["highpass"] == 2.0
    assert_array_equal(
        apply_filters(raw, BAND).get_data(), filter_recording(raw, 1.0, 30.0).get_data()
    )


def test_filters_that_do_not_fit_are_refused(raw):
    with pytest.raises(OptionError, match=r"made for 100 Hz, .* one is for 250 Hz"):
        apply_filters(raw, [BAND, design_filter(250.0, l_freq=1.0)])
    with pytest.raises(OptionError, match="at least one filter"):
        apply_filters(raw, [])
    with pytest.raises(TypeError, match=r"filters, but got ndarray.*design_filter"):
        apply_filters(raw, [np.ones(5)])


def test_picks_are_types_or_names(raw):
    data = raw.get_data()
    filtered = filter_recording(raw, 1.0, 30.0, picks=["eeg1", "eog"]).get_data()
    assert_array_equal(filtered[[0, 2]], data[[0, 2]])
    assert_array_equal(filtered[[1, 3]], apply_filter(data[[1, 3]], BAND))
    with pytest.raises(OptionError, match="'eeg9' is not a known type or channel"):
        filter_recording(raw, 1.0, picks=["eeg9"])


def test_bad_channels_stay_bit_for_bit(raw):
    raw._data[1, 5] = np.nan
    raw.info["bads"] = ["eeg1"]
    filtered = filter_recording(raw, 1.0, 30.0)
    assert_array_equal(filtered.get_data()[1], raw.get_data()[1])
    assert filtered.info["bads"] == ["eeg1"]
    with pytest.raises(InputError, match="select a channel that is not bad"):
        filter_recording(raw, 1.0, picks="eeg1")


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("first_samp", [0, 77])
@pytest.mark.parametrize(
    ("word", "duration_s"),
    [("BAD boundary", 0.0), ("EDGE boundary", 0.0), ("BAD_ACQ_SKIP", 2.0)],
)
def test_row_42_nothing_runs_across_a_boundary(word, duration_s, first_samp, meas_date):
    data = make_noise(2, 2000)
    raw = make_raw(data, first_samp=first_samp, meas_date=meas_date)
    mark(raw, 8.0, duration_s, word)
    raw._data[:, 800:] += 1e3
    resume = 800 + round(duration_s * SFREQ)
    filtered = filter_recording(raw, 1.0, 30.0).get_data()
    for part in (slice(0, 800), slice(resume, 2000)):
        assert_array_equal(filtered[:, part], apply_filter(raw._data[:, part], BAND))
    assert_array_equal(filtered[:, 800:resume], raw._data[:, 800:resume])


def test_concatenated_files_are_filtered_one_by_one():
    parts = [make_raw(make_noise(2, 1000, seed)) for seed in (0, 1)]
    raw = mne.concatenate_raws([one.copy() for one in parts], verbose="error")
    filtered = filter_recording(raw, 1.0, 30.0).get_data()
    for part, one in zip((filtered[:, :1000], filtered[:, 1000:]), parts, strict=True):
        assert_array_equal(part, apply_filter(one.get_data(), BAND))


def test_row_42_marked_spans_are_filtered_with_the_rest(raw):
    mark(raw, 5.0, 2.0, "BAD_mine")
    filtered = filter_recording(raw, 1.0, 30.0).get_data()[:3]
    assert_array_equal(filtered, apply_filter(raw.get_data()[:3], BAND))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_21_row_22_nonfinite_samples_end_a_stretch(raw, value):
    raw._data[1, 900:903] = value
    with pytest.raises(InputError, match=r"channel 'eeg1': 3 samples.* at 9\.000 s"):
        filter_recording(raw, 1.0, 30.0)
    filtered = filter_recording(raw, 1.0, 30.0, on_nonfinite="annotate")
    data = filtered.get_data()[:3]
    assert list_spans(filtered, "BAD_nan") == [[900, 903]]
    assert_array_equal(data[:, 900:903], raw.get_data()[:3, 900:903])
    for part in (slice(0, 900), slice(903, 2000)):
        assert_array_equal(data[:, part], apply_filter(raw.get_data()[:3, part], BAND))


def test_stretches_that_are_too_short_stay_are_annotated_and_counted(raw):
    n_padding = BAND.form.n_padding
    mark(raw, 5.0, 0.0, "EDGE boundary")
    mark(raw, 5.0 + n_padding / SFREQ, 0.0, "EDGE boundary")
    with pytest.warns(DataWarning, match=r"1 stretches .*0\.27 s .* than 0\.28 s"):
        filtered = filter_recording(raw, 1.0, 30.0)
    short = slice(500, 500 + n_padding)
    assert_array_equal(filtered.get_data()[:, short], raw.get_data()[:, short])
    assert list_spans(filtered, "BAD_short") == [[500, 500 + n_padding]]
    # Causally, no stretch is too short.
    causal = filter_recording(raw, 1.0, 30.0, phase="forward")
    assert "BAD_short" not in causal.annotations.description


def test_row_36_recording_without_a_long_stretch_is_refused(raw):
    with pytest.raises(InputError, match=r"at least 0\.28 s .* longest has 0\.21 s"):
        filter_recording(raw.crop(0, 0.2), 1.0, 30.0)


def test_each_epoch_is_filtered_by_itself():
    data = make_noise(2, 5000).reshape(2, 5, 1000).swapaxes(0, 1)
    epochs = make_epochs(data.copy(), tmin=-0.5)
    filtered = filter_recording(epochs, 1.0, 30.0)
    assert_array_equal(epochs.get_data(), data)
    assert_array_equal(filtered.get_data(), apply_filter(data, BAND))
    assert_array_equal(filtered.times, epochs.times)
    assert filtered.info["lowpass"] == 30.0


@pytest.mark.parametrize(("kind", "shortest"), [("butter", 2.88), ("fir", 3.31)])
def test_epochs_as_short_as_the_edges_are_refused(kind, shortest):
    n_least = round(shortest * SFREQ)
    epochs = make_epochs(make_noise(2, 2 * n_least).reshape(2, 2, n_least))
    filter_recording(epochs, 1.0, kind=kind)
    shorter = make_epochs(epochs.get_data()[..., 1:])
    with pytest.raises(InputError, match=r"at least .* but are .*Filter the Raw"):
        filter_recording(shorter, 1.0, kind=kind)


def test_settling_time_is_that_of_the_impulse_response():
    from meegic.clean.edge.filtering import _count_edge

    for edge in (0.5, 4.0):
        design = design_filter(SFREQ, l_freq=edge)
        impulse = np.zeros((1, 4000))
        impulse[0, 0] = 1.0
        response = np.abs(apply_filter(impulse, design, phase="forward"))[0]
        settled = np.flatnonzero(response > 1e-3 * response[1:].max()).max()
        assert 0.5 < _count_edge(design) / settled < 2.0


@pytest.mark.parametrize("unit", [1e-13, 1e-6])
def test_row_28_unit_does_not_matter(raw, unit):
    expected = filter_recording(raw, 1.0, 30.0).get_data()
    raw._data *= unit
    filtered = filter_recording(raw, 1.0, 30.0).get_data()
    assert_allclose(
        filtered / unit, expected, rtol=0, atol=1e-12 * np.abs(expected).max()
    )


def test_file_on_disk_is_filtered_like_the_loaded_one(tmp_path):
    raw = make_raw(make_noise(3, 2000), ["eeg", "eeg", "stim"], first_samp=33)
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    filtered = filter_recording(lazy, 1.0, 30.0)
    assert not lazy.preload
    assert type(filtered) is type(lazy)
    assert filtered.first_samp == 33
    expected = filter_recording(raw, 1.0, 30.0)
    assert_array_equal(filtered.get_data(), expected.get_data())


def test_more_channels_than_are_filtered_at_once():
    data = make_noise(37, 500)
    filtered = filter_recording(make_raw(data), 1.0, 30.0).get_data()
    assert_array_equal(filtered, apply_filter(data, BAND))


def test_row_37_what_cannot_be_is_refused(raw):
    with pytest.raises(OptionError, match="are all None; pass at least one"):
        filter_recording(raw)
    with pytest.raises(OptionError, match=r"below 50 Hz, but got 60.*rate is 100 Hz"):
        filter_recording(raw, 1.0, 60.0)
    with pytest.raises(OptionError, match="phase must be 'zero' or 'forward'"):
        filter_recording(raw, 1.0, phase="double")
    with pytest.raises(
        TypeError, match="must be an mne Raw or Epochs, but got ndarray"
    ):
        filter_recording(raw.get_data(), 1.0)
