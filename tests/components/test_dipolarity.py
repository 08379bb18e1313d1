"""Dipoles are found where they are, in a medium without end."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import ShapeError
from meegic.components.dipolarity import (
    DipoleFits,
    fit_dipoles,
    fit_moments,
    fit_planes,
    measure_rest,
)

RNG = np.random.default_rng(3)
CENTER, RADIUS = np.array([0.0, 0.01, 0.04]), 0.08


def draw_on_sphere(n, radius):
    points = RNG.normal(size=(n, 3))
    return CENTER + radius * points / np.linalg.norm(points, axis=1, keepdims=True)


SENSORS = draw_on_sphere(40, 0.1)


def compute_gains(positions):
    away = SENSORS - positions[:, None]
    return away / np.linalg.norm(away, axis=-1, keepdims=True) ** 3


def draw_maps(n):
    """Draw dipoles all over the sphere: maps, positions, moments."""
    positions = CENTER + RNG.uniform(0.1, 0.95, (n, 1)) * (
        draw_on_sphere(n, RADIUS) - CENTER
    )
    moments = RNG.normal(size=(n, 3))
    return (
        np.einsum("nci,ni->cn", compute_gains(positions), moments),
        positions,
        moments,
    )


def fit(maps, **kwargs):
    return fit_dipoles(maps, compute_gains, center=CENTER, radius=RADIUS, **kwargs)


def test_dipoles_are_found():
    maps, positions, moments = draw_maps(30)
    found = fit(maps + 7)  # the reference is free
    assert found.residual_variance.max() < 1e-3
    assert np.linalg.norm(found.positions - positions, axis=1).max() < 2e-3
    assert_allclose(found.moments, moments, atol=0.2)
    assert "30 (100 %) below 5 %, 30 (100 %) below 10 %, 30 (100 %) below 15" in str(
        found
    )


def test_unit_sign_and_order_of_maps_do_not_matter():
    maps = draw_maps(6)[0] + RNG.normal(size=(40, 6)) * 20
    order = RNG.permutation(6)
    scales = np.array([1e-13, -1e-6, 1, -1e3, 1e9, -1])
    one, other = fit(maps), fit(maps[:, order] * scales)
    assert_allclose(other.residual_variance, one.residual_variance[order], atol=1e-9)
    assert_allclose(other.positions, one.positions[order], atol=1e-9)
    assert_allclose(other.moments, one.moments[order] * scales[:, None], rtol=1e-6)


def test_search_ends_at_a_minimum():
    maps = RNG.normal(size=(40, 8))
    found = fit(maps)
    assert (np.linalg.norm(found.positions - CENTER, axis=1) <= RADIUS + 1e-12).all()
    for k, position in enumerate(found.positions):
        near = position + 1e-3 * RNG.normal(size=(50, 3))
        near = near[np.linalg.norm(near - CENTER, axis=1) <= RADIUS]
        rest = measure_rest(maps[:, [k]], compute_gains(near))
        assert rest.min() > found.residual_variance[k] - 1e-4


def test_rest_is_that_of_least_squares():
    maps, gains = RNG.normal(size=(12, 5)), RNG.normal(size=(4, 12, 3))
    for reference in (False, True):
        found = measure_rest(maps, gains, average_reference=reference)
        ones = np.ones((12, 1)) if reference else np.zeros((12, 0))
        for gain, row in zip(gains, found, strict=True):
            design = np.hstack([gain, ones])
            rest = maps - design @ np.linalg.pinv(design) @ maps
            total = maps - maps.mean(axis=0) if reference else maps
            assert_allclose(row, (rest**2).sum(0) / (total**2).sum(0), atol=1e-12)


def test_direction_without_a_field_explains_nothing():
    gains = RNG.normal(size=(1, 20, 3)) * [1, 1, 1e-9]
    maps = gains[0, :, 2:] * 1e9
    assert measure_rest(maps, gains)[0, 0] > 0.5
    assert abs(fit_moments(maps, gains)[0, 2]) < 1


def test_flat_maps_have_no_dipole():
    maps = np.column_stack([np.zeros(40), np.full(40, 0.1), draw_maps(1)[0]])
    found = fit(maps)
    assert_array_equal(found.residual_variance[:2], 1)
    assert_array_equal(np.isnan(found.positions).all(axis=1), [True, True, False])
    assert_array_equal(found.moments[:2], 0)
    assert_array_equal(fit_planes(maps, SENSORS)[:2], 0)


def test_linear_maps_have_the_best_score():
    unit = SENSORS / np.linalg.norm(SENSORS, axis=1, keepdims=True)
    slopes = RNG.normal(size=(2, 5))
    scores = fit_planes(unit[:, :2] @ slopes + 3, SENSORS)
    assert_allclose(scores, 1, atol=1e-12)
    others = fit_planes(RNG.normal(size=(40, 50)), SENSORS)
    assert ((others >= 0) & (others < 0.6)).all()


def test_counts_are_strict():
    found = DipoleFits(
        np.array([0.02, 0.05, 0.12, 1]), np.zeros((4, 3)), np.ones((4, 3))
    )
    assert [found.count_below(one) for one in (5, 10, 15)] == [1, 2, 3]
    assert str(found) == (
        "4 components by residual variance of one dipole: 1 (25 %) below 5 %, "
        "2 (50 %) below 10 %, 3 (75 %) below 15 %"
    )


def test_few_channels_are_refused():
    with pytest.raises(ShapeError, match="maps must have at least 8 channels for dip"):
        measure_rest(np.ones((7, 1)), np.ones((2, 7, 3)))
