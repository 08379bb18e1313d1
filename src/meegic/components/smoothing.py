"""Smooth model probabilities over time: a hidden Markov model over the models."""

import inspect

import numpy as np
from jaxtyping import Float
from numba import njit

from meegic.base.arrays import Array
from meegic.base.checks import check_finite, check_range, check_shape
from meegic.base.errors import InputError

_SUM_TOLERANCE = 1e-6


def smooth_posteriors(
    scores: Float[Array, "models times"],
    weight: Float[Array, " _models"],
    *,
    sfreq: float,
    dwell_s: float = 1.0,
) -> Float[np.ndarray, "models times"]:
    r"""Compute how probable each model is at each time, given all other times.

    From one sample to the next the model stays with the probability
    :math:`s = \exp(-1 / (d f))`, with the dwell time d and the sampling rate f, and
    is drawn anew from the weights g otherwise, so that
    :math:`P_{ij} = s \delta_{ij} + (1 - s) g_j`, whose stationary distribution is g
    for every d. Forward and backward passes take :math:`O(T M)`, because P is the
    identity and a matrix of rank one.

    Parameters
    ----------
    scores : array, shape (n_models, n_times)
        Log joint density of model and sample, from `AmicaModel.score_models`; the
        samples follow each other without gaps. NaN where a sample shall tell nothing;
        its neighbours then tell.
    weight : array, shape (n_models,)
        How often each model holds; the parameters' ``weight``.
    sfreq : float
        Sampling rate in Hz.
    dwell_s : float
        How long a model lasts until it is drawn anew, in s, on average. With 0 every
        sample is judged by itself, as in `AmicaModel.posteriors`.

    Returns
    -------
    array, shape (n_models, n_times)
        Probabilities; those of one time sum to 1.

    Examples
    --------
    >>> scores = np.log([[0.8, 0.1, 0.8], [0.2, 0.9, 0.2]])
    >>> smooth_posteriors(scores, np.array([0.5, 0.5]), sfreq=100).round(2)
    array([[0.64, 0.63, 0.64],
           [0.36, 0.37, 0.36]])
    """
    scores = np.asarray(scores, dtype=float)
    weight = _check_weight(np.asarray(weight, dtype=float), len(scores))
    silent = np.isnan(scores).all(axis=0)
    check_finite("scores", scores[:, ~silent])
    check_range("sfreq", sfreq, low=0, open_low=True, unit="Hz")
    check_range("dwell_s", dwell_s, low=0, open_high=True, unit="s")
    leave = -np.expm1(-1 / (dwell_s * sfreq)) if dwell_s > 0 else 1.0
    emissions = np.where(silent, 0.0, scores - np.log(weight)[:, None])
    emissions = np.exp(emissions - emissions.max(axis=0))
    return _pass_both_ways(emissions, weight, float(leave))


def _check_weight(weight: np.ndarray, n_models: int) -> np.ndarray:
    check_shape("weight", weight, (n_models,))
    total = weight.sum()
    if not ((weight > 0).all() and abs(total - 1) < _SUM_TOLERANCE):
        raise InputError(
            "weight must be positive and sum to 1, but got "
            f"{np.array2string(weight, threshold=8)}.",
            hint="Pass model.parameters.weight.",
        )
    return weight / total


def _recurse(emissions, weight, leave):
    """Go forward and back; what is carried is normalized at every sample.

    No underflow can happen: the largest emission of a sample is 1, and every model is
    entered with at least the probability `leave` times its weight.
    """
    n_models, n_times = emissions.shape
    stay = 1.0 - leave
    result = np.empty((n_models, n_times))
    past = weight.copy()
    for t in range(n_times):
        total = 0.0
        for h in range(n_models):
            past[h] = (stay * past[h] + leave * weight[h]) * emissions[h, t]
            total += past[h]
        for h in range(n_models):
            past[h] /= total
            result[h, t] = past[h]
    future = np.ones(n_models)
    for t in range(n_times - 1, -1, -1):
        total, anew = 0.0, 0.0
        for h in range(n_models):
            result[h, t] *= future[h]
            total += result[h, t]
            future[h] *= emissions[h, t]
            anew += weight[h] * future[h]
        norm = 0.0
        for h in range(n_models):
            result[h, t] /= total
            future[h] = stay * future[h] + leave * anew
            norm += future[h]
        for h in range(n_models):
            future[h] /= norm
    return result


_pass_both_ways = njit(nogil=True, error_model="numpy")(inspect.unwrap(_recurse))
