"""The journal of decisions on components: every one of every author, line by line.

It stands beside the table. A line is added and flushed before the table changes, so
that no decision is lost; a last line that is only half there is ignored.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from meegic.base.errors import IntegrityError
from meegic.base.files import append_bytes, blame, open_checked

SCHEMA = 1
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Decision:
    """One change of one row, and who made it.

    Attributes
    ----------
    time : str
        ISO 8601 with its time zone.
    author : str
        Who decided.
    model, component : int
        The row.
    before, after : mapping of str to str
        The cells that say what the component is, by the names of their columns.
    carried_from : int | None
        The component of an earlier decomposition that it was decided for, if any.
    """

    time: str
    author: str
    model: int
    component: int
    before: Mapping[str, str] = field(hash=False)
    after: Mapping[str, str] = field(hash=False)
    carried_from: int | None = None

    def __post_init__(self) -> None:
        for name in ("before", "after"):
            cells = MappingProxyType(dict(getattr(self, name)))
            object.__setattr__(self, name, cells)

    @property
    def place(self) -> tuple[int, int]:
        """The model and the component."""
        return self.model, self.component

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        content = {**vars(self), "before": {**self.before}, "after": {**self.after}}
        if self.carried_from is None:
            del content["carried_from"]
        return content


@dataclass(frozen=True)
class Decomposition:
    """The maps that decisions are about, so that they are found again after a new fit.

    Attributes
    ----------
    channels : tuple of str
        Names of the channels.
    maps : tuple of tuple of tuple of float
        For every model and component its map over the channels; the largest value is 1.
    """

    channels: tuple[str, ...]
    maps: tuple[tuple[tuple[float, ...], ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {"schema": SCHEMA, "channels": self.channels, "maps": self.maps}


Entry = Decision | Decomposition


@dataclass(frozen=True)
class Journal:
    """All that was decided.

    Attributes
    ----------
    entries : tuple
        Decisions and decompositions in the order in which they came.
    """

    entries: tuple[Entry, ...] = ()

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision, on this decomposition and on earlier ones."""
        return tuple(one for one in self.entries if isinstance(one, Decision))

    @property
    def decomposition(self) -> Decomposition | None:
        """The last decomposition."""
        found = [one for one in self.entries if isinstance(one, Decomposition)]
        return found[-1] if found else None

    @property
    def current(self) -> tuple[Decision, ...]:
        """The decisions on the last decomposition."""
        return tuple(self._split()[1])

    @property
    def stale(self) -> tuple[Decision, ...]:
        """The last decisions on the decomposition before, of components that are gone.

        What was carried to a component of the last decomposition is not among them.
        """
        earlier, current = self._split()
        carried = {(one.model, one.carried_from) for one in current}
        last = {one.place: one for one in earlier}
        return tuple(one for place, one in last.items() if place not in carried)

    def _split(self) -> tuple[list[Decision], list[Decision]]:
        """Part the decisions on the decomposition before from those on the last."""
        earlier: list[Decision] = []
        current: list[Decision] = []
        for one in self.entries:
            if isinstance(one, Decomposition):
                earlier, current = current, []
            else:
                current.append(one)
        return earlier, current


def read_journal(path: Path) -> Journal:
    """Read a journal; none is empty.

    Examples
    --------
    >>> read_journal(Path("nowhere.jsonl")).decisions
    ()
    """
    *lines, rest = _read(path).split(b"\n")
    entries = [_parse(f"line {k} of {path}", one) for k, one in enumerate(lines, 1)]
    if _is_whole(rest):
        entries.append(_parse(f"the last line of {path}", rest))
    return Journal(tuple(entries))


def append_entries(path: Path, entries: Sequence[Entry]) -> None:
    """Add entries to a journal, and see them on the disk.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> one = Decision("2026-01-01T12:00:00+00:00", "me", 0, 3, {}, {"status": "bad"})
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.jsonl")
    ...     append_entries(path, [one])
    ...     read_journal(path).decisions == (one,)
    True
    """
    if not entries:
        return
    lines = [json.dumps(one.to_dict(), ensure_ascii=False) for one in entries]
    content = "".join(f"{one}\n" for one in lines).encode()
    *_, rest = _read(path).split(b"\n")
    if _is_whole(rest):
        append_bytes(path, b"\n" + content)
    else:  # nothing, or half a line of a writer that was killed
        append_bytes(path, content, cut=len(rest))


def replay_decisions(
    rows: Iterable[Mapping[str, str]], decisions: Iterable[Decision]
) -> list[dict[str, str]]:
    """Apply decisions to rows, one after another.

    Examples
    --------
    >>> row = {"model": "0", "component": "3", "status": "good"}
    >>> one = Decision("2026-01-01T12:00:00+00:00", "me", 0, 3, {}, {"status": "bad"})
    >>> replay_decisions([row], [one])
    [{'model': '0', 'component': '3', 'status': 'bad'}]
    """
    table = {(int(one["model"]), int(one["component"])): dict(one) for one in rows}
    for decision in decisions:
        if decision.place in table:
            table[decision.place] |= decision.after
    return list(table.values())


def _read(path: Path) -> bytes:
    if not path.exists():
        return b""
    with open_checked(path, digest=None, max_bytes=MAX_BYTES) as stream:
        return stream.read()


def _is_whole(line: bytes) -> bool:
    """Tell whether a line that has no end is complete all the same."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _parse(what: str, line: bytes) -> Entry:
    with blame(what):
        content = json.loads(line.decode())
        if not isinstance(content, dict):
            raise ValueError("it is no object")
    schema = content.pop("schema", SCHEMA)
    if schema != SCHEMA:
        raise IntegrityError(
            f"{what} has schema {schema}, but this meegic reads {SCHEMA}.",
            hint="Read it with the version of meegic that wrote it.",
        )
    with blame(what):
        if "maps" in content:
            return _parse_maps(**content)
        return _check_decision(Decision(**content))


def _parse_maps(channels: list[str], maps: list[list[list[float]]]) -> Decomposition:
    names = tuple(str(one) for one in channels)
    frozen = tuple(tuple(tuple(map(float, row)) for row in one) for one in maps)
    if any(len(row) != len(names) for one in frozen for row in one):
        raise ValueError(f"its maps must have {len(names)} values each")
    return Decomposition(names, frozen)


def _check_decision(one: Decision) -> Decision:
    texts = [one.time, one.author, *one.before.values(), *one.after.values()]
    numbers = [one.model, one.component, one.carried_from or 0]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("time, author and cells must be text")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise TypeError("model and component must be whole numbers")
    return one
