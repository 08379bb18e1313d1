"""The elements of a MATLAB 5 file, held against the bytes that are there.

The reader trusts what it finds: a wrong type of element ends the process, and a wrong
shape takes all memory. Every element is looked at before.
"""

import math
import mmap
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from meegic.bids.sizes import check_end, refuse_header

HEADER = 128
"""Bytes before the first element."""

MATRIX, COMPRESSED = 14, 15
"""Types of an element that holds others."""

PLAIN = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}
"""Types of an element that holds numbers or text."""

CONTAINERS = {1, 2, 3, 16, 17}
"""Classes of a matrix that holds others: cell, struct, object, function, opaque."""

OPAQUE = 17
"""The last class, of a matrix without a shape."""

MAX_DEPTH = 32
"""How deep matrices may lie in each other; deeper ones exhaust the reader's stack."""


class _Element(NamedTuple):
    """Type and place of the content of an element, and where the next one begins."""

    code: int
    start: int
    stop: int
    next: int


def check_mat(path: Path) -> None:
    """Refuse a MATLAB file that claims what it does not have.

    Parameters
    ----------
    path : Path
        The file; one of MATLAB 7.3 or 4 is left to its reader.

    Raises
    ------
    FileFormatError
        The file is truncated or damaged.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.mat"
    >>> size = path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(126) + b"IM" + bytes(8))
    >>> check_mat(path)
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: ...: the header is damaged: at byte 128 ...
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        check_end(path, len(content), HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(content[HEADER - 2 : HEADER])
        if content[:10] == b"MATLAB 7.3" or not order:
            return
        place = HEADER
        while place < len(content):
            place = _check_variable(path, content, order, place)


def _check_variable(path: Path, content: mmap.mmap, order: str, place: int) -> int:
    check_end(path, len(content), place + 8)
    code, size = struct.unpack_from(f"{order}II", content, place)
    start, stop = place + 8, place + 8 + size
    check_end(path, len(content), stop)
    try:
        if code == COMPRESSED:
            body = zlib.decompress(content[start:stop])
            code, start, stop, _ = _read_element(body, order, 0, len(body))
        else:
            body = content
        if code != MATRIX:
            raise ValueError(f"type {code}")
        _check_matrix(body, order, start, stop, depth=0)
    except (ValueError, struct.error, zlib.error) as error:
        refuse_header(path, f"at byte {place} there is no variable ({error})")
    return place + 8 + size


def _read_element(
    body: bytes | mmap.mmap, order: str, place: int, end: int
) -> _Element:
    code, size = struct.unpack_from(f"{order}II", body, place)
    start, after = place + 8, place + 8 + size + -size % 8
    if code >> 16:  # up to four bytes lie inside the tag
        code, size = code & 0xFFFF, code >> 16
        start, after = place + 4, place + 8
    stop = start + size
    if stop > min(after, end):
        raise ValueError(f"{size} bytes do not fit at {place}")
    return _Element(code, start, stop, after)


def _check_matrix(
    body: bytes | mmap.mmap, order: str, start: int, stop: int, *, depth: int
) -> None:
    if start == stop:
        return
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} matrices lie in each other")
    flags = _read_element(body, order, start, stop)
    (word,) = struct.unpack_from(f"{order}I", body, flags.start)
    kind = word & 0xFF
    if not 1 <= kind <= OPAQUE:
        raise ValueError(f"class {kind}")
    if kind in CONTAINERS and kind != OPAQUE:
        _check_shape(body, order, _read_element(body, order, flags.next, stop), stop)
    place = flags.next
    while place < stop:
        element = _read_element(body, order, place, stop)
        if element.code == MATRIX and kind in CONTAINERS:
            inside = element.start, element.stop
            _check_matrix(body, order, *inside, depth=depth + 1)
        elif element.code not in PLAIN:
            raise ValueError(f"type {element.code} in class {kind}")
        place = element.next


def _check_shape(
    body: bytes | mmap.mmap, order: str, shape: _Element, stop: int
) -> None:
    """Refuse more places than there are bytes; each needs a tag of eight."""
    n_axes = (shape.stop - shape.start) // 4
    lengths = struct.unpack_from(f"{order}{n_axes}i", body, shape.start)
    if min(lengths, default=0) < 0 or 8 * math.prod(lengths) > stop - shape.start:
        raise ValueError(f"shape {lengths}")
