"""Before and after, by type: the array function on what both have."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import START, make_noise, make_raw, mark
from meegic.base.errors import DataWarning, InputError
from meegic.clean.edge.comparing import compare_recordings
from meegic.clean.edge.resampling import resample_recording
from meegic.clean.quality import compute_quality

RATE = 200.0
KINDS = ["eeg"] * 3 + ["mag"] * 3 + ["eog"]


@pytest.fixture
def before():
    return make_noise(7, 4000)


@pytest.fixture
def after(before):
    after = before.copy()
    after[:, 1000:1400] *= 0.5
    return after


def make(data, **options):
    return make_raw(data, KINDS, sfreq=RATE, **options)


def assert_same(found, expected):
    first, second = found.to_dict(), expected.to_dict()
    assert_allclose(first.pop("correlation"), second.pop("correlation"), atol=1e-12)
    assert first == second


def test_each_type_gets_the_numbers_of_the_array_function(before, after):
    found = compare_recordings(make(before), make(after))
    assert list(found) == ["mag", "eeg"]
    for kind, rows in (("eeg", slice(0, 3)), ("mag", slice(3, 6))):
        assert_same(found[kind], compute_quality(before[rows], after[rows], RATE))
    assert list(compare_recordings(make(before), make(after), types=["eeg"])) == ["eeg"]


@pytest.mark.parametrize("meas_date", [None, START])
def test_repaired_spans_and_removed_dimensions_are_read(before, after, meas_date):
    raws = [make(data, first_samp=30, meas_date=meas_date) for data in (before, after)]
    for start, kind, n_removed in ((5.0, "eeg", 2), (6.0, "eeg", 1), (9.0, "mag", 3)):
        raws[1].annotations.append(
            start + raws[1].first_time,
            1.0,
            "ASR_repaired",
            extras=[{"channel_type": kind, "n_removed": n_removed}],
        )
    mask = np.zeros(4000, bool)
    mask[1000:1400] = True
    expected = compute_quality(
        before[:3], after[:3], RATE, mask, dims_removed=np.array([2, 1])
    )
    found = compare_recordings(*raws)
    assert_same(found["eeg"], expected)
    assert found["eeg"].correlation == pytest.approx(1.0)
    assert found["mag"].dims_removed == {"median": 3.0, "max": 3.0}


def test_row_42_spans_marked_before_are_left_out(before, after):
    raws = make(before), make(after)
    mark(raws[0], 5.0, 1.0, "BAD_mine")
    mark(raws[1], 12.0, 1.0, "BAD_asr")  # what cleaning found is not left out
    kept = np.r_[0:1000, 1200:4000]
    expected = compute_quality(before[:3, kept], after[:3, kept], RATE)
    assert_same(compare_recordings(*raws)["eeg"], expected)


def test_row_21_what_is_not_finite_is_left_out(before, after):
    for data in (before, after):
        data[1, 50:60] = np.nan
    kept = np.r_[0:50, 60:4000]
    expected = compute_quality(before[:3, kept], after[:3, kept], RATE)
    assert_same(compare_recordings(make(before), make(after))["eeg"], expected)


def test_channels_marked_in_either_are_left_out(before, after):
    raws = make(before), make(after)
    raws[0].info["bads"] = ["eeg0"]
    raws[1].info["bads"] = ["eeg2"]
    found = compare_recordings(*raws)["eeg"]
    assert_same(found, compute_quality(before[1:2], after[1:2], RATE))


def test_channels_are_matched_by_name(before, after):
    second = make(after).reorder_channels(make(after).ch_names[::-1])
    expected = compare_recordings(make(before), make(after))
    for kind, found in compare_recordings(make(before), second).items():
        assert_same(found, expected[kind])
    with pytest.raises(InputError, match=r"after must have .* lacks 'eeg1' and 'eeg2'"):
        compare_recordings(make(before), make(after).drop_channels(["eeg1", "eeg2"]))


def test_line_frequency_of_the_header_serves(before, after):
    raws = make(before), make(after)
    raws[0].info["line_freq"] = 60
    expected = compute_quality(before[:3], after[:3], RATE, line_freq=60.0)
    assert_same(compare_recordings(*raws)["eeg"], expected)
    expected = compute_quality(before[:3], after[:3], RATE, line_freq=45.0)
    assert_same(compare_recordings(*raws, line_freq=45.0)["eeg"], expected)


def test_epochs_are_compared_one_after_the_other(before, after):
    info = mne.create_info(3, RATE, "eeg")
    epochs = [
        mne.EpochsArray(
            data[:3].reshape(3, 10, 400).swapaxes(0, 1), info, verbose="error"
        )
        for data in (before, after)
    ]
    expected = compute_quality(before[:3], after[:3], RATE)
    assert_same(compare_recordings(*epochs)["eeg"], expected)


def test_epochs_need_not_be_loaded(before):
    raw = make(before)
    events = mne.make_fixed_length_events(raw, duration=2.0)
    limits = {"tmin": 0.0, "tmax": 1.99, "baseline": None, "verbose": "error"}
    lazy = mne.Epochs(raw, events, **limits)
    loaded = mne.Epochs(raw, events, **limits, preload=True)
    expected = compare_recordings(loaded, loaded)["eeg"]
    assert_same(compare_recordings(lazy, loaded)["eeg"], expected)


def test_other_times_are_refused_or_warned_of(before):
    info = mne.create_info(7, RATE, KINDS)
    first, second = (
        mne.EpochsArray(before.reshape(7, n, -1).swapaxes(0, 1), info, verbose="error")
        for n in (10, 8)
    )
    with pytest.raises(InputError, match="4000 and 4000, 400 and 500 in a row"):
        compare_recordings(first, second)
    raw = make(before)
    with pytest.warns(DataWarning, match=r"begins at 0\.000 s and after at 5\.000 s"):
        compare_recordings(raw.copy().crop(0, 10), raw.copy().crop(5, 15))


def test_recordings_stay_and_need_not_be_loaded(before, after, tmp_path):
    raws = make(before), make(after)
    expected = compare_recordings(*raws)
    assert_array_equal(raws[0].get_data(), before)
    lazy = []
    for name, raw in zip("ab", raws, strict=True):
        raw.save(tmp_path / f"{name}_raw.fif", fmt="double", verbose="error")
        lazy.append(mne.io.read_raw_fif(tmp_path / f"{name}_raw.fif", verbose="error"))
    for kind, found in compare_recordings(*lazy).items():
        assert_same(found, expected[kind])
    assert not lazy[0].preload


def test_recordings_that_do_not_fit_are_refused(before, after):
    raw = make(before)
    with pytest.raises(InputError, match=r"one sampling rate, but have 200 and 100 Hz"):
        compare_recordings(raw, resample_recording(make(after), 100.0))
    with pytest.raises(InputError, match="as many samples, but have 4000 and 201"):
        compare_recordings(raw, make(after).crop(0, 1))
    with pytest.raises(TypeError, match="Raw or Epochs, but got ndarray"):
        compare_recordings(raw, after)
