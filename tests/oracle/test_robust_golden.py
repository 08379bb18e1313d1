"""Robust estimates against eegprep 0.3.0 (golden/clean/README.md)."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.math.robust import fit_generalized_gaussian, geometric_median


@pytest.fixture
def golden(shared):
    with np.load(shared / "golden/clean/fit_distribution.npz") as file:
        return dict(file)


@pytest.mark.parametrize(
    "name", ["real0", "real1", "real2", "mix0", "mix1", "mix2", "short"]
)
def test_fit_gives_the_parameters_of_the_reference(golden, name):
    fit = fit_generalized_gaussian(golden[f"x_{name}"][None])
    result = [fit.mu[0], fit.sigma[0], fit.alpha[0], fit.beta[0]]
    # The same candidate wins; what is left is the rounding of gammaincinv.
    assert_allclose(result, golden[f"fit_{name}"], rtol=1e-10)


@pytest.mark.parametrize(("kind", "tolerance"), [("default", 1e-5), ("tight", 1e-13)])
def test_geometric_median_is_that_of_the_reference(golden, kind, tolerance):
    result = geometric_median(golden["gm_x"], tolerance=tolerance)
    # The reference's guard is absolute, 1e-9: that moves its median by 1e-10.
    assert_allclose(result.state, golden[f"gm_{kind}"], rtol=1e-9)
