"""Fits of arrays: what they recover, and what does not change them."""

import logging
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.fits import simulate

from meegic.base.errors import ConvergenceWarning, OptionError
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.components.scores import amari_distance

# One smooth term has a sharp optimum, which every path to it meets. Newton steps of EM
# go down to rounding; the line search of the other solver looks at likelihoods, whose
# rounding of 1e-16 hides gradients below 1e-8.
SMOOTH = {"n_mix": 1, "minrho": 1.5, "maxrho": 1.5, "use_min_dll": False}
SHARP = AmicaOptions(solver="em", newt_start=10, min_nd=1e-13, max_iter=120, **SMOOTH)
JOINT = AmicaOptions(min_nd=1e-10, **SMOOTH)


@pytest.fixture(scope="module")
def recording():
    return simulate(4, 3200)


@pytest.fixture(scope="module")
def peaked():
    return simulate(4, 3200, flat=False)[0]


@pytest.fixture(scope="module")
def sharp(peaked):
    return fit_amica(peaked, SHARP)


def check_laws(model, data):
    w, p = model.whitener, model.parameters
    covariance = np.cov(w(data), bias=True)
    assert_allclose(covariance, np.eye(model.n_components), atol=1e-8)
    assert (np.diff(w.variances) <= 0).all()
    product = model.filters @ model.maps
    assert np.abs(product - np.eye(model.n_components)).max() < 1e-10
    assert_allclose(p.weight.sum(), 1, rtol=1e-12)
    assert_allclose(p.alpha.sum(axis=1), 1, rtol=1e-12)
    assert (p.beta > 0).all()
    assert p.rho.min() >= 1
    assert p.rho.max() <= 2
    assert (np.diff(p.weight) <= 0).all()
    assert (np.diff(model.variances, axis=1) <= 0).all()
    peaks = np.abs(model.maps).argmax(axis=1)[:, None]
    assert (np.take_along_axis(model.maps, peaks, axis=1) > 0).all()
    posteriors = model.posteriors(data)
    assert_allclose(posteriors.sum(axis=0), 1, rtol=1e-12)
    assert_allclose(posteriors.mean(axis=1), p.weight, atol=0.05)
    assert_allclose(model.score(data), model.log_likelihood, rtol=0, atol=1e-12)
    values = model.history.log_likelihood
    assert np.diff(values).min() > -1e-9
    assert values[-1] > values[0]
    assert model.log_likelihood >= values[-1] - 1e-9


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
@pytest.mark.parametrize("n_models", [1, 2])
def test_laws_of_a_fit(recording, solver, n_models):
    data, mixing = recording
    options = AmicaOptions(solver=solver, n_models=n_models, max_iter=90)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fit_amica(data, options)
    check_laws(model, data)
    assert model.solver == solver
    assert not model.rejected.any()
    assert model.restarts.shape == (0,)
    if n_models == 1:
        assert amari_distance(model.filters[0], mixing) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_peaked_and_flat_sources_are_recovered(seed):
    n = 4
    data, mixing = simulate(n, 200 * n**2, seed)
    model = fit_amica(data)
    assert model.converged
    assert model.n_evals < 500
    assert amari_distance(model.filters[0], mixing) < 0.05


def draw_regimes(kinds, n=3, n_times=2400, seed=0):
    rng = np.random.default_rng(seed)
    draw = {
        "uniform": lambda: rng.uniform(-1, 1, (n, n_times)),
        "laplace": lambda: rng.laplace(size=(n, n_times)),
        "gamma": lambda: rng.gamma(0.4, size=(n, n_times)) - 0.4,
    }
    mixings = rng.normal(size=(len(kinds), n, n)) + np.eye(n)
    return np.hstack([a @ draw[kind]() for a, kind in zip(mixings, kinds, strict=True)])


def test_two_halves_are_separated():
    data = draw_regimes(["uniform", "laplace"], seed=2)
    model = fit_amica(data, AmicaOptions(n_models=2))
    dominant = model.posteriors(data).argmax(axis=0).reshape(2, -1)
    shares = np.array([(dominant == h).mean(axis=1) for h in (0, 1)])
    assert max(shares.diagonal().min(), shares[::-1].diagonal().min()) > 0.8


def test_three_regimes_have_models_of_their_own():
    data = draw_regimes(["uniform", "laplace", "gamma"])
    model = fit_amica(data, AmicaOptions(n_models=3, n_restarts=2))
    dominant = model.posteriors(data).argmax(axis=0).reshape(3, -1)
    shares = np.array([np.bincount(one, minlength=3) for one in dominant]) / 2400
    assert sorted(shares.argmax(axis=1)) == [0, 1, 2]


