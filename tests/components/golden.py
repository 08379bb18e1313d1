"""Golden arrays have the terms last; ours have them before the components."""

import numpy as np

from meegic.components.parameters import AmicaParameters


def by_house(values):
    """Swap components and terms."""
    return np.ascontiguousarray(np.swapaxes(values, -1, -2))


def golden_parameters(golden, prefix="in_"):
    """Take the parameters with this prefix."""
    terms = (by_house(golden[prefix + name]) for name in TERMS)
    return AmicaParameters(
        golden[prefix + "W"], golden[prefix + "c"], golden[prefix + "gm"], *terms
    )


def assert_near(found, wanted, tolerance=1e-11):
    """Compare relative to the largest value."""
    assert found.shape == wanted.shape
    error = np.abs(found - wanted).max()
    assert error <= tolerance * np.abs(wanted).max(), error


TERMS = ("alpha", "mu", "beta", "rho")
