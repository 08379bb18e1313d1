"""AMICA as a scikit-learn estimator, with the names and defaults of pyAMICA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, TransformerTags
from sklearn.utils.validation import validate_data

from meegic.base.checks import check_count, check_finite, check_shape
from meegic.base.record import draw_seed
from meegic.components.adapters import (
    AmicaNotFittedError,
    as_seed_array,
    make_checkpoints,
    name_device,
    name_dtype,
    pad,
    take_samples,
    take_seed,
)
from meegic.components.amica import fit_amica
from meegic.components.callbacks import FitProgress
from meegic.components.model import AmicaModel
from meegic.components.model_file import read_model
from meegic.components.options import AmicaOptions
from meegic.components.verbose import Reporter, announce_compiling, announce_end

_DEFAULT_MIN_DLL = 1e-9
_SHARED = tuple(
    name
    for name in AmicaOptions.__dataclass_fields__
    if name not in ("min_dll", "dtype", "device", "polish")
)


class AMICA(BaseEstimator):
    """Adaptive mixture ICA: several independent component models share the data.

    Data are (n_samples, n_channels) here, as in scikit-learn. Parameters are those of
    pyAMICA; `AmicaOptions` says what each of them does. The solver ``'auto'`` takes
    joint quasi-Newton steps, in passes over the data, unless an option of EM's schedule
    (lrate..., newt..., rholrate..., maxdecs, minlrate, do_newton, fix_init) is set.

    Parameters
    ----------
    n_components, n_models, n_mix, max_iter
        Components (``None``: the rank), models, terms per source, and the limit of
        iterations (EM) or passes (quasi-Newton).
    min_dll : float
        Smallest gain of likelihood. The default leaves quasi-Newton its own rule.
    writestep, verbose
        Print a line every so many iterations.
    dtype, device, chunk_t, compile
        Precision ('float64' or 'float32', also as a NumPy or torch type), 'cpu' or
        'gpu', samples in a block; ``compile`` does nothing.
    time_iters
        Keep the seconds of each iteration in ``iter_times_``.
    checkpoint_every, checkpoint_path
        Keep the state of the fit every so many iterations; a fit that finds one of
        the same data and options goes on from it.
    random_state : None | int | numpy.random.Generator
        Seed of the start; what was used is ``random_state_``.
    init : None | 'fix' | 'fastica' | 'one-term' | AmicaModel | dict | path
        Where to begin.
    warm_start : bool
        Begin at the result of the last fit.
    callback : callable | None
        Gets a `FitProgress` after each iteration; a true answer ends the fit.
    compat : None | 'fortran' | 'pyamica'
        Reproduce the numbers of a reference program.
    lrate, lrate0, lratefact, rho0, minrho, maxrho, rholrate, rholratefact, do_sphere, \
