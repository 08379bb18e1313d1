"""AMICA for MNE objects, with the names of pyAMICA's `AmicaICA`."""

from pathlib import Path
from typing import Any, Literal

import mne
import numpy as np

from meegic.base.checks import check_known, check_option
from meegic.base.errors import InputError
from meegic.components.cleaning import choose_models, remove_components
from meegic.components.edge.exports import Exports
from meegic.components.edge.fitted import FittedIca, read_fitted, write_fitted
from meegic.components.edge.fitting import fit_recording
from meegic.components.edge.mne_ica import list_excluded
from meegic.components.edge.pictures import Pictures
from meegic.components.edge.samples import put_samples
from meegic.components.edge.scoring import (
    score_dipolarity,
    score_mutual_information,
)
from meegic.components.edge.searches import Searches, check_share
from meegic.components.estimator import AMICA
from meegic.components.information import compute_mutual_information

_OPTIONS = sorted(
    set(AMICA._get_param_names()) - {"n_components", "n_models", "device"}
)


class AmicaICA(Pictures, Searches, Exports):
    """Independent components of an MNE recording, by one or more models.

    Each model is a true `mne.preprocessing.ICA`, from `get_mne_ica`. Which model holds
    when is known for any recording with the same channels.

    Parameters
    ----------
    n_components : int | None
        How many components; ``None`` takes the rank.
    n_models : int
        How many models share the recording.
    device : 'cpu' | 'gpu'
        Where to compute.
    **amica_options
        Parameters of `AMICA`: max_iter, random_state, do_reject, verbose ...

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=20, n_bad_channels=0)
    >>> ica = AmicaICA(n_components=5, random_state=0, verbose=False).fit(raw)
    >>> ica
    <AmicaICA | 1 model, 5 components of 19 channels, converged>
    >>> ica.get_mne_ica().n_components_
    5
    """

    def __init__(
        self,
        n_components: int | None = None,
        n_models: int = 1,
        device: str = "cpu",
        **amica_options: Any,
    ) -> None:
        check_known("option of AMICA", list(amica_options), _OPTIONS)
        self.n_components = n_components
        self.n_models = n_models
        self.device = device
        self.amica_kwargs = amica_options
        super().__init__()
        self._model: AMICA | None = None

    def __repr__(self) -> str:
        if self._fit is None:
            return f"<AmicaICA | not fitted, {_count(self.n_models)}>"
        model = self._fit.model
        ended = "converged" if model.converged else f"stopped: {model.stop_reason}"
        return (
            f"<AmicaICA | {_count(model.n_models)}, {model.n_components} components of "
            f"{len(self._fit.channels)} channels, {ended}>"
        )

    def fit(
        self, inst: Any, picks: Any = "eeg", *, reject_by_annotation: bool = True
    ) -> "AmicaICA":
        """Fit to the good channels and times of a recording.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs
            The recording, high-pass filtered.
        picks : str | list
            A channel type (``'eeg'``, ``'meg'``, ``'mag'``, ``'grad'``), several, names
            or indices. Bad and flat channels are left out.
        reject_by_annotation : bool
            Whether spans whose description begins with BAD get no weight. They keep
            their place in time, and get probabilities of the models all the same.

        Returns
        -------
        AmicaICA
            Itself, fitted.
        """
        self._model, self._fit = fit_recording(
            inst, picks, self._make_estimator, reject_by_annotation=reject_by_annotation
        )
        self._mne_icas = {}
        return self

    def _make_estimator(self, sfreq: float) -> AMICA:
        return AMICA(
            self.n_components, self.n_models, device=self.device,
            **{"sfreq": sfreq, **self.amica_kwargs},
        )  # fmt: skip

    def predict_proba(
        self, inst: Any, *, smooth: Literal["hmm"] | None = None, dwell_s: float = 1.0
    ) -> np.ndarray:
        """Compute how probable each model is at each time of a recording.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs | mne.Evoked
            With the channels of the fit, in any order, prepared like its recording.
        smooth : None | 'hmm'
            ``'hmm'`` lets models last: a hidden Markov model over each stretch.
        dwell_s : float
            How long they last, in s, on average.

        Returns
        -------
        array, shape (n_models, n_times) or (n_epochs, n_models, n_times)
            NaN where a channel is not finite.
        """
        flat = self._predict(self._take(inst), smooth, dwell_s)
        if isinstance(inst, mne.BaseEpochs):
            return flat.reshape(len(flat), len(inst), -1).swapaxes(0, 1)
        return flat

    def score(self, inst: Any) -> float:
        """Compute the mean log-likelihood per sample and component, BAD spans aside."""
        fit = self._fitted()
        samples = self._take(inst)
        if not samples.used.any():
            raise InputError(
                "inst has no samples to be scored: all lie in spans marked as bad."
            )
        return fit.model.score(samples.data[:, samples.used])

    def apply(
        self,
        inst: Any,
        mode: Literal["hard", "soft", "model"] = "hard",
        *,
        model_idx: int = 0,
        smooth: Literal["hmm"] | None = None,
        dwell_s: float = 1.0,
        copy: bool = False,
    ) -> Any:
        """Remove the excluded components from a recording.

        What each model excludes stands in ``get_mne_ica(model_idx).exclude``. Every
        sample is cleaned by the model that holds there, also in spans that are marked
        as bad, and in recordings that were not fitted.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs | mne.Evoked
            With the channels of the fit, in any order; changed in place.
        mode : 'hard' | 'soft' | 'model'
            By the most probable model, by all models as probable as they are (no steps
            where models change), or by one model everywhere.
        model_idx : int
            Which, for ``'model'``.
        smooth, dwell_s
            As in `predict_proba`.
        copy : bool
            Leave ``inst`` as it is, and return a changed copy.

        Returns
        -------
        Raw, Epochs or Evoked
            Samples of models without exclusions keep their bits.
        """
        check_option("mode", mode, ["hard", "soft", "model"])
        fit = self._fitted(model_idx)
        excluded = list_excluded(self._list_icas(), fit.model.n_components)
        samples = self._take(inst)
        if copy:
            inst = inst.copy()
        if not getattr(inst, "preload", True):
            with mne.use_log_level("error"):
                inst.load_data()
        if mode == "model":
            shares = np.zeros((fit.model.n_models, samples.data.shape[1]))
            shares[model_idx] = samples.known
        elif not any(excluded):
            return inst
        else:
            shares = self._predict(samples, smooth, dwell_s)
            shares = choose_models(shares) if mode == "hard" else np.nan_to_num(shares)
        data = remove_components(fit.model, samples.data, excluded, shares)
        put_samples(inst, fit.channels, data)
        return inst

    def score_dipolarity(
        self, inst: Any = None, model_idx: int = 0, **kwargs: Any
    ) -> Any:
        """Score how dipolar each map is, as `meegic.score_dipolarity`."""
        ica = self.get_mne_ica(model_idx)
        return score_dipolarity(ica, ica.info if inst is None else inst, **kwargs)

    def score_mutual_information(
        self,
        inst: Any,
        model_idx: int = 0,
        n_bins: int = 30,
        *,
        samples: Literal["own", "all"] = "own",
        bias: Literal["miller-madow"] | None = None,
    ) -> np.ndarray:
        """Compute how much the sources of one model tell of each other.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs
            The recording; spans that are marked as bad are left out.
        model_idx : int
            Which model.
        n_bins, bias
            As in `meegic.score_mutual_information`.
        samples : 'own' | 'all'
            Only those that the model explains best, or all. Where another model holds,
            the sources of this one depend on each other.

        Returns
        -------
        array, shape (n_components, n_components)
            In nats, with a zero diagonal.
        """
        check_option("samples", samples, ["own", "all"])
        ica = self.get_mne_ica(model_idx)
        if self.model.n_models == 1 or samples == "all":
            return score_mutual_information(ica, inst, n_bins=n_bins, bias=bias)
        taken = self._take(inst)
        own = choose_models(self._predict(taken))[model_idx] * taken.used
        check_share(own, taken.sfreq, model_idx)
        sources = self.model.unmix(taken.data[:, own > 0])[model_idx]
        return compute_mutual_information(sources, n_bins=n_bins, bias=bias)

    def save(self, path: str | Path) -> Path:
        """Write the fit with exclusions and labels; ``.amica.npz`` is added."""
        fit = self._fitted()
        icas = self._list_icas()
        return write_fitted(
            path, fit, excluded=[list(one.exclude) for one in icas],
            labels=[one.labels_ for one in icas],
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> "AmicaICA":
        """Read what `save` wrote; it can do all that a fitted one can."""
        fit, excluded, labels = read_fitted(path)
        loaded = cls._of(fit, device)
        for h, ica in enumerate(map(loaded.get_mne_ica, range(loaded.n_models))):
            ica.exclude, ica.labels_ = excluded[h], labels[h]
        return loaded

    @classmethod
    def _of(cls, fit: FittedIca, device: str = "cpu") -> "AmicaICA":
        estimator = AMICA._of(fit.model, device)
        given = estimator.get_params(deep=False)
        default = AMICA().get_params(deep=False)
        changed = {k: given[k] for k in _OPTIONS if given[k] != default[k]}
        changed.pop("sfreq", None)  # each recording has its own
        changed["verbose"] = False  # no file keeps what it was
        made = cls(given["n_components"], fit.model.n_models, device, **changed)
        made._model, made._fit = estimator, fit
        return made

    # What scripts for pyAMICA read.
    @property
    def _ch_names(self) -> list[str]:
        return self._fitted().channels

    _picks = _ch_names

    @property
    def _n_samples(self) -> int:
        return int(self._fitted().used.sum())

    @property
    def _fit_type(self) -> str:
        return self._fitted().fit_type


def _count(n_models: int) -> str:
    return f"{n_models} model{'s' if n_models > 1 else ''}"
