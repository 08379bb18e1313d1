r"""What is known of the sources after the data: a Gaussian, kept as factors.

Sources are :math:`x = B c` with coefficients :math:`c \sim N(0, \Gamma)`, data
:math:`y = G c + e` with :math:`G = L B` and :math:`e \sim N(0, \Lambda)`. With
:math:`S = G \Gamma G^\top + \Lambda` and :math:`A = B \Gamma G^\top` the posterior
mean is :math:`A S^{-1} y`, its covariance :math:`B \Gamma B^\top - A S^{-1} A^\top` at
all times. Nothing has the size of the sources squared unless it is asked for.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from meegic.base.arrays import Array
from meegic.base.checks import check_count
from meegic.base.errors import InputError, ShapeError

_LARGEST = 4096  # coefficients whose full covariance is given: 134 MB
_ROUNDING = 1e-12  # of the prior: a variance that is less than minus this is a fault


@dataclass(frozen=True)
class Posterior:
    """Mean and covariance of the sources, from factors.

    Attributes
    ----------
    gain : array, shape (n_channels, n_coefficients)
        What coefficients do to channels.
    gamma : array, shape (n_coefficients,)
        Their variance before the data.
    noise : array, shape (n_channels,)
        Variance of the noise.
    data : array, shape (n_channels, n_times)
        What was measured.
    n_orient : int
        Orientations of a source; those of one source are neighbours.
    basis : sparse array, shape (n_sources * n_orient, n_coefficients) | None
        What coefficients do to sources; None where they are the sources.
    """

    gain: Float[np.ndarray, "channels coefficients"]
    gamma: Float[np.ndarray, " coefficients"]
    noise: Float[np.ndarray, " channels"]
    data: Float[np.ndarray, "channels times"]
    n_orient: int = 1
    basis: sparse.csr_array | None = None

    @property
    def n_rows(self) -> int:
        """How many rows the sources have: sources times orientations."""
        return len(self.gamma) if self.basis is None else self.basis.shape[0]

    @cached_property
    def kernel(self) -> Float[np.ndarray, "rows channels"]:
        """What turns data into the mean; also of data that were not fitted."""
        return cho_solve((self._factor, True), self._reach.T).T

    @cached_property
    def mean(self) -> Float[np.ndarray, "rows times"]:
        """The posterior mean."""
        return self.kernel @ self.data

    @cached_property
    def variance(self) -> Float[np.ndarray, " rows"]:
        """The posterior variance of each row."""
        prior = self._prior_variance
        found = prior - (self._whitened_reach**2).sum(axis=0)
        if (found < -_ROUNDING * prior.max(initial=0.0)).any():
            raise FloatingPointError("a posterior variance is negative")
        return np.maximum(found, 0.0)

    @property
    def blocks(self) -> Float[np.ndarray, "sources orient orient"]:
        """The posterior covariance of the orientations of each source."""
        k = self.n_orient
        white = self._whitened_reach.reshape(len(self.noise), -1, k)
        if self.basis is None:
            prior = self.gamma.reshape(-1, k)[:, :, None] * np.eye(k)
        else:
            rows = [self.basis[one::k] for one in range(k)]
            pairs = [[a.multiply(b) @ self.gamma for a in rows] for b in rows]
            prior = np.array(pairs).transpose(2, 0, 1)
        return prior - np.einsum("msi,msj->sij", white, white)

    def cov(
        self, rows: Int[Array, " chosen"] | list[int] | None = None
    ) -> Float[np.ndarray, "chosen chosen"]:
        """Compute the posterior covariance of some rows.

        Parameters
        ----------
        rows : array of int | None
            Which; None is all of them, if they are not too many.

        Returns
        -------
        array, shape (n_chosen, n_chosen)
            In the squared unit of the sources.
        """
        chosen = np.arange(self.n_rows) if rows is None else np.asarray(rows)
        if len(chosen) > _LARGEST:
            raise ShapeError(
                f"The covariance of {len(chosen)} rows takes "
                f"{8e-9 * len(chosen) ** 2:.1f} GB; at most {_LARGEST} are given.",
                hint="Take .variance, .blocks, .cov(rows), .roi(weights), .sample(n).",
            )
        white = self._whitened_reach[:, chosen]
        if self.basis is None:
            prior = np.where(chosen[:, None] == chosen, self.gamma[chosen], 0.0)
        else:
            some = self.basis[chosen]
            prior = (some.multiply(self.gamma) @ some.T).toarray()
        found = prior - white.T @ white
        return (found + found.T) / 2

    def roi(
        self, weights: Float[Array, " rows"]
    ) -> tuple[Float[np.ndarray, " times"], float]:
        """Compute mean and variance of a weighted sum of rows.

        Parameters
        ----------
        weights : array, shape (n_rows,)
            Zero outside of the region.

        Returns
        -------
        mean : array, shape (n_times,)
            Of the sum.
        variance : float
            Of the sum, at every time.
        """
        weights = np.asarray(weights, float)
        if weights.shape != (self.n_rows,):
            raise ShapeError(
                f"weights must have shape ({self.n_rows},), one for each row, but "
                f"have {weights.shape}."
            )
        mixed = weights if self.basis is None else self.basis.T @ weights
        white = self._whitened_reach @ weights
        variance = (self.gamma * mixed**2).sum() - white @ white
        return weights @ self.kernel @ self.data, float(max(variance, 0.0))

    def sample(
        self, n: int, random_state: int | np.random.Generator = 0
    ) -> Float[np.ndarray, "samples rows times"]:
        """Draw sources from the posterior.

        Parameters
        ----------
        n : int
            How many.
        random_state : int | Generator
            Seed or generator.

        Returns
        -------
        array, shape (n, n_rows, n_times)
            Independent draws; times are independent as well.
        """
        check_count("n", n)
        rng = np.random.default_rng(random_state)
        n_times = self.data.shape[1]
        found = np.empty((n, self.n_rows, n_times))
        for one in found:  # a draw of the prior, drawn on to the data
            drawn = rng.standard_normal((len(self.gamma), n_times))
            drawn *= np.sqrt(self.gamma)[:, None]
            noise = rng.standard_normal(self.data.shape) * np.sqrt(self.noise)[:, None]
            sources = drawn if self.basis is None else self.basis @ drawn
            one[:] = sources + self.kernel @ (self.data - self.gain @ drawn - noise)
        return found

    def predict_sensors(self) -> Float[np.ndarray, "channels times"]:
        """Compute the part of the data that the mean of the sources explains."""
        explained = (self.gain * self.gamma) @ self.gain.T
        return explained @ cho_solve((self._factor, True), self.data)

    @property
    def log_evidence(self) -> float:
        """The logarithm of the density of the data under the variances."""
        n_channels, n_times = self.data.shape
        white = solve_triangular(self._factor, self.data, lower=True)
        spread = 2 * np.log(np.diag(self._factor)).sum()
        each = spread + n_channels * np.log(2 * np.pi)
        return float(-(n_times * each + (white**2).sum()) / 2)

    @cached_property
    def _factor(self) -> np.ndarray:
        spread = (self.gain * self.gamma) @ self.gain.T + np.diag(self.noise)
        try:
            factor = cholesky(spread, lower=True)
        except LinAlgError:
            factor = np.zeros_like(spread)
        left = np.diag(factor) ** 2  # of each channel's variance, given those before
        rounding = len(spread) * np.finfo(float).eps
        if (left <= rounding * np.diag(spread)).any():
            raise InputError(
                "noise is too small beside the sources: the covariance of the data "
                "under the model is singular in float64.",
                hint="Is the noise in the squared unit of the data?",
            )
        return factor

    @cached_property
    def _reach(self) -> np.ndarray:
        """A: the covariance of rows and channels before the data."""
        reach = (self.gain * self.gamma).T
        return reach if self.basis is None else self.basis @ reach

    @cached_property
    def _whitened_reach(self) -> np.ndarray:
        return solve_triangular(self._factor, self._reach.T, lower=True)

    @cached_property
    def _prior_variance(self) -> np.ndarray:
        if self.basis is None:
            return self.gamma
        return self.basis.multiply(self.basis) @ self.gamma


def count_effective_samples(data: Float[Array, "channels times"]) -> float:
    """Count how many independent samples are worth as much for a mean over time.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        Residuals, one scale for all.

    Returns
    -------
    float
        From 1 to the number of samples.

    Examples
    --------
    >>> white = np.random.default_rng(0).standard_normal((50, 400))
    >>> 350 < count_effective_samples(white) <= 400
    True
    >>> 80 < count_effective_samples(np.repeat(white[:, :100], 4, axis=1)) < 120
    True
    """
    data = np.asarray(data, float)
    if data.ndim != 2 or not data.size:
        raise InputError(f"data must be channels by times, but have {data.shape}.")
    n_times = data.shape[1]
    centered = data - data.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centered, 2 * n_times)) ** 2
    lags = np.fft.irfft(power.sum(axis=0))[:n_times]
    if lags[0] == 0:
        return float(n_times)
    correlation = lags / lags[0]
    end = np.flatnonzero(correlation <= 0)  # beyond the first zero it is chance
    stop = end[0] if len(end) else n_times
    return float(max(1.0, n_times / (1 + 2 * correlation[1:stop].sum())))
