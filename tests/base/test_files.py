"""Result files: whole or absent, the same bytes for the same content, never trusted."""

import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.errors import InputError, IntegrityError, OutputError
from meegic.base.files import (
    check_target,
    export_atomically,
    hash_file,
    make_folder,
    read_json,
    sweep_temporaries,
    write_bytes,
    write_json,
    write_text,
)
from meegic.base.npz import ArraySpec, hash_arrays, read_arrays, write_arrays

ARRAYS = {
    "mean": np.array([1.5, -0.0, np.nan]),
    "counts": np.arange(6, dtype=np.int64).reshape(2, 3),
    "mask": np.array([True, False]),
    "names": np.array(["EEG 001", "µ"]),
    "step": np.array(3.0, dtype=np.float32),
    "none": np.zeros((0, 4), dtype=np.complex128),
}
SCHEMA = {
    "mean": ArraySpec("float64", (None,)),
    "counts": ArraySpec("int64", (None, 3)),
    "mask": ArraySpec("bool", (2,)),
    "names": ArraySpec("U", (None,)),
    "step": ArraySpec("float32", ()),
    "none": ArraySpec("complex128", (None, 4)),
}
ONE = {"x": ArraySpec("float64", (None,))}


def npy(array, **header):
    """The bytes of an npy file whose header may lie."""
    stream = io.BytesIO()
    true = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(stream, true | header)
    return stream.getvalue() + array.tobytes()


def write_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)


def zip_end(n_bytes):
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, n_bytes, 0, 0)


# -- writing ---------------------------------------------------------------------------


def test_arrays_come_back_with_dtype_shape_and_values(tmp_path):
    digest = write_arrays(tmp_path / "a.npz", ARRAYS)
    found = read_arrays(tmp_path / "a.npz", SCHEMA, digest=digest)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert_array_equal(found[name], array, strict=True)
        assert found[name].flags.writeable


def test_numpy_reads_what_we_write(tmp_path):
    write_arrays(tmp_path / "a.npz", ARRAYS)
    with np.load(tmp_path / "a.npz") as found:
        assert sorted(found.files) == sorted(ARRAYS)
        for name, array in ARRAYS.items():
            assert_array_equal(found[name], array, strict=True)


def test_equal_arrays_give_equal_bytes_whatever_order_layout_and_time(
    tmp_path, monkeypatch
):
    first = write_arrays(tmp_path / "a.npz", ARRAYS)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    other = {
        name: np.asfortranarray(array).reshape(array.shape)
        for name, array in reversed(ARRAYS.items())
    }
    other["counts"] = np.asfortranarray(ARRAYS["counts"]).astype(">i8", order="F")
    assert write_arrays(tmp_path / "b.npz", other) == first


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.array([1.5, 0.0, np.nan])},  # the sign of zero
        {"step": np.array([3.0], dtype=np.float32)},
        {"step": np.array(3.0)},
    ],
    ids=["value", "shape", "dtype"],
)
def test_other_arrays_give_other_bytes(tmp_path, change):
    first = write_arrays(tmp_path / "a.npz", ARRAYS)
    assert write_arrays(tmp_path / "b.npz", ARRAYS | change) != first


def test_json_is_canonical_and_comes_back(tmp_path):
    value = {"b": [1, 2.5, None, True], "a": {"µ": "\udc80"}}
    digest = write_json(tmp_path / "a.json", value)
    assert write_json(tmp_path / "b.json", dict(reversed(value.items()))) == digest
    assert read_json(tmp_path / "a.json", digest=digest) == value
    content = (tmp_path / "a.json").read_bytes()
    assert content.startswith(b'{\n  "a": {\n')
    assert content.endswith(b"\n}\n")
    assert b"\r" not in content


def test_text_is_utf8_with_the_line_ends_it_has(tmp_path):
    write_text(tmp_path / "a.tsv", "µV\tn/a\n")
    assert (tmp_path / "a.tsv").read_bytes() == b"\xc2\xb5V\tn/a\n"


def test_digest_is_that_of_the_file(tmp_path):
    digest = write_bytes(tmp_path / "a", b"abc")
    # FIPS 180-2, appendix B.1
    assert digest.startswith("ba7816bf8f01cfea414140de5dae2223")
    assert hash_file(tmp_path / "a") == digest
    assert export_atomically(tmp_path / "b", lambda p: p.write_bytes(b"abc")) == digest