def compare(data, changed, model, order=slice(None)):
    """Fit changed data; the unmixed sources must be the same, but for their sign."""
    other = fit_amica(changed, SHARP)
    joint = fit_amica(changed, JOINT)
    ours = scaled_sources(model, data)[..., order]
    assert np.abs(ours - scaled_sources(other, changed)).max() < 1e-8
    assert np.abs(ours - scaled_sources(joint, changed)).max() < 1e-6
    return other


def scaled_sources(model, data):
    sources = np.abs(model.unmix(data))
    return sources / sources.std(axis=-1, keepdims=True)


def test_channel_order_does_not_matter(peaked, sharp):
    data = peaked
    order = [2, 0, 3, 1]
    other = compare(data, data[order], sharp)
    assert_allclose(other.maps, sharp.maps[:, order], rtol=1e-8, atol=1e-8)


def test_the_sign_of_the_data_turns_the_sources(peaked, sharp):
    data = peaked
    other = compare(data, -data, sharp)
    assert_allclose(other.unmix(-data), -sharp.unmix(data), atol=1e-8)


def test_a_constant_does_not_matter(peaked, sharp):
    data = peaked
    other = compare(data, data + np.array([[1.0], [300.0], [-7.0], [0.1]]), sharp)
    assert_allclose(other.log_likelihood, sharp.log_likelihood, rtol=0, atol=1e-12)


def test_the_order_of_times_does_not_matter(peaked, sharp):
    data = peaked
    order = np.random.default_rng(0).permutation(data.shape[1])
    other = compare(data, data[:, order], sharp, order=order)
    assert_allclose(other.log_likelihood, sharp.log_likelihood, rtol=0, atol=1e-12)


def test_the_default_fit_is_random_only_by_its_seed(recording):
    data, _ = recording
    options = AmicaOptions(n_models=2, max_iter=40, do_reject=True, n_restarts=2)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first, again, other = (fit_amica(data, options, seed=k) for k in (3, 3, 4))
        chunked = fit_amica(data, AmicaOptions(max_iter=8, chunk_t=64))
        plain = fit_amica(data, AmicaOptions(max_iter=8))
        drawn = [fit_amica(data, AmicaOptions(max_iter=2), seed=None) for _ in "ab"]
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    for one, two in zip(first.parameters, again.parameters, strict=True):
        assert_array_equal(one, two)
    assert_array_equal(first.rejected, again.rejected)
    assert (first.parameters.unmix != other.parameters.unmix).any()
    assert first.record.seed == 3
    assert drawn[0].record.seed != drawn[1].record.seed
    assert_allclose(plain.parameters.unmix, chunked.parameters.unmix, rtol=1e-9)


def test_rejection_that_is_off_changes_no_bit(recording):
    data, _ = recording
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = fit_amica(data, AmicaOptions(max_iter=40))
        off = fit_amica(data, AmicaOptions(max_iter=40, reject_sigma=1.0, num_reject=9))
        none = fit_amica(data, AmicaOptions(max_iter=40, do_reject=True, num_reject=0))
    for other in (off, none):
        for one, two in zip(plain.parameters, other.parameters, strict=True):
            assert_array_equal(one, two)
        assert not other.rejected.any()


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_spikes_are_rejected(recording, solver, caplog):
    data, _ = recording
    spikes = [100, 1500, 3000]
    data = data.copy()
    data[:, spikes] *= 500
    given = {"solver": solver, "max_iter": 150}
    if solver == "em":
        given["newt_start"] = 20
    options = AmicaOptions(
        do_reject=True, num_reject=3, reject_start=2, reject_int=4, **given
    )
    counts = []
    with warnings.catch_warnings(), caplog.at_level(logging.INFO, "meegic"):
        warnings.simplefilter("ignore")
        model = fit_amica(
            data, options, callback=lambda at: counts.append(at.n_rejected)
        )
        plain = fit_amica(data, AmicaOptions(**given))
    assert model.rejected.dtype == bool
    assert model.rejected.shape == (3200,)
    assert model.rejected[spikes].all()
    assert model.rejected.mean() < 0.1
    assert model.log_likelihood > plain.log_likelihood
    lines = [one for one in caplog.messages if one.startswith("Rejection")]
    assert len(lines) == 3
    assert lines[-1] == (
        f"Rejection 3/3 at iter 10: {model.rejected.sum()}/3200 samples excluded total"
    )
    assert counts[0] <= 3  # what would rule the covariance has no part in any step
    changes = np.flatnonzero(np.diff(counts)) + 2
    assert set(changes) <= {2, 6, 10}
    assert counts[-1] == model.rejected.sum()


