"""What `AmicaICA` draws: MNE's pictures of one model, and those of several."""

from typing import Any, Literal

import mne
import numpy as np

from meegic.base.checks import check_option
from meegic.components.edge.fits import Fits
from meegic.components.edge.posteriors import smooth_stretches

_OVERLAY_S = 3.0
_SMALLEST = 1e-300  # a probability, so that it has a logarithm


class Pictures(Fits):
    """The plots of a fitted `AmicaICA`."""

    def plot_model_posteriors(
        self,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
        *,
        inst: Any = None,
        smooth: Literal["hmm"] | None = None,
        dwell_s: float = 1.0,
    ) -> Any:
        """Draw how probable each model is over a recording, as lines.

        Parameters
        ----------
        ax : matplotlib Axes | None
            Where to draw; a new figure for None.
        figsize : tuple | None
            Of a new figure, in inches.
        inst : mne.io.Raw | mne.Epochs | None
            The recording; ``None`` is the fitted one.
        smooth, dwell_s
            As in `predict_proba`.

        Returns
        -------
        matplotlib Axes
            Spans that were left out are gaps.
        """
        from meegic.figures.models import plot_posterior_lines

        fit = self._fitted()
        shown, starts = self._shown(inst, smooth, dwell_s)
        return plot_posterior_lines(
            shown, fit.sfreq, shares=fit.model.parameters.weight, starts=starts,
            ax=ax, figsize=figsize,
        )  # fmt: skip

    def plot_model_dominance(
        self,
        smooth_s: float = 0.0,
        figsize: tuple[float, float] | None = None,
        ax: Any = None,
        *,
        inst: Any = None,
        smooth: Literal["hmm"] | None = None,
        dwell_s: float = 1.0,
    ) -> Any:
        """Draw how probable each model is over a recording, as areas.

        Parameters
        ----------
        smooth_s : float
            Standard deviation of a Gaussian, in s, that probabilities are averaged
            with; 0 for none.
        figsize : tuple | None
            Of a new figure, in inches.
        ax : matplotlib Axes | None
            Where to draw; a new figure for None.
        inst : mne.io.Raw | mne.Epochs | None
            The recording; ``None`` is the fitted one.
        smooth, dwell_s
            As in `predict_proba`.

        Returns
        -------
        matplotlib Axes
            Spans that were left out are gaps.
        """
        from meegic.figures.models import plot_posterior_areas

        fit = self._fitted()
        shown, starts = self._shown(inst, smooth, dwell_s)
        return plot_posterior_areas(
            shown, fit.sfreq, starts=starts, smooth_s=smooth_s, ax=ax,
            figsize=figsize,
        )  # fmt: skip

    def plot_models(
        self,
        inst: Any = None,
        *,
        n_components: int = 6,
        figsize: tuple[float, float] | None = None,
        smooth: Literal["hmm"] | None = None,
        dwell_s: float = 1.0,
    ) -> Any:
        """Draw an overview: when each model holds, its maps, and how the fit went.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs | None
            The recording that is shown, with its annotations; ``None`` shows the
            fitted one.
        n_components : int
            Maps for each model.
        figsize : tuple | None
            In inches.
        smooth, dwell_s
            As in `predict_proba`.

        Returns
        -------
        matplotlib Figure
            The figure.
        """
        from meegic.figures.models import plot_overview

        fit = self._fitted()
        shown, starts = self._shown(inst, smooth, dwell_s)
        return plot_overview(
            fit.model, shown, fit.info, starts=starts,
            annotations=_list_annotations(inst), n_components=n_components,
            figsize=figsize,
        )  # fmt: skip

    def plot_sources(self, inst: Any, model_idx: int = 0, **kwargs: Any) -> Any:
        """Show the sources of one model, as `mne.preprocessing.ICA.plot_sources`.

        A click marks a component as excluded, for `apply`.
        """
        return self.get_mne_ica(model_idx).plot_sources(inst, **kwargs)

    def plot_components(
        self, inst: Any = None, model_idx: int = 0, **kwargs: Any
    ) -> Any:
        """Show the maps of one model, as `mne.preprocessing.ICA.plot_components`."""
        return self.get_mne_ica(model_idx).plot_components(inst=inst, **kwargs)

    def plot_properties(
        self, inst: Any, picks: Any = None, model_idx: int = 0, **kwargs: Any
    ) -> Any:
        """Show components closely, as `mne.preprocessing.ICA.plot_properties`."""
        ica = self.get_mne_ica(model_idx)
        picks = range(ica.n_components_) if picks is None else picks
        return ica.plot_properties(inst, picks=picks, **kwargs)

    def plot_overlay(self, inst: Any, model_idx: int = 0, **kwargs: Any) -> Any:
        """Show the recording before and after, as `mne.preprocessing.ICA` does.

        That is the cleaning of one model, which is right where it holds. Of several
        models the 3 s are shown that this one explains best, unless ``start`` says
        others; `apply` cleans each sample by the model that holds there.
        """
        ica = self.get_mne_ica(model_idx)
        several = self.model.n_models > 1 and isinstance(inst, mne.io.BaseRaw)
        if several and not {"start", "stop"} & set(kwargs):
            shown, _ = self._shown(inst, None, 1.0)
            width = min(round(_OVERLAY_S * inst.info["sfreq"]), shown.shape[1])
            own = np.convolve(np.nan_to_num(shown[model_idx]), np.ones(width), "valid")
            start = int(own.argmax())
            kwargs = {"start": start, "stop": start + width, **kwargs}
        return ica.plot_overlay(inst, **kwargs)

    def plot_scores(self, scores: Any, model_idx: int = 0, **kwargs: Any) -> Any:
        """Show scores of a search, as `mne.preprocessing.ICA.plot_scores`."""
        return self.get_mne_ica(model_idx).plot_scores(scores, **kwargs)

    def _show_sources(self, inst: Any, model_idx: int, *, block: bool) -> None:
        """Open the window of the sources where there is a display."""
        from meegic.figures.style import opens_windows

        if opens_windows():
            self.plot_sources(inst, model_idx, block=block)

    def _shown(
        self, inst: Any, smooth: str | None, dwell_s: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give probabilities, NaN where nothing is used, and where stretches begin."""
        if inst is not None:
            taken = self._take(inst)
            shown = self._predict(taken, smooth, dwell_s)
            return np.where(taken.used, shown, np.nan), taken.starts
        check_option("smooth", smooth, [None, "hmm"])
        fit = self._fitted()
        shown = np.where(fit.used, fit.model.fitted_posteriors, np.nan)
        if smooth is not None:
            logs = np.log(np.maximum(shown, _SMALLEST))
            shown = smooth_stretches(
                logs, fit.model.parameters.weight, fit.starts, sfreq=fit.sfreq,
                dwell_s=dwell_s,
            )  # fmt: skip
        return np.where(fit.used, shown, np.nan), fit.starts


def _list_annotations(inst: Any) -> list[tuple[float, float, str]]:
    """List onset and duration, in s from the first sample, and description."""
    if not isinstance(inst, mne.io.BaseRaw):
        return []
    notes = inst.annotations
    return [
        (float(onset - inst.first_time), float(duration), str(text))
        for onset, duration, text in zip(
            notes.onset, notes.duration, notes.description, strict=True
        )
    ]
