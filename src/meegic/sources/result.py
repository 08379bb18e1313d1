"""What a solver gives: a mapping with the reference's keys, and more as attributes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse

from meegic.sources.posterior import Posterior
from meegic.sources.problem import SolverOptions
from meegic.sources.solve import Solution


@dataclass(frozen=True, eq=False, repr=False)
class SolverResult(Mapping[str, Any]):
    """Estimated sources: ``result["posterior_mean"]``, ``result.posterior.variance``.

    The keys are the reference's. What is large is computed when it is asked for.

    Attributes
    ----------
    contents : dict
        Values, and functions that compute them.
    solution : Solution | None
        What the attributes come from; None where the reference's faults were asked
        for, which has the keys only.

    Examples
    --------
    >>> result = SolverResult({"gamma": 2.0, "posterior_mean": lambda: np.ones((2, 5))})
    >>> result["posterior_mean"].shape, sorted(result)
    ((2, 5), ['gamma', 'posterior_mean'])
    """

    contents: dict[str, Any]
    solution: Solution | None = None
    computed: dict[str, Any] = field(default_factory=dict, init=False)

    def __getitem__(self, key: str) -> Any:
        """Give what stands under a key."""
        value = self.contents[key]
        if not callable(value):
            return value
        if key not in self.computed:
            self.computed[key] = value()
        return self.computed[key]

    def __iter__(self) -> Iterator[str]:
        """Give the keys."""
        return iter(self.contents)

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.contents)

    def __repr__(self) -> str:
        """Name the keys; the values are large."""
        end = f", {self.stop_reason!r}" if self.solution else ""
        return f"SolverResult({sorted(self)}{end})"

    @property
    def posterior(self) -> Posterior:
        """Mean and covariance of the sources, as factors."""
        return self._found.posterior

    @property
    def evidence(self) -> Float[np.ndarray, " evaluations"]:
        """The best cost F after each evaluation; the log evidence is -T/2 F."""
        return self._found.history.cost

    @property
    def converged(self) -> bool:
        """Whether the search came to its end."""
        return self._found.converged

    @property
    def stop_reason(self) -> str:
        """Why the search ended."""
        return self._found.stop_reason

    @property
    def n_evaluations(self) -> int:
        """How often the evidence was evaluated."""
        return self._found.n_evaluations

    @property
    def noise_identifiable(self) -> bool:
        """Whether the data tell the noise from the sources, where it was learned."""
        return self._found.noise_identifiable

    @property
    def unobserved(self) -> np.ndarray:
        """Groups that no sensor sees."""
        return self._found.unobserved

    @property
    def options(self) -> SolverOptions:
        """How variances were searched."""
        return self._found.options

    @property
    def _found(self) -> Solution:
        if self.solution is None:
            raise AttributeError("a result of compat='calibrain' has its keys only")
        return self.solution


KEYS = {
    "known": (
        *("posterior_mean", "posterior_cov", "noise_var", "gamma", "gammas_full"),
        *("active_indices", "active_source_indices", "coefficient_indices"),
        *("source_indices", "n_orient", "n_iter"),
    ),
    "learned": (
        *("posterior_mean", "posterior_cov", "posterior_cov_active", "noise_var"),
        *("gamma", "gammas_full", "active_indices", "coefficient_indices"),
        *("source_indices", "lambdas", "lambda_mean"),
    ),
    "patches": ("posterior_mean_coeff", "posterior_cov_coeff"),
    "scalar": (
        *("posterior_mean", "posterior_cov", "noise_var", "gamma", "active_indices"),
        *("coefficient_indices", "source_indices"),
    ),
    "eloreta": ("posterior_mean", "posterior_cov", "noise_var", "active_indices"),
    "history": ("n_active_hist", "err_gamma_hist", "lambda_mean_hist"),
    "scalar_history": ("gamma_hist", "lambda_hist", "noise_var_hist", "err_gamma_hist"),
}
"""The reference's keys, by what its results have in common."""


