"""The loop behind the reference's minimum norm solvers, with the numbers that it gives.

Its faults are kept on purpose: the update of the source variance lacks that variance as
a factor, so that it does not stop where the evidence is largest, and together with the
noise it runs into a growing cycle. `minimum_norm` has the correct algorithm.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import linalg

from meegic.base.checks import check_count, check_range

_EPS = float(np.finfo(float).eps)
_BETA = 1e-6
_SMALLEST = 1e-12


@dataclass(frozen=True)
class ScalarOptions:
    """How the reference's minimum norm solvers iterate.

    Attributes
    ----------
    max_iter : int
        How often at most.
    tol : float
        It stops when the variance changes by less than this share of it.
    init_gamma : float | None
        Where the source variance starts, in the reference's units; ``None`` is 1.
    normalization : bool
        Whether sources are scaled to equal resolution first.

    Examples
    --------
    >>> ScalarOptions(normalization=True).max_iter
    1000
    """

    max_iter: int = 1000
    tol: float = 1e-6
    init_gamma: float | None = None
    normalization: bool = False

    def __post_init__(self) -> None:
        check_count("max_iter", self.max_iter)
        check_range("tol", self.tol, low=0.0, open_high=True)
        if self.init_gamma is not None:
            check_range(
                "init_gamma", self.init_gamma, low=0.0, open_low=True, open_high=True
            )


class ScalarFit(NamedTuple):
    """What the loop ends with, in the unit of the data again.

    Attributes
    ----------
    mean : array, shape (n_coefficients, n_times)
        Posterior mean.
    covariance : array, shape (n_coefficients, n_coefficients)
        Posterior covariance.
    gamma : float
        Source variance in the reference's units.
    noise : float
        Noise variance.
    history : array, shape (n_iter, 3)
        Source variance, noise variance and relative change after each iteration.
    """

    mean: np.ndarray
    covariance: np.ndarray
    gamma: float
    noise: float
    history: np.ndarray


def fit_scalar(
    data: np.ndarray,
    gain: np.ndarray,
    noise: float,
    *,
    n_orient: int,
    options: ScalarOptions,
    learn: bool = False,
) -> ScalarFit:
    """Iterate as the reference does.

    Parameters
    ----------
    data : array, shape (n_sensors, n_times)
        Measurements.
    gain : array, shape (n_sensors, n_coefficients)
        Leadfield.
    noise : float
        Noise variance, or where it starts.
    n_orient : int
        Orientations of a source, for the normalization.
    options : ScalarOptions
        How to iterate.
    learn : bool
        Whether the noise variance is learned.

    Returns
    -------
    ScalarFit
        The last state.

    Examples
    --------
    >>> options = ScalarOptions(max_iter=2)
    >>> fit_scalar(np.eye(2), np.eye(2), 1.0, n_orient=1, options=options).noise
    1.0
    """
    gain, weights = _normalize(gain, n_orient, options.normalization)
    power = float((data**2).sum())
    scale = float(np.linalg.norm(gain, ord=2))
    data, gain = data / np.sqrt(power), gain / scale
    product = gain @ gain.T
    gamma, alpha = options.init_gamma or 1.0, noise / power
    history = []
    for _ in range(options.max_iter):
        previous, gamma = gamma, _update_gamma(data, product, gamma, alpha)
        if learn:
            alpha = _update_alpha(data, product, gamma, alpha)
        change = abs(gamma - previous) / (abs(previous) + _EPS)
        history.append((gamma, alpha * power, change))
        if change < options.tol:
            break
    inverse = _invert(gamma * product + alpha * np.eye(len(data)))
    mean = gamma * (gain.T @ inverse @ data)
    covariance = gamma * np.eye(gain.shape[1]) - gamma**2 * (gain.T @ inverse @ gain)
    unit = np.sqrt(power) / scale
    return ScalarFit(
        mean=unit * (weights @ mean),
        covariance=_symmetric(unit**2 * (weights @ covariance @ weights.T)),
        gamma=float(gamma),
        noise=float(alpha * power),
        history=np.array(history),
    )


def _update_gamma(
    data: np.ndarray, product: np.ndarray, gamma: float, alpha: float
) -> float:
    inverse = _invert(gamma * product + alpha * np.eye(len(data)))
    projected = inverse @ data
    observed = np.sum(projected * (product @ projected)) / data.shape[1]
    expected = np.trace(inverse @ product)
    # The evidence has its maximum where these are equal; their quotient should be
    # multiplied with the variance, and the reference does not.
    return max(float(observed / max(expected, _EPS)), _EPS)


def _update_alpha(
    data: np.ndarray, product: np.ndarray, gamma: float, alpha: float
) -> float:
    inverse = _invert(gamma * product + alpha * np.eye(len(data)))
    residual = data - gamma * (product @ (inverse @ data))
    power = np.sum(residual**2) / data.shape[1]
    return max(float(np.sqrt(power / max(np.trace(inverse), _EPS))), _EPS)


def _invert(matrix: np.ndarray, smallest: float = _EPS) -> np.ndarray:
    left, values, right = np.linalg.svd(_symmetric(matrix))
    return (left / np.maximum(values, smallest)) @ right


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


def _normalize(
    gain: np.ndarray, n_orient: int, wanted: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Scale each source to equal resolution, with an absolute regularization."""
    if not wanted:
        return gain, np.eye(gain.shape[1])
    inverse = _invert(gain @ gain.T + _BETA * np.eye(len(gain)), _SMALLEST)
    columns = gain.T.reshape(-1, n_orient, len(gain))
    blocks = columns @ inverse @ columns.mT
    values, vectors = np.linalg.eigh((blocks + blocks.mT) / 2)
    roots = (vectors / np.sqrt(np.maximum(values, _SMALLEST))[:, None]) @ vectors.mT
    weights = linalg.block_diag(*roots)
    return gain @ weights, weights