def test_rights_follow_the_umask(tmp_path):
    previous = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"abc")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_bytes(path, b"new"),
        lambda path: export_atomically(path, lambda p: p.write_bytes(b"new")),
    ],
    ids=["write", "export"],
)
def test_a_symbolic_link_is_replaced_and_its_target_untouched(tmp_path, write):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    write(link)
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent/a", "No such file"), ("folder", "directory"), ("n" * 300, "too long")],
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path, name, reason):
    (tmp_path / "folder").mkdir()
    words = rf"{name} \(3 bytes\) cannot be written: .*{reason}.* Choose a folder"
    with pytest.raises(OutputError, match=words):
        write_bytes(tmp_path / name, b"abc")
    with pytest.raises(OutputError, match=rf"{name} .*{reason}"):
        export_atomically(tmp_path / name, lambda path: path.write_bytes(b"abc"))
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.zeros(1, dtype=[("a", float)]),
        np.ma.masked_array([1.0, 2.0], mask=[False, True]),
    ],
    ids=["object", "date", "record", "masked"],
)
def test_what_is_no_plain_array_is_refused(tmp_path, array):
    with pytest.raises(InputError, match="'x' must be a plain array of numbers or"):
        write_arrays(tmp_path / "a.npz", {"x": array})
    with pytest.raises(InputError, match="'0' must be a plain array"):
        hash_arrays(array)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [np.nan, -np.inf, np.int64(1), {1: 2}, b"abc"])
def test_what_json_cannot_hold_is_refused(tmp_path, bad):
    with pytest.raises(InputError, match=r"value\.a\[0\] must"):
        write_json(tmp_path / "a.json", {"a": [bad]})
    assert not list(tmp_path.iterdir())


LONG = ["n" * 255, "µ" * 127, "\U0001f9e0" * 63]


@pytest.mark.parametrize("name", LONG, ids=["1 byte", "2 bytes", "4 bytes"])
def test_the_longest_names_can_be_written(tmp_path, name):
    write_bytes(tmp_path / name, b"abc")
    export_atomically(tmp_path / name, lambda path: path.write_bytes(b"xyz"))
    assert (tmp_path / name).read_bytes() == b"xyz"
    assert [one.name for one in tmp_path.iterdir()] == [name]


# -- foreign writers -------------------------------------------------------------------


def test_companions_come_along_and_the_folder_goes(tmp_path):
    def write(path):
        path.write_text("header")
        path.with_suffix(".eeg").write_text("data")

    (tmp_path / "a.vhdr").write_text("earlier")
    export_atomically(tmp_path / "a.vhdr", write)
    found = {one.name: one.read_text() for one in tmp_path.iterdir()}
    assert found == {"a.vhdr": "header", "a.eeg": "data"}


def test_export_shows_nothing_until_the_writer_is_done(tmp_path):
    seen = []

    def write(path):
        path.write_text("half")
        assert path.name == "a_raw.fif"
        seen.extend(one.name for one in tmp_path.iterdir())
        path.write_text("whole")

    export_atomically(tmp_path / "a_raw.fif", write)
    assert len(seen) == 1
    assert seen[0].startswith(f".a_raw.fif.{os.getpid()}.")
    assert [one.name for one in tmp_path.iterdir()] == ["a_raw.fif"]


def test_full_disk_in_a_foreign_writer_is_explained(tmp_path):
    def write(path):
        path.write_bytes(b"12345")
        raise OSError("the writer's own words")

    (tmp_path / "a").write_text("earlier")
    words = r"a \(5 bytes so far\) cannot be written: the writer's own words"
    with pytest.raises(OutputError, match=words):
        export_atomically(tmp_path / "a", write)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["earlier"]


def test_other_errors_of_a_foreign_writer_stay_as_they_are(tmp_path):
    def write(path):
        path.write_text("half")
        raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"):
        export_atomically(tmp_path / "a", write)
    assert not list(tmp_path.iterdir())


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    (tmp_path / "a").write_text("earlier")
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        export_atomically(tmp_path / "a", lambda path: None)
    assert (tmp_path / "a").read_text() == "earlier"


# -- reading ---------------------------------------------------------------------------


