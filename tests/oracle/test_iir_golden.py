"""The block filter against the same filters run in 80-bit long double."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.math.iir import balance_sos, filter_forward, filter_zero_phase

NAMES = ["hp0p1", "hp1", "bp1_40", "notch50", "lp_ellip"]

# Measured 1e-13 at most where the design can use long double itself; elsewhere 2e-10,
# at 0.1 Hz, from rounding the design to float64.
EXTENDED = np.finfo(np.longdouble).eps < np.finfo(float).eps
DOUBLE = 1e-12 if EXTENDED else 1e-9


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "clean" / "sosfilt.npz") as file:
        return dict(file)


def assert_close(actual, wanted, tolerance):
    assert_allclose(actual, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("name", NAMES)
def test_double_precision(golden, name):
    design = balance_sos(golden[f"sos_{name}"])
    filtered, zf = filter_forward(design, golden["x"])
    assert_close(filtered, golden[f"y_{name}"], DOUBLE)
    assert_close(zf, golden[f"zf_{name}"], DOUBLE)
    assert design.n_padding == golden[f"padlen_{name}"]
    assert_close(filter_zero_phase(design, golden["x"]), golden[f"zp_{name}"], DOUBLE)


# SciPy in float32 is wrong by 1.5e-2 at 0.1 Hz. Zero phase is relative to the input:
# it removes an offset of 1000, whose own rounding is what is left.
@pytest.mark.parametrize("name", NAMES)
def test_single_precision(golden, name):
    design = balance_sos(golden[f"sos_{name}"])
    data = golden["x"].astype(np.float32)
    assert_close(filter_forward(design, data)[0], golden[f"y_{name}"], 5e-6)
    error = np.abs(filter_zero_phase(design, data) - golden[f"zp_{name}"]).max()
    assert error < 1e-6 * np.abs(data).max()


# SciPy's layout of the state is what rounds: its map to balanced coordinates has a
# condition of 7e3 at 0.1 Hz, which costs 2e-13 there and 2e-14 elsewhere.
@pytest.mark.parametrize("name", ["hp0p1", "bp1_40"])
def test_split_with_the_state_handed_over(golden, name):
    design = balance_sos(golden[f"sos_{name}"])
    whole, _ = filter_forward(design, golden["x"])
    before, state = filter_forward(design, golden["x"][:, :4321])
    after, _ = filter_forward(design, golden["x"][:, 4321:], zi=state)
    tolerance = 5e-13 if name == "hp0p1" else 1e-13
    assert_close(np.hstack([before, after]), whole, tolerance)
