"""Rows 1-13 and 16-20 of the table of faults: files and readers."""

import builtins
import hashlib
import io
import os
import shutil
import struct
import sys
import time
from pathlib import Path

import mne
import numpy as np
import pytest
from mne._fiff.tag import _call_dict
from mne.io.constants import FIFF
from scipy.io import loadmat, savemat

from meegic import (
    DataWarning,
    FileFormatError,
    InputError,
    MissingDependencyError,
    OptionError,
    check_recording,
    read_recording,
)
from meegic.bids.brainvision import measure_brainvision
from meegic.bids.fif import TYPES

N_CHANNELS, N_TIMES = 3, 400
COMPLETE = ["a_raw.fif", "a.edf", "a.bdf", "a.vhdr", "a.set", "b.set"]


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("valid")
    data = 1e-5 * np.random.default_rng(0).standard_normal((N_CHANNELS, N_TIMES))
    info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    raw = mne.io.RawArray(data, info, verbose="error")
    # in EDF a longer row than that of a channel
    raw.set_annotations(mne.Annotations([1.0], [0.5], [60 * "blink"]))
    raw.save(folder / "a_raw.fif", verbose="error")
    for name in ("a.edf", "a.bdf", "a.vhdr", "a.set"):
        mne.export.export_raw(folder / name, raw, verbose="error")
    variables = loadmat(folder / "a.set", squeeze_me=True)
    eeg = {key: one for key, one in variables.items() if not key.startswith("_")}
    eeg["data"].T.astype("<f4").tofile(folder / "b.fdt")
    savemat(folder / "b.set", {"EEG": eeg | {"data": "b.fdt"}})
    return folder


@pytest.fixture
def folder(valid, tmp_path) -> Path:
    return Path(shutil.copytree(valid, tmp_path / "data"))


def cut(path: Path, n_bytes: int) -> Path:
    path.write_bytes(path.read_bytes()[:n_bytes])
    return path


def extend(path: Path, more: bytes) -> Path:
    path.write_bytes(path.read_bytes() + more)
    return path


