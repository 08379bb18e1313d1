"""What a network and the rules of EOG, ECG, muscle and mains each say of components."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mne
import numpy as np
from jaxtyping import Float

from meegic.base.checks import check_range
from meegic.base.errors import InputError
from meegic.labels.edge.activations import read_activations
from meegic.labels.edge.decomposition import decompose, list_models
from meegic.labels.edge.labelling import label_components
from meegic.labels.edge.suitability import check_arguments
from meegic.labels.result import ComponentLabels, Vote
from meegic.math.spectra import Spectrum, welch_power

LINE_SHARE = 0.5
"""Of a component's power: from there on it is line noise."""

_Z = 3.0  # MNE's threshold: so many deviations no one of 10 components can be off
_FEW = 10
_SHARED = 0.5  # of the variance, that a component and a channel then must share
_WINDOW_S = 2.0  # of the spectra, at most
_LINE_WIDTH, _FLANK = 1.0, 4.0  # Hz around the line, that are its own and that are not


def combine_labels(
    inst: Any,
    ica: mne.preprocessing.ICA,
    *,
    labels: ComponentLabels | None = None,
    eog_ch: str | list[str] | None = None,
    ecg_ch: str | None = None,
    line_freq: float | None = None,
    reject_by_annotation: bool = True,
) -> ComponentLabels:
    """Ask a network and rules what every component is, and keep who said what.

    The rules are those of MNE for EOG, ECG and muscle, and one for the mains: a
    component is line noise when half of its power stands out at the line frequency. A
    rule without its channel or frequency is left out. Of up to 10 components, none can
    be an outlier as MNE sees it; then half of its variance must be that of the EOG.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording that was decomposed.
    ica : mne.preprocessing.ICA
        Fitted; it stays as it is.
    labels : ComponentLabels | None
        What a network said; ``None`` asks ICLabel for EEG, or else MEGNet.
    eog_ch, ecg_ch : str | None
        Channels for the rules; ``None`` takes those of that type.
    line_freq : float | None
        In Hz; ``None`` takes that of ``inst.info``.
    reject_by_annotation : bool
        Whether spans that are marked as bad are left out.

    Returns
    -------
    ComponentLabels
        The labels of the network, with ``votes``: for every component who said what.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=10, n_bad_channels=0)
    >>> raw = raw.filter(1, 100, verbose=False).set_eeg_reference(verbose=False)
    >>> options = {"method": "infomax", "fit_params": {"extended": True}}
    >>> ica = mne.preprocessing.ICA(4, max_iter=9, **options, verbose="error")
    >>> ica = ica.fit(raw, verbose="error")
    >>> labels = combine_labels(raw, ica, line_freq=50)
    >>> sorted(labels.votes[0])
    ['ecg', 'eog', 'iclabel', 'line', 'muscle']
    """
    check_arguments(inst, None)
    models = list(list_models(ica))
    if len(models) > 1:
        raise InputError(
            f"votes are for one model, but ica has {len(models)}.",
            hint="Pass one of them: ica.get_mne_ica(0).",
        )
    ica = copy.copy(models[0])  # the rules of MNE write into it
    ica.labels_ = {}
    if labels is None:
        kinds = ica.info.get_channel_types()
        labels = label_components(
            inst, ica, "iclabel" if "eeg" in kinds else "megnet",
            reject_by_annotation=reject_by_annotation,
        )  # fmt: skip
    if labels.proba.shape[:-1] != (ica.n_components_,):
        raise InputError(
            f"labels must be for the {ica.n_components_} components of the ICA, but "
            f"their probabilities have the shape {labels.proba.shape}."
        )
    said = {labels.method: _list_network(labels)}
    said |= _ask_mne(inst, ica, eog_ch, ecg_ch, reject_by_annotation)
    line_freq = inst.info["line_freq"] if line_freq is None else line_freq
    if line_freq is not None:
        said["line"] = _ask_line(inst, ica, line_freq, reject_by_annotation)
    votes = tuple(
        {rule: one[k] for rule, one in said.items()} for k in range(ica.n_components_)
    )
    return replace(labels, votes=votes)


