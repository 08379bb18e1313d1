"""What `AmicaICA` draws: MNE's pictures of one model, and those of several."""

from typing import TYPE_CHECKING, Any, Literal

import mne
import numpy as np

from meegic.base.checks import check_option
from meegic.components.edge.posteriors import smooth_stretches

if TYPE_CHECKING:
    from meegic.components.edge.fitted import FittedIca

_SMALLEST = 1e-300  # a probability, so that it has a logarithm


class Pictures:
    """The plots of a fitted `AmicaICA`."""

    def plot_model_posteriors(
        self,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
        *,
        smooth: Literal["hmm"] | None = None,
        dwell_s: float = 1.0,
    ) -> Any:
        """Draw how probable each model is over the fitted recording, as lines.

        Parameters
        ----------
        ax : matplotlib Axes | None
            Where to draw; a new figure for None.
        figsize : tuple | None
            Of a new figure, in inches.
        smooth, dwell_s
            As in `predict_proba`.

        Returns
        -------
        matplotlib Axes
            Spans that were left out are gaps.
        """
        from meegic.figures.models import plot_posterior_lines

        fit = self._fitted()
        shown = self._known_posteriors(smooth, dwell_s)
        return plot_posterior_lines(
            shown, fit.sfreq, shares=fit.model.parameters.weight, starts=fit.starts,
            ax=ax, figsize=figsize,
        )  # fmt: skip

    def plot_model_dominance(
        self,
        smooth_s: float = 0.0,
        figsize: tuple[float, float] | None = None,
        ax: Any = None,
        *,
        smooth: Literal["hmm"] | None = None,
        dwell_s: float = 1.0,
    ) -> Any:
        """Draw how probable each model is over the fitted recording, as areas.

        Parameters
        ----------
        smooth_s : float
            Standard deviation of a Gaussian, in s, that probabilities are averaged
            with; 0 for none.
        figsize : tuple | None
            Of a new figure, in inches.
        ax : matplotlib Axes | None
            Where to draw; a new figure for None.
        smooth, dwell_s
            As in `predict_proba`.

        Returns
        -------
        matplotlib Axes
            Spans that were left out are gaps.
        """
        from meegic.figures.models import plot_posterior_areas

        fit = self._fitted()
        shown = self._known_posteriors(smooth, dwell_s)
        return plot_posterior_areas(
            shown, fit.sfreq, starts=fit.starts, smooth_s=smooth_s, ax=ax,
            figsize=figsize,
        )  # fmt: skip

    def plot_models(
        self,
        inst: Any = None,
        *,
        n_components: int = 6,
        figsize: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Draw an overview: when each model holds, its maps, and how the fit went.

        Parameters
        ----------
        inst : mne.io.Raw | None
            Whose annotations are shown; the fitted recording.
        n_components : int
            Maps for each model.
        figsize : tuple | None
            In inches.
        **kwargs
            smooth and dwell_s, as in `predict_proba`.

        Returns
        -------
        matplotlib Figure
            The figure.
        """
        from meegic.figures.models import plot_overview

        fit = self._fitted()
        return plot_overview(
            fit.model, self._known_posteriors(**kwargs), fit.info, starts=fit.starts,
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
        """Show the recording before and after, as `mne.preprocessing.ICA` does."""
        return self.get_mne_ica(model_idx).plot_overlay(inst, **kwargs)

    def plot_scores(self, scores: Any, model_idx: int = 0, **kwargs: Any) -> Any:
        """Show scores of a search, as `mne.preprocessing.ICA.plot_scores`."""
        return self.get_mne_ica(model_idx).plot_scores(scores, **kwargs)

    def _show_sources(self, inst: Any, model_idx: int, *, block: bool) -> None:
        """Open the window of the sources where there is a display."""
        from meegic.figures.style import opens_windows

        if opens_windows():
            self.plot_sources(inst, model_idx, block=block)

    def _known_posteriors(
        self, smooth: Literal["hmm"] | None = None, dwell_s: float = 1.0
    ) -> np.ndarray:
        """Give the probabilities of the fit; NaN where samples had no weight."""
        check_option("smooth", smooth, [None, "hmm"])
        fit = self._fitted()
        shown = np.where(fit.used, fit.model.fitted_posteriors, np.nan)
        if smooth is None:
            return shown
        smoothed = smooth_stretches(
            np.log(np.maximum(shown, _SMALLEST)), fit.model.parameters.weight,
            fit.starts, sfreq=fit.sfreq, dwell_s=dwell_s,
        )  # fmt: skip
        return np.where(fit.used, smoothed, np.nan)

    def _fitted(self, model_idx: int = 0) -> "FittedIca":
        raise NotImplementedError

    def get_mne_ica(self, model_idx: int = 0) -> mne.preprocessing.ICA:
        """Give the object of one model."""
        raise NotImplementedError


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
