"""EEGLAB's ``.set`` files with several models: ours open there, theirs open here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mne
import numpy as np
from jaxtyping import Float
from scipy.io import savemat

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_shape, list_words
from meegic.base.errors import DataWarning, FileFormatError, InputError
from meegic.base.files import check_target, export_atomically
from meegic.base.record import make_record
from meegic.components.edge.eeglab_fields import (
    KINDS,
    MICRO,
    make_recording_fields,
    refuse_kinds,
)
from meegic.components.edge.eeglab_reading import (
    DAMAGE,
    blame_damage,
    load_fields,
    read_count,
)
from meegic.components.edge.fitted import FittedIca
from meegic.components.edge.mne_ica import measure_rest
from meegic.components.edge.samples import Samples, find_channels, take_samples
from meegic.components.eeglab_set import make_set_fields, parse_set_fields
from meegic.components.inspection import hash_data
from meegic.components.model import AmicaModel
from meegic.components.options import AmicaOptions

_MARKS = "excluded"  # a field of ours: EEGLAB has marks for one model only


def write_set(
    path: Path | str,
    inst: Any,
    fitted: FittedIca,
    *,
    model_idx: int = 0,
    scores: Float[Array, "models times"] | None = None,
    excluded: Sequence[Sequence[int]] = (),
) -> Path:
    """Write a recording with its decomposition as a data set that EEGLAB opens.

    Parameters
    ----------
    path : path
        ``.set`` is added when it is missing.
    inst : mne.io.Raw | mne.Epochs
        The recording, with the channels of the fit, in any order. Other channels come
        along, but those of MEG.
    fitted : FittedIca
        The fit. All its models go to ``etc.amica``.
    model_idx : int
        The model that EEGLAB shows.
    scores : array, shape (n_models, n_times) | None
        What `score_recording` gives, for EEGLAB to know when each model holds; NaN
        where a sample was rejected or is not known.
    excluded : sequence of int
        Components of that model that EEGLAB marks for rejection.

    Returns
    -------
    Path
        Of the file that was written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meegic import AmicaICA
    >>> data = 1e-5 * np.random.default_rng(0).laplace(size=(3, 900))
    >>> info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> fitted = AmicaICA(random_state=0, verbose=False).fit(raw)._fit
    >>> with TemporaryDirectory() as folder:
    ...     path = write_set(f"{folder}/a", raw, fitted)
    ...     mne.preprocessing.read_ica_eeglab(path, verbose="error").n_components_
    3
    """
    if not isinstance(inst, (mne.io.BaseRaw, mne.BaseEpochs)):
        raise TypeError(
            f"inst must be an mne Raw or Epochs, but got {type(inst).__name__}."
        )
    path = Path(path)
    if path.suffix != ".set":
        path = path.with_name(f"{path.name}.set")
    check_target(path)
    refuse_kinds(fitted.info.get_channel_types())
    picks = _pick_kinds(inst)
    where = {k: row for row, k in enumerate(picks)}
    channels = [where[int(k)] for k in find_channels(inst, fitted.channels)]
    model, scores = _express_in_microvolts(fitted.model, scores, _count_times(inst))
    ica = make_set_fields(model, model_idx=model_idx, channels=channels, scores=scores)
    marks = np.zeros((model.n_components, model.n_models))
    for h, some in enumerate(excluded):
        for one in some:
            check_count("excluded", one, low=0, high=model.n_components - 1)
            marks[one, h] = 1
    ica["etc"]["amica"][_MARKS] = marks
    fields = {
        "setname": path.stem,
        "filename": path.name,
        **make_recording_fields(inst, picks),
        **ica,
        "reject": {"gcompreject": marks[:, model_idx]},
    }
    export_atomically(
        path, lambda place: savemat(place, {"EEG": fields}, appendmat=False)
    )
    return path


def read_set(path: Path | str) -> FittedIca:
    """Read the results of AMICA that a data set of EEGLAB holds.

    Parameters
    ----------
    path : path
        The ``.set``, with ``etc.amica``, as `write_set` and EEGLAB's loader of AMICA
        leave it.

    Returns
    -------
    FittedIca
        The fit, in SI units. Probabilities are NaN where the file tells none.

    Examples
    --------
    >>> read_set("missing.set")
    Traceback (most recent call last):
    meegic.base.errors.InputError: no such file: missing.set. ...
    """
    path = Path(path)
    fields = load_fields(path)
    output = _parse(path, fields)
    channels = _place_channels(path, fields, len(output.mean))
    inst = _open_recording(path, fields)
    info = mne.pick_info(inst.info, channels)
    model = output.to_model(scale=np.full(len(channels), MICRO))
    samples = take_samples(inst, info["ch_names"])
    model = _put_on_grid(path, model, samples)
    options = AmicaOptions(
        n_components=model.n_components,
        n_models=model.n_models,
        n_mix=output.alpha.shape[0],
        do_reject=bool(model.rejected.any()),
    )
    return FittedIca(
        replace(model, record=make_record(asdict(options) | {"source": "etc.amica"})),
        info=info,
        fit_type="raw" if isinstance(inst, mne.io.BaseRaw) else "epc",
        used=samples.used,
        starts=samples.starts,
        rest=measure_rest(model.whitener, samples.data, samples.used),
    )


def read_marks(path: Path | str, model: AmicaModel) -> list[list[int]]:
    """Read which components EEGLAB marks for rejection.

    Parameters
    ----------
    path : path
        The ``.set`` that the model is from.
    model : AmicaModel
        What `read_set` made of it.

    Returns
    -------
    list of list of int
        Components of each model. Marks belong to the model that EEGLAB shows; they are
        left out where it shows something else.

    Examples
    --------
    >>> from meegic.components.amica import fit_amica
    >>> model = fit_amica(np.random.default_rng(0).laplace(size=(2, 1000)))
    >>> read_marks("missing.set", model)
    Traceback (most recent call last):
    meegic.base.errors.InputError: no such file: missing.set. ...
    """
    fields = load_fields(Path(path))
    stored = np.asarray(fields["etc"]["amica"].get(_MARKS, []))
    marks: list[list[int]] = [[] for _ in range(model.n_models)]
    if stored.size == model.n_components * model.n_models:
        by_model = stored.reshape(model.n_components, -1).T
        marks = [np.flatnonzero(one).tolist() for one in by_model]
    reject = fields.get("reject")
    given = np.ravel(reject.get("gcompreject", [])) if isinstance(reject, dict) else []
    if not np.size(given):
        return marks
    shown = np.atleast_2d(fields["icaweights"]) @ np.atleast_2d(fields["icasphere"])
    filters = model.filters
    if shown.shape != filters.shape[1:] or len(given) != model.n_components:
        return marks
    shown = shown / np.linalg.norm(shown, axis=1, keepdims=True)
    filters = filters / np.linalg.norm(filters, axis=2, keepdims=True)
    alike = np.abs(np.einsum("hic,jc->hij", filters, shown))
    found = alike.argmax(axis=2)
    h = int(alike.max(axis=2).min(axis=1).argmax())
    if alike[h].max(axis=1).min() > 1 - 1e-6:
        marks[h] = [k for k, j in enumerate(found[h]) if given[j]]
    return marks


def score_recording(fitted: FittedIca, inst: Any) -> Float[np.ndarray, "models times"]:
    """Compute the log joint density of every model and sample of a recording.

    Parameters
    ----------
    fitted : FittedIca
        The fit.
    inst : mne.io.Raw | mne.Epochs
        With its channels, in any order.

    Returns
    -------
    array, shape (n_models, n_times)
        NaN where a channel is not finite, and where the fit rejected a sample if this
        is its recording.

    Examples
    --------
    >>> from meegic import AmicaICA
    >>> data = 1e-5 * np.random.default_rng(0).laplace(size=(3, 900))
    >>> info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> fitted = AmicaICA(random_state=0, verbose=False).fit(raw)._fit
    >>> score_recording(fitted, raw).shape
    (1, 900)
    """
    samples = take_samples(inst, fitted.channels)
    known = samples.known
    samples.data[:, ~known] = 0.0
    scores = fitted.model.score_models(samples.data)
    scores[:, ~known] = np.nan
    rejected = fitted.model.rejected
    if rejected.any() and rejected.size == known.size:
        digest = hash_data(samples.data, fitted.used.astype(float))
        if digest == fitted.model.record.input_digest:
            scores[:, rejected] = np.nan
    return scores


def _pick_kinds(inst: Any) -> list[int]:
    """Pick the channels that readers of a ``.set`` will not take for others."""
    kinds = inst.info.get_channel_types()
    odd = sorted(set(kinds) - set(KINDS))
    if odd:
        warn_user(
            f"channels of type {list_words(odd)} are left out: a .set cannot tell them "
            "from EEG.",
            DataWarning,
        )
    return [k for k, one in enumerate(kinds) if one in KINDS]


def _count_times(inst: Any) -> int:
    n_epochs = 1 if isinstance(inst, mne.io.BaseRaw) else len(inst)
    return n_epochs * len(inst.times)


def _express_in_microvolts(
    model: AmicaModel, scores: Array | None, n_times: int
) -> tuple[AmicaModel, np.ndarray | None]:
    """Give all channels EEGLAB's unit, and the likelihood with them.

    A fit of several types of channels brings them to one size, which no file tells.
    """
    white, n = model.whitener, model.n_components
    if (white.scale != MICRO).any():
        sizes = np.linalg.svd(np.asarray(white.forward) / MICRO, compute_uv=False)
        volume = float(np.log(sizes).sum())
        shift = volume - white.log_determinant
        history = replace(
            model.history, log_likelihood=model.history.log_likelihood + shift / n
        )
        scale = np.full(len(white.mean), MICRO)
        white = replace(white, scale=scale, log_determinant=volume)
        model = replace(model, whitener=white, history=history)
        scores = None if scores is None else np.asarray(scores) + shift
    if scores is None:
        return model, None
    scores = np.asarray(scores)
    check_shape("scores", scores, (model.n_models, n_times))
    unknown = np.isnan(scores).any(axis=0)
    empty = np.full(scores.shape, np.nan)  # the recording need not be that of the fit
    model = replace(model, rejected=unknown, fitted_posteriors=empty)
    return model, np.where(unknown, 0.0, scores)


def _parse(path: Path, fields: Mapping[str, Any]) -> Any:
    etc = fields.get("etc")
    if not isinstance(etc, Mapping) or not isinstance(etc.get("amica"), Mapping):
        raise FileFormatError(
            f"{path} has no results of AMICA: etc.amica is missing.",
            hint="Read a plain ICA with mne.preprocessing.read_ica_eeglab, or load the "
            "folder amicaout in EEGLAB and save the data set.",
        )
    try:
        return parse_set_fields(fields)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error.message}", hint=error.hint) from error


def _place_channels(
    path: Path, fields: Mapping[str, Any], n_channels: int
) -> list[int]:
    """Find the channels of the models among those of the data set, from 0."""
    n_all = read_count(path, fields, "nbchan")
    numbers = np.ravel(fields.get("icachansind", [])).astype(float)
    if not numbers.size and n_all == n_channels:
        return list(range(n_all))
    places = numbers.astype(int) - 1
    whole = (numbers == places + 1).all() and len(set(places.tolist())) == n_channels
    if not whole or len(places) != n_channels or not set(places) <= set(range(n_all)):
        raise FileFormatError(
            f"{path}: icachansind must name {n_channels} of {n_all} channels, those "
            f"of etc.amica, but it is {numbers.tolist()}.",
            hint="Load the folder amicaout again in EEGLAB, for the channels that "
            "AMICA got.",
        )
    return places.tolist()


def _open_recording(path: Path, fields: Mapping[str, Any]) -> Any:
    try:
        if read_count(path, fields, "trials") > 1:
            return mne.io.read_epochs_eeglab(path, verbose="error")
        return mne.io.read_raw_eeglab(path, verbose="error")
    except FileNotFoundError as error:
        raise InputError(
            f"{path} has its samples in another file, which is missing.",
            hint="Copy the .fdt beside the .set.",
        ) from error
    except (*DAMAGE, AttributeError, IndexError) as error:
        raise blame_damage(path, error) from error


def _put_on_grid(path: Path, model: AmicaModel, samples: Samples) -> AmicaModel:
    """Give the model a probability for each sample of the data set, known or not."""
    n_times, stored = samples.used.size, model.fitted_posteriors
    if stored.shape[1] == n_times:
        return replace(model, rejected=model.rejected & samples.known)
    if stored.shape[1]:
        warn_user(
            f"{path}: etc.amica has probabilities for {stored.shape[1]} samples, but "
            f"the data set has {n_times}: they are left out. predict_proba computes "
            "them anew.",
            DataWarning,
        )
    return replace(
        model,
        fitted_posteriors=np.full((model.n_models, n_times), np.nan),
        rejected=np.zeros(n_times, dtype=bool),
    )
