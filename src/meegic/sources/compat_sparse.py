"""The loop behind the reference's sparse solvers, with the numbers that it gives.

Its faults are kept on purpose: grouped updates are divided by the number of
orientations once too often, the mean and the covariance mix the newest variances with
an older matrix, and its guards are absolute. `gamma_map` has the correct algorithm.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import linalg

from meegic.base.checks import check_count, check_option, check_range
from meegic.base.errors import OptionError

_EPS = float(np.finfo(float).eps)
_NOISE_FLOOR = 1e-16

Start = float | tuple[float, float] | np.ndarray | None


@dataclass(frozen=True, eq=False)
class SparseOptions:
    """How the reference's sparse solvers iterate.

    Attributes
    ----------
    max_iter : int
        How often at most.
    tol : float
        It stops when the variances change by less than this share of their sum.
    update_mode : 1 | 2 | 3
        MacKay's update, convex bounding, expectation maximization.
    init_gamma : float | tuple | array | None
        Where the variances start, in the reference's units: one number, two between
        which they are spread, one for each source or coefficient; ``None`` is 1.

    Examples
    --------
    >>> SparseOptions(max_iter=40).update_mode
    2
    """

    max_iter: int = 300
    tol: float = 1e-6
    update_mode: int = 2
    init_gamma: Start = None

    def __post_init__(self) -> None:
        check_count("max_iter", self.max_iter)
        check_range("tol", self.tol, low=0.0, open_high=True)
        check_option("update_mode", self.update_mode, [1, 2, 3])


@dataclass(frozen=True, eq=False)
class NoiseOptions:
    """How the reference learns one noise variance for each sensor.

    Attributes
    ----------
    learn : bool
        Whether it learns at all; if not, `init` is needed.
    init : float | array | None
        Where the variances start, in the squared unit of the data; ``None`` is 1 in
        the reference's units.
    update_mode : 1 | 2
        Expectation maximization, convex bounding.
    damping : float
        Share of the new value, from 0 to 1.

    Examples
    --------
    >>> NoiseOptions(update_mode=1).damping
    1.0
    """

    learn: bool = True
    init: float | np.ndarray | None = None
    update_mode: int = 2
    damping: float = 1.0

    def __post_init__(self) -> None:
        check_option("update_mode_noise", self.update_mode, [1, 2])
        check_range("lambda_damping", self.damping, low=0.0, high=1.0)
        if self.init is None and not self.learn:
            raise OptionError("init_lambda is needed where learn_lambda is False.")


class SparseFit(NamedTuple):
    """What the loop ends with, in the unit of the data again.

    Attributes
    ----------
    mean : array, shape (n_active, n_times)
        Posterior mean of the coefficients that were not pruned.
    covariance : array, shape (n_active, n_active)
        Their posterior covariance.
    gammas : array, shape (n_coefficients,)
        All variances in the reference's units; zero where pruned.
    active : array of int, shape (n_active,)
        Which coefficients were not pruned.
    noise : array, shape (n_sensors,)
        Noise variances.
    n_iter : int
        How many iterations were begun.
    history : array, shape (n_iter, 3)
        Number of active coefficients, relative change of the variances and mean noise
        variance after each iteration; none for one that found nothing active.
    """

    mean: np.ndarray
    covariance: np.ndarray
    gammas: np.ndarray
    active: np.ndarray
    noise: np.ndarray
    n_iter: int
    history: np.ndarray


class _Step(NamedTuple):
    """One evaluation: what belongs to the coefficients that are still there."""

    active: np.ndarray
    gain: np.ndarray
    inverse: np.ndarray
    projected: np.ndarray
    gamma: np.ndarray


def fit_sparse(
    data: np.ndarray,
    gain: np.ndarray,
    *,
    n_orient: int,
    options: SparseOptions,
    noise: NoiseOptions | None = None,
) -> SparseFit:
    """Iterate as the reference does.

    Parameters
    ----------
    data : array, shape (n_sensors, n_times)
        Measurements; white with variance 1 where ``noise`` is None.
    gain : array, shape (n_sensors, n_coefficients)
        Leadfield, in the unit of the data.
    n_orient : int
        Coefficients that share one variance.
    options : SparseOptions
        How to iterate.
    noise : NoiseOptions | None
        How the noise is learned.

    Returns
    -------
    SparseFit
        The last state.

    Examples
    --------
    >>> options = SparseOptions(max_iter=2)
    >>> fit_sparse(np.eye(2), np.eye(2), n_orient=1, options=options).active
    array([0, 1])
    """
    # Where the reference learns noise it also guards every scale.
    guard = 0.0 if noise is None else _EPS
    power = float(np.linalg.norm(data @ data.T))
    width = float(np.linalg.norm(gain, ord=np.inf))
    data = data / (np.sqrt(power) + guard)
    gain = gain / (width + guard)
    gammas = spread_start(options.init_gamma, gain.shape[1], n_orient)
    least = _EPS * (1 if noise else len(gammas))
    if noise is None:
        gammas = _pool(gammas, n_orient) / n_orient
    variances = _start_noise(noise, len(data), power)
    active, step, history, n_iter = np.arange(len(gammas)), None, [], 0
    for n_iter in range(1, options.max_iter + 1):  # noqa: B007 (it is a result)
        active = _prune(gammas, active, n_orient)
        if not len(active):
            break
        step = _take_step(data, gain, gammas, active, variances)
        step = step._replace(gamma=_update_gamma(step, options.update_mode, n_orient))
        if noise is not None and noise.learn:
            variances = _update_noise(data, step, variances, noise)
        previous, gammas = gammas, np.zeros_like(gammas)
        gammas[active] = step.gamma
        change = np.abs(gammas - previous).sum() / (previous.sum() + least)
        history.append((len(active), change, variances.mean() * power))
        if change < options.tol:
            break
    if noise is not None and not len(active):
        step = None  # with nothing left it gives nothing; the other keeps its last step
    scale = np.sqrt(power) / (width + guard)
    step = _empty_step(len(data), data.shape[1]) if step is None else step
    gammas = np.zeros_like(gammas)
    gammas[step.active] = step.gamma
    return SparseFit(
        mean=scale * step.gamma[:, None] * step.projected,
        covariance=scale**2 * _covariance(step),
        gammas=gammas,
        active=step.active,
        noise=variances * power,
        n_iter=n_iter,
        history=np.array(history).reshape(-1, 3),
    )


def spread_start(start: Start, n_columns: int, n_orient: int) -> np.ndarray:
    """Take the variances at which a search begins, one for each coefficient.

    Parameters
    ----------
    start : float | tuple | array | None
        As `SparseOptions` has it.
    n_columns : int
        How many coefficients there are.
    n_orient : 1 | 2 | 3
        Orientations of a source.

    Returns
    -------
    array, shape (n_columns,)
        Not below 0, and above 0 somewhere.

    Examples
    --------
    >>> spread_start((1.0, 2.0), 3, 1)
    array([1. , 1.5, 2. ])
    """
    if start is None:
        start = 1.0
    if isinstance(start, tuple) and len(start) == 2:
        values = np.linspace(*start, num=n_columns)
    else:
        values = np.asarray(start, dtype=np.float64).ravel()
    if values.size == 1:
        values = np.repeat(values, n_columns)
    elif values.size * n_orient == n_columns:
        values = np.repeat(values, n_orient)
    if values.size != n_columns:
        raise OptionError(
            f"init_gamma must have {n_columns} numbers, or {n_columns // n_orient}, "
            f"one for each source, but got {values.size}."
        )
    if not (values >= 0).all() or not 0 < values.max() < np.inf:
        raise OptionError(
            "init_gamma must be finite, not below 0, and above 0 somewhere, but got "
            f"{start!r}."
        )
    return values


def _start_noise(
    options: NoiseOptions | None, n_sensors: int, power: float
) -> np.ndarray:
    if options is None:
        return np.full(n_sensors, 1.0 / power)
    if options.init is None:
        return np.ones(n_sensors)
    values = np.asarray(options.init, dtype=np.float64).ravel()
    if values.size not in (1, n_sensors) or not (values > 0).all():
        raise OptionError(
            f"init_lambda must be one number above 0, or {n_sensors}, one for each "
            f"sensor, but got {options.init!r}."
        )
    return np.repeat(np.maximum(values, _EPS), n_sensors // values.size) / (
        power + _EPS
    )


def _prune(gammas: np.ndarray, active: np.ndarray, n_orient: int) -> np.ndarray:
    """Leave out, for ever, the groups that fell below an absolute bound."""
    means = gammas[active].reshape(-1, n_orient).mean(axis=1)
    return active[np.repeat(means > _EPS, n_orient)]


def _take_step(
    data: np.ndarray,
    gain: np.ndarray,
    gammas: np.ndarray,
    active: np.ndarray,
    noise: np.ndarray,
) -> _Step:
    columns, gamma = gain[:, active], gammas[active]
    covariance = (columns * gamma) @ columns.T + np.diag(noise)
    left, values, _ = linalg.svd(covariance, full_matrices=False)
    inverse = (left / (values + _EPS)) @ left.T
    projected = (inverse @ columns).T @ data
    return _Step(active, columns, inverse, projected, gamma)


def _update_gamma(step: _Step, mode: int, n_orient: int) -> np.ndarray:
    gamma = step.gamma
    observed = (step.projected**2).mean(axis=1)
    expected = (step.gain * (step.inverse @ step.gain)).sum(axis=0)
    if mode == 1:
        above, below = gamma**2 * observed, _pool(gamma * expected, n_orient)
    elif mode == 2:
        above, below = gamma * np.sqrt(observed), _pool(expected, n_orient)
        below = np.sqrt(np.maximum(below, _EPS))
    else:
        above = gamma**2 * observed + gamma * (1.0 - gamma * expected)
        below = np.ones(1)
    updated = _pool(above, n_orient) / np.maximum(below, _EPS)
    # A sum over a sum needs no division by their number; the reference divides.
    return np.maximum(updated / n_orient, 0.0)


def _pool(values: np.ndarray, n_orient: int) -> np.ndarray:
    """Give each coefficient the sum over its group."""
    return np.repeat(values.reshape(-1, n_orient).sum(axis=1), n_orient)


def _update_noise(
    data: np.ndarray, step: _Step, old: np.ndarray, options: NoiseOptions
) -> np.ndarray:
    residual = data - step.gain @ (step.gamma[:, None] * step.projected)
    power = (residual**2).mean(axis=1)
    if options.update_mode == 1:
        spread = ((step.gain @ _covariance(step)) * step.gain).sum(axis=1)
        new = power + spread
    else:
        new = np.sqrt(power / np.diag(step.inverse))
    new = np.maximum(new, _NOISE_FLOOR)
    return (1.0 - options.damping) * old + options.damping * new


def _covariance(step: _Step) -> np.ndarray:
    """Posterior covariance of the newest variances, with the matrix of the old ones."""
    inner = step.gain.T @ (step.inverse @ step.gain)
    covariance = np.diag(step.gamma) - step.gamma[:, None] * inner * step.gamma
    return (covariance + covariance.T) / 2


def _empty_step(n_sensors: int, n_times: int) -> _Step:
    none = np.zeros(0)
    return _Step(
        active=none.astype(int),
        gain=np.zeros((n_sensors, 0)),
        inverse=np.eye(n_sensors),
        projected=np.zeros((0, n_times)),
        gamma=none,
    )
