"""The reference's solvers with the reference's numbers, faults included.

For those who need figures of CaliBrain 1.0.3 again. Results are mappings with its keys,
in NumPy and float64; ``gamma`` and ``gammas_full`` are in its normalised units, other
values in the units of what was passed. Each call warns that these are not our solvers.
"""

from typing import Any

import numpy as np
import scipy.sparse

from meegic.base.errors import OptionError
from meegic.sources.compat_results import (
    check_noise,
    complete_result,
    spread_result,
    take_operator,
    take_problem,
)
from meegic.sources.compat_scalar import ScalarOptions, fit_scalar
from meegic.sources.compat_sparse import (
    NoiseOptions,
    SparseFit,
    SparseOptions,
    fit_sparse,
)


def gamma_map(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float,
    *,
    n_orient: int = 1,
    options: SparseOptions | None = None,
) -> dict[str, Any]:
    """Estimate sparse sources as the reference's `gamma_map`.

    Parameters
    ----------
    L : array, shape (n_sensors, n_sources * n_orient) or with three axes
        The leadfield.
    y : array, shape (n_sensors, n_times)
        The measurements.
    noise_var : float
        Variance of the noise at every sensor.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    options : SparseOptions | None
        How to iterate.

    Returns
    -------
    dict
        The reference's keys.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     gamma_map(np.eye(2), np.eye(2), 0.1)["posterior_mean"].shape
    (2, 2)
    """
    L, y, n_orient = take_problem("gamma_map", L, y, n_orient)
    result = _solve_known_noise(L, y, noise_var, n_orient, options)
    return complete_result(result, L.shape[1], n_orient)


def gamma_map_sflex(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float,
    *,
    basis: scipy.sparse.csr_array,
    n_orient: int = 1,
    options: SparseOptions | None = None,
) -> dict[str, Any]:
    """Estimate sources that are sparse in a basis as the reference's `gamma_map_sflex`.

    Parameters
    ----------
    L : array, shape (n_sensors, n_sources * n_orient) or with three axes
        The leadfield.
    y : array, shape (n_sensors, n_times)
        The measurements.
    noise_var : float
        Variance of the noise at every sensor.
    basis : sparse array, shape (n_sources, n_sources)
        Of one scale, as `make_basis` makes it.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    options : SparseOptions | None
        How to iterate.

    Returns
    -------
    dict
        The reference's keys.

    Examples
    --------
    >>> basis = scipy.sparse.eye_array(2, format="csr")
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     sorted(gamma_map_sflex(np.eye(2), np.eye(2), 0.1, basis=basis))[0]
    'B_spatial'
    """
    L, y, n_orient = take_problem("gamma_map_sflex", L, y, n_orient)
    operator = take_operator(basis, L.shape[1], n_orient)
    result = _solve_known_noise(L @ operator, y, noise_var, n_orient, options)
    del result["posterior_cov_active"]
    result = spread_result(result, operator) | {"B_spatial": basis}
    return complete_result(result, L.shape[1], n_orient)


def gamma_lambda_map(
    L: np.ndarray,
    y: np.ndarray,
    *,
    n_orient: int = 1,
    options: SparseOptions | None = None,
    noise: NoiseOptions | None = None,
    track_history: bool = True,
) -> dict[str, Any]:
    """Estimate sparse sources and noise as the reference's `gamma_lambda_map`.

    Parameters
    ----------
    L : array, shape (n_sensors, n_sources * n_orient) or with three axes
        The leadfield.
    y : array, shape (n_sensors, n_times)
        The measurements.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    options : SparseOptions | None
        How to iterate.
    noise : NoiseOptions | None
        How the noise of each sensor is learned.
    track_history : bool
        Whether the three histories are in the result.

    Returns
    -------
    dict
        The reference's keys.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     gamma_lambda_map(np.eye(2), np.eye(2))["lambdas"].shape
    (2,)
    """
    L, y, n_orient = take_problem("gamma_lambda_map", L, y, n_orient)
    result = _solve_own_noise(L, y, n_orient, options, noise, track_history)
    return complete_result(result, L.shape[1], n_orient)


def gamma_lambda_map_sflex(
    L: np.ndarray,
    y: np.ndarray,
    *,
    basis: scipy.sparse.csr_array,
    n_orient: int = 1,
    options: SparseOptions | None = None,
    noise: NoiseOptions | None = None,
    track_history: bool = True,
) -> dict[str, Any]:
    """Estimate sources in a basis, and noise, as `gamma_lambda_map_sflex` there.

    Parameters
    ----------
    L : array, shape (n_sensors, n_sources * n_orient) or with three axes
        The leadfield.
    y : array, shape (n_sensors, n_times)
        The measurements.
    basis : sparse array, shape (n_sources, n_sources)
        Of one scale, as `make_basis` makes it.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    options : SparseOptions | None
        How to iterate.
    noise : NoiseOptions | None
        How the noise of each sensor is learned.
    track_history : bool
        Whether the three histories are in the result.

    Returns
    -------
    dict
        The reference's keys.

    Examples
    --------
    >>> basis = scipy.sparse.eye_array(2, format="csr")
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     gamma_lambda_map_sflex(np.eye(2), np.eye(2), basis=basis)["gamma"] > 0
    True
    """
    L, y, n_orient = take_problem("gamma_lambda_map_sflex", L, y, n_orient)
    operator = take_operator(basis, L.shape[1], n_orient)
    result = _solve_own_noise(L @ operator, y, n_orient, options, noise, track_history)
    result = spread_result(result, operator) | {"B_operator": operator}
    active = result["active_indices"]
    result["posterior_cov_active_coeff"] = result["posterior_cov_active"]
    result["posterior_cov_active"] = result["posterior_cov"][np.ix_(active, active)]
    if n_orient > 1:
        coefficients = result["posterior_mean_coeff"]
        shaped = coefficients.reshape(-1, n_orient, y.shape[1])
        result["posterior_mean_coeff_reshaped"] = shaped
    return complete_result(result, L.shape[1], n_orient)


