"""A first look at what was given, before any reader sees it."""

import difflib
import os
from pathlib import Path

from meegic.base.checks import did_you_mean, list_words
from meegic.base.errors import FileFormatError, InputError, OptionError
from meegic.base.optional import import_optional
from meegic.bids.formats import FOLDERS, FORMATS, HDF5_NEEDS, get_extension
from meegic.bids.layout import refuse_folder

HEADERS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}
"""Files that come with a header, which is what one opens."""

N_BYTES = 64
"""How much of a file is looked at."""


def check_source(path: Path) -> None:
    """Refuse what no reader can open, and say what it is.

    A missing file, a folder, a pipe, an unknown extension, a link or pointer whose
    content was not fetched, a web page, an empty file, a reader that is not installed.

    Parameters
    ----------
    path : Path
        What should be a recording.

    Raises
    ------
    OptionError
        The path is a folder or has an unknown extension.
    InputError
        There is nothing to read.
    FileFormatError
        There is something else than a recording.
    MissingDependencyError
        The format needs a package that is not installed.

    Examples
    --------
    >>> check_source(Path("sub-01_raw.fif"))
    Traceback (most recent call last):
    meegic.base.errors.InputError: no such file: sub-01_raw.fif.
    """
    extension = get_extension(path)
    if path.is_dir() and extension not in FOLDERS:
        folders = list_words(FOLDERS, last="or")
        refuse_folder(path, f"a recording: a file, or a folder ending with {folders}")
    start = b"" if path.is_dir() else check_content(path)
    _refuse_companion(path, extension)
    if extension not in FORMATS:
        _refuse_extension(path, extension)
    is_hdf5 = start.startswith((b"MATLAB 7.3", b"\x89HDF"))
    is_matlab = extension in (".mat", ".set")
    needs = HDF5_NEEDS if is_matlab and is_hdf5 else FORMATS[extension]
    for package in needs:
        import_optional(package, extra="io")


def check_content(path: Path) -> bytes:
    """Refuse a file that is absent, a pipe, empty, or only stands for the real one.

    Parameters
    ----------
    path : Path
        A recording, or one of its companion files.

    Returns
    -------
    bytes
        How the file begins.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.eeg"
    >>> size = path.write_bytes(b"<!DOCTYPE html>")
    >>> check_content(path)
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: ...a.eeg is an HTML page ...
    """
    if path.is_symlink() and not os.path.exists(path):
        _refuse_link(path)
    if not os.path.exists(path):
        raise InputError(f"no such file: {path}.", hint=suggest_sibling(path))
    if not path.is_file():  # to open a pipe would wait for ever
        raise InputError(
            f"{path} is no regular file.",
            hint="Copy the recording to a file first.",
        )
    start = _read_start(path)
    _check_start(path, start)
    return start


def check_part(path: Path, *, owner: Path) -> None:
    """Refuse a file that another one names, when it is absent or not the real one.

    Parameters
    ----------
    path : Path
        The file that is named.
    owner : Path
        The file that names it.

    Examples
    --------
    >>> check_part(Path("a.eeg"), owner=Path("a.vhdr"))
    Traceback (most recent call last):
    meegic.base.errors.InputError: a.vhdr names a.eeg, which is not there.
    """
    if not os.path.lexists(path):
        raise InputError(
            f"{owner} names {path.name}, which is not there.",
            hint=suggest_sibling(path, owner=owner),
        )
    check_content(path)


def suggest_sibling(path: Path, *, owner: Path | None = None) -> str:
    """Name the files beside a missing one that it may be.

    Parameters
    ----------
    path : Path
        The file that is not there.
    owner : Path | None
        The file that names it; the missing one may be called alike.

    Returns
    -------
    str
        A sentence, or nothing when no name is close.

    Examples
    --------
    >>> suggest_sibling(Path("nowhere") / "a.fif")
    ''
    """
    if not path.parent.is_dir():
        return ""
    names = {one.name for one in path.parent.iterdir() if one != owner}
    words = [path.name]
    if owner:
        names = {name for name in names if Path(name).suffix == path.suffix}
        words.append(owner.with_suffix(path.suffix).name)
    close = [
        name for word in words for name in difflib.get_close_matches(word, names, n=3)
    ]
    listed = list_words(dict.fromkeys(close))
    return f"In that folder lies {listed}." if close else ""


def _refuse_link(path: Path) -> None:
    target = os.readlink(path)
    if "annex/objects" in Path(target).as_posix():
        raise InputError(
            f"{path} is a link to a missing annex object.",
            hint=f"Fetch it: datalad get {path}",
        )
    raise InputError(f"{path} is a link to {target}, which does not exist.")


def _refuse_companion(path: Path, extension: str) -> None:
    header = path.with_suffix(HEADERS.get(extension, extension))
    if header != path and header.is_file():
        raise OptionError(
            f"{path.name} is a part of the recording {header.name}.",
            hint=f"Pass {header}.",
        )


def _refuse_extension(path: Path, extension: str) -> None:
    core = [one for one, needs in FORMATS.items() if not needs]
    needed = {one: needs for one, needs in FORMATS.items() if needs}
    needed[".mat and .set of MATLAB 7.3"] = HDF5_NEEDS
    extra = [f"{one} ({', '.join(needs)})" for one, needs in needed.items()]
    raise OptionError(
        f"path must have the extension of a recording, but got {path.name!r}. Known "
        f"are {', '.join(core)}; with pip install 'meegic[io]' also "
        f"{', '.join(extra)}.",
        hint=did_you_mean(extension, FORMATS),
    )


def _read_start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(N_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}.") from error


def _check_start(path: Path, start: bytes) -> None:
    if not start:
        raise FileFormatError(f"{path} is empty: file truncated to 0 bytes.")
    if start.startswith(b"/annex/objects/"):
        raise FileFormatError(
            f"{path} is a git-annex pointer, not the recording.",
            hint=f"Fetch it: datalad get {path}",
        )
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        raise FileFormatError(
            f"{path} is a Git LFS pointer, not the recording.",
            hint=f"Fetch it: git lfs pull --include {path}",
        )
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise FileFormatError(
            f"{path} is an HTML page that was saved under a recording's name.",
            hint="Download it again; the server sent a page instead of the file.",
        )
