"""The sums over time that every step of AMICA needs, and who computes them."""

from typing import Literal, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float

from meegic.base.checks import check_option
from meegic.components.parameters import AmicaParameters

Kernel = Literal["auto", "numba", "jax"]


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


def make_estep(
    x: Float[np.ndarray, "components times"],
    *,
    jacobian: float = 0.0,
    kernel: Kernel = "auto",
    dtype: str = "float64",
    chunk: int | None = None,
    device: str = "cpu",
) -> EStep:
    """Choose who passes over the data: numba on a processor, else JAX.

    Parameters
    ----------
    x : array, shape (n_components, n_times)
        Sphered data.
    jacobian : float
        The log-determinant of the sphering, which every likelihood contains.
    kernel : 'auto' | 'numba' | 'jax'
        ``'auto'`` takes numba on the processor and JAX elsewhere.
    dtype : 'float64' | 'float32'
        In what the elements are computed; sums over blocks are always in float64.
    chunk : int | None
        Samples in a block; ``None`` fits the blocks to the cache.
    device : 'cpu' | 'gpu'
        Where JAX computes.

    Returns
    -------
    EStep
        A function of parameters and weights.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> x = np.random.default_rng(0).normal(size=(2, 100))
    >>> make_estep(x)(draw_parameters(2), np.ones(100)).n_samples
    100.0
    """
    check_option("kernel", kernel, ["auto", "numba", "jax"])
    if pick_kernel(kernel, device) == "numba":
        from meegic.components.statistics_cpu import NumbaEStep

        return NumbaEStep(x, jacobian=jacobian, dtype=dtype, chunk=chunk)
    from meegic.components.statistics_jax import JaxEStep

    return JaxEStep(x, jacobian=jacobian, dtype=dtype, chunk=chunk, device=device)


def pick_kernel(kernel: str, device: str) -> str:
    """Decide who computes: the kernel that was asked for, or the one that fits."""
    if kernel != "auto":
        return kernel
    alone = device == "cpu" and len(jax.devices("cpu")) == 1
    return "numba" if alone else "jax"
