r"""Bayesian minimum norm: one variance for all sources, at the maximum of the evidence.

With the eigenvalues :math:`s_i` of :math:`G G^\top` and the power :math:`p_i` of the
data along the eigenvectors the cost is
:math:`F = \sum_i \log(\gamma s_i + \lambda) + p_i / (\gamma s_i + \lambda)`. By
the ratio of both variances the best noise has a closed form, so that one number is
searched in either case, and every minimum is found.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.optimize import brentq

from meegic.base.errors import InputError
from meegic.math.linalg import symmetric_power

_LOWEST, _HIGHEST = 1e-4, 1e8  # of the ratio at which a direction is half noise
_EMPTY = 1e-12  # of the largest eigenvalue: below it a direction has no sources
_PER_DECADE = 4  # points of the grid between which minima are searched
_PRECISION = 1e-13  # of the logarithm of the ratio


@dataclass(frozen=True)
class Spectrum:
    """What the evidence of a minimum norm depends on.

    Attributes
    ----------
    gains : array, shape (n_channels,)
        Eigenvalues of the gain times its transpose.
    powers : array, shape (n_channels,)
        Mean power of the data along the eigenvectors.
    """

    gains: Float[np.ndarray, " channels"]
    powers: Float[np.ndarray, " channels"]

    def cost(self, gamma: float, noise: float) -> float:
        """Compute the cost F of two variances."""
        spread = gamma * self.gains + noise
        return float((np.log(spread) + self.powers / spread).sum())

    def slope(self, gamma: float, noise: float) -> float:
        """Compute the derivative of F in the logarithm of gamma."""
        signal = gamma * self.gains
        spread = signal + noise
        return float((signal / spread * (1 - self.powers / spread)).sum())


@dataclass(frozen=True)
class Prior:
    """What is known of the noise where it is learned.

    Attributes
    ----------
    weight : float
        How strongly it is drawn to what was measured; 0 where nothing was.
    measured : float
        Variance that was measured.
    floor : float
        What it is at least.
    """

    weight: float
    measured: float
    floor: float

    def cost(self, noise: float) -> float:
        """Compute the cost of leaving what was measured."""
        return float(self.weight * (np.log(noise) + self.measured / noise))


def decompose(
    gain: Float[np.ndarray, "channels columns"],
    root: Float[np.ndarray, "channels root"],
) -> Spectrum:
    """Turn a gain, and a root of the covariance of data, into what evidence needs.

    Examples
    --------
    >>> decompose(np.diag([2.0, 1.0]), np.eye(2)).gains
    array([1., 4.])
    """
    gains, vectors = np.linalg.eigh(gain @ gain.T)
    return Spectrum(np.maximum(gains, 0.0), ((vectors.T @ root) ** 2).sum(axis=1))


def find_gamma(spectrum: Spectrum, noise: float) -> tuple[float, int]:
    """Find the variance of the sources for a known noise.

    Parameters
    ----------
    spectrum : Spectrum
        What the evidence depends on.
    noise : float
        Variance of the noise.

    Returns
    -------
    gamma : float
        The variance; zero where the noise alone explains the data best.
    n_evaluations : int
        How often the evidence was evaluated.

    Examples
    --------
    >>> round(find_gamma(Spectrum(np.ones(1), 4 * np.ones(1)), 1.0)[0], 6)
    3.0
    """
    ratio, n = _search(
        spectrum,
        lambda one: spectrum.cost(one * noise, noise),
        lambda one: spectrum.slope(one * noise, noise),
    )
    return ratio * noise, n


def find_both(spectrum: Spectrum, prior: Prior) -> tuple[float, float, int]:
    """Find the variances of the sources and of the noise.

    Parameters
    ----------
    spectrum : Spectrum
        What the evidence depends on.
    prior : Prior
        What is known of the noise.

    Returns
    -------
    gamma, noise : float
        The variances.
    n_evaluations : int
        How often the evidence was evaluated.

    Examples
    --------
    >>> spectrum = Spectrum(np.array([0.0, 1.0]), np.array([1.0, 4.0]))
    >>> [round(one, 6) for one in find_both(spectrum, Prior(0.0, 1.0, 1e-3))[:2]]
    [3.0, 1.0]
    """

    def best_noise(ratio: float) -> float:
        total = (spectrum.powers / (ratio * spectrum.gains + 1)).sum()
        total += prior.weight * prior.measured
        return max(prior.floor, float(total) / (len(spectrum.gains) + prior.weight))

    def profile(ratio: float) -> float:
        noise = best_noise(ratio)
        return spectrum.cost(ratio * noise, noise) + prior.cost(noise)

    def slope(ratio: float) -> float:  # the noise is at its best: it adds nothing
        noise = best_noise(ratio)
        return spectrum.slope(ratio * noise, noise)

    ratio, n = _search(spectrum, profile, slope)
    noise = best_noise(ratio)
    if noise == prior.floor:  # then the ratio is not free to follow it
        gamma, more = find_gamma(spectrum, noise)
        return gamma, noise, n + more
    return ratio * noise, noise, n


def make_resolution_basis(
    leadfield: Float[np.ndarray, "channels rows"], n_orient: int
) -> sparse.csr_array:
    r"""Scale sources to equal resolution, whatever their depth.

    With the leadfield L the scale of a source is
    :math:`[(L^\top (L L^\top + \beta I)^{-1} L)_{nn}]^{-1/2}`, where :math:`\beta` is a
    millionth of the mean eigenvalue of :math:`L L^\top`.

    Parameters
    ----------
    leadfield : array, shape (n_channels, n_sources * n_orient)
        Orientations of a source side by side.
    n_orient : 1 | 2 | 3
        Orientations of a source.

    Returns
    -------
    sparse array, shape (n_sources * n_orient, n_sources * n_orient)
        One block for each source.

    Examples
    --------
    >>> make_resolution_basis(np.diag([1.0, 10.0]), 1).toarray().round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    power = leadfield @ leadfield.T
    beta = 1e-6 * np.trace(power) / len(power)
    factor = np.linalg.cholesky(power + beta * np.eye(len(power)))
    columns = np.linalg.solve(factor, leadfield).T.reshape(-1, n_orient, len(power))
    blocks = columns @ columns.mT
    unseen = ~columns.any(axis=(1, 2))  # nothing scales what no channel sees
    blocks[unseen] = np.eye(n_orient)
    return sparse.csr_array(sparse.block_diag(symmetric_power(blocks, -0.5)))


def _search(
    spectrum: Spectrum,
    profile: Callable[[float], float],
    slope: Callable[[float], float],
) -> tuple[float, int]:
    """Find the lowest of all minima over the ratio of both variances, zero included."""
    gains = spectrum.gains[spectrum.gains > _EMPTY * spectrum.gains.max()]
    low, high = np.log(_LOWEST / gains.max()), np.log(_HIGHEST / gains.min())
    n_grid = round(_PER_DECADE * (high - low) / np.log(10))
    logs = np.linspace(low, high, n_grid)
    slopes = np.array([slope(np.exp(one)) for one in logs])
    if slopes[-1] < 0:
        raise InputError(
            "noise is too small beside the sources to find their variance in float64.",
            hint="Is the noise in the squared unit of the data?",
        )
    best, best_cost, n = 0.0, profile(0.0), n_grid + 1
    for k in np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0)):
        root, found = brentq(
            lambda one: slope(np.exp(one)),
            *(logs[k], logs[k + 1]),
            xtol=_PRECISION,
            full_output=True,
        )
        ratio = float(np.exp(root))
        n += found.function_calls + 1
        if profile(ratio) < best_cost:
            best, best_cost = ratio, profile(ratio)
    return best, n
