"""Which model holds when, in any recording with the channels of the fit."""

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from meegic.components.edge.samples import Samples
from meegic.components.model import AmicaModel
from meegic.components.smoothing import smooth_posteriors


def compute_posteriors(
    model: AmicaModel, samples: Samples, *, dwell_s: float | None = None
) -> Float[np.ndarray, "models times"]:
    """Compute how probable each model is at each time.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    samples : Samples
        Its channels, of any recording.
    dwell_s : float | None
        How long a model lasts in a hidden Markov model over each stretch, in which
        spans that are marked as bad tell nothing; ``None`` judges every sample by
        itself.

    Returns
    -------
    array, shape (n_models, n_times)
        NaN where a channel is not finite.

    Examples
    --------
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 1000))
    >>> used, starts = np.ones(1000, dtype=bool), np.zeros(1, dtype=int)
    >>> samples = Samples(data, used, starts, sfreq=100.0)
    >>> compute_posteriors(fit_amica(data), samples).shape
    (1, 1000)
    """
    known = samples.known
    if model.n_models == 1:
        return np.where(known, 1.0, np.nan)[None]
    scores = np.full((model.n_models, len(known)), np.nan)
    data = samples.data if known.all() else samples.data[:, known]
    scores[:, known] = model.score_models(data)
    if dwell_s is None:
        return softmax(scores, axis=0)
    told = np.where(samples.used, scores, np.nan)
    smooth = smooth_stretches(
        told, model.parameters.weight, samples.starts,
        sfreq=samples.sfreq, dwell_s=dwell_s,
    )  # fmt: skip
    return np.where(known, smooth, np.nan)


def smooth_stretches(
    scores: Float[np.ndarray, "models times"],
    weight: Float[np.ndarray, " models"],
    starts: np.ndarray,
    *,
    sfreq: float,
    dwell_s: float,
) -> Float[np.ndarray, "models times"]:
    """Smooth probabilities within each stretch; what is NaN is told by neighbours.

    Examples
    --------
    >>> scores = np.log([[0.8, 0.1, 0.8], [0.2, 0.9, 0.2]])
    >>> weight, starts = np.array([0.5, 0.5]), np.array([0])
    >>> smooth_stretches(scores, weight, starts, sfreq=100, dwell_s=1).round(2)
    array([[0.64, 0.63, 0.64],
           [0.36, 0.37, 0.36]])
    """
    result = np.empty_like(scores)
    stops = [*starts[1:], scores.shape[1]]
    for start, stop in zip(starts, stops, strict=True):
        result[:, start:stop] = smooth_posteriors(
            scores[:, start:stop], weight, sfreq=sfreq, dwell_s=dwell_s
        )
    return result
