"""The sums over time that every step of AMICA needs, and who computes them."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from meegic.components.parameters import AmicaParameters


class Statistics(NamedTuple):
    r"""Sufficient statistics of one pass over the data.

    With :math:`y = \beta (b - \mu)`, :math:`r = |y|^\rho`, the weight of a sample
    times the posterior of its model :math:`v`, and times that of its term :math:`u`:

    Attributes
    ----------
    log_likelihood : float
        The weighted sum of the samples' log-likelihoods, with the jacobian.
    n_samples : float
        The sum of the weights.
    v : array, shape (n_models,)
        Sum of v: how many samples a model explains.
    vb2, vx : array, shape (n_models, n_components)
        Sums of v b^2 and of v x.
    u, ur, ur_y, ur_y2, url, ur2, ur2_y2 : array, shape (n_models, n_mix, n_components)
        Sums of u, u r, u r / y, u r / y^2, u r log|y|, u r^2 and u r^2 / y^2.
    cross : array, shape (n_models, n_components, n_components)
        Sum of g b' with g_i = sum_j u beta rho r / y over the terms of source i.
    """

    log_likelihood: float
    n_samples: float
    v: Float[np.ndarray, " models"]
    vb2: Float[np.ndarray, "models components"]
    vx: Float[np.ndarray, "models components"]
    u: Float[np.ndarray, "models mixtures components"]
    ur: Float[np.ndarray, "models mixtures components"]
    ur_y: Float[np.ndarray, "models mixtures components"]
    ur_y2: Float[np.ndarray, "models mixtures components"]
    url: Float[np.ndarray, "models mixtures components"]
    ur2: Float[np.ndarray, "models mixtures components"]
    ur2_y2: Float[np.ndarray, "models mixtures components"]
    cross: Float[np.ndarray, "models components components"]

    @property
    def explained(self) -> Float[np.ndarray, " models"]:
        """How many samples a model explains, as a divisor: never zero."""
        return np.maximum(self.v, np.finfo(float).tiny)

    @property
    def alive(self) -> Bool[np.ndarray, " models"]:
        """Which models explain at least two samples for each component."""
        return self.v >= 2 * self.cross.shape[1]


@runtime_checkable
class EStep(Protocol):
    """One pass over the data that it was made for."""

    def __call__(
        self,
        parameters: AmicaParameters,
        weights: Float[np.ndarray, " times"],
        scores: Float[np.ndarray, "models times"] | None = None,
    ) -> Statistics:
        """Compute the statistics; fill in each model's log joint density if asked."""
        ...
