"""The fitted mixture of independent component models, and what it says about data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import logsumexp, softmax

from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_finite, check_shape
from meegic.base.errors import InputError, ShapeError
from meegic.base.flat import add_suffix, write_flat
from meegic.base.record import Record
from meegic.components.densities import compute_variances, draw_sources
from meegic.components.kernels import make_estep
from meegic.components.parameters import AmicaParameters
from meegic.components.threads import one_blas_thread
from meegic.components.whiten import Whitener

SCHEMA = 1  # of the files of models
_CHUNK = 2**16  # samples of new data that are sphered at a time


@dataclass(frozen=True, eq=False)
class History:
    """What happened in every iteration of a fit.

    Attributes
    ----------
    log_likelihood : array, shape (n_iter,)
        Per sample and component, before the step of the iteration.
    gradient_norm : array, shape (n_iter,)
        EM: root mean square of the step of the mixing; quasi-Newton: largest element
        of the gradient.
    rate : array, shape (n_iter,)
        Learning rate or length of the step.
    seconds : array, shape (n_iter,)
        Wall time.
    """

    log_likelihood: Float[np.ndarray, " iterations"]
    gradient_norm: Float[np.ndarray, " iterations"]
    rate: Float[np.ndarray, " iterations"]
    seconds: Float[np.ndarray, " iterations"]


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class AmicaModel:
    """A mixture of independent component models, fitted to data.

    Models come by descending weight, components by descending variance at the
    sensors; the largest entry of each sensor map is positive.

    Attributes
    ----------
    whitener : Whitener
        From channels to the space of the parameters.
    parameters : AmicaParameters
        Unmixing and densities.
    fitted_posteriors : array, shape (n_models, n_times)
        How probable each model is at each time of the fitted data, rejected ones too.
    rejected : array of bool, shape (n_times,)
        Samples of the fitted data that were left out as outliers.
    history : History
        Likelihood, gradient, rate and time of every iteration.
    log_likelihood : float
        Of these parameters, per kept sample and component.
    n_evals : int
        Passes over the data.
    converged : bool
        Whether a stopping rule ended the fit, rather than its limit.
    stop_reason : str
        'min_dll', 'min_nd', 'minlrate', 'line_search', 'max_iter', 'callback'.
    solver, kernel : str
        Who computed it.
    restarts : array, shape (n_restarts,)
        The log-likelihood that every random start reached; empty for a single one.
    record : Record
        Versions, options, seed and digest of the data.
    """

    whitener: Whitener
    parameters: AmicaParameters
    fitted_posteriors: Float[np.ndarray, "models times"]
    rejected: Bool[np.ndarray, " times"]
    history: History
    log_likelihood: float
    n_evals: int
    converged: bool
    stop_reason: str
    solver: str
    kernel: str
    restarts: Float[np.ndarray, " restarts"]
    record: Record

    @property
    def n_models(self) -> int:
        """How many models there are."""
        return len(self.parameters.weight)

    @property
    def n_components(self) -> int:
        """How many components every model has."""
        return self.parameters.unmix.shape[1]

    @property
    def variances(self) -> Float[np.ndarray, "models components"]:
        """The variance of every component at the sensors, in scaled units squared."""
        return compute_sensor_variances(self.whitener, self.parameters)

    @property
    def maps(self) -> Float[np.ndarray, "models channels components"]:
        """How every component looks at the sensors, in data units per source unit."""
        return self.whitener.inverse @ np.linalg.inv(self.parameters.unmix)

    @property
    def filters(self) -> Float[np.ndarray, "models components channels"]:
        """From centered channels to sources, the inverse of `maps`."""
        return self.parameters.unmix @ self.whitener.forward

    def unmix(
        self, data: Float[Array, "channels times"]
    ) -> Float[np.ndarray, "models components times"]:
        """Compute the sources W (x - c) of every model."""
        p, x = self.parameters, self.whitener(self._check(data))
        return p.unmix @ x - np.einsum("hik,hk->hi", p.unmix, p.center)[:, :, None]

    def restore(
        self, sources: Float[Array, "components times"], model: int = 0
    ) -> Float[np.ndarray, "channels times"]:
        """Take the sources of one model back to channels."""
        check_count("model", model, low=0, high=self.n_models - 1)
        unmix, center = self.parameters.unmix[model], self.parameters.center[model]
        x = np.linalg.solve(unmix, np.asarray(sources)) + center[:, None]
        return self.whitener.restore(x)

    def score_models(
        self, data: Float[Array, "channels times"]
    ) -> Float[np.ndarray, "models times"]:
        """Compute the log joint density of every model and sample."""
        data = self._check(data)
        scores = np.empty((self.n_models, data.shape[1]))
        for at in range(0, data.shape[1], _CHUNK):
            x = self.whitener(data[:, at : at + _CHUNK])
            part = np.empty((self.n_models, x.shape[1]))
            step = make_estep(x, jacobian=self.whitener.log_determinant, kernel="numba")
            with one_blas_thread():
                step(self.parameters, np.ones(x.shape[1]), part)
            scores[:, at : at + _CHUNK] = part
        return scores

    def score_samples(
        self, data: Float[Array, "channels times"]
    ) -> Float[np.ndarray, " times"]:
        """Compute the log density of every sample, in all components together."""
        return logsumexp(self.score_models(data), axis=0)

    def score(self, data: Float[Array, "channels times"]) -> float:
        """Compute the mean log-likelihood per sample and component."""
        values = self.score_samples(data)
        if not len(values):
            raise ShapeError("data must have at least one time to be scored.")
        return float(values.mean() / self.n_components)

    def posteriors(
        self, data: Float[Array, "channels times"]
    ) -> Float[np.ndarray, "models times"]:
        """Compute how probable each model is at each time; columns sum to 1."""
        return softmax(self.score_models(data), axis=0)

    def sample(
        self, n_times: int, *, seed: int = 0
    ) -> Float[np.ndarray, "channels times"]:
        """Draw data from the model; samples are independent of each other."""
        check_count("n_times", n_times)
        generator = np.random.default_rng(seed)
        models = generator.choice(self.n_models, n_times, p=self.parameters.weight)
        sources = draw_sources(self.parameters, models, generator)
        x = np.empty_like(sources)
        for h, unmix in enumerate(self.parameters.unmix):
            center = self.parameters.center[h][:, None]
            x[:, models == h] = np.linalg.solve(unmix, sources[:, models == h]) + center
        return self.whitener.restore(x)

    def save(self, path: Path | str) -> Path:
        """Write the model to an npz file, whose suffix is added where it is missing."""
        path = add_suffix(path)
        write_flat(path, self, version=SCHEMA)
        return path

    def _check(self, data: Float[Array, "channels times"]) -> np.ndarray:
        data = np.asarray(data)
        check_shape("data", data, (len(self.whitener.mean), None))
        if data.dtype.kind not in "biuf":
            raise InputError(f"data must hold real numbers, but got {data.dtype}.")
        check_finite("data", data)
        return data


def compute_scaled_maps(
    whitener: Whitener, parameters: AmicaParameters
) -> Float[np.ndarray, "models channels components"]:
    """Compute how components look at the sensors, in scaled units: of one size.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> from meegic.components.whiten import fit_whitener
    >>> whitener = fit_whitener(np.random.default_rng(0).normal(size=(2, 100)))
    >>> compute_scaled_maps(whitener, draw_parameters(2)).shape
    (1, 2, 2)
    """
    scaled = whitener.inverse * whitener.scale[:, None]
    return scaled @ np.linalg.inv(parameters.unmix)


def compute_sensor_variances(
    whitener: Whitener, parameters: AmicaParameters
) -> Float[np.ndarray, "models components"]:
    """Compute the variance that every component has at all sensors together.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> from meegic.components.whiten import fit_whitener
    >>> whitener = fit_whitener(np.random.default_rng(0).normal(size=(2, 100)))
    >>> compute_sensor_variances(whitener, draw_parameters(2)).shape
    (1, 2)
    """
    maps = compute_scaled_maps(whitener, parameters)
    return compute_variances(parameters) * (maps**2).sum(axis=1)


def order_parameters(
    whitener: Whitener, parameters: AmicaParameters, *, as_pyamica: bool = False
) -> AmicaParameters:
    """Order models by weight and components by variance, and fix their signs.

    Parameters
    ----------
    whitener : Whitener
        From channels to the space of the parameters.
    parameters : AmicaParameters
        In any order.
    as_pyamica : bool
        Take the variances of components as pyAMICA does, which pairs principal
        variances with entries of A that do not lie along these directions.

    Returns
    -------
    AmicaParameters
        The same model: no likelihood or posterior changes.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> from meegic.components.whiten import fit_whitener
    >>> whitener = fit_whitener(np.random.default_rng(0).normal(size=(2, 100)))
    >>> ordered = order_parameters(whitener, draw_parameters(2))
    >>> bool((np.diff(compute_sensor_variances(whitener, ordered)) <= 0).all())
    True
    """
    models = np.argsort(-parameters.weight, kind="stable")
    parameters = AmicaParameters(*(one[models] for one in parameters))
    variances = compute_sensor_variances(whitener, parameters)
    if as_pyamica:
        mix = np.linalg.inv(parameters.unmix)
        size = (whitener.variances[:, None] * mix**2).sum(axis=1)
        variances = compute_variances(parameters) * size
    order = np.argsort(-variances, axis=1, kind="stable")
    parameters = permute_components(parameters, order)
    maps = compute_scaled_maps(whitener, parameters)
    peaks = np.abs(maps).argmax(axis=1)[:, None]
    signs = np.sign(np.take_along_axis(maps, peaks, axis=1)[:, 0])
    return parameters._replace(
        unmix=parameters.unmix * signs[:, :, None], mu=parameters.mu * signs[:, None]
    )


def permute_components(
    parameters: AmicaParameters, order: np.ndarray
) -> AmicaParameters:
    """Bring the components of each model into an order (n_models, n_components).

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> permute_components(draw_parameters(2), np.array([[1, 0]])).unmix
    array([[[0., 1.],
            [1., 0.]]])
    """
    rows = np.take_along_axis(parameters.unmix, order[:, :, None], axis=1)
    by_term = {
        name: np.take_along_axis(getattr(parameters, name), order[:, None], axis=2)
        for name in ("alpha", "mu", "beta", "rho")
    }
    return parameters._replace(unmix=rows, **by_term)