def test_float32_ends_in_float64(recording):
    data, _ = recording
    given = {"use_min_dll": False, "max_iter": 100, "solver": "em"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        double = fit_amica(data, AmicaOptions(**given))
        single = fit_amica(data, AmicaOptions(dtype="float32", **given))
        rough = fit_amica(data, AmicaOptions(dtype="float32", polish=0, **given))
    assert abs(rough.log_likelihood - double.log_likelihood) < 1e-4
    assert rough.log_likelihood != double.log_likelihood
    assert single.log_likelihood > rough.log_likelihood
    assert len(single.history.rate) == 110
    assert all(one.dtype == np.float64 for one in single.parameters)
    assert_allclose(single.score(data), single.log_likelihood, rtol=0, atol=1e-12)


def test_a_callback_hears_of_every_iteration_and_can_stop(recording):
    data, _ = recording
    told = []

    def stop(progress):
        told.append(progress)
        return progress.iteration == 7

    model = fit_amica(data, callback=stop)
    assert model.stop_reason == "callback"
    assert not model.converged
    assert [one.iteration for one in told] == [1, 2, 3, 4, 5, 6, 7]
    values = [one.log_likelihood for one in told]
    assert_array_equal(values, model.history.log_likelihood)
    assert [one.best for one in told] == list(np.maximum.accumulate(values))
    assert told[-1].n_evals + 1 >= model.n_evals > 7
    assert told[-1].max_iter == 2000
    assert told[-1].seconds > told[0].seconds > 0


def test_what_a_callback_raises_comes_out(recording):
    class OwnError(Exception):
        pass

    def fail(progress):
        raise OwnError

    with pytest.raises(OwnError):
        fit_amica(recording[0], callback=fail)


def test_the_best_of_several_starts_goes_on():
    data = draw_regimes(["uniform", "laplace"], n_times=900)
    options = AmicaOptions(n_models=2, n_restarts=4)
    model = fit_amica(data, options, seed=5)
    assert model.restarts.shape == (4,)
    assert len(set(model.restarts)) == 4
    assert model.log_likelihood >= model.restarts.max()
    assert (model.history.log_likelihood[:50] <= model.restarts.max()).any()
    assert_allclose(np.isin(model.restarts.max(), model.history.log_likelihood), True)


@pytest.mark.parametrize("given", [{"max_iter": 5, "solver": "em"}, {"max_iter": 12}])
def test_the_limit_is_said(recording, given):
    with pytest.warns(ConvergenceWarning, match=f"max_iter={given['max_iter']} while"):
        model = fit_amica(recording[0], AmicaOptions(**given))
    assert model.stop_reason == "max_iter"
    assert not model.converged
    if model.solver == "em":
        assert len(model.history.rate) == 5
    else:  # a line search is not broken off
        assert 12 <= model.n_evals <= 12 + 10


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"lrate": 1e-3, "lrate0": 1e-3, "min_dll": 1.0}, "min_dll"),
        ({"min_nd": 0.05}, "min_nd"),
        ({"minlrate": 1.0, "lrate": 1.0, "lrate0": 1.0, "newt_start": 3,
          "newt_ramp": 1, "safeguard": False}, "minlrate"),
    ],
)  # fmt: skip
def test_reasons_of_em_to_stop(recording, given, reason):
    model = fit_amica(recording[0], AmicaOptions(solver="em", **given))
    assert model.stop_reason == reason
    assert model.converged
    # On a stop no step is made: the parameters are those of the last likelihood.
    last = model.history.log_likelihood[-1]
    assert_allclose(model.log_likelihood, last, rtol=0, atol=1e-12)


def test_without_sphering_the_likelihood_still_rises(recording):
    options = AmicaOptions(do_sphere=False)
    model = fit_amica(recording[0], options)
    assert np.diff(model.history.log_likelihood).min() > -1e-9
    assert amari_distance(model.filters[0], recording[1]) < 0.05
    assert_allclose(model.whitener(recording[0]).std(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("compat", ["fortran", "pyamica"])
def test_reference_programs(recording, compat):
    options = AmicaOptions(compat=compat, n_models=2, max_iter=12)
    with pytest.warns(ConvergenceWarning):
        model = fit_amica(recording[0], options)
    assert model.solver == "em"
    assert np.any(model.parameters.center) == (compat == "fortran")


def test_weights_leave_out_and_count(peaked, sharp):
    data = peaked
    dirty = np.hstack([data, 1e3 * np.ones((4, 200))])
    weights = np.r_[np.ones(3200), np.zeros(200)]
    model = fit_amica(dirty, SHARP, weights=weights)
    assert_allclose(model.log_likelihood, sharp.log_likelihood, rtol=0, atol=1e-12)
    assert_allclose(model.filters, sharp.filters, rtol=1e-8, atol=1e-10)
    twice = fit_amica(np.hstack([data, data]), SHARP)
    double = fit_amica(data, SHARP, weights=np.full(3200, 2.0))
    assert_allclose(double.filters, twice.filters, rtol=1e-8, atol=1e-10)


def test_a_start_for_several_models_without_chance_is_refused(recording):
    with pytest.raises(OptionError, match="fix_init must be False with n_models=2"):
        fit_amica(recording[0], AmicaOptions(n_models=2), start="fix")
