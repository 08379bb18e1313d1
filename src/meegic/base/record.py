"""Provenance: what a result was computed with, and from what."""

import json
import math
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any

from meegic.base.checks import check_count
from meegic.base.errors import IntegrityError, OptionError

_PACKAGES = ("meegic", "numpy", "scipy", "jax", "jaxlib", "mne")


@dataclass(frozen=True)
class Record:
    """What it takes to compute a result again; it names no person, host or folder.

    Nothing in it can be changed: mappings are read-only, lists are tuples.

    Attributes
    ----------
    versions : mapping of str to str
        Versions of meegic, Python and the packages that compute.
    platform : str
        Operating system and processor family.
    options : mapping
        All options.
    seed : int | None
        The seed, where there was randomness.
    input_digest : str | None
        The sha256 of the data.

    Examples
    --------
    >>> record = make_record({"n_models": 2}, seed=7)
    >>> Record.from_dict(record.to_dict()) == record
    True
    """

    versions: Mapping[str, str]
    platform: str
    options: Mapping[str, Any]
    seed: int | None
    input_digest: str | None

    def __post_init__(self) -> None:
        for name in ("versions", "options"):
            object.__setattr__(self, name, _freeze(getattr(self, name)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied and sent to a worker, which its mappings cannot be."""
        return Record.from_dict, (self.to_dict(),)

    def __hash__(self) -> int:
        """Let it be a static field of a result that JAX traces."""
        return hash(canonical_json(self.to_dict()))

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        return _to_plain("record", content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Record":
        """Take back what `to_dict` gave."""
        names = {field.name for field in fields(cls)}
        if set(content) != names:
            raise IntegrityError(
                f"a record must have the fields {sorted(names)}, but got "
                f"{sorted(content)}."
            )
        return cls(**content)


def make_record(
    options: Mapping[str, Any],
    *,
    seed: int | None = None,
    input_digest: str | None = None,
) -> Record:
    """Record the options, and the versions that are installed here.

    Parameters
    ----------
    options : mapping
        Every option that changes the result. No absolute path, for a record is shared.
    seed : int | None
        The seed, as `draw_seed` gave it.
    input_digest : str | None
        The sha256 of the data.

    Returns
    -------
    Record
        The record.

    Examples
    --------
    >>> make_record({"method": "iclabel"}).options["method"]
    'iclabel'
    """
    plain = json.loads(canonical_json(options))
    _refuse_absolute_paths("options", plain)
    return Record(
        versions={"python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        platform=f"{platform.system()} {platform.machine()}",
        options=plain,
        seed=seed,
        input_digest=input_digest,
    )


def canonical_json(options: Any, *, name: str = "options") -> str:
    """Give the one JSON text of equal options, to be hashed.

    Parameters
    ----------
    options : object
        Mappings with text as keys, lists, tuples, text, finite numbers, booleans, None.
    name : str
        How the caller knows it.

    Returns
    -------
    str
        The text: keys sorted, nothing but ASCII, no spaces.

    Examples
    --------
    >>> canonical_json({"b": 0.1, "a": (1, None)})
    '{"a":[1,null],"b":0.1}'
    """
    plain = _to_plain(name, options)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def draw_seed(random_state: Any, *, name: str = "random_state") -> int:
    """Take the caller's seed, or draw one, so that it can be recorded.

    Parameters
    ----------
    random_state : int | None
        A whole number below 2**32; ``None`` draws one from the system.
    name : str
        How the caller knows it.

    Returns
    -------
    int
        The seed. JAX would take a larger one modulo 2**32 without saying so.

    Examples
    --------
    >>> draw_seed(7)
    7
    """
    if random_state is None:
        return secrets.randbits(32)
    check_count(name, random_state, low=0, high=2**32 - 1)
    return int(random_state)


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({key: _freeze(one) for key, one in value.items()})
    return tuple(map(_freeze, value)) if isinstance(value, (list, tuple)) else value


def _to_plain(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise OptionError(f"{name} must have text as keys, but got {key!r}.")
        return {key: _to_plain(f"{name}.{key}", one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(f"{name}[{i}]", one) for i, one in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(f"{name} must be finite, but got {value!r}.")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise OptionError(
        f"{name} must be what JSON can hold, but got {type(value).__name__}.",
        hint="Convert arrays to lists, and NumPy's numbers by int() or float().",
    )


def _refuse_absolute_paths(name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            _refuse_absolute_paths(f"{name}.{key}", one)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _refuse_absolute_paths(f"{name}[{index}]", one)
    elif isinstance(value, str) and (
        value.startswith("~")
        or PurePosixPath(value).is_absolute()
        or PureWindowsPath(value).is_absolute()
    ):
        raise OptionError(
            f"{name} must not be an absolute path, but got {value!r}.",
            hint="A record is shared: give the path relative to the data set.",
        )
