"""Who passes over the data: numba on a processor, JAX on accelerators and many."""

import os
import re

import jax
import numpy as np
from jaxtyping import Float

from meegic.base.checks import check_option
from meegic.components.statistics import EStep


def make_estep(
    x: Float[np.ndarray, "components times"],
    *,
    jacobian: float = 0.0,
    kernel: str = "auto",
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
    """Decide who computes: the kernel that was asked for, or the one that fits.

    Examples
    --------
    >>> pick_kernel("jax", "cpu")
    'jax'
    """
    if kernel != "auto":
        return kernel
    return "numba" if device == "cpu" and _count_host_devices() <= 1 else "jax"


def _count_host_devices() -> int:
    """Count what was asked for; asking JAX would start its threads, for good."""
    flags = os.environ.get("XLA_FLAGS", "")
    forced = re.search(r"host_platform_device_count=(\d+)", flags)
    wanted = getattr(jax.config, "jax_num_cpu_devices", 1)
    return max(wanted, int(forced[1]) if forced else 1)
