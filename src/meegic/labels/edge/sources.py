"""A recording and its ICA, brought to what the networks' features are made of."""

from dataclasses import dataclass
from typing import Any

import mne
import numpy as np
from jaxtyping import Float

from meegic.labels.edge.activations import Activations, read_activations
from meegic.labels.edge.decomposition import Decomposition, decompose
from meegic.labels.edge.suitability import (
    locate_channels,
    pick_electrodes,
    pick_magnetometers,
    warn_about_iclabel,
    warn_about_megnet,
    warn_about_unit,
)
from meegic.labels.iclabel import scale_unmixing
from meegic.labels.megnet import plan_windows


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class Sources:
    """The components of a recording, as a network sees them.

    Attributes
    ----------
    info : mne.Info
        Of the channels of the maps: electrodes or magnetometers.
    maps : array, shape (n_channels, n_components)
        How the components look there, in V or T per unit of the time courses.
    positions : array, shape (n_channels, 3)
        Of these channels, in m.
    activations : Activations
        Time courses; in microvolt for ICLabel.
    deviations : array, shape (n_channels,)
        Standard deviations of these channels, in V or T.
    """

    info: mne.Info
    maps: Float[np.ndarray, "channels components"]
    positions: Float[np.ndarray, "channels 3"]
    activations: Activations
    deviations: Float[np.ndarray, " channels"]

    def explain_variance(
        self, weights: Float[np.ndarray, " samples"] | None = None
    ) -> Float[np.ndarray, " components"]:
        """Compute the share of the channels' variance that each component makes.

        ``weights`` is how much each sample counts, epochs one after another.
        """
        flat = self.activations.values.reshape(self.maps.shape[1], -1)
        spans = self.activations.stretches or [(0, flat.shape[1])]
        total, moments = 0.0, np.zeros((2, len(flat)))
        for start, stop in spans:
            part = flat[:, start:stop]
            own = np.ones(stop - start) if weights is None else weights[start:stop]
            total += own.sum()
            power = np.einsum("kt,kt,t->k", part, part, own)
            moments += np.einsum("kt,t->k", part, own), power
        variance = (self.deviations**2).sum()
        if not (total > 0 and variance > 0):
            return np.full(len(flat), np.nan)
        mean, power = moments / total
        return (power - mean**2) * (self.maps**2).sum(axis=0) / variance


def read_iclabel_sources(
    inst: Any,
    ica: mne.preprocessing.ICA,
    *,
    compat: str | None = None,
    reject_by_annotation: bool = True,
    center: bool = False,
) -> Sources:
    """Read activations in microvolt, and the maps on the electrodes.

    It warns where they are not like those that ICLabel was trained with.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording, in V.
    ica : mne.preprocessing.ICA
        Fitted.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'``: activations of the size they have in that package.
    reject_by_annotation : bool
        Whether bad spans are left out.
    center : bool
        Whether the mean of the ICA is taken off.

    Returns
    -------
    Sources
        One for each component.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=10, n_bad_channels=0)
    >>> raw = raw.filter(1, 100, verbose=False).set_eeg_reference(verbose=False)
    >>> options = {"method": "infomax", "fit_params": {"extended": True}}
    >>> ica = mne.preprocessing.ICA(4, max_iter=9, **options, verbose="error")
    >>> sources = read_iclabel_sources(raw, ica.fit(raw, verbose="error"))
    >>> sources.maps.shape, sources.activations.values.shape
    ((19, 4), (4, 2500))
    """
    found = decompose(ica, compat=compat)
    picks = pick_electrodes(found)
    positions = locate_channels(inst, [found.names[one] for one in picks])
    maps = found.mixing[picks]
    warn_about_iclabel(inst, ica, maps)
    size = scale_unmixing(np.ones(maps.T.shape), maps)[:, 0]
    if compat is not None:
        size = np.full(len(size), 1e6)
    activations = read_activations(
        inst, found.names, size[:, None] * found.unmixing,
        offset=size * found.offset if center else None,
        reject_by_annotation=reject_by_annotation and compat is None,
    )  # fmt: skip
    sources = _assemble(found, picks, positions, activations, size)
    warn_about_unit(sources.deviations)
    return sources


def read_megnet_sources(
    raw: Any,
    ica: mne.preprocessing.ICA,
    *,
    compat: str | None = None,
    reject_by_annotation: bool = True,
) -> Sources:
    """Read sources as MNE gives them, and the maps on the magnetometers.

    It warns where they are not like those that MEGNet was trained with.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording, in T.
    ica : mne.preprocessing.ICA
        Fitted.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'``: all samples, and maps of the whitened space.
    reject_by_annotation : bool
        Whether bad spans are left out.

    Returns
    -------
    Sources
        One for each component.

    Examples
    --------
    >>> read_megnet_sources(3, None)
    Traceback (most recent call last):
    TypeError: MEGNet needs an mne.io.Raw, but got int.
    """
    if not isinstance(raw, mne.io.BaseRaw):
        raise TypeError(f"MEGNet needs an mne.io.Raw, but got {type(raw).__name__}.")
    found = decompose(ica)
    picks = pick_magnetometers(found)
    positions = locate_channels(ica, [found.names[one] for one in picks])
    plan_windows(int(raw.n_times))  # refuses a short recording before it is read
    warn_about_megnet(raw, ica)
    activations = read_activations(
        raw, found.names, found.unmixing, offset=found.offset,
        reject_by_annotation=reject_by_annotation and compat is None,
    )  # fmt: skip
    plan_windows(int(activations.used.sum()))
    if compat is not None:
        found = decompose(ica, compat=compat)
    ones = np.ones(len(found.unmixing))
    return _assemble(found, picks, positions, activations, ones)


def _assemble(
    found: Decomposition,
    picks: np.ndarray,
    positions: np.ndarray,
    activations: Activations,
    size: np.ndarray,
) -> Sources:
    maps = found.mixing[picks] / np.where(size > 0, size, 1.0)
    return Sources(
        mne.pick_info(found.info, picks), maps, positions,
        activations, activations.deviations[picks],
    )  # fmt: skip
