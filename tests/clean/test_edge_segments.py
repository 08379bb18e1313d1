"""Stretches of a recording, samples in and out, and annotations where they belong."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from clean.edge_recordings import SFREQ, START, list_spans, make_raw, mark
from meegic.base.errors import InputError, OptionError
from meegic.clean.edge import segments as module
from meegic.clean.edge.annotations import annotate_mask, annotate_spans
from meegic.clean.edge.samples import (
    check_inst,
    copy_loaded,
    pick_types,
    put_samples,
    take_samples,
)
from meegic.clean.edge.segments import annotate_nonfinite, find_segments

N = 400
TWO = np.array([0, 1])


@pytest.fixture
def raw():
    return make_raw(np.random.default_rng(0).standard_normal((3, N)))


def make_epochs(raw, length_s=1.0):
    return mne.make_fixed_length_epochs(raw, length_s, preload=True, verbose="error")


def list_slices(segments):
    return [(one.start, one.stop) for one in segments.slices]


def test_recording_without_marks_is_one_stretch(raw):
    segments = find_segments(raw, TWO)
    assert list_slices(segments) == [(0, N)]
    assert segments.used.all()
    assert not segments.nonfinite.any()


@pytest.mark.parametrize("word", ["BAD boundary", "EDGE boundary", "boundary", "EDGE"])
def test_row_42_stretch_ends_at_a_boundary(raw, word):
    mark(raw, 1.5, 0.0, word)
    segments = find_segments(raw, TWO)
    assert list_slices(segments) == [(0, 150), (150, N)]
    assert segments.used.all()


@pytest.mark.parametrize("word", ["BAD_ACQ_SKIP", "BAD_gap", "bad_acq_skip"])
def test_row_42_skipped_span_belongs_to_no_stretch(raw, word):
    mark(raw, 1.5, 0.5, word)
    segments = find_segments(raw, TWO)
    assert list_slices(segments) == [(0, 150), (200, N)]
    assert_array_equal(np.flatnonzero(~segments.used), np.arange(150, 200))


def test_row_42_other_bad_spans_are_not_used_but_end_no_stretch(raw):
    mark(raw, 1.5, 0.5, "BAD_blink")
    mark(raw, 3.0, 0.5, "stimulus")
    segments = find_segments(raw, TWO)
    assert list_slices(segments) == [(0, N)]
    assert_array_equal(np.flatnonzero(~segments.used), np.arange(150, 200))


def test_boundary_between_two_samples_comes_before_the_later(raw):
    mark(raw, 1.495, 0.0, "boundary")
    assert list_slices(find_segments(raw, TWO)) == [(0, 150), (150, N)]


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("first_samp", [0, 1234])
def test_marks_stay_where_they_are_in_cropped_and_joined_files(meas_date, first_samp):
    parts = [
        make_raw(np.zeros((2, N)), first_samp=first_samp, meas_date=meas_date)
        for _ in range(2)
    ]
    mark(parts[1], 1.0, 0.5, "BAD_blink")
    joined = mne.concatenate_raws(parts, verbose="error").crop(2.0, 7.0)
    segments = find_segments(joined, TWO)
    assert list_slices(segments) == [(0, 200), (200, len(joined.times))]
    assert_array_equal(np.flatnonzero(~segments.used), np.arange(300, 350))


def test_used_samples_are_those_that_mne_does_not_reject(raw):
    rng = np.random.default_rng(1)
    for onset, duration in rng.uniform(0, 1, (6, 2)) * [4.0, 0.4]:
        mark(raw, round(onset, 2), round(duration, 2), "BAD")
    _, times = raw.get_data(
        reject_by_annotation="omit", return_times=True, verbose="error"
    )
    used = find_segments(raw, TWO).used
    assert_array_equal(np.flatnonzero(used), np.rint(times * SFREQ))


def test_row_21_sample_that_is_not_finite_is_refused_by_name_and_time(raw):
    raw._data[1, 250] = np.nan
    raw._data[1, 251] = np.inf
    raw._data[0, 300] = np.nan
    with pytest.raises(
        InputError,
        match=r"channel 'eeg1': 2 samples, the first at 2.500 s; 2 channels",
    ):
        find_segments(raw, TWO)
    assert find_segments(raw, np.array([2])).used.all()


def test_row_21_and_22_what_is_not_finite_ends_a_stretch_and_is_annotated(raw):
    raw._data[1, 250] = np.nan
    raw._data[0, 251] = -np.inf
    before = raw.get_data()
    segments = find_segments(raw, TWO, on_nonfinite="annotate")
    assert list_slices(segments) == [(0, 250), (252, N)]
    assert_array_equal(np.flatnonzero(segments.nonfinite), [250, 251])
    assert annotate_nonfinite(raw, TWO) == 1
    assert list_spans(raw, "BAD_nan") == [[250, 252]]
    assert raw.annotations.ch_names[0] == ("eeg0", "eeg1")
    assert_array_equal(raw.get_data(), before)


def test_row_21_annotated_once_it_is_no_error_and_not_annotated_again(raw):
    raw._data[1, 250] = np.nan
    annotate_nonfinite(raw, TWO)
    assert list_slices(find_segments(raw, TWO)) == [(0, 250), (251, N)]
    assert annotate_nonfinite(raw, TWO) == 0


def test_row_21_epoch_that_is_not_finite_is_named(raw):
    raw._data[1, 250] = np.nan
    with pytest.raises(InputError, match=r"the first in epoch 2 at 0.500 s; 1 channel"):
        find_segments(make_epochs(raw), TWO)


def test_pieces_of_the_search_do_not_matter(raw, monkeypatch):
    raw._data[1, 30:250] = np.nan
    whole = find_segments(raw, TWO, on_nonfinite="annotate")
    monkeypatch.setattr(module, "_PIECE", 7)
    parts = find_segments(raw, TWO, on_nonfinite="annotate")
    assert list_slices(parts) == list_slices(whole)
    assert_array_equal(parts.nonfinite, whole.nonfinite)
    with pytest.raises(InputError, match=r"'eeg1': 220 samples, the first at 0.300 s"):
        find_segments(raw, TWO)


def test_unknown_treatment_of_what_is_not_finite_is_refused(raw):
    with pytest.raises(OptionError, match="on_nonfinite must be 'raise' or 'annotate'"):
        find_segments(raw, TWO, on_nonfinite="ignore")


def test_each_epoch_is_a_stretch(raw):
    segments = find_segments(make_epochs(raw), TWO)
    assert list_slices(segments) == [(0, 100), (100, 200), (200, 300), (300, 400)]


def test_bad_spans_in_epochs_that_were_kept_are_not_used(raw):
    mark(raw, 1.5, 0.2, "BAD_blink")
    mark(raw, 2.5, 0.0, "BAD boundary")
    epochs = mne.make_fixed_length_epochs(
        raw, 1.0, preload=True, reject_by_annotation=False, verbose="error"
    )
    segments = find_segments(epochs, TWO)
    assert (200, 250) in list_slices(segments)
    assert_array_equal(np.flatnonzero(~segments.used), np.arange(150, 170))


@pytest.mark.parametrize("span", [slice(0, 30), slice(110, 290), slice(None)])
def test_samples_of_epochs_are_those_of_the_recording(raw, span):
    epochs = make_epochs(raw)
    expected = raw.get_data(picks=TWO)[:, span]
    assert_array_equal(take_samples(raw, TWO, span), expected)
    assert_array_equal(take_samples(epochs, TWO, span), expected)


def test_samples_are_a_copy_and_go_back_where_they_came_from(raw):
    picks, span = np.array([2, 0]), slice(120, 170)
    for inst in (raw, make_epochs(raw)):
        before = take_samples(inst, np.arange(3), slice(None))
        data = take_samples(inst, picks, span)
        data += 1.0
        assert_array_equal(take_samples(inst, np.arange(3), slice(None)), before)
        put_samples(inst, picks, span, data)
        before[picks, span] += 1.0
        assert_array_equal(take_samples(inst, np.arange(3), slice(None)), before)


def test_samples_of_a_file_are_read_without_loading_it(raw, tmp_path):
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    assert_array_equal(
        take_samples(lazy, TWO, slice(5, 9)), raw.get_data(picks=TWO)[:, 5:9]
    )
    find_segments(lazy, TWO)
    assert copy_loaded(lazy).preload
    assert not lazy.preload


def test_channels_are_good_ones_by_type():
    kinds = ["eeg", "mag", "stim", "eeg", "eog", "seeg", "grad"]
    info = make_raw(np.zeros((7, 5)), kinds).info
    info["bads"] = ["eeg0", "grad6"]
    found = {kind: picks.tolist() for kind, picks in pick_types(info).items()}
    assert found == {"mag": [1], "eeg": [3]}
    assert list(pick_types(info, ["seeg"])) == ["seeg"]


def test_row_20_absent_types_are_refused_with_those_that_are_there():
    info = make_raw(np.zeros((3, 5)), ["stim", "eeg", "stim"]).info
    info["bads"] = ["eeg1"]
    with pytest.raises(
        InputError, match=r"type 'mag', 'grad' or 'eeg', but it has 1 eeg, 2 stim, 1 of"
    ):
        pick_types(info)
    with pytest.raises(OptionError, match="'meg' is not a known type of channel"):
        pick_types(info, ["meg"])


def test_what_is_no_recording_is_refused(raw):
    with pytest.raises(
        TypeError, match="inst must be an mne Raw or Epochs, but got nd"
    ):
        check_inst(np.zeros((2, 9)))
    empty = mne.io.RawArray(np.zeros((3, 0)), raw.info, verbose="error")
    with pytest.raises(InputError, match="inst has no samples"):
        check_inst(empty)


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("first_samp", [0, 1234])
def test_annotated_samples_are_those_that_mne_rejects(meas_date, first_samp):
    joined = mne.concatenate_raws(
        [
            make_raw(np.zeros((2, N)), first_samp=first_samp, meas_date=meas_date)
            for _ in range(2)
        ],
        verbose="error",
    ).crop(1.0, 6.0)
    mask = np.random.default_rng(2).random(len(joined.times)) < 0.2
    mask[0] = mask[-1] = True
    annotate_mask(joined, mask, "BAD_window")
    kept = joined.get_data(picks=[0], reject_by_annotation="NaN", verbose="error")
    assert_array_equal(np.isnan(kept[0]), mask)
    again = joined.copy().crop(0.5, 3.0)
    assert_array_equal(~find_segments(again, TWO).used, mask[50:301])


def test_annotations_survive_a_file_with_what_else_is_known(raw, tmp_path):
    annotate_spans(raw, [(3, 9)], "ASR_repaired", extras=[{"n_removed": 2}])
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    again = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    assert list_spans(again, "ASR_repaired") == [[3, 9]]
    assert again.annotations.extras[0]["n_removed"] == 2


def test_spans_of_epochs_lie_on_the_clock_of_their_recording(raw):
    raw = mne.concatenate_raws([raw, raw.copy()], verbose="error").crop(1.0)
    events = np.array([[raw.first_samp + at, 0, 1] for at in (90, 180, 500)])
    epochs = mne.Epochs(
        raw, events, tmin=-0.2, tmax=0.79, baseline=None, preload=True, verbose="error"
    )
    annotate_spans(
        epochs,
        [(130, 240)],
        "ASR_repaired",
        extras=[{"n_removed": 1}],
        ch_names=[["eeg0"]],
    )
    per_epoch = [
        [(round(t, 2), round(s, 2)) for t, s, what in notes if what == "ASR_repaired"]
        for notes in epochs.get_annotations_per_epoch()
    ]
    assert per_epoch == [[], [(0.1, 0.7)], [(-0.2, 0.4)]]


def test_epochs_of_an_array_get_no_annotations():
    info = mne.create_info(2, SFREQ, "eeg")
    epochs = mne.EpochsArray(np.zeros((3, 2, 50)), info, verbose="error")
    annotate_mask(epochs, np.ones(150, bool), "BAD_window")
    assert epochs.annotations is None
