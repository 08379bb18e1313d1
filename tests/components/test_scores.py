"""Components and models are matched with those of another fit or of the truth."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, ShapeError
from meegic.components.scores import compute_agreement, match_components

RNG = np.random.default_rng(5)


def test_shuffled_and_flipped_maps_are_found_again():
    maps = RNG.normal(size=(12, 6))
    order, signs = RNG.permutation(6), np.array([1, -1, -1, 1, -1, 1.0])
    other = maps[:, order] * signs * np.geomspace(1e-9, 1e6, 6)
    match = match_components(maps, other)
    assert_array_equal(order[match.order], np.arange(6))
    assert_array_equal(match.signs, signs[match.order])
    assert_allclose(match.correlations, 1, atol=1e-12)


def test_matching_is_the_best_of_all_permutations():
    a, b = RNG.normal(size=(2, 8, 5))
    likeness = np.abs(np.corrcoef(a.T, b.T)[:5, 5:])
    best = max(likeness[range(5), order].sum() for order in permutations(range(5)))
    match = match_components(a, b)
    assert_allclose(match.correlations.sum(), best, atol=1e-12)
    assert_allclose(match.correlations, likeness[range(5), match.order], atol=1e-12)


def test_greedy_choices_do_not_spoil_the_rest():
    # both are most like b1, but only a0 has no other
    a = np.array([[1.0, 1.0], [0.0, 1.0], [-1.0, -2.0], [0.0, 0.0]])
    b = np.column_stack([a[:, 1] + 0.1 * a[:, 0], a[:, 0]])[:, ::-1]
    assert_array_equal(match_components(a, b).order, [0, 1])


def test_common_reference_and_other_decomposition_with_more_components():
    maps = RNG.normal(size=(10, 4))
    more = np.column_stack([RNG.normal(size=(10, 3)), maps - maps.mean(axis=0)])
    match = match_components(maps, more)
    assert_array_equal(match.order, [3, 4, 5, 6])
    assert_allclose(match.correlations, 1, atol=1e-12)


def test_flat_map_is_like_none():
    maps = RNG.normal(size=(5, 2))
    maps[:, 1] = 0.1
    assert_allclose(match_components(maps, maps).correlations, [1, 0], atol=1e-12)


def test_maps_that_cannot_be_compared_are_refused():
    with pytest.raises(ShapeError, match=r"b must have shape \(4, any\)"):
        match_components(np.ones((4, 2)), np.ones((3, 2)))
    with pytest.raises(
        ShapeError, match="b must have at least as many components as a, 3,"
    ):
        match_components(np.eye(4)[:, :3], np.eye(4)[:, :2])
    with pytest.raises(ShapeError, match="at least 3 channels"):
        match_components(np.eye(2), np.eye(2))
    with pytest.raises(InputError, match="b contains NaN or Inf"):
        match_components(np.eye(3), np.full((3, 3), np.nan))


def test_agreement_is_the_best_of_all_assignments():
    posteriors = RNG.dirichlet(np.ones(3), size=200).T
    labels = RNG.integers(0, 3, size=200)
    dominant = posteriors.argmax(axis=0)
    best = max(
        (np.array(order)[dominant] == labels).mean() for order in permutations(range(3))
    )
    agreement = compute_agreement(posteriors, labels)
    assert_allclose(agreement.share, best)
    assert_allclose((agreement.conditions[dominant] == labels).mean(), best)


def test_names_of_models_do_not_matter():
    labels = np.repeat([0, 1, 2], 10)
    posteriors = np.eye(3)[:, labels][[2, 0, 1]]
    agreement = compute_agreement(posteriors, labels)
    assert agreement.share == 1
    assert_array_equal(agreement.conditions, [2, 0, 1])


def test_model_too_many_stands_for_nothing():
    posteriors = np.array(
        [[0.1, 0.1, 0.1, 0.2], [0.8, 0.7, 0.0, 0.0], [0, 0, 0.9, 0.8]]
    )
    agreement = compute_agreement(posteriors, np.array([0, 0, 1, 1]))
    assert_array_equal(agreement.conditions, [-1, 0, 1])
    assert agreement.share == 1


def test_condition_too_many_is_never_right():
    agreement = compute_agreement(np.ones((1, 4)), np.array([0, 1, 1, 2]))
    assert agreement.share == 0.5
    assert_array_equal(agreement.conditions, [1])


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"posteriors must have shape \(any, 3\)"):
        compute_agreement(np.ones((2, 4)), np.zeros(3, dtype=int))
    with pytest.raises(InputError, match="labels must not be negative, but got -1"):
        compute_agreement(np.ones((2, 2)), np.array([0, -1]))
    with pytest.raises(InputError, match="posteriors contains NaN"):
        compute_agreement(np.full((2, 2), np.nan), np.array([0, 1]))
    with pytest.raises(ShapeError, match="posteriors are empty"):
        compute_agreement(np.ones((2, 0)), np.zeros(0, dtype=int))
