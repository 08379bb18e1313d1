"""The shaping filter follows its curve at every rate, and is stable."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import sosfreqz

from meegic.base.errors import OptionError
from meegic.clean.asr_shaping import (
    design_shaping,
    design_shaping_polynomials,
    shaping_nodes,
)

RATES = [40.0, 64.0, 79.0, 80.0, 82.0, 90.0, 100.0, 128.0, 250.0, 500.0001, 2048.0]


@pytest.mark.parametrize("sfreq", RATES)
def test_filter_is_stable_and_near_its_curve(sfreq):
    sections = design_shaping(sfreq)
    assert max(np.abs(np.roots(one)).max() for one in sections[:, 3:]) < 0.999
    assert max(np.abs(np.roots(one)).max() for one in sections[:, :3]) < 1
    frequencies, response = sosfreqz(sections, 2000, fs=sfreq)
    wanted = np.interp(frequencies, *shaping_nodes(sfreq))
    error_db = 20 * np.log10(np.abs(response) / wanted)
    # An order of 8 cannot follow the corners; over all frequencies it is near.
    assert np.median(np.abs(error_db)) < 0.5


def test_sections_are_the_polynomials():
    numerator, denominator = design_shaping_polynomials(250.0)
    points = np.exp(-1j * np.linspace(0.01, np.pi, 50))
    wanted = np.polyval(numerator[::-1], points) / np.polyval(denominator[::-1], points)
    _, response = sosfreqz(design_shaping(250.0), np.linspace(0.01, np.pi, 50))
    assert_allclose(np.abs(response), np.abs(wanted), rtol=1e-9)


def test_curve_ends_at_the_nyquist_frequency_with_the_gain_it_has_there():
    frequencies, gains = shaping_nodes(60.0)
    assert frequencies.tolist() == [0, 2, 3, 13, 16, 30]
    assert gains.tolist() == [3, 0.75, 0.33, 0.33, 1, 1]


@pytest.mark.parametrize("sfreq", [0.0, -1.0, float("nan"), 5.0])
def test_impossible_rates_are_refused(sfreq):
    with pytest.raises(OptionError, match="sfreq must be a number at least 8 Hz"):
        design_shaping(sfreq)
