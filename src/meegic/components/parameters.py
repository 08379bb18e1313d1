"""The parameters of a mixture of independent component models, and their start."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import digamma, gammaln

FLOOR = {"float64": 1e-30, "float32": 1e-18}
"""The smallest abs(y): divisions by it, and its logarithm, stay finite."""


class AmicaParameters(NamedTuple):
    r"""What AMICA learns, in the space of sphered data.

    The density of a sample is :math:`\sum_h g_h |\det W_h| \prod_i q_{hi}(b_{hi})`
    with :math:`b_h = W_h (x - c_h)` and :math:`q_{hi}` a mixture of generalized
    Gaussians :math:`\sum_j \alpha_{hji} \beta_{hji} GG(\beta_{hji} (b - \mu_{hji});
    \rho_{hji})`.

    Attributes
    ----------
    unmix : array, shape (n_models, n_components, n_components)
        W, from sphered data to sources.
    center : array, shape (n_models, n_components)
        c, in the space of the sphered data.
    weight : array, shape (n_models,)
        g, how often each model holds; sums to 1.
    alpha : array, shape (n_models, n_mix, n_components)
        Weights of the terms; they sum to 1 over the terms.
    mu, beta, rho : array, shape (n_models, n_mix, n_components)
        Location, inverse scale and shape of the terms.
    """

    unmix: Float[np.ndarray, "models components components"]
    center: Float[np.ndarray, "models components"]
    weight: Float[np.ndarray, " models"]
    alpha: Float[np.ndarray, "models mixtures components"]
    mu: Float[np.ndarray, "models mixtures components"]
    beta: Float[np.ndarray, "models mixtures components"]
    rho: Float[np.ndarray, "models mixtures components"]


def draw_parameters(
    n_components: int,
    *,
    n_models: int = 1,
    n_mix: int = 3,
    rho: float = 1.5,
    generator: np.random.Generator | None = None,
) -> AmicaParameters:
    """Start near the identity, with terms spread around zero.

    Parameters
    ----------
    n_components, n_models, n_mix : int
        The sizes.
    rho : float
        The shape of every term.
    generator : numpy.random.Generator | None
        Where the random part comes from; ``None`` leaves it out.

    Returns
    -------
    AmicaParameters
        The start; models differ by the random part alone.

    Examples
    --------
    >>> draw_parameters(2).mu[0, :, 0]
    array([-1.,  0.,  1.])
    """
    shape = (n_models, n_mix, n_components)
    places = np.arange(n_mix) - (n_mix - 1) / 2

    def noise(size: tuple[int, ...]) -> np.ndarray:
        return np.zeros(size) if generator is None else 0.5 - generator.random(size)

    mix = 0.01 * noise((n_models, n_components, n_components))
    mix[:, np.arange(n_components), np.arange(n_components)] = 1.0
    mix /= np.linalg.norm(mix, axis=1, keepdims=True)
    return AmicaParameters(
        unmix=np.linalg.inv(mix),
        center=np.zeros((n_models, n_components)),
        weight=np.full(n_models, 1 / n_models),
        alpha=np.full(shape, 1 / n_mix),
        mu=places[:, None] + 0.1 * noise(shape),
        beta=1 + 0.1 * noise(shape),
        rho=np.full(shape, rho),
    )


def compute_constants(
    parameters: AmicaParameters, jacobian: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Compute what does not depend on the data in the log densities.

    Parameters
    ----------
    parameters : AmicaParameters
        The model.
    jacobian : float
        The log-determinant of the sphering.

    Returns
    -------
    terms : array, shape (n_models, n_mix, n_components)
        log(alpha beta / 2) - log gamma(1 + 1 / rho).
    models : array, shape (n_models,)
        log g + log abs det W + the jacobian.

    Examples
    --------
    >>> terms, models = compute_constants(draw_parameters(2, n_mix=1, rho=1.0))
    >>> print(terms.round(4), models)
    [[[-0.6931 -0.6931]]] [0.]
    """
    terms = np.log(parameters.alpha * parameters.beta / 2) - gammaln(
        1 + 1 / parameters.rho
    )
    volume = np.linalg.slogdet(parameters.unmix)[1]
    return terms, np.log(parameters.weight) + volume + jacobian


def restore_gauge(parameters: AmicaParameters) -> AmicaParameters:
    """Give the columns of the mixing unit length, without change of likelihood.

    Examples
    --------
    >>> doubled = rescale(draw_parameters(2), np.full((1, 2), 2.0))
    >>> restore_gauge(doubled).unmix[0, 0]
    array([1., 0.])
    """
    scale = np.linalg.norm(np.linalg.inv(parameters.unmix), axis=1)
    return rescale(parameters, scale)


def rescale(parameters: AmicaParameters, scale: np.ndarray) -> AmicaParameters:
    """Multiply every source by its scale (n_models, n_components).

    Examples
    --------
    >>> rescale(draw_parameters(2), np.full((1, 2), 2.0)).mu[0, :, 0]
    array([-2.,  0.,  2.])
    """
    return parameters._replace(
        unmix=parameters.unmix * scale[:, :, None],
        mu=parameters.mu * scale[:, None],
        beta=parameters.beta / scale[:, None],
    )


def move_center(parameters: AmicaParameters, center: np.ndarray) -> AmicaParameters:
    """Move c and let mu follow, so that the likelihood stays as it is.

    Examples
    --------
    >>> move_center(draw_parameters(2), np.ones((1, 2))).mu[0, :, 0]
    array([-2., -1.,  0.])
    """
    shift = np.einsum("hik,hk->hi", parameters.unmix, center - parameters.center)
    return parameters._replace(center=center, mu=parameters.mu - shift[:, None])


def psi(rho: np.ndarray) -> np.ndarray:
    """Compute the digamma function of 1 + 1 / rho.

    Examples
    --------
    >>> print(psi(np.array([1.0])).round(4))
    [0.4228]
    """
    return digamma(1 + 1 / rho)
