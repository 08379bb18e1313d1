"""Line noise of a Raw: the array function by type and stretch."""

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import list_spans, make_noise, make_raw, mark
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.clean.edge.line_noise import remove_line
from meegic.clean.line_noise import remove_line_noise

RATE = 250.0


@pytest.fixture
def raw():
    data = make_noise(10, 4000)
    tone = np.sin(2 * np.pi * 50 * np.arange(4000) / RATE)
    data += 5 * np.linspace(1, 2, 10)[:, None] * tone
    return make_raw(data, ["eeg"] * 4 + ["mag"] * 4 + ["eog", "stim"], sfreq=RATE)


def test_each_type_gets_what_the_array_function_gives(raw):
    data = raw.get_data()
    cleaned = remove_line(raw, 50.0).get_data()
    for rows in (slice(0, 4), slice(4, 8)):
        assert_array_equal(cleaned[rows], remove_line_noise(data[rows], RATE, 50.0))
    assert_array_equal(cleaned[8:], data[8:])
    assert cleaned[:8].std() < 0.6 * data[:8].std()


def test_number_of_components_is_passed_on(raw):
    data = raw.get_data()
    cleaned = remove_line(raw, 50.0, n_remove=2).get_data()
    expected = remove_line_noise(data[:4], RATE, 50.0, n_remove=2)
    assert_array_equal(cleaned[:4], expected)
    assert_array_equal(remove_line(raw, 50.0, n_remove=0).get_data(), data)


def test_bad_channels_and_the_input_stay(raw):
    raw.info["bads"] = ["eeg1"]
    data, info = raw.get_data(), raw.info.copy()
    cleaned = remove_line(raw, 50.0)
    assert_array_equal(raw.get_data(), data)
    assert object_diff(raw.info, info) == object_diff(cleaned.info, info) == ""
    assert_array_equal(cleaned.get_data()[1], data[1])
    expected = remove_line_noise(data[[0, 2, 3]], RATE, 50.0)
    assert_array_equal(cleaned.get_data()[[0, 2, 3]], expected)


def test_row_42_each_stretch_by_itself_and_short_ones_stay(raw):
    data = raw.get_data()
    mark(raw, 8.0, 0.0, "BAD boundary")
    mark(raw, 9.0, 0.0, "EDGE boundary")
    with pytest.warns(DataWarning, match=r"1 stretches .*\(1 s in all\) .* than 2 s"):
        cleaned = remove_line(raw, 50.0)
    assert list_spans(cleaned, "BAD_short") == [[2000, 2250]]
    values = cleaned.get_data()
    assert_array_equal(values[:, 2000:2250], data[:, 2000:2250])
    for part in (slice(0, 2000), slice(2250, 4000)):
        expected = remove_line_noise(data[:4, part], RATE, 50.0)
        assert_array_equal(values[:4, part], expected)


def test_row_42_bad_spans_are_cleaned_but_not_learned_from(raw):
    data = raw.get_data()
    # A loud artifact at a harmonic of the line, on one channel.
    burst = 300 * np.sin(2 * np.pi * 100 * np.arange(750) / RATE)
    raw._data[2, 1000:1750] += burst
    mark(raw, 4.0, 3.0, "BAD_machine")
    cleaned, spoiled = remove_line(raw, 50.0).get_data(), raw.get_data()
    good = np.ones(4000, bool)
    good[1000:1750] = False
    expected = remove_line_noise(spoiled[:4], RATE, 50.0, good=good)
    assert_array_equal(cleaned[:4], expected)
    wanted = remove_line_noise(data[:4], RATE, 50.0)
    assert_allclose(cleaned[:4, :990], wanted[:, :990], atol=0.2)
    line = 5 * np.sin(2 * np.pi * 50 * np.arange(4000) / RATE)
    power = np.abs(cleaned[:4, 1000:1750] @ line[1000:1750])
    assert (power < 0.1 * np.abs(data[:4, 1000:1750] @ line[1000:1750])).all()


def test_row_42_stretch_with_little_that_is_good_stays(raw):
    mark(raw, 8.0, 0.0, "BAD boundary")
    mark(raw, 9.5, 6.0, "BAD_machine")
    with pytest.warns(DataWarning, match=r"1 stretches .*\(8 s in all\) .* than 2 s"):
        cleaned = remove_line(raw, 50.0)
    assert list_spans(cleaned, "BAD_short") == [[2000, 4000]]
    assert_array_equal(cleaned.get_data()[:, 2000:], raw.get_data()[:, 2000:])
    mark(raw, 0.0, 8.0, "BAD_all")
    with pytest.raises(InputError, match=r"the longest has 1 s.*annotations"):
        remove_line(raw, 50.0)


def test_row_36_short_recordings_are_refused(raw):
    with pytest.raises(InputError, match=r"at least 2 s .* the longest has 1 s"):
        remove_line(raw.crop(0, 0.996), 50.0)


def test_row_21_nonfinite_samples_end_a_stretch(raw):
    raw._data[5, 2000] = np.nan
    with pytest.raises(InputError, match=r"channel 'mag5': 1 samples.* 8\.000 s"):
        remove_line(raw, 50.0)
    cleaned = remove_line(raw, 50.0, on_nonfinite="annotate")
    assert list_spans(cleaned, "BAD_nan") == [[2000, 2001]]
    expected = remove_line_noise(raw.get_data()[4:8, :2000], RATE, 50.0)
    assert_array_equal(cleaned.get_data()[4:8, :2000], expected)
    assert_array_equal(cleaned.get_data()[:, 2000], raw.get_data()[:, 2000])


def test_frequency_of_the_header_serves_and_none_is_refused(raw):
    with pytest.raises(OptionError, match=r"info\['line_freq'\] is None.*Pass 50"):
        remove_line(raw)
    raw.info["line_freq"] = 50
    assert_array_equal(remove_line(raw).get_data(), remove_line(raw, 50.0).get_data())


def test_row_28_unit_does_not_matter(raw):
    expected = remove_line(raw, 50.0).get_data()
    raw._data *= 1e-13
    found = 1e13 * remove_line(raw, 50.0).get_data()
    assert_allclose(found[:8], expected[:8], rtol=0, atol=1e-9)


def test_file_on_disk_is_cleaned_like_the_loaded_one(raw, tmp_path):
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    expected = remove_line(lazy.copy().load_data(verbose="error"), 50.0)
    assert_array_equal(remove_line(lazy, 50.0).get_data(), expected.get_data())
    assert not lazy.preload


def test_each_epoch_is_cleaned_by_itself():
    data = make_noise(4, 3000).reshape(4, 3, 1000).swapaxes(0, 1)
    data += 5 * np.sin(2 * np.pi * 50 * np.arange(1000) / RATE)
    epochs = mne.EpochsArray(data, mne.create_info(4, RATE, "eeg"), verbose="error")
    cleaned = remove_line(epochs, 50.0).get_data()
    for one, before in zip(cleaned, data, strict=True):
        assert_array_equal(one, remove_line_noise(before, RATE, 50.0))
