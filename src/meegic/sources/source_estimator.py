"""`SourceEstimator`: a solver with its arguments, as scikit-learn has it."""

import logging
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, TargetTags

from meegic.base.errors import NotFittedError, OptionError
from meegic.sources.leadfield import flatten_leadfield, take_sensors


class SourceEstimator(BaseEstimator):
    """Estimate sources from measurements with a solver of choice.

    Parameters
    ----------
    solver : callable
        `gamma_map`, `BMN`, or any function of a leadfield, measurements and
        ``n_orient``.
    solver_params : dict | None
        More arguments of the solver.
    noise_var : float | None
        Variance of the noise, for solvers that have this argument; None for those that
        learn it.
    n_orient : 1 | 2 | 3
        Orientations of a source; a leadfield with three axes tells them itself.
    logger : Logger | None
        Accepted, and not used.

    Attributes
    ----------
    L_ : array, shape (n_sensors, n_sources * n_orient)
        The leadfield, orientations of a source side by side.
    y_ : array, shape (n_sensors, n_times)
        The measurements.
    n_orient_ : int
        Orientations of a source.

    Examples
    --------
    >>> from meegic.sources.minimum_norm_estimator import BMN
    >>> estimator = SourceEstimator(BMN, noise_var=0.1).fit(np.eye(2), np.eye(2))
    >>> estimator.predict()["posterior_mean"].shape
    (2, 2)
    """

    def __init__(
        self,
        solver: Callable[..., Mapping[str, Any]],
        solver_params: dict[str, Any] | None = None,
        noise_var: float | None = None,
        n_orient: int = 1,
        logger: logging.Logger | None = None,
    ) -> None:
        self.solver = solver
        self.solver_params = solver_params
        self.noise_var = noise_var
        self.n_orient = n_orient
        self.logger = logger

    def fit(self, L: np.ndarray, y: np.ndarray) -> "SourceEstimator":
        """Keep leadfield and measurements.

        Parameters
        ----------
        L : array, shape (n_sensors, n_sources * n_orient) or (n_sensors, n_sources, k)
            The leadfield.
        y : array, shape (n_sensors, n_times)
            The measurements.

        Returns
        -------
        SourceEstimator
            Itself.
        """
        self.L_, self.n_orient_ = flatten_leadfield(L, n_orient=self.n_orient)
        self.y_ = take_sensors(y, len(self.L_))
        return self

    def predict(self, y: np.ndarray | None = None) -> Mapping[str, Any]:
        """Estimate the sources.

        Parameters
        ----------
        y : array, shape (n_sensors, n_times) | None
            Other measurements than those that are kept.

        Returns
        -------
        mapping
            What the solver gives.
        """
        if not hasattr(self, "L_"):
            raise NotFittedError(
                "SourceEstimator has no leadfield yet.", hint="Call fit(L, y) first."
            )
        if not callable(self.solver):
            raise TypeError(
                f"solver must be a function, such as meegic.BMN, but got "
                f"{self.solver!r}."
            )
        sensors = self.y_ if y is None else take_sensors(y, len(self.L_))
        arguments: dict[str, Any] = {"n_orient": self.n_orient_}
        if "noise_var" in signature(self.solver).parameters:
            arguments["noise_var"] = self.noise_var
        elif self.noise_var is not None:
            raise OptionError(
                f"noise_var must be None for {self.solver.__name__}, which learns the "
                f"noise, but got {self.noise_var!r}."
            )
        return self.solver(self.L_, sensors, **arguments, **(self.solver_params or {}))

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that this is a regressor."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.target_tags = TargetTags(required=True, multi_output=True)
        return tags
