"""Rejection: which samples are so improbable that a fit leaves them out."""

import numpy as np
from jaxtyping import Bool, Float

from meegic.base.alerts import warn_user
from meegic.base.errors import DataWarning, InputError
from meegic.components.options import AmicaOptions

_MAX_REJECTED = 0.2


def find_kept(
    values: Float[np.ndarray, " times"],
    kept: Bool[np.ndarray, " times"],
    weights: Float[np.ndarray, " times"],
    options: AmicaOptions,
) -> Bool[np.ndarray, " times"]:
    """Find the samples whose log-likelihood is not far below that of the others.

    Parameters
    ----------
    values : array, shape (n_times,)
        Log-likelihoods.
    kept : array of bool, shape (n_times,)
        Samples that were kept until now.
    weights : array, shape (n_times,)
        Samples without weight have no part in it, and stay as they are.
    options : AmicaOptions
        How far is far; pyAMICA takes all samples for the statistics.

    Returns
    -------
    array of bool, shape (n_times,)
        Samples that are kept from now on, none that was not before.

    Examples
    --------
    >>> values = np.append(np.zeros(99), -1000.0)
    >>> find_kept(values, values > -9999, np.ones(100), AmicaOptions()).sum()
    np.int64(99)
    """
    seed = options.compat == "pyamica"
    used = weights > 0
    base = values[used] if seed else values[kept & used]
    bound = base.mean() - options.reject_sigma * base.std(ddof=1 if seed else 0)
    return kept & ((values >= bound) | ~used)


def check_kept(
    kept: Bool[np.ndarray, " times"], weights: Float[np.ndarray, " times"], n: int
) -> None:
    """Refuse to go on with too few samples, and warn when many are left out.

    Examples
    --------
    >>> check_kept(np.ones(9, dtype=bool), np.ones(9), 2)
    """
    n_used, n_left = int((weights > 0).sum()), int((kept & (weights > 0)).sum())
    if n_left < 2 * n:
        raise InputError(
            f"rejection leaves {n_left} samples, but {n} components need {2 * n}.",
            hint="Raise reject_sigma, or clean the data first.",
        )
    if n_left < (1 - _MAX_REJECTED) * n_used:
        share = 100 * (1 - n_left / n_used)
        warn_user(
            f"{share:.0f} % of the samples are rejected as outliers; reject_sigma may "
            "be too small.",
            DataWarning,
        )
