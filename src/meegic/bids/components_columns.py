"""The columns of a table of components: names, words, what the sidecar says."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from meegic.bids.tsv import MISSING
from meegic.labels.classes import VOCABULARIES

FIRST = (
    *("component", "type", "description", "status", "status_description"),
    *("annotate_method", "annotate_author", "ic_type"),
    *("model", "label_auto", "label_manual"),
)
LAST = ("variance_explained", "dipolarity", "annotate_date")
FIXED = (*FIRST, *LAST)
"""Every column that has no probability, in the order of the file."""

LABELS = ("ic_type", "label_auto", "label_manual")
"""The columns that hold a class."""

JUDGED = (
    *("status", "status_description", "annotate_method", "annotate_author"),
    *("ic_type", "label_auto", "label_manual", "annotate_date"),
)
"""The columns that a decision changes."""

METHODS = ("manual", *VOCABULARIES)

WORDS = tuple(dict.fromkeys(w for one in VOCABULARIES.values() for w in one.classes))
"""The classes of all networks."""

GOOD = frozenset(word for one in VOCABULARIES.values() for word in one.good)

FROM_MNE = {
    key: word
    for one in reversed(VOCABULARIES.values())  # of two, the first network's counts
    for key, word in reversed(list(zip(one.mne_keys, one.classes, strict=True)))
}
"""The class behind every word of MNE; of several the first."""

_MEANINGS = {
    "brain": "Activity of the brain.",
    "muscle artifact": "Activity of muscles.",
    "eye blink": "Blinks; from ICLabel any movement of the eyes.",
    "heart beat": "Activity of the heart.",
    "line noise": "Hum of the mains.",
    "channel noise": "Noise of one sensor.",
    "other": "None of the other classes, or several of them.",
    "brain/other": "Activity of the brain, or anything that is no known artifact.",
    "eye movement": "Movements of the eyes that are no blinks.",
}
_DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "component": {"Description": "Number of the component, from 0."},
    "type": {
        "Description": "Kind of the row.",
        "Levels": {"ica": "An independent component."},
    },
    "description": {"Description": "The kind of the row in words."},
    "status": {
        "Description": "Whether the component is to be kept.",
        "Levels": {"good": "It is kept.", "bad": "It is an artifact."},
    },
    "status_description": {"Description": "Who labelled the component, and as what."},
    "annotate_method": {
        "Description": "What the label in ic_type comes from.",
        "Levels": {
            "manual": "A person looked at the component.",
            "iclabel": "The network ICLabel.",
            "megnet": "The network MEGNet.",
        },
    },
    "annotate_author": {"Description": "Who made the annotation."},
    "ic_type": {"Description": "What the component is: label_manual, else label_auto."},
    "model": {"Description": "Which model of a mixture it belongs to, from 0."},
    "label_auto": {"Description": "What a network says that the component is."},
    "label_manual": {"Description": "What a person says that the component is."},
    "variance_explained": {
        "Description": "Share of the variance of the data, from 0 to 1."
    },
    "dipolarity": {
        "Description": "How well a plane explains the map: R squared, from 0 to 1."
    },
    "annotate_date": {
        "Description": "When the annotation was made, ISO 8601 with its time zone."
    },
}


def name_probability(word: str) -> str:
    """Name the column with the probabilities of a class.

    Examples
    --------
    >>> name_probability("brain/other")
    'prob_brain_other'
    """
    return f"prob_{word.replace(' ', '_').replace('/', '_')}"


PROBABILITIES = {name_probability(word): word for word in WORDS}
"""The class of every column of probabilities."""


def order_columns(columns: Iterable[str]) -> list[str]:
    """Give all columns in the order of a clean file; unknown ones come last, as is.

    Examples
    --------
    >>> order_columns(["mine", "prob_brain"])[-5:]
    ['prob_brain', 'variance_explained', 'dipolarity', 'annotate_date', 'mine']
    """
    given = list(columns)
    networks = (map(name_probability, one.classes) for one in VOCABULARIES.values())
    orders = [*map(list, networks), list(PROBABILITIES)]
    mine = {*given} & PROBABILITIES.keys()
    known = next(
        [name for name in one if name in mine] for one in orders if mine <= {*one}
    )
    foreign = [one for one in given if not is_own(one)]
    return [*FIRST, *known, *LAST, *foreign]


def is_own(column: str) -> bool:
    """Tell whether a column is one that we write.

    Examples
    --------
    >>> is_own("status"), is_own("prob_other"), is_own("comment")
    (True, True, False)
    """
    return column in FIXED or column in PROBABILITIES


def judge(word: str, bad: Collection[str] | None = None) -> str:
    """Give the status of a class: what nobody knows is good, a new word is bad.

    Examples
    --------
    >>> judge("eye blink"), judge("other"), judge("other", bad=["other"])
    ('bad', 'good', 'bad')
    """
    if bad is not None:
        return "bad" if word in bad else "good"
    return "good" if word in GOOD or word == MISSING else "bad"


def describe_columns(
    columns: Sequence[str], earlier: Mapping[str, Any], words: Iterable[str] = ()
) -> dict[str, Any]:
    """Describe every column of ours, beside all else that the sidecar says.

    Parameters
    ----------
    columns : sequence of str
        Those of the table.
    earlier : mapping
        What the sidecar says so far.
    words : iterable of str
        Labels beyond the vocabulary that the table may hold.

    Returns
    -------
    dict
        The new content of the sidecar.

    Examples
    --------
    >>> sidecar = describe_columns(["model"], {"mine": 1}, ["saccade"])
    >>> sidecar["model"]["Description"]
    'Which model of a mixture it belongs to, from 0.'
    >>> "saccade" in describe_columns(["ic_type"], {}, ["saccade"])["ic_type"]["Levels"]
    True
    """
    described = dict(earlier)
    own = dict.fromkeys([*list_words(earlier), *words])
    levels = {w: _MEANINGS.get(w, "A word of the annotators.") for w in (*WORDS, *own)}
    for one in columns:
        if one in PROBABILITIES:
            word = PROBABILITIES[one]
            described[one] = {"Description": f"Probability of the class {word!r}."}
        elif one in LABELS:
            described[one] = {**_DESCRIPTIONS[one], "Levels": levels}
        elif one in FIXED:
            described[one] = _DESCRIPTIONS[one]
    return described


def list_words(sidecar: Mapping[str, Any]) -> list[str]:
    """List the labels beyond the vocabulary that a sidecar allows.

    Examples
    --------
    >>> list_words({"ic_type": {"Levels": {"brain": "", "saccade": ""}}})
    ['saccade']
    """
    levels = [
        one["Levels"]
        for name in LABELS
        if isinstance(one := sidecar.get(name), Mapping)
        and isinstance(one.get("Levels"), Mapping)
    ]
    found = dict.fromkeys(word for one in levels for word in one)
    return [word for word in found if word not in WORDS]
