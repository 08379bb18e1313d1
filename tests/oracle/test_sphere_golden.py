"""Spherical splines against the interpolation matrix of MNE."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.math.sphere import (
    compute_cosines,
    fit_sphere,
    normalize_positions,
    spline_g,
)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "clean" / "splines.npz") as file:
        return dict(file)


def test_interpolation_matrix_agrees_with_mne(golden):
    unit = normalize_positions(golden["positions_head"], origin=golden["origin"])
    assert_allclose(unit, golden["unit_positions"], atol=1e-12)
    bad = golden["bad_idx"]
    good = np.setdiff1d(np.arange(len(unit)), bad)
    kernel = spline_g(compute_cosines(unit, unit[good]))

    n_good = len(good)
    system = np.ones((n_good + 1, n_good + 1))
    system[:-1, :-1] = kernel[good] + golden["alpha"] * np.eye(n_good)
    system[-1, -1] = 0.0
    inverse = np.linalg.pinv(system)
    matrix = kernel[bad] @ inverse[:-1, :-1] + inverse[-1:, :-1]

    # The system has a condition of 1e6, which leaves nine of sixteen digits.
    wanted = golden["matrix"]
    assert_allclose(matrix, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())
    data = golden["data"]
    interpolated = golden["interpolated"][bad]
    largest = np.abs(interpolated).max()
    assert_allclose(matrix @ data[good], interpolated, rtol=0, atol=1e-9 * largest)


def test_sphere_of_the_montage_is_found(golden):
    center, radius = fit_sphere(golden["positions_head"])
    # MNE stops its search at 1e-9 m or so.
    assert_allclose(center, golden["origin"], atol=1e-8)
    assert_allclose(radius, 0.095, atol=1e-8)
