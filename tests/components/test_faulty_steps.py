"""Steps of a fit that fail, in every order, and the last one."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tests.components.fits import Faulty, make_problem, simulate

from meegic.base.errors import ConvergenceError, ConvergenceWarning, DataWarning
from meegic.components import amica
from meegic.components.amica import fit_amica
from meegic.components.em import m_step
from meegic.components.kernels import make_estep
from meegic.components.options import AmicaOptions

WILD = {"lrate": 1.0, "lrate0": 1.0, "newt_start": 3, "newt_ramp": 1, "solver": "em"}


@pytest.fixture(scope="module")
def data():
    return simulate(4, 1500)[0]


class Planned:
    """An E-step that fails in the calls of a plan: {call: "nan" or "falls"}."""

    def __init__(self, estep, plan):
        self.estep, self.plan, self.n_calls = estep, plan, 0

    def __call__(self, parameters, weights, scores=None):
        self.n_calls += 1
        kind = self.plan.get(self.n_calls, "")
        faulty = Faulty(self.estep, 1, kind, 1 if kind else 0)
        return faulty(parameters, weights, scores)


def run(data, plan, n_iter=30, **given):
    options = AmicaOptions(solver="em", max_iter=n_iter, use_min_dll=False, **given)
    problem, start = make_problem(data, options, wrap=lambda one: Planned(one, plan))
    return problem.run(problem.start(start), limit=n_iter)


def fit_quietly(data, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_amica(data, AmicaOptions(kernel="numba", **given))


@pytest.mark.parametrize(
    "kinds",
    [
        ["falls", "falls", "nan"],
        ["nan", "nan", "falls", "nan", "nan"],
        ["falls"] * 3 + ["nan", "nan"],
        ["nan", "nan"],
    ],
)
def test_row_51_falls_are_not_counted_as_nan(data, kinds):
    state = run(data, {10 + k: kind for k, kind in enumerate(kinds)})
    assert state.reason == "max_iter"
    assert len(state.history) == 30
    assert state.n_evals == 30 + len(kinds)
    assert np.diff(state.history[:, 0]).min() > -1e-9


@pytest.mark.parametrize(
    "kinds", [["nan"] * 3, ["falls", "falls", "nan", "nan", "nan"]]
)
def test_row_51_three_nan_in_a_row_end_a_fit(data, kinds):
    plan = {20 + k: kind for k, kind in enumerate(kinds)}
    with pytest.raises(ConvergenceError, match="at iteration 20, 3 times in a row"):
        run(data, plan)


@pytest.mark.parametrize("n_falls", [0, 2, 3, 6])
@pytest.mark.parametrize("maxdecs", [1, 3])
def test_falls_lower_the_ceilings_with_the_safeguard_as_well(data, n_falls, maxdecs):
    plan = {5 + 3 * k: "falls" for k in range(n_falls)}
    state = run(data, plan, newt_start=100, maxdecs=maxdecs)
    fell = state.n_evals - 30
    assert fell >= n_falls
    schedule = state.solver.schedule
    assert schedule.lrate0 == 0.1 * 0.5 ** (fell // maxdecs)
    assert schedule.lrate <= schedule.lrate0
    assert (schedule.newtrate, schedule.rholrate0) == (1.0, 0.05)


def test_falls_lower_the_ceiling_of_newton_with_the_safeguard(data):
    state = run(data, {20 + 2 * k: "falls" for k in range(3)}, newt_start=10)
    schedule = state.solver.schedule
    assert schedule.newtrate <= 0.5
    assert schedule.rholrate0 == 0.05 * schedule.newtrate


def test_row_51_a_rate_that_cannot_shrink_does_not_retry_for_ever(data):
    plan = dict.fromkeys(range(8, 1000), "falls")
    state = run(data, plan, lratefact=1.0)
    assert state.reason == "minlrate"
    assert state.n_evals < 40
    assert state.solver.parameters is state.solver.origin


@pytest.mark.parametrize("n_models", [1, 2])
def test_the_last_step_of_em_does_not_lower_the_likelihood(data, n_models):
    fell = []
    for n_iter in range(3, 21):
        given = WILD | {"n_models": n_models, "max_iter": n_iter}
        model = fit_quietly(data, **given)
        last = model.history.log_likelihood[-1]
        assert model.log_likelihood >= last - 1e-9
        assert abs(model.score(data) - model.log_likelihood) < 1e-11
        free = fit_quietly(data, **given, safeguard=False)
        fell.append(free.log_likelihood < free.history.log_likelihood[-1] - 1e-6)
    assert any(fell)  # or the law above has no content


def plant(monkeypatch, first, kind, n_times):
    def make(x, **given):
        return Faulty(make_estep(x, **given), first, kind, n_times)

    monkeypatch.setattr(amica, "make_estep", make)


@pytest.mark.parametrize(
    ("solver", "first"), [("em", 6), ("em", 7), ("quasi-newton", None)]
)
def test_row_51_nan_in_the_last_pass(data, monkeypatch, solver, first):
    given = {"solver": solver, "max_iter": 5 if solver == "em" else 25}
    plain = fit_quietly(data, **given)
    if first is None:
        first = plain.n_evals + 1
    plant(monkeypatch, first, "nan", 99)
    if first == 7:  # one pass more than there is
        assert fit_quietly(data, **given).log_likelihood == plain.log_likelihood
        return
    with pytest.raises(ConvergenceError, match="likelihood of the last step was not f"):
        fit_quietly(data, **given)


def test_row_51_a_last_step_that_fails_is_taken_back(data, monkeypatch):
    plant(monkeypatch, 6, "nan", 1)
    model = fit_quietly(data, solver="em", max_iter=5)
    last = model.history.log_likelihood[-1]
    assert abs(model.log_likelihood - last) < 1e-12


def test_row_51_a_mixing_without_an_inverse_fails_the_next_pass(data):
    options = AmicaOptions(solver="em", doscaling=False)
    problem, start = make_problem(data, options)
    sums = problem.evaluate(start)
    whole = np.eye(4)[None]
    moved = m_step(start, sums, whole, options, lrate=1.0, rholrate=0.05)
    assert not np.isfinite(problem.evaluate(moved).log_likelihood)
    half = m_step(start, sums, whole, options, lrate=0.5, rholrate=0.05)
    assert np.isfinite(problem.evaluate(half).log_likelihood)


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_row_52_a_model_that_dies_again_is_told_of_once(data, solver):
    options = AmicaOptions(n_models=2, solver=solver, max_iter=40, use_min_dll=False)

    class Deadly:
        def __init__(self, estep):
            self.estep = estep

        def __call__(self, parameters, weights, scores=None):
            center = parameters.center.copy()
            center[1] += 1e3
            return self.estep(parameters._replace(center=center), weights, scores)

    problem, start = make_problem(data, options, wrap=Deadly)
    with pytest.warns(DataWarning) as said:
        state = problem.run(problem.start(start), limit=40)
    words = [str(one.message) for one in said]
    assert words == ["model 1 explains fewer than 8 samples again and is kept out."]
    assert state.deaths[0] == 0
    assert state.deaths[1] > 2
    assert_array_equal(np.isfinite(state.history), True)
