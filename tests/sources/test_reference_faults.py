"""What the reference gets wrong, by the numbers of the specification; and we do not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic import BMN, BMN_joint, eloreta, gamma_map
from meegic.base.errors import DataWarning
from meegic.sources.problem import SolverOptions, SourceProblem
from meegic.sources.solve import solve_gamma_map, solve_minimum_norm
from sources.problems import cost_densely, make_problem

EXACT = SolverOptions(tol=1e-11, max_iter=3000, update="convex")
LEARN = replace(EXACT, learn_noise=True)


def balance(posterior):
    """What is observed of each coefficient, and what is expected (a and d)."""
    spread = (posterior.gain * posterior.gamma) @ posterior.gain.T
    inverse = np.linalg.inv(spread + np.diag(posterior.noise))
    seen = posterior.gain.T @ inverse
    observed = ((seen @ posterior.data) ** 2).mean(axis=1)
    return observed, (seen * posterior.gain.T).sum(axis=1)


def check_minimum_norm(noise):
    given = make_problem(n_channels=20, n_sources=30, n_times=60)
    found = BMN(given.leadfield, given.data, noise, tol=1e-12)
    observed, expected = balance(found.posterior)
    assert_allclose(observed.sum(), expected.sum(), rtol=1e-8)
    costs = [
        cost_densely(
            given.leadfield, np.full(30, factor * found["gamma"]), noise * np.ones(20),
            given.data,
        )
        for factor in (0.9, 1.0, 1.1)
    ]  # fmt: skip
    assert costs[1] == min(costs)


def check_joint():
    given = make_problem(n_channels=20, n_sources=12, n_times=60)
    found = [
        BMN_joint(given.leadfield, given.data, init_gamma=gamma, init_lambda=noise)
        for gamma, noise in ((None, None), (1e-6, 1e3), (1e6, 1e-3))
    ]
    assert len({(one["gamma"], one["noise_var"]) for one in found}) == 1
    assert_allclose(found[0]["noise_var"], 1.0, rtol=0.2)
    sparse = solve_gamma_map(replace(given, noise=None), LEARN)
    assert np.diff(sparse.history.cost).max() <= 0
    assert_allclose(sparse.noise, 1.0, rtol=0.2)


def check_groups(n_orient):
    given = make_problem(n_orient=n_orient)
    for mode in (1, 2, 3):
        found = gamma_map(
            given.leadfield,
            given.data,
            1.0,
            n_orient=n_orient,
            update_mode=mode,
            tol=1e-10,
            max_iter=9000,
        )
        observed, expected = (
            one.reshape(10, n_orient).sum(axis=1) for one in balance(found.posterior)
        )
        gammas = found["gammas_full"][::n_orient]
        active = gammas > 1e-3 * gammas.max()
        assert active[:3].all()
        assert_allclose((observed / expected)[active], 1, atol=1e-3)


def check_one_pair():
    """Mean and covariance belong to the same variances, even before they converge."""
    given = make_problem()
    with pytest.warns(UserWarning, match="did not converge"):
        found = gamma_map(given.leadfield, given.data, 1.0, max_iter=3)
    prior = np.diag(found["gammas_full"])
    spread = given.leadfield @ prior @ given.leadfield.T + np.eye(12)
    reach = prior @ given.leadfield.T @ np.linalg.inv(spread)
    mean = reach @ given.data
    assert_allclose(found["posterior_mean"], mean, atol=1e-10 * np.abs(mean).max())
    covariance = prior - reach @ given.leadfield @ prior
    scale = 1e-10 * covariance.max()
    assert_allclose(found["posterior_cov"], covariance, atol=scale)
    assert np.linalg.eigvalsh(found["posterior_cov"]).min() > -scale


def check_convergence():
    """`tol` bounds what is left of the cost, not the change of an update."""
    given = make_problem(n_sources=40, n_times=20)
    best = solve_gamma_map(given, EXACT).cost
    for tol in (1e-4, 1e-6, 1e-8):
        found = solve_gamma_map(given, replace(EXACT, tol=tol))
        assert 0 <= found.cost - best + 1e-10 < 3 * tol * max(abs(best), 12)


def check_start():
    """Gammas have the squared unit of the sources, and all solvers the same start."""
    given = make_problem()
    for solver in (solve_gamma_map, solve_minimum_norm):
        one = solver(given, EXACT)
        scaled = replace(given, leadfield=1e3 * given.leadfield)
        largest = one.gamma.max()
        assert_allclose(
            1e6 * solver(scaled, EXACT).gamma, one.gamma, atol=1e-5 * largest
        )
    first = [
        solve_gamma_map(one, replace(EXACT, tol=0.5)).history.cost[0]
        for one in (given, replace(given, leadfield=1e3 * given.leadfield))
    ]
    assert_allclose(first[0], first[1], rtol=1e-9)


def check_mixed_sensors():
    """Sensors of two units, in one problem, are whitened like one kind."""
    given = make_problem()
    unit = np.repeat([1e-13, 1e-6], 6)[:, None]
    white = solve_gamma_map(given, EXACT).posterior
    mixed = SourceProblem(
        unit * given.leadfield,
        unit * given.data,
        noise=np.array([1e-26, 1e-12]),
        kinds=np.repeat([0, 1], 6),
    )
    found = solve_gamma_map(mixed, EXACT).posterior
    scale = np.abs(white.mean).max()
    assert_allclose(found.mean, white.mean, atol=1e-4 * scale)
    assert_allclose(found.variance, white.variance, atol=1e-4 * white.variance.max())


def check_noise_of_sensors():
    """One noise for each sensor, drawn to the one of all, is not lost."""
    rng = np.random.default_rng(1)
    leadfield = rng.standard_normal((16, 32))
    sources = np.zeros((32, 90))
    sources[:4] = rng.standard_normal((4, 90))
    truth = rng.uniform(0.8, 1.25, 16)
    data = leadfield @ sources
    data += np.sqrt(truth)[:, None] * rng.standard_normal(data.shape)
    joint = solve_gamma_map(SourceProblem(leadfield, data), LEARN)
    assert_allclose(joint.noise, 1.0, rtol=0.15)
    each = SourceProblem(
        leadfield, data, noise=np.full(16, joint.noise[0]), kinds=np.arange(16)
    )
    found = solve_gamma_map(each, replace(LEARN, noise_pull=2.0, tol=1e-7))
    assert_allclose(found.noise, truth, rtol=0.25)
    assert np.corrcoef(found.noise, truth)[0, 1] > 0.3


def check_eloreta():
    for n_orient in (1, 2, 3):
        given = make_problem(n_orient=n_orient)
        found = eloreta(given.leadfield, given.data, 4.0, n_orient=n_orient)
        white = eloreta(given.leadfield / 2, given.data / 2, 1.0, n_orient=n_orient)
        mean = found["posterior_mean"]
        assert_allclose(mean, white["posterior_mean"], atol=1e-9 * np.abs(mean).max())
        assert np.shape(found["posterior_cov"]) == (10 * n_orient, 10 * n_orient)


def check_guards():
    """In A m and T all squares are far below the reference's absolute guards."""
    given = make_problem(n_orient=2)
    data_unit, gain_unit = 1e-13, 1e-13 / 1e-8
    found, scaled = (
        solve_gamma_map(one, EXACT).posterior
        for one in (
            given,
            replace(
                given,
                data=data_unit * given.data,
                leadfield=gain_unit * given.leadfield,
                noise=data_unit**2,
            ),
        )
    )
    assert_allclose(
        scaled.mean / 1e-8, found.mean, atol=1e-5 * np.abs(found.mean).max()
    )
    assert_allclose(
        scaled.variance / 1e-16, found.variance, atol=1e-5 * found.variance.max()
    )
    shape = {"n_orient": 2, "normalization": True}
    one = BMN(given.leadfield, given.data, 1.0, **shape)["posterior_mean"]
    other = BMN(
        gain_unit * given.leadfield, data_unit * given.data, data_unit**2, **shape
    )["posterior_mean"]
    assert_allclose(other / 1e-8, one, atol=1e-6 * np.abs(one).max())


