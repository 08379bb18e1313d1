"""Read a saved result, or say what else the file is."""

from pathlib import Path
from typing import TypeVar

from meegic.base.errors import InputError, IntegrityError
from meegic.base.flat import read_flat

_T = TypeVar("_T")
_HEAD = 1 << 20
_PICKLES = (b".pkl", b"'|O'")  # a member of an archive; an array of objects


def read_saved(path: Path, kind: type[_T], *, version: int) -> _T:
    """Read a saved result, or say what else the file is.

    Parameters
    ----------
    path : Path
        The file.
    kind : type
        What was saved.
    version : int
        Of its schema.

    Returns
    -------
    kind
        The result, bit for bit as it was saved.

    Examples
    --------
    >>> read_saved(Path("missing.npz"), tuple, version=1)
    Traceback (most recent call last):
    meegic.base.errors.InputError: no such file: missing.npz. ...
    """
    if not path.exists():
        raise InputError(f"no such file: {path}.", hint="Save it there first.")
    try:
        return read_flat(path, kind, version=version)
    except IntegrityError as error:
        if _is_pickled(path):
            raise IntegrityError(
                f"{path} is a pickle, which would run code while it is read.",
                hint="Open it with the program that wrote it, and fit again or pass "
                "its arrays as start.",
            ) from error
        raise


def _is_pickled(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    return head.startswith(b"\x80") or any(one in head for one in _PICKLES)