def test_optional_arrays_may_be_absent_and_others_not(tmp_path):
    write_arrays(tmp_path / "a.npz", {"x": np.zeros(1)})
    extra = ArraySpec("float64", (), optional=True)
    assert list(read_arrays(tmp_path / "a.npz", ONE | {"y": extra})) == ["x"]
    with pytest.raises(IntegrityError, match=r"members must be \['x.npy', 'y.npy'\]"):
        read_arrays(tmp_path / "a.npz", ONE | {"y": extra._replace(optional=False)})


def test_a_file_of_another_schema_is_refused_as_such(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.zeros(1)}, version=1)
    assert list(read_arrays(path, ONE, version=1)) == ["x"]
    write_arrays(path, {"x": np.zeros(1), "new": np.zeros(1)}, version=2)
    words = rf"{path} has schema 2, but this meegic reads 1\. Read it with the version"
    with pytest.raises(IntegrityError, match=words):
        read_arrays(path, ONE, version=1)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, r"a\.npz cannot be used: it does not state its schema"),
        (
            {"schema": np.zeros(1, dtype=np.int64)},
            r"'schema' of .* must have shape \(\)",
        ),
        ({"schema": np.array(1.0)}, "'schema' of .* dtype must be int64"),
    ],
)
def test_a_file_without_a_right_schema_is_refused(tmp_path, arrays, words):
    write_arrays(tmp_path / "a.npz", {"x": np.zeros(1)} | arrays)
    with pytest.raises(IntegrityError, match=words):
        read_arrays(tmp_path / "a.npz", ONE, version=1)


