"""Bad channels from good ones: MNE's numbers, nothing else touched."""

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import list_spans, make_noise, mark
from meegic import simulate_recording
from meegic.base.errors import InputError, RankError
from meegic.clean.edge.interpolating import interpolate_bad_channels


@pytest.fixture
def raw():
    raw = simulate_recording("eeg32", duration_s=5, artifacts=["blink"])[0]
    raw.info["bads"] = ["Cz", "Pz", "VEOG"]
    return raw


@pytest.fixture(scope="module")
def meg():
    raw = simulate_recording("neuromag306", duration_s=5, artifacts=[])[0]
    names = raw.ch_names[:60]
    return raw.pick(names).crop(0, 1)


def find_rows(inst, names):
    return [inst.ch_names.index(one) for one in names]


@pytest.mark.parametrize("origin", ["auto", (0.0, 0.005, 0.04)])
def test_splines_are_those_of_mne_and_good_channels_stay(raw, origin):
    expected = raw.copy().interpolate_bads(
        origin=origin, exclude=["VEOG"], verbose="error"
    )
    ours = interpolate_bad_channels(raw, origin=origin)
    bad = find_rows(raw, ["Cz", "Pz"])
    scale = np.abs(expected.get_data(bad)).max()
    assert_allclose(
        ours.get_data(bad), expected.get_data(bad), rtol=0, atol=1e-9 * scale
    )
    rest = np.setdiff1d(np.arange(len(raw.ch_names)), bad)
    assert_array_equal(ours.get_data(rest), raw.get_data(rest))
    assert ours.info["bads"] == ["VEOG"]


def test_marks_and_input_stay_when_asked(raw):
    data, info = raw.get_data(), raw.info.copy()
    ours = interpolate_bad_channels(raw, reset_bads=False)
    assert ours.info["bads"] == info["bads"]
    assert_array_equal(raw.get_data(), data)
    assert object_diff(raw.info, info) == object_diff(ours.info, info) == ""


def test_meg_is_interpolated_by_mne(meg):
    raw = meg.copy()
    kinds = raw.get_channel_types()
    raw.info["bads"] = [raw.ch_names[kinds.index(one)] for one in ("mag", "grad")]
    origin = (0.0, 0.0, 0.04)
    expected = raw.copy().interpolate_bads(origin=origin, verbose="error")
    ours = interpolate_bad_channels(raw, origin=origin)
    assert_array_equal(ours.get_data(), expected.get_data())
    assert ours.info["bads"] == []


def test_eeg_and_meg_together(raw, meg):
    times = len(meg.times)
    eeg = raw.copy().crop(0, 1)
    both = meg.copy().add_channels([eeg], force_update_info=True)
    with both.info._unlock():
        both.info["dig"] = raw.info["dig"]
    both.info["bads"] = ["Cz", meg.ch_names[0], "VEOG"]
    ours = interpolate_bad_channels(both)
    eeg.info["bads"] = ["Cz", "VEOG"]
    expected = interpolate_bad_channels(eeg)
    cz = ours.get_data(["Cz"])
    assert_allclose(cz, expected.get_data(["Cz"])[:, :times], rtol=1e-9)
    assert (ours.get_data([0]) != both.get_data([0])).all()
    assert ours.info["bads"] == ["VEOG"]


def test_epochs_are_interpolated_alike(raw):
    events = mne.make_fixed_length_events(raw, duration=1.0)
    epochs = mne.Epochs(
        raw, events, tmin=0, tmax=0.5, baseline=None, preload=True, verbose="error"
    )
    expected = epochs.copy().interpolate_bads(exclude=["VEOG"], verbose="error")
    ours = interpolate_bad_channels(epochs)
    assert_allclose(
        ours.get_data(["Cz", "Pz"]), expected.get_data(["Cz", "Pz"]), rtol=1e-6
    )
    assert type(ours) is type(epochs)


def test_row_42_boundaries_change_nothing_where_nothing_runs_along_time(raw):
    expected = interpolate_bad_channels(raw).get_data()
    mark(raw, 2.0, 0.0, "EDGE boundary")
    mark(raw, 3.0, 0.5, "BAD_mine")
    assert_allclose(interpolate_bad_channels(raw).get_data(), expected, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_21_row_22_nonfinite_samples(raw, value):
    cz = raw.ch_names.index("Cz")
    raw._data[cz] = value  # of a bad channel: nobody looks at it
    assert np.isfinite(interpolate_bad_channels(raw).get_data()[cz]).all()
    raw._data[0, 100:110] = value
    with pytest.raises(InputError, match=rf"channel {raw.ch_names[0]!r}: 10 samples"):
        interpolate_bad_channels(raw)
    ours = interpolate_bad_channels(raw, on_nonfinite="annotate")
    assert list_spans(ours, "BAD_nan") == [[100, 110]]
    assert not np.isfinite(ours.get_data()[cz, 100:110]).any()
    assert np.isfinite(ours.get_data()[cz, 110:]).all()


def test_nothing_to_do_gives_a_copy(raw):
    raw.info["bads"] = ["VEOG"]
    same = interpolate_bad_channels(raw)
    assert same is not raw
    assert_array_equal(same.get_data(), raw.get_data())
    assert same.info["bads"] == ["VEOG"]


def test_file_on_disk_is_interpolated_like_the_loaded_one(raw, tmp_path):
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    loaded = mne.io.read_raw_fif(tmp_path / "a_raw.fif", preload=True, verbose="error")
    ours = interpolate_bad_channels(lazy).get_data()
    assert_array_equal(ours, interpolate_bad_channels(loaded).get_data())
    assert not lazy.preload


def test_more_bad_than_good_channels_are_refused(raw):
    raw.info["bads"] = raw.ch_names[:17]
    with pytest.raises(RankError, match="got 15 good and 17 bad"):
        interpolate_bad_channels(raw)


def test_positions_that_cannot_be_are_refused_by_name(raw):
    raw.info["chs"][3]["loc"][:3] = raw.info["chs"][9]["loc"][:3]
    names = sorted([raw.ch_names[3], raw.ch_names[9]])
    with pytest.raises(InputError, match="have the same position") as caught:
        interpolate_bad_channels(raw)
    assert all(repr(one) in str(caught.value) for one in names)
    raw.info["chs"][3]["loc"][:3] = np.nan
    with pytest.raises(InputError, match=rf"\[{raw.ch_names[3]!r}\] have no position"):
        interpolate_bad_channels(raw)


def test_no_digitised_points_say_what_to_do(raw):
    with raw.info._unlock():
        raw.info["dig"] = None
    with pytest.raises(InputError, match=r"no sphere.*pass origin=\(0, 0, 0.04\)"):
        interpolate_bad_channels(raw)
    interpolate_bad_channels(raw, origin=(0, 0, 0.04))


def test_meg_that_mne_cannot_interpolate_says_so():
    info = mne.create_info(["a", "b", "c"], 100.0, "mag")
    raw = mne.io.RawArray(make_noise(3, 100), info, verbose="error")
    raw.info["bads"] = ["a"]
    with pytest.raises(
        InputError, match=r"MEG channels \['a'\] cannot be interpolated"
    ):
        interpolate_bad_channels(raw)
