"""Mutual information: NumPy's histograms, and closed forms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.linalg import hadamard

from meegic.base.errors import InputError, OptionError
from meegic.components.information import (
    compute_k,
    compute_mutual_information,
    compute_reduction,
    mean_pairwise_bits,
)

RNG = np.random.default_rng(11)
MIXING = np.array([[1.0, 0.6, 0.0], [0.2, 1.0, -0.5], [0.3, 0.0, 1.0]])


def plug_in(a, b, n_bins):
    """Mutual information in nats of the histogram of two signals."""
    joint = np.histogram2d(a, b, bins=n_bins)[0] / len(a)
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    there = joint > 0
    return (joint[there] * np.log(joint[there] / product[there])).sum()


@pytest.mark.parametrize("n_bins", [2, 7, 30])
@pytest.mark.parametrize("n_times", [50, 9000])  # less and more than a chunk
def test_numbers_are_those_of_numpys_histograms(n_bins, n_times):
    signals = MIXING @ RNG.laplace(size=(3, n_times)) * [[1e-13], [1], [1e6]]
    signals[1] = np.round(signals[1])  # many samples lie right on edges
    found = compute_mutual_information(signals, n_bins=n_bins)
    expected = [[plug_in(a, b, n_bins) for b in signals] for a in signals]
    np.fill_diagonal(expected := np.array(expected), 0)
    assert_allclose(found, expected, atol=1e-12)


def test_symmetric_not_negative_zero_with_itself():
    signals = RNG.normal(size=(5, 400))
    signals[4] = 3.0  # constant
    for bias in (None, "miller-madow"):
        found = compute_mutual_information(signals, bias=bias)
        assert_array_equal(found, found.T)
        assert_array_equal(found.diagonal(), 0)
        assert (found >= 0).all()
        assert_allclose(found[4], 0, atol=1e-12)


def test_units_offsets_and_order_do_not_matter():
    signals = MIXING @ RNG.laplace(size=(3, 3000))
    found = compute_mutual_information(signals)
    order = [2, 0, 1]
    assert_allclose(
        compute_mutual_information(signals[order] * 2.0**-40), found[order][:, order],
        atol=1e-12,
    )  # fmt: skip
    assert_allclose(compute_mutual_information(-signals), found, atol=2e-2)


def test_bias_is_as_said_and_is_removed():
    """Bins of equal shares are all in use, and there the formula holds."""
    signals = RNG.uniform(size=(12, 40_000))
    pairs = np.triu_indices(12, 1)
    raw = compute_mutual_information(signals)[pairs].mean()
    assert_allclose(raw, 29**2 / (2 * 40_000), rtol=0.03)
    left = compute_mutual_information(signals, bias="miller-madow")[pairs].mean()
    assert left < 0.05 * raw


def test_bias_of_gaussians_is_smaller_for_bins_are_empty():
    signals = RNG.normal(size=(12, 40_000))
    pairs = np.triu_indices(12, 1)
    raw = compute_mutual_information(signals)[pairs].mean()
    assert 0.6 < raw / (29**2 / (2 * 40_000)) < 1
    left = compute_mutual_information(signals, bias="miller-madow")[pairs].mean()
    assert left < 0.3 * raw


def test_correction_counts_bins_in_use():
    a, b = RNG.normal(size=(2, 500))
    signals = np.vstack([a, a + 0.3 * b])
    joint, *_ = np.histogram2d(*signals, bins=30)
    used = [(joint > 0).sum(), *((joint.sum(axis=k) > 0).sum() for k in (0, 1))]
    excess = used[0] - used[1] - used[2] + 1
    raw = compute_mutual_information(signals)
    found = compute_mutual_information(signals, bias="miller-madow")
    assert_allclose(found[0, 1], raw[0, 1] - excess / 1000, atol=1e-12)


def test_gaussians_have_the_closed_form():
    signals = RNG.normal(size=(2, 200_000))
    signals[1] = 0.8 * signals[0] + 0.6 * signals[1]
    found = compute_mutual_information(signals, bias="miller-madow")[0, 1]
    assert_allclose(found, -np.log(1 - 0.8**2) / 2, rtol=0.05)


def test_reduction_of_gaussians_has_the_closed_form():
    signals = MIXING @ RNG.normal(size=(3, 100_000))
    found = compute_reduction(signals, np.linalg.inv(MIXING), sfreq=250)
    covariance = MIXING @ MIXING.T
    expected = (
        np.log(covariance.diagonal()).sum() - np.linalg.slogdet(covariance)[1]
    ) / 2
    assert_allclose(found.nats, expected, atol=0.01)
    assert_allclose(found.kbit_per_s, found.nats * 0.25 / np.log(2))
    assert found.k == 100_000 / 9
    assert "nats per sample" in str(found)


def test_reduction_of_laplacians_has_the_closed_form():
    """The sum of two has a density of two exponentials; its entropy is an integral."""
    a, b = np.cos(0.5), np.sin(0.5)

    def integrand(x):
        density = (a * np.exp(-x / a) - b * np.exp(-x / b)) / (2 * (a**2 - b**2))
        return -2 * density * np.log(density)

    entropy = quad(integrand, 0, 40)[0]
    expected = 2 * entropy - 2 * (1 + np.log(2))
    rotation = np.array([[a, b], [-b, a]])
    signals = rotation @ RNG.laplace(size=(2, 200_000))
    found = compute_reduction(signals, rotation.T, sfreq=100)
    assert_allclose(found.nats, expected, atol=0.01)


def test_reduction_knows_no_units():
    signals = MIXING @ RNG.laplace(size=(3, 5000))
    unmixing = np.linalg.inv(MIXING)
    one = compute_reduction(signals, unmixing, sfreq=1)
    other = compute_reduction(signals * 1e-6, unmixing * 1e9, sfreq=1)
    assert_allclose(other.nats, one.nats, atol=1e-9)


def test_unmixing_that_changes_nothing_takes_nothing():
    found = compute_reduction(
        RNG.laplace(size=(3, 500)), np.diag([2.0, -1, 5]), sfreq=1
    )
    assert_allclose(found.nats, 0, atol=1e-12)


def test_mean_of_pairs_is_in_bits():
    pairs = hadamard(4) * np.log(2)
    np.fill_diagonal(pairs, 0)
    assert_allclose(mean_pairwise_bits(pairs), (pairs / np.log(2)).sum() / 12)
    assert mean_pairwise_bits(np.zeros((1, 1))) == 0


def test_few_samples_per_weight_are_said():
    assert compute_k(60, 1) == 60
    few = compute_reduction(RNG.laplace(size=(3, 500)), np.eye(3), sfreq=1)
    assert "k = 55.6 samples per weight, fewer than the 60" in str(few)


def test_bad_signals_are_refused():
    with pytest.raises(InputError, match="signals contains NaN or Inf"):
        compute_mutual_information(np.array([[1.0, np.nan]]))
    with pytest.raises(InputError, match=r"signals must not be empty.*\(2, 0\)"):
        compute_mutual_information(np.ones((2, 0)))
    with pytest.raises(OptionError, match="n_bins must be a whole number >= 2"):
        compute_mutual_information(np.ones((2, 9)), n_bins=1)
    with pytest.raises(InputError, match="unmixing must be invertible"):
        compute_reduction(np.ones((2, 9)), np.ones((2, 2)), sfreq=1)
    with pytest.raises(InputError, match="signals must have at least 2 times, but got"):
        compute_reduction(np.ones((2, 1)), np.eye(2), sfreq=1)
    flat = RNG.normal(size=(3, 500))
    flat[1, 100:300] = 0
    with pytest.raises(InputError, match="signal 1 holds one value for too long"):
        compute_reduction(flat, np.eye(3), sfreq=1)
