import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest
import scipy
from scipy.io import savemat

from meegic import DataWarning, FileFormatError, InputError, read_recording
from meegic.base.matlab import check_mat
from meegic.bids.fif import check_fif
from meegic.bids.sizes import Size, settle_length


@pytest.fixture
def raw() -> mne.io.RawArray:
    data = 1e-5 * np.random.default_rng(0).standard_normal((3, 500))
    info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    return mne.io.RawArray(data, info, verbose="error")


@pytest.mark.parametrize("name", ["a_raw.fif", "a_raw.fif.gz", "a.fif"])
def test_samples_are_those_that_mne_reads(raw, tmp_path, name):
    raw.save(tmp_path / name, verbose="error")
    read = read_recording(str(tmp_path / name))
    expected = mne.io.read_raw_fif(tmp_path / name, verbose="error").get_data()
    assert np.array_equal(read.get_data(), expected)
    assert read.preload is name.endswith(".gz")


def test_sample_recording_of_eeglab(shared):
    read = read_recording(shared / "data" / "eeglab_data.set")
    assert (len(read.ch_names), read.n_times) == (32, 30504)
    assert not read.preload


def test_relative_path(raw, tmp_path, monkeypatch):
    mne.export.export_raw(tmp_path / "a.set", raw, verbose="error")
    monkeypatch.chdir(tmp_path)
    assert read_recording("a.set").preload


def test_warnings_that_carry_information_stay(raw, tmp_path):
    mne.export.export_raw(tmp_path / "a.vhdr", raw, verbose="error")
    (tmp_path / "a.vmrk").unlink()
    with pytest.warns(RuntimeWarning, match="'a.vmrk' not found"):
        read_recording(tmp_path / "a.vhdr")


def test_truncated_gz(raw, tmp_path):
    raw.save(tmp_path / "a_raw.fif.gz", verbose="error")
    content = (tmp_path / "a_raw.fif.gz").read_bytes()
    (tmp_path / "a_raw.fif.gz").write_bytes(content[:-2000])
    with pytest.raises(FileFormatError, match=r"cannot be read; .* says: "):
        read_recording(tmp_path / "a_raw.fif.gz")


def test_edf_of_a_recorder_that_was_not_stopped(raw, tmp_path):
    path = tmp_path / "a.edf"
    mne.export.export_raw(path, raw, verbose="error")
    content = path.read_bytes()
    path.write_bytes(content[:236] + b"-1      " + content[244:])
    with pytest.warns(DataWarning, match="was not stopped; 5 records are there"):
        assert read_recording(path).n_times == 500
    path.write_bytes(path.read_bytes()[:-100])
    with (
        pytest.warns(DataWarning, match="was not stopped; 5 records"),
        pytest.raises(FileFormatError, match="file truncated"),
    ):
        read_recording(path)


def test_set_that_names_itself_as_its_samples(tmp_path):
    header = {"nbchan": 1, "pnts": 9, "trials": 1, "srate": 100.0, "data": "a.set"}
    eeg = header | {"chanlocs": [], "event": []}
    savemat(tmp_path / "a.set", {"EEG": eeg})
    with pytest.raises(FileFormatError, match="holds 0 samples, but its header says 9"):
        read_recording(tmp_path / "a.set")


def test_header_fields_as_old_amplifiers_write_them(raw, tmp_path):
    mne.export.export_raw(tmp_path / "a.vhdr", raw, verbose="error")
    header = (tmp_path / "a.vhdr").read_text()
    header = header.replace("µV", "\xb5V").replace(
        "NumberOfChannels", "numberofchannels"
    )
    comment = "NumberOfChannels=64\n"
    (tmp_path / "a.vhdr").write_text(header + comment, encoding="latin-1")
    assert read_recording(tmp_path / "a.vhdr").n_times == 500
    mne.export.export_raw(tmp_path / "a.edf", raw, verbose="error")
    content = (tmp_path / "a.edf").read_bytes()
    (tmp_path / "a.edf").write_bytes(content[:236] + b"5\0xxxxxx" + content[244:])
    assert read_recording(tmp_path / "a.edf").n_times == 500