FAULTS = {
    "D1-known-noise": lambda: check_minimum_norm(1.0),
    "D1-less-noise": lambda: check_minimum_norm(0.1),
    "D2": check_joint,
    "D3-two": lambda: check_groups(2),
    "D3-three": lambda: check_groups(3),
    "D4": check_one_pair,
    "D5": check_convergence,
    "D6": check_start,
    "D7": check_mixed_sensors,
    "D13": check_noise_of_sensors,
    "D17": check_eloreta,
    "D21": check_guards,
}


@pytest.mark.parametrize("check", FAULTS.values(), ids=FAULTS)
def test_fault_of_the_reference_is_not_ours(check):
    check()


@pytest.mark.filterwarnings("ignore:.*gives the numbers of CaliBrain")
def test_the_checks_see_the_faults():
    """The reference's minimum norm ends far from a = d (D1)."""
    given = make_problem(n_channels=20, n_sources=30, n_times=60)
    found = BMN(given.leadfield, given.data, 1.0, compat="calibrain")
    mean = found["posterior_mean"]
    ours = BMN(given.leadfield, given.data, 1.0)["posterior_mean"]
    assert np.abs(mean - ours).max() > 0.01 * np.abs(ours).max()
    with pytest.warns(DataWarning, match="faults included"):
        BMN(given.leadfield, given.data, 1.0, compat="calibrain")
