"""Result files: never half written, never trusted when read.

Every result of the package is written here, and every writer returns the sha256 of
the file. What changes the disk goes through this module's name ``os``, so that a test
can make each single call fail.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

from meegic.base.errors import IntegrityError, OutputError
from meegic.base.record import canonical_json

_TEMPORARY = re.compile(r"\..+\.(\d{1,9})\.[0-9a-f]{8}\.tmp")
_MAX_STEM = 50  # characters, of up to 4 bytes; a file's name has at most 255 bytes
_DAMAGE = (BadZipFile, OSError, ValueError, TypeError, RuntimeError, EOFError)
_MAX_DEPTH = 64


def write_bytes(path: Path | str, content: bytes) -> str:
    """Write a file so that it is there as a whole, or not at all.

    The folder must exist. An earlier file of that name is replaced; so is a symbolic
    link, and what it points to is never written to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_bytes(f"{folder}/a", b"abc")[:16]
    'ba7816bf8f01cfea'
    """
    path = Path(path)
    temporary = _name_temporary(path)
    try:
        _write_new(temporary, content)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _explain(path, f"{len(content)} bytes", error) from error
    finally:
        with suppress(OSError):  # it is gone already when all went well
            os.unlink(temporary)
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path | str, text: str) -> str:
    """Write text as UTF-8, as `write_bytes` does.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_text(f"{folder}/a.txt", "µV")
    """
    return write_bytes(path, text.encode())


def write_json(path: Path | str, value: Any) -> str:
    """Write JSON with sorted keys and without NaN, as `write_bytes` does.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_json(f"{folder}/a.json", {"n_models": 2})
    """
    plain = json.loads(canonical_json(value, name="value"))
    return write_text(path, json.dumps(plain, indent=2) + "\n")


def append_bytes(path: Path | str, content: bytes, *, cut: int = 0) -> None:
    """Add to the end of a file, in the place of its last ``cut`` bytes, and sync it.

    A file that is not there is made. A writer that is killed leaves the beginning of
    what it adds, so readers must know what is complete.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     append_bytes(path, b"one, tw")
    ...     append_bytes(path, b"three", cut=2)
    ...     path.read_bytes()
    b'one, three'
    """
    path = Path(path)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
        try:
            os.ftruncate(descriptor, os.lseek(descriptor, -cut, os.SEEK_END))
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)
        _sync_folder(path.parent)
    except OSError as error:
        raise _explain(path, f"{len(content)} bytes more", error) from error


def check_target(path: Path | str) -> None:
    """Refuse, before anything is computed, a file that could not be written at its end.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     check_target(f"{folder}/a.npz")
    """
    path = Path(path)
    folder = path.parent
    reason = 0
    if not folder.is_dir():
        reason = errno.ENOENT
    elif path.is_dir():
        reason = errno.EISDIR
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = errno.EACCES
    if reason:
        raise _explain(path, "a file", OSError(reason, os.strerror(reason)))


def export_atomically(path: Path | str, write: Callable[[Path], object]) -> str:
    """Let a foreign writer write a file, and show it only when it is complete.

    ``write`` is given another path, with the same name. Companions that it makes there
    (parts of a split FIF, data of a header) come along; then the earlier file goes
    first and the new one comes last, so that it never stands beside wrong companions.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = export_atomically(f"{folder}/a.txt", lambda p: p.write_text("a"))
    """
    path = Path(path)
    folder = _name_temporary(path)
    try:
        os.mkdir(folder)
        write(folder / path.name)
        digest = hash_file(folder / path.name)
        _move_out(folder, path)
    except OSError as error:
        made = [Path(top, one) for top, _, names in os.walk(folder) for one in names]
        size = sum(one.lstat().st_size for one in made)
        raise _explain(path, f"{size} bytes so far", error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return digest


def make_folder(path: Path | str) -> Path:
    """Make a folder for results, with its parents, and see that it can be written to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     make_folder(f"{folder}/a/b").name
    'b'
    """
    path = Path(path)
    try:
        os.makedirs(path, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _explain(path, "a folder", error) from error
    return path


def read_json(
    path: Path | str, *, digest: str | None = None, max_bytes: int = 16 << 20
) -> Any:
    """Read JSON of bounded size and depth, without NaN and infinity.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_json(f"{folder}/a.json", {"b": 1.5, "a": [None]})
    ...     read_json(f"{folder}/a.json", digest=digest)
    {'a': [None], 'b': 1.5}
    """
    with open_checked(Path(path), digest=digest, max_bytes=max_bytes) as stream:
        value = json.loads(stream.read().decode())
        canonical_json(value, name="value")  # refuses NaN and infinity
        if _depth(value) > _MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")
    return value


def hash_file(path: Path | str) -> str:
    """Compute the sha256 of a file of any size, a block at a time.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_bytes(f"{folder}/a", b"abc") == hash_file(f"{folder}/a")
    True
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files that are no longer needed; what cannot be removed stays.

    Examples
    --------
    >>> remove_files([Path("nowhere.npz")])
    """
    for path in paths:
        with suppress(OSError):
            os.unlink(path)


def sweep_temporaries(folder: Path | str, *, max_age_s: float = 3600.0) -> list[Path]:
    """Remove what killed writers left in a folder and below, and tell what it was.

    What is younger stays, for its writer may run on another host.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     sweep_temporaries(folder)
    []
    """
    removed = []
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            match = _TEMPORARY.fullmatch(name)
            if match and not _is_running(int(match[1])):
                entry = Path(parent, name)
                with suppress(OSError):  # another run may sweep here too
                    if time.time() - entry.lstat().st_mtime > max_age_s:
                        shutil.rmtree(entry) if entry.is_dir() else os.unlink(entry)
                        removed.append(entry)
    return removed


def _name_temporary(path: Path) -> Path:
    stem = path.name[:_MAX_STEM]
    return path.parent / f".{stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp"


def _write_new(path: Path, content: bytes) -> None:
    binary = getattr(os, "O_BINARY", 0)  # Windows would change the line ends
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary
    descriptor = os.open(path, flags, 0o666)
    try:
        _write_all(descriptor, content)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _sync(path: Path) -> None:
    # Windows syncs what is open for writing; elsewhere the file may be read-only.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there; NTFS journals the rename
        return
    try:
        _sync(path)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks cannot sync a folder
            raise


def _move_out(folder: Path, path: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda one: one.name == path.name)
    for one in files:
        _sync(one)
    if len(files) > 1:
        with suppress(FileNotFoundError):
            os.unlink(path)
    for one in files:
        os.replace(one, path.parent / one.name)
    _sync_folder(path.parent)


def _explain(path: Path, size: str, error: OSError) -> OutputError:
    return OutputError(
        f"{path} ({size}) cannot be written: {error.strerror or error}.",
        hint="Choose a folder that exists, has room and may be written to.",
    )


@contextmanager
def blame(what: str) -> Iterator[None]:
    """Turn what a damaged file raises while it is read into an `IntegrityError`.

    Examples
    --------
    >>> with blame("file 'a.json'"):
    ...     size = int("12")
    """
    try:
        yield
    except _DAMAGE as error:
        raise IntegrityError(
            f"{what} cannot be used: {error}.",
            hint="Restore the file, or run again the step that writes it.",
        ) from error


@contextmanager
def open_checked(
    path: Path, *, digest: str | None, max_bytes: int
) -> Iterator[BinaryIO]:
    """Open a regular file of bounded size, with the right digest when one is given.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_text(f"{folder}/a.txt", "abc")
    ...     path = Path(folder, "a.txt")
    ...     with open_checked(path, digest=digest, max_bytes=10) as stream:
    ...         stream.read()
    b'abc'
    """
    with blame(f"{path}"):
        if not path.is_file():  # to open a pipe would wait for ever
            raise ValueError("it is no file")
        with open(path, "rb") as stream:
            if (size := os.stat(stream.fileno()).st_size) > max_bytes:
                raise ValueError(f"it has {size} bytes, and {max_bytes} are allowed")
            if digest is not None:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
                if found != digest:
                    raise ValueError(f"its sha256 must be {digest}, but is {found}")
            stream.seek(0)
            yield stream


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # os.kill would end it there: age and open handles decide
        return pid == os.getpid()
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH  # somebody else's runs, too
    return True
