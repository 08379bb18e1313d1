"""Faces of the reference: its signatures, its keys, its contradictions refused."""

import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor

import meegic
from meegic import (
    BMN,
    BMN_joint,
    SensorSimulator,
    SolverOptions,
    SourceEstimator,
    SourceSimulator,
    eloreta,
    gamma_lambda_map,
    gamma_lambda_map_sflex,
    gamma_map,
    gamma_map_sflex,
)
from meegic.base.errors import (
    ConvergenceWarning,
    InputError,
    NotFittedError,
    OptionError,
    ShapeError,
)
from meegic.sources.minimum_norm import make_resolution_basis
from meegic.sources.result import SolverResult
from sources.problems import make_problem

COORDS = np.random.default_rng(2).normal(scale=0.03, size=(10, 3))
SOLVERS = {
    "gamma_map": (gamma_map, {"noise_var": 1.0}),
    "gamma_map_sflex": (gamma_map_sflex, {"noise_var": 1.0, "src_coords": COORDS}),
    "gamma_lambda_map": (gamma_lambda_map, {}),
    "gamma_lambda_map_sflex": (gamma_lambda_map_sflex, {"src_coords": COORDS}),
    "BMN": (BMN, {"noise_var": 1.0}),
    "BMN_joint": (BMN_joint, {}),
    "eloreta": (eloreta, {"noise_var": 1.0}),
}
EACH = pytest.mark.parametrize("name", list(SOLVERS))
LIKE_THE_REFERENCE = pytest.mark.parametrize("name", list(SOLVERS)[:-1])
quiet = pytest.mark.filterwarnings("ignore:.*gives the numbers of CaliBrain")


def solve(name, *args, **kwargs):
    solver, given = SOLVERS[name]
    return solver(*args, **(given | kwargs))


def take(n_orient=1):
    given = make_problem(n_orient=n_orient)
    return given.leadfield, given.data


@quiet
@LIKE_THE_REFERENCE
@pytest.mark.parametrize("n_orient", [1, 2, 3])
def test_keys_and_shapes_are_those_of_the_reference(name, n_orient):
    L, y = take(n_orient)
    found = solve(name, L, y, n_orient=n_orient)
    wanted = solve(name, L, y, n_orient=n_orient, compat="calibrain", max_iter=3)
    assert sorted(found) == sorted(wanted)
    for key in set(found) - {"active_indices", "active_source_indices"}:
        if "hist" not in key and "active" not in key:
            assert np.shape(found[key]) == np.shape(wanted[key]), key
            assert np.asarray(found[key]).dtype == np.asarray(wanted[key]).dtype, key


@quiet
@pytest.mark.parametrize("name", ["gamma_lambda_map", "BMN_joint"])
def test_histories_are_there_when_asked_for(name):
    found = solve(name, *take(), track_history=False)
    wanted = solve(name, *take(), track_history=False, compat="calibrain")
    assert sorted(found) == sorted(wanted)
    assert not any(key.endswith("hist") for key in found)


def test_history_ends_where_the_result_is():
    found = gamma_lambda_map(*take(2), n_orient=2)
    assert_allclose(found["lambda_mean_hist"][-1], found["noise_var"], rtol=1e-12)
    assert found["n_active_hist"][0] == 20
    assert len(found["err_gamma_hist"]) == found.n_evaluations
    joint = BMN_joint(*take())
    assert_allclose(joint["lambda_hist"], [joint["lambda"]], rtol=1e-12)
    assert_allclose(joint["gamma_hist"], [joint["gamma"]], rtol=1e-12)


@EACH
def test_three_axes_of_the_leadfield_tell_the_orientations(name):
    L, y = take(3)
    one = solve(name, L, y, n_orient=3)["posterior_mean"]
    assert_array_equal(solve(name, L.reshape(12, 10, 3), y)["posterior_mean"], one)


def test_eloreta_has_the_keys_of_the_reference():
    found = eloreta(*take(3), noise_var=1.0, n_orient=3)
    assert sorted(found) == [
        *("active_indices", "noise_var", "posterior_cov", "posterior_mean"),
    ]
    assert found["posterior_mean"].shape == (10, 3, 40)
    assert_array_equal(found["active_indices"], np.arange(30))
    with pytest.raises(OptionError, match="compat must be None"):
        eloreta(*take(), noise_var=1.0, compat="calibrain")


