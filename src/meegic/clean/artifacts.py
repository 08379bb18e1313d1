"""Which epochs are artifacts, by the place of their covariance among all."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_range, check_shape
from meegic.base.errors import ConvergenceWarning, InputError, ShapeError
from meegic.math.linalg import is_skewed, numerical_rank, refuse_matrices
from meegic.math.spd import (
    covariance_mean,
    fill_stack,
    geodesic,
    riemannian_distance,
)

_MAX_ROUNDS = 100

# The mean is known to that: a smaller distance is none, and so is a smaller spread of
# log distances.
_NEAREST, _SMALLEST_SPREAD = 1e-6, 1e-9


@dataclass(frozen=True)
class Potato:
    """The region of covariances in which clean epochs lie, and the way into it.

    Attributes
    ----------
    mean : array, shape (n, n)
        The Riemannian mean of the clean covariances.
    center, spread : float
        Mean and standard deviation of the logarithm of their distances to it.
    threshold : float
        Standard deviations from which on a covariance is an artifact.
    basis : array, shape (n_channels, n)
        The subspace in which covariances are compared.
    shrinkage : float
        How far they are drawn towards a multiple of the identity first.
    """

    mean: Float[np.ndarray, "n n"]
    center: float
    spread: float
    threshold: float
    basis: Float[np.ndarray, "channels n"]
    shrinkage: float

    def score(self, covs: Array) -> Float[np.ndarray, " matrices"]:
        """Give the z score of every covariance; artifacts reach the threshold."""
        inside = _enter("covs", _take_stack(covs), self.basis, self.shrinkage)
        return (_take_logs(_measure(self.mean, inside)) - self.center) / self.spread


def detect_artifacts_riemann(
    covs: Array,
    n_std: float = 3.0,
    *,
    robust: bool = True,
    median: bool = False,
    shrinkage: float = 0.0,
    project: bool = False,
) -> Bool[np.ndarray, " matrices"]:
    """Tell which epochs are artifacts by the distance of their covariance to the mean.

    Parameters
    ----------
    covs : array, shape (n_matrices, n_channels, n_channels)
        Covariances of epochs, in any unit.
    n_std : float
        Standard deviations from which on an epoch is an artifact.
    robust : bool
        Whether to leave artifacts out of mean and spread, as `fit_potato` does.
        Without, one pass over all epochs compares plain distances; many artifacts
        then hide each other.
    median, shrinkage, project
        As in `fit_potato`.

    Returns
    -------
    array of bool, shape (n_matrices,)
        True for artifacts.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((15, 3, 500))
    >>> data[4] *= 5
    >>> np.flatnonzero(detect_artifacts_riemann(data @ data.mT / 500))
    array([4])
    """
    if robust:
        potato = fit_potato(
            covs, threshold=n_std, median=median, shrinkage=shrinkage, project=project
        )
        return potato.score(covs) >= n_std
    check_range("n_std", n_std, low=0.0, open_low=True)
    inside = _prepare(covs, shrinkage, project)[0]
    distances = _measure(covariance_mean(inside), inside)
    spread = distances.std()
    far = spread > _NEAREST * max(distances.mean(), 1.0)
    return (distances - distances.mean() > n_std * spread) & far


def fit_potato(
    covs: Array,
    *,
    threshold: float = 3.0,
    median: bool = False,
    shrinkage: float = 0.0,
    project: bool = False,
) -> Potato:
    """Find the region in which the covariances of clean epochs lie [1]_.

    The z score of a covariance is that of the logarithm of its Riemannian distance to
    the mean. Those that reach the threshold are left out of mean and spread, for good,
    until no more do.

    Parameters
    ----------
    covs : array, shape (n_matrices, n_channels, n_channels)
        Covariances of epochs, in any unit.
    threshold : float
        Standard deviations from which on a covariance is an artifact.
    median : bool
        Whether the median and the median absolute deviation of the log distances serve
        instead of their mean and standard deviation.
    shrinkage : float
        How far to draw covariances towards a multiple of the identity first, from 0 to
        1; makes those of short epochs usable.
    project : bool
        Whether to compare in the subspace that the covariances fill together: for an
        average reference, projectors or interpolated channels.

    Returns
    -------
    Potato
        The region; `Potato.score` compares covariances with it.

    References
    ----------
    .. [1] Barachant, Andreev & Congedo (2013). The Riemannian potato: an automatic and
       adaptive artifact detection method for online experiments using Riemannian
       geometry. TOBI Workshop IV, 19-20.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((20, 3, 500))
    >>> potato = fit_potato(data @ data.mT / 500)
    >>> bool(potato.score(9 * np.eye(3)[None])[0] > 3)
    True
    """
    check_range("threshold", threshold, low=0.0, open_low=True)
    inside, basis = _prepare(covs, shrinkage, project)
    good = np.ones(len(inside), bool)
    mean, center, spread = inside[0], 0.0, np.inf
    for _ in range(_MAX_ROUNDS):
        mean = covariance_mean(inside, weights=good.astype(float))
        logs = _take_logs(_measure(mean, inside))
        center, spread = _locate(logs[good], median)
        kept = good & (logs - center < threshold * spread)
        if (kept == good).all():
            break
        good = kept
    else:
        warn_user(
            f"Artifacts were still found after {_MAX_ROUNDS} rounds; what was found "
            "later is left in the mean. Use a higher threshold.",
            ConvergenceWarning,
        )
    return Potato(mean, center, spread, threshold, basis, shrinkage)


def update_potato(
    potato: Potato,
    covariance: Array,
    *,
    step: float = 0.01,
) -> Potato:
    """Let the region follow a recording, one epoch after the other.

    Parameters
    ----------
    potato : Potato
        The region so far.
    covariance : array, shape (n_channels, n_channels)
        Covariance of the new epoch. An artifact changes nothing.
    step : float
        How far to go towards it: a fraction of the way on the geodesic, and the weight
        of its distance in mean and spread.

    Returns
    -------
    Potato
        The new region.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((21, 3, 500))
    >>> covs = data @ data.mT / 500
    >>> update_potato(fit_potato(covs[:20]), covs[20], step=0.1).mean.shape
    (3, 3)
    """
    check_range("step", step, low=0.0, high=1.0)
    inside = _enter(
        "covariance",
        _take_stack(np.asarray(covariance)[None]),
        potato.basis,
        potato.shrinkage,
    )
    log = float(_take_logs(_measure(potato.mean, inside))[0])
    if log - potato.center >= potato.threshold * potato.spread:
        return potato
    center = (1 - step) * potato.center + step * log
    variance = (1 - step) * potato.spread**2 + step * (log - center) ** 2
    return replace(
        potato,
        mean=geodesic(potato.mean, inside[0], position=step),
        center=center,
        spread=float(np.sqrt(variance)),
    )


def _take_stack(covs: Array) -> np.ndarray:
    covs = np.asarray(covs)
    if covs.ndim != 3 or covs.shape[1] != covs.shape[2] or 0 in covs.shape:
        raise ShapeError(
            "covs must have shape (n_matrices, n_channels, n_channels), but got "
            f"{covs.shape}."
        )
    if covs.dtype.kind not in "biuf":
        raise InputError(
            f"covs must hold real numbers, but its dtype is {covs.dtype}.",
            hint="Take the real part, or convert it, first.",
        )
    single = covs.dtype.newbyteorder("=") == np.float32
    return covs.astype(np.float32 if single else np.float64)


def _prepare(
    covs: Array, shrinkage: float, project: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Take covariances into the subspace in which they are compared."""
    covs = _take_stack(covs)
    check_range("shrinkage", shrinkage, low=0.0, high=1.0)
    if len(covs) < 2:
        raise InputError("covs must hold at least 2 matrices, but got one.")
    basis = np.eye(covs.shape[1])
    if project:
        sizes = np.trace(covs, axis1=1, axis2=2)[:, None, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = covs / sizes  # so that a loud epoch does not hide the others
        finite = np.isfinite(shares).all(axis=(1, 2))
        refuse_matrices("covs", covs, ~finite, "finite and not zero")
        values, vectors = np.linalg.eigh(shares.mean(axis=0, dtype=np.float64))
        basis = vectors[:, -numerical_rank(values) :]
    return _enter("covs", covs, basis, shrinkage), basis


def _enter(
    name: str, covs: np.ndarray, basis: np.ndarray, shrinkage: float
) -> np.ndarray:
    """Shrink and project covariances, and refuse what then is not definite."""
    check_shape(name, covs, (None, len(basis), len(basis)))
    n_channels = covs.shape[1]
    eps = np.finfo(covs.dtype).eps
    finite = np.isfinite(covs).all(axis=(1, 2))
    bad = ~finite | np.asarray(is_skewed(fill_stack(covs)))[: len(covs)]
    refuse_matrices(name, covs, bad, "symmetric positive definite")
    inside = covs.astype(np.float64)
    inside = (inside + inside.mT) / 2
    level = np.trace(inside, axis1=1, axis2=2) / n_channels
    inside = (1 - shrinkage) * inside
    inside += shrinkage * level[:, None, None] * np.eye(n_channels)
    inside = basis.T @ inside @ basis
    values = np.linalg.eigvalsh(inside)
    empty = values[:, 0] <= n_channels * eps * values[:, -1]
    refuse_matrices(name, inside, empty, "symmetric positive definite")
    return inside


def _measure(mean: np.ndarray, inside: np.ndarray) -> np.ndarray:
    distances = np.asarray(riemannian_distance(mean, fill_stack(inside)))
    return distances[: len(inside)]


def _take_logs(distances: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(distances, _NEAREST))


def _locate(logs: np.ndarray, median: bool) -> tuple[float, float]:
    """Center and spread of log distances; equal ones have an infinite spread."""
    center = np.median(logs) if median else logs.mean()
    away = np.abs(logs - center)
    spread = 1.4826 * np.median(away) if median else np.sqrt((away**2).mean())
    return float(center), float(spread if spread > _SMALLEST_SPREAD else np.inf)