def replace(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    return path


@pytest.mark.parametrize("name", COMPLETE)
def test_whole_recordings_are_opened_without_a_word(folder, name):
    raw = read_recording(folder / name)
    assert (len(raw.ch_names), raw.n_times) == (N_CHANNELS, N_TIMES)
    assert raw.preload is (name == "a.set")


def test_row_01_missing_file_names_its_neighbours(folder):
    with pytest.raises(
        InputError, match=r"no such file: .*a_rwa\.fif.*'a_raw\.fif'"
    ) as e:
        read_recording(folder / "a_rwa.fif")
    assert not isinstance(e.value, OptionError)
    with pytest.raises(InputError, match=r"no such file: .*a\.fif\.$"):
        read_recording(folder / "nowhere" / "a.fif")


def test_row_02_folder_lists_what_lies_below(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02d}.edf").touch()
    (tmp_path / "notes.pdf").touch()
    with pytest.raises(
        OptionError, match=r"'\.mefd' or '\.mff', .* below it \(12\): 00\.edf, .*09"
    ) as e:
        read_recording(tmp_path)
    assert "10.edf" not in str(e.value)
    assert "notes" not in str(e.value)


def test_row_02_later_parts_are_not_counted(tmp_path):
    for name in ("a_raw.fif", "a_raw-1.fif", "a_raw-2.fif", "b-2.fif"):
        (tmp_path / name).touch()
    with pytest.raises(OptionError, match=r"below it \(2\): a_raw\.fif, b-2\.fif\. "):
        read_recording(tmp_path)


def test_row_02_numbers_of_runs_and_subjects_count_no_parts(tmp_path):
    names = [f"sub-{one:02d}{end}" for end in ("_raw.fif", ".fif") for one in range(2)]
    names += ["rest.fif", "rest-01.fif", "rest_raw.fif", "rest-1_raw.fif"]
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(OptionError, match=rf"\(8\): {', '.join(sorted(names))}\. "):
        read_recording(tmp_path)


def test_row_02_only_recordings_are_listed(tmp_path):
    companions = ["x.cdt.dpa", "x.cdt.cef", "y.dap", "y.rs3", "y.cef", "z.eeg"]
    others = ["README.txt", "notes.dat", "z.dat", ".git/annex/a.fif/a.fif"]
    for name in ["x.cdt", "y.dat", "z.vhdr", "w.eeg", *companions, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(OptionError, match=r"\(4\): w\.eeg, x\.cdt, y\.dat, z\.vhdr\. "):
        read_recording(tmp_path)


@pytest.mark.parametrize("name", ["a_raw.fif", "a.set", "a.eeg", "b.fdt", "a.vhdr"])
def test_row_05_pipe_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    header = {"a.eeg": "a.vhdr", "b.fdt": "b.set"}.get(name, name)
    with pytest.raises(InputError, match=rf"{name} is no regular file\. Copy the rec"):
        read_recording(folder / header)


def test_row_02_empty_folder(tmp_path):
    with pytest.raises(OptionError, match="No recording lies below it"):
        read_recording(tmp_path)


@pytest.mark.parametrize("name", ["a.sett", "a"], ids=["row-03-typo", "row-03-none"])
def test_unknown_extension_lists_the_known(tmp_path, name):
    (tmp_path / name).write_text("x")
    known = r"\.edf, .*meegic\[io\]' also .*\.mff \(mffpy, defusedxml\).*MATLAB 7\.3"
    with pytest.raises(OptionError, match=known) as e:
        read_recording(tmp_path / name)
    assert e.value.hint == ("Did you mean '.set'?" if name == "a.sett" else "")


@pytest.mark.parametrize(
    ("name", "content", "package"),
    [
        ("a.mff", None, "mffpy"),
        ("a.mff", None, "defusedxml"),
        ("a.set", b"MATLAB 7.3 MAT-file".ljust(600), "pymatreader"),
        ("a.set", b"\x89HDF".ljust(600), "h5py"),
        ("a.mat", b"MATLAB 5.0 MAT-file".ljust(600), "pymatreader"),
        ("a.mat", b"MATLAB 7.3 MAT-file".ljust(600), "h5py"),
        ("a.snirf", b"\x89HDF".ljust(600), "h5py"),
    ],
    ids=lambda one: f"row-04-{one}" if isinstance(one, str) else "",
)
def test_missing_package_of_a_reader(tmp_path, monkeypatch, name, content, package):
    path = tmp_path / name
    path.write_bytes(content) if content else path.mkdir()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingDependencyError, match=rf"{package} is not .*pip install 'meegic\[io\]'"
    ):
        read_recording(path)


def test_row_04_other_packages_are_not_asked_for(tmp_path, monkeypatch):
    (tmp_path / "a.snirf").write_bytes(b"\x89HDF".ljust(600))
    monkeypatch.setitem(sys.modules, "pymatreader", None)
    with pytest.raises(FileFormatError, match="cannot be read; read_raw says"):
        read_recording(tmp_path / "a.snirf")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"/annex/objects/SHA256E-s9--aa.fif\n", "git-annex pointer.*datalad get"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "Git LFS pointer.*git lfs pull",
        ),
        (b"\n<!DOCTYPE HTML><html>", "HTML page.*Download it again"),
        (b"<html><head>", "HTML page.*Download it again"),
    ],
    ids=["row-05-annex", "row-05-lfs", "row-05-html", "row-05-html-bare"],
)
@pytest.mark.parametrize("name", ["a_raw.fif", "a.set", "a.eeg", "b.fdt"])
def test_pointer_in_place_of_the_file(folder, content, match, name):
    (folder / name).write_bytes(content)
    header = {"a.eeg": "a.vhdr", "b.fdt": "b.set"}.get(name, name)
    with pytest.raises(FileFormatError, match=f"{name} is an? {match}"):
        read_recording(folder / header)


