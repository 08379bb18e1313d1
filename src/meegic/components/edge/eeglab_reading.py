"""The fields of EEGLAB's ``.set`` files, as they are found."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from meegic.base.errors import FileFormatError, InputError
from meegic.base.matlab import check_mat
from meegic.base.optional import import_optional

_ICA = ("icaweights", "icasphere", "icachansind", "reject", "etc", "EEG")
_NEEDED = ("nbchan", "trials")
DAMAGE = (MatReadError, zlib.error, OSError, ValueError, TypeError, KeyError)
"""What readers raise over files that are damaged."""


def load_fields(path: Path) -> dict[str, Any]:
    """Load the fields of a data set that tell of its decomposition.

    Examples
    --------
    >>> load_fields(Path("missing.set"))
    Traceback (most recent call last):
    meegic.base.errors.InputError: no such file: missing.set. Pass the path of a .set.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}.", hint="Pass the path of a .set.")
    check_mat(path)  # some damage would end the process in its reader
    names = [*_ICA, *_NEEDED]
    try:
        try:
            found = loadmat(path, variable_names=names, simplify_cells=True)
        except NotImplementedError:  # MATLAB 7.3
            reader = import_optional("pymatreader", extra="io")
            found = reader.read_mat(path, variable_names=names)
        fields = found.get("EEG", found)
    except DAMAGE as error:
        raise blame_damage(path, error) from error
    if not isinstance(fields, Mapping) or any(one not in fields for one in _NEEDED):
        raise FileFormatError(
            f"{path} holds no data set of EEGLAB.",
            hint="Pass a file that EEGLAB saved, with one data set.",
        )
    return dict(fields)


def read_count(path: Path, fields: Mapping[str, Any], name: str) -> int:
    """Read a positive number of a data set.

    Examples
    --------
    >>> read_count(Path("a.set"), {"nbchan": 32}, "nbchan")
    32
    """
    count = np.asarray(fields[name])
    if count.size != 1 or count.dtype.kind not in "iuf" or not count > 0:
        raise FileFormatError(
            f"{path}: {name} must be a positive number, but it is {fields[name]!r}."
        )
    return int(count.item())


def blame_damage(path: Path, error: Exception) -> FileFormatError:
    """Make the error for a data set that no reader takes.

    Examples
    --------
    >>> blame_damage(Path("a.set"), ValueError("no matrix")).message
    'a.set cannot be read: no matrix.'
    """
    return FileFormatError(
        f"{path} cannot be read: {error}.",
        hint="It is damaged, or no .set of EEGLAB; save it again there.",
    )
