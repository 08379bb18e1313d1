import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import gamma

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.math.robust import fit_generalized_gaussian, geometric_median, mad

RNG = np.random.default_rng(0)
POINTS = RNG.normal(5, 1, (60, 4)) * [1, 2, 3, 4]
CONTAMINATED = np.concatenate(
    [RNG.normal(10, 2, (3, 90)), RNG.uniform(15, 100, (3, 30))], axis=1
)
UNITS = [1e-26, 1e-12, 1e9]


def test_mad_agrees_with_scipy():
    values = RNG.normal(size=(3, 40))
    for axis in (0, 1):
        expected = scipy.stats.median_abs_deviation(values, axis=axis)
        assert_allclose(mad(values, axis=axis), expected, rtol=1e-15)
        expected = scipy.stats.median_abs_deviation(values, axis=axis, scale="normal")
        assert_allclose(mad(values, axis=axis, to_sigma=True), expected, rtol=1e-15)


def test_mad_follows_the_unit_and_not_the_place():
    values = RNG.normal(size=101)
    assert_allclose(mad(1e-15 * (3 - values)), 1e-15 * mad(values), rtol=1e-12)


def test_mad_refuses_what_is_not_finite():
    with pytest.raises(InputError, match=r"values contains NaN or Inf: 1 .* \(2,\)"):
        mad(np.array([1.0, 2.0, np.nan]))


# The coordinate-wise median, the start, is one of these points, but not the median.
@pytest.mark.parametrize("unit", [1.0, *UNITS])
@pytest.mark.parametrize("copies", [1, 2])
def test_geometric_median_leaves_a_data_point_that_is_none(unit, copies):
    points = np.array([[0, 0], [10, 0.1], [10, -0.1], [-0.1, 10], [-0.1, -10.0]])
    points = np.concatenate([points, *[points[1:]] * (copies - 1)])

    def cost(center):
        return np.linalg.norm(points - center, axis=1).sum()

    result = geometric_median(unit * points, tolerance=1e-12)
    expected = scipy.optimize.minimize(cost, [1.0, 1.0], method="Nelder-Mead")
    assert result.converged
    assert cost(result.state / unit) <= expected.fun
    assert cost(result.state / unit) < cost(points[0]) - 0.1


def test_geometric_median_stays_where_it_is_held():
    # Two unit forces pull at a right angle: root 2, more than one point, less than two.
    points = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 7.0]])
    # Held by one point, the first round goes to (0.85, 0.85); all the way is too far.
    once = geometric_median(points, max_iter=1).state
    assert np.linalg.norm(points - once, axis=1).sum() < 5 + 7
    held = geometric_median(np.concatenate([points, points[:1]]))
    assert_array_equal(held.state, [0, 0])
    assert held.n_iter == 1


def test_geometric_median_minimises_the_sum_of_distances():
    def cost(center):
        return np.linalg.norm(POINTS - center, axis=1).sum()

    result = geometric_median(POINTS, tolerance=1e-12)
    expected = scipy.optimize.minimize(cost, POINTS.mean(axis=0), tol=1e-9)
    # The cost is flat at its minimum: the optimiser knows the place to root eps.
    assert_allclose(result.state, expected.x, rtol=1e-5)
    assert result.converged
    assert result.state.dtype == np.float64


def test_geometric_median_turns_with_the_points():
    turn = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
    turned = geometric_median(POINTS @ turn.T, tolerance=1e-13).state
    assert_allclose(turned, turn @ geometric_median(POINTS, tolerance=1e-13).state)


@pytest.mark.parametrize("unit", UNITS)
def test_unit_does_not_matter_to_the_geometric_median(unit):
    for points in (POINTS, np.round(POINTS)):
        ours, expected = geometric_median(unit * points), geometric_median(points)
        assert_allclose(ours.state, unit * expected.state, rtol=1e-12)
        assert ours.n_iter == expected.n_iter


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("n_same", [31, 60])
def test_geometric_median_is_where_most_points_are(n_same, unit):
    points = POINTS.copy()
    points[:n_same] = [1.0, -2.0, 0.0, 3.0]
    result = geometric_median(unit * points)
    assert_allclose(result.state, unit * points[0], rtol=1e-9, atol=1e-9 * unit)
    assert result.converged


def test_geometric_median_of_zeros_is_zero():
    result = geometric_median(np.zeros((5, 2)))
    assert_array_equal(result.state, [0, 0])
    assert result.converged


def test_geometric_median_says_when_it_did_not_converge():
    result = geometric_median(POINTS, tolerance=1e-13, max_iter=2)
    assert not result.converged
    assert result.stop_reason == "max_iter"
    assert result.changes.shape == (2,)


