"""Rows of a table of components, from labels or from what stands on an ICA."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from meegic.base.errors import InputError
from meegic.bids.components_columns import FROM_MNE, judge, name_probability
from meegic.bids.components_table import DESCRIPTION, TYPE
from meegic.bids.tsv import MISSING
from meegic.labels.classes import VOCABULARIES

Rows = list[dict[str, str]]


def make_rows(
    ica: Any,
    labels: Any,
    *,
    author: str,
    bad: Collection[str] | None,
    date: str,
) -> Rows:
    """Make a row for every component of every model.

    Parameters
    ----------
    ica : mne.preprocessing.ICA | AmicaICA
        Fitted.
    labels : ComponentLabels | None
        ``None`` takes those that stand on the ICA.
    author : str
        Who ran the labelling.
    bad : collection of str | None
        Which labels make a component bad; ``None``: every artifact.
    date : str
        When that was.

    Returns
    -------
    list of dict
        By the names of the columns.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> ica = SimpleNamespace(n_components_=2, labels_={"eog": [1]})
    >>> rows = make_rows(ica, None, author="me", bad=None, date="2026-01-01")
    >>> [row["ic_type"] for row in rows]
    ['n/a', 'eye blink']
    """
    models = list_models(ica)
    sizes = [one.n_components_ for one in models]
    if labels is not None:
        _check_sizes(labels, sizes)
    rows: Rows = []
    for h, model in enumerate(models):
        own = find_scores(model) if labels is None else labels.for_model(h)
        hand = find_words(model, own) if labels is None else {}
        for k in range(model.n_components_):
            row = _make_row(k, h, own)
            if row["label_auto"] == MISSING and own is None:
                row["label_auto"] = hand.pop(k, MISSING)
            row["label_manual"] = hand.get(k, MISSING)
            rows.append(_finish(row, own, author=author, bad=bad, date=date))
    return rows


def list_models(ica: Any) -> list[Any]:
    """List the models of a decomposition, each like an ICA of MNE.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> len(list_models(SimpleNamespace(n_components_=2, labels_={})))
    1
    """
    if hasattr(ica, "get_mne_ica"):
        return [ica.get_mne_ica(h) for h in range(ica.n_models)]
    if not hasattr(ica, "n_components_") or not hasattr(ica, "labels_"):
        raise TypeError(
            "ica must be a fitted mne.preprocessing.ICA or AmicaICA, but got "
            f"{type(ica).__name__}."
        )
    return [ica]


def find_scores(ica: Any) -> Any:
    """Take the probabilities that a network has left on an ICA, or nothing.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> find_scores(SimpleNamespace(n_components_=2, labels_={})) is None
    True
    """
    shape = getattr(getattr(ica, "labels_scores_", None), "shape", ())
    for method, one in VOCABULARIES.items():
        if shape == (ica.n_components_, len(one.classes)):
            from meegic.labels.result import ComponentLabels

            return ComponentLabels(method, ica.labels_scores_)
    return None


def find_words(ica: Any, scores: Any) -> dict[int, str]:
    """Find the components that stand elsewhere on the ICA than a network says.

    A component under two keys is what the network says; without a network nobody can
    tell, and it is refused.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> find_words(SimpleNamespace(labels_={"ecg": [3], "ecg/ECG-MAG": [3]}), None)
    {3: 'heart beat'}
    """
    held: dict[int, list[str]] = {}
    for key, components in ica.labels_.items():
        for one in components if key in FROM_MNE else ():
            held.setdefault(int(one), []).append(key)
    if scores is None:
        for one, keys in held.items():
            if len(keys) > 1:
                raise InputError(
                    f"component {one} stands in ica.labels_ under {sorted(keys)}.",
                    hint="Take it out of all but one of them.",
                )
        return {one: FROM_MNE[keys[0]] for one, keys in held.items()}
    vocabulary = VOCABULARIES[scores.method]
    names = dict(zip(vocabulary.classes, vocabulary.mne_keys, strict=True))
    return {
        one: FROM_MNE[keys[0]]
        for one, keys in held.items()
        if len(keys) == 1 and keys[0] != names.get(scores.labels[one])
    }


def explain(method: str, label: str, author: str) -> dict[str, str]:
    """Give the cells that say who labelled a component, and as what.

    Examples
    --------
    >>> explain("manual", "brain", "me")["status_description"]
    'Manually-annotated: brain'
    """
    words = f"Auto-detected with {method}"
    if method == "manual":
        words = "Manually-annotated"
    return {
        "status_description": f"{words}: {label}",
        "annotate_method": method,
        "annotate_author": author,
        "ic_type": label,
    }


def _make_row(component: int, model: int, labels: Any) -> dict[str, str]:
    row = {
        "component": str(component), "type": TYPE, "description": DESCRIPTION,
        "status_description": MISSING, "annotate_method": MISSING,
        "annotate_author": MISSING, "model": str(model), "label_auto": MISSING,
        "annotate_date": MISSING,
    }  # fmt: skip
    if labels is None:
        return row
    row["label_auto"] = labels.labels[component]
    for k, word in enumerate(labels.classes):
        row[name_probability(word)] = _number(labels.proba[component, k])
    for name in ("variance_explained", "dipolarity"):
        values = getattr(labels, name)
        row[name] = MISSING if values is None else _number(values[component])
    return row


def _finish(
    row: dict[str, str],
    labels: Any,
    *,
    author: str,
    bad: Collection[str] | None,
    date: str,
) -> dict[str, str]:
    """Say what the outcome is, and where it comes from."""
    manual = row["label_manual"] != MISSING
    label = row["label_manual"] if manual else row["label_auto"]
    row["ic_type"], row["status"] = label, judge(label, bad)
    method = "manual" if manual else getattr(labels, "method", MISSING)
    if label != MISSING and method != MISSING:
        row |= explain(method, label, author) | {"annotate_date": date}
    return row


def _check_sizes(labels: Any, sizes: Sequence[int]) -> None:
    *models, n_components, _ = labels.proba.shape
    if [*(models or [1])] != [len(sizes)] or any(n_components != n for n in sizes):
        raise InputError(
            f"labels are for {labels.n_models} models of {n_components} components, "
            f"but ica has {len(sizes)} of {sizes[0]}.",
            hint="Label this decomposition, or pass the one that was labelled.",
        )


def _number(value: Any) -> str:
    return f"{float(value):.6g}" if math.isfinite(value) else MISSING
