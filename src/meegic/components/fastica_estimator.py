"""FastICA as a user meets it: options first, then `fit`, for NumPy and JAX arrays."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meegic.base.arrays import Array, precise
from meegic.base.checks import check_count, check_option
from meegic.base.errors import NotFittedError, OptionError
from meegic.components.fastica import FastIcaModel, fit_fastica
from meegic.components.inspection import check_recording_array


@dataclass(frozen=True, eq=False)
class FastICA:
    """Independent component analysis by the symmetric fixed-point iteration.

    `fit` leaves the object as it is and returns a fitted one. Everything is computed
    in float64; arrays come back in the kind and precision of what was passed.

    Parameters
    ----------
    n_components : int | None
        How many components; ``None`` takes the numerical rank of the data.
    whiten_solver : 'eigh'
        How the whitening is found: eigenvectors of the covariance.
    max_iter : int
        The largest number of passes over the data.
    tol : float
        The fit ends when no direction changed by more, in ``1 - |cos|``.

    Attributes
    ----------
    mixing_ : array, shape (n_channels, n_components)
        How every component looks at the channels, in the unit of the data; ``None``
        before the fit, as all that follow. Components come by descending variance,
        and the largest entry of each column is positive.
    components_ : array, shape (n_components, n_times)
        The components, of unit variance.
    mean_ : array, shape (n_channels, 1)
        Mean of every channel.
    unmixing_ : array, shape (n_components, n_channels)
        From centered channels to components.
    n_iter_ : int
        How many passes were made.
    converged_ : bool
        Whether the last change was below ``tol``.
    seed_ : int
        What the random start was drawn from.
    model_ : FastIcaModel
        The same result in float64, with the history and the record.

    Examples
    --------
    >>> sources = np.random.default_rng(0).laplace(size=(2, 5000))
    >>> X = np.array([[2.0, 1.0], [1.0, 1.0], [0.0, 1.0]]) @ sources
    >>> model = FastICA(n_components=2).fit(X, key=0)
    >>> model.mixing_.shape, model.components_.shape, model.converged_
    ((3, 2), (2, 5000), True)
    >>> bool(np.allclose(model.mixing_ @ model.components_ + model.mean_, X))
    True
    """

    n_components: int | None
    whiten_solver: str = "eigh"
    max_iter: int = 200
    tol: float = 1e-4
    mixing_: Array | None = field(default=None, init=False, repr=False)
    components_: Array | None = field(default=None, init=False, repr=False)
    mean_: Array | None = field(default=None, init=False, repr=False)
    unmixing_: Array | None = field(default=None, init=False, repr=False)
    n_iter_: int | None = field(default=None, init=False, repr=False)
    converged_: bool | None = field(default=None, init=False, repr=False)
    seed_: int | None = field(default=None, init=False, repr=False)
    model_: FastIcaModel | None = field(default=None, init=False, repr=False)

    def fit(self, X: Array, key: Any = None) -> "FastICA":
        """Fit the components of data.

        Parameters
        ----------
        X : array, shape (n_channels, n_times)
            The recording, in any unit.
        key : jax.random key | int | None
            Where the directions start; ``None`` is 0. ``jax.random.key(7)``,
            ``jax.random.PRNGKey(7)`` and 7 are the same.

        Returns
        -------
        FastICA
            A new object with the same options and the fitted attributes.
        """
        check_option("whiten_solver", self.whiten_solver, ["eigh"])
        data, seed = check_recording_array("X", X), _read_key(key)
        model = fit_fastica(
            data,
            n_components=self.n_components,
            max_iter=self.max_iter,
            tol=self.tol,
            seed=seed,
        )
        fitted = replace(self)
        found = {
            "mixing_": _follow(model.maps, X, data),
            "components_": _follow(model.unmix(data), X, data),
            "mean_": _follow(model.whitener.mean[:, None], X, data),
            "unmixing_": _follow(model.filters, X, data),
            "n_iter_": model.n_iter,
            "converged_": model.converged,
            "seed_": seed,
            "model_": model,
        }
        for name, value in found.items():
            object.__setattr__(fitted, name, value)  # nobody has seen it yet
        return fitted

    def apply(self, X: Array) -> Array:
        """Compute the components of other data with the same channels.

        Parameters
        ----------
        X : array, shape (n_channels, n_times)
            The data.

        Returns
        -------
        array, shape (n_components, n_times)
            The components, in the scale of the fitted ones.
        """
        if self.model_ is None:
            raise NotFittedError(
                "this FastICA is not fitted.",
                hint="fit returns the fitted object: model = ica.fit(X).",
            )
        data = check_recording_array("X", X)
        return _follow(self.model_.unmix(data), X, data)


def _follow(values: np.ndarray, given: Array, taken: np.ndarray) -> Array:
    """Hand a result back in the kind and precision in which the data came."""
    if not isinstance(given, jax.Array):
        return values.astype(taken.dtype)
    with precise():
        return jnp.asarray(values, jnp.promote_types(given.dtype, jnp.float32))


def _read_key(key: Any) -> int:
    """Take the number that a key was made of, or the one that its words spell."""
    if key is None:
        return 0
    if isinstance(key, (int, np.integer)):
        check_count("key", key, low=0)
        return int(key)
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    words = np.asarray(key)
    if words.dtype != np.uint32 or words.ndim != 1:
        raise OptionError(
            f"key must be a whole number, one key of jax.random or None, but got "
            f"{key!r}.",
            hint="Pass key=0, or jax.random.key(0).",
        )
    return int.from_bytes(words.astype(">u4").tobytes(), "big")
