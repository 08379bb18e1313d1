"""What all parts of `AmicaICA` rest on: the fit, and its recordings."""

from typing import Any

import mne
import numpy as np

from meegic.base.checks import check_count, check_option
from meegic.base.errors import NotFittedError
from meegic.components.edge.fitted import FittedIca
from meegic.components.edge.mne_ica import make_mne_ica
from meegic.components.edge.posteriors import compute_posteriors
from meegic.components.edge.samples import Samples, take_samples, warn_about_rate
from meegic.components.model import AmicaModel

_FIT_TYPES = {"raw": "raw", "epc": "epochs"}  # as pyAMICA and as MNE call them


class Fits:
    """A fit to a recording, and the MNE objects of its models."""

    def __init__(self) -> None:
        self._fit: FittedIca | None = None
        self._mne_icas: dict[int, mne.preprocessing.ICA] = {}

    @property
    def model(self) -> AmicaModel:
        """The fitted mixture, as arrays in SI units."""
        return self._fitted().model

    def to_mne_ica(self, model_idx: int = 0) -> mne.preprocessing.ICA:
        """Make a new `mne.preprocessing.ICA` of one model.

        Parameters
        ----------
        model_idx : int
            Which; 0 is the one that explains most samples.

        Returns
        -------
        mne.preprocessing.ICA
            Without exclusions. Its sources are the model's, centers included.
        """
        fit = self._fitted(model_idx)
        return make_mne_ica(
            fit.model, fit.info, model_idx=model_idx, rest=fit.rest,
            n_samples=int((fit.used & ~fit.model.rejected).sum()),
            current_fit=_FIT_TYPES[fit.fit_type],
        )  # fmt: skip

    def get_mne_ica(self, model_idx: int = 0) -> mne.preprocessing.ICA:
        """Give the object of one model, always the same: `apply` reads its exclude."""
        self._fitted(model_idx)
        if model_idx not in self._mne_icas:
            self._mne_icas[model_idx] = self.to_mne_ica(model_idx)
        return self._mne_icas[model_idx]

    def _list_icas(self) -> list[mne.preprocessing.ICA]:
        return [self.get_mne_ica(h) for h in range(self.model.n_models)]

    def _take(self, inst: Any) -> Samples:
        fit = self._fitted()
        samples = take_samples(inst, fit.channels)
        warn_about_rate(fit.sfreq, samples.sfreq)
        return samples

    def _predict(
        self, samples: Samples, smooth: str | None = None, dwell_s: float = 1.0
    ) -> np.ndarray:
        check_option("smooth", smooth, [None, "hmm"])
        return compute_posteriors(
            self.model, samples, dwell_s=None if smooth is None else dwell_s
        )

    def _fitted(self, model_idx: int = 0) -> FittedIca:
        if self._fit is None:
            raise NotFittedError(
                "This AmicaICA is not fitted yet.", hint="Call fit(raw) first."
            )
        high = self._fit.model.n_models - 1
        check_count("model_idx", model_idx, low=0, high=high)
        return self._fit
