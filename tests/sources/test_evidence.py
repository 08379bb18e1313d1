"""The evidence, its derivatives, and the search of its best variances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from numpy.testing import assert_allclose

from meegic.base.arrays import precise
from meegic.sources import gamma_map
from meegic.sources.acceleration import (
    UPDATES,
    Point,
    Settings,
    begin_descent,
    find_best_alone,
    go_down,
)
from meegic.sources.evidence import Problem, Variances, evaluate_evidence
from meegic.sources.gamma_map import learn_variances
from sources.problems import cost_densely, make_problem


def make_core(n_orient=1, n_kinds=1, weight=0.0, **kwargs):
    given = make_problem(n_orient=n_orient, **kwargs)
    n_channels, n_times = given.data.shape
    kinds = np.arange(n_channels) % n_kinds
    one = np.ones(n_kinds)
    return given, Problem(
        given.leadfield,
        given.data / np.sqrt(n_times),
        kinds,
        weight * one,
        one,
        0 * one,
    )


def draw(core, n_orient=1, seed=1):
    rng = np.random.default_rng(seed)
    n_groups = core.gain.shape[1] // n_orient
    return Variances(
        rng.uniform(0.5, 2, n_groups), rng.uniform(0.5, 2, len(core.weight))
    )


def evaluate(core, variances):
    with precise():
        core, variances = jax.tree.map(jnp.asarray, (core, variances))
        return jax.tree.map(np.asarray, evaluate_evidence(core, variances))


@pytest.mark.parametrize("n_orient", [1, 2, 3])
def test_cost_is_that_of_the_definition(n_orient):
    given, core = make_core(n_orient, n_kinds=2)
    variances = draw(core, n_orient)
    gamma = np.repeat(variances.gamma, n_orient)
    noise = variances.noise[core.kinds]
    dense = cost_densely(given.leadfield, gamma, noise, given.data)
    assert_allclose(evaluate(core, variances).cost, dense, rtol=1e-12)


@pytest.mark.parametrize("n_orient", [1, 3])
def test_derivative_is_expected_less_observed(n_orient):
    _, core = make_core(n_orient, n_kinds=2, weight=3.0)
    with precise():
        core, variances = jax.tree.map(jnp.asarray, (core, draw(core, n_orient)))
        slopes = jax.grad(lambda one: evaluate_evidence(core, one).cost)(variances)
        found = evaluate_evidence(core, variances)
        for slope, expected, observed in zip(
            slopes, found.expected, found.observed, strict=True
        ):
            assert_allclose(slope, expected - observed, rtol=1e-10)
        check_grads(
            lambda one: evaluate_evidence(core, one).cost, (variances,), 1, ["rev"]
        )


def test_what_one_group_can_gain_is_exact():
    _, core = make_core()
    variances = draw(core)
    before = evaluate(core, variances)
    with precise():
        point = jax.tree.map(jnp.asarray, Point(variances, before))
        alone = jax.tree.map(np.asarray, find_best_alone(point, 1))
    for k in range(len(variances.gamma)):
        gamma = variances.gamma.copy()
        gamma[k] = alone.gamma[k]
        after = evaluate(core, variances._replace(gamma=gamma))
        assert_allclose(before.cost - after.cost, alone.decrease[k], atol=1e-11)
        for other in (0.9, 1.1):
            gamma[k] = other * alone.gamma[k] + 1e-3
            assert evaluate(core, variances._replace(gamma=gamma)).cost >= after.cost


@pytest.mark.parametrize("rule", ["convex", "em"])
@pytest.mark.parametrize("n_orient", [1, 2, 3])
def test_plain_updates_never_raise_the_cost(rule, n_orient):
    _, core = make_core(n_orient)
    variances = draw(core, n_orient)
    costs = []
    for _ in range(30):
        found = evaluate(core, variances)
        costs.append(found.cost)
        gamma = UPDATES[rule](
            variances.gamma, found.observed.gamma, found.expected.gamma, n_orient
        )
        variances = variances._replace(gamma=np.asarray(gamma))
    assert np.diff(costs).max() < 0
    assert costs[0] - costs[-1] > 1


def learn(core, start=None, n_orient=1, **options):
    """Search with one length of history, so that few programs are compiled."""
    n_groups = core.gain.shape[1] // n_orient
    start = np.ones(n_groups) if start is None else start
    known = np.zeros(1, bool)
    options = {"max_iter": 9000} | options
    return learn_variances(core, Variances(start, np.ones(1)), learned=known, **options)


@pytest.mark.parametrize("n_orient", [1, 2, 3])
@pytest.mark.parametrize("rule", sorted(UPDATES))
def test_at_the_optimum_observed_is_expected(rule, n_orient):
    _, core = make_core(n_orient)
    found = learn(core, n_orient=n_orient, rule=rule, tolerance=1e-12)
    assert found.converged
    assert np.diff(found.trace[:, 0]).max() <= 0
    there = evaluate(core, found.variances)
    inside = found.variances.gamma > 1e-6 * found.variances.gamma.max()
    ratio = there.observed.gamma / there.expected.gamma
    assert_allclose(ratio[inside], 1, atol=1e-4)
    assert (ratio[~inside] < 1 + 1e-6).all()
    assert inside[:3].all()
    assert inside.sum() < 10


def test_what_remains_is_predicted():
    _, core = make_core(n_sources=40, n_times=20)
    best = learn(core, tolerance=1e-13).cost
    for tolerance in (1e-3, 1e-5, 1e-7):
        found = learn(core, tolerance=tolerance)
        gap = found.cost - best
        assert gap < 3 * tolerance * max(abs(best), 12)
        assert found.remaining > gap / 5


def test_few_evaluations_do_what_many_plain_updates_do():
    _, core = make_core(n_sources=40, n_times=20)
    found = learn(core, tolerance=1e-8)
    variances, n = Variances(np.ones(40), np.ones(1)), 0
    while evaluate(core, variances).cost > found.cost and n < 5 * found.n_evaluations:
        there = evaluate(core, variances)
        gamma = variances.gamma * np.sqrt(there.observed.gamma / there.expected.gamma)
        variances, n = variances._replace(gamma=gamma), n + 1
    assert n == 5 * found.n_evaluations


def test_groups_that_left_are_called_back():
    """A group that starts without variance stays so in every update."""
    _, core = make_core()
    gamma = np.ones(10)
    gamma[0] = 0  # an active source
    there, best = learn(core, gamma), learn(core)
    assert there.variances.gamma[0] > 0.5
    assert_allclose(there.cost, best.cost, rtol=1e-5)


def test_many_groups_are_packed_and_nothing_changes(monkeypatch):
    _, core = make_core(n_sources=40, n_times=20)
    whole = learn(core, tolerance=1e-10)
    sizes, pack = [], gamma_map._pack

    def pack_openly(*arguments):
        part = pack(*arguments)
        sizes.append(part.gain.shape[1])
        return part

    monkeypatch.setattr(gamma_map, "_FEWEST", 24)
    monkeypatch.setattr(gamma_map, "_pack", pack_openly)
    packed = learn(core, tolerance=1e-10)
    assert sizes[0] == 40
    assert sizes[-1] < 40
    assert_allclose(packed.cost, whole.cost, rtol=1e-8)
    assert packed.variances.gamma.argmax() == whole.variances.gamma.argmax()


def test_a_batch_gives_what_a_loop_gives():
    cores = [make_core(seed=seed)[1] for seed in range(3)]
    with precise():
        start = Variances(jnp.ones(10), jnp.ones(1))
        settings = Settings(jnp.zeros(1, bool), jnp.array(0), 1)

        def run(core):
            descent = begin_descent(start, max_evaluations=25)
            descent = jax.lax.fori_loop(
                0, 25, lambda _, one: go_down(one, core, settings), descent
            )
            return descent.best.evidence.cost

        stacked = jax.tree.map(lambda *one: jnp.stack(one), *cores)
        batch = jax.jit(jax.vmap(run))(stacked)
        single = jax.jit(run)
        for one, core in zip(batch, cores, strict=True):
            assert_allclose(one, single(jax.tree.map(jnp.asarray, core)), rtol=1e-9)


def test_rounds_that_run_out_are_told():
    found = learn(make_core()[1], max_iter=4, tolerance=1e-12)
    told = found.converged, found.n_evaluations, found.stop_reason
    assert told == (False, 4, "max_iter")


def test_history_is_that_of_the_best_point():
    _, core = make_core()
    found = learn(core, tolerance=1e-9)
    cost, n_active, change, noise = found.trace.T
    assert len(cost) == found.n_evaluations
    assert_allclose(cost[-1], evaluate(core, found.variances).cost, rtol=1e-9)
    assert n_active[0] == 10
    assert n_active[-1] >= np.count_nonzero(found.variances.gamma)
    assert change[0] == 0  # the start is not a change
    assert change[-1] < change.max()
    assert (noise == 1).all()
