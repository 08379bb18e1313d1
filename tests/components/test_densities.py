"""Mixtures of generalized Gaussians against numerical integration and draws."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import kstest, kurtosis

from meegic.components.densities import (
    compute_kurtosis,
    compute_variances,
    draw_sources,
    log_density,
)
from meegic.components.parameters import AmicaParameters, draw_parameters


def draw_mixtures(seed=0, shape=(2, 3, 4)):
    rng = np.random.default_rng(seed)
    n_models, n_mix, n = shape
    alpha = rng.dirichlet(np.full(n_mix, 3.0), (n_models, n)).swapaxes(1, 2)
    return draw_parameters(n, n_models=n_models, n_mix=n_mix)._replace(
        alpha=np.ascontiguousarray(alpha),
        mu=rng.normal(size=shape),
        beta=rng.uniform(0.5, 2, shape),
        rho=rng.choice([1.0, 1.2, 1.5, 2.0], shape),
    )


MIXTURES = draw_mixtures()
SOURCES = [(h, i) for h in range(2) for i in range(4)]


def pick(h, i):
    """One source's density, as a model of one source."""
    one = AmicaParameters(*(values[h : h + 1] for values in MIXTURES))
    by_term = (one.alpha, one.mu, one.beta, one.rho)
    alpha, mu, beta, rho = (values[:, :, i : i + 1] for values in by_term)
    return draw_parameters(1)._replace(alpha=alpha, mu=mu, beta=beta, rho=rho)


def integrate(parameters, function):
    """Integrate function times density, piece by piece between the kinks."""
    edges = [-60.0, *np.sort(parameters.mu[0, :, 0]), 60.0]

    def integrand(b):
        log = log_density(np.full((1, 1, 1), b), parameters)
        return function(b) * np.exp(log[0, 0, 0])

    return sum(quad(integrand, *one, epsabs=1e-11)[0] for one in pairwise(edges))


@pytest.mark.parametrize(("h", "i"), SOURCES)
def test_density_integrates_to_one(h, i):
    assert_allclose(integrate(pick(h, i), lambda b: 1.0), 1, rtol=1e-9)


@pytest.mark.parametrize(("h", "i"), SOURCES)
def test_moments_are_the_integrals(h, i):
    one = pick(h, i)
    mean = integrate(one, lambda b: b)
    second = integrate(one, lambda b: b**2)
    central = [integrate(one, lambda b, k=k: (b - mean) ** k) for k in (2, 4)]
    assert_allclose(compute_variances(MIXTURES)[h, i], second, rtol=1e-8)
    excess = central[1] / central[0] ** 2 - 3
    assert_allclose(compute_kurtosis(MIXTURES)[h, i], excess, rtol=1e-7, atol=1e-7)


def test_gauss_and_laplace_are_those_of_the_textbook():
    b = np.linspace(-5, 5, 101)[None, None]
    gauss = draw_parameters(1, n_mix=1, rho=2.0)
    assert_allclose(log_density(b, gauss), -(b**2) - np.log(np.pi) / 2, atol=1e-14)
    laplace = draw_parameters(1, n_mix=1, rho=1.0)
    assert_allclose(log_density(b, laplace), -np.abs(b) - np.log(2), atol=1e-14)
    assert_allclose(compute_variances(gauss), 0.5)
    assert_allclose(compute_kurtosis(gauss), 0, atol=1e-12)
    assert_allclose(compute_kurtosis(laplace), 3)


def test_kurtosis_knows_no_unit_and_no_place():
    moved = MIXTURES._replace(mu=1e6 * (MIXTURES.mu + 3), beta=MIXTURES.beta / 1e6)
    assert_allclose(compute_kurtosis(moved), compute_kurtosis(MIXTURES), rtol=1e-9)


def test_density_is_finite_at_and_far_from_a_center():
    b = np.array([0.0, 1e-300, 1e9, -1e9]).reshape(1, 1, 4)
    found = log_density(b, draw_parameters(1, n_mix=1, rho=1.5))
    assert np.isfinite(found).all()
    assert_allclose(found[0, 0, 0], found[0, 0, 1])
    assert_allclose(found[0, 0, 2], -(1e9**1.5), rtol=1e-12)


@pytest.mark.parametrize("h", [0, 1])
def test_draws_follow_the_density(h):
    models = np.repeat([h, 1 - h], [20_000, 10])
    sources = draw_sources(MIXTURES, models, np.random.default_rng(3))[:, :20_000]
    for i in range(4):
        one = pick(h, i)
        grid = np.linspace(-40, 40, 80_001)
        density = np.exp(log_density(grid[None, None], one)[0, 0])
        chance = np.cumsum(density) * (grid[1] - grid[0])
        result = kstest(sources[i], lambda b, c=chance, g=grid: np.interp(b, g, c))
        assert result.pvalue > 1e-3
        power = (sources[i] ** 2).mean()
        assert_allclose(power, compute_variances(MIXTURES)[h, i], rtol=0.1)
        excess = kurtosis(sources[i])
        assert_allclose(excess, compute_kurtosis(MIXTURES)[h, i], atol=0.6)


def test_draws_repeat_with_the_generator_and_follow_the_models():
    models = np.array([0, 1, 0, 1, 1])
    first, again = (
        draw_sources(MIXTURES, models, np.random.default_rng(4)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    apart = MIXTURES._replace(mu=np.array([-1e3, 1e3])[:, None, None] + MIXTURES.mu)
    drawn = draw_sources(apart, models, np.random.default_rng(4))
    np.testing.assert_array_equal(np.sign(drawn), np.where(models, 1, -1) + 0 * drawn)
