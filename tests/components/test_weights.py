"""Weights of samples: they have no unit, and what has none takes no part."""

import warnings
from inspect import unwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.fits import simulate
from tests.components.same_fits import draw_data, fit, list_differences

from meegic.base.errors import ConvergenceWarning, InputError
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.components.starts import make_start
from meegic.components.whiten import fit_whitener


@pytest.fixture(scope="module")
def data():
    return draw_data()


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
@pytest.mark.parametrize("unit", [1 / 1500, 0.01, 100.0, 5e-324, 1e300])
def test_equal_weights_are_none(data, solver, unit):
    given = {"solver": solver, "max_iter": 20, "n_models": 2}
    plain = fit(data, **given)
    weighted = fit(data, weights=np.full(1500, unit), **given)
    assert list_differences(plain, weighted) == []


def test_the_unit_of_uneven_weights_does_not_matter(data):
    weights = np.random.default_rng(0).uniform(size=1500)
    weights[:100] = 0
    plain = fit(data, weights=weights, max_iter=15)
    other = fit(data, weights=2.0**-30 * weights, max_iter=15)
    assert list_differences(plain, other) == []


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_one_heavy_sample_does_not_end_a_fit(data, solver):
    weights = np.ones(1500)
    weights[700] = 1000.0
    model = fit(data, weights=weights, solver=solver, max_iter=40)
    assert len(model.history.rate) >= 20
    values = model.history.log_likelihood
    assert values[-1] > values[0] + 1e-2
    assert_array_equal(values[1:] >= values[:-1] - 1e-9, True)
    assert all(np.isfinite(one).all() for one in model.parameters)
    assert np.any(model.parameters.center != 0)


@pytest.mark.parametrize("n_used", [0, 1, 5])
def test_fewer_samples_with_weight_than_needed_are_refused(data, n_used):
    weights = np.zeros(1500)
    weights[:n_used] = 1.0
    words = "zero everywhere" if not n_used else f"6 times with weight.* got {n_used}"
    with pytest.raises(InputError, match=words):
        fit_amica(data, weights=weights)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_weights_that_cannot_be_are_refused(data, wrong):
    weights = np.ones(1500)
    weights[3] = wrong
    with pytest.raises(InputError, match="weights must be finite and not negative"):
        fit_amica(data, weights=weights)
    with pytest.raises(InputError, match="weights must be numbers, but have the dty"):
        unwrap(fit_amica)(data, weights=np.array(["a"] * 1500))


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
@pytest.mark.parametrize("compat", [None, "pyamica"])
def test_rejection_is_that_of_the_cut_data(solver, compat):
    if compat is not None and solver != "em":
        solver = "em"
    data, _ = simulate(3, 2400, seed=4)
    data[:, ::100] *= 6
    weights = np.ones(2400)
    weights[500:900] = 0
    data[:, 500:900] *= 40  # would rule the mean and the spread of likelihoods
    used = weights > 0
    given = {
        "do_reject": True, "num_reject": 2, "reject_start": 3, "reject_int": 3,
        "solver": solver, "compat": compat, "max_iter": 14,
    }  # fmt: skip
    whole = fit(data, weights=weights, **given)
    cut = fit(data[:, used], **given)
    assert cut.rejected.sum() > 5
    assert_array_equal(whole.rejected[used], cut.rejected)
    assert not whole.rejected[~used].any()
    assert_allclose(whole.log_likelihood, cut.log_likelihood, rtol=0, atol=1e-9)


@pytest.mark.parametrize("word", ["fastica", "one-term"])
def test_starts_do_not_look_at_samples_without_weight(word):
    data, _ = simulate(3, 2000, flat=False)
    foreign = np.random.default_rng(1).laplace(size=(3, 1000)) ** 3
    both = np.hstack([data, foreign])
    weights = np.r_[np.ones(2000), np.zeros(1000)]
    whitener = fit_whitener(data)
    options = AmicaOptions()
    ours, theirs, blind = (
        make_start(word, whitener(one), w, whitener, options, seed=0)
        for one, w in (
            (data, np.ones(2000)),
            (both, weights),
            (both, np.ones(3000)),
        )
    )
    assert_allclose(theirs.unmix, ours.unmix, rtol=0, atol=1e-7)
    assert np.abs(blind.unmix - ours.unmix).max() > 1e-3


def test_masked_samples_have_no_weight(data):
    masked = np.ma.masked_array(data, mask=np.zeros(data.shape, bool))
    masked[1, 40:90] = np.ma.masked
    weights = np.ones(1500)
    weights[40:90] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        options = AmicaOptions(max_iter=8, kernel="numba")
        model = unwrap(fit_amica)(masked, options)
    wanted = fit(data, weights=weights, max_iter=8)
    assert_allclose(model.parameters.unmix, wanted.parameters.unmix, rtol=1e-9)
