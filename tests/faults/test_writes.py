"""Every call that changes the disk fails once: nothing is lost, half or left behind.

Run as a script, it ends a process at every such call instead.
"""

import errno
import fcntl
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from meegic.base import files, npz
from meegic.base.errors import OutputError

CALLS = ("open", "write", "fsync", "close", "replace", "unlink", "mkdir")


class FaultyOs:
    """The module `os`, but the n-th call that changes the disk has a fault."""

    def __init__(self, n, fault, *, forever=False):
        self.n, self.fault, self.forever, self.calls = n, fault, forever, []

    def __getattr__(self, name):
        real = getattr(os, name)
        return self._watch(name, real) if name in CALLS else real

    def _watch(self, name, real):
        def call(*arguments):
            self.calls.append(name)
            count = len(self.calls)
            late = self.forever and count > self.n and name not in ("close", "unlink")
            return (self.fault if count == self.n or late else do)(real, *arguments)

        return call


class WindowsOs:
    """The module `os` with what Windows refuses, as far as files are concerned."""

    name = "nt"
    O_BINARY = 1 << 30

    def __init__(self):
        self.n_syncs = 0

    def __getattr__(self, name):
        return getattr(os, name)

    def open(self, path, flags, *mode):
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        assert flags & self.O_BINARY or not flags & os.O_CREAT
        return os.open(path, flags & ~self.O_BINARY, *mode)

    def fsync(self, descriptor):
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EBADF, "Bad file descriptor")
        self.n_syncs += 1

    def kill(self, pid, signal):
        raise AssertionError("it ends the process")


def do(call, *arguments):
    return call(*arguments)


