"""ASR of epochs, each by itself, and of recordings with several types of channels."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import SFREQ, add_bursts, make_noise, make_raw, mark
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.clean.asr import apply_asr
from meegic.clean.asr_calibration import calibrate_asr
from meegic.clean.edge.asr import ASR

N = 4000
LENGTH = 200
BURSTS = ((1401, 1550), (2601, 2660))
KINDS = ["mag", "eeg", "grad", "stim", "mag", "eeg", "grad", "eog", "mag", "eeg"]
SCALES = {"mag": 1e-13, "grad": 1e-12, "eeg": 1e-5, "stim": 1.0, "eog": 1e-4}


@pytest.fixture(scope="module")
def rest():
    return make_raw(1e-5 * make_noise(4, N))


@pytest.fixture(scope="module")
def asr(rest):
    return ASR(calibration=rest).fit(rest)


@pytest.fixture
def raw(rest):
    data = add_bursts(rest.get_data(), height=2e-3, spans=BURSTS)
    return make_raw(data)


def cut(raw, length_s=2.0, **options):
    return mne.make_fixed_length_epochs(
        raw, length_s, preload=True, verbose="error", **options
    )


def test_epoch_is_cleaned_as_an_array_that_its_mirror_image_continues(asr, raw):
    epochs = cut(raw)
    before = epochs.get_data()
    cleaned = asr.transform(epochs)
    for found, epoch in zip(cleaned.get_data(), before, strict=True):
        extended = np.hstack([epoch, epoch[:, -2:-52:-1]])
        expected = apply_asr(extended, asr.states_["eeg"], 50, 25, initial="zero")
        assert_array_equal(found, expected[:, :LENGTH])
    assert_array_equal(epochs.get_data(), before)
    assert_array_equal(cleaned.events, epochs.events)
    assert type(cleaned) is type(epochs)


def test_other_epochs_do_not_matter(asr, raw):
    epochs = cut(raw)
    whole = asr.transform(epochs).get_data()
    order = np.random.default_rng(0).permutation(len(epochs))
    assert_array_equal(asr.transform(epochs[order]).get_data(), whole[order])
    assert_array_equal(asr.transform(epochs[7]).get_data()[0], whole[7])


@pytest.mark.parametrize("span", [(1400, 1440), (1560, 1600)])
def test_burst_at_either_end_of_an_epoch_is_removed(asr, rest, span):
    spoiled = cut(make_raw(add_bursts(rest.get_data(), height=2e-3, spans=[span])))
    found, truth = asr.transform(spoiled).get_data()[7], cut(rest).get_data()[7]
    wrong = np.abs(spoiled.get_data()[7] - truth).max()
    assert np.abs(found - truth).max() < 0.1 * wrong


def test_clean_epochs_stay_as_they_are(asr, rest):
    assert_array_equal(asr.transform(cut(rest)).get_data(), cut(rest).get_data())


def test_repaired_epochs_are_annotated_on_the_clock_of_the_recording(asr, raw):
    cleaned = asr.transform(cut(raw.crop(1.0)))
    changed = [
        any(note[2] == "ASR_repaired" for note in notes)
        for notes in cleaned.get_annotations_per_epoch()
    ]
    n_removed = asr.report_["eeg"].n_removed.reshape(-1, LENGTH)
    assert_array_equal(changed, n_removed.any(axis=1))
    assert 2 <= sum(changed) <= 4
    assert asr.report_["eeg"].n_stretches == len(cleaned)


def test_epochs_calibrate_with_boundaries_between_them(raw):
    mark(raw, 14.0, 1.6, "BAD_burst")
    epochs = cut(raw, reject_by_annotation=False)
    asr = ASR(calibration=epochs).fit(raw)
    mask = np.ones(N, bool)
    mask[1400:1560] = False
    expected = calibrate_asr(
        raw.get_data(),
        20.0,
        sfreq=SFREQ,
        mask=mask,
        boundaries=list(range(LENGTH, N, LENGTH)),
    )
    assert_array_equal(asr.states_["eeg"].threshold, expected.threshold)
    by_mask = ASR(calibration=mask.reshape(-1, LENGTH)).fit(
        cut(make_raw(raw.get_data()))
    )
    assert_array_equal(by_mask.states_["eeg"].threshold, expected.threshold)


def test_epochs_shorter_than_two_windows_are_warned_of_and_than_one_refused(asr, raw):
    with pytest.warns(DataWarning, match=r"epochs last 0.8 s, less than two windows"):
        asr.transform(cut(raw, 0.8))
    with pytest.raises(InputError, match=r"at least 0.5 s, one window, but .* 0.4 s"):
        asr.transform(cut(raw, 0.4))


def test_row_21_epoch_that_is_not_finite_stays_and_the_others_do_not_notice(asr, raw):
    epochs = cut(raw)
    expected = asr.transform(epochs).get_data()
    epochs._data[3, 2, 190] = np.nan
    with pytest.raises(InputError, match="'eeg2': 1 samples, the first in epoch 3 at"):
        asr.transform(epochs)
    with pytest.warns(DataWarning, match="1 stretches between boundaries are shorter"):
        cleaned = asr.transform(epochs, on_nonfinite="annotate")
    others = np.arange(len(epochs)) != 3
    assert_array_equal(cleaned.get_data()[others], expected[others])
    assert_array_equal(cleaned.get_data()[3, :, 190:], epochs.get_data()[3, :, 190:])
    words = {note[2] for note in cleaned.get_annotations_per_epoch()[3]}
    assert {"BAD_nan", "BAD_short"} <= words


def test_epochs_on_disk_calibrate_like_those_in_memory(rest):
    lazy = mne.make_fixed_length_epochs(rest, 2.0, preload=False, verbose="error")
    mask = np.ones((N // LENGTH, LENGTH), bool)
    first, second = (ASR(calibration=mask).fit(one) for one in (lazy, cut(rest)))
    assert_array_equal(first.states_["eeg"].mixing, second.states_["eeg"].mixing)
    assert not lazy.preload


def test_epochs_on_disk_are_cleaned_like_those_in_memory(asr, raw):
    lazy = mne.make_fixed_length_epochs(raw, 2.0, preload=False, verbose="error")
    cleaned = asr.transform(lazy)
    assert not lazy.preload
    assert_array_equal(cleaned.get_data(), asr.transform(cut(raw)).get_data())


@pytest.fixture
def mixed():
    data = np.array([SCALES[kind] for kind in KINDS])[:, None] * make_noise(10, N)
    for kind in ("mag", "eeg"):
        rows = [k for k, one in enumerate(KINDS) if one == kind]
        data[rows] = add_bursts(data[rows], height=100 * SCALES[kind], spans=BURSTS)
    return make_raw(data, KINDS)


def test_row_29_each_type_is_cleaned_as_if_it_were_alone(mixed):
    every = np.ones(N, bool)
    asr = ASR(calibration=every).fit(mixed)
    assert list(asr.ch_names_) == ["mag", "grad", "eeg"]
    cleaned = asr.transform(mixed)
    for kind in ("mag", "grad", "eeg"):
        names = asr.ch_names_[kind]
        alone = mixed.copy().pick(names)
        expected = ASR(calibration=every).fit_transform(alone).get_data()
        assert_array_equal(cleaned.get_data(names), expected)
    for kind in ("stim", "eog"):
        assert_array_equal(cleaned.get_data(kind), mixed.get_data(kind))
    kinds = [one["channel_type"] for one in cleaned.annotations.extras if one]
    assert set(kinds) == {"mag", "eeg"}
    assert asr.report_["grad"].repaired == 0.0


def test_types_are_chosen(mixed):
    asr = ASR(calibration=np.ones(N, bool)).fit(mixed, types=["eeg"])
    cleaned = asr.transform(mixed)
    assert_array_equal(cleaned.get_data("meg"), mixed.get_data("meg"))
    assert asr.ch_names_ == {"eeg": ["eeg1", "eeg5", "eeg9"]}


def test_row_21_hole_in_one_type_does_not_interrupt_the_others(mixed):
    asr = ASR(calibration=np.ones(N, bool)).fit(mixed)
    expected = asr.transform(mixed)
    mixed._data[1, 2000] = np.nan
    cleaned = asr.transform(mixed, on_nonfinite="annotate")
    assert_array_equal(cleaned.get_data("meg"), expected.get_data("meg"))
    assert cleaned.annotations.ch_names[cleaned.annotations.description == "BAD_nan"][
        0
    ] == ("eeg1",)
    assert [asr.report_[kind].n_stretches for kind in ("mag", "grad", "eeg")] == [
        1,
        1,
        2,
    ]


def test_types_with_windows_of_different_lengths_stay_in_step_in_a_stream(mixed):
    asr = ASR(calibration=np.ones(N, bool), window_s=0.031)
    with pytest.warns(DataWarning, match="too short for 3 ... channels: 0.045") as few:
        asr.fit(mixed)
    assert len(few) == 2
    data, stream = mixed.get_data(), asr.stream()
    pieces = [stream.push(data[:, k : k + 333]) for k in range(0, 999, 333)]
    found = np.hstack([*pieces, stream.finish()])
    assert_array_equal(found, asr.transform(mixed.crop(0, 9.98)).get_data())


def test_row_21_piece_that_is_refused_leaves_a_stream_as_it_was(mixed):
    asr = ASR(calibration=np.ones(N, bool)).fit(mixed)
    data, stream, other = mixed.get_data(), asr.stream(), asr.stream()
    for row in range(len(KINDS)):  # a hole in any type
        spoiled = data[:, :333].copy()
        spoiled[row] = np.nan
        if SCALES[KINDS[row]] < 1e-4:
            with pytest.raises(InputError, match="NaN or Inf"):
                stream.push(spoiled)
    for span in (slice(0, 333), slice(333, 1000)):
        assert_array_equal(stream.push(data[:, span]), other.push(data[:, span]))


def test_rank_of_one_type_is_not_taken_for_all(mixed):
    with pytest.raises(OptionError, match="there are 'mag', 'grad' and 'eeg', but got"):
        ASR(rank=2).fit(mixed)
    asr = ASR(rank={"mag": 2}, calibration=np.ones(N, bool)).fit(mixed)
    assert [one.rank for one in asr.states_.values()] == [2, 2, 3]


def test_units_of_each_type_do_not_matter(mixed):
    scaled = mixed.copy()
    scaled._data *= 1e9
    first, second = (
        ASR(calibration=np.ones(N, bool)).fit_transform(one) for one in (mixed, scaled)
    )
    heights = np.abs(mixed.get_data()).max(axis=1, keepdims=True)
    assert_allclose(
        second.get_data() / 1e9 / heights, first.get_data() / heights, atol=1e-12
    )
