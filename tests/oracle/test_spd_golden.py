"""Riemannian geometry against pyriemann 0.12 (golden/clean/README.md)."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.math.spd import covariance_mean, riemannian_distance


@pytest.fixture
def golden(shared):
    with np.load(shared / "golden/clean/potato.npz") as file:
        return dict(file)


@pytest.mark.usefixtures("x64")
def test_distances_are_those_of_the_reference(golden):
    covs, mean = golden["covs"], golden["mean_all"]
    # atol: the distance of a matrix to itself is rounding, 1e-14.
    assert_allclose(
        riemannian_distance(mean, covs), golden["dist_to_mean_all"], rtol=1e-9
    )
    assert_allclose(
        riemannian_distance(covs[0], covs), golden["dist_first"], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("kind", ["mean_all", "potato_mean"])
def test_mean_is_that_of_the_reference(golden, kind):
    covs = golden["covs"]
    mean = covariance_mean(covs if kind == "mean_all" else covs[golden["potato_good"]])
    # Both searches end at a mean log map of 1e-8 or less.
    assert_allclose(mean, golden[kind], rtol=1e-7, atol=1e-7 * abs(mean).max())
