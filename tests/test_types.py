"""Types and shapes are checked while the tests run."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from meegic.base.checks import check_range
from meegic.clean.findings import Facts
from meegic.math.robust import mad
from meegic.simulation.sources import Clock, shape_noise, simulate_rhythm

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: check_range("sfreq", 250.0, low="0"),
        lambda: mad("no array"),
        lambda: Facts(("Cz",), ("eeg",), 250.0, positions=np.zeros((1, 2))),
        lambda: shape_noise(np.ones_like, "no clock", RNG),
    ],
    ids=["base", "math", "clean", "simulation"],
)
def test_wrong_type_or_shape_is_an_error_in_every_folder(call):
    with pytest.raises(TypeCheckError):
        call()


def test_an_int_passes_for_a_float():
    assert simulate_rhythm(10, Clock(500, 100), RNG).shape == (500,)
