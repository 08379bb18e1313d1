"""Naming the components of a recording."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mne
import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.errors import DataWarning
from meegic.base.npz import hash_arrays
from meegic.base.record import Record, make_record
from meegic.labels.classes import get_vocabulary
from meegic.labels.edge.decomposition import list_models
from meegic.labels.edge.features import compute_iclabel
from meegic.labels.edge.sources import (
    Sources,
    read_iclabel_sources,
    read_megnet_sources,
)
from meegic.labels.edge.suitability import check_arguments
from meegic.labels.edge.writing import write_labels
from meegic.labels.iclabel import IclabelFeatures, run_iclabel
from meegic.labels.megnet import run_megnet
from meegic.labels.networks import load_network
from meegic.labels.result import WINDOWS, ComponentLabels

_SHORTEST_S = 5.0  # that a model must be active, to be judged

Weights = Float[np.ndarray, "*epochs times"] | None


def label_components(
    inst: Any,
    ica: Any,
    method: str,
    *,
    compat: str | None = None,
    reject_by_annotation: bool = True,
) -> ComponentLabels:
    """Say what every component is: brain, blink, muscle, heart ...

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording that was decomposed. For ICLabel: EEG with an average reference,
        1 to 100 Hz. For MEGNet: a Raw with magnetometers, 250 Hz, 1 to 100 Hz.
    ica : mne.preprocessing.ICA | AmicaICA
        Fitted. Labels of ICLabel are written into its ``labels_`` and
        ``labels_scores_``, in the place of earlier ones.
    method : 'iclabel' | 'megnet'
        The network.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` gives the numbers of that package.
    reject_by_annotation : bool
        Whether spans whose description begins with bad or edge are left out.

    Returns
    -------
    ComponentLabels
        All probabilities of all components; also a mapping with the keys ``"labels"``
        and ``"y_pred_proba"``.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=10, n_bad_channels=0)
    >>> raw = raw.filter(1, 100, verbose=False).set_eeg_reference(verbose=False)
    >>> options = {"method": "infomax", "fit_params": {"extended": True}}
    >>> ica = mne.preprocessing.ICA(4, max_iter=9, **options, verbose="error")
    >>> labels = label_components(raw, ica.fit(raw, verbose="error"), "iclabel")
    >>> len(labels["labels"]), labels.proba.shape
    (4, (4, 7))
    """
    get_vocabulary(method)
    check_arguments(inst, compat)
    if method == "iclabel":
        labels = _label_iclabel(inst, ica, compat, reject_by_annotation)
        _write(ica, labels)
        return labels
    return _label_megnet(inst, ica, compat, reject_by_annotation)


def iclabel_label_components(
    inst: Any,
    ica: Any,
    inplace: bool = True,
    backend: str | None = None,
    *,
    compat: str | None = None,
    reject_by_annotation: bool = True,
) -> Float[np.ndarray, "*models components classes"]:
    """Compute how probable ICLabel finds each class for every component.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording that was decomposed: EEG with an average reference, 1 to 100 Hz.
    ica : mne.preprocessing.ICA | AmicaICA
        Fitted by extended infomax or the like.
    inplace : bool
        Whether labels are written into ``ica``, in the place of earlier ones.
    backend : None | 'onnx'
        The runtime is onnxruntime in any case.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` gives the numbers of that package.
    reject_by_annotation : bool
        Whether spans whose description begins with bad or edge are left out.

    Returns
    -------
    array, shape ([n_models,] n_components, 7)
        Brain, muscle artifact, eye blink, heart beat, line noise, channel noise, other.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=10, n_bad_channels=0)
    >>> raw = raw.filter(1, 100, verbose=False).set_eeg_reference(verbose=False)
    >>> options = {"method": "infomax", "fit_params": {"extended": True}}
    >>> ica = mne.preprocessing.ICA(4, max_iter=9, **options, verbose="error")
    >>> iclabel_label_components(raw, ica.fit(raw, verbose="error")).shape
    (4, 7)
    """
    check_arguments(inst, compat)
    labels = _label_iclabel(inst, ica, compat, reject_by_annotation, backend)
    if inplace:
        _write(ica, labels)
    return np.array(labels.proba)


def megnet_label_components(
    raw: mne.io.BaseRaw,
    ica: Any,
    *,
    inplace: bool = False,
    compat: str | None = None,
    reject_by_annotation: bool = True,
    model_path: Path | str | None = None,
) -> Float[np.ndarray, "*models components classes"]:
    """Compute how probable MEGNet finds each class for every component.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording that was decomposed: magnetometers, 250 Hz, 1 to 100 Hz, without
        line noise.
    ica : mne.preprocessing.ICA | AmicaICA
        Fitted.
    inplace : bool
        Whether labels are written into ``ica``, in the place of earlier ones.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` gives the numbers of that package.
    reject_by_annotation : bool
        Whether spans whose description begins with bad or edge are left out.
    model_path : path | None
        Other weights for the network, as an ONNX file.

    Returns
    -------
    array, shape ([n_models,] n_components, 4)
        Brain/other, eye blink, heart beat, eye movement.

    Examples
    --------
    >>> megnet_label_components(mne.EpochsArray, None)
    Traceback (most recent call last):
    TypeError: inst must be an mne.io.Raw or mne.Epochs, but got type.
    """
    check_arguments(raw, compat)
    labels = _label_megnet(raw, ica, compat, reject_by_annotation, model_path)
    if inplace:
        _write(ica, labels)
    return np.array(labels.proba)


def _label_iclabel(
    inst: Any,
    ica: Any,
    compat: str | None,
    reject_by_annotation: bool,
    backend: str | None = None,
) -> ComponentLabels:
    sfreq = float(inst.info["sfreq"])

    def look(
        model: mne.preprocessing.ICA, weights: Weights
    ) -> tuple[ComponentLabels, IclabelFeatures | None]:
        sources = read_iclabel_sources(
            inst, model, compat=compat, center=weights is not None,
            reject_by_annotation=reject_by_annotation,
        )  # fmt: skip
        labels = _start("iclabel", sources, weights)
        if not _is_active(sources, weights, sfreq):
            return labels, None
        features = compute_iclabel(sources, sfreq, weights=weights, compat=compat)
        record = _record(
            "iclabel", sources, sfreq,
            features=(features.images, features.psds, features.autocorrs),
            ica=model, compat=compat,
            reject_by_annotation=reject_by_annotation,
            scaling="as is" if compat else "RMS",
        )  # fmt: skip
        return replace(labels, record=record), features

    def judge(model: mne.preprocessing.ICA, weights: Weights) -> ComponentLabels:
        labels, features = look(model, weights)  # time courses are gone by now
        if features is None:
            return labels
        return replace(labels, proba=_ask_iclabel(features, backend))

    return _label_models(inst, ica, judge)


def _label_megnet(
    raw: Any,
    ica: Any,
    compat: str | None,
    reject_by_annotation: bool,
    model_path: Path | str | None = None,
) -> ComponentLabels:
    def judge(model: mne.preprocessing.ICA, weights: Weights) -> ComponentLabels:
        sources = read_megnet_sources(
            raw, model, compat=compat, reject_by_annotation=reject_by_annotation
        )
        labels = _start("megnet", sources, weights)
        sfreq = float(raw.info["sfreq"])
        if not _is_active(sources, weights, sfreq):
            return labels
        series = sources.activations.join()
        own = None if weights is None else weights[sources.activations.used]
        votes = run_megnet(
            series, sources.maps, sources.positions, compat=compat,
            sample_weights=own, model_path=model_path,
        )  # fmt: skip
        record = _record(
            "megnet", sources, sfreq, features=(series, sources.maps),
            ica=model, compat=compat,
            reject_by_annotation=reject_by_annotation,
            scaling="as is" if compat else "range", model_path=model_path,
        )  # fmt: skip
        return replace(
            labels, proba=votes.proba, window_proba=votes.window_proba,
            window_weights=votes.weights, record=record,
        )  # fmt: skip

    return _label_models(raw, ica, judge)


def _label_models(
    inst: Any, ica: Any, judge: Callable[[Any, Weights], ComponentLabels]
) -> ComponentLabels:
    """Label each model by the samples that it explains, and join what comes out."""
    models = list(list_models(ica))
    if len(models) == 1:
        return judge(models[0], None)
    shares = np.asarray(ica.predict_proba(inst), dtype=float)
    if isinstance(inst, mne.BaseEpochs):
        shares = shares.swapaxes(0, 1)
    shares = np.where(np.isfinite(shares), shares, 0.0)  # unknown where data are
    return _join([judge(model, one) for model, one in zip(models, shares, strict=True)])


def _join(labels: Sequence[ComponentLabels]) -> ComponentLabels:
    silent = [h for h, one in enumerate(labels) if one.record is None]
    if silent:
        warn_user(
            f"models {silent} are active for less than {_SHORTEST_S:g} s: their "
            "components have no label.",
            DataWarning,
        )
    records = [one.record for one in labels if one.record is not None]
    digests = np.array([one.input_digest for one in records])
    record = replace(records[0], input_digest=hash_arrays(digests)) if records else None
    return replace(labels[0], record=record, **_stack(labels))


def _stack(labels: Sequence[ComponentLabels]) -> dict[str, np.ndarray]:
    """Stack what each model has; NaN for the windows of a silent one."""
    stacked = {}
    for name in ("proba", "maps", "variance_explained", *WINDOWS):
        parts = [getattr(one, name) for one in labels]
        known = [one for one in parts if one is not None]
        if known:
            empty = np.full_like(known[0], np.nan)
            stacked[name] = np.stack([empty if one is None else one for one in parts])
    return stacked


def _start(method: str, sources: Sources, weights: Weights) -> ComponentLabels:
    """Give what is known of the components before the network is asked."""
    shape = (sources.maps.shape[1], len(get_vocabulary(method).classes))
    flat = None if weights is None else weights.ravel()
    return ComponentLabels(
        method, np.full(shape, np.nan), maps=sources.maps, info=sources.info,
        variance_explained=sources.explain_variance(flat),
    )  # fmt: skip


def _is_active(sources: Sources, weights: Weights, sfreq: float) -> bool:
    if weights is None:
        return True
    return bool(weights.ravel() @ sources.activations.used >= _SHORTEST_S * sfreq)


def _ask_iclabel(features: IclabelFeatures, backend: str | None) -> np.ndarray:
    """Ask about the components whose features are known; NaN for the others."""
    parts = (features.images, features.psds, features.autocorrs)
    known = np.all([np.isfinite(one).reshape(len(one), -1).all(1) for one in parts], 0)
    images, psds, autocorrs = (one[known] for one in parts)
    proba = np.full((len(known), len(get_vocabulary("iclabel").classes)), np.nan)
    proba[known] = run_iclabel(
        images[:, None], psds[:, None, None], autocorrs[:, None, None], backend
    )
    return proba


def _record(
    method: str,
    sources: Sources,
    sfreq: float,
    *,
    features: Sequence[np.ndarray],
    ica: mne.preprocessing.ICA,
    model_path: Path | str | None = None,
    **options: Any,
) -> Record:
    """Record what the labels were computed with, and the digest of what was seen."""
    network = load_network(method, model_path)
    options |= {
        "method": method,
        "ica_method": ica.method,
        "ica_converged": _has_converged(ica),
        "good_time_s": float(sources.activations.used.sum() / sfreq),
        "weights_sha256": network.digest,
        "weights_source": network.source,
        "onnxruntime": version("onnxruntime"),
    }
    return make_record(options, input_digest=hash_arrays(*features))


def _has_converged(ica: mne.preprocessing.ICA) -> bool | None:
    """Tell whether a fit ended before it had to; nothing where MNE does not know."""
    done = getattr(ica, "n_iter_", None)
    most = (ica.fit_params or {}).get("max_iter")
    return None if done is None or most is None else int(done) < int(most)


def _write(ica: Any, labels: ComponentLabels) -> None:
    for h, model in enumerate(list_models(ica)):
        write_labels(model, labels.method, labels.for_model(h).proba)
