"""Arrays in npz files: equal content gives equal bytes, and nothing read is trusted.

What is read may come from elsewhere: no pickle, no compression, no member, shape or
dtype that is not expected, and no size that the file does not have.
"""

import hashlib
import io
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from meegic.base.checks import check_shape
from meegic.base.errors import InputError, IntegrityError
from meegic.base.files import blame, open_checked, write_bytes

_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][biufcSU][1-9]\d{0,8})', "
    rb"'fortran_order': False, 'shape': \(((?:\d{1,18}, ?)*\d{0,18})\), \} *\n",
    re.DOTALL,
)
_MAX_INDEX_BYTES = 1 << 20
_MAX_CODE_POINT = 0x10FFFF


class ArraySpec(NamedTuple):
    """What a stored array must be: a dtype's name or kind, lengths or ``None``.

    Examples
    --------
    >>> names = ArraySpec("U", (None,), optional=True)
    """

    dtype: str
    shape: tuple[int | None, ...]
    optional: bool = False


def write_arrays(
    path: Path | str, arrays: Mapping[str, np.ndarray], *, version: int | None = None
) -> str:
    """Write arrays of numbers or text as npz, as `write_bytes` does.

    Equal arrays give equal bytes, whatever their layout and byte order. ``version`` is
    the number of their schema; it is stored beside them, as ``schema``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_arrays(f"{folder}/a.npz", {"mean": np.zeros(3)})
    """
    if version is not None:
        arrays = {**arrays, "schema": np.array(version, dtype=np.int64)}
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            member = ZipInfo(f"{name}.npy")  # dated 1980, always
            with archive.open(member, "w", force_zip64=True) as stream:
                plain = _as_plain(name, arrays[name])
                np.lib.format.write_array(stream, plain, (1, 0), allow_pickle=False)
    return write_bytes(path, buffer.getvalue())


def read_arrays(
    path: Path | str,
    schema: Mapping[str, ArraySpec],
    *,
    version: int | None = None,
    digest: str | None = None,
    max_bytes: int = 8 << 30,
) -> dict[str, np.ndarray]:
    """Read a file of `write_arrays`, believing nothing that it says about itself.

    Nothing but the arrays of ``schema`` may be there, in no more than ``max_bytes``;
    ``digest`` is the sha256 that the file must have. With a ``version``, a file of
    another one is refused, whatever its arrays are.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_arrays(f"{folder}/a.npz", {"mean": np.zeros(3)})
    ...     read_arrays(f"{folder}/a.npz", {"mean": ArraySpec("float64", (None,))})
    {'mean': array([0., 0., 0.])}
    """
    with open_checked(Path(path), digest=digest, max_bytes=max_bytes) as stream:
        size = _check_index(stream)
        with ZipFile(stream) as archive:
            _check_members(archive.infolist(), size)
            files = set(archive.namelist())
            if version is not None:  # first, for another one may have other members
                _check_version(path, archive, version)
                files.remove("schema.npy")
            _check_names(files, schema)
            names = sorted(one.removesuffix(".npy") for one in files)
            return {name: _read(path, archive, name, schema[name]) for name in names}


def hash_arrays(*arrays: np.ndarray) -> str:
    """Compute one sha256 of dtypes, shapes and values, whatever the layout.

    Examples
    --------
    >>> data = np.arange(6.0).reshape(2, 3)
    >>> hash_arrays(data) == hash_arrays(np.asfortranarray(data))
    True
    """
    total = hashlib.sha256()
    for index, array in enumerate(arrays):
        plain = _as_plain(f"{index}", array)
        total.update(f"{plain.dtype.str}{plain.shape}".encode())
        total.update(plain.data)
    return total.hexdigest()


def _as_plain(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biufcSU" or isinstance(array, np.ma.MaskedArray):
        raise InputError(
            f"array {name!r} must be a plain array of numbers or text, but got "
            f"{type(array).__name__} of dtype {array.dtype}."
        )
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _check_index(stream: BinaryIO) -> int:
    # zipfile reads the list of members whole before it can be asked anything. The last
    # 22 bytes tell its length; from 2 GiB on, it is in a record 98 bytes from the end.
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - 98, 0))
    tail = stream.read()
    large = tail[40:48] if tail.startswith(b"PK\x06\x06") else b""
    length = max(int.from_bytes(one, "little") for one in (tail[-10:-6], large))
    if not tail[-22:].startswith(b"PK\x05\x06") or length > _MAX_INDEX_BYTES:
        raise ValueError("it does not end as an npz file does")
    return size


def _check_members(members: list[ZipInfo], size: int) -> None:
    if len({one.filename for one in members}) < len(members):
        raise ValueError("two of its members have one name")
    for one in members:
        if one.compress_type != ZIP_STORED or one.file_size != one.compress_size:
            raise ValueError(f"its member {one.filename!r} is compressed")
    if sum(one.file_size for one in members) > size:
        raise ValueError(f"its members claim more than its {size} bytes")


def _check_version(path: Path | str, archive: ZipFile, version: int) -> None:
    if "schema.npy" not in archive.namelist():
        raise ValueError("it does not state its schema")
    found = int(_read(path, archive, "schema", ArraySpec("int64", ())))
    if found != version:
        raise IntegrityError(
            f"{path} has schema {found}, but this meegic reads {version}.",
            hint="Read it with the version of meegic that wrote it.",
        )


def _check_names(files: set[str], schema: Mapping[str, ArraySpec]) -> None:
    known = {f"{name}.npy" for name in schema}
    required = {f"{name}.npy" for name, spec in schema.items() if not spec.optional}
    if not required <= files <= known:
        raise ValueError(
            f"its members must be {sorted(known)}, but are {sorted(files)}"
        )


def _read(path: Path | str, archive: ZipFile, name: str, spec: ArraySpec) -> np.ndarray:
    with blame(f"member {name!r} of {path}"):
        return _parse_array(archive.read(f"{name}.npy"), spec)


def _parse_array(content: bytes, spec: ArraySpec) -> np.ndarray:
    match = _NPY_HEADER.match(content)
    if match is None:
        raise ValueError("it does not begin as a plain array does")
    dtype = np.dtype(match[1].decode())
    shape = tuple(int(length) for length in re.findall(rb"\d+", match[2]))
    if match.end() + math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"it claims the shape {shape}, and its length is another")
    if spec.dtype not in (dtype.name, dtype.kind):
        raise ValueError(f"its dtype must be {spec.dtype}, but is {dtype}")
    if dtype.kind == "U":
        points = np.frombuffer(content, "<u4", offset=match.end())
        if points.max(initial=0) > _MAX_CODE_POINT:
            raise ValueError("it holds what is no character")
    array = np.ndarray(shape, dtype, content, match.end())
    check_shape("it", array, spec.shape)
    return array.copy()
