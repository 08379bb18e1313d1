"""The number of models is found by blocks that no fit has seen."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.components.selection import ModelSelection, compute_bic, select_n_models

QUICK = AmicaOptions(n_mix=1, min_dll=1e-4)
MIXINGS = np.random.default_rng(3).normal(size=(2, 3, 3))


def make_data(n_mixings, n_times=2000, seed=0):
    """Mix Laplacian sources; mixings change every 100 samples."""
    sources = np.random.default_rng(seed).laplace(size=(3, n_times))
    which = np.arange(n_times) // 100 % n_mixings
    return np.einsum("tik,kt->it", MIXINGS[which], sources)


@pytest.fixture(scope="module")
def pair():
    """Two mixings, judged by four blocks."""
    return select_n_models(make_data(2), [1, 2], options=QUICK, n_blocks=4)


def test_two_mixings_take_two_models():
    data = make_data(2, 2001)
    found = select_n_models(data, [1, 2, 3], options=QUICK, n_blocks=2)
    assert found.best == 2
    assert found.candidates[found.bic.argmin()] == 2
    assert found.model is found.models[1]
    assert [one.n_models for one in found.models] == [1, 2, 3]


def test_one_mixing_takes_one_model():
    found = select_n_models(make_data(1), [2, 1], options=QUICK, n_blocks=2)
    assert found.best == 1
    assert found.model.n_models == 1
    assert found.candidates[found.bic.argmin()] == 1


def test_block_is_scored_by_a_fit_to_the_others(pair):
    data = make_data(2)
    weights = np.ones(2000)
    weights[500:1000] = 0
    model = fit_amica(data, replace(QUICK, n_models=2), weights=weights)
    assert_allclose(pair.held_out[1, 1], model.score(data[:, 500:1000]), rtol=1e-12)
    whole = fit_amica(data, replace(QUICK, n_models=2))
    assert_allclose(pair.models[1].log_likelihood, whole.log_likelihood, rtol=1e-12)


def test_unseen_blocks_are_less_likely_than_seen_ones(pair):
    gap = [one.log_likelihood for one in pair.models] - pair.means
    # a model more fits more noise; both gaps are of the order of k / (n T)
    assert 0 < gap[0] < gap[1] < 0.1


def test_summary_is_of_the_blocks(pair):
    assert_allclose(pair.means, pair.held_out.mean(axis=1))
    spread = np.sqrt(((pair.held_out - pair.means[:, None]) ** 2).sum(axis=1) / 3)
    assert_allclose(pair.standard_errors, spread / 2)


def summarize(*held_out):
    return ModelSelection(
        candidates=tuple(range(1, len(held_out) + 1)),
        held_out=np.array(held_out),
        bic=np.zeros(len(held_out)),
        models=(),
    )


def test_best_is_the_smallest_within_one_error_of_the_difference():
    level = np.array([-9.0, -1.0, -5.0, 4.0])
    clear = level + np.array([0.9, 1.1, 1.0, 1.0])  # little beside the levels
    assert summarize(level, clear, clear + 1e-3 * level).best == 2
    doubtful = level + np.array([3.0, -2.0, 0.5, -1.0])
    assert summarize(level, doubtful).best == 1
    assert summarize(level, level - 1).best == 1
    assert summarize(level, level, level).best == 1


def test_samples_without_weight_do_not_count():
    data, weights = make_data(2), np.ones(2000)
    weights[::10] = 0
    other = data.copy()
    other[:, ::10] *= 100
    options = replace(QUICK, min_dll=1.0)
    first, second = (
        select_n_models(one, [2], options=options, weights=weights, n_blocks=2)
        for one in (data, other)
    )
    assert_allclose(first.held_out, second.held_out, rtol=1e-12)
    assert_allclose(first.bic, second.bic, rtol=1e-12)


def test_unit_of_the_data_does_not_matter(pair):
    # a power of two: rounding would lead fits to different ends
    data = 2.0**-20 * make_data(2)
    scaled = select_n_models(data, [1, 2], options=QUICK, n_blocks=4)
    assert_allclose(scaled.held_out - pair.held_out, 20 * np.log(2), atol=1e-9)
    assert scaled.best == pair.best


def test_block_of_lower_rank_lowers_the_rank_of_all_fits():
    data = make_data(1)
    data[2, :1000] = data[1, :1000]  # as after the interpolation of a channel
    found = select_n_models(data, [1], options=QUICK, n_blocks=2)
    assert found.models[0].n_components == 2
    assert np.isfinite(found.held_out).all()


def test_every_fit_is_told_of():
    told = []
    data = make_data(1)
    options = replace(QUICK, min_dll=1.0)
    select_n_models(
        data, [1, 2], options=options, n_blocks=2, callback=lambda one: told.append(one)
    )
    assert sum(one.iteration == 1 for one in told) == 2 * 3


def test_reservation_about_the_data_is_said_once_for_each_candidate():
    with pytest.warns(DataWarning, match="samples are few") as said:
        select_n_models(make_data(1, 150), [1], options=QUICK, n_blocks=2)
    assert len(said) == 1


def test_bic_counts_the_free_parameters(pair):
    # 2 models: 9 - 3 for the mixing, 3 x (1 + 1 + 1 + 0) for the densities; 1 weight
    model, n_samples = pair.models[1], 2000
    k = 2 * (6 + 9) + 1
    total = model.score_samples(make_data(2)).sum()
    expected = k * np.log(n_samples) - 2 * total
    assert_allclose(compute_bic(model, n_samples), expected, rtol=1e-10)
    assert_allclose(pair.bic[1], expected, rtol=1e-10)


def test_bic_counts_the_terms_of_the_options():
    data = make_data(1)
    found = select_n_models(data, [1], options=replace(QUICK, n_mix=2), n_blocks=2)
    k = 6 + 3 * (2 + 2 + 2 + 1)
    total = found.models[0].score_samples(data).sum()
    assert_allclose(found.bic, k * np.log(2000) - 2 * total, rtol=1e-10)


@pytest.mark.parametrize("candidates", [(), (2, 2)])
def test_candidates_must_be_different_numbers(candidates):
    with pytest.raises(OptionError, match="candidates must be different numbers"):
        select_n_models(make_data(1), candidates)


def test_impossible_arguments_are_refused(pair):
    data = make_data(1, 400)
    with pytest.raises(OptionError, match="a candidate must be a whole number >= 1"):
        select_n_models(data, [0, 1])
    with pytest.raises(OptionError, match="n_blocks must be a whole number between 2"):
        select_n_models(data, n_blocks=1)
    weights = np.ones(400)
    weights[:210] = 0
    with pytest.raises(InputError, match="block 1 of 2 has no sample with a weight"):
        select_n_models(data, weights=weights, n_blocks=2)
    with pytest.raises(OptionError, match="n_samples must be positive, but got 0"):
        compute_bic(pair.models[0], 0)


def test_result_stays_as_it_is(pair):
    assert_array_equal(pair.candidates, [1, 2])
    with pytest.raises(AttributeError):
        pair.candidates = (1,)