@pytest.mark.parametrize("name", ["a_raw.fif", "a.eeg", "b.fdt"])
def test_row_06_link_to_a_missing_annex_object(folder, name):
    (folder / name).unlink()
    (folder / name).symlink_to("../.git/annex/objects/x1/SHA256E-s9--aa")
    header = {"a.eeg": "a.vhdr", "b.fdt": "b.set"}.get(name, name)
    with pytest.raises(InputError, match=r"missing annex object. .*datalad get"):
        read_recording(folder / header)


def test_row_06_link_to_nothing(tmp_path):
    (tmp_path / "a.fif").symlink_to("b.fif")
    with pytest.raises(InputError, match=r"a\.fif is a link to b\.fif, which does not"):
        read_recording(tmp_path / "a.fif")


@pytest.mark.parametrize("name", COMPLETE, ids=lambda name: f"row-07-{name}")
def test_empty_file(folder, name):
    with pytest.raises(FileFormatError, match="is empty: file truncated to 0 bytes"):
        read_recording(cut(folder / name, 0))


@pytest.mark.parametrize(
    "name", [*COMPLETE, "a.eeg"], ids=lambda name: f"row-07-{name}"
)
@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.6])
def test_truncated_file(folder, name, fraction):
    path = folder / name
    n_bytes = int(fraction * path.stat().st_size) | 1
    match = f"file truncated: {n_bytes} of (at least )?[0-9]+ bytes"
    if name == "a.vhdr":
        match = "header is damaged|cannot be read"
    with pytest.raises(FileFormatError, match=match):
        read_recording(
            cut(path, n_bytes).with_suffix(".vhdr" if name == "a.eeg" else path.suffix)
        )


def test_row_07_edf_that_ends_with_its_header(folder):
    with pytest.raises(FileFormatError, match=r"truncated: 1280 of \d{4} bytes"):
        read_recording(cut(folder / "a.edf", 1280), allow_truncated=True)


def test_row_07_fif_that_ends_between_two_tags(folder):
    content = (folder / "a_raw.fif").read_bytes()
    last_buffer = content.rindex(struct.pack(">iIi", 300, 4, 4 * N_CHANNELS * 100))
    cut(folder / "a_raw.fif", last_buffer)
    with pytest.raises(FileFormatError, match=f"truncated: {last_buffer} of at least"):
        read_recording(folder / "a_raw.fif")


def add_directory(path: Path) -> Path:
    """Give a FIF the directory that acquisition systems write behind it."""
    content = path.read_bytes()
    place, entries = 0, b""
    while place < len(content):
        tag = struct.unpack_from(">iIi", content, place)
        entries += struct.pack(">iIii", *tag, place)
        place += 16 + tag[2]
    directory = struct.pack(">iIii", 102, 32, len(entries), -1) + entries
    pointer = struct.pack(">i", len(content))
    path.write_bytes(content[:52] + pointer + content[56:] + directory)
    return path


@pytest.mark.parametrize("n_bytes", [3000, -100, -5000], ids=lambda n: f"row-07-{n}")
def test_truncated_fif_with_a_directory(folder, n_bytes):
    path = add_directory(folder / "a_raw.fif")
    assert read_recording(path).n_times == N_TIMES
    with pytest.raises(FileFormatError, match=r"truncated: \d+ of at least \d+ bytes"):
        read_recording(cut(path, n_bytes))


@pytest.mark.parametrize(
    ("offset", "match"),
    [(36, "no directory at 36"), (10**9, "of at least 1000000016 bytes")],
    ids=["row-11-elsewhere", "row-07-beyond"],
)
def test_directory_of_a_fif_is_not_where_it_says(folder, offset, match):
    path = add_directory(folder / "a_raw.fif")
    content = path.read_bytes()
    path.write_bytes(content[:52] + struct.pack(">i", offset) + content[56:])
    with pytest.raises(FileFormatError, match=match):
        read_recording(path)


def test_row_11_directory_that_points_before_the_file(folder):
    path = add_directory(folder / "a_raw.fif")
    path.write_bytes(path.read_bytes()[:-4] + struct.pack(">i", -(10**9)))
    with pytest.raises(FileFormatError, match="the tag at -1000000000 has no size"):
        read_recording(path)


