"""The demo's labels: what ICLabel calls each component, and what it is in truth."""

import warnings
from typing import NamedTuple

import numpy as np

from meegic.base.errors import DataWarning
from meegic.components.edge.amica_ica import AmicaICA
from meegic.components.scores import compute_agreement, match_components
from meegic.figures.labels import plot_labels
from meegic.figures.style import render_png
from meegic.labels.edge.labelling import label_components
from meegic.labels.result import ComponentLabels
from meegic.pipeline.demo.components import Prepared, prepare
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.report import Section, Table, embed

WORDS = {"eye movement": "eye blink"}
"""The word of ICLabel for a kind of source, where it is another one."""

MISSED = 10.0  # percent of the brain's sources that may have another label


class Named(NamedTuple):
    """What one model calls the sources, in their order.

    Attributes
    ----------
    components : array of int, shape (n_sources,)
        Which component each source is.
    labels : list of str
        Their labels.
    proba : array, shape (n_sources,)
        How probable these are.
    """

    components: np.ndarray
    labels: list[str]
    proba: np.ndarray


def show_labels(demo: Demo) -> None:
    """Label the components of each model, and compare with the sources they are."""
    if demo.ica is None:
        raise ValueError("the recording must be decomposed first.")
    ready, ica = prepare(demo), demo.ica
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        labels = label_components(ready.raw, ica, "iclabel")
    named = _name_sources(ica, labels, ready)
    _compare_artifacts(demo, named)
    _compare_brain(demo, named)
    png = render_png(lambda: plot_labels(labels), dpi=80)
    caption = "Every component: share of variance, label, probability of each class."
    said = dict.fromkeys(str(one.message) for one in caught)  # the same for each model
    section = Section(
        "Labels", _describe(list(said)), _tabulate(demo.truth.kinds, named),
        pictures=((caption, embed(png)),),
    )  # fmt: skip
    demo.sections.append(section)


def _name_sources(
    ica: AmicaICA, labels: ComponentLabels, ready: Prepared
) -> list[Named]:
    """Find each source of the condition that a model stands for, and its label."""
    posteriors = ica.predict_proba(ready.raw)[:, ready.used]
    agreement = compute_agreement(posteriors, ready.conditions[ready.used])
    named = []
    for h, condition in enumerate(agreement.conditions):
        own = labels.for_model(h)
        order = match_components(ready.mixing[condition], ica.model.maps[h]).order
        words = [own.labels[one] for one in order]
        named.append(Named(order, words, own.y_pred_proba[order]))
    return named


def _compare_artifacts(demo: Demo, named: list[Named]) -> None:
    kinds = demo.truth.kinds
    for kind in dict.fromkeys(one for one in kinds if one != "brain"):
        places = demo.truth.select(kind)
        word = WORDS.get(kind, kind)
        for h, one in enumerate(named):
            found = [one.labels[place] for place in places]
            demo.compare_equal(
                f"{kind.capitalize()}, model {h}: label",
                ", ".join([word] * len(places)),
                ", ".join(found),
            )


def _compare_brain(demo: Demo, named: list[Named]) -> None:
    places = demo.truth.select("brain")
    right = [one.labels[place] == "brain" for one in named for place in places]
    demo.compare_near(
        "Brain sources: labelled brain", 100.0, 100 * float(np.mean(right)), MISSED, "%"
    )


def _describe(said: list[str]) -> str:
    return (
        "ICLabel saw the components of each model in the samples that the model "
        "explains, without being told what they are. It has one class for eyes: eye "
        "movements count as 'eye blink'. In the table, each source has the component "
        "whose map is most like its own. meegic warns of this recording: "
        + " ".join(f"“{one}”" for one in said)
    )


def _tabulate(kinds: tuple[str, ...], named: list[Named]) -> Table:
    head = ["source"]
    for h in range(len(named)):
        head += [f"component, model {h}", f"label, model {h}"]
    rows, marks = [], []
    for place, kind in enumerate(kinds):
        row = [kind]
        for one in named:
            label = f"{one.labels[place]} ({one.proba[place]:.2f})"
            row += [f"{one.components[place]}", label]
        rows.append(tuple(row))
        right = all(one.labels[place] == WORDS.get(kind, kind) for one in named)
        marks.append("" if right else "warning")
    return Table(tuple(head), tuple(rows), tuple(marks))
