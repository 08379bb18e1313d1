"""Nested results as flat arrays in one npz file that can tell whether it is whole.

A result is a dataclass or a `NamedTuple` of arrays, numbers, text, records and further
results. Its annotations are the schema: dtypes, axes, and which axes have one length.
"""

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np

from meegic.base.errors import InputError
from meegic.base.files import blame
from meegic.base.npz import ArraySpec, hash_arrays, read_arrays, write_arrays
from meegic.base.record import Record, canonical_json

_T = TypeVar("_T")
_SCALARS = {bool: "bool", int: "int64", float: "float64", str: "U", Record: "U"}


def add_suffix(path: Path | str) -> Path:
    """Add ``.npz`` to a path that has not got it.

    Examples
    --------
    >>> add_suffix("model.v2").name, add_suffix("model.npz").name
    ('model.v2.npz', 'model.npz')
    """
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def write_flat(path: Path | str, value: Any, *, version: int) -> str:
    """Write a nested result and the digest of all that is in it, as `write_arrays`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from typing import NamedTuple
    >>> class Step(NamedTuple):
    ...     rate: float
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_flat(f"{folder}/a.npz", Step(0.1), version=1)
    """
    arrays = _flatten(value, "")
    for name, spec in _make_schema(type(value)).items():
        if name in arrays and spec.dtype not in (
            arrays[name].dtype.name,
            arrays[name].dtype.kind,
        ):
            raise InputError(
                f"array {name!r} must be of dtype {spec.dtype}, but is "
                f"{arrays[name].dtype}."
            )
    arrays["digest"] = np.array(_hash(arrays))
    return write_arrays(path, arrays, version=version)


def read_flat(path: Path | str, kind: type[_T], *, version: int) -> _T:
    """Read what `write_flat` wrote, believing nothing that is not as ``kind`` says.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from typing import NamedTuple
    >>> class Step(NamedTuple):
    ...     rate: float
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_flat(f"{folder}/a.npz", Step(0.1), version=1)
    ...     read_flat(f"{folder}/a.npz", Step, version=1)
    Step(rate=0.1)
    """
    schema = _make_schema(kind) | {"digest": ArraySpec("U", ())}
    arrays = read_arrays(path, schema, version=version)
    with blame(f"{path}"):
        stated, found = arrays.pop("digest").item(), _hash(arrays)
        if stated != found:
            raise ValueError(f"it states the sha256 {stated}, but has {found}")
        _check_lengths(kind, arrays)
        return _build(kind, arrays, "")


def _flatten(value: Any, prefix: str) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name in get_type_hints(type(value)):
        one = getattr(value, name)
        if _is_nested(type(one)):
            arrays |= _flatten(one, f"{prefix}{name}.")
        else:
            text = isinstance(one, Record)
            arrays[f"{prefix}{name}"] = np.asarray(
                canonical_json(one.to_dict()) if text else one
            )
    return arrays


def _build(kind: type[_T], arrays: Mapping[str, np.ndarray], prefix: str) -> _T:
    values = {}
    for name, hint in get_type_hints(kind).items():
        here = f"{prefix}{name}"
        variants = _variants(hint)
        if _is_nested(variants[0]):
            fitting = _pick(variants, arrays, f"{here}.")
            values[name] = _build(fitting, arrays, f"{here}.")
        elif here not in arrays:
            raise ValueError(f"it has no member {here!r}")
        elif hint is Record:
            values[name] = Record.from_dict(json.loads(arrays[here].item()))
        else:
            values[name] = arrays[here].item() if hint in _SCALARS else arrays[here]
    return kind(**values)


def _pick(
    variants: tuple[Any, ...], arrays: Mapping[str, np.ndarray], prefix: str
) -> Any:
    """Find which of several classes has exactly the arrays that are there."""
    there = {name for name in arrays if name.startswith(prefix)}
    fitting = [one for one in variants if there == set(_list_leaves(one, prefix))]
    return (fitting or variants)[0]


def _list_leaves(kind: type, prefix: str = "") -> dict[str, Any]:
    """List the annotation of every array, by its name; all variants together."""
    leaves: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        for variant in _variants(hint):
            here = f"{prefix}{name}"
            nested = _is_nested(variant)
            leaves |= _list_leaves(variant, f"{here}.") if nested else {here: variant}
    return leaves


def _make_schema(kind: type) -> dict[str, ArraySpec]:
    return {
        name: ArraySpec(_name_dtype(hint), _read_shape(hint), optional=True)
        for name, hint in _list_leaves(kind).items()
    }


def _check_lengths(kind: type, arrays: Mapping[str, np.ndarray]) -> None:
    lengths: dict[str, int] = {}
    for name, hint in _list_leaves(kind).items():
        if name not in arrays:
            continue
        for axis, length in zip(_list_axes(hint), arrays[name].shape, strict=True):
            if lengths.setdefault(axis, length) != length:
                raise ValueError(
                    f"{name} has {length} {axis}, and other arrays {lengths[axis]}"
                )


def _variants(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) or (hint,)


def _is_nested(kind: Any) -> bool:
    return kind is not Record and (is_dataclass(kind) or hasattr(kind, "_fields"))


def _name_dtype(hint: Any) -> str:
    if hint in _SCALARS:
        return _SCALARS[hint]
    kinds = {"bool": "bool", "int64": "int64", "uint8": "uint8"}
    return next((kinds[one] for one in kinds if one in hint.dtypes), "float64")


def _list_axes(hint: Any) -> list[str]:
    return [] if hint in _SCALARS else hint.dim_str.split()


def _read_shape(hint: Any) -> tuple[int | None, ...]:
    return tuple(int(one) if one.isdigit() else None for one in _list_axes(hint))


def _hash(arrays: Mapping[str, np.ndarray]) -> str:
    names = sorted(arrays)
    return hash_arrays(np.array(names), *(arrays[name] for name in names))
