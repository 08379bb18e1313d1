"""The result of labelling: how probable each class is for every component."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import entr

from meegic.base.alerts import warn_user
from meegic.base.checks import (
    check_count,
    check_known,
    check_option,
    check_range,
    check_shape,
    did_you_mean,
)
from meegic.base.errors import DataWarning, InputError
from meegic.base.optional import import_optional
from meegic.base.record import Record
from meegic.labels.classes import get_vocabulary

UNLABELLED = "n/a"
"""The word for a component that the network could not judge."""

WINDOWS = ("window_proba", "window_weights")
"""What MEGNet adds to a result."""
_PARTS = ("variance_explained", "dipolarity", "maps")
_ARRAYS = ("proba", *WINDOWS, *_PARTS)

_SUM_TOLERANCE = 1e-5  # of a row of probabilities, in float32
_KEYS = ("y_pred_proba", "labels")
_KEEP = "keep-brain-other"
_MINIMA = {"eeglab": {"muscle artifact": 0.9, "eye blink": 0.9}}
_BRAIN = {"brain-0.69": 0.69, "brain-0.7": 0.7, "brain-0.8": 0.8}


class Vote(NamedTuple):
    """What one labeller or rule says of one component.

    Attributes
    ----------
    label : str | None
        Its word, or nothing when it finds nothing.
    score : float
        Its own measure: a probability, a correlation, a share of power.
    """

    label: str | None
    score: float


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class ComponentLabels(Mapping[str, Any]):
    """What every component is, with all that the network said.

    It is also a mapping with the keys ``"labels"`` and ``"y_pred_proba"``, so that code
    which was written for mne-icalabel works with it. Components of several models have
    one more axis in front, and lists in lists.

    Attributes
    ----------
    method : str
        The network: ``'iclabel'`` or ``'megnet'``.
    proba : array, shape ([n_models,] n_components, n_classes)
        Probabilities in the order of ``classes``; NaN for a component that could not be
        judged.
    record : Record | None
        Versions, options, checksum of the weights, digest of what the network saw.
    window_proba : array, shape ([n_models,] n_components, n_windows, n_classes) | None
        What MEGNet said of every window.
    window_weights : array, shape ([n_models,] n_windows) | None
        How much each window counts.
    variance_explained : array, shape ([n_models,] n_components) | None
        Share of the variance of the data.
    dipolarity : array, shape ([n_models,] n_components) | None
        As `meegic.score_dipolarity` gives it, where somebody has put it here.
    maps : array, shape ([n_models,] n_channels, n_components) | None
        How components look at the sensors, in V or T per unit of the source.
    info : mne.Info | None
        Of the channels of the maps.
    votes : tuple of mapping of str to Vote
        For every component who said what, where `meegic.combine_labels` asked.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1, 0.0, 0.0], [0.2, 0.7, 0.1, 0.0]])
    >>> labels = ComponentLabels("megnet", proba)
    >>> labels["labels"], labels["y_pred_proba"]
    (['brain/other', 'eye blink'], array([0.9, 0.7], dtype=float32))
    >>> labels.exclude("keep-brain-other")
    [1]
    """

    method: str
    proba: Float[np.ndarray, "*models components classes"]
    record: Record | None = None
    window_proba: Float[np.ndarray, "*models components windows classes"] | None = None
    window_weights: Float[np.ndarray, "*models windows"] | None = None
    variance_explained: Float[np.ndarray, "*models components"] | None = None
    dipolarity: Float[np.ndarray, "*models components"] | None = None
    maps: Float[np.ndarray, "*models channels components"] | None = None
    info: Any = None
    votes: tuple[Mapping[str, Vote], ...] = ()

    def __post_init__(self) -> None:
        proba = np.array(self.proba, dtype=np.float32)
        n_classes = len(self.classes)
        check_shape("proba", proba, (*(None,) * (max(proba.ndim, 2) - 1), n_classes))
        _check_probabilities(proba)
        object.__setattr__(self, "proba", proba)
        for name in _ARRAYS:
            if (one := getattr(self, name)) is not None:
                frozen = np.asarray(one).view()
                frozen.setflags(write=False)
                object.__setattr__(self, name, frozen)
        votes = tuple(MappingProxyType(dict(one)) for one in self.votes)
        object.__setattr__(self, "votes", votes)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied and sent to a worker, which its mappings cannot be."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        content["votes"] = tuple(map(dict, self.votes))
        return partial(ComponentLabels, **content), ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, key: str) -> Any:
        if key not in _KEYS:  # a mapping says so by this error
            raise KeyError(f"{key!r} is none of {_KEYS}. {did_you_mean(key, _KEYS)}")
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in _KEYS

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)

    def __repr__(self) -> str:
        counts = {one: int((self._argmax == k).sum()) for k, one in self._numbered}
        words = ", ".join(f"{n} {one}" for one, n in counts.items() if n)
        models = f"{self.n_models} models, " if self.n_models > 1 else ""
        return f"<ComponentLabels | {self.method}, {models}{words or 'no labels'}>"

    @property
    def classes(self) -> tuple[str, ...]:
        """The words of the network, in the order of its probabilities."""
        return get_vocabulary(self.method).classes

    @property
    def n_models(self) -> int:
        """How many models the components come from."""
        return len(self.proba) if self.proba.ndim == 3 else 1

    @property
    def labels(self) -> list[Any]:
        """The most probable class of every component; ``'n/a'`` where none is known."""
        words = np.array([*self.classes, UNLABELLED], dtype=object)
        return words[self._argmax].tolist()

    @property
    def y_pred_proba(self) -> Float[np.ndarray, "*models components"]:
        """How probable the label of every component is."""
        return self.proba.max(axis=-1)  # NaN stays

    @property
    def entropy(self) -> Float[np.ndarray, "*models components"]:
        """How undecided the network is, in nats: 0 when one class has all."""
        return entr(self.proba).sum(axis=-1)

    @property
    def window_spread(self) -> Float[np.ndarray, " components"]:
        """How far windows differ in the probability of the label: 0 is not at all."""
        self._check_one_model()
        chosen = self._windows()[np.arange(len(self.proba)), :, self._argmax]
        return chosen.max(axis=1) - chosen.min(axis=1)

    @property
    def window_dissent(self) -> Float[np.ndarray, " components"]:
        """Weight of the windows with another label, as a share of all weight."""
        self._check_one_model()
        differs = self._windows().argmax(axis=-1) != self._argmax[:, None]
        weights = np.asarray(self.window_weights)
        return differs @ (weights / weights.sum())

    def for_model(self, model: int) -> "ComponentLabels":
        """Give the labels of one model."""
        check_count("model", model, low=0, high=self.n_models - 1)
        if self.proba.ndim == 2:
            return self
        held = {name: getattr(self, name) for name in _ARRAYS}
        own = {name: one if one is None else one[model] for name, one in held.items()}
        return replace(self, **own)

    def select(self, label: str, min_proba: float = 0.0) -> list[int]:
        """Give the components with a label that is at least so probable."""
        self._check_one_model()
        check_known("label", [label], self.classes)
        check_range("min_proba", min_proba, low=0.0, high=1.0)
        chosen = self._argmax == self.classes.index(label)
        return np.flatnonzero(chosen & (self.y_pred_proba >= min_proba)).tolist()

    def exclude(
        self, rule: str | Mapping[str, float], *, allow_all: bool = False
    ) -> list[int]:
        """Give the components that a rule would remove.

        Parameters
        ----------
        rule : str | mapping of str to float
            ``'eeglab'``: muscle or eye with at least 0.9. ``'keep-brain-other'``: all
            whose label is an artifact. ``'brain-0.69'``, ``'brain-0.7'``,
            ``'brain-0.8'``: all whose probability of brain is below. Or for some
            classes the probability from which on a component goes.
        allow_all : bool
            Whether it may be every one of them.

        Returns
        -------
        list of int
            The components. Those without a label stay.
        """
        self._check_one_model()
        known = np.isfinite(self.proba[:, 0])
        out = np.flatnonzero(known & self._is_out(rule)).tolist()
        if len(out) == len(known) and not allow_all:
            raise InputError(
                f"rule {rule!r} removes all {len(out)} components: nothing would be "
                "kept.",
                hint="Choose another rule, or pass allow_all=True.",
            )
        if known.any() and not (self._argmax[known] == 0).any():
            warn_user(
                f"none of the components is labelled {self.classes[0]!r}: look at the "
                "decomposition before you remove any.",
                DataWarning,
            )
        return out

    def calibrate(self, function: Callable[[np.ndarray], Any]) -> "ComponentLabels":
        """Give labels whose probabilities went through a calibration.

        Parameters
        ----------
        function : callable
            Takes probabilities (n_components, n_classes), and gives others whose rows
            sum to one: a temperature, an isotonic regression.

        Returns
        -------
        ComponentLabels
            With the new probabilities; without this call none is calibrated.
        """
        flat = self.proba.reshape(-1, self.proba.shape[-1])
        known = np.isfinite(flat[:, 0])
        found = np.full_like(flat, np.nan)
        given = np.asarray(function(flat[known].copy()))
        check_shape("what the calibration gives", given, flat[known].shape)
        found[known] = given
        return replace(self, proba=found.reshape(self.proba.shape))

    def to_frame(self) -> Any:
        """Give a pandas DataFrame with a row for each component."""
        pandas = import_optional("pandas", extra="bids")
        n_components = self.proba.shape[-2]
        flat = self.proba.reshape(-1, len(self.classes))
        model, component = np.divmod(np.arange(len(flat)), n_components)
        labels = np.ravel(np.array(self.labels, dtype=object))
        columns = {"component": component, "model": model, "label": labels}
        columns |= {one: flat[:, k] for k, one in self._numbered}
        return pandas.DataFrame(columns)

    def plot(self) -> Any:
        """Draw all components with their maps and probabilities."""
        from meegic.figures.labels import plot_labels

        return plot_labels(self)

    @property
    def _numbered(self) -> list[tuple[int, str]]:
        return list(enumerate(self.classes))

    @property
    def _argmax(self) -> np.ndarray:
        """The index of every label; -1 where there is none, which is the last word."""
        return np.where(np.isnan(self.proba[..., 0]), -1, self.proba.argmax(axis=-1))

    def _windows(self) -> np.ndarray:
        if self.window_proba is None:
            raise InputError(
                f"{self.method} labels have no windows.",
                hint="They come with method='megnet'.",
            )
        return self.window_proba

    def _check_one_model(self) -> None:
        if self.proba.ndim == 3:
            raise InputError(
                f"these are the labels of {self.n_models} models.",
                hint="Take those of one: labels.for_model(0).",
            )

    def _is_out(self, rule: str | Mapping[str, float]) -> np.ndarray:
        if isinstance(rule, Mapping):
            return self._is_above(rule)
        check_option("rule", rule, [*_MINIMA, _KEEP, *_BRAIN])
        if rule == _KEEP:
            good = get_vocabulary(self.method).good
            artifact = np.array([one not in good for one in self.classes])
            return artifact[self.proba.argmax(axis=-1)]
        if rule in _BRAIN:
            return self.proba[:, 0] < np.float32(_BRAIN[rule])
        return self._is_above(_MINIMA[rule])

    def _is_above(self, minima: Mapping[str, float]) -> np.ndarray:
        check_known(f"class of {self.method}", list(minima), self.classes)
        out = np.zeros(len(self.proba), dtype=bool)
        for word, minimum in minima.items():
            check_range(f"rule[{word!r}]", minimum, low=0.0, high=1.0)
            out |= self.proba[:, self.classes.index(word)] >= np.float32(minimum)
        return out


def _check_probabilities(proba: np.ndarray) -> None:
    """Refuse rows that are neither probabilities nor unknown as a whole."""
    unknown = np.isnan(proba).all(axis=-1)
    rows = proba[~unknown]
    off = np.abs(rows.sum(axis=-1) - 1)
    if not (rows >= 0).all() or not (off <= _SUM_TOLERANCE).all():
        raise InputError(
            "proba must have rows of probabilities that sum to one, or of NaN only, "
            f"but {int((~(off <= _SUM_TOLERANCE)).sum())} rows do not."
        )
