"""Laws of the placement of cortical patches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.simulation.placement import (
    SHIFT_M,
    Patches,
    choose_patches,
    compute_patch_fields,
    shift_patches,
)

CENTER = np.zeros(3)


@pytest.fixture
def grid():
    axis = np.arange(-0.06, 0.061, 0.01)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    radius = np.linalg.norm(points, axis=1)
    return points[(radius > 0.035) & (radius < 0.065)]


def test_patches_are_different_places_of_the_grid(grid):
    patches = choose_patches(grid, 30, center=CENTER, rng=np.random.default_rng(0))
    assert len({tuple(one) for one in patches.positions}) == 30
    gaps = np.linalg.norm(grid[:, None] - patches.positions, axis=2)
    assert_allclose(gaps.min(axis=0), 0)
    assert_allclose(np.linalg.norm(patches.orientations, axis=1), 1)


def test_patches_keep_a_distance_that_chance_would_not(grid):
    def nearest(positions):
        gaps = np.linalg.norm(positions[:, None] - positions, axis=2)
        return gaps[~np.eye(len(gaps), dtype=bool)].reshape(len(gaps), -1).min()

    rng = np.random.default_rng(1)
    chosen = [nearest(choose_patches(grid, 20, center=CENTER, rng=rng).positions)]
    random = [nearest(grid[rng.choice(len(grid), 20)]) for _ in range(20)]
    assert chosen[0] > np.median(random)
    assert chosen[0] >= 0.014


def test_orientations_are_mostly_radial_inwards_as_well_as_outwards(grid):
    patches = choose_patches(grid, 60, center=CENTER, rng=np.random.default_rng(0))
    distance = np.linalg.norm(patches.positions, axis=1)
    cosine = np.sum(patches.orientations * patches.positions, axis=1) / distance
    assert np.median(np.abs(cosine)) > 0.8
    assert 0.25 < np.mean(cosine < 0) < 0.75  # a half, within four of its deviations


def test_patches_of_another_condition_lie_nearby_and_point_elsewhere(grid):
    rng = np.random.default_rng(2)
    here = choose_patches(grid, 20, center=CENTER, rng=rng)
    there = shift_patches(here, grid, center=CENTER, rng=rng)
    moved = np.linalg.norm(there.positions - here.positions, axis=1)
    assert moved.min() >= SHIFT_M[0] - 1e-12
    assert moved.max() <= SHIFT_M[1] + 1e-12
    assert not np.allclose(here.orientations, there.orientations)


def test_field_of_a_patch_is_a_weighted_mean_of_its_dipoles(grid):
    rng = np.random.default_rng(3)
    gain = rng.standard_normal((4, len(grid), 3))
    patch = Patches(grid[[5]], np.array([[0.0, 1.0, 0.0]]))
    constant = np.broadcast_to(gain[:, :1], gain.shape)
    assert_allclose(compute_patch_fields(patch, grid, constant)[:, 0], gain[:, 0, 1])
    twice = compute_patch_fields(patch, grid, 2 * gain)
    assert_allclose(twice, 2 * compute_patch_fields(patch, grid, gain))


def test_patch_has_a_standard_deviation_of_eight_millimetres():
    axis = np.arange(-0.04, 0.041, 0.004)
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    patch = Patches(np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]]))
    # the field at channel k is the k-th coordinate's square, weighted by the patch
    gain = (grid.T**2)[:, :, None] * [1.0, 0.0, 0.0]
    width = np.sqrt(compute_patch_fields(patch, grid, gain)[:, 0])
    # a grid of half a deviation, out to five, integrates a Gaussian this well
    assert_allclose(width, 0.008, rtol=1e-3)
