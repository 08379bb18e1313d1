"""The fitted model: order, signs, likelihoods, samples, new data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from tests.components.dense import compute_dense, draw_problem
from tests.components.fits import simulate

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.components.amica import fit_amica
from meegic.components.densities import compute_variances
from meegic.components.model import (
    compute_sensor_variances,
    order_parameters,
    permute_components,
)
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters
from meegic.components.whiten import fit_whitener


@pytest.fixture(scope="module")
def fitted():
    first, _ = simulate(3, 1500, seed=1)
    second, _ = simulate(3, 1500, seed=2)
    data = np.hstack([first, 3 * second])
    return fit_amica(data, AmicaOptions(n_models=2)), data


def test_order_and_signs_change_no_likelihood():
    x, parameters, weights = draw_problem(0, 3, 3, 4, 200)
    data = np.random.default_rng(0).normal(size=(4, 4)) @ x
    whitener = fit_whitener(data)
    ordered = order_parameters(whitener, parameters)
    before, scores = compute_dense(x, parameters, weights)
    after, turned = compute_dense(x, ordered, weights)
    assert_allclose(before.log_likelihood, after.log_likelihood, rtol=1e-13)
    models = np.argsort(-parameters.weight)
    assert_allclose(turned, scores[models], rtol=1e-11)
    assert (np.diff(ordered.weight) <= 0).all()
    variances = compute_sensor_variances(whitener, ordered)
    assert (np.diff(variances, axis=1) <= 0).all()
    columns = np.linalg.inv(ordered.unmix)
    maps = whitener.inverse @ columns
    wanted = compute_variances(ordered) * (maps**2).sum(axis=1)
    assert_allclose(variances, wanted, rtol=1e-12)
    peaks = np.abs(maps).argmax(axis=1)[:, None]
    assert (np.take_along_axis(maps, peaks, axis=1) > 0).all()
    again = order_parameters(whitener, ordered)
    for one, other in zip(ordered, again, strict=True):
        assert_array_equal(one, other)


def test_order_does_not_depend_on_the_order_before():
    x, parameters, _ = draw_problem(1, 3, 3, 4, 100)
    whitener = fit_whitener(x)
    rng = np.random.default_rng(0)
    parts = np.array([rng.permutation(4) for _ in range(3)])
    mixed = permute_components(parameters, parts)
    mixed = AmicaParameters(*(one[[2, 0, 1]] for one in mixed))
    ours, theirs = (order_parameters(whitener, one) for one in (parameters, mixed))
    for one, other in zip(ours, theirs, strict=True):
        assert_array_equal(one, other)


def test_maps_and_filters_are_inverse(fitted):
    model, data = fitted
    product = model.filters @ model.maps
    assert_allclose(product, np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-10)
    sources = model.unmix(data)
    centered = data - data.mean(axis=1, keepdims=True)
    for h in range(2):
        center = model.parameters.unmix[h] @ model.parameters.center[h]
        assert_allclose(
            model.filters[h] @ centered - center[:, None], sources[h], atol=1e-9
        )
        assert_allclose(model.restore(sources[h], h), data, atol=1e-9)


def test_likelihoods_are_those_of_the_formula(fitted):
    model, data = fitted
    x = model.whitener(data)
    _, wanted = compute_dense(
        x, model.parameters, np.ones(3000), model.whitener.log_determinant
    )
    assert_allclose(model.score_models(data), wanted, rtol=1e-10)
    total = logsumexp(wanted, axis=0)
    assert_allclose(model.score_samples(data), total, rtol=1e-10)
    assert_allclose(model.score(data), total.mean() / 3, rtol=1e-12)
    assert_allclose(model.log_likelihood, model.score(data), rtol=0, atol=1e-12)
    assert_allclose(model.posteriors(data), np.exp(wanted - total), atol=1e-9)
    dominant = model.posteriors(data).argmax(axis=0).reshape(2, -1)
    assert abs(dominant[0].mean() - dominant[1].mean()) > 0.8


def test_new_data_of_any_length(fitted):
    model, data = fitted
    whole = model.score_samples(data)
    parts = [model.score_samples(data[:, at : at + 750]) for at in range(0, 3000, 750)]
    assert_allclose(np.concatenate(parts), whole, rtol=1e-12)
    assert model.unmix(data[:, :3]).shape == (2, 3, 3)
    with pytest.raises(ShapeError, match=r"data must have shape \(3, any\), but got"):
        model.score(np.zeros((4, 10)))
    with pytest.raises(InputError, match="NaN or Inf"):
        model.score(np.full((3, 10), np.nan))


def test_samples_have_the_density(fitted):
    model, data = fitted
    drawn = model.sample(40_000, seed=3)
    assert drawn.shape == (3, 40_000)
    assert_array_equal(drawn, model.sample(40_000, seed=3))
    assert (drawn[:, :100] != model.sample(100, seed=4)).any()
    assert_allclose(model.posteriors(drawn).mean(axis=1), model.parameters.weight,
                    atol=0.02)  # fmt: skip
    # What the model expects of its own samples is close to what it has of the data.
    assert abs(model.score(drawn) - model.log_likelihood) < 0.05
    assert_allclose(np.cov(drawn), np.cov(data), atol=10)
    with pytest.raises(OptionError, match="n_times must be a whole number >= 1"):
        model.sample(0)


def test_a_model_equals_itself_only(fitted):
    model, _ = fitted
    assert model == model
    assert (model.n_models, model.n_components) == (2, 3)
