"""Simulators, bases and the reference's solvers against golden/sources/README.md."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import DataWarning
from meegic.sources import compat
from meegic.sources.basis import make_basis
from meegic.sources.compat_scalar import ScalarOptions
from meegic.sources.compat_sparse import NoiseOptions, SparseOptions
from meegic.sources.eloreta import fit_eloreta
from meegic.sources.simulate import (
    count_orientations,
    simulate_leadfield,
    simulate_sensors,
    simulate_sources,
)
from meegic.sources.waveforms import ErpOptions, read_erp_config

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* gives the numbers of CaliBrain:meegic.base.errors.DataWarning"
)

TUTORIAL = {
    "tmin": -0.1,
    "tmax": 0.8,
    "stim_onset": 0.0,
    "sfreq": 100,
    "fmin": 2,
    "fmax": 8,
    "amplitude_distribution": {"median": 8.0, "sigma": 0.15, "clip": [2.0, 20.0]},
    "random_erp_timing": False,
    "erp_min_length": 20,
}
KINDS = {"fixed": ("fixed", 1), "free_eeg": ("free", 1), "free_meg": ("free", 3012)}
# Updates of a run that has converged differ by rounding alone; the cycle of BMN_joint
# grows, and with it the rounding.
STABLE, GROWING = 1e-9, 1e-6


@pytest.fixture(scope="module")
def golden(shared):
    def read(name):
        with np.load(shared / f"golden/sources/{name}.npz") as file:
            return {key: one if one.ndim else one.item() for key, one in file.items()}

    return read


@pytest.fixture(scope="module")
def fixed(golden):
    return golden("fixed")


@pytest.fixture(scope="module")
def small(golden):
    return golden("small_solvers")


def assert_near(found, wanted, tolerance=STABLE):
    """Compare relative to the largest entry."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    error = np.abs(found - wanted).max()
    assert error <= tolerance * np.abs(wanted).max(), error


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("kind", KINDS)
def test_sources_have_the_streams_of_the_reference(golden, kind, seed):
    wanted = golden("simulators")
    n_orient = count_orientations(*KINDS[kind])
    sources, active = simulate_sources(50, 3, n_orient=n_orient, seed=seed)
    assert_array_equal(active, wanted[f"{kind}_seed{seed}__active"])
    # Zero-phase filtering differs in the 11th digit between builds of SciPy.
    assert_near(sources[active], wanted[f"{kind}_seed{seed}__x_active"], 1e-8)
    assert not np.delete(sources, active, axis=0).any()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_noise_has_the_stream_of_the_reference(golden, alpha):
    wanted = golden("simulators")
    found = simulate_sensors(
        wanted["sensor__x"], wanted["sensor__L"], alpha_snr=alpha, noise_std=2, seed=3
    )
    prefix = f"sensor_alpha{alpha}__"
    assert_allclose(found.noisy, wanted[prefix + "y"], rtol=1e-12)
    assert_allclose(found.noise, wanted[prefix + "noise"], rtol=1e-12)
    assert_allclose(found.eta, wanted[prefix + "eta"], rtol=1e-12)


@pytest.mark.parametrize(("kind", "n_orient"), [("fixed", 1), ("free", 3)])
def test_random_leadfield_is_that_of_the_reference(golden, kind, n_orient):
    wanted = golden("simulators")[f"leadfield_random_{kind}_8x5"]
    assert_array_equal(simulate_leadfield(8, 5, n_orient=n_orient), wanted)


def test_tutorial_simulates_the_published_data(fixed):
    options = read_erp_config(TUTORIAL)
    sources, active = simulate_sources(32, 4, options=options, seed=41)
    found = simulate_sensors(sources, fixed["L"], alpha_snr=0.7, noise_std=0.2, seed=41)
    assert_array_equal(options.times, fixed["times"])
    assert_array_equal(active, [11, 31, 10, 24])
    assert_near(sources, fixed["x_true"], 1e-8)
    assert_near(found.noisy, fixed["y"], 1e-8)
    # The numbers that the tutorial prints.
    assert_allclose(found.eta, 1.82281324753, rtol=1e-8)
    assert_allclose(np.var(found.noise), 0.13974472172, rtol=1e-8)
    baseline = found.noisy[:, : options.n_baseline].var(axis=1).mean()
    assert_allclose(baseline, 0.11194502692, rtol=1e-8)


def test_tutorial_simulates_the_published_free_data():
    rng = np.random.default_rng(41)
    rng.normal(scale=0.04, size=(32, 3))
    rng.normal(scale=0.03, size=(16, 32))
    leadfield = rng.normal(scale=0.015, size=(16, 32, 3))
    leadfield *= 0.4 / np.linalg.norm(leadfield, axis=0)
    options = read_erp_config(TUTORIAL)
    sources, _ = simulate_sources(32, 4, n_orient=3, options=options, seed=42)
    found = simulate_sensors(sources, leadfield, alpha_snr=0.7, noise_std=0.05, seed=42)
    assert sources.shape == (32, 3, 90)
    assert_allclose(found.eta, 8.54817745490, rtol=1e-8)
    assert_allclose(np.var(found.noise), 0.17795594473, rtol=1e-8)
    baseline = found.noisy[:, : options.n_baseline].var(axis=1).mean()
    assert_allclose(baseline, 0.12567519785, rtol=1e-8)


def test_defaults_are_those_of_the_reference():
    assert read_erp_config(None) == ErpOptions()


@pytest.mark.parametrize("normalize", [None, "row", "sym"])
def test_basis_is_that_of_the_reference(small, normalize):
    basis = make_basis(small["src_coords"], normalize=normalize)
    assert_allclose(basis.toarray(), small[f"B_{normalize}"], rtol=1e-13)


