"""Find artifact components of one model in the samples that it explains.

MNE's detectors correlate over the whole recording. Where another model holds, the
sources of this one are no sources, and a blink's component is not found. Here the
detectors of MNE run with the model's own samples.
"""

from typing import Any

import mne
import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.errors import DataWarning, InputError

_FILTER: dict[str, Any] = {  # of MNE's detectors
    "phase": "zero-double",
    "filter_length": "10s",
    "fir_window": "hann",
    "l_trans_bandwidth": 0.5,
    "h_trans_bandwidth": 0.5,
    "fir_design": "firwin2",
}
_WINDOW_S = 2.0  # of the parts whose spectrum is looked at
_OWN = 0.5  # of a window's samples, from which on it is the model's


class OwnSamplesICA(mne.preprocessing.ICA):
    """MNE's ICA whose scores count each sample as much as its model explains it.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        One model; what is found is written into its ``labels_`` as well.
    inst : mne.io.Raw | mne.Epochs
        The recording that will be searched.
    weights : array, shape (n_times,)
        How probable the model is at each of its samples, epochs one after another.
    """

    def __init__(
        self, ica: mne.preprocessing.ICA, inst: Any, weights: Float[Array, " times"]
    ) -> None:
        self.__dict__.update(ica.__dict__)
        self._inst, self._weights = inst, np.asarray(weights)

    def score_sources(
        self,
        inst: Any,
        target: Any = None,
        score_func: Any = "pearsonr",
        start: Any = None,
        stop: Any = None,
        l_freq: float | None = None,
        h_freq: float | None = None,
        reject_by_annotation: bool = True,
        verbose: Any = None,
    ) -> np.ndarray:
        """Correlate sources with a target, as MNE does, in the model's own samples."""
        del score_func, verbose
        found = super().get_sources(inst, start=start, stop=stop)
        if isinstance(inst, mne.io.BaseRaw):
            sources, times = found.get_data(
                reject_by_annotation="omit" if reject_by_annotation else None,
                return_times=True,
            )
            places = found.time_as_index(times, use_rounding=True)
            weights = self._weights[places + found.first_samp - inst.first_samp]
        else:
            sources, weights = np.hstack(found.get_data(copy=False)), self._weights
        target = np.ravel(target)
        if not np.isfinite(target).all():
            raise InputError(
                "the channel that is searched with has NaN or Inf.",
                hint="Annotate the span as BAD.",
            )
        if l_freq is None or not isinstance(inst, mne.io.BaseRaw):
            return correlate_weighted(sources, target, weights)
        # What other models explain must not spread into own samples by the filter.
        sources, target = (_fade(one, weights) for one in (sources, target))
        sources, target = (
            mne.filter.filter_data(
                one, inst.info["sfreq"], l_freq, h_freq, verbose="error", **_FILTER
            )
            for one in (sources, target)
        )
        return correlate_weighted(sources, target, weights)

    def get_sources(
        self, inst: Any, add_channels: Any = None, start: Any = None, stop: Any = None
    ) -> Any:
        """Give the sources as epochs, those of the model only."""
        if inst is self._inst and isinstance(inst, mne.io.BaseRaw):
            sources = super().get_sources(inst, add_channels, start, stop)
            sources = mne.make_fixed_length_epochs(
                sources, duration=min(_WINDOW_S, sources.times[-1]), preload=True,
                reject_by_annotation=True, verbose="error",
            )  # fmt: skip
        else:
            sources = super().get_sources(inst, add_channels, start, stop)
        share = self._share_epochs(sources, inst)
        own = np.flatnonzero(share >= _OWN)
        if not len(own):
            warn_user(
                "the model explains no window by itself; its components are judged on "
                f"all {len(share)} windows.",
                DataWarning,
            )
            return sources
        return sources[own]

    def _share_epochs(self, epochs: Any, inst: Any) -> np.ndarray:
        """Compute how probable the model is in each epoch, on average."""
        if inst is self._inst and isinstance(inst, mne.BaseEpochs):
            return self._weights.reshape(len(epochs), -1).mean(axis=1)
        onsets = epochs.events[:, 0] - self._inst.first_samp
        shift = np.round(epochs.times * epochs.info["sfreq"]).astype(int)
        places = np.clip(onsets[:, None] + shift, 0, len(self._weights) - 1)
        return self._weights[places].mean(axis=1)


def correlate_weighted(
    sources: Float[Array, "components times"],
    target: Float[Array, " times"],
    weights: Float[Array, " times"],
) -> Float[np.ndarray, " components"]:
    """Compute Pearson's correlation of each source with a target, with weights.

    Examples
    --------
    >>> sources = np.array([[1.0, 2.0, 3.0, -9.0]])
    >>> weights = np.array([1.0, 1.0, 1.0, 0.0])
    >>> correlate_weighted(sources, np.array([2.0, 4.0, 6.0, 5.0]), weights)
    array([1.])
    """
    total = weights.sum()
    if total == 0:
        return np.zeros(len(sources))
    share = weights / total
    one = sources - (sources @ share)[:, None]
    other = target - target @ share
    length = np.sqrt((one**2 @ share) * (other**2 @ share))
    return np.divide(
        one @ (other * share), length, out=np.zeros_like(length), where=length > 0
    )


def _fade(signals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Let signals go to their weighted mean, zero, where they have no weight."""
    mean = signals @ weights / max(weights.sum(), np.finfo(float).tiny)
    return (signals - mean[..., None]) * weights