def measure_line(
    spectrum: Spectrum, line_freq: float
) -> Float[np.ndarray, " components"]:
    """Compute the share of the power that stands out at the line and its harmonics.

    Parameters
    ----------
    spectrum : Spectrum
        Of the components.
    line_freq : float
        In Hz.

    Returns
    -------
    array, shape (n_components,)
        Power within 1 Hz of these frequencies, above the density up to 4 Hz around
        them, over all power.

    Examples
    --------
    >>> times = np.arange(2000) / 250
    >>> noise = np.random.default_rng(0).normal(size=(2, 2000))
    >>> noise[1] += 3 * np.sin(2 * np.pi * 50 * times)
    >>> measure_line(welch_power(noise, 250.0, window_s=2.0), 50.0).round(1)
    array([0. , 0.8])
    """
    freqs, power = spectrum.freqs, spectrum.power
    total = power.sum(axis=-1)
    excess = np.zeros_like(total)
    for line in np.arange(line_freq, freqs[-1] - _LINE_WIDTH, line_freq):
        distance = np.abs(freqs - line)
        own = distance <= _LINE_WIDTH
        flank = ~own & (distance <= _FLANK)
        floor = np.median(power[..., flank], axis=-1)
        excess += (power[..., own] - floor[..., None]).sum(axis=-1)
    return np.maximum(excess, 0) / total


def _list_network(labels: ComponentLabels) -> list[Vote]:
    scores = labels.y_pred_proba.tolist()
    return [Vote(*one) for one in zip(labels.labels, scores, strict=True)]


def _ask_mne(
    inst: Any,
    ica: mne.preprocessing.ICA,
    eog_ch: str | list[str] | None,
    ecg_ch: str | None,
    reject_by_annotation: bool,
) -> Mapping[str, list[Vote]]:
    """Ask the detectors of MNE for which there is a channel."""
    said: dict[str, list[Vote]] = {}
    options = {"reject_by_annotation": reject_by_annotation, "verbose": "error"}
    if eog_ch is not None or "eog" in inst:
        measure, limit = "zscore", _Z
        if ica.n_components_ <= _FEW:
            measure, limit = "correlation", np.sqrt(_SHARED)
        found, scores = ica.find_bads_eog(
            inst, ch_name=eog_ch, measure=measure, threshold=limit, **options
        )
        said["eog"] = _list_votes("eye blink", found, scores)
    if ecg_ch is not None or "ecg" in inst or "mag" in inst:
        found, scores = ica.find_bads_ecg(inst, ch_name=ecg_ch, **options)
        said["ecg"] = _list_votes("heart beat", found, scores)
    found, scores = ica.find_bads_muscle(inst, verbose="error")
    said["muscle"] = _list_votes("muscle artifact", found, scores)
    return said


def _list_votes(label: str, found: Any, scores: Any) -> list[Vote]:
    """Take MNE's numbers; of several channels the one that says most."""
    best = np.abs(np.atleast_2d(scores)).max(axis=0).tolist()
    chosen = {int(one) for one in found}
    return [Vote(label if k in chosen else None, one) for k, one in enumerate(best)]


def _ask_line(
    inst: Any, ica: mne.preprocessing.ICA, line_freq: float, reject_by_annotation: bool
) -> list[Vote]:
    sfreq = float(inst.info["sfreq"])
    check_range(
        "line_freq", line_freq, low=_FLANK, high=sfreq / 2 - _LINE_WIDTH,
        open_high=True, unit="Hz",
    )  # fmt: skip
    found = decompose(ica)
    activations = read_activations(
        inst, found.names, found.unmixing, reject_by_annotation=reject_by_annotation
    )
    values = activations.join() if activations.stretches else activations.values
    window_s = min(_WINDOW_S, values.shape[-1] / sfreq)
    votes = []
    for row in values:
        spectrum = welch_power(np.atleast_2d(row), sfreq, window_s=window_s)
        mean = Spectrum(spectrum.freqs, spectrum.power.mean(axis=0))
        share = float(measure_line(mean, line_freq))
        votes.append(Vote("line noise" if share >= LINE_SHARE else None, share))
    return votes
