"""How many bytes a header claims, and how many there are."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from meegic.base.damage import COPY_AGAIN, refuse_header
from meegic.base.errors import DataWarning, FileFormatError

TAKE_PART = (
    ", or take what there is in Python: read_recording(path, allow_truncated=True)"
)
"""What else to do about a truncated file."""


@dataclass(frozen=True)
class Size:
    """What a header says about the length of the file that holds the samples.

    Attributes
    ----------
    path : Path
        The file that holds the samples.
    found, expected : int
        Bytes that are there, and that the header says there are.
    frame : int
        Bytes of the shortest piece with all channels.
    offset : int
        Bytes before the first sample.
    n_times : int
        Samples in a piece.
    interleaved : bool
        Whether pieces follow each other; else a channel follows the other, and a
        file of another length cannot be read.
    """

    path: Path
    found: int
    expected: int
    frame: int
    offset: int = 0
    n_times: int = 1
    interleaved: bool = True


def settle_length(size: Size | None, *, allow_truncated: bool) -> int | None:
    """Decide how much is read of a file that is not as long as its header says.

    Parameters
    ----------
    size : Size | None
        What is there and what should be, where that is known.
    allow_truncated : bool
        Whether the whole samples of a truncated file are taken, with a warning.

    Returns
    -------
    int | None
        How many samples are read; nothing where the length is right.

    Examples
    --------
    >>> settle_length(Size(Path("a.fdt"), 80, 80, frame=8), allow_truncated=False)
    """
    if size is None or size.found == size.expected:
        return None
    surplus = size.found - size.expected
    length = min(size.found, size.expected) - size.offset
    n_times = length // size.frame * size.n_times * size.interleaved
    fault = f"{size.path}: file truncated: {size.found} of {size.expected} bytes"
    hint = COPY_AGAIN + TAKE_PART * (n_times > 0)
    if surplus > 0:
        samples = surplus // size.frame * size.n_times
        fault = f"{size.path}: file longer than its header says by {surplus} bytes, "
        fault, hint = f"{fault}{samples} samples", COPY_AGAIN
    if n_times <= 0 or (surplus < 0 and not allow_truncated):
        raise FileFormatError(f"{fault}.", hint=f"{hint}.")
    kept = f"{fault}. The first {n_times} samples are read."
    warnings.warn(kept, DataWarning, stacklevel=3)
    return n_times


def parse_count(path: Path, name: str, text: str | bytes, *, low: int = 1) -> int:
    """Read a whole number of a header; anything else is damage.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What is counted.
    text : str or bytes
        What stands there.
    low : int
        The least that it can be.

    Returns
    -------
    int
        The number.

    Examples
    --------
    >>> parse_count(Path("a.edf"), "number of signals", b"19  ")
    19
    """
    try:
        count = int(text)
    except ValueError:
        count = low - 1
    if count < low:
        refuse_header(path, f"its {name} is {text!r}")
    return count
