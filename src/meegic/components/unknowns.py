"""The unknowns of the joint solver: gradient, scaling, and a step within bounds."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meegic.components.em import floor_weights
from meegic.components.newton import (
    Curvature,
    compute_curvature,
    newton_direction,
)
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters, psi
from meegic.components.statistics import Statistics

_RHO_SCALE = 0.05  # EM's scaling of rho is twenty times too bold
_SMALLEST_ALPHA = 1e-8
_SMALLEST_SHARE = 1e-3


class Unknowns(NamedTuple):
    """A direction, gradient or displacement in all unknowns."""

    unmix: Float[np.ndarray, "models components components"]
    log_alpha: Float[np.ndarray, "models mixtures components"]
    mu: Float[np.ndarray, "models mixtures components"]
    log_beta: Float[np.ndarray, "models mixtures components"]
    rho: Float[np.ndarray, "models mixtures components"]
    log_weight: Float[np.ndarray, " models"]

    def flat(self) -> Float[np.ndarray, " unknowns"]:
        """Join all unknowns in one vector."""
        return np.concatenate([one.ravel() for one in self])

    def like(self, vector: Float[np.ndarray, " unknowns"]) -> "Unknowns":
        """Cut a vector into unknowns of these shapes."""
        ends = np.cumsum([one.size for one in self])[:-1]
        parts = np.split(vector, ends)
        shaped = (a.reshape(b.shape) for a, b in zip(parts, self, strict=True))
        return Unknowns(*shaped)


class Scaling(NamedTuple):
    """The first guess of the inverse Hessian."""

    share: Float[np.ndarray, "models 1 1"]
    curvature: Curvature
    diagonal: Unknowns

    def apply(self, gradient: Unknowns) -> Unknowns:
        """Scale a gradient to a step."""
        scaled = (a * b for a, b in zip(self.diagonal, gradient, strict=True))
        unmix = newton_direction(gradient.unmix / self.share, self.curvature)
        return Unknowns(*scaled)._replace(unmix=unmix)


def make_scaling(parameters: AmicaParameters, sums: Statistics) -> Scaling:
    """Build the first guess of the inverse Hessian from the statistics of a point.

    Parameters
    ----------
    parameters : AmicaParameters
        The point.
    sums : Statistics
        One pass over the data there.

    Returns
    -------
    Scaling
        Blocks for the unmixing, diagonals for the rest.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> from meegic.components.options import AmicaOptions
    >>> gradient = ascent_gradient(start, sums, AmicaOptions())
    >>> step = make_scaling(start, sums).apply(gradient)
    >>> bool(step.flat() @ gradient.flat() > 0)
    True
    """
    rho, part = parameters.rho, (sums.explained / sums.n_samples)[:, None, None]
    # A term that explains next to nothing is scaled as if it explained a thousandth.
    share = np.maximum(sums.u / sums.n_samples, _SMALLEST_SHARE * part)
    score = np.maximum(sums.ur2_y2 / sums.n_samples, _SMALLEST_SHARE * part)
    alive = sums.alive.astype(float)
    by_term = alive[:, None, None]
    return Scaling(
        share=part,
        curvature=compute_curvature(parameters, sums),
        diagonal=Unknowns(
            unmix=np.zeros_like(parameters.unmix),
            log_alpha=by_term / (np.maximum(parameters.alpha, 1e-3) * part),
            mu=by_term / ((parameters.beta * rho) ** 2 * score),
            log_beta=by_term / (rho * share),
            rho=by_term * _RHO_SCALE * rho**2 / (psi(rho) * share),
            log_weight=alive / np.maximum(parameters.weight, 1e-3),
        ),
    )


def ascent_gradient(
    parameters: AmicaParameters, sums: Statistics, options: AmicaOptions
) -> Unknowns:
    """Compute the gradient of the log-likelihood per sample in all unknowns.

    Parameters
    ----------
    parameters : AmicaParameters
        The point.
    sums : Statistics
        One pass over the data there.
    options : AmicaOptions
        The bounds of rho and beta, at which the gradient does not point outward.

    Returns
    -------
    Unknowns
        Zero for models that explain too few samples.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> from meegic.components.options import AmicaOptions
    >>> ascent_gradient(start, sums, AmicaOptions()).unmix.shape
    (1, 2, 2)
    """
    p, n = parameters, sums.n_samples
    eye = np.eye(p.unmix.shape[1])
    log_beta = (sums.u - p.rho * sums.ur) / n
    rho = (psi(p.rho) / p.rho**2 * sums.u - sums.url) / n
    gradient = Unknowns(
        unmix=(sums.v[:, None, None] * eye - sums.cross) / n,
        log_alpha=(sums.u - p.alpha * sums.v[:, None, None]) / n,
        mu=p.beta * p.rho * sums.ur_y / n,
        log_beta=_inward(log_beta, p.beta, options.invsigmin, options.invsigmax),
        rho=_inward(rho, p.rho, options.minrho, options.maxrho),
        log_weight=sums.v / n - p.weight,
    )
    if sums.alive.all():
        return gradient
    keep = (one * sums.alive.reshape(-1, *[1] * (one.ndim - 1)) for one in gradient)
    return Unknowns(*keep)


def move(
    parameters: AmicaParameters, direction: Unknowns, rate: float, options: AmicaOptions
) -> tuple[AmicaParameters, Unknowns]:
    """Go along a direction, within the bounds, and say how far it went.

    Parameters
    ----------
    parameters : AmicaParameters
        From here.
    direction : Unknowns
        Where to.
    rate : float
        How much of it.
    options : AmicaOptions
        The bounds of beta and rho.

    Returns
    -------
    parameters : AmicaParameters
        There.
    step : Unknowns
        The displacement that took place.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> from meegic.components.options import AmicaOptions
    >>> gradient = ascent_gradient(start, sums, AmicaOptions())
    >>> moved, step = move(start, gradient, 0.0, AmicaOptions())
    >>> bool(np.abs(step.flat()).max() == 0)
    True
    """
    p = parameters
    alpha = p.alpha * np.exp(_centered(rate * direction.log_alpha, axis=1))
    alpha = np.maximum(alpha / alpha.sum(axis=1, keepdims=True), _SMALLEST_ALPHA)
    alpha /= alpha.sum(axis=1, keepdims=True)
    weight = p.weight * np.exp(_centered(rate * direction.log_weight, axis=0))
    bounded = np.clip(rate * direction.log_beta, -1, 1)
    moved = p._replace(
        unmix=p.unmix + rate * (direction.unmix @ p.unmix),
        weight=floor_weights(weight / weight.sum(), axis=0),
        alpha=alpha,
        mu=p.mu + rate * direction.mu,
        beta=np.clip(p.beta * np.exp(bounded), options.invsigmin, options.invsigmax),
        rho=np.clip(p.rho + rate * direction.rho, options.minrho, options.maxrho),
    )
    step = Unknowns(
        unmix=rate * direction.unmix,
        log_alpha=np.log(moved.alpha / p.alpha),
        mu=moved.mu - p.mu,
        log_beta=np.log(moved.beta / p.beta),
        rho=moved.rho - p.rho,
        log_weight=np.log(moved.weight / p.weight),
    )
    return moved, step


def _inward(
    gradient: np.ndarray, values: np.ndarray, low: float, high: float
) -> np.ndarray:
    outward = ((values <= low) & (gradient < 0)) | ((values >= high) & (gradient > 0))
    return np.where(outward, 0.0, gradient)


def _centered(change: np.ndarray, axis: int) -> np.ndarray:
    return change - change.max(axis=axis, keepdims=True)
