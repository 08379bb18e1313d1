"""What an EEGLAB data set tells of its decomposition, as plain arrays.

Arrays have MATLAB's axes here, models last, as the structure in a ``.set`` has them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_count, list_words
from meegic.base.errors import FileFormatError, ShapeError
from meegic.components.amicaout import (
    AmicaOutput,
    check_output,
    make_output,
    normalize_maps,
)
from meegic.components.model import (
    AmicaModel,
    compute_scaled_maps,
    compute_sensor_variances,
)

_NEEDED = ("mod_prob", "W", "S", "data_mean", "c", "alpha", "mu", "sbeta", "rho")


def make_set_fields(
    model: AmicaModel,
    *,
    model_idx: int = 0,
    channels: Sequence[int] | None = None,
    scores: Float[Array, "models times"] | None = None,
) -> dict[str, Any]:
    """Make the fields of EEGLAB's ``EEG`` structure that a decomposition fills.

    Parameters
    ----------
    model : AmicaModel
        All its models go to ``etc.amica``.
    model_idx : int
        The one that the data set shows, in ``icaweights``, ``icasphere``, ``icawinv``.
    channels : sequence of int | None
        Which channels of the data set the model has, counted from 0; ``None``: all.
    scores : array, shape (n_models, n_times) | None
        What ``model.score_models(data)`` gives for all samples of the data set.

    Returns
    -------
    dict
        By name, in the unit of the scaled data, which for EEG is uV, as EEGLAB has it.

    Examples
    --------
    >>> eye, one = np.eye(2), np.ones((1, 2))
    >>> output = AmicaOutput(
    ...     *(one[0, :1], eye[None], eye, one[0], 0 * one),  # gm, W, S, mean, c
    ...     *(one, one, one, one, np.array([[0, 1]])),  # densities, and whose they are
    ... )
    >>> make_set_fields(output.to_model(), channels=[3, 5])["icachansind"]
    array([4., 6.])
    """
    check_count("model_idx", model_idx, low=0, high=model.n_models - 1)
    n_channels = len(model.whitener.mean)
    picked = list(range(n_channels)) if channels is None else list(channels)
    for one in picked:
        check_count("channels", one, low=0)
    if len(picked) != n_channels or len(set(picked)) != n_channels:
        raise ShapeError(
            f"channels must name each of the {n_channels} channels of the model once, "
            f"but got {picked}."
        )
    amica = _make_structure(model, scores)
    return {
        "icaweights": amica["W"][:, :, model_idx],
        "icasphere": amica["S"][: model.n_components],
        "icawinv": amica["A"][:, :, model_idx],
        "icachansind": np.asarray(picked, dtype=float) + 1,
        "etc": {"amica": amica},
    }


def parse_set_fields(fields: Mapping[str, Any]) -> AmicaOutput:
    """Take the models from the fields of EEGLAB's ``EEG`` structure.

    Parameters
    ----------
    fields : mapping
        With ``etc`` and in it ``amica``, as `make_set_fields` or EEGLAB's loader of
        AMICA made them. Axes of length 1 may be left out, as readers of ``.set`` do.

    Returns
    -------
    AmicaOutput
        What the folder would hold; ``.to_model()`` is the model.

    Raises
    ------
    FileFormatError
        There is no ``etc.amica``, or something in it is missing or does not fit.

    Examples
    --------
    >>> parse_set_fields({"icaweights": np.eye(2)})
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: etc.amica is missing. ...
    """
    etc = fields.get("etc")
    amica = etc.get("amica") if isinstance(etc, Mapping) else None
    if not isinstance(amica, Mapping):
        raise FileFormatError(
            "etc.amica is missing.",
            hint="Weights alone tell no densities: start a fit from them instead.",
        )
    missing = [name for name in _NEEDED if name not in amica]
    if missing:
        raise FileFormatError(
            f"etc.amica must hold the fields of EEGLAB's loader, but it has no "
            f"{list_words(missing)}.",
            hint="Load the folder amicaout in EEGLAB again, and save the data set.",
        )
    output = _parse_structure(amica)
    check_output("etc.amica", output)
    return output


def _make_structure(model: AmicaModel, scores: Array | None) -> dict[str, Any]:
    whitener = model.whitener
    parameters = normalize_maps(whitener, model.parameters)
    output = make_output(model, scores=scores)
    maps = compute_scaled_maps(whitener, parameters)
    terms = {
        name: np.asarray(getattr(parameters, name)).transpose(1, 2, 0)
        for name in ("alpha", "mu", "beta", "rho")
    }
    terms["sbeta"] = terms.pop("beta")
    likelihood = output.log_likelihood
    structure: dict[str, Any] = {
        "num_models": float(model.n_models),
        "mod_prob": output.weight[None],
        "W": np.asarray(parameters.unmix).transpose(1, 2, 0),
        "num_pcs": float(model.n_components),
        "data_dim": float(len(whitener.mean)),
        "data_mean": output.mean[:, None],
        "S": output.sphere,
        "comp_list": output.component_list.T + 1.0,
        "LL": np.zeros((1, 1)) if likelihood is None else likelihood[:, None],
        "c": output.center.T,
        **terms,
        "nd": 0.0,
        "svar": compute_sensor_variances(whitener, parameters).T,
        "A": maps.transpose(1, 2, 0),
        "origord": np.tile(
            np.arange(1.0, model.n_components + 1), (model.n_models, 1)
        ).T,
    }
    if output.scores is not None:
        each, total = output.scores[:-1], output.scores[-1:]
        structure |= {"Lht": each, "Lt": total, "v": (each - total) / np.log(10)}
    return structure


def _parse_structure(amica: Mapping[str, Any]) -> AmicaOutput:
    weight, mean = _take(amica, "mod_prob", -1), _take(amica, "data_mean", -1)
    n_models, n_channels = weight.size, mean.size
    n = int(np.sqrt(np.size(amica["W"]) / n_models))
    n_all = n * n_models
    unmix = _take(amica, "W", n, n, n_models).transpose(2, 0, 1)
    densities = {
        name: _take(amica, name, -1, n_all) for name in ("alpha", "mu", "sbeta", "rho")
    }
    if len({one.shape for one in densities.values()}) > 1:
        raise FileFormatError(
            "etc.amica must hold alpha, mu, sbeta and rho of one shape, but they have "
            f"{[one.shape for one in densities.values()]}."
        )
    likelihood = _take(amica, "LL", -1) if "LL" in amica else np.zeros(0)
    gradient, scores = None, None
    if np.size(amica.get("nd", 0)) > 1:
        gradient = _take(amica, "nd", likelihood.size, n_all)
    if "Lht" in amica and "Lt" in amica:
        each, total = _take(amica, "Lht", n_models, -1), _take(amica, "Lt", 1, -1)
        if each.shape[1] != total.shape[1]:
            raise FileFormatError(
                f"etc.amica must hold Lht and Lt of one length, but they have "
                f"{each.shape[1]} and {total.shape[1]} samples."
            )
        scores = np.concatenate([each, total])
    return AmicaOutput(
        weight=weight,
        unmix=unmix,
        sphere=_take(amica, "S", n_channels, n_channels),
        mean=mean,
        center=_take(amica, "c", n, n_models).T,
        alpha=densities["alpha"],
        mu=densities["mu"],
        beta=densities["sbeta"],
        rho=densities["rho"],
        component_list=np.arange(n_all).reshape(n_models, n),
        log_likelihood=likelihood if likelihood.any() else None,
        gradient=gradient,
        scores=scores,
    )


def _take(amica: Mapping[str, Any], name: str, *shape: int) -> np.ndarray:
    """Take a field in its full shape, in MATLAB's order of elements."""
    try:
        array = np.asarray(amica[name], dtype=float).reshape(shape, order="F")
    except (TypeError, ValueError) as error:
        words = ", ".join("any" if one < 0 else str(one) for one in shape)
        raise FileFormatError(
            f"etc.amica: {name!r} must be numbers of shape ({words}), but got an "
            f"array of shape {np.shape(amica[name])}.",
            hint="Load the folder amicaout in EEGLAB again, and save the data set.",
        ) from error
    if array.size == 0 or not np.isfinite(array).all():
        raise FileFormatError(
            f"etc.amica: {name!r} must hold finite numbers, at least one of them.",
            hint="The fit failed, or the file is damaged; run AMICA again.",
        )
    return array
