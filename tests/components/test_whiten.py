"""Whitening: uncorrelated components, rank, units, weights."""

from inspect import unwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, RankError, ShapeError
from meegic.components.whiten import find_scale, fit_whitener


@pytest.fixture
def recording():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6)) * np.array([1, 2, 4, 8, 16, 32])
    return mixing @ rng.laplace(size=(6, 20_000)) + 5  # more than one block


@pytest.mark.parametrize("sphering", ["zca", "pca"])
def test_components_are_uncorrelated_with_unit_variance(recording, sphering):
    whitener = fit_whitener(recording, sphering=sphering)
    white = whitener(recording)
    assert_allclose(np.cov(white, bias=True), np.eye(6), atol=1e-9)
    assert_allclose(white.mean(axis=1), 0, atol=1e-9)
    assert_allclose(whitener.restore(white), recording, atol=1e-9)
    assert (np.diff(whitener.variances) < 0).all()
    log_volume = np.linalg.slogdet(whitener.forward)[1]
    assert_allclose(whitener.log_determinant, log_volume, rtol=1e-10)


def test_the_spheres(recording):
    zca = fit_whitener(recording).forward
    assert_allclose(zca, zca.T, atol=1e-12)
    assert np.linalg.eigvalsh(zca).min() > 0
    pca = fit_whitener(recording, sphering="pca")
    values, vectors = np.linalg.eigh(np.cov(recording, bias=True))
    assert_allclose(pca.variances, values[::-1], rtol=1e-9)
    cosines = np.abs((pca.directions * vectors[:, ::-1]).sum(axis=0))
    assert_allclose(cosines, 1, rtol=1e-9)
    assert_allclose(pca.forward, (pca.directions / np.sqrt(pca.variances)).T)
    few = fit_whitener(recording, n_components=2)
    assert_allclose(few.forward, pca.forward[:2], rtol=1e-12)
    assert_allclose(few.forward @ few.inverse, np.eye(2), atol=1e-12)


def test_without_sphering_channels_have_unit_size(recording):
    whitener = fit_whitener(recording, sphering="none")
    assert_allclose(whitener(recording).std(axis=1), 1, rtol=1e-10)
    assert_array_equal(whitener.forward, np.diag(np.diag(whitener.forward)))
    log_volume = np.linalg.slogdet(whitener.forward)[1]
    assert_allclose(whitener.log_determinant, log_volume, rtol=1e-10)
    for given in ({"n_components": 3}, {}):
        data = recording if given else np.vstack([recording, recording[:1]])
        with pytest.raises(RankError, match="without sphering every channel must"):
            fit_whitener(data, sphering="none", **given)


@pytest.mark.parametrize("power", range(-15, 10, 4))
def test_units_do_not_matter(recording, power):
    plain, scaled = fit_whitener(recording), fit_whitener(recording * 10.0**power)
    assert_allclose(scaled(recording * 10.0**power), plain(recording), atol=1e-9)
    dependent = np.vstack([recording, recording[:1]]) * 10.0**power
    assert len(fit_whitener(dependent).forward) == 6
    shift = scaled.log_determinant - plain.log_determinant
    assert_allclose(shift, -6 * power * np.log(10), atol=1e-9)


def test_a_power_of_two_changes_no_bit(recording):
    plain, scaled = fit_whitener(recording), fit_whitener(recording * 2.0**-40)
    assert_array_equal(scaled(recording * 2.0**-40), plain(recording))


def test_weights_repeat_samples(recording):
    times = np.random.default_rng(1).integers(0, 3, recording.shape[1])
    weighted = fit_whitener(recording, weights=times.astype(float))
    repeated = fit_whitener(np.repeat(recording, times, axis=1))
    assert_allclose(weighted.forward, repeated.forward, rtol=1e-9, atol=1e-12)
    assert_allclose(weighted.mean, repeated.mean, rtol=1e-9)


def test_rank(recording):
    noise = 1e-4 * np.random.default_rng(1).normal(size=recording.shape[1])
    barely = np.vstack([recording, recording[:1] + noise])
    rank = len(fit_whitener(barely).forward)
    sizes = fit_whitener(barely, rank_tolerance=0.0).variances
    assert rank == (sizes > 1e-7 * sizes[0]).sum() == 6
    assert len(fit_whitener(barely, rank_tolerance=1e-15).forward) == 7
    average = recording - recording.mean(axis=0)
    assert len(fit_whitener(average).forward) == 5
    words = "between 1 and the rank of the data, 5, but got 6. An average reference"
    with pytest.raises(RankError, match=words):
        fit_whitener(average, n_components=6)


def test_groups_of_channels_are_brought_to_one_size():
    sizes = np.array([2e-13, 1e-13, 3e-12, 5e-5, 4e-5])
    scale = find_scale(sizes)
    assert_allclose(scale[:3], 1)
    assert scale[3] == scale[4]
    ratio = np.median((sizes * scale)[3:]) / np.median((sizes * scale)[:3])
    assert 10**-0.5 < ratio < 10**0.5
    near = np.array([1.0, 900.0, 8e5])  # no gap of a thousand
    assert_array_equal(find_scale(near), 1)
    assert_array_equal(find_scale(np.array([0.0, 1.0, 2.0])), 1)
    three = find_scale(np.array([1.0, 1e4, 1e9]))
    assert_allclose(three, [1, 1e-4, 1e-9])


def test_types_are_comparable(recording):
    sizes = np.array([1, 1, 1, 1e9, 1e9, 1e9])[:, None]
    plain, mixed = fit_whitener(recording), fit_whitener(recording * sizes)
    assert_allclose(mixed.scale[3:] / mixed.scale[:3], 1e-9)
    assert_allclose(mixed(recording * sizes), plain(recording), atol=1e-9)
    assert_allclose(mixed.restore(plain(recording)), recording * sizes, rtol=1e-6)
    given = fit_whitener(recording * sizes, scale=1 / sizes[:, 0])
    assert_allclose(given.forward, mixed.forward, rtol=1e-9)


def test_refusals(recording):
    with pytest.raises(InputError, match="all channels are flat: nothing varies"):
        fit_whitener(np.ones((3, 50)))
    with pytest.raises(OptionError, match="sphering must be 'zca', 'pca' or 'none'"):
        unwrap(fit_whitener)(recording, sphering="ica")
    with pytest.raises(ShapeError, match=r"scale must have shape \(6,\)"):
        unwrap(fit_whitener)(recording, scale=np.ones(5))
