"""The statistics of a pass once more, from the formulas, without any trick."""

import numpy as np
from scipy.special import gamma, logsumexp, softmax

from meegic.components.parameters import AmicaParameters
from meegic.components.statistics import Statistics

FLOOR = 1e-30  # of |y|


def compute_dense(x, parameters, weights, jacobian=0.0):
    """Return the statistics, and every model's log joint density."""
    scores, sources = [], []
    for h in range(len(parameters.weight)):
        one = AmicaParameters(*(values[h] for values in parameters))
        b = one.unmix @ (x - one.center[:, None])
        y = one.beta[..., None] * (b - one.mu[..., None])
        y = np.where(np.abs(y) > FLOOR, y, FLOOR)
        r = np.abs(y) ** one.rho[..., None]
        height = one.alpha * one.beta / (2 * gamma(1 + 1 / one.rho))
        log_terms = np.log(height)[..., None] - r
        volume = np.log(abs(np.linalg.det(one.unmix))) + jacobian
        scores.append(np.log(one.weight) + volume + logsumexp(log_terms, axis=0).sum(0))
        sources.append((one, b, y, r, softmax(log_terms, axis=0)))
    scores = np.array(scores)
    posterior = softmax(scores, axis=0) * weights
    sums = [
        sum_model(x, v, *source) for v, source in zip(posterior, sources, strict=True)
    ]
    total = float(weights @ logsumexp(scores, axis=0))
    stacked = (np.array(values) for values in zip(*sums, strict=True))
    return Statistics(total, float(weights.sum()), *stacked), scores


def sum_model(x, v, one, b, y, r, z):
    u = v * z
    slope = (one.beta * one.rho)[..., None] * u * r / y
    by_term = (u, u * r, u * r / y, u * r / y**2)
    by_term += (u * r * np.log(np.abs(y)), u * r**2, u * r**2 / y**2)
    return (
        v.sum(),
        (v * b**2).sum(axis=1),
        x @ v,
        *(values.sum(axis=-1) for values in by_term),
        slope.sum(axis=0) @ b.T,
    )


def draw_problem(seed, n_models, n_mix, n, n_times):
    """Draw a problem whose sources are exact, and at least 2^-9 away from every mu.

    Without that, y near 0 would show each rounding of b, and 1 / y^2 enlarge it.
    """
    rng = np.random.default_rng(seed)

    def dyadic(values, scale=16):
        return np.round(values * scale) / scale

    shape = (n_models, n_mix, n)
    alpha = rng.dirichlet(np.ones(n_mix), (n_models, n)).swapaxes(1, 2)
    parameters = AmicaParameters(
        unmix=np.eye(n) + dyadic(rng.uniform(-0.2, 0.2, (n_models, n, n))),
        center=dyadic(rng.normal(size=(n_models, n))),
        weight=rng.dirichlet(np.ones(n_models)),
        alpha=np.ascontiguousarray(alpha),
        mu=dyadic(rng.normal(size=shape), 256) + 1 / 512,
        beta=rng.uniform(0.5, 2, shape),
        rho=rng.choice([1.0, 1.3, 1.7, 2.0], shape),  # both clamps among them
    )
    weights = rng.choice([0.0, 0.25, 1.0], n_times)
    weights[0] = 1.0
    return dyadic(rng.laplace(size=(n, n_times))), parameters, weights


def assert_same(statistics, expected, tolerance=1e-12):
    """Compare each array, relative to its largest value."""
    for name, value, wanted in zip(
        Statistics._fields, statistics, expected, strict=True
    ):
        error = np.abs(np.subtract(value, wanted)).max()
        bound = tolerance * np.abs(wanted).max()
        assert np.shape(value) == np.shape(wanted), name
        assert error <= bound, f"{name}: {error} above {bound}"
