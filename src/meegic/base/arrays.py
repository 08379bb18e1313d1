"""Array types, precision and devices.

Estimators and solvers compute in float64 inside `precise()` and hand back NumPy
arrays: a float64 JAX array would fall to float32 in the first operation outside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from meegic.base.checks import check_option
from meegic.base.errors import OptionError

Array = np.ndarray | jax.Array


@contextmanager
def precise() -> Iterator[None]:
    """Compute in float64 here, without touching the user's global flag.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> with precise():
    ...     jnp.zeros(1).dtype
    dtype('float64')
    """
    with jax.enable_x64(True):
        yield


def to_host(tree: Any) -> Any:
    """Copy every JAX array of a result to NumPy, with its precision.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> type(to_host((jnp.ones(2),))[0]).__name__
    'ndarray'
    """
    return jax.tree.map(
        lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, tree
    )


def pick_device(
    name: str = "cpu",
) -> jax.Device:  # pyright: ignore[reportInvalidTypeForm]
    """Find the device that was asked for, or say which ones there are.

    Parameters
    ----------
    name : 'cpu' | 'gpu' | 'cuda'
        The kind of device; ``'cuda'`` is another word for ``'gpu'``.

    Returns
    -------
    jax.Device
        The first device of that kind.

    Examples
    --------
    >>> pick_device("cpu").platform
    'cpu'
    """
    check_option("device", name, ["cpu", "gpu", "cuda"])
    try:
        return jax.devices("gpu" if name == "cuda" else name)[0]
    except RuntimeError as error:
        found = sorted({one.platform for one in jax.devices()})
        raise OptionError(
            f"device {name!r} was asked for, but JAX finds only {found}.",
            hint="pip install 'meegic[cuda12]' on a machine with a GPU, or leave "
            "device at 'cpu'.",
        ) from error
