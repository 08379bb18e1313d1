"""Kernels on the sphere obey their equations, spheres are found again."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from scipy.special import eval_legendre

from meegic.base.errors import (
    ConvergenceError,
    InputError,
    OptionError,
    RankError,
    ShapeError,
)
from meegic.math import sphere
from meegic.math.sphere import (
    compute_cosines,
    fit_sphere,
    legendre_sum,
    normalize_positions,
    spline_g,
    spline_h,
)

ORIGIN = np.array([0.001, -0.002, 0.04])


@pytest.fixture
def positions():
    """Twenty positions on the upper part of a sphere of 9.5 cm, in metres."""
    offsets = np.random.default_rng(0).standard_normal((20, 3))
    offsets[:, 2] = np.abs(offsets[:, 2])
    return ORIGIN + 0.095 * offsets / np.linalg.norm(offsets, axis=1, keepdims=True)


@pytest.fixture
def cosines(positions):
    unit = normalize_positions(positions, origin=ORIGIN)
    return compute_cosines(unit, unit)


def test_legendre_sum_is_the_sum_of_polynomials(cosines):
    coefficients = np.random.default_rng(1).standard_normal(60)
    wanted = sum(c * eval_legendre(n, cosines) for n, c in enumerate(coefficients))
    # Clenshaw's recurrence and SciPy's polynomials differ by 60 roundings.
    assert_allclose(legendre_sum(cosines, coefficients), wanted, atol=1e-12)


def test_kernel_is_its_series(cosines):
    wanted = sum(
        (2 * n + 1) / (4 * np.pi * n**3 * (n + 1) ** 3) * eval_legendre(n, cosines)
        for n in range(1, 8)
    )
    assert_allclose(spline_g(cosines, n_terms=7, stiffness=3), wanted, atol=1e-15)


# On the unit sphere the Laplacian of f(cos) is the derivative of (1 - x^2) f'(x).
def test_second_kernel_is_the_negative_laplacian_of_the_first():
    cosines, step = np.linspace(-0.9, 0.9, 19), 1e-4
    edges = cosines[:, None] + step / 2 * np.array([-1, 1])
    slopes = (spline_g(edges + step / 2) - spline_g(edges - step / 2)) / step
    laplacian = np.diff((1 - edges**2) * slopes)[:, 0] / step
    # Central differences: the step squared times the kernel's curvature, and rounding.
    assert_allclose(spline_h(cosines), -laplacian, atol=1e-7)


def test_kernels_do_not_change_when_everything_turns(positions, cosines):
    turn = Rotation.from_rotvec([0.3, -1.1, 2.0])
    unit = normalize_positions(turn.apply(positions), origin=turn.apply(ORIGIN))
    turned = compute_cosines(unit, unit)
    for kernel in (spline_g, spline_h):
        assert_allclose(kernel(turned), kernel(cosines), atol=1e-13)


# The addition theorem makes every term with a positive factor a Gram matrix.
def test_kernels_are_symmetric_and_positive(cosines):
    for kernel in (spline_g, spline_h):
        matrix = kernel(cosines)
        assert_allclose(matrix, matrix.T, atol=1e-16)
        values = np.linalg.eigvalsh(matrix)
        assert values[0] > 1e-9 * values[-1]


def test_kernels_have_no_constant_part():
    # Degree zero is left out: over the sphere, that is over cosines, the mean is zero.
    cosines, weights = np.polynomial.legendre.leggauss(60)
    for kernel in (spline_g, spline_h):
        values = kernel(cosines)
        assert abs(weights @ values) < 1e-14 * np.abs(values).max()


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3])
def test_unit_of_the_positions_does_not_matter(positions, unit):
    wanted = normalize_positions(positions, origin=ORIGIN)
    actual = normalize_positions(unit * positions, origin=unit * ORIGIN)
    assert_allclose(actual, wanted, atol=1e-14)
    center, radius = fit_sphere(unit * positions)
    assert_allclose(center, unit * ORIGIN, atol=1e-10 * unit)
    assert_allclose(radius, unit * 0.095, rtol=1e-9)


def test_sphere_is_found_with_the_least_squared_distances(positions):
    rng = np.random.default_rng(2)
    rough = positions + 0.003 * rng.standard_normal(positions.shape)
    center, radius = fit_sphere(rough)

    def cost(center, radius):
        return ((np.linalg.norm(rough - center, axis=1) - radius) ** 2).sum()

    best = cost(center, radius)
    # A minimum: a step of 10 um in any direction costs more.
    for axis in np.eye(4):
        for step in (-1e-5, 1e-5):
            assert cost(center + step * axis[:3], radius + step * axis[3]) > best
    assert np.abs(center - ORIGIN).max() < 0.005


def test_far_away_sphere_is_found(positions):
    center, radius = fit_sphere(positions + 10.0)
    assert_allclose(center, ORIGIN + 10.0, atol=1e-11)
    assert_allclose(radius, 0.095, rtol=1e-9)


def test_fit_that_does_not_converge_is_an_error(positions, monkeypatch):
    positions[0] += 0.01
    impatient = partial(sphere.least_squares, max_nfev=2)
    monkeypatch.setattr(sphere, "least_squares", impatient)
    with pytest.raises(ConvergenceError, match="20 points did not converge in 2 eval"):
        fit_sphere(positions)


@pytest.mark.parametrize("n_points", [1, 3, 20])
def test_points_in_a_plane_have_no_sphere(positions, n_points):
    flat = positions[:n_points] * np.array([1.0, 1.0, 0.0])
    flat = Rotation.from_rotvec([0.3, -1.1, 2.0]).apply(flat)  # flat but for rounding
    with pytest.raises(RankError, match=f"do not lie in one plane, but got {n_points}"):
        fit_sphere(flat)


def test_position_at_the_origin_is_named(positions):
    positions[7] = ORIGIN * (1 + 1e-9)
    with pytest.raises(InputError, match="but position 7 does not"):
        normalize_positions(positions, origin=ORIGIN)
    with pytest.raises(InputError, match="but position 0 does not"):
        normalize_positions(ORIGIN[None], origin=ORIGIN)


def test_equal_directions_are_named(positions):
    positions[11] = ORIGIN + 2 * (positions[4] - ORIGIN)
    with pytest.raises(InputError, match="but 4 and 11 lie"):
        normalize_positions(positions, origin=ORIGIN)


def test_positions_must_be_finite_points(positions):
    with pytest.raises(ShapeError, match=r"positions must have shape \(any, 3\)"):
        normalize_positions(positions[:, :2], origin=ORIGIN)
    with pytest.raises(ShapeError, match=r"origin must have shape \(3,\)"):
        normalize_positions(positions, origin=ORIGIN[:2])
    with pytest.raises(ShapeError, match=r"positions is empty: its shape is \(0, 3\)"):
        normalize_positions(np.zeros((0, 3)), origin=ORIGIN)
    positions[3, 1] = np.nan
    with pytest.raises(InputError, match=r"positions contains NaN.*\(3, 1\)"):
        normalize_positions(positions, origin=ORIGIN)
    with pytest.raises(InputError, match=r"points contains NaN.*\(3, 1\)"):
        fit_sphere(positions)


@pytest.mark.parametrize("cosine", [1.001, -2.0, np.nan])
def test_impossible_cosines_are_refused(cosine):
    with pytest.raises(InputError, match="numbers between -1 and 1"):
        spline_g(np.array([0.5, cosine]))


def test_rounding_of_cosines_is_cut():
    longer = np.array([[1.0 + 1e-15, 0.0, 0.0]])
    assert_allclose(compute_cosines(longer, longer), 1.0, rtol=0, atol=0)


@pytest.mark.parametrize("kernel", [spline_g, spline_h])
def test_impossible_options_are_refused(kernel):
    with pytest.raises(OptionError, match="n_terms must be a whole number >= 1"):
        kernel(np.zeros(1), n_terms=0)
    with pytest.raises(OptionError, match="stiffness must be a whole number >= 2"):
        kernel(np.zeros(1), stiffness=1)
