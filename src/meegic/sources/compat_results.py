"""What the reference's solvers begin and end with: checks, and the keys of a result."""

from typing import Any

import numpy as np
import scipy.sparse

from meegic.base.alerts import warn_user
from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.sources.basis import repeat_orientations
from meegic.sources.leadfield import flatten_leadfield, take_sensors


def take_problem(
    solver: str, leadfield: Any, data: Any, n_orient: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Check leadfield and data, and warn that the reference's numbers come.

    Parameters
    ----------
    solver : str
        Its name.
    leadfield, data : array
        As they were passed.
    n_orient : 1 | 2 | 3
        Orientations of a source.

    Returns
    -------
    leadfield : array, shape (n_sensors, n_coefficients)
        With two axes.
    data : array, shape (n_sensors, n_times)
        With two axes.
    n_orient : int
        As the leadfield has it.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", DataWarning)
    ...     take_problem("BMN", np.ones((2, 3, 3)), np.ones(2), 1)[2]
    3
    """
    gain, n_orient = flatten_leadfield(leadfield, n_orient=n_orient)
    sensors = take_sensors(data, len(gain))
    if not sensors.any():
        raise InputError("y is zero everywhere: there is nothing to explain.")
    warn_user(
        f"{solver} gives the numbers of CaliBrain 1.0.3, faults included; the faults "
        "are in its gammas, means and variances. Leave out compat for correct ones.",
        DataWarning,
    )
    return gain, sensors, n_orient


def check_noise(name: str, value: Any) -> float:
    """Take a variance above zero.

    Examples
    --------
    >>> check_noise("noise_var", 2)
    2.0
    """
    number = np.asarray(np.nan if value is None else value)
    if number.ndim or number.dtype.kind not in "iuf" or not 0 < number < np.inf:
        raise OptionError(
            f"{name} must be one finite variance above 0, but got {value!r}.",
            hint="Take it from a baseline, or learn it with BMN_joint or "
            "gamma_lambda_map.",
        )
    return float(number)


def take_operator(basis: Any, n_columns: int, n_orient: int) -> scipy.sparse.csr_array:
    """Make of a spatial basis the one of all coefficients.

    Parameters
    ----------
    basis : sparse array, shape (n_sources, n_sources)
        Of one scale; the reference knows no other.
    n_columns : int
        Columns of the leadfield.
    n_orient : 1 | 2 | 3
        Orientations of a source.

    Returns
    -------
    sparse array, shape (n_columns, n_columns)
        The basis of all orientations.

    Examples
    --------
    >>> take_operator(scipy.sparse.eye_array(2, format="csr"), 6, 3).shape
    (6, 6)
    """
    n_sources = n_columns // n_orient
    if basis.shape != (n_sources, n_sources):
        raise ShapeError(
            f"the basis must have shape ({n_sources}, {n_sources}), but got "
            f"{basis.shape}.",
            hint="Pass one position for each source in src_coords, and one sigma.",
        )
    return repeat_orientations(basis, n_orient)


def complete_result(
    result: dict[str, Any], n_columns: int, n_orient: int
) -> dict[str, Any]:
    """Add the keys that every result has.

    Parameters
    ----------
    result : dict
        With ``posterior_mean``, and ``posterior_mean_coeff`` where there is a basis.
    n_columns : int
        Columns of the leadfield.
    n_orient : 1 | 2 | 3
        Orientations of a source.

    Returns
    -------
    dict
        With the indices, and the mean by source and orientation where there are some.

    Examples
    --------
    >>> sorted(complete_result({"posterior_mean": np.zeros((2, 1))}, 2, 1))
    ['coefficient_indices', 'posterior_mean', 'source_indices']
    """
    indices = {
        "coefficient_indices": np.arange(n_columns),
        "source_indices": np.arange(n_columns // n_orient),
    }
    if n_orient == 1:
        return result | indices
    mean = result["posterior_mean"]
    shaped = mean.reshape(-1, n_orient, mean.shape[1])
    return result | indices | {"posterior_mean_reshaped": shaped}


def spread_result(
    result: dict[str, Any], operator: scipy.sparse.csr_array
) -> dict[str, Any]:
    """Take mean and covariance from coefficients of a basis to sources.

    Parameters
    ----------
    result : dict
        With ``posterior_mean`` and ``posterior_cov`` of the coefficients.
    operator : sparse array, shape (n_columns, n_columns)
        As `take_operator` makes it.

    Returns
    -------
    dict
        Those of the sources; those of the coefficients have names in ``_coeff``.

    Examples
    --------
    >>> result = {"posterior_mean": np.ones((2, 1)), "posterior_cov": np.eye(2)}
    >>> operator = 3 * scipy.sparse.eye_array(2, format="csr")
    >>> float(spread_result(result, operator)["posterior_cov"][0, 0])
    9.0
    """
    mean, covariance = result["posterior_mean"], result["posterior_cov"]
    spread = operator @ (operator @ covariance).T
    return result | {
        "posterior_mean": operator @ mean,
        "posterior_cov": (spread + spread.T) / 2,
        "posterior_mean_coeff": mean,
        "posterior_cov_coeff": covariance,
    }