do_newton, newt_start, newtrate, newt_ramp, doscaling, min_nd, use_grad_norm, \
use_min_dll, maxdecs, maxincs, minlrate, invsigmax, invsigmin, fix_init, do_reject, \
reject_sigma, num_reject, reject_start, reject_int, solver, n_restarts, \
newton_fallback, safeguard, kernel, sfreq
        Fields of `AmicaOptions`.

    Attributes
    ----------
    model_ : AmicaModel
        The fitted model; channels come first in its methods.
    mean_, sphere_, pca_vecs_, pca_vals_, sldet_
        x = (X - mean_) @ sphere_; principal directions and variances; log-determinant.
    A_, W_, c_, gm_, alpha_, mu_, sbeta_, rho_
        Mixing and unmixing of sphered data (n_models, n, n), centers, weights, and
        densities (n_models, n, n_mix).
    LL_, nd_, lrate_history_ : array, shape (max_iter,)
        Per iteration, padded with zeros.
    ll_final_, n_iter_, n_evals_, converged_, stop_reason_, solver_, iter_times_
        How the fit ended.
    posteriors_ : array, shape (n_models, n_samples)
        How probable each model is at each sample.
    rejected_ : array of bool, shape (n_samples,)
        Samples that were left out.
    svar_ : array, shape (n_models, n)
        Variance of each component at the sensors.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.laplace(size=(2000, 3)) @ rng.normal(size=(3, 3))
    >>> AMICA(random_state=0, verbose=False).fit(X).transform(X).shape
    (2000, 1, 3)
    """

    def __init__(
        self,
        n_components: int | None = None,
        n_models: int = 1,
        n_mix: int = 3,
        max_iter: int = 2000,
        lrate: float = 0.1,
        lrate0: float = 0.1,
        lratefact: float = 0.5,
        rho0: float = 1.5,
        minrho: float = 1.0,
        maxrho: float = 2.0,
        rholrate: float = 0.05,
        rholratefact: float = 0.5,
        do_sphere: bool = True,
        do_newton: bool = True,
        newt_start: int = 50,
        newtrate: float = 1.0,
        newt_ramp: int = 10,
        doscaling: bool = True,
        min_dll: float = _DEFAULT_MIN_DLL,
        min_nd: float = 1e-6,
        use_grad_norm: bool = True,
        use_min_dll: bool = True,
        maxdecs: int = 3,
        maxincs: int = 5,
        minlrate: float = 1e-8,
        invsigmax: float = 100.0,
        invsigmin: float = 1e-8,
        writestep: int = 100,
        verbose: bool = True,
        dtype: Any = "float64",
        device: Any = "cpu",
        chunk_t: int | None = None,
        compile: bool = False,
        time_iters: bool = False,
        checkpoint_every: int = 0,
        checkpoint_path: str | Path | None = None,
        fix_init: bool = False,
        do_reject: bool = False,
        reject_sigma: float = 3.0,
        num_reject: int = 5,
        reject_start: int = 1,
        reject_int: int = 1,
        *,
        solver: str = "auto",
        random_state: Any = None,
        init: Any = None,
        warm_start: bool = False,
        n_restarts: int = 1,
        newton_fallback: str = "pair",
        safeguard: bool = True,
        kernel: str = "auto",
        callback: Callable[[FitProgress], bool | None] | None = None,
        sfreq: float | None = None,
        compat: str | None = None,
    ) -> None:
        for name, value in list(locals().items()):
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "AMICA":
        """Fit the models.

        Parameters
        ----------
        X : array, shape (n_samples, n_channels)
            The recording, in any unit; masked samples are left out.
        y : None
            Not used.
        sample_weight : array, shape (n_samples,) | None
            How much every sample counts.

        Returns
        -------
        AMICA
            Itself, fitted.
        """
        del y
        X, weights = take_samples(self, X, sample_weight)
        return self._fit_channels(X.T, weights)

    def _fit_channels(
        self,
        data: np.ndarray,
        weights: np.ndarray | None,
        scale: np.ndarray | None = None,
    ) -> "AMICA":
        given = self.get_params(deep=False)
        options = self._make_options(given)
        seed = take_seed(given["random_state"])
        check_count("writestep", given["writestep"])
        start = given["init"]
        if given["warm_start"] and hasattr(self, "model_"):
            start = self.model_
        if given["verbose"]:
            announce_compiling(options)
        model = fit_amica(
            data, options, weights=weights, scale=scale, start=start, seed=seed,
            callback=Reporter(given, data.shape[1], options),
            checkpoints=make_checkpoints(given),
        )  # fmt: skip
        self._take(model)
        if given["verbose"]:
            announce_end(model)
        return self

    def transform(self, X: Any, model: int | None = None) -> np.ndarray:
        """Unmix data.

        Parameters
        ----------
        X : array, shape (n_samples, n_channels)
            Data with the channels of the fit.
        model : int | None
            Which model; ``None`` gives those of all.

        Returns
        -------
        array, shape (n_samples, n_models, n_components) or (n_samples, n_components)
            The sources.
        """
        fitted = self._fitted(model)
        sources = as_seed_array(np.moveaxis(fitted.unmix(self._check(X)), -1, 0))
        return sources if model is None else sources[:, model]

    def fit_transform(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> np.ndarray:
        """Fit the models and unmix the same data."""
        return self.fit(X, y, sample_weight).transform(X)

    def inverse_transform(self, S: Any, model: int = 0) -> np.ndarray:
        """Take the sources (n_samples, n_components) of one model to channels."""
        fitted, S = self._fitted(model), np.asarray(S)
        check_shape("S", S, (None, fitted.n_components))
        return fitted.restore(S.T, model).T

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute how probable each model is, shape (n_samples, n_models)."""
        return self._fitted().posteriors(self._check(X)).T

    def predict(self, X: Any) -> np.ndarray:
        """Find the most probable model of every sample."""
        return self.predict_proba(X).argmax(axis=1)

    def score_samples(self, X: Any) -> np.ndarray:
        """Compute the log-likelihood of every sample, of all components together."""
        return self._fitted().score_samples(self._check(X))

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the mean log-likelihood per sample and component."""
        del y
        return self._fitted().score(self._check(X))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw data (n_samples, n_channels) from the model."""
        fitted = self._fitted()
        return fitted.sample(n_samples, seed=draw_seed(take_seed(random_state))).T

    def ll_history(self) -> np.ndarray:
        """Give the log-likelihood of every iteration."""
        return as_seed_array(self._fitted().history.log_likelihood)

    def nd_history(self) -> np.ndarray:
        """Give the size of the gradient or step of every iteration."""
        return as_seed_array(self._fitted().history.gradient_norm)

    @property
    def mixing_matrices(self) -> np.ndarray:
        """A of every model, for sphered data (n_models, n, n)."""
        return as_seed_array(np.linalg.inv(self._fitted().parameters.unmix))

    @property
    def unmixing_matrices(self) -> np.ndarray:
        """W of every model, for sphered data (n_models, n, n)."""
        return as_seed_array(self._fitted().parameters.unmix)

    @property
    def sensor_mixing_matrices(self) -> np.ndarray:
        """Maps of every model at the sensors (n_models, n_channels, n)."""
        return as_seed_array(self._fitted().maps)

    @property
    def sensor_unmixing_matrices(self) -> np.ndarray:
        """Spatial filters of every model (n_models, n, n_channels)."""
        return as_seed_array(self._fitted().filters)

    def save(self, path: str | Path) -> None:
        """Write the fitted model; nothing is pickled.

        Parameters
        ----------
        path : path
            ``.npz`` is added when it is missing.
        """
        self._fitted().save(path)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> "AMICA":
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        device : 'cpu' | 'gpu'
            Where later fits compute.

        Returns
        -------
        AMICA
            Fitted, with the options of its fit.
        """
        return cls._of(read_model(path), device)

    @classmethod
    def _of(cls, model: AmicaModel, device: str) -> "AMICA":
        names = cls._get_param_names()
        kept = {k: v for k, v in model.record.options.items() if k in names}
        if kept.get("min_dll") is None:
            kept["min_dll"] = _DEFAULT_MIN_DLL
        loaded = cls(**{**kept, "device": device}, random_state=model.record.seed)
        loaded._take(model)
        return loaded

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags()
        tags.non_deterministic = self.random_state is None
        return tags

    def _make_options(self, given: dict[str, Any]) -> AmicaOptions:
        min_dll = given["min_dll"]
        return AmicaOptions(
            **{name: given[name] for name in _SHARED},
            min_dll=None if min_dll == _DEFAULT_MIN_DLL else min_dll,
            dtype=name_dtype(given["dtype"]),
            device=name_device(given["device"]),
        )

    def _take(self, model: AmicaModel) -> None:
        """Set the attributes that end with an underscore."""
        p, white, history = model.parameters, model.whitener, model.history
        options = model.record.options  # a model from files has none
        limit = max(options.get("max_iter", 0), len(history.rate))
        self.model_ = model
        arrays = {
            "mean_": white.mean, "sphere_": white.forward.T,
            "pca_vecs_": white.directions, "pca_vals_": white.variances,
            "A_": np.linalg.inv(p.unmix), "W_": p.unmix, "c_": p.center,
            "gm_": p.weight, "posteriors_": model.fitted_posteriors,
            "LL_": pad(history.log_likelihood, limit),
            "nd_": pad(history.gradient_norm, limit),
            "lrate_history_": pad(history.rate, limit),
            "svar_": model.variances, "rejected_": model.rejected,
            "alpha_": p.alpha.swapaxes(1, 2), "mu_": p.mu.swapaxes(1, 2),
            "sbeta_": p.beta.swapaxes(1, 2), "rho_": p.rho.swapaxes(1, 2),
        }  # fmt: skip
        for name, array in arrays.items():
            setattr(self, name, as_seed_array(array))
        rejecting = options.get("do_reject", False)
        self._rej_mask_ = as_seed_array(~model.rejected) if rejecting else None
        self.sldet_ = white.log_determinant
        self.ll_final_ = model.log_likelihood
        self.n_iter_ = len(history.rate)
        self.n_evals_ = model.n_evals
        self.converged_ = model.converged
        self.stop_reason_ = model.stop_reason
        self.solver_ = model.solver
        self.iter_times_ = list(history.seconds) if self.time_iters else []
        self.random_state_ = model.record.seed
        self.n_features_in_ = len(white.mean)

    def _fitted(self, model: int | None = None) -> AmicaModel:
        if not hasattr(self, "model_"):
            raise AmicaNotFittedError(
                "This AMICA is not fitted yet.", hint="Call fit(X) first."
            )
        if model is not None:
            check_count("model", model, low=0, high=self.model_.n_models - 1)
        return self.model_

    def _check(self, X: Any) -> np.ndarray:
        """Take data to unmix as channels by times."""
        X = validate_data(
            self, X, reset=False, dtype=[np.float64, np.float32],
            ensure_all_finite=False,
        )  # fmt: skip
        check_finite("X", X)
        return X.T
