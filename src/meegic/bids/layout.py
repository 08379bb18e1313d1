"""Where the recordings of a folder lie."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from meegic.base.errors import OptionError
from meegic.bids.formats import FOLDERS, FORMATS, UNLISTED, get_extension

DATATYPES = ("eeg", "ieeg", "meg")
"""Folders of a BIDS subject in which recordings lie."""

SUFFIXES = (*DATATYPES, "raw")
"""Last word of a recording's name; ``raw`` is common in derivatives."""

CALIBRATION = re.compile("_acq-(calibration|crosstalk)_")
"""Files of the MEG device that lie among recordings under a recording's name."""

PARTS = (
    (r"-[1-9]\d*(?=\.fif$)", ""),
    (r"_split-\d+(?=_.*\.fif$)", "_split-01"),
    (r"_split-\d+(?=_.*\.fif$)", "_split-1"),
)
"""How MNE and BIDS number the parts of a split FIF, and how the first is called."""

N_LISTED = 10
"""How many recordings a message shows."""


def find_recordings(folder: str | os.PathLike[str]) -> list[Path]:
    """Find every recording of a BIDS data set or derivative.

    Parameters
    ----------
    folder : path-like
        Where ``dataset_description.json`` lies.

    Returns
    -------
    list of Path
        One path per recording, sorted: the header of formats with companion files,
        the first part of split files, the folder of formats that are one.

    Raises
    ------
    OptionError
        The folder is no BIDS data set, or one without recordings.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "dataset_description.json").touch()
    >>> (root / "sub-01" / "eeg").mkdir(parents=True)
    >>> (root / "sub-01" / "eeg" / "sub-01_task-rest_eeg.vhdr").touch()
    >>> [path.name for path in find_recordings(root)]
    ['sub-01_task-rest_eeg.vhdr']
    """
    root = Path(folder)
    if not (root / "dataset_description.json").is_file():
        refuse_folder(root, "a BIDS data set, which has a dataset_description.json")
    subjects = (one for one in root.glob("sub-*") if one.is_dir())
    found = sorted(
        path
        for subject in subjects
        for path in _walk(subject)
        if _is_bids(path.relative_to(root))
    )
    if not found:
        refuse_folder(root, "a BIDS data set with recordings of its subjects")
    return found


def refuse_folder(folder: Path, expected: str) -> NoReturn:
    """Refuse a folder that is not what was expected, listing what lies below.

    Parameters
    ----------
    folder : Path
        What was given.
    expected : str
        What would have been right, in words.

    Raises
    ------
    OptionError
        Always.

    Examples
    --------
    >>> import tempfile
    >>> refuse_folder(Path(tempfile.mkdtemp()), "a recording")
    Traceback (most recent call last):
    meegic.base.errors.OptionError: path must be a recording, but got ...
    """
    found = sorted(str(path.relative_to(folder)) for path in _walk(folder))
    listed = ", ".join(found[:N_LISTED]) + ", ..." * (len(found) > N_LISTED)
    below = f"Recordings below it ({len(found)}): {listed}"
    if not found:
        below = "No recording lies below it"
    raise OptionError(
        f"path must be {expected}, but got {str(folder)!r}. {below}.",
        hint="Pass one of them." if found else "",
    )


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".")]
        recordings = [one for one in folders if get_extension(Path(one)) in FOLDERS]
        folders[:] = [one for one in folders if one not in recordings]
        paths = (Path(parent, name) for name in (*recordings, *files))
        yield from (path for path in paths if _is_recording(path))


def _is_recording(path: Path) -> bool:
    extension = get_extension(path)
    if extension == ".eeg":
        return not os.path.lexists(path.with_suffix(".vhdr"))
    if extension == ".dat":  # else it may hold anything
        return os.path.lexists(path.with_suffix(".dap"))
    listed = extension in FORMATS and extension not in UNLISTED
    return listed and not _is_later_part(path)


def _is_later_part(path: Path) -> bool:
    """Whether the first part lies in the same folder, and is another file."""
    firsts = {re.sub(pattern, first, path.name) for pattern, first in PARTS}
    return any(os.path.lexists(path.with_name(one)) for one in firsts - {path.name})


def _is_bids(path: Path) -> bool:
    suffix = path.name[: -len(get_extension(path))].rpartition("_")[2]
    in_datatype = any(part in DATATYPES for part in path.parts[:-1])
    return in_datatype and suffix in SUFFIXES and not CALIBRATION.search(path.name)