@EACH
def test_values_are_those_of_the_posterior(name):
    found = solve(name, *take())
    assert_array_equal(found["posterior_mean"], found.posterior.mean)
    assert_array_equal(found["posterior_cov"], found.posterior.cov())
    assert found["posterior_cov"] is found["posterior_cov"]  # computed once
    assert_allclose(np.diag(found["posterior_cov"]), found.posterior.variance)
    assert found.converged
    assert found.n_evaluations > 0
    assert_array_equal(found.unobserved, [])
    assert len(found) == len(list(found))
    assert repr(found).startswith("SolverResult(['")
    again = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert_array_equal(again["posterior_mean"], found["posterior_mean"])


def test_coefficients_and_sources_are_told_apart():
    L, y = take(2)
    found = gamma_lambda_map_sflex(L, y, 2, src_coords=COORDS, sigma=0.03)
    operator = found["B_operator"]
    coefficients = found["posterior_mean_coeff"]
    assert_allclose(operator @ coefficients, found["posterior_mean"], atol=1e-10)
    spread = operator @ found["posterior_cov_coeff"] @ operator.T
    assert_allclose(spread, found["posterior_cov"], atol=1e-10)
    active = found["active_indices"]
    part = found["posterior_cov_coeff"][np.ix_(active, active)]
    assert_allclose(found["posterior_cov_active_coeff"], part, atol=1e-12)
    shaped = coefficients.reshape(10, 2, -1)
    assert_array_equal(found["posterior_mean_coeff_reshaped"], shaped)


def test_patches_of_several_widths_give_the_same_sources():
    found = gamma_map_sflex(
        *take(), noise_var=1.0, sigma=(0.01, 0.03), src_coords=COORDS
    )
    assert found["B_spatial"].shape == (10, 20)
    assert found["gammas_full"].shape == (20,)
    assert found["posterior_cov"].shape == (10, 10)


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_all_updates_find_the_same(mode):
    options = {"update_mode": mode, "tol": 1e-9, "max_iter": 9000}
    found = gamma_map(*take(), noise_var=1.0, **options)
    best = gamma_map(*take(), noise_var=1.0, options=SolverOptions(tol=1e-11))
    assert_allclose(found["gammas_full"], best["gammas_full"], atol=1e-2)
    assert found.options.update == {1: "mackay", 2: "convex", 3: "em"}[mode]


def test_options_stand_for_the_arguments():
    options = SolverOptions(max_iter=2, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="Raise max_iter"):
        found = gamma_map(*take(), noise_var=1.0, options=options)
    assert (found["n_iter"], found.stop_reason) == (2, "max_iter")
    assert found.options == options
    assert len(found.evidence) == 2


def test_searches_begin_where_they_are_told():
    for start in (2.0, (1.0, 2.0), np.ones(10), np.arange(1.0, 21.0)):
        found = gamma_map(*take(2), 1.0, n_orient=2, init_gamma=start, tol=1e-9)
        assert_allclose(found["gammas_full"][::2], found["gammas_full"][1::2])
    plain = gamma_map(*take(2), 1.0, n_orient=2, tol=1e-9)
    assert_allclose(found["gammas_full"], plain["gammas_full"], atol=1e-2)
    started = gamma_lambda_map(*take(), init_lambda=np.full(12, 3.0))
    assert_allclose(started["lambda_mean_hist"][0], 3.0)


def test_noise_of_each_sensor_may_be_given():
    noise = np.linspace(0.5, 2, 12)
    found = gamma_lambda_map(*take(), learn_lambda=False, init_lambda=noise)
    assert_array_equal(found["lambdas"], noise)
    L, y = take()
    white = gamma_map(L / np.sqrt(noise)[:, None], y / np.sqrt(noise)[:, None], 1.0)
    assert_allclose(found["gammas_full"], white["gammas_full"], rtol=0.02, atol=0.02)


