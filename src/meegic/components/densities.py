"""Mixtures of generalized Gaussians, the densities of the sources."""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln, logsumexp

from meegic.base.arrays import Array
from meegic.components.parameters import FLOOR, AmicaParameters, compute_constants


def log_density(
    sources: Float[Array, "models components times"], parameters: AmicaParameters
) -> Float[np.ndarray, "models components times"]:
    """Compute the log density of every source, in plain NumPy.

    Parameters
    ----------
    sources : array, shape (n_models, n_components, n_times)
        The sources b.
    parameters : AmicaParameters
        Their densities.

    Returns
    -------
    array, shape (n_models, n_components, n_times)
        log q(b).

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> gauss = draw_parameters(1, n_mix=1, rho=2.0)  # of variance 1/2
    >>> print(log_density(np.zeros((1, 1, 1)), gauss).round(4))
    [[[-0.5724]]]
    """
    terms, _ = compute_constants(parameters)
    mu, beta, rho = (
        one[..., None] for one in (parameters.mu, parameters.beta, parameters.rho)
    )
    y = np.maximum(np.abs(beta * (np.asarray(sources)[:, None] - mu)), FLOOR["float64"])
    return logsumexp(terms[..., None] - np.exp(rho * np.log(y)), axis=1)


def compute_variances(
    parameters: AmicaParameters,
) -> Float[np.ndarray, "models components"]:
    r"""Compute the second moment of every source.

    :math:`\sum_j \alpha_j (\mu_j^2 + \Gamma(3/\rho_j) / \Gamma(1/\rho_j) /
    \beta_j^2)`.

    Parameters
    ----------
    parameters : AmicaParameters
        The densities.

    Returns
    -------
    array, shape (n_models, n_components)
        Mean squares, about zero.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> print(compute_variances(draw_parameters(1, n_mix=1, rho=1.0)))
    [[2.]]
    """
    width = _moment(parameters, 2) / parameters.beta**2
    return (parameters.alpha * (parameters.mu**2 + width)).sum(axis=1)


def compute_kurtosis(
    parameters: AmicaParameters,
) -> Float[np.ndarray, "models components"]:
    """Compute the excess kurtosis of every source about its mean; 0 is Gaussian.

    Parameters
    ----------
    parameters : AmicaParameters
        The densities.

    Returns
    -------
    array, shape (n_models, n_components)
        Positive for peaked sources, negative for flat ones.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> print(compute_kurtosis(draw_parameters(1, n_mix=1, rho=1.0)).round(6))
    [[3.]]
    """
    alpha = parameters.alpha
    mean = (alpha * parameters.mu).sum(axis=1, keepdims=True)
    shift = parameters.mu - mean
    second = _moment(parameters, 2) / parameters.beta**2
    fourth = _moment(parameters, 4) / parameters.beta**4
    variance = (alpha * (shift**2 + second)).sum(axis=1)
    total = (alpha * (shift**4 + 6 * shift**2 * second + fourth)).sum(axis=1)
    return total / variance**2 - 3


def draw_sources(
    parameters: AmicaParameters,
    models: Int[np.ndarray, " times"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "components times"]:
    """Draw the sources of the model that each time has.

    |y| to the power rho is a Gamma variable of shape 1 / rho.

    Parameters
    ----------
    parameters : AmicaParameters
        The densities.
    models : array of int, shape (n_times,)
        Which model holds when.
    generator : numpy.random.Generator
        Where the randomness comes from.

    Returns
    -------
    array, shape (n_components, n_times)
        Sources b.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> rng = np.random.default_rng(0)
    >>> draw_sources(draw_parameters(2), np.zeros(5, int), rng).shape
    (2, 5)
    """
    n_models, n_mix, n = parameters.mu.shape
    sources = np.empty((n, len(models)))
    for h in range(n_models):
        times = np.flatnonzero(models == h)
        edges = np.cumsum(parameters.alpha[h], axis=0)
        chance = generator.random((n, len(times)))
        for i in range(n):
            j = np.minimum(np.searchsorted(edges[:, i], chance[i]), n_mix - 1)
            rho = parameters.rho[h, j, i]
            size = generator.gamma(1 / rho) ** (1 / rho)
            sign = np.where(generator.random(len(times)) < 0.5, -1.0, 1.0)
            place = parameters.mu[h, j, i]
            sources[i, times] = place + sign * size / parameters.beta[h, j, i]
    return sources


def _moment(parameters: AmicaParameters, order: int) -> np.ndarray:
    rho = parameters.rho
    return np.exp(gammaln((order + 1) / rho) - gammaln(1 / rho))
