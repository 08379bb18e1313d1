"""Smoothing agrees with dense and with exhaustive sums over paths."""

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp, softmax

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.components.smoothing import smooth_posteriors

SFREQ = 10.0
WEIGHT = np.array([0.5, 0.3, 0.2])


def draw(n_times, *, spread=2.0, n_models=3, seed=0):
    return spread * np.random.default_rng(seed).normal(size=(n_models, n_times))


def make_transition(dwell_s, weight=WEIGHT):
    stay = np.exp(-1 / (dwell_s * SFREQ))
    return stay * np.eye(len(weight)) + (1 - stay) * weight


def enumerate_paths(scores, dwell_s, weight=WEIGHT):
    """Sum over all paths of models, one by one."""
    n_models, n_times = scores.shape
    emissions, steps = scores.T - np.log(weight), make_transition(dwell_s, weight)
    total = np.zeros_like(scores)
    for path in product(range(n_models), repeat=n_times):
        value = weight[path[0]]
        for before, after in pairwise(path):
            value *= steps[before, after]
        for t, h in enumerate(path):
            value *= np.exp(emissions[t, h])
        for t, h in enumerate(path):
            total[h, t] += value
    return total / total.sum(axis=0)


def pass_densely(scores, dwell_s, weight=WEIGHT):
    """Forward and backward in logarithms, with the whole transition matrix."""
    emissions = scores - np.log(weight)[:, None]
    steps = np.log(make_transition(dwell_s, weight))
    forward, backward = np.zeros_like(scores), np.zeros_like(scores)
    forward[:, 0] = np.log(weight) + emissions[:, 0]
    for t in range(1, scores.shape[1]):
        before = forward[:, t - 1][:, None] + steps
        forward[:, t] = logsumexp(before, axis=0) + emissions[:, t]
    for t in range(scores.shape[1] - 2, -1, -1):
        after = steps + emissions[:, t + 1] + backward[:, t + 1]
        backward[:, t] = logsumexp(after, axis=1)
    return softmax(forward + backward, axis=0)


@pytest.mark.parametrize("dwell_s", [0.05, 0.3, 5.0])
@pytest.mark.parametrize("n_times", [1, 2, 6])
def test_smoothing_is_the_sum_over_all_paths(n_times, dwell_s):
    scores = draw(n_times)
    found = smooth_posteriors(scores, WEIGHT, sfreq=SFREQ, dwell_s=dwell_s)
    assert_allclose(found, enumerate_paths(scores, dwell_s), atol=1e-13)


@pytest.mark.parametrize("spread", [0.5, 30.0, 2000.0])
@pytest.mark.parametrize("dwell_s", [0.2, 100.0, 1e9])
def test_smoothing_agrees_with_a_dense_recursion_in_logarithms(spread, dwell_s):
    scores = draw(300, spread=spread)
    found = smooth_posteriors(scores, WEIGHT, sfreq=SFREQ, dwell_s=dwell_s)
    # the oracle loses digits where 1 - stay is small
    assert_allclose(found, pass_densely(scores, dwell_s), atol=1e-7)


@pytest.mark.parametrize("dwell_s", [0.0, 0.1, 1.0, 1e6])
def test_probabilities_of_a_time_sum_to_one(dwell_s):
    found = smooth_posteriors(draw(5000), WEIGHT, sfreq=SFREQ, dwell_s=dwell_s)
    assert_allclose(found.sum(axis=0), 1, atol=1e-12)
    assert found.min() >= 0


@pytest.mark.parametrize("dwell_s", [0.0, 1e-3])
def test_without_dwelling_every_sample_stands_alone(dwell_s):
    scores = draw(500)
    found = smooth_posteriors(scores, WEIGHT, sfreq=SFREQ, dwell_s=dwell_s)
    assert_allclose(found, softmax(scores, axis=0), atol=1e-12)


def test_without_evidence_the_weights_remain_at_any_dwell_time():
    scores = np.tile(np.log(WEIGHT)[:, None], (1, 400)) + draw(400)[0]
    found = smooth_posteriors(scores, WEIGHT, sfreq=SFREQ, dwell_s=2.0)
    assert_allclose(found, np.tile(WEIGHT[:, None], (1, 400)), atol=1e-12)


