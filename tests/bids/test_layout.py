from pathlib import Path

import pytest
from mne.io._read_raw import _get_supported

from meegic import OptionError
from meegic.bids.formats import FOLDERS, FORMATS, get_extension
from meegic.bids.layout import find_recordings

RECORDINGS = [
    "sub-01/eeg/sub-01_task-rest_eeg.vhdr",
    "sub-01/eeg/sub-01_task-rest_run-2_eeg.set",
    "sub-01/meg/sub-01_task-a_meg.ds",
    "sub-01/meg/sub-01_task-b_split-01_meg.fif",
    "sub-01/meg/sub-01_task-c_meg.fif",
    "sub-02/ses-1/ieeg/sub-02_ses-1_ieeg.edf",
    "sub-02/ses-1/meg/sub-02_ses-1_task-d_meg/sub-02_ses-1_task-d_meg.con",
    "sub-02/ses-1/meg/sub-02_ses-1_task-e_proc-clean_raw.fif",
    "sub-03/eeg/sub-03_eeg.EDF",
    "sub-03/eeg/sub-03_task-x_eeg.mff",
]

OTHERS = [
    "README.txt",
    "code/sub-01_eeg.edf",
    "sourcedata/sub-01/eeg/sub-01_eeg.edf",
    "sub-01/eeg/sub-01_task-rest_eeg.eeg",
    "sub-01/eeg/sub-01_task-rest_eeg.vmrk",
    "sub-01/eeg/sub-01_task-rest_eeg.json",
    "sub-01/eeg/sub-01_task-rest_run-2_eeg.fdt",
    "sub-01/meg/sub-01_task-a_meg.ds/sub-01_task-a_meg.eeg",
    "sub-01/meg/sub-01_task-b_split-02_meg.fif",
    "sub-01/meg/sub-01_task-c_meg-1.fif",
    "sub-01/meg/sub-01_task-c_meg-2.fif",
    "sub-01/meg/sub-01_task-c_epo.fif",
    "sub-01/meg/sub-01_acq-calibration_meg.dat",
    "sub-01/meg/sub-01_acq-crosstalk_meg.fif",
    "sub-01/anat/sub-01_eeg.edf",
    "sub-03/eeg/sub-03_task-x_eeg.mff/signal1.bin",
]


@pytest.fixture
def dataset(tmp_path) -> Path:
    for name in ("dataset_description.json", *RECORDINGS, *OTHERS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in FOLDERS:
            path.mkdir(exist_ok=True)
        else:
            path.touch()
    return tmp_path


def test_one_path_per_recording_in_order(dataset):
    found = [path.relative_to(dataset).as_posix() for path in find_recordings(dataset)]
    assert found == RECORDINGS


def test_links_whose_content_was_not_fetched_are_recordings_too(dataset):
    link = dataset / "sub-01" / "eeg" / "sub-01_task-y_eeg"
    link.with_suffix(".vhdr").symlink_to("../../.git/annex/objects/a")
    link.with_suffix(".eeg").symlink_to("../../.git/annex/objects/b")
    for number in (1, 2):
        part = f"sub-01_task-z_split-0{number}_meg.fif"
        (dataset / "sub-01" / "meg" / part).symlink_to("../../.git/annex/objects/c")
    found = {path.name for path in find_recordings(dataset)}
    assert "sub-01_task-z_split-01_meg.fif" in found
    assert "sub-01_task-z_split-02_meg.fif" not in found
    assert f"{link.name}.vhdr" in found
    assert f"{link.name}.eeg" not in found


def test_a_part_without_the_one_before_it_is_a_recording(tmp_path):
    folder = tmp_path / "sub-1" / "meg"
    folder.mkdir(parents=True)
    (tmp_path / "dataset_description.json").touch()
    for number in (10, 11):
        (folder / f"sub-1_split-{number:02d}_meg.fif").touch()
    assert [one.name for one in find_recordings(tmp_path)] == ["sub-1_split-10_meg.fif"]


def test_row_02_folder_without_a_description_is_refused(dataset):
    (dataset / "dataset_description.json").unlink()
    match = r"a BIDS data set, .*dataset_description\.json, but got .* Recordings below"
    with pytest.raises(OptionError, match=match) as e:
        find_recordings(dataset)
    assert "acq-crosstalk" in str(e.value)
    assert "split-02" not in str(e.value)


def test_every_extension_that_mne_reads_is_known():
    assert set(FORMATS) == set(_get_supported())


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.b.fif", ".fif"),
        ("a.FIF.GZ", ".fif.gz"),
        ("a.cdt.dpa", ".cdt.dpa"),
        ("a.tar.gz", ".gz"),
        ("a", ""),
    ],
)
def test_extension(name, extension):
    assert get_extension(Path(name)) == extension
