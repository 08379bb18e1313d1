"""What is said of files that are cut short or damaged."""

from pathlib import Path
from typing import NoReturn

from meegic.base.errors import FileFormatError

COPY_AGAIN = "Copy it again from where it is whole"
"""What to do about a damaged file."""


def check_end(path: Path, found: int, expected: int) -> None:
    """Refuse a file that ends before a piece that its header announces.

    Parameters
    ----------
    path : Path
        The file.
    found, expected : int
        Bytes that are there, and where the piece ends.

    Examples
    --------
    >>> check_end(Path("a.edf"), 256, 256)
    """
    if expected > found:
        raise FileFormatError(
            f"{path}: file truncated: {found} of at least {expected} bytes.",
            hint=f"{COPY_AGAIN}.",
        )


def refuse_header(path: Path, why: str) -> NoReturn:
    """Refuse a file whose header cannot be right.

    Parameters
    ----------
    path : Path
        The file.
    why : str
        What is wrong, as the rest of a sentence.

    Examples
    --------
    >>> refuse_header(Path("a.edf"), "it has no signals")
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: a.edf: the header is damaged: it has no ...
    """
    raise FileFormatError(
        f"{path}: the header is damaged: {why}.", hint=f"{COPY_AGAIN}."
    )