def test_normalization_scales_sources_and_back():
    given = make_problem(n_sources=15, n_orient=2)
    L, y = given.leadfield, given.data
    found = BMN(L, y, 1.0, n_orient=2, normalization=True)
    scales = make_resolution_basis(L, 2)
    alone = BMN(L @ scales, y, 1.0, n_orient=2)
    assert_allclose(found["gamma"], alone["gamma"], rtol=1e-9)
    spread = scales @ alone["posterior_cov"] @ scales.T
    assert_allclose(found["posterior_mean"], scales @ alone["posterior_mean"])
    assert_allclose(found["posterior_cov"], spread, atol=1e-10 * spread.max())
    plain = BMN(L, y, 1.0, n_orient=2)["posterior_mean"]
    assert np.abs(plain - found["posterior_mean"]).max() > 0.1


@EACH
def test_logger_and_verbose_do_nothing_and_other_words_are_refused(name):
    solve(name, *take(), logger=object(), verbose=True)
    with pytest.raises(OptionError, match=r"'n_orientt'.*Did you mean 'n_orient'\?"):
        solve(name, *take(), n_orientt=1)


@EACH
def test_row_55_impossible_problems_are_refused(name):
    L, y = take()
    with pytest.raises(ShapeError, match=r"y must have shape \(12, n_times\)"):
        solve(name, L, y[1:])
    with pytest.raises(InputError, match="y contains NaN"):
        solve(name, L, np.where(y == y[0, 0], np.nan, y))
    with pytest.raises(InputError, match="L is zero everywhere"):
        solve(name, 0 * L, y)
    if "noise_var" in SOLVERS[name][1]:
        for noise in (0.0, -1.0, np.nan):
            with pytest.raises(OptionError, match="noise_var must be one finite"):
                solve(name, L, y, noise_var=noise)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("gamma_map", {"update_mode": 4}, "update_mode must be 1, 2 or 3"),
        ("gamma_map", {"compat": "calibrian"}, "Did you mean 'calibrain'"),
        ("gamma_map", {"init_gamma": -1.0}, "init_gamma must be finite"),
        ("gamma_map", {"init_gamma": np.ones(3)}, "init_gamma must have 10 numbers"),
        (
            "gamma_map",
            {"compat": "calibrain", "options": SolverOptions()},
            "options must be None where compat",
        ),
        (
            "BMN",
            {"options": SolverOptions(learn_noise=True)},
            "learn_noise must be False",
        ),
        ("BMN", {"max_iter": 0}, "max_iter must be"),
        ("BMN_joint", {"noise_var": 1.0}, "noise_var must be None where the noise is"),
        ("BMN_joint", {"learn_noise": False}, "noise_var must be one finite variance"),
        ("BMN_joint", {"init_lambda": 0.0}, "init_lambda must be one finite variance"),
        ("gamma_lambda_map", {"learn_lambda": False}, "init_lambda is needed"),
        ("gamma_lambda_map", {"init_lambda": -1.0}, "init_lambda must be one number"),
        ("gamma_lambda_map", {"lambda_damping": 2.0}, "lambda_damping must be"),
        ("gamma_map_sflex", {"src_coords": None}, "src_coords is needed"),
        ("gamma_map_sflex", {"src_coords": COORDS[1:]}, r"shape \(10, 3\).* 9 posit"),
        ("gamma_map_sflex", {"sigma": 0.0}, "sigma must be"),
    ],
)
def test_contradictions_are_refused(name, given, message):
    with pytest.raises(InputError, match=message):
        solve(name, *take(), **given)


@quiet
def test_results_of_the_reference_have_their_keys_only():
    found = BMN(*take(), 1.0, compat="calibrain", max_iter=3)
    assert isinstance(found, SolverResult)
    with pytest.raises(AttributeError, match="has its keys only"):
        _ = found.posterior


