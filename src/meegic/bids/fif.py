"""The tags of a FIF file, held against the bytes that are there."""

import math
import mmap
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mne.io.constants import FIFF

from meegic.base.damage import check_end, refuse_header
from meegic.bids.sniff import check_part

TYPES = {*range(9), 10, 16, 20, 21, 23, *range(30, 34), 35, 36}
"""Codes of the types of content that the reader knows."""

ITEM_SIZES = {2: 2, 3: 4, 4: 4, 5: 8, 16: 2, 20: 8, 21: 16}
"""Bytes of one number, by the code of its type."""


class _Tag(NamedTuple):
    """The 16 bytes before every piece of content; ``place`` is where they begin."""

    kind: int
    code: int
    size: int
    next: int
    place: int


def check_fif(path: Path) -> None:
    """Refuse a FIF whose tags claim bytes that are not there, or parts that are not.

    Parameters
    ----------
    path : Path
        The file; further parts of a split recording are looked at too.

    Raises
    ------
    FileFormatError
        The file is truncated or its directory is damaged, or a part is absent.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "short_raw.fif"
    >>> size = path.write_bytes(bytes([0, 0, 0, 100, 0, 0, 0, 31, 0, 0]))
    >>> check_fif(path)
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: ...: file truncated: 10 of at least 16 ...
    """
    seen: list[Path] = []
    part: Path | None = path
    while part is not None:
        if part in seen:
            refuse_header(part, "it is named as the part that follows itself")
        if seen:
            check_part(part, owner=seen[-1])
        seen.append(part)
        with _map(part) as content:
            part = _check_part(part, content)


def check_buffers(parts: Sequence[Path], *, n_channels: int, n_times: int) -> None:
    """Refuse a FIF whose pieces of data or pauses between them cannot be.

    Parameters
    ----------
    parts : sequence of Path
        The files, which passed `check_fif`.
    n_channels, n_times : int
        How many channels and samples they have, as opened; a pause of the recorder
        counts as samples, and takes no bytes.

    Raises
    ------
    FileFormatError
        A piece does not hold whole samples, or there are more samples than bytes.

    Examples
    --------
    >>> import tempfile
    >>> import mne
    >>> path = Path(tempfile.mkdtemp()) / "a_raw.fif"
    >>> raw = mne.io.RawArray([[0.0] * 9], mne.create_info(1, 100.0), verbose="error")
    >>> saved = raw.save(path, verbose="error")
    >>> check_buffers([path], n_channels=2, n_times=9)
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: ...: the header is damaged: the data at ...
    """
    found = sum(path.stat().st_size for path in parts)
    if n_times > found:
        refuse_header(parts[0], f"it claims {n_times} samples in {found} bytes")
    for path in parts:
        with _map(path) as content:
            _check_buffers(path, content, n_channels)


def _check_buffers(path: Path, content: mmap.mmap, n_channels: int) -> None:
    for tag in _list_tags(path, content):
        if tag.kind == FIFF.FIFF_DATA_BUFFER:
            item = ITEM_SIZES.get(tag.code, 0)
            if not item or tag.size % (n_channels * item):
                refuse_header(path, f"the data at {tag.place} are no whole samples")


@contextmanager
def _map(path: Path) -> Iterator[mmap.mmap]:
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        yield content


def _check_part(path: Path, content: mmap.mmap) -> Path | None:
    following = None
    role = None
    for tag in _list_tags(path, content):
        if tag.code & 0xFFFF not in TYPES:
            refuse_header(path, f"the tag at {tag.place} has the type {tag.code}")
        if tag.size and tag.code & 0xFFFF0000 == FIFF.FIFFT_MATRIX:
            _check_matrix(path, content, tag)
        elif tag.kind == FIFF.FIFF_REF_ROLE:
            role = _read_int(path, content, tag)
        elif tag.kind == FIFF.FIFF_REF_FILE_NAME and role == FIFF.FIFFV_ROLE_NEXT_FILE:
            name = content[tag.place + 16 : tag.place + 16 + tag.size]
            following = path.parent / name.decode("latin-1")
    return following


def _list_tags(path: Path, content: mmap.mmap) -> Iterator[_Tag]:
    if len(content) >= 4 and struct.unpack_from(">i", content)[0] != FIFF.FIFF_FILE_ID:
        refuse_header(path, "it does not begin with the id of a FIF")
    first = _read_tag(path, content, 0)
    pointer = _read_tag(path, content, first.next or 16 + first.size)
    if pointer.kind != FIFF.FIFF_DIR_POINTER:
        refuse_header(path, "it has no pointer to a directory")
    if (place := _read_int(path, content, pointer)) > 0:
        return _follow_directory(path, content, place)
    return _follow_chain(path, content)


def _follow_chain(path: Path, content: mmap.mmap) -> Iterator[_Tag]:
    place = 0
    while place >= 0:
        tag = _read_tag(path, content, place)
        yield tag
        if 0 < tag.next <= place:
            refuse_header(path, f"the tag at {place} goes back")
        place = tag.next or place + 16 + tag.size


def _follow_directory(path: Path, content: mmap.mmap, place: int) -> Iterator[_Tag]:
    directory = _read_tag(path, content, place)
    if directory.code != FIFF.FIFFT_DIR_ENTRY_STRUCT:
        refuse_header(path, f"there is no directory at {place}")
    entries = content[place + 16 : place + 16 + directory.size // 16 * 16]
    for kind, code, size, where in struct.iter_unpack(">iIii", entries):
        tag = _read_tag(path, content, where)
        if (tag.kind, tag.code, tag.size) != (kind, code, size):
            refuse_header(path, f"the tag at {where} is not what its directory says")
        yield tag


def _read_tag(path: Path, content: mmap.mmap, place: int) -> _Tag:
    _check_end(path, content, place, 16)
    tag = _Tag(*struct.unpack_from(">iIii", content, place), place)
    _check_end(path, content, place, 16 + tag.size)
    return tag


def _read_int(path: Path, content: mmap.mmap, tag: _Tag) -> int:
    if (tag.code, tag.size) != (FIFF.FIFFT_INT, 4):
        refuse_header(path, f"the tag at {tag.place} is no whole number")
    return struct.unpack_from(">i", content, tag.place + 16)[0]


def _check_end(path: Path, content: mmap.mmap, place: int, size: int) -> None:
    if place < 0 or size < 16:
        refuse_header(path, f"the tag at {place} has no size")
    check_end(path, len(content), place + size)


def _check_matrix(path: Path, content: mmap.mmap, tag: _Tag) -> None:
    """Refuse a dense matrix whose shape, stored behind it, claims more than its tag."""
    end = tag.place + 16 + tag.size
    item = ITEM_SIZES.get(tag.code & 0xFFFF, 0)
    n_axes = struct.unpack_from(">i", content, end - 4)[0] if tag.size >= 4 else 0
    if item and n_axes in (1, 2, 3) and tag.size >= 4 * (n_axes + 1):
        shape = struct.unpack_from(f">{n_axes}i", content, end - 4 * (n_axes + 1))
        if min(shape) >= 0 and item * math.prod(shape) <= tag.size - 4 * (n_axes + 1):
            return
    refuse_header(path, f"the matrix at {tag.place} has no shape")