def do_half(call, *arguments):
    """Write half of the bytes, which is no error; all other calls do as they should."""
    if call is os.write:
        descriptor, content = arguments
        return os.write(descriptor, content[: (len(content) + 1) // 2])
    return call(*arguments)


def fail(error):
    """Write half, or close, or do nothing, and raise."""

    def fault(call, *arguments):
        if call in (os.write, os.close):
            do_half(call, *arguments)
        raise error

    return fault


def fail_with(code):
    return fail(OSError(code, os.strerror(code)))


def end(call, *arguments):
    do_half(call, *arguments)
    os._exit(77)


def write_set(path, number):
    def write(temporary):
        temporary.write_text(f"{number}")
        temporary.with_suffix(".eeg").write_text(f"{number}" * 1000)

    files.export_atomically(path, write)


def read_set(path):
    """Read a header and its data, which must be of one writing."""
    if not path.exists():
        return None
    number = int(path.read_text())
    assert path.with_suffix(".eeg").read_text() == f"{number}" * 1000
    return number


def write_arrays(path, number):
    npz.write_arrays(path, {"x": np.full(1000, float(number))})


def read_arrays(path):
    array = npz.read_arrays(path, {"x": npz.ArraySpec("float64", (1000,))})["x"]
    assert (array == array[0]).all()
    return int(array[0])


KINDS = {
    "a.json": (
        lambda path, number: files.write_json(path, [number] * 50),
        lambda path: max(files.read_json(path)),
    ),
    "a.npz": (write_arrays, read_arrays),
    "a.fif": (
        lambda path, number: files.export_atomically(
            path, lambda temporary: temporary.write_text(f"{number}" * 1000)
        ),
        lambda path: int(path.read_text()[0]) if path.stat().st_size == 1000 else None,
    ),
    "a.vhdr": (write_set, read_set),
}
NAMES = {"a.vhdr": {"a.vhdr", "a.eeg"}}
FAULTS = {
    "ENOSPC": fail_with(errno.ENOSPC),
    "EIO": fail_with(errno.EIO),
    "EACCES": fail_with(errno.EACCES),
    "EROFS": fail_with(errno.EROFS),
    "short": do_half,
    "interrupt": fail(KeyboardInterrupt()),
}


def overwrite(path, number, system):
    """Replace number 1 by another one under a faulty system; tell what was raised."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "os", system)
        try:
            KINDS[path.name][0](path, number)
        except (OutputError, KeyboardInterrupt) as error:
            return error
    return None


def check_state(path, system, error):
    """The file is the earlier or the new one as a whole, and nothing lies beside it."""
    found = KINDS[path.name][1](path)
    names = NAMES.get(path.name, {path.name})
    there = {one.name for one in path.parent.iterdir()}
    if error is None:
        assert (found, there) == (2, names)
    elif "replace" not in system.calls[: system.n - 1]:
        assert (found, there) == (1, names) or (path.name == "a.vhdr" and found is None)
    else:
        assert found == 2 or (path.name == "a.vhdr" and found is None)
    assert there <= names


@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", KINDS)
def test_a_fault_at_any_call_loses_nothing(tmp_path, name, fault, forever):
    n_errors = 0
    for n in itertools.count(1):
        path = tmp_path / f"{n}" / name
        path.parent.mkdir()
        KINDS[name][0](path, 1)
        system = FaultyOs(n, FAULTS[fault], forever=forever)
        error = overwrite(path, 2, system)
        check_state(path, system, error)
        n_errors += error is not None
        if len(system.calls) < n:
            break
    assert n >= 8
    assert n_errors == 0 if fault == "short" else n_errors >= 7


@pytest.mark.parametrize("name", [pytest.param("a.npz", id="row-61")])
def test_a_full_disk_is_named_with_path_and_bytes(tmp_path, name):
    path = tmp_path / name
    write_arrays(path, 1)
    error = overwrite(path, 2, FaultyOs(2, FAULTS["ENOSPC"]))
    words = re.escape(
        f"{path} ({path.stat().st_size} bytes) cannot be written: No spac"
    )
    assert re.match(words, error.message)
    assert error.hint.startswith("Choose a folder that exists, has room")
    assert error.__cause__.errno == errno.ENOSPC


@pytest.mark.parametrize("before", [False, True], ids=["absent", "present"])
def test_a_set_is_complete_or_has_no_header(tmp_path, before):
    """Where the second of two replacements fails, no header stands beside the data."""
    path = tmp_path / "a.vhdr"
    if before:
        write_set(path, 1)
    system = FaultyOs(0, do)
    overwrite(path, 1, system)
    second = len(system.calls) - system.calls[::-1].index("replace")
    error = overwrite(path, 2, FaultyOs(second, FAULTS["EIO"]))
    assert isinstance(error, OutputError)
    assert [one.name for one in tmp_path.iterdir()] == ["a.eeg"]


def test_content_and_folder_are_synced_before_the_writer_returns(tmp_path):
    system = FaultyOs(0, do)
    (tmp_path / "a.json").write_text("[1]")
    overwrite(tmp_path / "a.json", 2, system)
    assert system.calls == [
        *("open", "write", "fsync", "close"),
        "replace",
        *("open", "fsync", "close"),
        "unlink",
    ]


def test_an_export_is_synced_before_it_is_shown(tmp_path):
    system = FaultyOs(0, do)
    overwrite(tmp_path / "a.fif", 2, system)
    assert system.calls == [
        "mkdir",
        *("open", "fsync", "close"),
        "replace",
        *("open", "fsync", "close"),
    ]


def test_a_disk_that_cannot_sync_a_folder_is_good_enough(tmp_path):
    path = tmp_path / "a.json"
    fault = fail_with(errno.EINVAL)
    assert overwrite(path, 2, FaultyOs(7, fault)) is None
    assert isinstance(overwrite(path, 2, FaultyOs(3, fault)), OutputError)


@pytest.mark.parametrize("name", KINDS)
def test_windows_syncs_content_and_leaves_folders_alone(tmp_path, name):
    system = WindowsOs()
    assert overwrite(tmp_path / name, 2, system) is None
    assert KINDS[name][1](tmp_path / name) == 2
    assert system.n_syncs == len(NAMES.get(name, {name}))


def test_windows_sweeps_by_age_alone(tmp_path, monkeypatch):
    """There `os.kill` is no probe; a file that is open cannot be removed anyway."""
    mine, other, young = (
        tmp_path / f".a.{pid}.{number}.tmp"
        for pid, number in [(os.getpid(), "0" * 8), (1, "1" * 8), (1, "2" * 8)]
    )
    for path in (mine, other, young):
        path.touch()
    for path in (mine, other):
        os.utime(path, (0, 0))
    monkeypatch.setattr(files, "os", WindowsOs())
    assert files.sweep_temporaries(tmp_path) == [other]


@pytest.mark.parametrize("name", KINDS)
def test_the_end_of_the_process_at_any_call_loses_nothing(tmp_path, name):
    """The script below ends a child at every call, and checks what it left."""
    command = [sys.executable, __file__, tmp_path / name]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= 8


def end_at_every_call(path):
    """Count the calls at which a child was ended."""
    write, read = KINDS[path.name]
    n, code = 0, 77
    while code == 77:
        n += 1
        write(path, 1)
        child = os.fork()
        if not child:
            files.os = FaultyOs(n, end)
            write(path, 2)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found = read(path)
        assert found in (1, 2) or (path.name == "a.vhdr" and found is None)
        files.sweep_temporaries(path.parent, max_age_s=-60.0)
        names = {one.name for one in path.parent.iterdir()}
        assert names <= NAMES.get(path.name, {path.name})
    assert (code, found) == (0, 2)
    return n - 1


if __name__ == "__main__":
    print(end_at_every_call(Path(sys.argv[1])))
