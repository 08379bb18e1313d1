"""The reference's solvers beyond their golden numbers: warnings, refusals, pruning."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.sources import compat
from meegic.sources.basis import make_basis
from meegic.sources.compat_scalar import ScalarOptions
from meegic.sources.compat_sparse import NoiseOptions, SparseOptions

SOLVERS = (
    "gamma_map",
    "gamma_map_sflex",
    "gamma_lambda_map",
    "gamma_lambda_map_sflex",
    "BMN",
    "BMN_joint",
)
quiet = pytest.mark.filterwarnings(
    "ignore:.* gives the numbers of CaliBrain:meegic.base.errors.DataWarning"
)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    gain = rng.normal(size=(8, 12))
    sources = np.zeros((12, 40))
    sources[[2, 9]] = 3 * rng.normal(size=(2, 40))
    return gain, gain @ sources + rng.normal(size=(8, 40))


def solve(name, gain, data, **options):
    """Call any solver with what it needs."""
    solver = getattr(compat, name)
    known = inspect.signature(solver).parameters
    if "noise_var" in known and name != "BMN_joint":
        options.setdefault("noise_var", 1.0)
    if "basis" in known:
        n_orient = options.get("n_orient", 1) if gain.ndim == 2 else 1
        n_sources = gain.shape[1] // n_orient
        coords = np.linspace(0, 0.1, 3 * n_sources).reshape(-1, 3)
        options.setdefault("basis", make_basis(coords))
    return solver(gain, data, **options)


@pytest.mark.parametrize("name", SOLVERS)
def test_each_call_warns_once_that_it_is_faulty(problem, name):
    with pytest.warns(DataWarning, match=f"{name} gives the numbers of .* faults") as w:
        solve(name, *problem)
    assert len(w) == 1


@quiet
@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("n_orient", [1, 2, 3])
def test_results_have_the_shapes_of_the_reference(problem, name, n_orient):
    result = solve(name, *problem, n_orient=n_orient)
    assert result["posterior_mean"].shape == (12, 40)
    assert result["posterior_cov"].shape == (12, 12)
    assert_array_equal(result["coefficient_indices"], np.arange(12))
    assert_array_equal(result["source_indices"], np.arange(12 // n_orient))
    shaped = {key for key in result if key.endswith("_reshaped")}
    wanted = set()
    if n_orient > 1:
        wanted = {"posterior_mean_reshaped"}
        if name == "gamma_lambda_map_sflex":
            wanted |= {"posterior_mean_coeff_reshaped"}
    assert shaped == wanted
    for key in shaped:
        flat = result[key.removesuffix("_reshaped")]
        assert_array_equal(result[key], flat.reshape(-1, n_orient, 40))


@quiet
@pytest.mark.parametrize("name", SOLVERS)
def test_three_axes_of_the_leadfield_tell_the_orientations(problem, name):
    gain, data = problem
    flat = solve(name, gain, data, n_orient=3)
    free = solve(name, gain.reshape(8, 4, 3), data)
    assert_array_equal(free["posterior_mean"], flat["posterior_mean"])
    assert "posterior_mean_reshaped" in free


@quiet
def test_histories_are_there_when_asked_for(problem):
    for name, n_keys in [("gamma_lambda_map", 3), ("BMN_joint", 4)]:
        with_them = solve(name, *problem)
        without = solve(name, *problem, track_history=False)
        histories = set(with_them) - set(without)
        assert len(histories) == n_keys
        assert all(one.endswith("_hist") for one in histories)
        assert len({len(with_them[one]) for one in histories}) == 1


@quiet
def test_all_that_is_pruned_leaves_zero():
    rng = np.random.default_rng(1)
    gain, noise = rng.normal(size=(8, 3)), 1e-3 * rng.normal(size=(8, 500))
    options = SparseOptions(max_iter=3000, tol=0.0, update_mode=1)
    result = compat.gamma_map(gain, noise, 1.0, options=options)
    # The reference keeps the step before the last group went.
    assert result["n_iter"] < 3000
    assert result["gammas_full"].max() <= np.finfo(float).eps
    assert np.abs(result["posterior_mean"]).max() < 1e-10
    noise_of = NoiseOptions(learn=False, init=1.0)
    joint = compat.gamma_lambda_map(gain, noise, options=options, noise=noise_of)
    assert joint["active_indices"].size == 0
    assert not joint["posterior_mean"].any()
    assert not joint["posterior_cov"].any()
    assert_allclose(joint["lambdas"], 1.0)


@quiet
def test_gammas_start_as_they_are_told(problem):
    def solve_from(start, n_orient=1):
        options = SparseOptions(max_iter=1, init_gamma=start)
        result = compat.gamma_map(*problem, 1.0, n_orient=n_orient, options=options)
        return result["gammas_full"]

    assert_array_equal(solve_from(None), solve_from(1.0))
    assert_array_equal(solve_from((1.0, 2.0)), solve_from(np.linspace(1, 2, 12)))
    assert_array_equal(
        solve_from(np.arange(1.0, 5.0), 3),
        solve_from(np.repeat(np.arange(1.0, 5), 3), 3),
    )
    assert not np.allclose(solve_from(1.0), solve_from(2.0))


@quiet
def test_noise_starts_and_moves_as_it_is_told(problem):
    options = SparseOptions(max_iter=1)

    def learn(**noise):
        found = compat.gamma_lambda_map(
            *problem, options=options, noise=NoiseOptions(**noise)
        )
        return found["lambdas"]

    still = learn(init=2.0, damping=0.0)
    assert_allclose(still, 2.0)
    assert_array_equal(still, learn(init=np.full(8, 2.0), learn=False))
    half = learn(init=2.0, damping=0.5)
    assert_allclose(half, (still + learn(init=2.0)) / 2)


@quiet
def test_noise_that_is_given_is_not_learned(problem):
    known = compat.BMN_joint(*problem, 1.5, learn_noise=False)
    assert known["noise_var"] == 1.5
    assert_allclose(
        known["posterior_mean"], compat.BMN(*problem, 1.5)["posterior_mean"], rtol=1e-9
    )


@quiet
def test_normalization_of_sources_does_not_know_the_noise(problem):
    gain, data = problem
    options = ScalarOptions(normalization=True)
    plain = compat.BMN(1e-3 * gain, data, 1.0, options=options)
    scaled = compat.BMN(1e-3 * gain, 1e3 * data, 1e6, options=options)
    assert_allclose(scaled["posterior_mean"], 1e3 * plain["posterior_mean"], rtol=1e-9)


@quiet
def test_faults_of_the_reference_are_kept(problem):  # D1, D3
    gain, data = problem
    bmn = compat.BMN(gain, data, 1.0)
    gamma = np.trace(bmn["posterior_mean"] @ bmn["posterior_mean"].T) / 12 / 40
    gamma += np.trace(bmn["posterior_cov"]) / 12
    inverse = np.linalg.inv(gamma * gain @ gain.T + np.eye(8))
    observed = np.sum((gain.T @ inverse @ data) ** 2) / 40
    assert observed / np.trace(gain.T @ inverse @ gain) < 0.5
    # Grouped: at the end of MacKay's update, observed is K times expected power.
    options = SparseOptions(max_iter=5000, tol=1e-12, update_mode=1)
    result = compat.gamma_map(gain, data, 1.0, n_orient=3, options=options)
    power = np.linalg.norm(data @ data.T)
    gammas = result["gammas_full"] * power / np.linalg.norm(gain, ord=np.inf) ** 2
    inverse = np.linalg.inv((gain * gammas) @ gain.T + np.eye(8))
    observed = ((gain.T @ inverse @ data) ** 2).mean(axis=1).reshape(4, 3).sum(axis=1)
    expected = np.einsum("mi,mn,ni->i", gain, inverse, gain).reshape(4, 3).sum(axis=1)
    largest = gammas.reshape(4, 3)[:, 0].argmax()
    assert_allclose(observed[largest] / expected[largest], 3.0, rtol=1e-6)


@quiet
@pytest.mark.parametrize("name", ["gamma_map", "BMN"])
@pytest.mark.parametrize("noise", [0.0, -1.0, np.nan, np.inf])
def test_row_55_impossible_noise_is_refused(problem, name, noise):
    with pytest.raises(
        OptionError, match="noise_var must be one finite variance above"
    ):
        getattr(compat, name)(*problem, noise)


@quiet
def test_contradictions_about_the_noise_are_refused(problem):
    with pytest.raises(OptionError, match=r"noise_var must be None .* init_lambda"):
        compat.BMN_joint(*problem, 1.0)
    with pytest.raises(OptionError, match=r"noise_var must be one .* but got None"):
        compat.BMN_joint(*problem, learn_noise=False)
    with pytest.raises(OptionError, match="init_lambda must be one finite variance"):
        compat.BMN_joint(*problem, init_lambda=0.0)
    with pytest.raises(OptionError, match="init_lambda is needed"):
        NoiseOptions(learn=False)
    with pytest.raises(OptionError, match="or 8, one for each sensor"):
        compat.gamma_lambda_map(*problem, noise=NoiseOptions(init=np.ones(7)))


@quiet
@pytest.mark.parametrize(
    ("start", "message"),
    [
        (-1.0, "not below 0"),
        (0.0, "above 0 somewhere"),
        (np.nan, "must be finite"),
        (np.ones(5), "must have 12 numbers, or 12, .* but got 5"),
    ],
)
def test_impossible_starts_are_refused(problem, start, message):
    with pytest.raises(OptionError, match=message):
        compat.gamma_map(*problem, 1.0, options=SparseOptions(init_gamma=start))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (SparseOptions, {"update_mode": 4}, "update_mode must be 1, 2 or 3"),
        (SparseOptions, {"max_iter": 0}, "max_iter must be"),
        (SparseOptions, {"tol": -1.0}, "tol must be"),
        (NoiseOptions, {"update_mode": 3}, "update_mode_noise must be 1 or 2"),
        (NoiseOptions, {"damping": 2.0}, "lambda_damping must be"),
        (ScalarOptions, {"max_iter": 0}, "max_iter must be"),
        (ScalarOptions, {"tol": float("nan")}, "tol must be"),
        (ScalarOptions, {"init_gamma": 0.0}, "init_gamma must be a number above 0"),
    ],
)
def test_impossible_options_are_refused(make, options, message):
    with pytest.raises(OptionError, match=message):
        make(**options)


@pytest.mark.parametrize("name", SOLVERS)
def test_row_55_problems_that_cannot_be_solved_are_refused(problem, name):
    gain, data = problem
    with pytest.raises(ShapeError, match=r"y must have shape \(8, n_times\)"):
        solve(name, gain, data[1:])
    with pytest.raises(InputError, match="y is zero everywhere"):
        solve(name, gain, 0 * data)
    with pytest.raises(InputError, match="L is zero everywhere"):
        solve(name, 0 * gain, data)
    with pytest.raises(InputError, match="y contains NaN or Inf"):
        solve(name, gain, np.where(data == data[0, 0], np.nan, data))


@quiet
def test_basis_of_other_sources_is_refused(problem):
    several = make_basis(np.zeros((12, 3)), sigma=(0.01, 0.02))
    with pytest.raises(ShapeError, match=r"shape \(12, 12\), but got \(12, 24\)"):
        compat.gamma_map_sflex(*problem, 1.0, basis=several)


@quiet
@pytest.mark.parametrize("name", SOLVERS)
def test_source_without_any_sensor_does_no_harm(problem, name):
    gain, data = problem
    result = solve(name, gain * (np.arange(12) != 4), data)
    assert np.isfinite(result["posterior_cov"]).all()
    assert np.isfinite(result["posterior_mean"]).all()