def test_geometric_median_refuses_what_is_no_list_of_points():
    with pytest.raises(InputError, match="points contains NaN or Inf: 1 values"):
        geometric_median(np.array([[1.0], [np.inf]]))
    with pytest.raises(ShapeError, match=r"points is empty"):
        geometric_median(np.zeros((0, 3)))
    with pytest.raises(OptionError, match=r"tolerance must be a number at least 0"):
        geometric_median(POINTS, tolerance=-1.0)


def fit_by_brute_force(values):
    """The candidates one by one, each with a histogram of its own."""
    values, n = np.sort(values), len(values)
    best = (np.inf,)
    for k in range(44):
        m = int(n * (0.578 - 0.01 * k) + 0.5)
        n_bins = int(3 * np.log2(1 + m / 2) + 0.5)
        for beta in np.linspace(1.7, 3.5, 13):
            law = scipy.stats.gennorm(beta)
            low, high = law.ppf(0.022), law.ppf(0.6)
            edges = np.linspace(low, high, n_bins + 1)
            p = law.pdf((edges[1:] + edges[:-1]) / 2)
            p = p / p.sum()
            for j in range(11):
                start = int(n * (0.022 + 0.01 * j) + 0.5)
                part = values[start : start + m]
                width = part[-1] - part[0]
                if width == 0:
                    continue
                bins = np.minimum((part - part[0]) * n_bins // width, n_bins - 1)
                q = np.bincount(bins.astype(int), minlength=n_bins)
                score = (p * (np.log(p) - np.log(q + 0.01))).sum() + np.log(m)
                if score < best[0]:
                    alpha = width / (high - low)
                    best = score, part[0] - low * alpha, alpha, beta
    _, mu, alpha, beta = best
    return mu, alpha * np.sqrt(gamma(3 / beta) / gamma(1 / beta)), alpha, beta


@pytest.mark.parametrize("kind", ["continuous", "whole", "mostly equal"])
def test_fit_agrees_with_brute_force(kind):
    values = CONTAMINATED[0]
    if kind == "whole":
        values = np.round(values)
    if kind == "mostly equal":
        values = np.where(values < 12, 5.0, values)
    fit = fit_generalized_gaussian(values[None])
    result = [fit.mu[0], fit.sigma[0], fit.alpha[0], fit.beta[0]]
    # The quantiles of scipy and ours are two formulas of the same number.
    assert_allclose(result, fit_by_brute_force(values), rtol=1e-10)


def test_fit_finds_the_gaussian_below_outliers():
    clean = RNG.normal(10, 2, (1, 3000))
    values = np.concatenate([clean, RNG.uniform(16, 200, (1, 1000))], axis=1)
    fit = fit_generalized_gaussian(values)
    # The mean and the deviation of all values are 34 and 53.
    assert_allclose(fit.mu, 10, atol=1)
    assert_allclose(fit.sigma, 2, atol=1)


def test_fit_of_rows_is_the_fit_of_each_in_any_order():
    together = fit_generalized_gaussian(CONTAMINATED)
    for index, row in enumerate(CONTAMINATED):
        alone = fit_generalized_gaussian(row[None, ::-1])
        assert_array_equal(alone.mu[0], together.mu[index])
        assert_array_equal(alone.beta[0], together.beta[index])


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1e9])
def test_unit_and_offset_do_not_matter_to_the_fit(unit):
    expected = fit_generalized_gaussian(CONTAMINATED)
    moved = fit_generalized_gaussian(unit * (CONTAMINATED + 100))
    assert_allclose(moved.mu, unit * (expected.mu + 100), rtol=1e-12)
    assert_allclose(moved.sigma, unit * expected.sigma, rtol=1e-11)
    assert_allclose(moved.alpha, unit * expected.alpha, rtol=1e-11)
    assert_array_equal(moved.beta, expected.beta)


def test_fit_refuses_flat_rows_by_number():
    values = CONTAMINATED.copy()
    values[1:, :-5] = 7.0
    with pytest.raises(InputError, match=r"every row, .* equal in rows \[1, 2\]"):
        fit_generalized_gaussian(values)
    with pytest.raises(InputError, match=r"values contains NaN .* index \(0, 1\)"):
        fit_generalized_gaussian(np.array([[1.0, np.nan, 2.0]]))
    with pytest.raises(InputError, match=r"equal in rows \[0\]"):
        fit_generalized_gaussian(np.array([[1.0]]))
    with pytest.raises(ShapeError, match="values is empty"):
        fit_generalized_gaussian(np.zeros((1, 0)))