def test_basis_of_the_tutorial_is_that_of_the_reference(fixed):
    basis = make_basis(fixed["src_coords"])
    assert_allclose(basis.toarray(), fixed["B_spatial"], rtol=1e-13)


def assert_keys(result, fixed, run, left_out=(), tolerance=STABLE):
    """Compare all that the golden file has, and the names of all keys."""
    assert sorted(result) == fixed[f"{run}__keys"].tolist()
    names = [key.removeprefix(f"{run}__") for key in fixed if key.startswith(run)]
    for name in set(names) - {"keys", *left_out}:
        assert_near(result[name], fixed[f"{run}__{name}"], tolerance)


@pytest.mark.parametrize("noise", ["oracle", "baseline"])
def test_gamma_map_sflex_repeats_the_reference(fixed, noise):
    result = compat.gamma_map_sflex(
        fixed["L"],
        fixed["y"],
        fixed[noise],
        basis=make_basis(fixed["src_coords"]),
        options=SparseOptions(max_iter=150, tol=1e-7),
    )
    assert result["n_iter"] == 150
    assert_keys(result, fixed, f"gamma_map_sflex_{noise}")


def test_gamma_lambda_map_sflex_repeats_the_reference(fixed):
    result = compat.gamma_lambda_map_sflex(
        fixed["L"],
        fixed["y"],
        basis=make_basis(fixed["src_coords"]),
        options=SparseOptions(max_iter=150, tol=1e-7),
    )
    # The change is a difference of nearly equal numbers.
    run = "gamma_lambda_map_sflex_joint"
    assert_keys(result, fixed, run, left_out=["err_gamma_hist"])
    wanted = fixed[f"{run}__err_gamma_hist"]
    assert_allclose(result["err_gamma_hist"], wanted, rtol=1e-6)
    assert_allclose(result["noise_var"], 0.11186522284, rtol=1e-9)


@pytest.mark.parametrize("noise", ["oracle", "baseline"])
def test_bmn_repeats_the_reference(fixed, noise):
    options = ScalarOptions(max_iter=300, tol=1e-7)
    result = compat.BMN(fixed["L"], fixed["y"], fixed[noise], options=options)
    assert_keys(result, fixed, f"BMN_{noise}")


def test_bmn_joint_repeats_the_growing_cycle_of_the_reference(fixed):
    options = ScalarOptions(max_iter=300, tol=1e-7)
    result = compat.BMN_joint(fixed["L"], fixed["y"], options=options)
    assert_keys(result, fixed, "BMN_joint", tolerance=GROWING)
    assert_allclose(result["noise_var"], 2.904477730e-13, rtol=1e-8)
    assert len(result["gamma_hist"]) == 300


OPTIONS = {
    "gamma_map": SparseOptions(max_iter=40, tol=1e-12),
    "scalar": ScalarOptions(max_iter=40, tol=1e-12),
}


def assert_small(result, small, prefix, tolerance=STABLE):
    for key in (one for one in small if one.startswith(prefix)):
        assert_near(result[key.removeprefix(prefix)], small[key], tolerance)


@pytest.mark.parametrize("mode", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_updates_of_groups_repeat_the_reference(small, k, mode):
    options = SparseOptions(max_iter=40, tol=1e-12, update_mode=mode)
    problem = small[f"K{k}__L"], small[f"K{k}__y"], 1.0
    result = compat.gamma_map(*problem, n_orient=k, options=options)
    assert_small(result, small, f"K{k}__gamma_map_mode{mode}__")


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_updates_of_noise_repeat_the_reference(small, k, mode):
    result = compat.gamma_lambda_map(
        small[f"K{k}__L"],
        small[f"K{k}__y"],
        n_orient=k,
        options=SparseOptions(max_iter=40, tol=1e-12),
        noise=NoiseOptions(update_mode=mode),
    )
    assert_small(result, small, f"K{k}__gamma_lambda_map_noise{mode}__")


@pytest.mark.parametrize("normalization", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_minimum_norm_repeats_the_reference(small, k, normalization):
    options = ScalarOptions(max_iter=40, tol=1e-12, normalization=normalization)
    problem = small[f"K{k}__L"], small[f"K{k}__y"]
    last = f"norm{int(normalization)}__"
    known = compat.BMN(*problem, 1.0, n_orient=k, options=options)
    assert_small(known, small, f"K{k}__BMN_{last}")
    joint = compat.BMN_joint(*problem, n_orient=k, options=options)
    assert_small(joint, small, f"K{k}__BMN_joint_{last}", GROWING)


def test_eloreta_of_one_orientation_is_that_of_the_reference(small):
    gain = small["K1__L"]
    fit = fit_eloreta(gain, 1.0)
    assert_near(fit.apply(small["K1__y"]), small["K1__eloreta__posterior_mean"])
    # Its covariance has two faults more than the specification knows: what the data
    # tell is counted with the square of its share, and the weights are taken from
    # whole columns, not from the diagonal. Without them it is ours.
    weights = fit.weights[:, 0, 0]
    _, values, right = np.linalg.svd(gain * np.sqrt(weights), full_matrices=False)
    shares = values**2 / (values**2 + 1)
    axes = np.sqrt(weights)[:, None] * right.T
    faulty = weights - (axes * shares**2) @ axes.T
    assert_near(faulty, small["K1__eloreta__posterior_cov"])
    assert_near(np.diag(weights) - (axes * shares) @ axes.T, fit.covariance())


def test_each_call_warns_once(small):
    with pytest.warns(DataWarning, match="faults included") as caught:
        compat.BMN(small["K1__L"], small["K1__y"], 1.0, options=OPTIONS["scalar"])
    assert len(caught) == 1
