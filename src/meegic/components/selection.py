"""How many models a recording holds: held-out likelihood, and BIC as a hint."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_count
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.components.amica import fit_amica
from meegic.components.callbacks import Callback
from meegic.components.inspection import (
    check_recording_array,
    check_size,
    check_weights,
)
from meegic.components.model import AmicaModel
from meegic.components.options import AmicaOptions
from meegic.components.whiten import fit_whitener


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class ModelSelection:
    """How well different numbers of models explain what they were not fitted to.

    Attributes
    ----------
    candidates : tuple of int
        The numbers of models.
    held_out : array, shape (n_candidates, n_blocks)
        Log-likelihood per sample and component of each block, under the fit to all
        other blocks.
    bic : array, shape (n_candidates,)
        Bayesian information criterion of the fit to everything; the lower, the
        better. Optimistic about many models: it takes samples for independent, which
        neighbours in time are not.
    models : tuple of AmicaModel
        The fits to everything, for each candidate.
    """

    candidates: tuple[int, ...]
    held_out: Float[np.ndarray, "candidates blocks"]
    bic: Float[np.ndarray, " candidates"]
    models: tuple[AmicaModel, ...]

    @property
    def means(self) -> Float[np.ndarray, " candidates"]:
        """The mean held-out log-likelihood of each candidate."""
        return self.held_out.mean(axis=1)

    @property
    def standard_errors(self) -> Float[np.ndarray, " candidates"]:
        """The standard error of these means over the blocks."""
        return _compute_standard_error(self.held_out)

    @property
    def best(self) -> int:
        """The smallest number of models that is not clearly worse than the best one.

        Clearly is by more than one standard error of the difference to the highest
        mean, block by block: blocks differ in likelihood far more than candidates do,
        but all candidates are judged by the same blocks.
        """
        top = int(self.means.argmax())
        lack = self.held_out[top] - self.held_out
        good = lack.mean(axis=1) <= _compute_standard_error(lack)
        return min(one for one, is_good in zip(self.candidates, good, strict=True)
                   if is_good)  # fmt: skip

    @property
    def model(self) -> AmicaModel:
        """The fit to everything with the best number of models."""
        return self.models[self.candidates.index(self.best)]


def select_n_models(
    data: Float[Array, "channels times"],
    candidates: Sequence[int] = (1, 2, 3),
    *,
    options: AmicaOptions | None = None,
    weights: Float[Array, " times"] | None = None,
    scale: Float[Array, " channels"] | None = None,
    n_blocks: int = 5,
    seed: int = 0,
    callback: Callback | None = None,
) -> ModelSelection:
    """Compare numbers of models by the likelihood of blocks that were held out.

    Time is cut into contiguous blocks. Each is left out of a fit by the weight 0 and
    scored by it. What happens in one block only, such as a condition that never comes
    back, cannot be learned from the others and counts for nothing. The cost is that
    of ``n_blocks + 1`` fits for each candidate.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit.
    candidates : sequence of int
        Numbers of models.
    options : AmicaOptions | None
        How to fit; ``n_models`` is replaced.
    weights : array, shape (n_times,) | None
        How much every sample counts, in the fits and in the scores.
    scale : array, shape (n_channels,) | None
        Factors that bring channels of different types to one size.
    n_blocks : int
        How many blocks.
    seed : int
        Of the random starts.
    callback : callable | None
        Gets a `FitProgress` after every iteration of every fit.

    Returns
    -------
    ModelSelection
        Held-out likelihoods, BIC, the best number and its fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> data = rng.normal(size=(2, 2)) @ rng.laplace(size=(2, 2000))
    >>> select_n_models(data, [1, 2], n_blocks=2).best
    1
    """
    options = options or AmicaOptions()
    candidates = _check_candidates(candidates)
    data = check_recording_array("data", data)
    check_size("data", data)
    check_count("n_blocks", n_blocks, low=2, high=data.shape[1])
    weights = check_weights(weights, *data.shape)
    blocks = _cut(weights, n_blocks)
    trainings = [np.where(block, 0.0, weights) for block in blocks]

    # One unit and one rank for all fits: only then can likelihoods be compared.
    whitener = fit_whitener(
        data, weights=weights, scale=scale, n_components=options.n_components
    )
    scale = whitener.scale
    ranks = [
        len(fit_whitener(data, weights=one, scale=scale).forward) for one in trainings
    ]
    options = replace(options, n_components=min(len(whitener.forward), *ranks))

    held_out = np.empty((len(candidates), n_blocks))
    models = []
    for row, n_models in enumerate(candidates):
        chosen = replace(options, n_models=n_models)
        models.append(
            fit_amica(data, chosen, weights=weights, scale=scale, seed=seed,
                      callback=callback)
        )  # fmt: skip
        for column, (block, training) in enumerate(zip(blocks, trainings, strict=True)):
            with warnings.catch_warnings():  # said of the fit to everything already
                warnings.simplefilter("ignore", DataWarning)
                model = fit_amica(data, chosen, weights=training, scale=scale,
                                  seed=seed, callback=callback)  # fmt: skip
            values = model.score_samples(data[:, block])
            held_out[row, column] = np.average(values, weights=weights[block])
    return ModelSelection(
        candidates,
        held_out=held_out / models[0].n_components,
        bic=np.array(
            [compute_bic(one, weights[~one.rejected].sum()) for one in models]
        ),
        models=tuple(models),
    )


def compute_bic(model: AmicaModel, n_samples: float) -> float:
    r"""Compute the Bayesian information criterion of a fit.

    :math:`k \log N - 2 L` with :math:`k = M (n^2 - n + n (4 J - 1)) + M - 1` free
    parameters. It is a hint that costs nothing, and optimistic about many models:
    it takes samples for independent, which neighbours in time are not.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    n_samples : float
        How many samples it was fitted to; the sum of their weights.

    Returns
    -------
    float
        The lower, the better.

    Examples
    --------
    >>> data = np.random.default_rng(0).laplace(size=(2, 1000))
    >>> one = fit_amica(data)
    >>> two = fit_amica(data, AmicaOptions(n_models=2))
    >>> compute_bic(one, 1000) < compute_bic(two, 1000)
    True
    """
    if not n_samples > 0:
        raise OptionError(f"n_samples must be positive, but got {n_samples!r}.")
    n, n_models, n_mix = (
        model.n_components,
        model.n_models,
        model.parameters.mu.shape[1],
    )
    k = n_models * (n**2 - n + n * (4 * n_mix - 1)) + n_models - 1
    total = model.log_likelihood * n * n_samples
    return float(k * np.log(n_samples) - 2 * total)


def _check_candidates(candidates: Sequence[int]) -> tuple[int, ...]:
    for one in candidates:
        check_count("a candidate", one)
    if not len(candidates) or len(set(candidates)) < len(candidates):
        raise OptionError(
            "candidates must be different numbers of models, at least one, but got "
            f"{list(candidates)!r}."
        )
    return tuple(int(one) for one in candidates)


def _cut(weights: np.ndarray, n_blocks: int) -> list[np.ndarray]:
    """Cut time into contiguous blocks, as masks; each must have samples that count."""
    places = np.arange(len(weights)) * n_blocks // len(weights)
    blocks = [places == k for k in range(n_blocks)]
    for k, block in enumerate(blocks):
        if not (weights[block] > 0).any():
            raise InputError(
                f"block {k + 1} of {n_blocks} has no sample with a weight above 0.",
                hint="Take fewer blocks.",
            )
    return blocks


def _compute_standard_error(values: np.ndarray) -> np.ndarray:
    return values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
