"""The seed program, faults included: what it does otherwise."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.fits import Faulty, make_problem, simulate

from meegic.base.errors import ConvergenceWarning
from meegic.components import em
from meegic.components.amica import fit_amica
from meegic.components.densities import compute_variances
from meegic.components.em import EmSolver
from meegic.components.newton import natural_direction
from meegic.components.options import AmicaOptions


@pytest.fixture(scope="module")
def data():
    first, second = simulate(4, 1200, seed=1)[0], simulate(4, 1200, seed=2)[0]
    both = np.hstack([first, 3 * second])
    both[:, ::150] *= 8
    return both


def fit_quietly(data, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        options = AmicaOptions(compat="pyamica", kernel="numba", **given)
        return fit_amica(data, options)


@pytest.mark.parametrize("kind", ["nan", "none"])
def test_the_center_stays_where_it_is(data, kind):
    options = AmicaOptions(compat="pyamica", n_models=2, max_iter=15)
    problem, start = make_problem(
        data, options, wrap=lambda one: Faulty(one, 8, kind, int(kind == "nan"))
    )
    state = problem.run(problem.start(start), limit=15)
    assert state.n_evals == 15 + (kind == "nan")
    assert_array_equal(state.solver.parameters.center, 0.0)
    assert np.abs(state.solver.parameters.mu - start.mu).max() > 0.1


def seed_variances(model):
    """Compute what the seed sorts by, from its formula."""
    p = model.parameters
    return np.array(
        [
            compute_variances(p)[h]
            * [
                sum(model.whitener.variances[k] * mix[k, i] ** 2 for k in range(4))
                for i in range(4)
            ]
            for h, mix in enumerate(np.linalg.inv(p.unmix))
        ]
    )


def test_the_order_of_components_is_that_of_the_seed(data):
    model = fit_quietly(data, n_models=2, max_iter=40)
    assert (np.diff(seed_variances(model), axis=1) <= 0).all()
    assert (np.diff(model.variances, axis=1) > 0).any()  # or the orders are the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        other = fit_amica(data, AmicaOptions(compat="fortran", max_iter=40))
    assert (np.diff(other.variances, axis=1) <= 0).all()
    assert (np.diff(seed_variances(other), axis=1) > 0).any()


def test_rejection_is_that_of_the_seed(data):
    """Before an iteration, by the spread of all samples with the divisor T - 1."""
    rejected = np.zeros(data.shape[1], dtype=bool)
    given = {"do_reject": True, "reject_start": 3, "reject_int": 2, "reject_sigma": 2.5}
    for n_events, iteration in enumerate((3, 5, 7), 1):
        before = fit_quietly(
            data, max_iter=iteration - 1, num_reject=n_events - 1, **given
        )
        values = before.score_samples(data)
        bound = values.mean() - 2.5 * values.std(ddof=1)
        rejected |= values < bound
        after = fit_quietly(data, max_iter=iteration, num_reject=n_events, **given)
        assert_array_equal(after.rejected, rejected)
        more = fit_quietly(data, max_iter=iteration + 1, num_reject=n_events, **given)
        assert_array_equal(more.rejected, rejected)
        kept = before.score_samples(data[:, ~rejected]).mean() / 4
        assert_allclose(after.history.log_likelihood[-1], kept, rtol=0, atol=1e-11)
    assert 0 < rejected.sum() < 200


@pytest.mark.parametrize(
    ("scope", "rate"), [("all", 1.0), ("model", 0.1), ("pair", 1.0)]
)
def test_the_ceiling_when_newton_falls_back(data, monkeypatch, scope, rate):
    options = AmicaOptions(
        solver="em", newton_fallback=scope, newt_start=1, safeguard=False
    )
    problem, start = make_problem(data, options)
    solver = EmSolver(options)

    def fall_back(natural, curvature, *, scope):
        return natural, True

    monkeypatch.setattr(em, "newton_direction_or_natural", fall_back)
    state = solver.start(start, problem.evaluate)
    state = state._replace(schedule=state.schedule._replace(lrate=0.95))
    state, _ = solver.advance(state, problem.evaluate)
    assert state.schedule.lrate == rate
    sums = problem.evaluate(start)
    natural = natural_direction(sums)
    step = np.linalg.inv(start.unmix) @ (np.eye(4) - rate * natural)
    step = step / np.linalg.norm(step, axis=1, keepdims=True)
    if scope != "pair":
        assert_allclose(np.linalg.inv(state.parameters.unmix), step, atol=1e-10)