def test_short_doubts_vanish_and_long_changes_stay():
    scores = np.zeros((2, 300))
    scores[0, :150] = scores[1, 150:] = 2.0
    scores[:, 70] = scores[::-1, 70]
    weight = np.array([0.5, 0.5])
    found = smooth_posteriors(scores, weight, sfreq=SFREQ, dwell_s=3.0)
    assert found[0, 70] > 0.9
    assert_allclose(found[0, [20, 280]], [1, 0], atol=0.01)


def test_time_and_models_have_no_direction():
    scores = draw(200)
    found = smooth_posteriors(scores, WEIGHT, sfreq=SFREQ)
    backward = smooth_posteriors(scores[:, ::-1], WEIGHT, sfreq=SFREQ)
    assert_allclose(backward[:, ::-1], found, atol=1e-12)
    turned = smooth_posteriors(scores[[2, 0, 1]], WEIGHT[[2, 0, 1]], sfreq=SFREQ)
    assert_allclose(turned, found[[2, 0, 1]], atol=1e-12)


def test_only_the_number_of_samples_that_it_dwells_matters():
    scores = draw(200)
    one = smooth_posteriors(scores, WEIGHT, sfreq=SFREQ, dwell_s=2.0)
    other = smooth_posteriors(scores, WEIGHT, sfreq=1000.0, dwell_s=0.02)
    assert_allclose(one, other, atol=1e-12)


def test_one_level_of_all_scores_changes_nothing():
    scores = draw(200)
    level = 1e6 * draw(200, seed=1)[0]
    assert_allclose(
        smooth_posteriors(scores + level, WEIGHT, sfreq=SFREQ),
        smooth_posteriors(scores, WEIGHT, sfreq=SFREQ),
        atol=1e-7,  # 1e6 leaves 1e-10 of a score
    )


def test_silent_samples_are_told_by_their_neighbours():
    scores = draw(6)
    scores[:, 2:4] = np.nan
    filled = scores.copy()
    filled[:, 2:4] = np.log(WEIGHT)[:, None]
    found = smooth_posteriors(scores, WEIGHT, sfreq=SFREQ)
    assert_allclose(found, enumerate_paths(filled, 1.0), atol=1e-13)


def test_one_model_is_certain_and_the_input_untouched():
    scores = draw(20, n_models=1)
    before = scores.copy()
    found = smooth_posteriors(scores, np.ones(1), sfreq=SFREQ)
    assert_allclose(found, 1)
    assert (scores == before).all()


@pytest.mark.parametrize("weight", [[0.5, 0.6, 0.2], [1.0, 0.5, -0.5], [1.0, 0.0, 0.0]])
def test_weights_that_are_no_probabilities_are_refused(weight):
    with pytest.raises(InputError, match="weight must be positive and sum to 1"):
        smooth_posteriors(draw(5), np.array(weight), sfreq=SFREQ)


def test_what_is_no_score_time_or_rate_is_refused():
    with pytest.raises(ShapeError, match=r"weight must have shape \(3,\)"):
        smooth_posteriors(draw(5), np.full(2, 0.5), sfreq=SFREQ)
    broken = draw(5)
    broken[1, 2] = np.nan
    with pytest.raises(InputError, match="scores contains NaN or Inf"):
        smooth_posteriors(broken, WEIGHT, sfreq=SFREQ)
    with pytest.raises(OptionError, match="sfreq must be a number above 0 Hz"):
        smooth_posteriors(draw(5), WEIGHT, sfreq=0.0)
    with pytest.raises(OptionError, match="dwell_s must be a number at least 0 s"):
        smooth_posteriors(draw(5), WEIGHT, sfreq=SFREQ, dwell_s=-1.0)
    with pytest.raises(OptionError, match=r"dwell_s must be a number .*but got inf"):
        smooth_posteriors(draw(5), WEIGHT, sfreq=SFREQ, dwell_s=np.inf)
