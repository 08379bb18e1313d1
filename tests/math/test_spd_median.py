"""The geometric median of covariances: laws, robustness, an oracle and refusals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.base.errors import InputError, OptionError
from meegic.math.robust import geometric_median
from meegic.math.spd import covariance_mean, riemannian_distance
from meegic.math.spd_median import fit_covariance_median


def make_covariances(n_matrices=30, size=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((size, size)) + 2 * np.eye(size)
    data = mixing @ rng.standard_normal((n_matrices, size, 40))
    return data @ data.mT / 40


@pytest.fixture(scope="module")
def covariances():
    return make_covariances()


@pytest.fixture(scope="module")
def median(covariances):
    result = fit_covariance_median(covariances, tolerance=1e-9, max_iter=300)
    assert result.converged
    return result.state


def sum_distances(center, covariances):
    return riemannian_distance(center, covariances).sum()


def test_no_point_nearby_is_nearer(covariances, median):
    least = sum_distances(median, covariances)
    rng = np.random.default_rng(1)
    for _ in range(20):
        push = rng.standard_normal((4, 4))
        moved = median + 1e-3 * (push + push.T) * np.trace(median)
        assert sum_distances(moved, covariances) > least
    assert sum_distances(covariance_mean(covariances), covariances) > least


def test_median_of_diagonal_matrices_is_that_of_their_logarithms():
    logs = np.random.default_rng(0).normal(0, 1.5, (100, 3))
    result = fit_covariance_median(
        np.exp(logs)[:, :, None] * np.eye(3), tolerance=1e-9, max_iter=300
    )
    wanted = geometric_median(logs, tolerance=1e-12).state
    assert_allclose(result.state, np.diag(np.exp(wanted)), atol=1e-7)


def test_any_mixture_goes_through(covariances, median):
    mixture = np.random.default_rng(3).standard_normal((4, 4))
    mixed = fit_covariance_median(
        mixture @ covariances @ mixture.T, tolerance=1e-9, max_iter=300
    )
    assert_allclose(mixed.state, mixture @ median @ mixture.T, rtol=1e-6, atol=1e-8)


def test_median_of_inverses_is_the_inverse(covariances, median):
    inverse = fit_covariance_median(
        np.linalg.inv(covariances), tolerance=1e-9, max_iter=300
    )
    assert_allclose(inverse.state, np.linalg.inv(median), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("unit", [1e-26, 1e-12, 1e12])
def test_unit_does_not_matter(covariances, median, unit):
    scaled = fit_covariance_median(unit * covariances, tolerance=1e-9, max_iter=300)
    assert_allclose(scaled.state / unit, median, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("size", [1e2, 1e6])
def test_a_fifth_of_outliers_hardly_matters(covariances, median, size):
    spoiled = covariances.copy()
    spoiled[::5] *= size
    spoiled[::5, 0] *= 3
    spoiled[::5, :, 0] *= 3
    moved = fit_covariance_median(spoiled).state
    mean = covariance_mean(spoiled)
    assert riemannian_distance(moved, median) < 0.3
    assert riemannian_distance(mean, median) > 5 * riemannian_distance(moved, median)


def test_majority_of_equal_matrices_is_the_median():
    few, many = make_covariances(2)
    stack = np.stack([many, few, many, few, many])
    result = fit_covariance_median(stack, tolerance=1e-9, max_iter=300)
    assert riemannian_distance(result.state, many) < 1e-6


def test_number_of_matrices_does_not_matter_for_groups():
    # 1, 64 and 65 matrices fill groups in different ways.
    one = make_covariances(1)
    for count in (1, 64, 65):
        result = fit_covariance_median(np.repeat(one, count, axis=0))
        assert result.converged
        assert_allclose(result.state, one[0], rtol=1e-9)


def test_search_that_ends_early_says_so(covariances):
    result = fit_covariance_median(covariances, tolerance=1e-12, max_iter=2)
    assert not result.converged
    assert result.n_iter == 2


def test_matrices_that_are_not_positive_definite_are_refused(covariances):
    spoiled = covariances.copy()
    spoiled[7] = 0
    with pytest.raises(InputError, match=r"covariances\[7\] has rank 0 of 4"):
        fit_covariance_median(spoiled)
    with pytest.raises(OptionError, match="tolerance must be a number at least 0"):
        fit_covariance_median(covariances, tolerance=-1.0)
