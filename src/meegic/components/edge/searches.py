"""How `AmicaICA` finds artifact components, and shows them for a decision."""

from collections.abc import Mapping
from copy import copy
from typing import Any, Literal

import mne
import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.checks import check_option
from meegic.base.errors import DataWarning, InputError
from meegic.components.edge.detection import OwnSamplesICA
from meegic.components.edge.fits import Fits
from meegic.components.edge.reviewing import review_components
from meegic.components.edge.samples import check_values

_LEAST_S = 5.0  # of a model's own samples, below which correlations are chance


class Searches(Fits):
    """The searches of a fitted `AmicaICA`."""

    def find_bads_eog(
        self,
        inst: Any,
        model_idx: int = 0,
        *,
        samples: Literal["own", "all"] = "own",
        **kwargs: Any,
    ) -> tuple[list[int], Any]:
        """Find components that follow the eyes.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs
            With an EOG channel.
        model_idx : int
            Which model.
        samples : 'own' | 'all'
            Whether samples count as much as this model explains them, or all alike,
            as MNE's own method has it. With one model that is the same.
        **kwargs
            Of `mne.preprocessing.ICA.find_bads_eog`: ch_name, threshold, measure ...

        Returns
        -------
        indices : list of int
            Components by descending score.
        scores : array, shape (n_components,)
            Correlations; a list of arrays for several channels.
        """
        return self._detector(inst, model_idx, samples).find_bads_eog(inst, **kwargs)

    def find_bads_ecg(
        self,
        inst: Any,
        model_idx: int = 0,
        *,
        samples: Literal["own", "all"] = "own",
        **kwargs: Any,
    ) -> tuple[list[int], Any]:
        """Find components that follow the heart; arguments as `find_bads_eog`."""
        return self._detector(inst, model_idx, samples).find_bads_ecg(inst, **kwargs)

    def find_bads_muscle(
        self,
        inst: Any,
        model_idx: int = 0,
        *,
        samples: Literal["own", "all"] = "own",
        **kwargs: Any,
    ) -> tuple[list[int], Any]:
        """Find components of muscles; arguments as `find_bads_eog`."""
        return self._detector(inst, model_idx, samples).find_bads_muscle(inst, **kwargs)

    def review(
        self,
        inst: Any,
        model_idx: int = 0,
        eog_ch: str | list[str] | None = None,
        ecg_ch: str | None = None,
        eog_kwargs: Mapping[str, Any] | None = None,
        ecg_kwargs: Mapping[str, Any] | None = None,
        *,
        block: bool = True,
    ) -> list[int]:
        """Find artifact components of one model, and show them for a decision.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs
            The recording.
        model_idx : int
            Which model.
        eog_ch, ecg_ch : str | list of str | None
            Channels to search with; ``None`` leaves that search out.
        eog_kwargs, ecg_kwargs : mapping | None
            More arguments for `find_bads_eog` and `find_bads_ecg`.
        block : bool
            Wait until the window is closed. Without a display no window opens.

        Returns
        -------
        list of int
            What the model excludes now: what it did, and what was found.
        """
        ica = self.get_mne_ica(model_idx)
        review_components(
            self, ica, inst, model_idx,
            eog=(eog_ch, eog_kwargs or {}), ecg=(ecg_ch, ecg_kwargs or {}),
        )  # fmt: skip
        self._show_sources(inst, model_idx, block=block)
        return list(ica.exclude)

    def _detector(self, inst: Any, model_idx: int, samples: str) -> Any:
        """Make MNE's detector of one model; what is excluded is searched as well."""
        check_option("samples", samples, ["own", "all"])
        ica = copy(self.get_mne_ica(model_idx))
        ica.exclude = []  # MNE would leave their spectra out
        taken, fit = self._take(inst), self._fitted()
        check_values(taken, inst, fit.channels)
        alike = fit.model.n_models == 1 or isinstance(inst, mne.Evoked)
        if alike or samples == "all":
            return ica
        weights = np.nan_to_num(self._predict(taken)[model_idx])
        check_share(weights * taken.used, taken.sfreq, model_idx)
        return OwnSamplesICA(ica, inst, weights)

    def _show_sources(self, inst: Any, model_idx: int, *, block: bool) -> None:
        raise NotImplementedError


def check_share(
    weights: Float[np.ndarray, " times"], sfreq: float, model_idx: int
) -> None:
    """Refuse a recording in which a model explains nothing; warn where it is little.

    Examples
    --------
    >>> check_share(np.ones(3000), 100.0, 0)
    """
    total = float(weights.sum())
    if not total:
        raise InputError(
            f"model {model_idx} explains no sample of inst.",
            hint="Search another model, or pass samples='all'.",
        )
    seconds = total**2 / float((weights**2).sum()) / sfreq
    if seconds < _LEAST_S:
        warn_user(
            f"model {model_idx} explains {seconds:.2g} s of inst only: what is found "
            "there may be chance.",
            DataWarning,
        )
