"""Reading tables of components, ours and those of others, into one clean form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from meegic.base.checks import did_you_mean
from meegic.base.errors import FileFormatError, IntegrityError, OptionError
from meegic.base.files import read_json
from meegic.bids.components_columns import (
    FROM_MNE,
    LABELS,
    WORDS,
    is_own,
    list_words,
    order_columns,
)
from meegic.bids.journal import Decision, Journal, read_journal, replay_decisions
from meegic.bids.tsv import MISSING, Line, is_blank, read_lines, take_cell

SUFFIX = ".tsv"
TYPE, DESCRIPTION = "ica", "Independent Component"

_INDEX = re.compile(r"(Unnamed: \d+(\.\d+)*)?")  # what pandas makes of row numbers
_WHOLE = re.compile(r"([0-9]{1,9})(\.0*)?")
_ENTITY = "_components"


@dataclass(frozen=True, eq=False)
class ComponentsTable:
    """A table of components, and the decisions that led to it.

    Attributes
    ----------
    columns : tuple of str
        Ours in their order, then any others.
    rows : tuple of mapping of str to str
        One for each component and model, by the names of the columns.
    journal : Journal
        Every decision of every author.

    Examples
    --------
    >>> row = {"component": "0", "model": "0", "annotate_author": "me"}
    >>> table = ComponentsTable(tuple(row), (row,))
    >>> table["component"], table.annotators
    (('0',), ('me',))
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        rows = tuple(MappingProxyType(dict(one)) for one in self.rows)
        object.__setattr__(self, "rows", rows)

    def __getitem__(self, column: str) -> tuple[str, ...]:
        if column not in self.columns:
            raise OptionError(
                f"the table has no column {column!r}.",
                hint=did_you_mean(column, self.columns),
            )
        return tuple(one[column] for one in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        n = len(self.journal.decisions)
        return f"<ComponentsTable | {len(self)} components, {n} decisions>"

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision of every author, in the order in which they came."""
        return self.journal.decisions

    @property
    def stale(self) -> tuple[Decision, ...]:
        """Decisions on an earlier decomposition whose component is not there now."""
        return self.journal.stale

    @property
    def annotators(self) -> tuple[str, ...]:
        """Everyone who annotated a component."""
        known = {*self["annotate_author"], *(one.author for one in self.decisions)}
        return tuple(sorted(known - {MISSING}))

    def find(self, component: int, model: int = 0) -> Mapping[str, str] | None:
        """Give the row of a component, or nothing."""
        place = (str(model), str(component))
        found = [one for one in self.rows if (one["model"], one["component"]) == place]
        return found[0] if found else None

    def replay(self) -> "ComponentsTable":
        """Give the table with all decisions on this decomposition applied again."""
        rows = replay_decisions(self.rows, self.journal.current)
        return ComponentsTable(self.columns, tuple(rows), self.journal)


def read_components_tsv(fname: str | PathLike[str]) -> ComponentsTable:
    r"""Read which components are what, from our files and from those of others.

    Files of mne-icalabel and of mne-bids-pipeline are read too, as are files that were
    edited by hand: with empty cells, spaces, other line ends or missing rows.

    Parameters
    ----------
    fname : path
        The table, a ``.tsv``. Its sidecar and its journal are read where they are.

    Returns
    -------
    ComponentsTable
        In clean form: numbers without a row index, one vocabulary, no empty cell.

    Raises
    ------
    FileFormatError
        With the line and the column: a label that is not in the vocabulary, and not
        among the Levels of the sidecar; a component that is missing or there twice.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "sub-01_components.tsv")
    ...     _ = path.write_text("component\tic_type\n0\teog\n1\t\n")
    ...     read_components_tsv(path)["ic_type"]
    ('eye blink', 'n/a')
    """
    path = take_path(fname)
    lines = read_lines(path)
    allowed = list_words(read_sidecar(path))
    return parse_table(path, lines, allowed, read_journal(name_journal(path)))


def take_path(fname: Any) -> Path:
    """Take a path, or one of mne-bids, that is the name of a table.

    Examples
    --------
    >>> take_path("sub-01_components.tsv").name
    'sub-01_components.tsv'
    """
    path = Path(fspath(getattr(fname, "fpath", fname)))
    if path.suffix != SUFFIX:
        raise OptionError(
            f"fname must end in {SUFFIX}, but got {path.name!r}.",
            hint=f"Pass {path.with_suffix(SUFFIX).name!r}.",
        )
    return path


def name_sidecar(path: Path) -> Path:
    """Name the file that describes the columns.

    Examples
    --------
    >>> name_sidecar(Path("sub-01_components.tsv")).name
    'sub-01_components.json'
    """
    return path.with_suffix(".json")


def name_journal(path: Path) -> Path:
    """Name the file with the decisions.

    Examples
    --------
    >>> name_journal(Path("sub-01_components.tsv")).name
    'sub-01_decisions.jsonl'
    """
    return path.with_name(f"{path.stem.removesuffix(_ENTITY)}_decisions.jsonl")


def read_sidecar(path: Path) -> dict[str, Any]:
    """Read what the sidecar of a table says; nothing where there is none.

    Examples
    --------
    >>> read_sidecar(Path("nowhere.tsv"))
    {}
    """
    sidecar = name_sidecar(path)
    content = read_json(sidecar) if sidecar.exists() else {}
    if not isinstance(content, dict):
        raise IntegrityError(
            f"{sidecar} must hold an object that describes columns, but does not."
        )
    return content


def parse_table(
    path: Path, lines: Sequence[Line], allowed: Sequence[str], journal: Journal
) -> ComponentsTable:
    """Bring the lines of a table into clean form.

    Parameters
    ----------
    path : Path
        The file, for messages.
    lines : sequence of Line
        The header and the rest.
    allowed : sequence of str
        Labels beyond the vocabulary.
    journal : Journal
        The decisions on this table.

    Returns
    -------
    ComponentsTable
        The table.

    Examples
    --------
    >>> lines = [Line(1, ("component",), ""), Line(2, ("3",), "")]
    >>> parse_table(Path("a.tsv"), lines, [], Journal())["status"]
    ('good',)
    """
    places = find_columns(path, lines[0])
    rows: dict[tuple[str, str], dict[str, str]] = {}
    decided = {one.place: one.after.get("label_manual") for one in journal.current}
    for line in lines[1:]:
        if is_blank(line):
            continue
        if any(one.strip() for one in line.cells[len(lines[0].cells) :]):
            _refuse(path, line, f"it has more cells than the {len(places)} columns")
        row = parse_row(path, line, places, allowed)
        place = (row["model"], row["component"])
        _part_labels(row, decided.get((int(place[0]), int(place[1]))))
        if place in rows:
            _refuse(
                path, line, f"column 'component': {place[1]} of model {place[0]} is "
                "there twice",
            )  # fmt: skip
        rows[place] = row
    columns = order_columns(places)
    clean = tuple(
        {name: row.get(name, MISSING) for name in columns} for row in rows.values()
    )
    return ComponentsTable(tuple(columns), clean, journal)


def find_columns(path: Path, header: Line) -> dict[str, int]:
    """Find where each column stands; row numbers that pandas wrote are no columns.

    Examples
    --------
    >>> find_columns(Path("a.tsv"), Line(1, ("", "Unnamed: 0", "component"), ""))
    {'component': 2}
    """
    places: dict[str, int] = {}
    for place in range(len(header.cells)):
        cell = take_cell(header, place)
        name = cell if is_own(cell) else header.cells[place]
        if cell == MISSING or _INDEX.fullmatch(cell):
            continue
        if name in places:
            _refuse(path, header, f"column {name!r} is there twice")
        places[name] = place
    if "component" not in places:
        _refuse(path, header, f"there is no column 'component' in {list(places)}")
    return places


def parse_row(
    path: Path, line: Line, places: Mapping[str, int], allowed: Sequence[str] = ()
) -> dict[str, str]:
    """Bring one line into clean form.

    Examples
    --------
    >>> places = {"component": 0, "ic_type": 1, "annotate_method": 2}
    >>> row = parse_row(Path("a.tsv"), Line(2, ("7", "muscle", "manual"), ""), places)
    >>> row["ic_type"], row["status"]
    ('muscle artifact', 'good')
    """
    row = {}
    for name, place in places.items():
        own = is_own(name) or place >= len(line.cells)
        row[name] = take_cell(line, place) if own else line.cells[place]
    for name in ("component", "model"):
        cell = row.get(name, MISSING)
        if name == "model" and cell == MISSING:
            cell = "0"
        if not (whole := _WHOLE.fullmatch(cell)):
            _refuse(path, line, f"column {name!r} must be a number, but is {cell!r}")
        row[name] = str(int(whole[1]))
    for name in LABELS:
        row[name] = _take_word(path, line, name, row.get(name, MISSING), allowed)
    given = {"type": TYPE, "description": DESCRIPTION, "status": "good"}
    row |= {k: v for k, v in given.items() if row.get(k, MISSING) == MISSING}
    if row["status"] not in ("good", "bad"):
        _refuse(
            path, line, f"column 'status' must be good or bad, but is {row['status']!r}"
        )
    return row


def _part_labels(row: dict[str, str], decided: str | None) -> None:
    """Put the one label of others' files, or one edited by hand, where it belongs.

    ``decided`` is the label of a person that the journal knows: where ``label_manual``
    still says so and ``ic_type`` does not, it is the latter that somebody edited.
    """
    label = row["ic_type"]
    manual = row["label_manual"] == decided != MISSING
    if row["label_manual"] == MISSING and label != row["label_auto"]:
        known = row["label_auto"] != MISSING
        manual = known or row.get("annotate_method") == "manual"
        if not manual and label != MISSING:
            row["label_auto"] = label
    if manual and label != MISSING:
        row["label_manual"] = label
    manual = row["label_manual"] != MISSING
    row["ic_type"] = row["label_manual"] if manual else row["label_auto"]


def _take_word(
    path: Path, line: Line, name: str, cell: str, allowed: Sequence[str]
) -> str:
    if cell not in (MISSING, *WORDS, *allowed, *FROM_MNE):
        others = "others stand in the Levels of the sidecar"
        _refuse(
            path, line, f"column {name!r}: {cell!r} is not a known label",
            hint=did_you_mean(cell, (*WORDS, *allowed))
            or f"Known are {', '.join(WORDS)}; {others}.",
        )  # fmt: skip
    return cell if cell in (*WORDS, *allowed) else FROM_MNE.get(cell, cell)


def _refuse(
    path: Path, line: Line, why: str, hint: str = "Correct it there."
) -> NoReturn:
    raise FileFormatError(f"{path}, line {line.number}: {why}.", hint=hint)
