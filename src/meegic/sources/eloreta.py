r"""eLORETA: minimum norm with the weights that localise single dipoles exactly.

With white sensors the weights :math:`R_n` of source n solve :math:`R_n = (L_n^\top
(L R L^\top + \lambda I)^{-1} L_n)^{-1/2}`. They are no variances that the data tell:
the covariance that follows from them is descriptive.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from meegic.base.alerts import warn_user
from meegic.base.checks import check_count, check_range, check_shape
from meegic.base.errors import ConvergenceWarning, DataWarning, InputError, RankError
from meegic.math.linalg import is_skewed, numerical_rank, symmetric_power
from meegic.sources.leadfield import flatten_leadfield, take_reals, take_sensors

_RELATIVE_ROUNDING = 1e-10  # of a covariance that is symmetric and positive


@dataclass(frozen=True, eq=False)
class Eloreta:
    """An eLORETA inverse.

    Attributes
    ----------
    kernel : array, shape (n_sources * n_orient, n_sensors)
        Takes sensors to sources.
    weights : array, shape (n_sources, n_orient, n_orient)
        What the method takes for the prior covariance of each source, in the squared
        unit of the sources; the noise has its own, and no lambda any more.
    factor : array, shape (rank, n_sources * n_orient)
        The covariance of the sources is the weights less ``factor.T @ factor``.
    n_iter : int
        How often the weights were computed.
    converged : bool
        Whether they stopped to change.

    Examples
    --------
    >>> fit_eloreta(np.eye(2), 1.0).apply(np.ones((2, 3))).shape
    (2, 3)
    """

    kernel: np.ndarray
    weights: np.ndarray
    factor: np.ndarray
    n_iter: int
    converged: bool

    @property
    def blocks(self) -> np.ndarray:
        """Covariance of each source, shape (n_sources, n_orient, n_orient)."""
        seen = _by_source(self.factor, self.weights.shape[1])
        return self.weights - seen @ seen.mT

    def apply(self, data: np.ndarray) -> np.ndarray:
        """Estimate sources (n_sources * n_orient, n_times) from sensors."""
        return self.kernel @ take_sensors(data, self.kernel.shape[1])

    def covariance(self) -> np.ndarray:
        """Covariance of all coefficients with each other: their number squared."""
        return linalg.block_diag(*self.weights) - self.factor.T @ self.factor


def fit_eloreta(
    leadfield: np.ndarray,
    noise: float | np.ndarray,
    *,
    n_orient: int = 1,
    lambda2: float = 1.0,
    max_iter: int = 20,
    tol: float = 1e-6,
) -> Eloreta:
    """Find the weights of eLORETA, and the inverse that they give.

    Sensors are whitened once. The weights are scaled so that signal and noise have the
    same mean power, times ``1 / lambda2``.

    Parameters
    ----------
    leadfield : array, shape (n_sensors, n_sources * n_orient) or with three axes
        In any unit.
    noise : float | array, shape (n_sensors, n_sensors)
        Variance of the noise at every sensor, or its covariance.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    lambda2 : float
        Inverse of the squared amplitude ratio of signal and noise; MNE's is 1/9.
    max_iter : int
        How often the weights are computed at most.
    tol : float
        They have converged when they change by less than this share.

    Returns
    -------
    Eloreta
        The inverse; data are not needed for it.

    Examples
    --------
    >>> fit_eloreta(np.eye(2), 1.0).kernel.round(3).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    gain, n_orient = flatten_leadfield(leadfield, n_orient=n_orient, name="leadfield")
    check_range("lambda2", lambda2, low=0.0, open_low=True, open_high=True)
    check_count("max_iter", max_iter)
    check_range("tol", tol, low=0.0, open_high=True)
    _check_seen(gain, n_orient)
    whitener = _make_whitener(noise, len(gain))
    white = whitener @ gain
    n_sources = gain.shape[1] // n_orient
    weights = np.broadcast_to(np.eye(n_orient), (n_sources, n_orient, n_orient))
    weights, power = _normalize(weights, white)
    change, n_iter = np.inf, 0
    while change >= tol and n_iter < max_iter:
        root = np.linalg.cholesky(power + lambda2 * np.eye(len(power)))
        seen = _by_source(linalg.solve_triangular(root, white, lower=True), n_orient)
        previous = weights
        weights, power = _normalize(
            np.asarray(symmetric_power(seen @ seen.mT, -0.5)), white
        )
        change = np.linalg.norm(weights - previous) / np.linalg.norm(previous)
        n_iter += 1
    if change >= tol:
        warn_user(
            f"the weights of eLORETA still change by {change:.2g} after max_iter = "
            f"{max_iter} iterations, and tol is {tol:g}. Make max_iter larger.",
            ConvergenceWarning,
        )
    weights = weights / lambda2
    root = np.linalg.cholesky(power / lambda2 + np.eye(len(power)))
    sides = np.concatenate([_weigh(weights, white), whitener], axis=1)
    solved = linalg.solve_triangular(root, sides, lower=True)
    factor, projection = np.split(solved, [gain.shape[1]], axis=1)
    return Eloreta(factor.T @ projection, weights, factor, n_iter, bool(change < tol))


def _by_source(columns: np.ndarray, n_orient: int) -> np.ndarray:
    """Take (rows, sources * orientations) to (sources, orientations, rows)."""
    return np.ascontiguousarray(columns.T).reshape(-1, n_orient, len(columns))


def _weigh(weights: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Multiply the columns of each source with its weights."""
    weighted = weights @ _by_source(white, weights.shape[1])
    return weighted.reshape(-1, len(white)).T


def _normalize(weights: np.ndarray, white: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale the weights so that white sensors have a mean signal power of 1."""
    power = _weigh(weights, white) @ white.T
    mean = np.trace(power) / len(power)
    return weights / mean, (power + power.T) / (2 * mean)


def _check_seen(gain: np.ndarray, n_orient: int) -> None:
    unseen = np.flatnonzero(~_by_source(gain, n_orient).any(axis=(1, 2)))
    if len(unseen):
        raise InputError(
            f"{len(unseen)} sources reach no sensor, the first is {unseen[0]}; "
            "eLORETA would give them an infinite weight.",
            hint="Leave them out of the leadfield, or use another solver.",
        )


def _make_whitener(noise: float | np.ndarray, n_sensors: int) -> np.ndarray:
    if np.ndim(noise) == 0:
        check_range("noise", noise, low=0.0, open_low=True, open_high=True)
        return np.eye(n_sensors) / np.sqrt(noise)
    covariance = take_reals("noise", noise)
    check_shape("noise", covariance, (n_sensors, n_sensors))
    values, vectors = np.linalg.eigh(covariance)
    if is_skewed(covariance) or values[0] < -_RELATIVE_ROUNDING * values[-1]:
        raise InputError(
            "noise must be a symmetric and positive covariance, but it is not.",
            hint="Take it from mne.compute_covariance, or from more samples.",
        )
    rank = numerical_rank(values)
    if not rank:
        raise RankError("noise has rank 0: no sensor has any.")
    if rank < n_sensors:
        warn_user(
            f"the noise covariance has rank {rank} of {n_sensors}; {rank} directions "
            "of the sensors are used.",
            DataWarning,
        )
    return (vectors[:, -rank:] / np.sqrt(values[-rank:])).T