def test_no_arrays_are_arrays_too(tmp_path):
    write_arrays(tmp_path / "a.npz", {})
    assert read_arrays(tmp_path / "a.npz", {}) == {}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (ArraySpec("float32", (2, 3)), "dtype must be float32, but is int64"),
        (ArraySpec("U", (2, 3)), "dtype must be U, but is int64"),
        (ArraySpec("int64", (2, 4)), r"shape \(2, 4\), but got \(2, 3\)"),
        (ArraySpec("int64", (None,)), r"shape \(any,\), but got \(2, 3\)"),
        (ArraySpec("int64", (2, 3, None)), r"shape \(2, 3, any\)"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(tmp_path, spec, words):
    write_arrays(tmp_path / "a.npz", {"x": ARRAYS["counts"]})
    with pytest.raises(IntegrityError, match=rf"member 'x' of .*a\.npz .*{words}"):
        read_arrays(tmp_path / "a.npz", {"x": spec})


def test_another_digest_is_refused_even_where_content_is_readable(tmp_path):
    arrays = write_arrays(tmp_path / "a.npz", {"x": np.zeros(1)})
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(
        IntegrityError, match=rf"a\.json .*sha256 must be {arrays}, but"
    ):
        read_json(tmp_path / "a.json", digest=arrays)
    with pytest.raises(IntegrityError, match=r"a\.npz .*sha256 must be , but"):
        read_arrays(tmp_path / "a.npz", ONE, digest="")


@pytest.mark.parametrize("name", ["absent", "folder", "pipe"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for read in (lambda path: read_arrays(path, ONE), read_json):
        with pytest.raises(IntegrityError, match=f"{name} cannot be used: it is no f"):
            read(tmp_path / name)


def test_a_file_over_the_limit_is_refused(tmp_path):
    write_arrays(tmp_path / "a.npz", {"x": np.zeros(100)})
    with pytest.raises(IntegrityError, match="and 500 are allowed"):
        read_arrays(tmp_path / "a.npz", ONE, max_bytes=500)
    write_bytes(tmp_path / "a.json", b" " * (16 * 2**20) + b"1")
    with pytest.raises(
        IntegrityError, match="16777217 bytes, and 16777216 are allowed"
    ):
        read_json(tmp_path / "a.json")


GOOD = npy(np.zeros(1))
PICKLE = npy(np.zeros(1), descr="|O")
HOSTILE = {
    "traversal": ([("x.npy", GOOD), ("../x.npy", GOOD)], "members must be"),
    "surplus": ([("x.npy", GOOD), ("y.npy", GOOD)], "members must be"),
    "other": ([("y.npy", GOOD)], "members must be"),
    "pickle": ([("x.npy", PICKLE)], "not begin as a plain array"),
    "not npy": ([("x.npy", b"abc")], "not begin as a plain array"),
    "record": ([("x.npy", npy(np.zeros(1, "f8,f8")))], "not begin as a plain array"),
    "huge": ([("x.npy", npy(np.zeros(1), shape=(10**12,)))], "length is another"),
    "short": ([("x.npy", npy(np.zeros(2), shape=(1,)))], "length is another"),
    "dtype": ([("x.npy", npy(np.zeros(1), descr="<f3"))], "not understood"),
    "no suffix": ([("x.npy", GOOD), ("x", GOOD)], "members must be"),
    "Fortran": ([("x.npy", npy(np.zeros(1), fortran_order=True))], "not begin as"),
    "axes": ([("x.npy", npy(np.zeros(1), shape=(1,) * 99))], "cannot be used"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_members_are_refused(tmp_path, case):
    members, words = HOSTILE[case]
    write_zip(tmp_path / "a.npz", members)
    with pytest.raises(IntegrityError, match=words):
        read_arrays(tmp_path / "a.npz", ONE)


def test_a_double_member_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_zip(tmp_path / "a.npz", [("x.npy", GOOD), ("x.npy", GOOD)])
    with pytest.raises(IntegrityError, match="two of its members have one name"):
        read_arrays(tmp_path / "a.npz", ONE)


TEXT = {"x": ArraySpec("U", (None,))}


@pytest.mark.parametrize("length", [9, 10**17])
@pytest.mark.parametrize("kind", ["U", "S"])
def test_texts_without_room_are_refused(tmp_path, kind, length):
    """Their file holds nothing, but memory would hold four bytes for each of them."""
    content = npy(np.zeros(0), descr=f"<{kind}0", shape=(length,))
    write_zip(tmp_path / "a.npz", [("x.npy", content)])
    spec = ArraySpec(kind, (None,))
    with pytest.raises(IntegrityError, match="not begin as a plain array"):
        read_arrays(tmp_path / "a.npz", {"x": spec})


@pytest.mark.parametrize("texts", [[""], ["", "a"], [], ["\U0010ffff"], ["\udc80"]])
def test_texts_come_back(tmp_path, texts):
    write_arrays(tmp_path / "a.npz", {"x": np.array(texts, dtype=np.str_)})
    assert read_arrays(tmp_path / "a.npz", TEXT)["x"].tolist() == texts


@pytest.mark.parametrize("point", [0x110000, 2**32 - 1])
def test_what_is_no_character_is_refused(tmp_path, point):
    content = npy(np.array([[65], [point]], dtype="<u4"), descr="<U1", shape=(2,))
    write_zip(tmp_path / "a.npz", [("x.npy", content)])
    with pytest.raises(IntegrityError, match="it holds what is no character"):
        read_arrays(tmp_path / "a.npz", TEXT)


def test_a_header_of_digits_does_not_hang(tmp_path):
    header = GOOD.replace(b"(1,)", b"(" + b"1" * 5000)
    write_zip(tmp_path / "a.npz", [("x.npy", header)])
    start = time.perf_counter()
    with pytest.raises(IntegrityError, match="not begin as"):
        read_arrays(tmp_path / "a.npz", ONE)
    assert time.perf_counter() - start < 1


def refused_with_little_memory(path, words):
    """Refuse within 2 MB, of which most are zipfile's own."""
    tracemalloc.start()
    try:
        with pytest.raises(IntegrityError, match=words):
            read_arrays(path, ONE)
        return tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_refused_before_it_inflates(tmp_path):
    bomb = [("x.npy", npy(np.zeros(2_000_000)))]
    write_zip(tmp_path / "a.npz", bomb, compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "a.npz").stat().st_size < 16e6 / 20  # beyond the ratio of 20
    assert refused_with_little_memory(tmp_path / "a.npz", "'x.npy' is compressed")


def test_sizes_beyond_the_file_are_refused_before_they_are_allocated(tmp_path):
    write_zip(tmp_path / "a.npz", [("x.npy", GOOD)])
    content = bytearray((tmp_path / "a.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<2L", 10**8, 10**8)
    (tmp_path / "a.npz").write_bytes(content)
    assert refused_with_little_memory(tmp_path / "a.npz", "claim more than its")


def test_a_member_that_runs_over_the_end_is_refused(tmp_path):
    write_zip(tmp_path / "a.npz", [("x.npy", GOOD)])
    content = bytearray((tmp_path / "a.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<2L", len(content), len(content))
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(IntegrityError, match="member 'x'"):
        read_arrays(tmp_path / "a.npz", ONE)


@pytest.mark.parametrize("case", ["size", "method"])
def test_a_member_that_claims_compression_is_refused(tmp_path, case):
    write_zip(tmp_path / "a.npz", [("x.npy", GOOD)])
    content = bytearray((tmp_path / "a.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")
    if case == "size":
        content[entry + 20 : entry + 24] = struct.pack("<L", len(GOOD) - 1)
    else:
        content[entry + 10] = content[8] = zipfile.ZIP_DEFLATED
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(IntegrityError, match="is compressed"):
        read_arrays(tmp_path / "a.npz", ONE)


@pytest.mark.parametrize("where", ["end", "large end"])
def test_a_list_of_a_million_members_is_not_even_read(tmp_path, where):
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 2**30, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    tails = {"end": zip_end(2**30), "large end": large + locator + zip_end(46)}
    (tmp_path / "a.npz").write_bytes(tails[where])
    with pytest.raises(IntegrityError, match="does not end as an npz file does"):
        read_arrays(tmp_path / "a.npz", ONE)


def test_an_offset_beyond_all_numbers_is_refused(tmp_path):
    write_zip(tmp_path / "a.npz", [("x.npy", GOOD)])
    content = bytearray((tmp_path / "a.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 30 : entry + 32] = struct.pack("<H", 12)  # an extra field
    content[entry + 42 : entry + 46] = b"\xff" * 4  # in which the offset is
    content[entry + 51 : entry + 51] = struct.pack("<2HQ", 1, 8, 2**64 - 1)
    content[-22:] = zip_end(46 + 5 + 12)
    content[-6:-2] = struct.pack("<L", entry)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"member 'x' of .*a\.npz cannot be"):
        read_arrays(tmp_path / "a.npz", ONE)


def test_files_beyond_two_gigabytes_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    write_arrays(tmp_path / "a.npz", {"x": np.arange(3.0)})
    assert (tmp_path / "a.npz").read_bytes()[-98:].startswith(b"PK\x06\x06")
    assert_array_equal(read_arrays(tmp_path / "a.npz", ONE)["x"], [0, 1, 2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[NaN]", r"value\[0\] must be finite"),
        (b'{"a": -Infinity}', r"value\.a must be finite"),
        (b"1e999", "value must be finite"),
        (b'{"a": 1', "Expecting"),
        (b"", "Expecting value"),
        (b"\xff\xfe1\x00", "codec can't decode"),
        (b"[" * 65 + b"]" * 65, "deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64 levels"),
        (b"[" * 10**6, "recursion"),
        (b"9" * 5000, "digits"),
    ],
)
def test_json_that_cannot_be_trusted_is_refused(tmp_path, text, words):
    write_bytes(tmp_path / "a.json", text)
    with pytest.raises(IntegrityError, match=rf"a\.json cannot be used: .*{words}"):
        read_json(tmp_path / "a.json")


def test_json_of_64_levels_is_read(tmp_path):
    write_bytes(tmp_path / "a.json", b"[" * 64 + b"]" * 64)
    assert read_json(tmp_path / "a.json")


# -- digests ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", [pytest.param(None, id="row-69")])
def test_same_size_and_time_do_not_hide_a_change(tmp_path, case):
    path = tmp_path / "a"
    write_bytes(path, b"abc")
    before, times = hash_file(path), path.stat()
    path.write_bytes(b"xyz")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert hash_file(path) != before


def test_hash_of_arrays_sees_values_shapes_and_dtypes_but_no_layout():
    data = np.arange(6.0).reshape(2, 3)
    digest = hash_arrays(data)
    assert hash_arrays(data.astype(">f8")) == digest
    assert hash_arrays(np.asfortranarray(data)) == digest
    assert hash_arrays(np.repeat(data, 2, axis=1)[:, ::2]) == digest
    others = [data + 1e-15, data.reshape(3, 2), data.astype("f4"), data[None]]
    digests = {hash_arrays(one) for one in others} | {digest}
    assert len(digests) == 5
    assert hash_arrays(data, data) != digest
    assert hash_arrays(np.zeros(2)) != hash_arrays(np.zeros(2, dtype=np.int64))
    assert hash_arrays(np.zeros((0, 2))) != hash_arrays(np.zeros((2, 0)))


# -- temporaries -----------------------------------------------------------------------


def leave(folder, name, *, pid, age_s=7200.0, is_folder=False):
    path = folder / f".{name}.{pid}.0123abcd.tmp"
    if is_folder:
        path.mkdir()
        (path / name).write_text("half")
    else:
        path.write_text("half")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.fixture(scope="module")
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_old_temporaries_of_dead_writers_are_swept(tmp_path, dead_pid):
    (tmp_path / "sub-01").mkdir()
    leftovers = {
        leave(tmp_path, "a.json", pid=dead_pid),
        leave(tmp_path / "sub-01", "b_raw.fif", pid=dead_pid, is_folder=True),
    }
    keep = {
        leave(tmp_path, "young", pid=dead_pid, age_s=60.0),
        leave(tmp_path, "mine", pid=os.getpid()),
        leave(tmp_path, "of-the-system", pid=1),
        leave(tmp_path, "no-number", pid="x"),
        tmp_path / "result.json",
    }
    (tmp_path / "result.json").write_text("{}")
    os.utime(tmp_path / "result.json", (0, 0))
    assert set(sweep_temporaries(tmp_path)) == leftovers
    assert {one for one in tmp_path.rglob("*") if one.is_file()} == keep
    assert [one.name for one in sweep_temporaries(tmp_path, max_age_s=30.0)] == [
        f".young.{dead_pid}.0123abcd.tmp"
    ]


@pytest.mark.parametrize("name", ["a.json", *LONG], ids=len)
def test_what_a_writer_leaves_is_swept_whatever_its_name(
    tmp_path, dead_pid, monkeypatch, name
):
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: dead_pid)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        export_atomically(tmp_path / name, lambda path: path.write_text("whole"))
    (left,) = tmp_path.glob(".*")
    os.utime(left, (0, 0))
    assert sweep_temporaries(tmp_path) == [left]
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_leftover_of_another_user_who_runs_stays(tmp_path, dead_pid, monkeypatch):
    def kill(pid, signal):
        raise PermissionError(1, "Operation not permitted")

    leave(tmp_path, "a", pid=dead_pid)
    monkeypatch.setattr(os, "kill", kill)
    assert sweep_temporaries(tmp_path) == []


def test_what_another_run_sweeps_first_is_no_error(tmp_path, dead_pid, monkeypatch):
    path = leave(tmp_path, "a", pid=dead_pid)
    monkeypatch.setattr(time, "time", lambda: path.unlink() or 2e9)
    assert sweep_temporaries(tmp_path) == []


def test_absent_folder_has_nothing_to_sweep(tmp_path):
    assert sweep_temporaries(tmp_path / "absent") == []


# -- the surroundings ------------------------------------------------------------------


def test_import_is_light_and_plain_locale_is_enough(tmp_path):
    code = (
        "import sys; from meegic.base import files; "
        "files.write_text(sys.argv[1], chr(181)); "
        "assert not {'jax', 'scipy', 'mne'} & set(sys.modules)"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    home = {"HOME": str(tmp_path / "absent"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", code, tmp_path / "µ.txt"]
    subprocess.run(command, env=plain | home, check=True)
    assert (tmp_path / "µ.txt").read_text(encoding="utf-8") == "µ"
    assert [one.name for one in Path(tmp_path).iterdir()] == ["µ.txt"]


def test_folder_is_made_with_its_parents_and_may_exist(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"


def test_folder_that_cannot_be_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="cannot be written"):
            make_folder(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="Permission denied"):
        make_folder(tmp_path)


def test_target_that_could_not_be_written_is_refused_beforehand(tmp_path, monkeypatch):
    check_target(tmp_path / "new.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OutputError, match="No such file or directory"):
        check_target(tmp_path / "none" / "a.npz")
    with pytest.raises(OutputError, match="Is a directory"):
        check_target(tmp_path / "folder.npz")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="Permission denied"):
        check_target(tmp_path / "new.npz")
