import shutil
from pathlib import Path

import pytest
from mne.io._read_raw import _get_supported

from meegic import OptionError
from meegic.bids.formats import FOLDERS, FORMATS, UNLISTED, get_extension
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


def list_names(folder: Path, names: list[str]) -> list[str]:
    """Make the files of a subject; tell which are found."""
    datatype = folder / "sub-1" / "meg"
    datatype.mkdir(parents=True)
    (folder / "dataset_description.json").touch()
    for name in names:
        (datatype / name).touch()
    return [one.name for one in find_recordings(folder)]


@pytest.mark.parametrize(
    "names",
    [
        [f"sub-1_task-a_run-{number:02d}_meg.fif" for number in range(4)],
        [f"sub-1_task-a_run-{number}_meg.fif" for number in range(1, 4)],
        [f"sub-{number}_raw.fif" for number in range(1, 4)],
        [f"sub-1_split-01_run-{number}_meg.fif" for number in range(1, 4)],
        ["sub-1_split-10_meg.fif", "sub-1_split-11_meg.fif"],
        ["sub-1_task-a-1_meg.fif", "sub-1_task-a_meg.fif"],
    ],
    ids=["runs-padded", "runs", "subjects", "runs-split", "no-first", "task"],
)
def test_numbers_that_do_not_count_parts(tmp_path, names):
    assert list_names(tmp_path, names) == names


@pytest.mark.parametrize("width", [1, 2])
def test_parts_of_each_run_as_bids_names_them(tmp_path, width):
    runs = [f"sub-1_run-{run}_split-{{:0{width}d}}_desc-x_meg.fif" for run in (1, 2)]
    names = [run.format(part) for run in runs for part in range(1, 13)]
    assert list_names(tmp_path, names) == [run.format(1) for run in runs]


def test_row_02_dataset_without_recordings_is_refused(dataset, tmp_path):
    for subject in dataset.glob("sub-*"):
        shutil.rmtree(subject)
    match = r"path must be a BIDS data set with recordings of its subjects, but got "
    with pytest.raises(OptionError, match=match) as e:
        find_recordings(dataset)
    assert "code/sub-01_eeg.edf, sourcedata/sub-01" in str(e.value)
    with pytest.raises(OptionError, match=r"No recording lies below it\.$"):
        list_names(tmp_path / "other", ["notes_meg.txt"])


def test_row_02_folder_without_a_description_is_refused(dataset):
    (dataset / "dataset_description.json").unlink()
    match = r"a BIDS data set, .*dataset_description\.json, but got .* Recordings below"
    with pytest.raises(OptionError, match=match) as e:
        find_recordings(dataset)
    assert "acq-crosstalk" in str(e.value)
    assert "split-02" not in str(e.value)


def test_every_extension_that_mne_reads_is_known():
    assert set(FORMATS) == set(_get_supported())
    assert set(UNLISTED) < set(FORMATS)


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