def test_row_11_data_of_a_fif_that_are_no_whole_samples(folder):
    content = (folder / "a_raw.fif").read_bytes()
    size = 4 * N_CHANNELS * 100
    start = content.index(struct.pack(">iIi", 300, 4, size))
    tag = struct.pack(">iIii", 300, 4, size - 4, start + 16 + size)
    (folder / "a_raw.fif").write_bytes(content[:start] + tag + content[start + 16 :])
    with pytest.raises(FileFormatError, match=f"data at {start} are no whole samples"):
        read_recording(folder / "a_raw.fif")


def test_row_11_data_of_a_fif_that_are_no_numbers(folder):
    path = folder / "a_raw.fif"
    content = path.read_bytes()
    text = struct.pack(">iIii", 300, 10, 12, 0) + bytes(12)
    path.write_bytes(content[:56] + text + content[56:])
    with pytest.raises(FileFormatError, match="data at 56 are no whole samples"):
        read_recording(path)


@pytest.mark.parametrize(
    "tag",
    [
        struct.pack(">iIii", 0, 0, 0, 0),
        struct.pack(">iIii", 101, 3, 0, 0),
        struct.pack(">iIii", 101, 4, 4, 0) + bytes(4),
        struct.pack(">iIii", 101, 3, 4, -1) + b"\xff" * 4 + bytes(16),
    ],
    ids=["other", "empty", "float", "none"],
)
def test_row_11_fif_that_ends_with_its_second_tag(tmp_path, tag):
    path = tmp_path / "a_raw.fif"
    path.write_bytes(struct.pack(">iIii", 100, 31, 0, 0) + tag)
    with pytest.raises(FileFormatError, match=r"a_raw\.fif"):
        read_recording(path)


def test_fif_whose_second_tag_does_not_follow_the_first(folder):
    path = folder / "a_raw.fif"
    content = path.read_bytes()
    first = struct.pack(">iIii", 100, 31, 20, 40) + content[16:36]
    path.write_bytes(first + b"\xff" * 4 + content[36:])
    assert read_recording(path).n_times == N_TIMES


@pytest.mark.parametrize("size", [0, 2])
def test_row_11_role_of_a_part_at_the_very_end(folder, size):
    role = struct.pack(">iIii", 115, 3, size, -1) + bytes(size)
    with pytest.raises(FileFormatError, match="the tag at 56 is no whole number"):
        read_recording(extend(cut(folder / "a_raw.fif", 56), role))


@pytest.mark.parametrize("code", [9, 11, 13, 14, 34, 37])
def test_row_11_type_that_no_reader_knows(folder, code):
    old, new = (struct.pack(">iI", 201, one) for one in (4, code))
    with pytest.raises(FileFormatError, match=rf"tag at \d+ has the type {code}\."):
        read_recording(replace(folder / "a_raw.fif", old, new))


def test_types_are_those_that_mne_reads():
    assert set(_call_dict) == TYPES