@EACH
def test_estimator_solves_what_it_was_fitted_to(name):
    solver, given = SOLVERS[name]
    given = dict(given)
    noise = given.pop("noise_var", None)
    L, y = take()
    estimator = SourceEstimator(solver, given, noise)
    assert estimator.fit(L, y) is estimator
    wanted = solve(name, L, y)["posterior_mean"]
    assert_array_equal(estimator.predict()["posterior_mean"], wanted)
    other = estimator.predict(2 * y)["posterior_mean"]
    assert_array_equal(other, solve(name, L, 2 * y)["posterior_mean"])
    again = clone(estimator)
    assert again.get_params()["solver"] is solver
    assert is_regressor(again)
    assert not is_classifier(again)
    with pytest.raises(NotFittedError, match=r"Call fit\(L, y\) first"):
        again.predict()


def test_estimator_takes_orientations_from_the_leadfield():
    L, y = take(2)
    estimator = SourceEstimator(gamma_map, noise_var=1.0)
    found = estimator.fit(L.reshape(12, 10, 2), y).predict()
    assert found["posterior_mean_reshaped"].shape == (10, 2, 40)
    assert (estimator.n_orient, estimator.n_orient_) == (1, 2)


def test_estimator_takes_any_function():
    def pinv(L, y, n_orient):
        return {"posterior_mean": np.linalg.pinv(L) @ y}

    L, y = take()
    found = SourceEstimator(pinv).fit(L, y).predict()
    assert_allclose(found["posterior_mean"], np.linalg.pinv(L) @ y)


def test_estimator_refuses_what_its_solver_cannot_use():
    L, y = take()
    with pytest.raises(OptionError, match="noise_var must be None for gamma_lambda"):
        SourceEstimator(gamma_lambda_map, noise_var=1.0).fit(L, y).predict()
    with pytest.raises(OptionError, match=r"Did you mean 'max_iter'\?"):
        SourceEstimator(BMN, {"max_itr": 3}, 1.0).fit(L, y).predict()
    with pytest.raises(TypeError, match="n_orient"):  # given twice
        SourceEstimator(BMN, {"n_orient": 2}, 1.0).fit(L, y).predict()
    with pytest.raises(TypeError, match="solver must be a function"):
        SourceEstimator(BMN).set_params(solver="BMN").fit(L, y).predict()
    with pytest.raises(ShapeError, match="y must have shape"):
        SourceEstimator(BMN, noise_var=1.0).fit(L, y[1:])


ORDERS = {
    "gamma_map": "L y noise_var n_orient max_iter tol update_mode init_gamma",
    "BMN": "L y noise_var n_orient max_iter tol init_gamma normalization",
    "BMN_joint": "L y noise_var n_orient max_iter tol init_gamma init_lambda "
    "learn_noise normalization track_history",
    "gamma_lambda_map_sflex": "L y n_orient init_gamma init_lambda learn_lambda "
    "update_mode_noise lambda_damping max_iter tol update_mode track_history sigma "
    "threshold_factor normalize eps",
    "eloreta": "L y noise_var n_orient",
    "SourceEstimator": "solver solver_params noise_var n_orient logger",
    "SourceSimulator": "ERP_config logger",
}


@pytest.mark.parametrize("name", list(ORDERS))
def test_arguments_stand_in_the_order_of_the_reference(name):
    found = inspect.signature(getattr(meegic, name)).parameters.values()
    positional = [one.name for one in found if one.kind is not one.KEYWORD_ONLY]
    assert positional == ORDERS[name].split()


def test_simulators_have_the_signatures_of_the_reference():
    simulator = SourceSimulator(ERP_config={"tmax": 1.0}, logger=None)
    x, active = simulator.simulate(20, 2, "free", 1, 3)
    assert x.shape == (20, 3, 375)
    assert simulator.ERP_config == {"tmax": 1.0}
    assert x[active].any(axis=(1, 2)).all()
    sensors = SensorSimulator()
    sensors.set_sensor_metadata(kind=2, units=107, unitmult=-6)
    sensors.set_sensor_metadata(coil_type=1)
    kept = (sensors.kind, sensors.units, sensors.unitmult, sensors.coil_type)
    assert kept == (2, 107, -6, 1)
    L = np.random.default_rng(0).normal(size=(5, 20, 3))
    clean, noisy, noise, eta = sensors.simulate(x, L, 0.3, 2.0, 7)
    assert_allclose(noisy, clean + noise)
    assert eta > 0