def BMN(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float,
    *,
    n_orient: int = 1,
    options: ScalarOptions | None = None,
) -> dict[str, Any]:
    """Estimate sources of one variance as the reference's `BMN`.

    Parameters
    ----------
    L : array, shape (n_sensors, n_sources * n_orient) or with three axes
        The leadfield.
    y : array, shape (n_sensors, n_times)
        The measurements.
    noise_var : float
        Variance of the noise at every sensor.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    options : ScalarOptions | None
        How to iterate.

    Returns
    -------
    dict
        The reference's keys.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     BMN(np.eye(2), np.eye(2), 0.1)["posterior_cov"].shape
    (2, 2)
    """
    L, y, n_orient = take_problem("BMN", L, y, n_orient)
    variance = check_noise("noise_var", noise_var)
    options = ScalarOptions() if options is None else options
    fit = fit_scalar(y, L, variance, n_orient=n_orient, options=options)
    result = {
        "posterior_mean": fit.mean,
        "posterior_cov": fit.covariance,
        "noise_var": variance,
        "gamma": fit.gamma,
        "active_indices": np.arange(L.shape[1]),
    }
    return complete_result(result, L.shape[1], n_orient)


def BMN_joint(
    L: np.ndarray,
    y: np.ndarray,
    noise_var: float | None = None,
    *,
    n_orient: int = 1,
    options: ScalarOptions | None = None,
    learn_noise: bool = True,
    init_lambda: float | None = None,
    track_history: bool = True,
) -> dict[str, Any]:
    """Estimate sources of one variance, and noise, as the reference's `BMN_joint`.

    Parameters
    ----------
    L : array, shape (n_sensors, n_sources * n_orient) or with three axes
        The leadfield.
    y : array, shape (n_sensors, n_times)
        The measurements.
    noise_var : float | None
        Variance of the noise, where it is not learned.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    options : ScalarOptions | None
        How to iterate.
    learn_noise : bool
        Whether the noise is learned.
    init_lambda : float | None
        Where its variance starts; ``None`` is 1 in the squared unit of the data.
    track_history : bool
        Whether the four histories are in the result.

    Returns
    -------
    dict
        The reference's keys.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     BMN_joint(np.eye(2), np.eye(2))["posterior_mean"].shape
    (2, 2)
    """
    L, y, n_orient = take_problem("BMN_joint", L, y, n_orient)
    if learn_noise and noise_var is not None:
        raise OptionError(
            "noise_var must be None where the noise is learned, but got "
            f"{noise_var!r}.",
            hint="Pass it as init_lambda, or set learn_noise=False.",
        )
    if learn_noise:
        start = 1.0 if init_lambda is None else check_noise("init_lambda", init_lambda)
    else:
        start = check_noise("noise_var", noise_var)
    options = ScalarOptions() if options is None else options
    fit = fit_scalar(y, L, start, n_orient=n_orient, options=options, learn=learn_noise)
    result = {
        "posterior_mean": fit.mean,
        "posterior_cov": fit.covariance,
        "gamma": fit.gamma,
        "lambda": fit.noise,
        "noise_var": fit.noise,
        "active_indices": np.arange(L.shape[1]),
    }
    if track_history:
        gammas, noises, changes = fit.history.T
        result |= {"gamma_hist": gammas, "lambda_hist": noises}
        result |= {"noise_var_hist": noises, "err_gamma_hist": changes}
    return complete_result(result, L.shape[1], n_orient)


def _solve_known_noise(
    gain: np.ndarray,
    data: np.ndarray,
    noise_var: float,
    n_orient: int,
    options: SparseOptions | None,
) -> dict[str, Any]:
    variance = check_noise("noise_var", noise_var)
    options = SparseOptions() if options is None else options
    root = np.sqrt(variance)
    fit = fit_sparse(data / root, gain / root, n_orient=n_orient, options=options)
    return _fill(fit) | {
        "noise_var": variance,
        "active_source_indices": np.unique(fit.active // n_orient),
        "n_orient": n_orient,
        "n_iter": fit.n_iter,
    }


def _solve_own_noise(
    gain: np.ndarray,
    data: np.ndarray,
    n_orient: int,
    options: SparseOptions | None,
    noise: NoiseOptions | None,
    track_history: bool,
) -> dict[str, Any]:
    options = SparseOptions() if options is None else options
    noise = NoiseOptions() if noise is None else noise
    fit = fit_sparse(data, gain, n_orient=n_orient, options=options, noise=noise)
    mean = float(fit.noise.mean())
    result = {"lambdas": fit.noise, "lambda_mean": mean, "noise_var": mean}
    if track_history:
        sizes, changes, noises = fit.history.T
        result |= {"n_active_hist": sizes.astype(int), "err_gamma_hist": changes}
        result |= {"lambda_mean_hist": noises}
    return _fill(fit) | result


def _fill(fit: SparseFit) -> dict[str, Any]:
    """Put what is active in its place among all coefficients."""
    n_columns = len(fit.gammas)
    mean = np.zeros((n_columns, fit.mean.shape[1]))
    covariance = np.zeros((n_columns, n_columns))
    mean[fit.active] = fit.mean
    covariance[np.ix_(fit.active, fit.active)] = fit.covariance
    return {
        "posterior_mean": mean,
        "posterior_cov": covariance,
        "posterior_cov_active": fit.covariance,
        "gamma": float(fit.gammas.mean()),
        "gammas_full": fit.gammas,
        "active_indices": fit.active,
    }