def test_row_11_pause_of_a_recorder_longer_than_its_file(tmp_path):
    path = tmp_path / "a_raw.fif"
    raw = mne.io.RawArray(np.ones((1, 400)), mne.create_info(1, 100.0), verbose=40)
    raw.set_annotations(mne.Annotations(1.0, 2.0, "BAD_ACQ_SKIP"))
    raw.save(path, buffer_size_sec=1.0, verbose="error")
    assert read_recording(path).n_times == 400
    old = struct.pack(">iIiii", 301, 3, 4, 0, 2)
    n_bytes = path.stat().st_size
    replace(path, old, old[:-4] + struct.pack(">i", n_bytes // 100 - 2))
    n_times = read_recording(path).n_times
    assert n_bytes - 100 < n_times <= n_bytes
    for n_skipped in (n_bytes // 100, 2**31 - 1):
        new = old[:-4] + struct.pack(">i", n_skipped)
        content = path.read_bytes()
        start = content.index(old[:-4])
        path.write_bytes(content[:start] + new + content[start + len(new) :])
        claim = rf"claims {100 * n_skipped + 200} samples in {n_bytes} bytes"
        with pytest.raises(FileFormatError, match=claim):
            read_recording(path)


def test_row_11_reader_that_raises_exception_itself(tmp_path):
    """A matrix of compensation without its kind, which ``mne`` answers so."""
    path = tmp_path / "a_raw.fif"
    info = mne.create_info(["a", "b"], 100.0, "mag")
    table = {"nrow": 1, "ncol": 1, "row_names": ["a"], "col_names": ["b"]}
    matrix = table | {"data": np.ones((1, 1))}
    comp = {"ctfkind": 1, "kind": 1, "save_calibrated": True, "data": matrix}
    comp |= {"rowcals": np.ones(1), "colcals": np.ones(1)}
    with info._unlock():
        info["comps"] = [comp]
    raw = mne.io.RawArray(np.ones((2, 400)), info, verbose="error")
    raw.save(path, verbose="error")
    assert len(read_recording(path).info["comps"]) == 1
    kind = FIFF.FIFF_MNE_CTF_COMP_KIND
    old, new = (struct.pack(">iI", one, 3) for one in (kind, kind + 90))
    with pytest.raises(FileFormatError, match="read_raw says: Compensation type not"):
        read_recording(replace(path, old, new))


def test_bugs_of_readers_are_not_blamed_on_the_file(folder, monkeypatch):
    class Other(Exception):
        pass

    def read(*args, **kwargs):
        raise Other

    monkeypatch.setattr(mne.io, "read_raw", read)
    with pytest.raises(Other):
        read_recording(folder / "a_raw.fif")


def test_row_11_header_of_brainvision_with_long_lines(folder):
    path = folder / "a.vhdr"
    blanks = b" " * 200_000
    replace(path, b"NumberOfChannels=3", b"NumberOfChannels =" + blanks + b"3" + blanks)
    replace(path, b"DataFile", b"Other=x" + blanks + b"x\nDataFile")
    start = time.perf_counter()
    assert measure_brainvision(path).frame == 4 * N_CHANNELS
    # a time that grows as the square of the length would be minutes
    assert time.perf_counter() - start < 1.0


def test_row_11_header_of_brainvision_that_is_no_header(folder):
    extend(folder / "a.vhdr", bytes(16 << 20))
    with pytest.raises(FileFormatError, match="bytes, and 16777216 are allowed"):
        read_recording(folder / "a.vhdr")


def test_row_11_channel_of_no_known_type(folder):
    content = bytearray((folder / "a_raw.fif").read_bytes())
    start = content.index(struct.pack(">iIi", 203, 30, 96)) + 16
    content[start + 8 : start + 12] = b"\x77" * 4
    (folder / "a_raw.fif").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"the reader says: .*channel type"):
        read_recording(folder / "a_raw.fif")


def test_row_11_tag_that_is_not_what_the_directory_says(folder):
    path = add_directory(folder / "a_raw.fif")
    old, new = (struct.pack(">iIi", 201, 4, size) for size in (4, 8))
    with pytest.raises(FileFormatError, match="not what its directory says"):
        read_recording(replace(path, old, new))


def test_row_07_set_that_lost_its_last_variables(folder):
    content = (folder / "a.set").read_bytes()
    (size,) = struct.unpack_from("<4xI", content, 128)
    cut(folder / "a.set", 128 + 8 + size)
    with pytest.raises(FileFormatError, match=r"cannot be read|holds 400 samples"):
        read_recording(folder / "a.set")


def shorten(folder: Path, name: str) -> Path:
    """Take 100.5 samples off the end; EDF and BDF lose a record of 100."""
    if name == "a.vhdr":
        replace(folder / name, b"DataFile", b"DataPoints=400\nDataFile")
    path = folder / {"a.vhdr": "a.eeg", "b.set": "b.fdt"}.get(name, name)
    sample = {"a.edf": 2, "a.bdf": 3}.get(name, 4) * N_CHANNELS
    cut(path, path.stat().st_size - 201 * sample // 2)
    return folder / name


PARTIAL = {"a.vhdr": 299, "b.set": 299, "a.edf": 300, "a.bdf": 300}


@pytest.mark.parametrize("name", PARTIAL, ids=lambda name: f"row-08-{name}")
def test_truncated_samples(folder, name):
    expected = read_recording(folder / name).get_data()[:, : PARTIAL[name]]
    path = shorten(folder, name)
    with pytest.raises(
        FileFormatError, match=r"truncated: .*in Python: .*\(path, allow_trunc"
    ):
        read_recording(path)
    match = f"file truncated: .*The first {PARTIAL[name]} samples are read"
    with pytest.warns(DataWarning, match=match):
        raw = read_recording(path, allow_truncated=True)
    assert np.array_equal(raw.get_data(), expected)


def test_row_08_nothing_is_left_to_allow(folder):
    cut(folder / "b.fdt", 5)
    with pytest.raises(FileFormatError, match=r"5 of 4800 bytes.*where it is whole\.$"):
        read_recording(folder / "b.set", allow_truncated=True)


def test_row_08_channels_one_after_the_other_cannot_be_cut(folder):
    replace(folder / "a.vhdr", b"=MULTIPLEXED\n", b"=VECTORIZED\nDataPoints=400\n")
    assert read_recording(folder / "a.vhdr").n_times == N_TIMES
    data = folder / "a.eeg"
    for path in (extend(data, bytes(12)), cut(data, 4000)):
        with pytest.raises(FileFormatError, match=r"longer than its header|truncated"):
            read_recording(path.with_suffix(".vhdr"), allow_truncated=True)


@pytest.mark.parametrize("name", ["a.vhdr", "b.set"], ids=lambda one: f"row-09-{one}")
def test_surplus_samples_are_left_out(folder, name):
    if name == "a.vhdr":
        replace(folder / name, b"DataFile", b"DataPoints=400\nDataFile")
    expected = read_recording(folder / name).get_data()
    extend(folder / {"a.vhdr": "a.eeg"}.get(name, "b.fdt"), bytes(29))
    with pytest.warns(DataWarning, match=r"longer .* by 29 bytes, 2 samples.* 400 "):
        raw = read_recording(folder / name)
    assert np.array_equal(raw.get_data(), expected)


def test_row_09_surplus_records(folder):
    expected = read_recording(folder / "a.edf").get_data()
    content = (folder / "a.edf").read_bytes()
    extend(folder / "a.edf", content[-(len(content) - 256 * 5) // 4 :])
    with pytest.warns(DataWarning, match="longer than its .*, 100 samples"):
        raw = read_recording(folder / "a.edf")
    assert np.array_equal(raw.get_data(), expected)


def test_row_10_flipped_bytes_are_found_by_the_check(folder):
    content = bytearray((folder / "a_raw.fif").read_bytes())
    start = content.index(struct.pack(">iIi", 300, 4, 4 * N_CHANNELS * 100)) + 16
    for place in np.random.default_rng(0).integers(0, 1200, 64):
        content[start + place] ^= 0xFF
    (folder / "a_raw.fif").write_bytes(content)
    findings = check_recording(read_recording(folder / "a_raw.fif"))
    assert {"peak", "nan"} & set(findings.codes())
    assert not findings.ok


@pytest.mark.parametrize(
    ("place", "value", "claim"),
    [(236, b"99999999", r"\d{11}"), (256 + 216 * 4, b"99999999", r"\d{9}")],
    ids=["row-07-records", "row-07-samples"],
)
def test_header_of_an_edf_that_claims_gigabytes(folder, place, value, claim):
    content = (folder / "a.edf").read_bytes()
    content = content[:place] + value + content[place + 8 :]
    (folder / "a.edf").write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"truncated: \d{{4}} of {claim} bytes"):
        read_recording(folder / "a.edf", allow_truncated=place > 236)


@pytest.mark.parametrize(
    ("name", "old", "new", "match"),
    [
        ("a.edf", b"EDF+C", b"EDF+C", "number of signals is b'x'"),
        ("a.vhdr", b"=IEEE_FLOAT_32", b"=FLOAT", "its BinaryFormat is 'FLOAT'"),
        ("a.vhdr", b"NumberOfChannels=3", b"Number=3", "its NumberOfChannels is ''"),
        ("a.vhdr", b"DataFile=a.eeg", b"Data=", "it names no DataFile"),
        ("a.vhdr", b"Interval=10000", b"Interval=x", "cannot be read; read_raw says"),
        (
            "a.vhdr",
            b"Interval=10000.0",
            b"Interval=0.5",
            "its sampling rate is 2000000",
        ),
        (
            "a_raw.fif",
            struct.pack(">iI", 201, 4),
            b"\xff" * 8,
            "has the type 4294967295",
        ),
        ("a_raw.fif", struct.pack(">iIi", 201, 4, 4), b"\xff" * 12, "has no size"),
        (
            "a_raw.fif",
            struct.pack(">iIii", 201, 4, 4, 0),
            b"\0" * 15 + b"\1",
            "goes back",
        ),
        ("a_raw.fif", struct.pack(">iI", 101, 3), bytes(8), "no pointer to a direct"),
        ("a_raw.fif", struct.pack(">iI", 100, 31), bytes(8), "begin with the id"),
        ("b.set", b"\6\0\0\0\x08\0\0\0\2", b"\6\0\0\0\x08\0\0\0\x63", "class 99"),
        ("b.set", b"\5\0\0\0b.fdt", b"\5\0\0\x10b.fdt", "bytes do not fit at"),
        ("b.set", b"\x10\0\0\0\5\0\0\0b.fdt", b"\x0e\0\0\0\5\0\0\0b.fdt", "type 14 in"),
    ],
    ids=lambda one: f"row-11-{one}" if isinstance(one, str) else "",
)
def test_damaged_header(folder, name, old, new, match):
    if name == "a.edf":
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:252] + b"x   " + content[256:])
    with pytest.raises(FileFormatError, match=match):
        read_recording(replace(folder / name, old, new))


def test_row_11_edf_whose_header_has_another_length(folder):
    content = (folder / "a.edf").read_bytes()
    (folder / "a.edf").write_bytes(content[:184] + b"1024    " + content[192:])
    with pytest.raises(FileFormatError, match="with 4 signals its length is not 1280"):
        read_recording(folder / "a.edf")


def test_row_11_annotations_of_an_edf_that_are_no_text(folder):
    replace(folder / "a.edf", b"blink", b"bl\xffnk")
    with pytest.raises(FileFormatError, match=r"not UTF-8.*encoding='latin1'"):
        read_recording(folder / "a.edf")


def test_row_12_header_of_renamed_samples(folder):
    (folder / "a.eeg").rename(folder / "other.eeg")
    (folder / "a.vhdr").rename(folder / "other.vhdr")
    match = r"other\.vhdr names a\.eeg, which is not there\. .* lies 'other\.eeg'\.$"
    with pytest.raises(InputError, match=match):
        read_recording(folder / "other.vhdr")


def test_row_12_set_without_its_samples(folder):
    (folder / "b.fdt").rename(folder / "b2.fdt")
    with pytest.raises(FileFormatError, match=r"b\.fdt not found.*lies 'b2\.fdt'"):
        read_recording(folder / "b.set")


@pytest.fixture
def split(tmp_path) -> Path:
    data = 1e-5 * np.random.default_rng(0).standard_normal((8, 70_000))
    info = mne.create_info(8, 100.0, "eeg")
    raw = mne.io.RawArray(data, info, verbose="error")
    raw.save(tmp_path / "a_raw.fif", split_size="2MB", buffer_size_sec=10, verbose=40)
    assert (tmp_path / "a_raw-1.fif").exists()
    return tmp_path / "a_raw.fif"


def test_row_12_split_recording_without_a_part(split):
    part = split.with_name("a_raw-1.fif")
    assert read_recording(split).n_times == 70_000
    part.rename(part.with_name("b_raw-1.fif"))
    match = r"a_raw\.fif names a_raw-1\.fif, .*'b_raw-1\.fif' and 'a_raw-2\.fif'\.$"
    with pytest.raises(InputError, match=match):
        read_recording(split)


def test_row_12_split_recording_with_a_truncated_part(split):
    cut(split.with_name("a_raw-1.fif"), 999)
    with pytest.raises(FileFormatError, match=r"a_raw-1\.fif: file truncated: 999 of"):
        read_recording(split)


def test_row_13_both_formats_of_an_extension_are_tried(tmp_path):
    (tmp_path / "a.cnt").write_bytes(b"RIFF" + bytes(2000))
    match = "cannot be read; read_raw_cnt says: .* read_raw_ant says: "
    with pytest.raises(FileFormatError, match=match) as e:
        read_recording(tmp_path / "a.cnt")
    assert "\n" not in str(e.value)
    assert 'File "' not in str(e.value)  # a traceback


@pytest.mark.parametrize(
    "name", ["a b.fif", "u\u0308nï.fif", "<img>=cmd.fif", "x" * 200 + ".fif"]
)
def test_row_16_file_names_of_any_characters(folder, name):
    (folder / "a_raw.fif").rename(folder / name)
    assert read_recording(folder / name).n_times == N_TIMES


@pytest.mark.parametrize("name", COMPLETE, ids=lambda name: f"row-18-{name}")
def test_source_is_opened_for_reading_only(folder, monkeypatch, name):
    def digest() -> dict:
        files = sorted(folder.iterdir())
        return {one.name: hashlib.sha256(one.read_bytes()).digest() for one in files}

    def watched(file, mode="r", *args, **kwargs):
        modes.append(mode)
        return plain(file, mode, *args, **kwargs)

    before, modes, plain = digest(), [], builtins.open
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", watched)
        patch.setattr(io, "open", watched)
        check_recording(read_recording(folder / name))
    folder.chmod(0o755)
    assert modes
    assert not set("wax+") & set("".join(modes))
    assert digest() == before


def test_row_19_duplicate_names_are_told_and_kept_apart(folder):
    replace(folder / "a.edf", b"Cz  ", b"Fz  ")
    with pytest.warns(RuntimeWarning, match="not unique"):
        raw = read_recording(folder / "a.edf")
    assert raw.ch_names == ["Fz-0", "Fz-1", "Pz"]


def test_row_19_odd_rate_and_no_date(folder):
    replace(folder / "a.vhdr", b"Interval=10000.0", b"Interval=1999.9996000000799")
    raw = read_recording(folder / "a.vhdr")
    assert raw.info["sfreq"] == pytest.approx(500.0001, rel=1e-12)  # 1e6 / interval
    assert raw.info["meas_date"] is None


def test_row_20_types_are_counted_where_none_is_wanted(folder):
    raw = mne.io.read_raw_fif(folder / "a_raw.fif", verbose="error")
    raw.set_channel_types(dict.fromkeys(raw.ch_names, "misc"), on_unit_change="ignore")
    raw.save(folder / "b_raw.fif", verbose="error")
    findings = check_recording(read_recording(folder / "b_raw.fif"))
    assert findings.found[0].code == "channels"
    assert "there are: 3 misc" in findings.found[0].message


@pytest.mark.parametrize(
    ("part", "header"),
    [("a.eeg", "a.vhdr"), ("a.vmrk", "a.vhdr"), ("b.fdt", "b.set")],
    ids=["row-12-eeg", "row-12-vmrk", "row-12-fdt"],
)
def test_part_that_is_passed_names_its_header(folder, part, header):
    with pytest.raises(
        OptionError, match=f"{part} is a part of the recording {header}"
    ):
        read_recording(folder / part)


def test_row_11_fif_that_is_none_is_not_called_truncated(tmp_path):
    path = tmp_path / "junk_raw.fif"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(FileFormatError, match="does not begin with the id of a FIF"):
        read_recording(path)


def test_row_11_epochs_are_told_from_damage(tmp_path):
    info = mne.create_info(2, 100.0, "eeg")
    epochs = mne.EpochsArray(np.zeros((3, 2, 50)), info, verbose="error")
    epochs.save(tmp_path / "x-epo.fif", verbose="error")
    with pytest.raises(FileFormatError, match="such as epochs or averages"):
        read_recording(tmp_path / "x-epo.fif")
