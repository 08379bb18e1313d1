"""Directions in which the unmixing moves: natural gradient and Newton's, pair by pair.

The Hessian of the likelihood falls apart into one number for each source and one
block of two by two for each pair of sources.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from meegic.components.parameters import AmicaParameters
from meegic.components.statistics import Statistics

_SMALLEST_LAMBDA = 1e-5
_SMALLEST_EIGENVALUE = 1e-2  # of a pair's block, once it is lifted


class Curvature(NamedTuple):
    """What the blocks of the Hessian are made of.

    Attributes
    ----------
    kappa, sigma2, lam : array, shape (n_models, n_components)
        Mean squared score, mean square and diagonal element of every source.
    """

    kappa: Float[np.ndarray, "models components"]
    sigma2: Float[np.ndarray, "models components"]
    lam: Float[np.ndarray, "models components"]

    def pairs(
        self,
    ) -> tuple[
        Float[np.ndarray, "models components components"],
        Float[np.ndarray, "models components components"],
    ]:
        """Compute s1 = sigma2_i kappa_k and s2 = sigma2_k kappa_i for each i, k."""
        s1 = self.sigma2[:, :, None] * self.kappa[:, None, :]
        return s1, s1.swapaxes(1, 2)

    def positive(self) -> Bool[np.ndarray, "models components components"]:
        """Tell which pairs have a positive definite block; a source has with itself."""
        s1, s2 = self.pairs()
        return (s1 * s2 > 1) | np.eye(s1.shape[1], dtype=bool)


def compute_curvature(parameters: AmicaParameters, sums: Statistics) -> Curvature:
    """Compute the curvature of the likelihood in the unmixing.

    Parameters
    ----------
    parameters : AmicaParameters
        Where the statistics were computed.
    sums : Statistics
        One pass over the data.

    Returns
    -------
    Curvature
        For all sources of all models.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> compute_curvature(start, sums).kappa.shape
    (1, 2)
    """
    explained = sums.explained[:, None]
    rho = parameters.rho
    score = (parameters.beta * rho) ** 2 * sums.ur2_y2
    spread = rho**2 * sums.ur2 - 2 * rho * sums.ur + sums.u
    lam = (spread + score * parameters.mu**2).sum(axis=1) / explained
    return Curvature(
        kappa=score.sum(axis=1) / explained,
        sigma2=sums.vb2 / explained,
        lam=np.maximum(lam, _SMALLEST_LAMBDA),
    )


def natural_direction(
    sums: Statistics,
) -> Float[np.ndarray, "models components components"]:
    """Compute I - G / Nv; the mixing moves along minus A times it.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> natural_direction(sums).shape
    (1, 2, 2)
    """
    explained = sums.explained[:, None, None]
    return np.eye(sums.cross.shape[1]) - sums.cross / explained


def newton_direction(
    natural: Float[np.ndarray, "models components components"], curvature: Curvature
) -> Float[np.ndarray, "models components components"]:
    """Solve the blocks; those that are not clearly positive are lifted first.

    Parameters
    ----------
    natural : array, shape (n_models, n_components, n_components)
        The natural gradient.
    curvature : Curvature
        The blocks.

    Returns
    -------
    array, shape (n_models, n_components, n_components)
        A direction of ascent.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> curvature = compute_curvature(start, sums)
    >>> newton_direction(natural_direction(sums), curvature).shape
    (1, 2, 2)
    """
    s1, s2 = curvature.pairs()
    lowest = (s1 + s2 - np.sqrt((s1 - s2) ** 2 + 4)) / 2
    lift = np.maximum(_SMALLEST_EIGENVALUE - lowest, 0)
    return _solve_pairs(natural, s1 + lift, s2 + lift, curvature.lam)


def newton_direction_or_natural(
    natural: Float[np.ndarray, "models components components"],
    curvature: Curvature,
    *,
    scope: str,
) -> tuple[Float[np.ndarray, "models components components"], bool]:
    """Solve the blocks, or give all up where a single one is not positive.

    Parameters
    ----------
    natural : array, shape (n_models, n_components, n_components)
        The natural gradient.
    curvature : Curvature
        The blocks.
    scope : 'model' | 'all'
        Whether a bad pair spoils its own model, or all of them.

    Returns
    -------
    direction : array, shape (n_models, n_components, n_components)
        Newton's direction, or the natural gradient.
    fell_back : bool
        Whether any model has the natural gradient.

    Examples
    --------
    >>> from meegic.components.kernels import make_estep
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).laplace(size=(2, 500))
    >>> start = draw_parameters(2)
    >>> sums = make_estep(x)(start, np.ones(500))
    >>> natural, curvature = natural_direction(sums), compute_curvature(start, sums)
    >>> newton_direction_or_natural(natural, curvature, scope="model")[0].shape
    (1, 2, 2)
    """
    good = np.asarray(curvature.positive().all(axis=(1, 2)))
    if scope == "all":
        good = np.full(len(good), good.all())
    s1, s2 = curvature.pairs()
    safe = np.where(s1 * s2 > 1, s1, 2.0), np.where(s1 * s2 > 1, s2, 2.0)
    newton = _solve_pairs(natural, *safe, curvature.lam)
    return np.where(good[:, None, None], newton, natural), not good.all()


def direction_norm(
    parameters: AmicaParameters,
    direction: Float[np.ndarray, "models components components"],
) -> float:
    """Compute the root mean square of A D, the change of the mixing at rate 1.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> direction_norm(draw_parameters(2), np.eye(2)[None])
    0.7071067811865476
    """
    change = np.linalg.inv(parameters.unmix) @ direction
    return float(np.sqrt(np.mean(change**2)))


def _solve_pairs(
    natural: np.ndarray, s1: np.ndarray, s2: np.ndarray, lam: np.ndarray
) -> np.ndarray:
    diagonal = np.arange(natural.shape[1])
    determinant = s1 * s2 - 1
    determinant[:, diagonal, diagonal] = 1.0
    direction = (s1 * natural - natural.swapaxes(1, 2)) / determinant
    direction[:, diagonal, diagonal] = natural[:, diagonal, diagonal] / lam
    return direction
