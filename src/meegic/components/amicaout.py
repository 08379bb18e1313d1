"""The content of a folder that Fortran AMICA writes, and the model that it tells."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from meegic.base.arrays import Array
from meegic.base.checks import check_finite, check_shape
from meegic.base.errors import FileFormatError
from meegic.base.record import make_record
from meegic.components.model import (
    AmicaModel,
    History,
    compute_scaled_maps,
    order_parameters,
)
from meegic.components.parameters import AmicaParameters, rescale
from meegic.components.whiten import Whitener

_FLOOR = 1e-30  # of a weight, whose logarithm is taken
_SUM_TOLERANCE = 1e-6  # weights are normalized in float64


@dataclass(frozen=True, eq=False)
class AmicaOutput:
    """The content of an ``amicaout`` folder, in its own order and scaling.

    A column of the densities is that of component ``i`` of model ``h`` where
    ``component_list[h, i]`` says so; models that share a component name the same one.

    Attributes
    ----------
    weight : array, shape (n_models,)
        The file ``gm``: how often each model holds.
    unmix : array, shape (n_models, n_components, n_components)
        ``W``, from sphered data to sources.
    sphere : array, shape (n_channels, n_channels)
        ``S``, of which the first ``n_components`` rows are used.
    mean : array, shape (n_channels,)
        Mean of every channel.
    center : array, shape (n_models, n_components)
        ``c``, in the space of the sphered data.
    alpha, mu, beta, rho : array, shape (n_mix, n_densities)
        Weights, locations, inverse scales (``sbeta``) and shapes of the terms.
    component_list : array of int, shape (n_models, n_components)
        ``comp_list``, but counted from 0.
    mixing : array, shape (n_components, n_densities) | None
        ``A``, from sources to sphered data.
    log_likelihood : array, shape (n_iter,) | None
        ``LL``; iterations that did not take place are 0.
    gradient : array, shape (n_iter, n_densities) | None
        ``nd``, the squared length of the step of every column of ``A``.
    scores : array, shape (n_models + 1, n_times) | None
        ``LLt``, the log joint density of every model and sample, and in the last row
        that of all models; 0 at rejected samples.
    """

    weight: Float[np.ndarray, " models"]
    unmix: Float[np.ndarray, "models components components"]
    sphere: Float[np.ndarray, "channels channels"]
    mean: Float[np.ndarray, " channels"]
    center: Float[np.ndarray, "models components"]
    alpha: Float[np.ndarray, "mixtures densities"]
    mu: Float[np.ndarray, "mixtures densities"]
    beta: Float[np.ndarray, "mixtures densities"]
    rho: Float[np.ndarray, "mixtures densities"]
    component_list: Int[np.ndarray, "models components"]
    mixing: Float[np.ndarray, "components densities"] | None = None
    log_likelihood: Float[np.ndarray, " iterations"] | None = None
    gradient: Float[np.ndarray, "iterations densities"] | None = None
    scores: Float[np.ndarray, "models_and_all times"] | None = None

    def to_model(self, *, scale: Float[Array, " channels"] | None = None) -> AmicaModel:
        """Make the model, in the order and scaling in which EEGLAB shows it.

        Models come by descending weight, components by descending variance, maps have
        unit length. Other than EEGLAB's, their largest entry is always positive.

        Parameters
        ----------
        scale : array, shape (n_channels,) | None
            What channels are multiplied by to have the unit of the folder: 1e6 where
            data are in V and the folder was made from uV. ``None``: they have it.

        Returns
        -------
        AmicaModel
            The model. The folder does not tell why its fit ended, nor the likelihood
            of parameters that were updated once more after the last iteration;
            ``log_likelihood`` is the last that is stored. ``fitted_posteriors`` come
            from ``scores``, and are NaN at rejected samples.
        """
        n_components = self.unmix.shape[1]
        whitener = _make_whitener(self.mean, self.sphere[:n_components], scale)
        gathered = self._gather()
        parameters = order_parameters(whitener, gathered)
        history = self._make_history()
        n_iter = history.log_likelihood.size
        last = float(history.log_likelihood[-1]) if n_iter else math.nan
        posteriors = self._compute_posteriors()
        models = np.argsort(-gathered.weight, kind="stable")
        return AmicaModel(
            whitener=whitener,
            parameters=normalize_maps(whitener, parameters),
            fitted_posteriors=posteriors[models],
            rejected=np.isnan(posteriors[0]),
            history=history,
            log_likelihood=last,
            n_evals=n_iter,
            converged=False,
            stop_reason="unknown",
            solver="em",
            kernel="amicaout",
            restarts=np.array([last]),
            record=make_record({"source": "amicaout"}),
        )

    def _gather(self) -> AmicaParameters:
        """Give each model its densities; terms and models without weight keep none."""
        alpha, mu, beta, rho = (
            one[:, self.component_list].transpose(1, 0, 2)
            for one in (self.alpha, self.mu, self.beta, self.rho)
        )
        used = alpha > 0
        return AmicaParameters(
            unmix=self.unmix,
            center=self.center,
            weight=np.maximum(self.weight, _FLOOR),
            alpha=np.maximum(alpha, _FLOOR),
            mu=np.where(used, mu, 0.0),
            beta=np.where(used, beta, 1.0),
            rho=np.where(used, rho, 2.0),
        )

    def _compute_posteriors(self) -> np.ndarray:
        if self.scores is None:
            return np.zeros((len(self.weight), 0))
        each, total = self.scores[:-1], self.scores[-1]
        return np.where(total == 0, np.nan, np.exp(each - total))

    def _make_history(self) -> History:
        stored = np.zeros(0) if self.log_likelihood is None else self.log_likelihood
        likelihood = np.trim_zeros(stored, "b")
        n_iter = likelihood.size
        norm = unknown = np.full(n_iter, np.nan)
        if self.gradient is not None and self.log_likelihood is not None:
            used = self.gradient[:n_iter, np.unique(self.component_list)]
            norm = np.sqrt(used.mean(axis=1) / self.unmix.shape[1])
        return History(
            log_likelihood=likelihood,
            gradient_norm=norm,
            rate=unknown,
            seconds=unknown,
        )


def make_output(
    model: AmicaModel, *, scores: Float[Array, "models times"] | None = None
) -> AmicaOutput:
    """Make what an ``amicaout`` folder holds from a model.

    Parameters
    ----------
    model : AmicaModel
        The model.
    scores : array, shape (n_models, n_times) | None
        What ``model.score_models(data)`` gives for the data of the fit.

    Returns
    -------
    AmicaOutput
        In the unit of the scaled data, so that likelihoods and the order of components
        are those of the model.

    Examples
    --------
    >>> eye, one = np.eye(2), np.ones((1, 2))
    >>> output = AmicaOutput(
    ...     *(one[0, :1], eye[None], eye, one[0], 0 * one),  # gm, W, S, mean, c
    ...     *(one, one, one, one, np.array([[0, 1]])),  # densities, and whose they are
    ... )
    >>> make_output(output.to_model()).mixing
    array([[1., 0.],
           [0., 1.]])
    """
    whitener, parameters = model.whitener, model.parameters
    likelihood = model.history.log_likelihood
    n, n_channels = whitener.forward.shape
    sphere = np.zeros((n_channels, n_channels))
    sphere[:n] = np.asarray(whitener.forward) / whitener.scale

    def spread(one: Array) -> np.ndarray:
        by_term = np.asarray(one).transpose(1, 0, 2)
        return by_term.reshape(len(by_term), -1)

    return AmicaOutput(
        weight=np.asarray(parameters.weight),
        unmix=np.asarray(parameters.unmix),
        sphere=sphere,
        mean=np.asarray(whitener.mean) * np.asarray(whitener.scale),
        center=np.asarray(parameters.center),
        alpha=spread(parameters.alpha),
        mu=spread(parameters.mu),
        beta=spread(parameters.beta),
        rho=spread(parameters.rho),
        component_list=np.arange(model.n_models * n).reshape(-1, n),
        mixing=np.concatenate(np.linalg.inv(parameters.unmix), axis=1),
        log_likelihood=likelihood if likelihood.size else None,
        gradient=None,
        scores=None if scores is None else _add_total(model, np.asarray(scores)),
    )


def normalize_maps(whitener: Whitener, parameters: AmicaParameters) -> AmicaParameters:
    """Give every sensor map unit length, without change of likelihood.

    Parameters
    ----------
    whitener : Whitener
        From channels to the space of the parameters.
    parameters : AmicaParameters
        In any scaling of the sources.

    Returns
    -------
    AmicaParameters
        The same model; its sources have the unit of the scaled channels.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> eye, one = np.eye(2), np.ones(2)
    >>> twice = Whitener(one, eye / 2, 2 * eye, eye, 4 * one, one, -np.log(4))
    >>> normalize_maps(twice, draw_parameters(2)).unmix[0]
    array([[2., 0.],
           [0., 2.]])
    """
    maps = compute_scaled_maps(whitener, parameters)
    return rescale(parameters, np.linalg.norm(maps, axis=1))


def check_output(where: str, output: AmicaOutput) -> None:
    """Refuse numbers that cannot be those of a fitted model.

    Parameters
    ----------
    where : str
        The folder, or what else the numbers were found in.
    output : AmicaOutput
        Arrays whose shapes fit each other.

    Raises
    ------
    FileFormatError
        What cannot be, by the name of its file.

    Examples
    --------
    >>> eye, one = np.eye(2), np.ones((1, 2))
    >>> output = AmicaOutput(
    ...     *(one[0, :1], eye[None], eye, one[0], 0 * one),  # gm, W, S, mean, c
    ...     *(one, one, one, 0 * one, np.array([[0, 1]])),  # densities: no shape
    ... )
    >>> check_output("here", output)
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: here: 'rho' must be positive. ...
    """
    alpha, beta, rho = (
        one[:, output.component_list] for one in (output.alpha, output.beta, output.rho)
    )
    n = output.unmix.shape[1]
    used = alpha > 0
    faults = {
        "'gm' must be weights that sum to 1": not _are_weights(output.weight),
        "'alpha' must be weights that sum to 1": not _are_weights(alpha),
        "'sbeta' must be positive": not (beta[used] > 0).all(),
        "'rho' must be positive": not (rho[used] > 0).all(),
        "'W' must have independent rows": not _is_regular(output.unmix),
        f"'S' must have {n} independent rows": not _is_regular(output.sphere[:n]),
    }
    for fault, found in faults.items():
        if found:
            raise FileFormatError(
                f"{where}: {fault}.",
                hint="It is damaged, or not of AMICA; copy it from where it is whole.",
            )


def _are_weights(weights: np.ndarray) -> bool:
    off = np.abs(weights.sum(axis=0) - 1).max()
    return bool(weights.min() >= 0 and off < _SUM_TOLERANCE)


def _is_regular(matrix: np.ndarray) -> bool:
    sizes = np.linalg.svd(matrix, compute_uv=False)
    limit = matrix.shape[-1] * np.finfo(float).eps * sizes[..., 0]
    return bool((sizes[..., -1] > limit).all())


def _make_whitener(
    mean: np.ndarray, sphere: np.ndarray, scale: Array | None
) -> Whitener:
    """Take the sphering for one that whitens: it tells the covariance, then."""
    scale = np.ones(len(mean)) if scale is None else np.asarray(scale, dtype=float)
    check_shape("scale", scale, mean.shape)
    left, sizes, right = np.linalg.svd(sphere, full_matrices=False)
    return Whitener(
        mean=mean / scale,
        forward=sphere * scale,
        inverse=(right.T / sizes) @ left.T / scale[:, None],
        directions=right[::-1].T,
        variances=1 / sizes[::-1] ** 2,
        scale=scale,
        log_determinant=float(np.log(sizes).sum()),
    )


def _add_total(model: AmicaModel, scores: np.ndarray) -> np.ndarray:
    check_shape("scores", scores, (model.n_models, model.rejected.size or None))
    check_finite("scores", scores)
    total = np.logaddexp.reduce(scores, axis=0)
    full = np.concatenate([scores, total[None]])
    full[:, np.flatnonzero(model.rejected)] = 0.0
    return full
