"""The elements of a MATLAB 5 file, held against the bytes that are there.

The reader trusts what it finds: a wrong type of element ends the process, and a wrong
shape takes all memory. Every element is looked at before.
"""

import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from meegic.base.damage import check_end, refuse_header

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

SPARSE, COMPLEX = 5, 0x800
"""The class of a matrix that holds places too; the flag of one with two numbers."""

MAX_DEPTH = 32
"""How deep matrices may lie in each other; deeper ones exhaust the reader's stack."""

MAX_RATIO, MIN_ROOM = 100, 16 << 20
"""How many times its size a file may unpack to, and the bytes that are always allowed.

Samples pack to a tenth at best, zeros to a thousandth.
"""


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
        room = max(MIN_ROOM, MAX_RATIO * len(content))
        for code, start, stop in _list_variables(path, content, order):
            try:
                if code == COMPRESSED:
                    room -= _check_packed(content[start:stop], order, room)
                else:
                    _check_variable(content, order, code, start, stop)
            except (ValueError, struct.error, zlib.error) as error:
                why = f"at byte {start - 8} there is no variable ({error})"
                refuse_header(path, why)


def _list_variables(
    path: Path, content: mmap.mmap, order: str
) -> Iterator[tuple[int, int, int]]:
    stop = HEADER
    while stop < len(content):
        start = stop + 8
        check_end(path, len(content), start)
        code, size = struct.unpack_from(f"{order}II", content, stop)
        stop = start + size
        check_end(path, len(content), stop)
        yield code, start, stop


def _check_packed(packed: bytes, order: str, room: int) -> int:
    """Look at a compressed variable, and tell how many bytes it unpacks to."""
    stream = zlib.decompressobj()
    code, size = struct.unpack(f"{order}II", stream.decompress(packed, 8))
    if size > room:
        raise ValueError(
            f"{size} bytes are packed in it, and {room} are allowed; "
            "save it without compression"
        )
    # one byte more than there should be, for only the end holds the checksum
    body = stream.decompress(stream.unconsumed_tail, size + 1)
    if not stream.eof or len(body) != size:
        raise ValueError(f"{size} bytes are not what is packed")
    _check_variable(body, order, code, 0, size)
    return size


def _check_variable(
    body: bytes | mmap.mmap, order: str, code: int, start: int, stop: int
) -> None:
    if code != MATRIX:
        raise ValueError(f"type {code}")
    _check_matrix(body, order, start, stop, depth=0)


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
    flags, *elements = _list_elements(body, order, start, stop)
    (word,) = struct.unpack_from(f"{order}I", body, flags.start)
    kind = word & 0xFF
    if not 1 <= kind <= OPAQUE:
        raise ValueError(f"class {kind}")
    if len(elements) < _count_least(word):
        raise ValueError(f"{len(elements)} elements in class {kind}")
    if kind in CONTAINERS and kind != OPAQUE:
        _check_shape(body, order, elements[0], stop)
    for element in elements:
        if element.code == MATRIX and kind in CONTAINERS:
            inside = element.start, element.stop
            _check_matrix(body, order, *inside, depth=depth + 1)
        elif element.code not in PLAIN:
            raise ValueError(f"type {element.code} in class {kind}")


def _list_elements(
    body: bytes | mmap.mmap, order: str, place: int, stop: int
) -> Iterator[_Element]:
    while place < stop:
        element = _read_element(body, order, place, stop)
        yield element
        place = element.next


def _count_least(word: int) -> int:
    """Tell how many elements a reader takes, be they of this matrix or of the next."""
    kind = word & 0xFF
    if kind in CONTAINERS:
        return 1
    shape_and_name, n_places = 2, 2 * (kind == SPARSE)
    return shape_and_name + n_places + 1 + bool(word & COMPLEX)


def _check_shape(
    body: bytes | mmap.mmap, order: str, shape: _Element, stop: int
) -> None:
    """Refuse more places than there are bytes; each needs a tag of eight."""
    n_axes = (shape.stop - shape.start) // 4
    lengths = struct.unpack_from(f"{order}{n_axes}i", body, shape.start)
    if min(lengths, default=0) < 0 or 8 * math.prod(lengths) > stop - shape.start:
        raise ValueError(f"shape {lengths}")
