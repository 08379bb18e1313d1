"""Writing what components are to BIDS tables, and changing one of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from meegic.base.alerts import warn_user
from meegic.base.checks import check_count, check_known, check_option
from meegic.base.errors import DataWarning, InputError
from meegic.base.files import make_folder, write_json, write_text
from meegic.base.locks import lock_folder
from meegic.bids.components_carry import carry_decisions, describe_decomposition
from meegic.bids.components_columns import (
    FIXED,
    JUDGED,
    METHODS,
    WORDS,
    describe_columns,
    is_own,
    judge,
    list_words,
    order_columns,
)
from meegic.bids.components_rows import Rows, explain, make_rows
from meegic.bids.components_table import (
    ComponentsTable,
    find_columns,
    name_journal,
    name_sidecar,
    parse_table,
    read_components_tsv,
    read_sidecar,
    take_path,
)
from meegic.bids.journal import (
    Decision,
    Decomposition,
    append_entries,
    read_journal,
)
from meegic.bids.tsv import MISSING, Line, is_blank, join_lines, put_cells, read_lines


def write_components_tsv(
    ica: Any,
    fname: str | PathLike[str],
    *,
    labels: Any = None,
    author: str = MISSING,
    bad_labels: Collection[str] | None = None,
) -> None:
    """Write what the components of an ICA are to a BIDS table with its sidecar.

    Where the table is there already, the labels of people and the columns of others
    are kept. After a new fit they go with the maps: a component with the map of an
    earlier one (an absolute correlation above 0.9, one to one) has its label; what
    finds no map is left out with a warning, and stays in the journal beside the table.

    Parameters
    ----------
    ica : mne.preprocessing.ICA | AmicaICA
        Fitted.
    fname : path
        The table, a ``.tsv``; folders are made.
    labels : ComponentLabels | None
        From `meegic.label_components`. ``None`` takes those that stand on the ICA.
    author : str
        Who ran the labelling.
    bad_labels : list of str | None
        Which labels make a component bad; ``None``: every artifact.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from types import SimpleNamespace
    >>> ica = SimpleNamespace(n_components_=2, labels_={"eog": [1]})
    >>> with TemporaryDirectory() as folder:
    ...     write_components_tsv(ica, f"{folder}/sub-01_components.tsv")
    ...     read_components_tsv(f"{folder}/sub-01_components.tsv")["status"]
    ('good', 'bad')
    """
    path = take_path(fname)
    author = _check_text("author", author)
    if bad_labels is not None:
        check_known("label", bad_labels, WORDS)
    rows = make_rows(ica, labels, author=author, bad=bad_labels, date=_now())
    found = describe_decomposition(ica)
    make_folder(path.parent)
    with lock_folder(path.parent):
        _write_rows(path, rows, found, bad_labels)


def _write_rows(
    path: Path,
    rows: Rows,
    found: Decomposition | None,
    bad_labels: Collection[str] | None,
) -> None:
    """Write rows, with what people said in the table that was there."""
    earlier = _read_earlier(path)
    rows, entries, n_stale = carry_decisions(rows, earlier, found, bad=bad_labels)
    if n_stale:
        warn_user(
            f"{n_stale} labels that people gave in {path.name} are for components that "
            "this decomposition has not; they are left out of the table.",
            DataWarning,
        )
    foreign = [one for one in earlier.columns if not is_own(one)]
    columns = order_columns(
        dict.fromkeys([*(k for row in rows for k in row), *foreign])
    )
    append_entries(name_journal(path), entries)
    _describe(path, columns)
    _write_clean(path, columns, rows)


def mark_component(
    component: int,
    fname: str | PathLike[str],
    method: str,
    label: str,
    author: str,
    strict_label: bool = True,
    *,
    model: int = 0,
) -> None:
    """Change what one component is in a table, and nothing else there.

    Marking twice is marking once. The decision goes to the journal first. The label of
    a person leaves that of the network and its probabilities as they are, and counts
    more than it.

    Parameters
    ----------
    component : int
        Its number, from 0.
    fname : path
        The table, as `write_components_tsv` writes it, or one of mne-icalabel.
    method : 'manual' | 'iclabel' | 'megnet'
        Where the label comes from.
    label : str
        The class.
    author : str
        Who says so.
    strict_label : bool
        Whether the class must be one of a network. Any other makes the component bad,
        and is added to the levels of the sidecar.
    model : int
        Which model of a mixture.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from types import SimpleNamespace
    >>> ica = SimpleNamespace(n_components_=2, labels_={})
    >>> with TemporaryDirectory() as folder:
    ...     write_components_tsv(ica, f"{folder}/sub-01_components.tsv")
    ...     mark_component(
    ...         1, f"{folder}/sub-01_components.tsv", "manual", "eye blink", "me"
    ...     )
    ...     read_components_tsv(f"{folder}/sub-01_components.tsv")["ic_type"]
    ('n/a', 'eye blink')
    """
    path = take_path(fname)
    check_count("component", component, low=0)
    check_count("model", model, low=0)
    check_option("method", method, METHODS)
    label, author = _check_text("label", label), _check_text("author", author)
    if strict_label:
        check_option("label", label, WORDS)
    if not path.exists():
        raise InputError(f"no such file: {path}.")
    with lock_folder(path.parent):
        _mark_component(path, (int(component), int(model)), method, label, author)


def _mark_component(
    path: Path, place: tuple[int, int], method: str, label: str, author: str
) -> None:
    """Read the table and its journal, and change both where the label is new."""
    component, model = place
    lines = read_lines(path)
    allowed = [*list_words(read_sidecar(path)), label]
    journal = name_journal(path)
    table = parse_table(path, lines, allowed, read_journal(journal))
    before = table.find(component, model)
    if before is None:
        raise InputError(
            f"{path} has no component {component} of model {model}; it has "
            f"{len(table)} rows."
        )
    after = _mark(before, method, label, author)
    if after != before:
        old, new = ({name: one[name] for name in JUDGED} for one in (before, after))
        date = after["annotate_date"]
        decision = Decision(date, author, model, component, old, new)
        append_entries(journal, [decision])
    elif not _is_foreign(lines[0], path):
        return
    _describe(path, table.columns, [label])
    _write_marked(path, lines, table, after)


def _mark(
    before: Mapping[str, str], method: str, label: str, author: str
) -> dict[str, str]:
    """Give the row with a new label; the same row when it says so already."""
    after = dict(before)
    after["label_manual" if method == "manual" else "label_auto"] = label
    if method == "manual" or before["label_manual"] == MISSING:
        after |= explain(method, label, author)
        after["status"] = judge(label)
    return after if after == before else after | {"annotate_date": _now()}


def _is_foreign(header: Line, path: Path) -> bool:
    """Tell whether a file lacks columns of ours, or has row numbers."""
    places = find_columns(path, header)
    return not places.keys() >= {*FIXED} or len(places) < len(header.cells)


def _write_marked(
    path: Path, lines: Sequence[Line], table: ComponentsTable, after: dict[str, str]
) -> None:
    """Write one row anew; the others byte for byte, unless the file is of others."""
    wanted = (after["model"], after["component"])
    if _is_foreign(lines[0], path):
        rows = [
            after if (one["model"], one["component"]) == wanted else one
            for one in table.rows
        ]
        _write_clean(path, table.columns, rows)
    else:
        places = find_columns(path, lines[0])
        cells = {places[name]: after[name] for name in JUDGED}
        filled = [k for k, line in enumerate(lines) if not is_blank(line)][1:]
        found = [(one["model"], one["component"]) for one in table.rows].index(wanted)
        changed = list(lines)
        changed[filled[found]] = put_cells(lines[filled[found]], cells)
        write_text(path, join_lines(changed))


def _write_clean(
    path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]
) -> None:
    lines = [Line(1, tuple(columns), "\n")]
    for number, row in enumerate(rows, 2):
        cells = tuple(row.get(name, MISSING) for name in columns)
        lines.append(Line(number, cells, "\n"))
    write_text(path, join_lines(lines))


def _describe(path: Path, columns: Sequence[str], words: Sequence[str] = ()) -> None:
    """Write the sidecar before the table, unless it says all of it already."""
    earlier = read_sidecar(path)
    content = describe_columns(columns, earlier, [w for w in words if w not in WORDS])
    if content != earlier:
        write_json(name_sidecar(path), content)


def _read_earlier(path: Path) -> ComponentsTable:
    if path.exists():
        return read_components_tsv(path)
    return ComponentsTable((), (), read_journal(name_journal(path)))


def _check_text(name: str, text: str) -> str:
    """Refuse what a cell cannot hold."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be text, but got {text!r}.")
    if not text.strip() or any(one in text for one in "\t\n\r"):
        raise InputError(
            f"{name} must be text without tabs and line ends, but got {text!r}."
        )
    return text.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
