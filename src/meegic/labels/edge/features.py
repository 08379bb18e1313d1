"""What the networks look at, for a recording and its ICA."""

from typing import Any

import mne
import numpy as np
from jaxtyping import Float, UInt8

from meegic.base.alerts import warn_user
from meegic.base.errors import DataWarning, InputError
from meegic.labels.edge.decomposition import decompose, list_models
from meegic.labels.edge.sources import (
    Sources,
    read_iclabel_sources,
    read_megnet_sources,
)
from meegic.labels.edge.suitability import check_arguments, locate_channels
from meegic.labels.iclabel import IclabelFeatures, compute_features
from meegic.labels.megnet import draw_magnetometer_maps
from meegic.labels.scalp_maps import compute_scalp_maps

_TYPES = ("eeg", "mag", "grad")


def get_iclabel_features(
    inst: Any,
    ica: mne.preprocessing.ICA,
    *,
    compat: str | None = None,
    reject_by_annotation: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute what ICLabel looks at.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording that was decomposed, in V.
    ica : mne.preprocessing.ICA
        Fitted.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` gives the numbers of that package: activations of another
        size, which the spectra depend on.
    reject_by_annotation : bool
        Whether spans whose description begins with bad or edge are left out.

    Returns
    -------
    topo : array, shape (32, 32, 1, n_components)
        Topographies.
    psd : array, shape (1, 100, 1, n_components)
        Spectra.
    autocorr : array, shape (1, 100, 1, n_components)
        Autocorrelations.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=10, n_bad_channels=0)
    >>> raw = raw.filter(1, 100, verbose=False).set_eeg_reference(verbose=False)
    >>> options = {"method": "infomax", "fit_params": {"extended": True}}
    >>> ica = mne.preprocessing.ICA(4, max_iter=9, **options, verbose="error")
    >>> topo, psd, autocorr = get_iclabel_features(raw, ica.fit(raw, verbose="error"))
    >>> topo.shape, psd.shape, autocorr.shape
    ((32, 32, 1, 4), (1, 100, 1, 4), (1, 100, 1, 4))
    """
    check_arguments(inst, compat)
    sources = read_iclabel_sources(
        inst, _take_one(ica), compat=compat, reject_by_annotation=reject_by_annotation
    )
    features = compute_iclabel(sources, inst.info["sfreq"], compat=compat)
    return features.to_last_axis()


def get_megnet_features(
    raw: mne.io.BaseRaw,
    ica: mne.preprocessing.ICA,
    *,
    compat: str | None = None,
    reject_by_annotation: bool = True,
) -> tuple[
    Float[np.ndarray, "components times"], UInt8[np.ndarray, "components 120 120 3"]
]:
    """Compute what MEGNet looks at.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording that was decomposed, in T, at 250 Hz.
    ica : mne.preprocessing.ICA
        Fitted.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` gives the series and the colours of that package.
    reject_by_annotation : bool
        Whether spans whose description begins with bad or edge are left out.

    Returns
    -------
    series : array, shape (n_components, n_samples)
        Sources as MNE gives them, good samples only. The network sees windows of them,
        each centered and scaled.
    images : array, shape (n_components, 120, 120, 3)
        Maps on the magnetometers, in colours.

    Examples
    --------
    >>> get_megnet_features(mne.EpochsArray, None)
    Traceback (most recent call last):
    TypeError: inst must be an mne.io.Raw or mne.Epochs, but got type.
    """
    check_arguments(raw, compat)
    sources = read_megnet_sources(
        raw, _take_one(ica), compat=compat, reject_by_annotation=reject_by_annotation
    )
    images = draw_magnetometer_maps(sources.maps, sources.positions, compat=compat)
    return sources.activations.join(), images


def get_topomaps(
    ica: mne.preprocessing.ICA,
    picks: int | slice | list[int] | None = None,
    res: int = 64,
    image_interp: str = "cubic",
    border: float | str = "mean",
    extrapolate: str = "auto",
) -> dict[str, Float[np.ndarray, "components rows columns"]]:
    """Draw the maps of components as arrays.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        Fitted.
    picks : int | slice | list of int | None
        Which components; all for None.
    res : int
        Pixels of a row, and of a column.
    image_interp : 'cubic' | 'linear' | 'nearest'
        How to interpolate between channels.
    border : float | 'mean'
        The value of points around the channels; ``'mean'``: of the nearest channels.
    extrapolate : 'auto' | 'head' | 'local' | 'box'
        Where these points lie; ``'auto'`` is ``'head'`` for EEG, ``'local'`` for MEG.

    Returns
    -------
    dict of str to array, shape (n_components, res, res)
        For every type of channel the maps, whose largest value is one. Row 0 is the
        front.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=10, n_bad_channels=0)
    >>> raw = raw.filter(1, 100, verbose=False).set_eeg_reference(verbose=False)
    >>> ica = mne.preprocessing.ICA(4, method="infomax", max_iter=9, verbose="error")
    >>> get_topomaps(ica.fit(raw, verbose="error"), picks=[0, 1], res=16)["eeg"].shape
    (2, 16, 16)
    """
    ica = _take_one(ica)
    found = decompose(ica)
    if isinstance(picks, (str, bytes)):
        raise TypeError(f"picks must be numbers of components, but got {picks!r}.")
    numbers = np.arange(len(found.unmixing))
    try:
        chosen = numbers if picks is None else np.atleast_1d(numbers[picks])
    except IndexError as error:
        raise InputError(
            f"picks must be components from 0 to {numbers[-1]}, but got {picks!r}."
        ) from error
    maps = {}
    for kind in _TYPES:
        channels = found.find(kind)
        if len(channels):
            names = [found.names[one] for one in channels]
            maps[kind] = compute_scalp_maps(
                found.mixing[np.ix_(channels, chosen)], locate_channels(ica, names),
                res=res, image_interp=image_interp, border=border,
                extrapolate=extrapolate, channel_type=kind,
            )  # fmt: skip
    return maps


def compute_iclabel(
    sources: Sources,
    sfreq: float,
    *,
    weights: Float[np.ndarray, "*epochs times"] | None = None,
    compat: str | None = None,
) -> IclabelFeatures:
    """Compute ICLabel's features; NaN for components without a map on the electrodes.

    Parameters
    ----------
    sources : Sources
        Activations and maps.
    sfreq : float
        Sampling rate in Hz.
    weights : array, shape ([n_epochs,] n_times) | None
        How much each sample counts.
    compat : None | 'mne-icalabel'
        Whose numbers they are.

    Returns
    -------
    IclabelFeatures
        One row per component.

    Examples
    --------
    >>> from meegic.labels.edge.activations import Activations
    >>> rng = np.random.default_rng(0)
    >>> activations = Activations(rng.normal(size=(1, 500)), None, np.ones(4))
    >>> info = mne.create_info(4, 100.0, "eeg")
    >>> maps, positions = rng.normal(size=(4, 1)), rng.normal(size=(4, 3))
    >>> sources = Sources(info, maps, positions, activations, np.ones(4))
    >>> compute_iclabel(sources, 100.0).psds.shape
    (1, 100)
    """
    seen = np.flatnonzero(sources.maps.any(axis=0))
    if not len(seen):
        raise InputError("no component of the ICA reaches the EEG channels.")
    whole = len(seen) == sources.maps.shape[1]
    values = sources.activations.values
    found = compute_features(
        values if whole else values[seen], sources.maps[:, seen], sources.positions,
        sfreq, stretches=sources.activations.stretches, weights=weights, compat=compat,
    )  # fmt: skip
    if whole:
        return found
    blind = sorted(set(range(len(values))) - set(seen.tolist()))
    warn_user(
        f"components {blind} do not reach the EEG channels: they have no label.",
        DataWarning,
    )
    parts = []
    for one in (found.images, found.psds, found.autocorrs):
        part = np.full((len(values), *one.shape[1:]), np.nan, dtype=one.dtype)
        part[seen] = one
        parts.append(part)
    return IclabelFeatures(*parts)


def _take_one(ica: Any) -> mne.preprocessing.ICA:
    models = list(list_models(ica))
    if len(models) > 1:
        raise InputError(
            f"ica has {len(models)} models, which have features of their own.",
            hint="Pass one of them: ica.get_mne_ica(0).",
        )
    return models[0]
