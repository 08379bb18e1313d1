"""The posterior: equal to the dense formulas, and its draws are like it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from meegic.base.errors import ShapeError
from meegic.sources import posterior as module
from meegic.sources.posterior import Posterior, count_effective_samples
from sources.problems import make_problem


def make_posterior(n_orient=1, patches=False, n_times=40):
    given = make_problem(n_orient=n_orient, patches=patches, n_times=n_times)
    rng = np.random.default_rng(5)
    basis = given.basis
    gain = given.leadfield if basis is None else given.leadfield @ basis
    gamma = np.repeat(rng.uniform(0, 2, 10), n_orient)
    gamma[:n_orient] = 0
    noise = rng.uniform(0.5, 2, 12)
    return Posterior(gain, gamma, noise, given.data, n_orient, basis)


def solve_densely(one):
    """Mean and covariance by the definition."""
    basis = np.eye(len(one.gamma)) if one.basis is None else one.basis.toarray()
    prior = np.diag(one.gamma)
    spread = one.gain @ prior @ one.gain.T + np.diag(one.noise)
    reach = prior @ one.gain.T @ np.linalg.inv(spread)
    covariance = prior - reach @ one.gain @ prior
    return basis @ reach @ one.data, basis @ covariance @ basis.T


CASES = [(1, False), (2, False), (3, False), (1, True), (3, True)]


@pytest.mark.parametrize(("n_orient", "patches"), CASES)
def test_factors_give_the_dense_formulas(n_orient, patches):
    one = make_posterior(n_orient, patches)
    mean, covariance = solve_densely(one)
    scale = np.abs(covariance).max()
    assert_allclose(one.mean, mean, rtol=1e-9, atol=1e-11)
    assert_allclose(one.variance, np.diag(covariance), atol=1e-11 * scale)
    assert_allclose(one.cov(), covariance, atol=1e-11 * scale)
    rows = [4, 2, 7]
    assert_allclose(one.cov(rows), covariance[np.ix_(rows, rows)], atol=1e-11 * scale)
    for k, block in enumerate(one.blocks):
        inside = slice(k * n_orient, (k + 1) * n_orient)
        assert_allclose(block, covariance[inside, inside], atol=1e-11 * scale)
    weights = np.random.default_rng(0).standard_normal(one.n_rows)
    value, variance = one.roi(weights)
    assert_allclose(value, weights @ mean, rtol=1e-9, atol=1e-10)
    assert_allclose(variance, weights @ covariance @ weights, rtol=1e-9)


@pytest.mark.parametrize("patches", [False, True])
def test_draws_have_its_mean_and_covariance(patches):
    one = make_posterior(patches=patches, n_times=1)
    draws = one.sample(20_000, random_state=1)[:, :, 0]
    mean, covariance = solve_densely(one)
    error = np.sqrt(np.diag(covariance) / 20_000)
    assert (np.abs(draws.mean(axis=0) - mean[:, 0]) <= 5 * error + 1e-12).all()
    scale = np.abs(covariance).max()
    assert_allclose(np.cov(draws.T), covariance, atol=0.05 * scale)
    assert (one.sample(3, random_state=7) == one.sample(3, random_state=7)).all()


def test_log_evidence_and_what_sensors_would_see():
    one = make_posterior()
    spread = one.gain @ np.diag(one.gamma) @ one.gain.T + np.diag(one.noise)
    density = multivariate_normal(np.zeros(12), spread).logpdf(one.data.T).sum()
    assert_allclose(one.log_evidence, density, rtol=1e-12)
    assert_allclose(one.predict_sensors(), one.gain @ one.mean, rtol=1e-9, atol=1e-10)
    assert_allclose(one.kernel @ one.data, one.mean)


@pytest.mark.parametrize("exponent", [-15, 9])
def test_units_do_not_matter(exponent):
    one = make_posterior()
    unit = 10.0**exponent
    scaled = Posterior(
        one.gain, unit**2 * one.gamma, unit**2 * one.noise, unit * one.data
    )
    assert_allclose(scaled.mean, unit * one.mean, rtol=1e-10)
    assert_allclose(scaled.variance, unit**2 * one.variance, rtol=1e-10)


def test_what_has_no_variance_is_certain_and_zero():
    one = make_posterior()
    assert one.variance[0] == 0
    assert (one.mean[0] == 0).all()


def test_a_large_covariance_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_LARGEST", 9)
    one = make_posterior()
    with pytest.raises(ShapeError, match=r"10 rows .* at most 9 .*\.variance"):
        one.cov()
    assert one.cov(list(range(9))).shape == (9, 9)
    with pytest.raises(ShapeError, match=r"\(10,\)"):
        one.roi(np.ones(3))


def test_effective_samples_give_the_variance_of_means():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((400, 300))
    kernel = np.hanning(9) / np.linalg.norm(np.hanning(9))
    smooth = np.apply_along_axis(np.convolve, 1, noise, kernel, mode="same")
    measured = smooth.mean(axis=1).var() / smooth.var()
    assert_allclose(1 / count_effective_samples(smooth), measured, rtol=0.15)