def write_set_7_3(path: Path, *, pnts: int) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        numbers = {"nbchan": 3, "pnts": pnts, "trials": 1, "srate": 100}
        file["data"] = np.ones((500, 3), "f4")
        file["data"].attrs["MATLAB_class"] = np.bytes_("single")
        for name in ("chanlocs", "event"):
            file[name] = np.zeros(2, "u8")
            file[name].attrs["MATLAB_empty"] = np.uint8(1)
        for name, number in numbers.items():
            file[name] = np.array([[float(number)]])
        for name in (*numbers, "chanlocs", "event"):
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")


@pytest.mark.parametrize("pnts", [499, 501])
def test_set_of_matlab_7_3(tmp_path, pnts):
    path = tmp_path / "a.set"
    write_set_7_3(path, pnts=500)
    assert read_recording(path).get_data().max() == pytest.approx(1e-6, rel=1e-7)
    write_set_7_3(path, pnts=pnts)
    with pytest.raises(FileFormatError, match=f"holds 500 samples.*says {pnts}"):
        read_recording(path)


@pytest.mark.parametrize("sfreq", [100.0, 500.0001, 1 / 3, 256.41])
def test_cut_is_exact_at_any_rate(tmp_path, sfreq):
    data = np.arange(1000.0)[None] * 1e-6
    info = mne.create_info(1, sfreq, "eeg")
    raw = mne.io.RawArray(data, info, verbose="error")
    mne.export.export_raw(tmp_path / "a.vhdr", raw, verbose="error")
    header = (tmp_path / "a.vhdr").read_text()
    for n_times in (1, 2, 333, 998, 999):
        text = header.replace("DataFile", f"DataPoints={n_times}\nDataFile")
        (tmp_path / "a.vhdr").write_text(text)
        with pytest.warns(DataWarning, match=f"The first {n_times} samples"):
            assert read_recording(tmp_path / "a.vhdr").n_times == n_times


@pytest.mark.parametrize("exponent", [-9, 0, 6])
def test_unit_of_the_data_does_not_matter(raw, tmp_path, exponent):
    scaled = mne.io.RawArray(10.0**exponent * raw.get_data(), raw.info, verbose="error")
    scaled.save(tmp_path / "a_raw.fif", verbose="error")
    read = read_recording(tmp_path / "a_raw.fif").get_data()
    # float32 in the file: half an ulp of each sample
    np.testing.assert_allclose(read, scaled.get_data(), rtol=2.0**-23)


@pytest.mark.parametrize(
    ("found", "expected", "n_times"), [(100, 100, None), (107, 100, 18), (93, 100, 16)]
)
def test_length_in_frames_after_an_offset(found, expected, n_times):
    size = Size(Path("a"), found, expected, frame=10, offset=10, n_times=2)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert settle_length(size, allow_truncated=True) == n_times
    assert len(told) == (found != expected)


def element(code: int, content: bytes) -> bytes:
    return struct.pack("<II", code, len(content)) + content + bytes(-len(content) % 8)


def matrix(kind: int, shape: tuple[int, ...], *inside: bytes) -> bytes:
    flags = element(6, struct.pack("<II", kind, 0))
    shape_ = element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, flags + shape_ + element(1, b"x") + b"".join(inside))


def nest(depth: int) -> bytes:
    inside = matrix(6, (1, 1), element(9, bytes(8)))
    for _ in range(depth):
        inside = matrix(1, (1, 1), inside)
    return inside


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (matrix(6, (1, 1), element(14, b"")), "type 14 in class 6"),
        (matrix(6, (1, 1), element(19, bytes(8))), "type 19 in class 6"),
        (matrix(6, (1, 1)), "2 elements in class 6"),
        (matrix(6 | 0x800, (1, 1), element(9, bytes(8))), "3 elements in class 6"),
        (matrix(5, (1, 1), *2 * [element(9, bytes(8))]), "4 elements in class 5"),
        (matrix(0, (1, 1)), "class 0"),
        (matrix(18, (1, 1)), "class 18"),
        (matrix(1, (1 << 20, 1 << 20)), "shape"),
        (matrix(2, (-1, 1)), "shape"),
        (nest(40), "more than 32 matrices"),
        (element(9, bytes(8)), "type 9"),
        (element(15, b"no zlib"), "Error -3"),
    ],
)
def test_matlab_file_that_would_harm_its_reader(tmp_path, body, match):
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + body)
    with pytest.raises(FileFormatError, match=f"at byte 128 there is .*{match}"):
        check_mat(path)


