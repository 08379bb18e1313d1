"""Solvers of arrays: laws, what cannot be known, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from meegic.base.errors import (
    ConvergenceWarning,
    DataWarning,
    InputError,
    OptionError,
    ShapeError,
)
from meegic.sources.eloreta import fit_eloreta
from meegic.sources.minimum_norm import make_resolution_basis
from meegic.sources.problem import SolverOptions, SourceProblem
from meegic.sources.solve import solve_eloreta, solve_gamma_map, solve_minimum_norm
from sources.problems import cost_densely, make_problem

EXACT = SolverOptions(tol=1e-12, update="convex")
LEARN = replace(EXACT, learn_noise=True)


def solve(name, problem, options=EXACT):
    known = {"gamma_map": solve_gamma_map, "minimum_norm": solve_minimum_norm}
    return (
        solve_eloreta(problem) if name == "eloreta" else known[name](problem, options)
    )


BOTH = pytest.mark.parametrize("name", ["gamma_map", "minimum_norm"])
ALL = pytest.mark.parametrize("name", ["gamma_map", "minimum_norm", "eloreta"])


@pytest.fixture(scope="module")
def given():
    return make_problem()


@ALL
@pytest.mark.parametrize("exponents", [(-15, 0), (9, 0), (0, -15), (0, 9), (-13, -6)])
def test_units_do_not_matter(given, name, exponents):
    data_unit, gain_unit = 10.0 ** np.array(exponents)
    scaled = replace(
        given,
        data=data_unit * given.data,
        leadfield=gain_unit * given.leadfield,
        noise=data_unit**2 * given.noise,
    )
    one, other = solve(name, given), solve(name, scaled)
    unit = data_unit / gain_unit
    largest = one.gamma.max()
    assert_allclose(other.gamma / unit**2, one.gamma, rtol=1e-5, atol=1e-6 * largest)
    means = one.posterior.mean, other.posterior.mean / unit
    assert_allclose(means[1], means[0], atol=1e-5 * np.abs(means[0]).max())


@BOTH
def test_unit_of_the_data_does_not_matter_where_noise_is_learned(given, name):
    given = replace(given, noise=None)
    one = solve(name, given, LEARN)
    other = solve(name, replace(given, data=1e-13 * given.data), LEARN)
    assert_allclose(other.noise, 1e-26 * one.noise, rtol=1e-6)


@ALL
def test_order_of_sources_and_channels_does_not_matter(given, name):
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(12), rng.permutation(10)
    turned = replace(
        given, leadfield=given.leadfield[rows][:, columns], data=given.data[rows]
    )
    one, other = solve(name, given), solve(name, turned)
    assert_allclose(other.posterior.mean, one.posterior.mean[columns], atol=1e-5)


@BOTH
def test_axes_of_the_orientations_do_not_matter(name):
    given = make_problem(n_orient=3)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    blocks = given.leadfield.reshape(12, 10, 3) @ turn
    one = solve(name, given)
    other = solve(name, replace(given, leadfield=blocks.reshape(12, 30)))
    assert_allclose(other.gamma, one.gamma, atol=1e-5)
    mean = one.posterior.mean.reshape(10, 3, -1)
    turned = np.einsum("ij,nit->njt", turn, mean)
    assert_allclose(other.posterior.mean.reshape(10, 3, -1), turned, atol=1e-5)


@BOTH
def test_data_that_come_twice_tell_nothing_more_of_variances(given, name):
    twice = replace(given, data=np.tile(given.data, 2))
    assert_allclose(solve(name, twice).gamma, solve(name, given).gamma, atol=1e-5)


@BOTH
def test_kinds_of_noise_are_whitening(name):
    given = make_problem()
    kinds = np.arange(12) % 2
    noise = np.array([0.5, 3.0])
    scale = np.sqrt(noise)[kinds][:, None]
    white = replace(
        given, leadfield=given.leadfield / scale, data=given.data / scale, noise=1.0
    )
    one = solve(name, replace(given, noise=noise, kinds=kinds))
    other = solve(name, white)
    assert_allclose(one.gamma, other.gamma, rtol=1e-5, atol=1e-6)
    assert_allclose(one.posterior.mean, other.posterior.mean, atol=1e-5)
    spread = np.broadcast_to(one.gamma, 10)
    dense = cost_densely(given.leadfield, spread, noise[kinds], given.data)
    assert_allclose(one.cost, dense, rtol=1e-12)


@BOTH
def test_each_kind_of_noise_is_learned(name):
    rng = np.random.default_rng(3)
    kinds = np.repeat([0, 1], 20)
    leadfield = rng.standard_normal((40, 10))
    sources = rng.standard_normal((10, 200))
    noise = np.array([0.5, 4.0])
    data = leadfield @ sources
    data += np.sqrt(noise)[kinds][:, None] * rng.standard_normal(data.shape)
    found = solve(name, SourceProblem(leadfield, data, kinds=kinds), LEARN)
    assert_allclose(found.noise, noise, rtol=0.1)
    assert found.noise_identifiable


@BOTH
def test_noise_is_learned_within_five_percent_where_data_tell_it(name):
    rng = np.random.default_rng(4)
    leadfield = rng.standard_normal((60, 40))
    data = leadfield @ rng.standard_normal((40, 200))
    data += np.sqrt(40 / 3) * rng.standard_normal(data.shape)
    found = solve(name, SourceProblem(leadfield, data), replace(LEARN, tol=1e-7))
    assert_allclose(found.noise, 40 / 3, rtol=0.05)
    assert found.noise_identifiable


@BOTH
@pytest.mark.parametrize("n_times", [1, 5, 12, 13])
def test_few_samples_channels_and_sources_will_do(name, n_times):
    given = make_problem(n_times=n_times)
    for n_channels, n_sources in ((12, 10), (12, 1), (1, 10)):
        part = replace(
            given,
            leadfield=given.leadfield[:n_channels, :n_sources],
            data=given.data[:n_channels],
        )
        found = solve(name, part, SolverOptions())
        assert np.isfinite(found.posterior.mean).all()
        assert (found.posterior.variance >= 0).all()


def test_row_55_data_of_zero_leave_the_prior(given):
    for solver in (solve_gamma_map, solve_minimum_norm):
        with pytest.warns(DataWarning, match="data are zero everywhere"):
            found = solver(replace(given, data=0 * given.data, noise=2.0))
        assert (found.posterior.mean == 0).all()
        signal = np.trace(found.posterior.gain @ found.posterior.gain.T) / 12
        assert_allclose(found.gamma * signal, 2.0)
        assert np.isfinite(found.cost)
        with pytest.raises(InputError, match="zero at all channels of a kind"):
            solver(replace(given, data=0 * given.data, noise=None), LEARN)


@pytest.mark.parametrize("n_orient", [1, 3])
def test_row_55_source_that_no_channel_sees_keeps_its_variance(n_orient):
    given = make_problem(n_orient=n_orient)
    leadfield = given.leadfield.reshape(12, 10, n_orient).copy()
    leadfield[:, 5] = 0
    blind = replace(given, leadfield=leadfield.reshape(12, -1))
    found = solve_gamma_map(blind, EXACT)
    assert_array_equal(found.unobserved, [5])
    rows = slice(5 * n_orient, 6 * n_orient)
    assert_allclose(found.posterior.variance[rows], found.gamma[5])
    assert found.gamma[5] > 0
    others = np.delete(leadfield, 5, axis=1).reshape(12, -1)
    alone = solve_gamma_map(replace(given, leadfield=others), EXACT)
    assert_allclose(np.delete(found.gamma, 5), alone.gamma, atol=1e-5)
    shared = solve_minimum_norm(blind)
    assert_allclose(shared.posterior.variance[rows], shared.gamma[0])


def test_row_55_most_of_many_sources_may_be_unseen():
    """Packing must not wait for groups that never leave."""
    given = make_problem(n_sources=300)
    leadfield = given.leadfield * (np.arange(300) < 100)
    found = solve_gamma_map(replace(given, leadfield=leadfield))
    assert len(found.unobserved) == 200
    assert found.converged


def test_many_groups_with_a_silent_orientation_are_packed():
    given = make_problem(n_sources=300, n_orient=3, n_times=10)
    leadfield = given.leadfield * (np.arange(900) % 3 > 0)
    assert solve_gamma_map(replace(given, leadfield=leadfield)).n_evaluations > 3


def test_row_55_twins_among_sources_do_no_harm(given):
    twins = np.concatenate([given.leadfield, given.leadfield[:, :1]], axis=1)
    one = solve_gamma_map(given, EXACT)
    found = solve_gamma_map(replace(given, leadfield=twins), EXACT)
    assert_allclose(found.cost, one.cost, rtol=1e-8)
    assert_allclose(found.gamma[0] + found.gamma[-1], one.gamma[0], rtol=1e-4)


@BOTH
def test_an_average_reference_is_no_noise(name):
    """The direction that it empties would count as a channel without noise."""
    rng = np.random.default_rng(5)
    leadfield = rng.standard_normal((12, 4))
    data = leadfield @ rng.standard_normal((4, 300)) + rng.standard_normal((12, 300))
    average = np.eye(12) - 1 / 12
    directions = np.linalg.svd(average)[0][:, :11].T
    whole = SourceProblem(average @ leadfield, average @ data)
    with pytest.warns(DataWarning, match="rank 11 of 12"):
        found = solve(name, whole, LEARN)
    part = SourceProblem(directions @ leadfield, directions @ data)
    wanted = solve(name, part, LEARN)
    assert_allclose(found.noise, wanted.noise, rtol=1e-5)
    assert_allclose(found.posterior.mean, wanted.posterior.mean, atol=1e-4)


def test_noise_that_cannot_be_told_is_said():
    """As many sources as channels, all alike: their sum is all that data show."""
    data = np.random.default_rng(0).standard_normal((8, 30))
    problem = SourceProblem(np.eye(8), data)
    for solver in (solve_minimum_norm, solve_gamma_map):
        with pytest.warns(DataWarning, match="do not tell the noise"):
            found = solver(problem, SolverOptions(learn_noise=True))
        assert not found.noise_identifiable
        assert found.noise[0] >= 1e-3 * (data**2).mean()


@pytest.mark.filterwarnings("ignore:The data do not tell")  # what is measured is wrong
def test_learned_noise_is_drawn_to_what_was_measured(given):
    free = solve_minimum_norm(replace(given, noise=None), LEARN).noise[0]
    found = [
        solve(name, replace(given, noise=9.0), replace(LEARN, noise_pull=pull)).noise[0]
        for pull in (0.3, 1e5)
        for name in ("minimum_norm", "gamma_map")
    ]
    assert free < found[0] < 9
    assert_allclose(found[2:], 9.0, rtol=1e-3)


def test_a_search_on_the_floor_of_the_noise_ends():
    given = make_problem(n_channels=6, n_sources=30, n_times=4)
    quiet = replace(given, noise=1e3)
    with pytest.warns(DataWarning, match="do not tell the noise"):
        found = solve_gamma_map(quiet, replace(LEARN, tol=1e-8, noise_pull=0.0))
    assert found.stop_reason == "noise_floor"
    assert_allclose(found.noise, 50.0)
    assert found.n_evaluations < 1000


def test_start_may_be_chosen_and_does_not_matter_here(given):
    one = solve_gamma_map(given, EXACT)
    other = solve_gamma_map(given, EXACT, start=np.linspace(1, 2, 10))
    assert_allclose(other.cost, one.cost, rtol=1e-10)
    short = SolverOptions(max_iter=1, tol=0.0)
    with pytest.warns(ConvergenceWarning):
        found = solve_gamma_map(given, short, start=np.linspace(1, 2, 10))
    assert_allclose(found.gamma, np.linspace(1, 2, 10))
    for start in (np.ones(9), -np.ones(10), np.zeros(10)):
        with pytest.raises(OptionError, match="each of 10 groups"):
            solve_gamma_map(given, start=start)
    with pytest.raises(OptionError, match="start_noise must be"):
        solve_gamma_map(given, start_noise=0.0)


def test_a_search_that_ends_too_early_says_how_much_is_left(given):
    with pytest.warns(ConvergenceWarning, match=r"3 evaluations.*may still fall by"):
        found = solve_gamma_map(given, SolverOptions(max_iter=3, tol=1e-12))
    assert (found.converged, found.stop_reason) == (False, "max_iter")


def test_history_tells_how_the_search_went(given):
    found = solve_gamma_map(given, EXACT)
    cost, n_active, change, noise = found.history
    assert len(cost) == found.n_evaluations
    assert np.diff(cost).max() <= 0
    assert_allclose(cost[-1], found.cost, rtol=1e-12)
    assert n_active[0] == 10
    assert n_active[-1] >= np.count_nonzero(found.gamma)
    assert (change >= 0).all()
    assert (noise == 1).all()


def test_sources_of_equal_resolution():
    given = make_problem(n_orient=2)
    basis = make_resolution_basis(given.leadfield, 2)
    gain = given.leadfield @ basis
    power = given.leadfield @ given.leadfield.T
    power += 1e-6 * np.trace(power) / 12 * np.eye(12)
    resolution = gain.T @ np.linalg.solve(power, gain)
    for k in range(10):
        block = slice(2 * k, 2 * k + 2)
        assert_allclose(resolution[block, block], np.eye(2), atol=1e-10)
    silent = given.leadfield * (np.arange(20) > 1)
    assert_allclose(make_resolution_basis(silent, 2).toarray()[:2, :2], np.eye(2))


@pytest.mark.parametrize("n_orient", [1, 2, 3])
def test_eloreta_has_a_posterior_with_its_weights(n_orient):
    given = make_problem(n_orient=n_orient)
    found = solve_eloreta(given)
    fit = fit_eloreta(given.leadfield, 1.0, n_orient=n_orient)
    assert_allclose(found.posterior.mean, fit.apply(given.data), atol=1e-9)
    scale = np.abs(fit.weights).max()
    assert_allclose(found.posterior.blocks, fit.blocks, atol=1e-9 * scale)
    assert_allclose(found.posterior.cov(), fit.covariance(), atol=1e-9 * scale)
    assert found.stop_reason == "weights"


@BOTH
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"leadfield": np.ones((11, 10))}, ShapeError, r"data must .*\(11, n_times\)"),
        ({"leadfield": np.ones((12, 10, 4))}, OptionError, "n_orient must be 1, 2 or"),
        ({"leadfield": np.ones(12)}, ShapeError, "leadfield must have shape"),
        ({"leadfield": np.zeros((12, 10))}, InputError, "leadfield is zero everywhere"),
        ({"n_orient": 3}, ShapeError, "multiple of n_orient = 3"),
        ({"n_orient": 4}, OptionError, "n_orient must be 1, 2 or 3"),
        ({"data": np.full((12, 5), np.nan)}, InputError, "data contains NaN"),
        ({"data": np.ones((12, 5)) * 1j}, InputError, "data must hold real numbers"),
        ({"noise": 0.0}, OptionError, "noise must be a variance above 0"),
        ({"noise": -np.ones(1)}, OptionError, "noise must be a variance above 0"),
        ({"noise": np.full(1, np.nan)}, InputError, "noise contains NaN"),
        ({"noise": np.ones(2)}, OptionError, "each of 1 kinds"),
        ({"noise": None}, OptionError, "noise must be given where it is not learned"),
        ({"kinds": np.full(12, 1)}, OptionError, "without gaps"),
        ({"kinds": np.zeros(11, int)}, OptionError, "each of 12 channels"),
        ({"basis": sparse.csr_array(np.eye(9))}, ShapeError, r"basis .*\(10, a"),
    ],
)
def test_row_55_impossible_problems_are_refused(given, name, change, error, message):
    with pytest.raises(error, match=message):
        solve(name, replace(given, **change))


@BOTH
def test_row_55_one_sample_does_not_tell_noise(given, name):
    one = replace(given, data=given.data[:, :1], noise=None)
    with pytest.raises(InputError, match="data have one sample"):
        solve(name, one, LEARN)


def test_noise_that_is_lost_in_rounding_is_refused(given):
    given = replace(given, noise=1e-40)
    with pytest.raises(InputError, match="noise is too small beside the sources"):
        solve_gamma_map(given)
    with pytest.raises(InputError, match="noise is too small beside the sources"):
        solve_minimum_norm(given)


def test_eloreta_refuses_what_it_has_no_use_for(given):
    with pytest.raises(OptionError, match="of one kind for eLORETA"):
        solve_eloreta(replace(given, kinds=np.arange(12) % 2, noise=np.ones(2)))
    with pytest.raises(OptionError, match="basis must be None"):
        solve_eloreta(replace(given, basis=sparse.csr_array(np.eye(10))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_iter": 0}, "max_iter must be"),
        ({"tol": -1.0}, "tol must be"),
        ({"update": "convx"}, "Did you mean 'convex'"),
        ({"noise_pull": np.inf}, "noise_pull must be"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        SolverOptions(**options)
