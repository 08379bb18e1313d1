"""Minimum norm: the exact maximum of the evidence."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.sources.minimum_norm import (
    Prior,
    Spectrum,
    decompose,
    find_both,
    find_gamma,
)
from sources.problems import cost_densely, make_problem


@pytest.fixture(scope="module")
def given():
    return make_problem(n_channels=20, n_sources=40, n_times=60)


def test_spectrum_has_the_cost_of_the_definition(given):
    spectrum = decompose(given.leadfield, given.data / np.sqrt(60))
    dense = cost_densely(
        given.leadfield, np.full(40, 0.7), np.full(20, 1.3), given.data
    )
    assert_allclose(spectrum.cost(0.7, 1.3), dense, rtol=1e-12)
    step = 1e-6
    slope = spectrum.cost(0.7 * np.exp(step), 1.3) - spectrum.cost(
        0.7 * np.exp(-step), 1.3
    )
    assert_allclose(spectrum.slope(0.7, 1.3), slope / (2 * step), rtol=1e-6)


def test_the_lowest_cost_is_found(given):
    spectrum = decompose(given.leadfield, given.data / np.sqrt(60))
    gamma, _ = find_gamma(spectrum, 1.0)
    assert abs(spectrum.slope(gamma, 1.0)) < 1e-10
    grid = np.geomspace(1e-6, 1e6, 4001)
    assert spectrum.cost(gamma, 1.0) <= min(spectrum.cost(one, 1.0) for one in grid)


def test_the_lower_of_two_minima_is_found():
    gains = np.array([1e8] * 6 + [1.0] * 6)
    powers = np.array([2e2] * 6 + [80.0] * 6)
    spectrum = Spectrum(gains, powers)
    slopes = np.array(
        [spectrum.slope(one, 1.0) for one in np.geomspace(1e-8, 1e6, 2000)]
    )
    assert ((slopes[:-1] < 0) & (slopes[1:] >= 0)).sum() == 2  # there are two
    gamma, _ = find_gamma(spectrum, 1.0)
    grid = np.geomspace(1e-8, 1e6, 4001)
    assert spectrum.cost(gamma, 1.0) <= min(spectrum.cost(one, 1.0) for one in grid)


def test_noise_alone_gives_no_sources():
    gamma, _ = find_gamma(Spectrum(np.ones(5), 0.5 * np.ones(5)), 1.0)
    assert gamma == 0


def test_both_variances_are_at_the_optimum(given):
    spectrum = decompose(given.leadfield, given.data / np.sqrt(60))
    gamma, noise, _ = find_both(spectrum, Prior(0.0, 1.0, 1e-6))
    best = spectrum.cost(gamma, noise)
    for one in np.geomspace(gamma / 3, 3 * gamma, 60):
        for other in np.geomspace(noise / 3, 3 * noise, 60):
            assert spectrum.cost(one, other) >= best


def test_noise_is_drawn_to_what_was_measured(given):
    spectrum = decompose(given.leadfield, given.data / np.sqrt(60))
    free = find_both(spectrum, Prior(0.0, 1.0, 1e-6))[1]
    found = [find_both(spectrum, Prior(w, 5.0, 1e-6))[1] for w in (1.0, 30.0, 1e7)]
    assert free < found[0] < found[1] < found[2]
    assert_allclose(found[2], 5.0, rtol=1e-4)


def test_noise_stays_on_its_floor(given):
    spectrum = decompose(given.leadfield, given.data / np.sqrt(60))
    gamma, noise, _ = find_both(spectrum, Prior(0.0, 1.0, 9.0))
    assert noise == 9.0
    assert_allclose(gamma, find_gamma(spectrum, 9.0)[0], rtol=1e-12)


@pytest.mark.parametrize("exponent", [-15, 9])
def test_units_do_not_matter(given, exponent):
    unit = 10.0**exponent
    one = decompose(given.leadfield, given.data / np.sqrt(60))
    other = decompose(given.leadfield, unit * given.data / np.sqrt(60))
    assert_allclose(
        find_gamma(other, unit**2)[0], unit**2 * find_gamma(one, 1.0)[0], rtol=1e-9
    )
    both = find_both(one, Prior(0.0, 1.0, 1e-6))[:2]
    scaled = find_both(other, Prior(0.0, unit**2, 1e-6 * unit**2))[:2]
    assert_allclose(scaled, unit**2 * np.array(both), rtol=1e-9)
