"""Array types, precision and devices.

Estimators and solvers compute in float64 inside `precise()` and hand back NumPy
arrays: a float64 JAX array would fall to float32 in the first operation outside.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from meegic.base.checks import check_option
from meegic.base.errors import InputError, OptionError

Array = np.ndarray | jax.Array

_P = ParamSpec("_P")
_R = TypeVar("_R")


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


def keep_kind(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function of arrays follow its caller in precision and kind.

    Its arguments that are arrays or lists come in as floating point: float32 stays
    float32, all other real numbers of NumPy become float64, and JAX's whole numbers
    and half precision become float32. Where no argument is or holds a JAX array the
    function runs in `precise()` and hands NumPy back, inside ``jit`` too.

    Parameters
    ----------
    function : callable
        Takes arrays to arrays.

    Returns
    -------
    callable
        The same function for arrays of any real dtype; others it refuses by name.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> root = keep_kind(lambda values: jnp.sqrt(values))
    >>> root(np.array([4.0])), root(jnp.array([4.0])).dtype
    (array([2.]), dtype('float32'))
    """
    signature = inspect.signature(function)

    @wraps(function)
    def follow(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        bound = signature.bind(*args, **kwargs)
        for name, one in bound.arguments.items():
            if isinstance(one, np.ndarray | jax.Array | list):
                bound.arguments[name] = _take_floats(name, one)
        leaves = jax.tree.leaves((bound.args, bound.kwargs))
        if any(isinstance(one, jax.Array) for one in leaves):
            return function(*bound.args, **bound.kwargs)
        with precise(), jax.ensure_compile_time_eval():
            return to_host(function(*bound.args, **bound.kwargs))

    return follow


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


def _take_floats(name: str, values: Array | list) -> Array:
    """Take real numbers in the precision that `keep_kind` states."""
    array = values if isinstance(values, jax.Array) else np.asanyarray(values)
    if array.dtype.kind not in "biufV":  # V: bfloat16 and its like
        raise InputError(
            f"{name} must hold real numbers, but its dtype is {array.dtype}.",
            hint="Take the real part, or convert it, first.",
        )
    if isinstance(array, jax.Array):
        wanted = jnp.promote_types(array.dtype, jnp.float32)
        # Where the flag is off, casting float64 even to itself would shorten it.
        return array if array.dtype == wanted else array.astype(wanted)
    if np.ma.is_masked(array):
        raise InputError(
            f"{name} has {int(np.ma.count_masked(array))} masked elements.",
            hint="Pass the values without the mask, and leave out what it marks.",
        )
    single = array.dtype.newbyteorder("=") == np.float32
    return np.asarray(array, dtype=np.float32 if single else np.float64)
