"""The header of EDF and BDF files, held against the bytes that are there."""

import warnings
from pathlib import Path

import numpy as np

from meegic.base.damage import check_end, refuse_header
from meegic.base.errors import DataWarning, FileFormatError
from meegic.bids.sizes import Size, parse_count

FIXED = 256
"""Bytes of the header's fixed part, and of what follows for each signal."""


def measure_edf(path: Path) -> Size:
    """Read from the header of an EDF or BDF how long the file should be.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Size
        Its length; one piece is one data record.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.edf"
    >>> size = path.write_bytes(b"0" + 99 * b" ")
    >>> measure_edf(path)
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: ...: file truncated: 100 of at least 256 ...
    """
    head, rows = _read_header(path)
    n_signals = len(rows) // FIXED
    lengths = [
        parse_count(path, "number of samples", _trim(rows[start : start + 8]))
        for start in range(216 * n_signals, 224 * n_signals, 8)
    ]
    texts = [
        rows[start : start + 16].rstrip().endswith(b"Annotations")
        for start in range(0, 16 * n_signals, 16)
    ]
    bounds = np.cumsum([0, *lengths]) * (3 if path.suffix.lower() == ".bdf" else 2)
    found, offset, frame = path.stat().st_size, FIXED + len(rows), int(bounds[-1])
    if n_whole := (found - offset) // frame:
        records = np.memmap(path, np.uint8, "r", offset, (n_whole, frame))
        for row in np.flatnonzero(texts):
            _check_text(path, records[:, bounds[row] : bounds[row + 1]])
    n_records = parse_count(path, "number of records", _trim(head[236:244]), low=-1)
    if n_records < 0:
        n_records = -((offset - found) // frame)
        told = f"{path}: the recorder was not stopped; {n_records} records are there."
        warnings.warn(told, DataWarning, stacklevel=3)
    waves = [n for n, is_text in zip(lengths, texts, strict=True) if not is_text]
    expected = offset + n_records * frame
    return Size(path, found, expected, frame, offset, max(waves, default=0))


def _read_header(path: Path) -> tuple[bytes, bytes]:
    """Read the fixed part, and the part that has a length for each signal."""
    found = path.stat().st_size
    check_end(path, found, FIXED)
    with path.open("rb") as file:
        head = file.read(FIXED)
        n_signals = parse_count(path, "number of signals", _trim(head[252:256]))
        length = FIXED * (n_signals + 1)
        check_end(path, found, length)
        rows = file.read(FIXED * n_signals)
    if _trim(head[184:192]) != str(length).encode():
        refuse_header(path, f"with {n_signals} signals its length is not {length}")
    return head, rows


def _trim(field: bytes) -> bytes:
    return field.partition(b"\0")[0].strip()


def _check_text(path: Path, records: np.ndarray) -> None:
    try:
        records.tobytes().decode()
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{path}: its annotations are not UTF-8, as the format wants: {error}.",
            hint="If they are Latin-1: mne.io.read_raw_edf(path, encoding='latin1').",
        ) from error
