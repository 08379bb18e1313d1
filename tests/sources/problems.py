"""Small problems of which everything can be computed densely."""

import numpy as np
from scipy import sparse

from meegic.sources.problem import SourceProblem


def make_problem(
    n_channels=12, n_sources=10, n_orient=1, n_times=40, *, seed=0, patches=False
):
    """Three active sources among some, white noise of variance one."""
    rng = np.random.default_rng(seed)
    leadfield = rng.standard_normal((n_channels, n_sources * n_orient))
    sources = np.zeros((n_sources, n_orient, n_times))
    sources[:3] = 2 * rng.standard_normal((3, n_orient, n_times))
    data = leadfield @ sources.reshape(-1, n_times)
    data += rng.standard_normal(data.shape)
    basis = None
    if patches:
        near = np.exp(
            -(np.subtract.outer(np.arange(n_sources), np.arange(n_sources)) ** 2)
        )
        near[near < 0.1] = 0
        basis = sparse.csr_array(np.kron(near, np.eye(n_orient)))
    return SourceProblem(
        leadfield, data, noise=np.ones(1), n_orient=n_orient, basis=basis
    )


def cost_densely(gain, gamma, noise, data):
    """F by the definition."""
    spread = (gain * gamma) @ gain.T + np.diag(noise)
    power = data @ data.T / data.shape[1]
    return np.linalg.slogdet(spread)[1] + np.trace(np.linalg.solve(spread, power))
