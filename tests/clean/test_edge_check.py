"""A Raw in, findings out, the Raw untouched."""

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_array_equal

import meegic
from meegic.base.errors import FileFormatError, InputError


@pytest.fixture(scope="module")
def simulated():
    return meegic.simulate_recording("eeg19", duration_s=30, n_bad_channels=0)[0]


@pytest.fixture
def raw(simulated):
    return simulated.copy()


def test_simulated_recording_is_plausible_at_full_rank(raw):
    findings = meegic.check_recording(raw)
    assert findings.verdict == "ok"
    assert findings.ranks == {"eeg": 19}


def test_average_referenced_rank_is_found(raw):
    raw.set_eeg_reference("average", verbose="error")
    findings = meegic.check_recording(raw)
    assert findings.ranks == {"eeg": 18}
    assert findings.codes() == ("reference",)


def test_interpolated_channel_lowers_the_rank(raw):
    raw.info["bads"] = ["Cz"]
    raw.interpolate_bads(verbose="error")
    findings = meegic.check_recording(raw)
    assert findings.ranks == {"eeg": 18}
    assert findings.codes() == ("rank",)


def test_projector_counts_once_it_is_applied(raw):
    raw.apply_function(lambda _: raw.get_data()[0], picks=["Fp2"])
    raw.set_eeg_reference("average", projection=True, verbose="error")
    assert "rank 18: interpolated, " in str(meegic.check_recording(raw))
    raw.apply_proj(verbose="error")
    assert "rank 17: 1 projector, " in str(meegic.check_recording(raw))


def test_long_recording_is_read_to_its_end_in_pieces(raw, monkeypatch):
    data = raw.get_data()
    data[3, -1] = np.nan
    raw = mne.io.RawArray(data, raw.info, verbose="error")
    whole = meegic.check_recording(raw)
    monkeypatch.setattr("meegic.clean.edge.check.CHUNK", 1000)
    findings = meegic.check_recording(raw)
    assert findings == whole
    assert findings.codes() == ("nan",)
    assert findings.duration_s == 30


def test_recording_without_samples_is_refused(raw):
    empty = mne.io.RawArray(np.empty((22, 0)), raw.info, verbose="error")
    with pytest.raises(InputError, match="The recording has no samples"):
        meegic.check_recording(empty)


def test_real_recording_has_nothing_implausible(shared):
    raw = mne.io.read_raw_eeglab(shared / "data/eeglab_data.set", verbose="error")
    findings = meegic.check_recording(raw)
    assert findings.verdict == "ok"
    assert findings.ranks == {"eeg": 32}


def test_file_on_disk_gives_the_findings_of_the_loaded_one(raw, tmp_path):
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    assert not lazy.preload
    assert meegic.check_recording(lazy) == meegic.check_recording(raw)
    assert not lazy.preload


def test_recording_is_left_untouched(raw):
    before, info = raw.get_data().copy(), raw.info.copy()
    meegic.check_recording(raw)
    assert_array_equal(raw.get_data(), before)
    assert object_diff(raw.info, info) == ""


@pytest.mark.parametrize("kind", ["eog", "ecg", "emg"])
def test_nan_beside_the_data_is_found_and_the_amplitude_not_judged(raw, kind):
    raw.set_channel_types({"VEOG": kind}, verbose="error")
    data = raw.get_data()
    data[raw.ch_names.index("VEOG")] *= 1e4
    data[raw.ch_names.index("VEOG"), 100] = np.nan
    raw = mne.io.RawArray(data, raw.info, verbose="error")
    findings = meegic.check_recording(raw)
    assert findings.codes() == ("nan",)
    assert findings.found[0].channels == ("VEOG",)


def test_lost_auxiliary_and_bad_channels_cost_nothing(raw):
    data = raw.get_data()
    data[raw.ch_names.index("ECG")] = np.nan
    bads = ["Fz", "Cz", "Pz"]
    for start, name in enumerate(bads):  # no sample is left in all channels
        data[raw.ch_names.index(name), start::3] = np.nan
    raw = mne.io.RawArray(data, raw.info, verbose="error")
    raw.info["bads"] = bads
    findings = meegic.check_recording(raw)
    assert findings.ranks == {"eeg": 16}
    assert findings.codes() == ("nan", "nan")


def test_complex_samples_are_refused_by_their_dtype(raw):
    raw.apply_hilbert(picks="eeg", verbose="error")
    with pytest.raises(InputError, match="must be real numbers, but are complex128"):
        meegic.check_recording(raw)


def test_row_20_types_that_are_there_are_counted(raw):
    raw.set_channel_types(dict.fromkeys(raw.ch_names[:19], "misc"), verbose="error")
    (one,) = [x for x in meegic.check_recording(raw).found if x.code == "channels"]
    assert one.message.endswith("there are: 1 ecg, 2 eog, 19 misc.")
    assert "set_channel_types" in one.hint


def test_all_channels_marked_bad_says_so(raw):
    raw.info["bads"] = raw.ch_names[:19]
    (one,) = [x for x in meegic.check_recording(raw).found if x.code == "channels"]
    assert one.hint == "Unmark channels in raw.info['bads']."


def test_anything_but_a_raw_is_a_type_error(raw):
    with pytest.raises(
        TypeError, match=r"raw must be an mne\.io\.Raw, but got ndarray"
    ):
        meegic.check_recording(raw.get_data())


def test_samples_that_cannot_be_read_are_named(raw, tmp_path, monkeypatch):
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")

    def fail(*_args, **_options):
        raise OSError("disk is gone")

    monkeypatch.setattr(lazy, "_read_segment", fail)
    with pytest.raises(FileFormatError, match="samples 0 to 7500 cannot be read: disk"):
        meegic.check_recording(lazy)
