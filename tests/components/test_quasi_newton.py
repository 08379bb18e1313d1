"""The joint quasi-Newton solver: gradients, displacements, gauges, memory, stops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.dense import draw_problem
from tests.components.fits import make_problem, simulate
from tests.components.golden import assert_near, by_house, golden_parameters

from meegic.components import quasi_newton
from meegic.components.em import likelihood
from meegic.components.kernels import make_estep
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters, restore_gauge
from meegic.components.quasi_newton import QuasiNewtonSolver, fix_gauge
from meegic.components.unknowns import ascent_gradient, make_scaling, move

WIDE = AmicaOptions(n_models=2, invsigmin=0.0)


def test_golden_gradients(shared):
    with np.load(shared / "golden/amica/estep_small.npz") as file:
        golden = dict(file)
    parameters = golden_parameters(golden)
    estep = make_estep(golden["x"], jacobian=float(golden["sldet"]))
    sums = estep(parameters, golden["keep"].astype(float))
    options = AmicaOptions(n_models=2, invsigmin=0.0)
    found = ascent_gradient(parameters, sums, options)
    assert_near(found.unmix, golden["g_W"])
    for name in ("log_alpha", "mu", "log_beta", "rho"):
        assert_near(getattr(found, name), by_house(golden[f"g_{name}"]))
    assert_near(found.log_weight, golden["g_log_gm"])


def smooth_problem(seed):
    """Draw a problem without y near 0, where the density of rho = 1 has its kink."""
    x, parameters, weights = draw_problem(seed, 2, 3, 4, 400)
    near = np.zeros(400, dtype=bool)
    for h in range(2):
        b = parameters.unmix[h] @ (x - parameters.center[h][:, None])
        y = parameters.beta[h][:, :, None] * (b - parameters.mu[h][:, :, None])
        near |= (np.abs(y) < 2e-3).any(axis=(0, 1))
    weights[near] = 0
    estep = make_estep(x)

    def value(one):
        sums = estep(one, weights)
        return sums.log_likelihood / sums.n_samples

    return parameters, estep(parameters, weights), value


def shift(p, name, at, step):
    """Take a small step in one unknown, as the docstring of the gradient has it."""
    if name == "unmix":
        h, i, k = at
        change = np.zeros_like(p.unmix)
        change[h, i, k] = step
        return p._replace(unmix=p.unmix + change @ p.unmix)
    if name == "log_alpha":
        factor = np.ones_like(p.alpha)
        factor[at] = np.exp(step)
        alpha = p.alpha * factor
        return p._replace(alpha=alpha / alpha.sum(axis=1, keepdims=True))
    if name == "log_weight":
        factor = np.ones_like(p.weight)
        factor[at] = np.exp(step)
        return p._replace(weight=p.weight * factor / (p.weight * factor).sum())
    field = name.removeprefix("log_")
    new = getattr(p, field).copy()
    new[at] = new[at] * np.exp(step) if name == "log_beta" else new[at] + step
    return p._replace(**{field: new})


@pytest.mark.parametrize("seed", [0, 5])
def test_gradient_is_that_of_central_differences(seed):
    parameters, sums, value = smooth_problem(seed)
    assert {1.0, 2.0} <= set(parameters.rho.ravel())
    wide = WIDE  # the gradient inside its bounds, then at them
    inner = parameters._replace(rho=np.clip(parameters.rho, 1.0, 2.0))
    found = ascent_gradient(inner, sums, wide)
    rng = np.random.default_rng(seed)
    n_clamped = 0
    for name in found._fields:
        gradient = getattr(found, name)
        for flat in rng.permutation(gradient.size)[:12]:
            at = np.unravel_index(flat, gradient.shape)
            step = 1e-5
            ends = [value(shift(parameters, name, at, one)) for one in (step, -step)]
            slope = (ends[0] - ends[1]) / (2 * step)
            if name == "rho" and parameters.rho[at] in (1.0, 2.0):
                outward = slope > 0 if parameters.rho[at] == 2 else slope < 0
                slope = 0.0 if outward else slope
                n_clamped += 1
            assert abs(gradient[at] - slope) < 1e-6, (name, at)
    assert n_clamped > 2


def test_gradient_at_the_bounds_of_beta_does_not_point_outward():
    parameters, sums, _ = smooth_problem(1)
    free = ascent_gradient(parameters, sums, WIDE).log_beta
    low = AmicaOptions(n_models=2, invsigmin=float(parameters.beta.max()))
    high = AmicaOptions(n_models=2, invsigmax=float(parameters.beta.min()))
    at_low = ascent_gradient(parameters, sums, low).log_beta
    at_high = ascent_gradient(parameters, sums, high).log_beta
    assert_array_equal(at_low, np.maximum(free, 0))
    assert_array_equal(at_high, np.minimum(free, 0))


def draw_direction(parameters, seed, size=0.3):
    rng = np.random.default_rng(seed)
    like = ascent_gradient(parameters, smooth_problem(0)[1], WIDE)
    return like.like(size * rng.normal(size=like.flat().size))


def test_moves_say_how_far_they_went():
    parameters, *_ = smooth_problem(0)
    for seed, size in enumerate((0.01, 1.0, 30.0)):
        direction = draw_direction(parameters, seed, size)
        there, step = move(parameters, direction, 0.7, WIDE)
        p = parameters
        assert_allclose(there.unmix, p.unmix + step.unmix @ p.unmix, rtol=1e-12)
        assert_allclose(there.mu, p.mu + step.mu, rtol=1e-12, atol=1e-12)
        assert_allclose(there.beta, p.beta * np.exp(step.log_beta), rtol=1e-12)
        assert_allclose(there.rho, p.rho + step.rho, rtol=1e-12)
        assert_allclose(there.alpha, p.alpha * np.exp(step.log_alpha), rtol=1e-12)
        assert_allclose(there.weight, p.weight * np.exp(step.log_weight), rtol=1e-12)
        assert_allclose(there.alpha.sum(axis=1), 1, rtol=1e-12)
        assert_allclose(there.weight.sum(), 1, rtol=1e-12)
        assert there.rho.min() >= 1
        assert there.rho.max() <= 2
        assert np.abs(step.log_beta).max() <= 1 + 1e-12
        assert there.alpha.min() > 1e-9
        if size == 0.01:  # inside all bounds it goes all the way
            assert_allclose(step.unmix, 0.7 * direction.unmix)
            assert_allclose(step.mu, 0.7 * direction.mu, rtol=1e-9, atol=1e-12)
            assert_allclose(step.log_beta, 0.7 * direction.log_beta, atol=1e-12)
    assert {there.rho.min(), there.rho.max()} == {1.0, 2.0}
    assert_allclose(np.abs(step.log_beta).max(), 1)


def test_gauges_leave_the_likelihood():
    x, parameters, weights = draw_problem(3, 2, 3, 4, 300)
    estep = make_estep(x)
    sums = estep(parameters, weights)
    fixed = fix_gauge(parameters, sums, WIDE)
    value = likelihood(sums)
    assert_allclose(likelihood(estep(fixed, weights)), value, rtol=0, atol=1e-12)
    columns = np.linalg.norm(np.linalg.inv(fixed.unmix), axis=1)
    assert_allclose(columns, 1, rtol=1e-12)
    assert_allclose(fixed.center, sums.vx / sums.v[:, None])
    scaled = restore_gauge(parameters)
    assert_allclose(likelihood(estep(scaled, weights)), value, rtol=0, atol=1e-12)
    loose = fix_gauge(parameters, sums, AmicaOptions(n_models=2, doscaling=False))
    assert_array_equal(loose.unmix, parameters.unmix)


def test_gauge_of_a_dead_model_stays():
    x, parameters, weights = draw_problem(3, 2, 3, 4, 300)
    sums = make_estep(x)(parameters, weights)
    sums = sums._replace(v=np.array([sums.v[0], 0.0]), vx=sums.vx * [[1.0], [0.0]])
    fixed = fix_gauge(parameters, sums, WIDE)
    assert_array_equal(fixed.unmix[1], parameters.unmix[1])
    assert_array_equal(fixed.center[1], parameters.center[1])
    assert np.abs(fixed.unmix[0] - parameters.unmix[0]).max() > 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_scaled_gradient_ascends(seed):
    parameters, sums, value = smooth_problem(seed)
    gradient = ascent_gradient(parameters, sums, WIDE)
    step = make_scaling(parameters, sums).apply(gradient)
    for one, other in zip(step, gradient, strict=True):  # in every block
        assert (one * other).sum() >= 0
    there, _ = move(parameters, step, 1e-4, WIDE)
    assert value(there) > value(parameters)


def test_dead_models_do_not_move():
    parameters, sums, _ = smooth_problem(0)
    sums = sums._replace(v=np.array([sums.v[0], 7.9]))  # 2 n is 8
    gradient = ascent_gradient(parameters, sums, WIDE)
    step = make_scaling(parameters, sums).apply(gradient)
    for one in (gradient, step):
        assert all(not np.any(block[1]) for block in one)
        assert all(np.any(block[0]) for block in one)


def advance(options, n_iter, seed=0, n=3, n_times=900):
    data, _ = simulate(n, n_times, seed)
    problem, start = make_problem(data, options)
    solver = QuasiNewtonSolver(options)
    state = solver.start(start, problem.evaluate)
    states, told = [state], []
    for _ in range(n_iter):
        state, progress = solver.advance(state, problem.evaluate)
        states.append(state)
        told.append(progress)
        if progress.reason:
            break
    return states, told


@pytest.mark.parametrize("n_models", [1, 2])
def test_likelihoods_do_not_fall_and_the_memory_is_curved(n_models):
    options = AmicaOptions(n_models=n_models, use_min_dll=False)
    states, told = advance(options, 60)
    values = [one.log_likelihood for one in told]
    assert np.diff(values).min() > -1e-9
    last = states[-1]
    assert len(last.steps) == quasi_newton.MEMORY == len(last.changes)
    product = (last.steps * last.changes).sum(axis=1)
    sizes = np.linalg.norm(last.steps, axis=1) * np.linalg.norm(last.changes, axis=1)
    assert (product > 1e-10 * sizes).all()
    passes = [one.n_evals for one in states]
    assert (np.diff(passes) >= 1).all()
    assert passes[-1] < 2 * len(states)


def test_a_pair_without_curvature_is_not_kept():
    parameters, sums, _ = smooth_problem(0)
    solver = QuasiNewtonSolver(WIDE)
    state = solver.start(parameters, lambda _: sums)
    gradient = ascent_gradient(parameters, sums, WIDE)
    step = gradient.like(-gradient.flat())
    worse = gradient.like(2 * gradient.flat())  # the gradient grew along the step
    found = quasi_newton._Found(2, True, 1.0, parameters, sums, step)
    after = solver._accept(state, worse, found, sums)
    assert len(after.steps) == 0
    assert after.iteration == 1
    found = found._replace(step=gradient)
    assert len(solver._accept(state, worse, found, sums).steps) == 1


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"n_mix": 3, "minrho": 1.0, "maxrho": 2.0}, "min_dll"),
        ({"min_dll": 1e-4}, "min_dll"),
        ({"min_nd": 1e-2}, "min_nd"),
        ({"use_min_dll": False, "use_grad_norm": False}, "line_search"),
    ],
)
def test_reasons_to_stop(given, reason):
    # One smooth term: the optimum is sharp, and the last line search finds nothing.
    options = AmicaOptions(**{"minrho": 1.5, "maxrho": 1.8, "n_mix": 1} | given)
    states, told = advance(options, 900)
    assert told[-1].reason == reason
    assert states[-1].iteration == len(told) - 1
    if "min_nd" in given:
        assert told[-1].norm <= 1e-2 < told[-2].norm
    if "min_dll" in given:
        gains = np.diff([one.log_likelihood for one in told])
        assert (gains[-6:] < 1e-4).all()
        assert gains[-7] >= 1e-4


def test_changed_data_end_the_memory():
    options = AmicaOptions(use_min_dll=False)
    states, _ = advance(options, 25)
    data, _ = simulate(3, 900)
    problem, _ = make_problem(data, options)
    solver = QuasiNewtonSolver(options)
    old = states[-1]
    assert len(old.steps) > 5
    new = solver.go_on_from(old, old.parameters, problem.evaluate)
    assert len(new.steps) == len(new.changes) == len(new.marks) == 0
    assert new.iteration == old.iteration
    assert new.n_evals == old.n_evals + 1


def test_order_of_models_does_not_matter():
    x, parameters, weights = draw_problem(7, 2, 3, 4, 500)
    estep = make_estep(x)
    solver = QuasiNewtonSolver(WIDE)

    def run(one):
        def evaluate(p):
            return estep(p, weights)

        state = solver.start(one, evaluate)
        for _ in range(5):
            state, _ = solver.advance(state, evaluate)
        return state.parameters

    turned = run(AmicaParameters(*(one[::-1].copy() for one in parameters)))
    for one, other in zip(run(parameters), turned, strict=True):
        assert_allclose(one, other[::-1], rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("n_passes", "gain", "iteration", "reason"),
    [
        (25, 1.9e-5, 36, "min_dll"),
        (26, 1.9e-5, 90, "min_dll"),
        (25, 2.1e-5, 36, ""),
        (24, 1.9e-5, 36, ""),  # the gain is not yet known
        (25, 1.9e-5, 35, ""),  # the first steps are small
    ],
)
def test_the_default_stop(n_passes, gain, iteration, reason):
    parameters, sums, _ = smooth_problem(0)
    solver = QuasiNewtonSolver(WIDE)
    state = solver.start(parameters, lambda _: sums)
    marks = np.array([[10.0, -3.5], [10.0 + n_passes, -3.5 + gain]])
    state = state._replace(marks=marks, iteration=iteration)
    assert solver._stop(state, 1.0) == reason
    # Only what lies at least so many passes back is compared with.
    later = np.vstack([marks, [marks[1, 0] + 1, -3.0]])
    assert solver._stop(state._replace(marks=later), 1.0) == ""
