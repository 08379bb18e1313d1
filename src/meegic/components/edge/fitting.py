"""Fit AMICA to an MNE object: which channels, which samples, which rank."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mne
import numpy as np

from meegic.base.alerts import warn_user
from meegic.base.checks import check_count
from meegic.base.errors import DataWarning, RankError
from meegic.components.edge.fitted import FittedIca
from meegic.components.edge.mne_ica import measure_rest
from meegic.components.edge.samples import (
    Samples,
    check_values,
    count_rank,
    find_flat,
    pick_names,
    size_channels,
    take_samples,
)
from meegic.components.estimator import AMICA
from meegic.components.whiten import fit_whitener


def fit_recording(
    inst: Any,
    picks: Any,
    make_estimator: Callable[..., AMICA],
    *,
    reject_by_annotation: bool = True,
) -> tuple[AMICA, FittedIca]:
    """Fit to the good channels and samples of a recording.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording.
    picks : str | list
        A type of channels, several, names or indices.
    make_estimator : callable
        Makes the estimator; gets the sampling rate, ``sfreq``, by name.
    reject_by_annotation : bool
        Whether spans whose description begins with BAD get no weight.

    Returns
    -------
    estimator : AMICA
        Fitted.
    fitted : FittedIca
        The same fit, with the recording's side of it.

    Examples
    --------
    >>> data = 1e-5 * np.random.default_rng(0).laplace(size=(3, 900))
    >>> info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> estimator, fitted = fit_recording(
    ...     raw, "eeg", lambda sfreq: AMICA(sfreq=sfreq, verbose=False)
    ... )
    >>> fitted.channels
    ['Fz', 'Cz', 'Pz']
    """
    if not isinstance(inst, (mne.io.BaseRaw, mne.BaseEpochs)):
        raise TypeError(
            f"inst must be an mne Raw or Epochs, but got {type(inst).__name__}."
        )
    names = pick_names(inst.info, picks)
    samples = take_samples(inst, names, reject_by_annotation=reject_by_annotation)
    check_values(samples, inst, names, reject_by_annotation=reject_by_annotation)
    if flat := find_flat(samples, names):
        warn_user(
            f"channels {flat} are flat and left out; mark them as bad.", DataWarning
        )
        kept = [k for k, one in enumerate(names) if one not in flat]
        names = [names[k] for k in kept]
        samples = replace(samples, data=samples.data[kept])
    info = mne.pick_info(inst.info, [inst.ch_names.index(one) for one in names])
    known = samples.known
    samples.data[:, ~known] = 0.0  # they have no weight
    weights = samples.used.astype(float)
    scale = size_channels(samples, info.get_channel_types())
    estimator = make_estimator(sfreq=samples.sfreq)
    n = _pick_n_components(estimator.n_components, info, samples, scale)
    if 1 in (n, len(names)):
        raise RankError(
            "at least 2 components are needed to be unmixed, but n_components is 1.",
            hint="Take more channels: one component is no decomposition.",
        )
    estimator.set_params(n_components=n)
    estimator._fit_channels(samples.data, weights, scale)
    model = estimator.model_
    if not known.all():
        posteriors = np.where(known, model.fitted_posteriors, np.nan)
        estimator._take(replace(model, fitted_posteriors=posteriors))
    fitted = FittedIca(
        estimator.model_,
        info=info,
        fit_type="raw" if isinstance(inst, mne.io.BaseRaw) else "epc",
        used=samples.used,
        starts=samples.starts,
        rest=measure_rest(model.whitener, samples.data, samples.used),
    )
    return estimator, fitted


def _pick_n_components(
    wanted: int | None, info: mne.Info, samples: Samples, scale: np.ndarray
) -> int | None:
    """Hold what is asked for against the rank that the recording's history says."""
    told = count_rank(info)
    if wanted is not None:
        check_count("n_components", wanted)
        if wanted > told:
            raise RankError(
                f"n_components must be at most the rank of the recording, {told}, but "
                f"got {wanted}; projectors, bad or flat channels and Maxwell filtering "
                "lower it.",
                hint="Pass n_components=None to use the rank.",
            )
        return wanted
    if told == len(samples.data):
        return None
    weights = samples.used.astype(float)
    found = fit_whitener(samples.data, weights=weights, scale=scale).variances
    return min(told, len(found))