def make_result(
    solution: Solution,
    keys: tuple[str, ...],
    *,
    spatial: sparse.csr_array | None = None,
) -> SolverResult:
    """Lay out a solution under the reference's keys.

    Parameters
    ----------
    solution : Solution
        What was found.
    keys : tuple of str
        Those of the result; several orientations add the mean by source.
    spatial : sparse array, shape (n_sources, n_patches) | None
        The basis without orientations.

    Returns
    -------
    SolverResult
        The mapping.

    Examples
    --------
    >>> from meegic.sources.problem import SourceProblem
    >>> from meegic.sources.solve import solve_minimum_norm
    >>> problem = SourceProblem(np.eye(2), 2 * np.eye(2), noise=1.0)
    >>> make_result(solve_minimum_norm(problem), KEYS["scalar"])["active_indices"]
    array([0, 1])
    """
    table = _lay_out_values(solution) | _lay_out_posterior(solution.posterior)
    table |= {"B_spatial": spatial, "B_operator": solution.posterior.basis}
    if keys == KEYS["eloreta"] and solution.posterior.n_orient > 1:
        table["posterior_mean"] = table["posterior_mean_reshaped"]
    elif solution.posterior.n_orient > 1:
        shaped = [one for one in keys if one.startswith("posterior_mean")]
        # the reference has the second only beside the operator
        shaped = shaped if "B_operator" in keys else shaped[:1]
        keys = (*keys, *(f"{one}_reshaped" for one in shaped))
    return SolverResult({one: table[one] for one in keys}, solution)


def _lay_out_values(solution: Solution) -> dict[str, Any]:
    posterior, history = solution.posterior, solution.history
    gammas, k = posterior.gamma, posterior.n_orient
    shared = 1 == len(solution.gamma) < len(gammas) // k  # as a minimum norm has it
    active = np.arange(len(gammas)) if shared else np.flatnonzero(gammas)
    noise = float(posterior.noise.mean())
    return {
        "noise_var": noise,
        "lambda": noise,
        "lambda_mean": noise,
        "lambdas": posterior.noise,
        "gamma": float(gammas.mean()),
        "gammas_full": gammas,
        "active_indices": active,
        "active_source_indices": np.unique(active // k),
        "coefficient_indices": np.arange(len(gammas)),
        "source_indices": np.arange(posterior.n_rows // k),
        "n_orient": k,
        "n_iter": solution.n_evaluations,
        "n_active_hist": k * history.n_active,
        "err_gamma_hist": history.change,
        "lambda_mean_hist": history.noise,
        "lambda_hist": history.noise,
        "noise_var_hist": history.noise,
        "gamma_hist": np.full(len(history.noise), gammas.mean()),
    }


def _lay_out_posterior(posterior: Posterior) -> dict[str, Callable[[], np.ndarray]]:
    coefficients = replace(posterior, basis=None)
    active = np.flatnonzero(posterior.gamma)
    rows = np.unique(active % posterior.n_rows)  # patches of each width, side by side
    return {
        "posterior_mean": partial(_take_mean, posterior),
        "posterior_mean_reshaped": partial(_take_mean, posterior, by_source=True),
        "posterior_mean_coeff": partial(_take_mean, coefficients),
        "posterior_mean_coeff_reshaped": partial(
            _take_mean, coefficients, by_source=True
        ),
        "posterior_cov": posterior.cov,
        "posterior_cov_active": partial(posterior.cov, rows),
        "posterior_cov_coeff": coefficients.cov,
        "posterior_cov_active_coeff": partial(coefficients.cov, active),
    }


def _take_mean(posterior: Posterior, *, by_source: bool = False) -> np.ndarray:
    mean = posterior.mean
    if not by_source:
        return mean
    return mean.reshape(-1, posterior.n_orient, mean.shape[1])
