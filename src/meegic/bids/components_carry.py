"""Carrying what people said of components to a table that is written anew."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meegic.bids.components_columns import JUDGED, is_own, judge
from meegic.bids.components_rows import Rows, list_models
from meegic.bids.components_table import ComponentsTable
from meegic.bids.journal import Decision, Decomposition, Entry
from meegic.bids.tsv import MISSING

SAME_MAP = 0.9
"""Absolute correlation above which two maps are of one component."""

_DIGITS = 4  # of the maps in the journal

Place = tuple[int, int]


def carry_decisions(
    rows: Rows,
    earlier: ComponentsTable,
    found: Decomposition | None,
    *,
    bad: Collection[str] | None = None,
) -> tuple[Rows, list[Entry], int]:
    """Bring what people said, and foreign columns, from an earlier table to new rows.

    Parameters
    ----------
    rows : list of dict
        Of the decomposition as it is now.
    earlier : ComponentsTable
        The table that will be replaced; it may be empty.
    found : Decomposition | None
        What the decomposition is now.
    bad : collection of str | None
        Which labels make a component bad.

    Returns
    -------
    rows : list of dict
        With all that could be carried.
    entries : list
        What is to be added to the journal.
    n_stale : int
        How many labels of people found no component.

    Examples
    --------
    >>> empty = ComponentsTable((), ())
    >>> carry_decisions([{"model": "0", "component": "0"}], empty, None)
    ([{'model': '0', 'component': '0'}], [], 0)
    """
    known = earlier.journal.decomposition
    same = known == found
    new = {_place(row): dict(row) for row in rows}
    targets = match_places(known, found)
    carried: list[Entry] = []
    n_stale = 0
    for old in earlier.rows:
        place = _place(old)
        target = place if same else targets.get(place)
        if target not in new:
            n_stale += old["label_manual"] != MISSING
            continue
        row = new[target]
        row |= {k: v for k, v in old.items() if not is_own(k)}
        if old["label_manual"] != MISSING:
            decision = _redecide(row, old, bad)
            row |= decision.after
            carried.append(replace(decision, carried_from=place[1]))
    if same:
        return list(new.values()), [], n_stale
    entries = [*_recover(earlier), *([found] if found else []), *carried]
    return list(new.values()), entries, n_stale


def describe_decomposition(ica: Any) -> Decomposition | None:
    """Describe the maps by which decisions find their component after a new fit.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> describe_decomposition(SimpleNamespace(n_components_=2, labels_={})) is None
    True
    """
    models = list_models(ica)
    if not all(hasattr(one, "get_components") for one in models):
        return None
    maps = (one.get_components().T.tolist() for one in models)
    rounded = tuple(tuple(_round(row) for row in one) for one in maps)
    return Decomposition(tuple(models[0].ch_names), rounded)


def match_places(
    known: Decomposition | None, found: Decomposition | None
) -> dict[Place, Place]:
    """Find which component of an earlier decomposition is which one now.

    Examples
    --------
    >>> maps = (((1.0, 0.2, 0.1), (0.1, 0.3, 1.0)),)
    >>> known = Decomposition(("Fz", "Cz", "Pz"), maps)
    >>> found = Decomposition(("Fz", "Cz", "Pz"), (maps[0][::-1],))
    >>> match_places(known, found)
    {(0, 0): (0, 1), (0, 1): (0, 0)}
    """
    if known is None or found is None:
        return {}
    shared = [one for one in known.channels if one in found.channels]
    if len(shared) < 3:  # no correlation tells anything then
        return {}
    pairs = {}
    for h, (old, new) in enumerate(zip(known.maps, found.maps, strict=False)):
        old = _pick(old, known.channels, shared)
        new = _pick(new, found.channels, shared)
        pairs |= {(h, a): (h, b) for a, b in _match(old, new)}
    return pairs


def _redecide(
    row: Mapping[str, str], old: Mapping[str, str], bad: Collection[str] | None
) -> Decision:
    """Make of a person's label of an earlier row the same decision on a new one."""
    after = {name: old[name] for name in JUDGED} | {
        "label_auto": row["label_auto"], "ic_type": old["label_manual"],
        "status": judge(old["label_manual"], bad),
    }  # fmt: skip
    before = {name: row[name] for name in JUDGED}
    author, date = old["annotate_author"], old["annotate_date"]
    return Decision(date, author, *_place(row), before, after)


def _recover(earlier: ComponentsTable) -> list[Entry]:
    """Make decisions of what people wrote into the table without the journal."""
    last = {one.place: one.after.get("label_manual") for one in earlier.journal.current}
    return [
        Decision(
            row["annotate_date"], row["annotate_author"], *_place(row), {},
            {name: row[name] for name in JUDGED},
        )
        for row in earlier.rows
        if row["label_manual"] not in (MISSING, last.get(_place(row)))
    ]  # fmt: skip


def _place(row: Mapping[str, str]) -> Place:
    return int(row["model"]), int(row["component"])


def _pick(maps: Any, channels: Sequence[str], shared: Sequence[str]) -> Any:
    import numpy as np  # what marks a component needs none of it

    return np.array(maps)[:, [channels.index(one) for one in shared]].T


def _match(old: Any, new: Any) -> list[Place]:
    from meegic.components.scores import match_components

    if old.shape[1] > new.shape[1]:
        return [(a, b) for b, a in _match(new, old)]
    match = match_components(old, new)
    return [
        (a, int(b))
        for a, b in enumerate(match.order)
        if match.correlations[a] > SAME_MAP
    ]


def _round(values: Sequence[float]) -> tuple[float, ...]:
    largest = max(map(abs, values)) or 1.0
    return tuple(round(one / largest, _DIGITS) for one in values)
