"""The M step and the EM solver: golden numbers, monotone likelihood, weights."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.dense import draw_problem
from tests.components.fits import make_problem, simulate
from tests.components.golden import assert_near, by_house, golden_parameters

from meegic.components.em import (
    EmSolver,
    empty_statistics,
    floor_weights,
    likelihood,
    m_step,
)
from meegic.components.kernels import make_estep
from meegic.components.newton import (
    compute_curvature,
    natural_direction,
    newton_direction,
    newton_direction_or_natural,
)
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters, draw_parameters

WILD = AmicaOptions(rholrate=0.05)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/amica/estep_small.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def golden_step(golden):
    parameters = golden_parameters(golden)
    estep = make_estep(golden["x"], jacobian=float(golden["sldet"]))
    keep = golden["keep"].astype(float)
    return parameters, estep(parameters, keep), lambda new: estep(new, keep)


@pytest.mark.parametrize(
    ("name", "lrate"), [("natural", 0.1), ("newton", 0.5), ("pair", 0.5)]
)
def test_golden_m_step(golden, golden_step, name, lrate):
    parameters, sums, evaluate = golden_step
    direction = natural_direction(sums)
    curvature = compute_curvature(parameters, sums)
    if name == "newton":
        direction, _ = newton_direction_or_natural(direction, curvature, scope="model")
    if name == "pair":
        direction = newton_direction(direction, curvature)
    options = AmicaOptions(n_models=2, compat="fortran")
    found = m_step(
        parameters, sums, direction, options,
        lrate=lrate, rholrate=0.05, center="moved",
    )  # fmt: skip
    wanted = {"unmix": "W", "center": "c", "weight": "gm"}
    for ours, theirs in wanted.items():
        assert_near(getattr(found, ours), golden[f"m_{name}_{theirs}"])
    for term in ("alpha", "mu", "beta", "rho"):
        assert_near(getattr(found, term), by_house(golden[f"m_{name}_{term}"]))
    mixing = np.linalg.inv(found.unmix)
    assert_near(mixing, golden[f"m_{name}_A"])
    assert_allclose(np.linalg.norm(mixing, axis=1), 1, rtol=1e-12)
    value = likelihood(evaluate(found))
    assert_allclose(value, golden[f"m_{name}_LL_next"], rtol=1e-12)


@pytest.mark.parametrize("n_models", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_densities_alone_never_lower_the_likelihood(n_models, seed):
    data, _ = simulate(3, 600, seed)
    options = AmicaOptions(n_models=n_models)
    problem, parameters = make_problem(data, options)
    values = []
    for _ in range(25):
        sums = problem.evaluate(parameters)
        values.append(likelihood(sums))
        parameters = m_step(
            parameters, sums, natural_direction(sums), options,
            lrate=0.0, rholrate=0.05, center="compensated",
        )  # fmt: skip
    assert np.diff(values).min() > -1e-9
    assert values[-1] > values[0] + 1e-3


def test_compensated_center_is_a_gauge():
    x, parameters, weights = draw_problem(1, 2, 3, 4, 200)
    estep = make_estep(x)
    sums = estep(parameters, weights)
    zero = np.zeros_like(parameters.unmix)
    fixed, free = (
        m_step(
            parameters, sums, zero, AmicaOptions(n_models=2),
            lrate=0.0, rholrate=0.05, center=center,
        )
        for center in ("fixed", "compensated")
    )  # fmt: skip
    assert_array_equal(fixed.center, parameters.center)
    assert_allclose(free.center, sums.vx / sums.v[:, None])
    values = [likelihood(estep(one, weights)) for one in (fixed, free)]
    assert_allclose(values[0], values[1], rtol=0, atol=1e-12)


def test_m_step_does_not_depend_on_the_order_of_models_and_terms():
    x, parameters, weights = draw_problem(2, 3, 3, 4, 300)
    estep = make_estep(x)

    def step(one):
        sums = estep(one, weights)
        return m_step(
            one, sums, natural_direction(sums), WILD, lrate=0.1, rholrate=0.05
        )

    models, terms = [2, 0, 1], [1, 2, 0]
    turned = AmicaParameters(*(one[models] for one in parameters))
    turned = turned._replace(
        **{k: getattr(turned, k)[:, terms] for k in ("alpha", "mu", "beta", "rho")}
    )
    plain = step(parameters)
    wanted = AmicaParameters(*(one[models] for one in plain))
    found = step(turned)
    for name in parameters._fields:
        value = getattr(wanted, name)
        value = value[:, terms] if name in ("alpha", "mu", "beta", "rho") else value
        assert_allclose(getattr(found, name), value, rtol=1e-9, atol=1e-11)


def test_a_term_that_explains_nothing_stays_as_it_is():
    x, parameters, weights = draw_problem(3, 1, 3, 4, 300)
    mu = parameters.mu.copy()
    mu[0, 1, 2] = 1e6
    parameters = parameters._replace(mu=mu)
    sums = make_estep(x)(parameters, weights)
    assert sums.u[0, 1, 2] < 1e-200
    with np.errstate(all="raise", under="ignore"):
        found = m_step(
            parameters, sums, np.zeros((1, 4, 4)), AmicaOptions(doscaling=False),
            lrate=0.0, rholrate=0.05, center="fixed",
        )  # fmt: skip
    for name in ("mu", "beta", "rho"):
        assert getattr(found, name)[0, 1, 2] == getattr(parameters, name)[0, 1, 2]
    assert 0 < found.alpha[0, 1, 2] < 1e-20
    assert_allclose(found.alpha.sum(axis=1), 1, rtol=1e-12)
    assert (found.beta[0, 0] != parameters.beta[0, 0]).all()


def test_bounds_hold():
    x, parameters, weights = draw_problem(4, 2, 3, 4, 3000)
    sums = make_estep(x)(parameters, weights)
    options = AmicaOptions(
        n_models=2, minrho=1.3, maxrho=1.5, rho0=1.4, invsigmin=0.9, invsigmax=1.1,
        doscaling=False,
    )  # fmt: skip
    found = m_step(
        parameters, sums, natural_direction(sums), options, lrate=0.1, rholrate=5.0
    )
    assert found.rho.min() == 1.3
    assert found.rho.max() == 1.5
    assert (found.beta.min(), found.beta.max()) == (0.9, 1.1)


def test_weights_are_positive_and_sum_to_one():
    weights = floor_weights(np.array([0.0, 3.0, 1.0]), axis=0)
    assert 0 < weights.min() < 1e-30
    assert_allclose(weights, [0, 0.75, 0.25], atol=1e-29)


def test_statistics_of_no_samples():
    found = empty_statistics(draw_parameters(3, n_models=2))
    assert all(not np.any(one) for one in found)
    assert found.cross.shape == (2, 3, 3)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"newt_start": 5}, {"n_models": 2, "newt_start": 5},
        {"lrate": 1.0, "lrate0": 1.0, "newt_start": 3, "newt_ramp": 1},
    ],
)  # fmt: skip
def test_with_the_safeguard_stored_likelihoods_do_not_fall(given):
    data, _ = simulate(4, 1500)
    options = AmicaOptions(solver="em", max_iter=60, **given)
    problem, start = make_problem(data, options)
    state = problem.run(problem.start(start), limit=60)
    values = state.history[:, 0]
    assert len(values) == 60
    assert np.diff(values).min() > -1e-9
    assert values[-1] > values[0] + 1e-2
    p = state.solver.parameters
    assert_allclose(p.weight.sum(), 1, rtol=1e-12)
    assert_allclose(p.alpha.sum(axis=1), 1, rtol=1e-12)
    assert (p.beta > 0).all()


def test_without_the_safeguard_they_may():
    data, _ = simulate(4, 1500)
    given = {"lrate": 1.0, "lrate0": 1.0, "newt_start": 3, "newt_ramp": 1}
    options = AmicaOptions(solver="em", max_iter=40, safeguard=False, **given)
    problem, start = make_problem(data, options)
    values = problem.run(problem.start(start), limit=40).history[:, 0]
    assert np.diff(values).min() < -1e-9  # or the law above has no content


def test_a_step_that_lowers_the_likelihood_is_made_again_with_half_the_rate():
    data, _ = simulate(3, 900)
    options = AmicaOptions(solver="em")
    problem, start = make_problem(data, options)
    solver = EmSolver(options)
    first, progress = solver.advance(
        solver.start(start, problem.evaluate), problem.evaluate
    )
    assert progress.rate == 0.1
    assert first.schedule.lrate == 0.1

    def worse(parameters):
        sums = problem.evaluate(parameters)
        return sums._replace(log_likelihood=sums.log_likelihood - 1e3)

    again, _ = solver.advance(first, worse)
    assert again.iteration == 1
    assert again.n_failed == 1
    assert again.schedule.lrate == 0.05
    assert again.origin is first.origin
    here = np.linalg.inv(first.origin.unmix)
    shorter, whole = (
        np.linalg.norm(np.linalg.inv(one.parameters.unmix) - here)
        for one in (again, first)
    )
    assert 0.4 < shorter / whole < 0.6
    third, progress = solver.advance(again, problem.evaluate)
    assert third.iteration == 2
    assert third.n_failed == 0
    assert progress.log_likelihood > likelihood(first.sums)


def test_pyamica_keeps_the_center_and_measures_otherwise():
    data, _ = simulate(4, 1500)
    options = AmicaOptions(compat="pyamica", n_models=2)
    problem, start = make_problem(data, options)
    solver = EmSolver(options)
    state, progress = solver.advance(
        solver.start(start, problem.evaluate), problem.evaluate
    )
    assert_array_equal(state.parameters.center, 0)
    other = AmicaOptions(compat="fortran", n_models=2)
    solver = EmSolver(other)
    moved, theirs = solver.advance(
        solver.start(start, problem.evaluate), problem.evaluate
    )
    assert np.abs(moved.parameters.center).max() > 1e-4
    assert_allclose(progress.norm, 2 * theirs.norm, rtol=1e-12)  # sqrt(4 components)