def pack(body: bytes) -> bytes:
    packed = zlib.compress(body)
    return struct.pack("<II", 15, len(packed)) + packed


def test_matlab_file_that_unpacks_to_more_than_a_recording_can(tmp_path):
    path = tmp_path / "a.mat"
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    small = pack(matrix(6, (1, 1), element(9, bytes(9 << 20))))
    large = pack(matrix(6, (1, 1), element(9, bytes(100 << 20))))
    path.write_bytes(head + small)
    check_mat(path)
    match = r"\d{7,} bytes are packed in it, and \d{7,} are allowed; save it without"
    for body in (small + small, large):
        path.write_bytes(head + body)
        tracemalloc.start()
        with pytest.raises(FileFormatError, match=match):
            check_mat(path)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20  # twice what is allowed
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        pack(nest(0))[:-4] + bytes(4),
        element(15, zlib.compress(nest(0))[:-4]),
        pack(nest(0) + b"x"),
        pack(nest(0)[:-1]),
        pack(b"abc"),
    ],
    ids=["checksum", "cut", "longer", "shorter", "tiny"],
)
def test_compressed_variable_that_is_not_what_it_says(tmp_path, body):
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + body)
    with pytest.raises(FileFormatError, match="at byte 128 there is no variable"):
        check_mat(path)


@pytest.mark.parametrize("do_compression", [False, True])
def test_every_kind_of_matlab_variable_is_accepted(tmp_path, do_compression):
    variables = {
        "real": np.eye(3),
        "small": np.uint8([1, 2]),
        "complex": np.array([1j, 2.0]),
        "empty": np.empty((0, 0)),
        "sparse": scipy.sparse.csc_array([[0, 1j], [2, 0]]),
        "text": "abc µ",
        "cell": np.array([np.eye(2), "x", None], object)[:2],
        "structs": np.zeros(3, [("a", object), ("b", object)]),
        "nested": {"a": {"b": {"c": np.arange(5)}}},
    }
    path = tmp_path / "a.mat"
    savemat(path, variables, do_compression=do_compression)
    check_mat(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FileFormatError, match="file truncated"):
        check_mat(path)


def test_matrix_in_a_fif_that_claims_more_than_its_tag(raw, tmp_path):
    raw.set_eeg_reference(projection=True, verbose="error")
    path = tmp_path / "a_raw.fif"
    raw.save(path, verbose="error")
    check_fif(path)
    content = path.read_bytes()
    old = struct.pack(">iii", 3, 1, 2)
    assert content.count(old) == 1
    for shape in ((3, 1, 9), (1 << 30, 1 << 30, 2), (-3, -1, 2)):
        path.write_bytes(content.replace(old, struct.pack(">iii", *shape)))
        with pytest.raises(FileFormatError, match=r"the matrix at \d+ has no shape"):
            read_recording(path)


def test_part_of_a_split_fif_that_names_itself(raw, tmp_path):
    path = tmp_path / "a_raw.fif"
    raw.save(path, verbose="error")
    content = path.read_bytes()
    role = struct.pack(">iIiii", 115, 3, 4, 0, 2)
    name = struct.pack(">iIii", 118, 10, 9, 0) + b"a_raw.fif"
    path.write_bytes(content[:56] + role + name + content[56:])
    with pytest.raises(FileFormatError, match="named as the part that follows itself"):
        read_recording(path)
    path.write_bytes(path.read_bytes().replace(b"a_raw.fif", b"/a_raw/fi", 1))
    with pytest.raises(InputError, match="names fi, which is not there"):
        read_recording(path)
