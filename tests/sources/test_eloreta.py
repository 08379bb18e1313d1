"""eLORETA: laws, a dense formula, MNE's kernel."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import block_diag

from meegic.base.errors import (
    ConvergenceWarning,
    DataWarning,
    InputError,
    OptionError,
    RankError,
    ShapeError,
)
from meegic.sources.eloreta import fit_eloreta
from meegic.sources.simulate import simulate_leadfield

N_SENSORS, N_SOURCES = 12, 20


@pytest.fixture(params=[1, 2, 3])
def n_orient(request):
    return request.param


@pytest.fixture
def gain(n_orient):
    leadfield = simulate_leadfield(N_SENSORS, N_SOURCES, n_orient=n_orient, seed=1)
    return leadfield.reshape(N_SENSORS, -1)


def noise_of(rank=N_SENSORS):
    root = np.random.default_rng(2).normal(size=(N_SENSORS, rank))
    return root @ root.T / rank


def solve_by_mne(n_orient):
    """Inverse of unit vectors by MNE, with the leadfield and noise that it used."""
    names = mne.channels.make_standard_montage("biosemi16").ch_names
    info = mne.create_info(names, 100.0, "eeg").set_montage("biosemi16")
    normals = np.random.default_rng(3).normal(size=(12, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    places = 0.05 * normals + np.array([0, 0, 0.04])
    space = mne.setup_volume_source_space(pos={"rr": places, "nn": normals})
    sphere = mne.make_sphere_model(r0=(0, 0, 0.04), head_radius=0.095)
    forward = mne.make_forward_solution(info, None, space, sphere, meg=False, mindist=0)
    free = n_orient == 3
    if not free:
        forward = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True)
    evoked = mne.EvokedArray(1e-6 * np.eye(len(names)), info)
    evoked.set_eeg_reference(projection=True)
    noise = mne.make_ad_hoc_cov(info)
    inverse = mne.minimum_norm.make_inverse_operator(
        evoked.info, forward, noise, loose=float(free), fixed=not free, depth=None
    )
    orientation = "vector" if free else None
    found = mne.minimum_norm.apply_inverse(
        evoked, inverse, 1 / 9, "eLORETA", pick_ori=orientation
    )
    return forward["sol"]["data"], noise.data[0], evoked.data, found.data


@pytest.mark.parametrize("n_orient", [1, 3])
def test_kernel_is_that_of_mne(n_orient):
    gain, variance, data, wanted = solve_by_mne(n_orient)
    average = np.eye(len(gain)) - 1 / len(gain)
    with pytest.warns(DataWarning, match="has rank 15 of 16"):
        fit = fit_eloreta(
            average @ gain, variance * average, n_orient=n_orient, lambda2=1 / 9
        )
    found = fit.apply(average @ data).reshape(wanted.shape)
    assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())


def test_weights_solve_their_equation(gain, n_orient):
    fit = fit_eloreta(gain, 1.0, n_orient=n_orient, max_iter=100, tol=1e-10)
    sensors = gain @ block_diag(*fit.weights) @ gain.T + np.eye(N_SENSORS)
    inverse = np.linalg.inv(sensors)
    columns = gain.reshape(N_SENSORS, N_SOURCES, n_orient)
    shapes = []
    for source in range(N_SOURCES):
        block = columns[:, source].T @ inverse @ columns[:, source]
        shapes.append(fit.weights[source] @ fit.weights[source] @ block)
    # R_n^2 L_n^T S^-1 L_n is one number times the identity: the weights have a scale.
    wanted = np.broadcast_to(shapes[0][0, 0] * np.eye(n_orient), fit.weights.shape)
    assert_allclose(shapes, wanted, atol=1e-8 * shapes[0][0, 0])


def test_single_dipoles_are_found_without_error():
    gain = simulate_leadfield(N_SENSORS, N_SOURCES, seed=4)
    fit = fit_eloreta(gain, 1e-12, max_iter=500, lambda2=1e-9)
    estimates = fit.apply(gain)
    assert_array_equal(np.abs(estimates).argmax(axis=0), np.arange(N_SOURCES))


def test_kernel_and_covariance_are_those_of_the_dense_formula(gain, n_orient):
    noise = noise_of()
    fit = fit_eloreta(gain, noise, n_orient=n_orient, max_iter=100)
    prior = block_diag(*fit.weights)
    sensors = gain @ prior @ gain.T + noise
    kernel = prior @ gain.T @ np.linalg.inv(sensors)
    covariance = prior - kernel @ gain @ prior
    data = np.random.default_rng(5).normal(size=(N_SENSORS, 7))
    scale = np.abs(covariance).max()
    assert_allclose(fit.apply(data), kernel @ data, atol=1e-10 * np.abs(kernel).max())
    assert_allclose(fit.covariance(), covariance, atol=1e-10 * scale)
    shaped = covariance.reshape(N_SOURCES, n_orient, N_SOURCES, n_orient)
    blocks = shaped[np.arange(N_SOURCES), :, np.arange(N_SOURCES)]
    assert_allclose(fit.blocks, blocks, atol=1e-10 * scale)


def test_whitening_happens_once(gain, n_orient):  # D17: twice in the reference
    noise = noise_of()
    root = np.linalg.cholesky(noise)
    coloured = fit_eloreta(gain, noise, n_orient=n_orient, max_iter=100)
    white = fit_eloreta(
        np.linalg.solve(root, gain), 1.0, n_orient=n_orient, max_iter=100
    )
    assert_allclose(coloured.kernel @ root, white.kernel, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("data_unit", [1e-15, 1e6])
@pytest.mark.parametrize("source_unit", [1e-9, 1e9])
def test_units_do_not_matter(gain, n_orient, data_unit, source_unit):
    options = {"n_orient": n_orient, "max_iter": 100}
    plain = fit_eloreta(gain, noise_of(), **options)
    scaled = fit_eloreta(
        gain * data_unit / source_unit, noise_of() * data_unit**2, **options
    )
    assert_allclose(scaled.kernel * data_unit / source_unit, plain.kernel, rtol=1e-6)
    assert_allclose(
        scaled.weights / source_unit**2, plain.weights, rtol=1e-6, atol=1e-9
    )
    assert scaled.n_iter == plain.n_iter


def test_axes_of_the_orientations_do_not_matter():
    leadfield = simulate_leadfield(N_SENSORS, N_SOURCES, n_orient=3)
    turns = np.linalg.qr(np.random.default_rng(6).normal(size=(N_SOURCES, 3, 3)))[0]
    data = np.random.default_rng(7).normal(size=(N_SENSORS, 4))
    plain = fit_eloreta(leadfield, 1.0).apply(data).reshape(N_SOURCES, 3, 4)
    turned = fit_eloreta(np.einsum("mnk,nkj->mnj", leadfield, turns), 1.0).apply(data)
    back = turns @ turned.reshape(N_SOURCES, 3, 4)
    assert_allclose(back, plain, atol=1e-9)


def test_three_orientations_of_which_one_is_silent_are_two():
    two = simulate_leadfield(N_SENSORS, N_SOURCES, n_orient=2)
    turns = np.linalg.qr(np.random.default_rng(8).normal(size=(N_SOURCES, 3, 3)))[0]
    axes = turns[:, :, :2]
    three = np.einsum("mnj,nkj->mnk", two, axes)
    data = np.random.default_rng(9).normal(size=(N_SENSORS, 4))
    wanted = fit_eloreta(two, 1.0).apply(data).reshape(N_SOURCES, 2, 4)
    found = fit_eloreta(three, 1.0).apply(data).reshape(N_SOURCES, 3, 4)
    assert_allclose(found, axes @ wanted, atol=1e-9)


def test_smaller_lambda_trusts_the_sensors_more(gain, n_orient):
    options = {"n_orient": n_orient, "max_iter": 200}
    misfits = [
        np.linalg.norm(
            gain @ fit_eloreta(gain, 1.0, lambda2=one, **options).kernel
            - np.eye(N_SENSORS)
        )
        for one in (1.0, 1 / 9, 1e-3)
    ]
    assert misfits == sorted(misfits, reverse=True)


def test_noise_of_lower_rank_uses_so_many_directions():
    gain = simulate_leadfield(N_SENSORS, N_SOURCES)
    center = np.eye(N_SENSORS) - 1 / N_SENSORS
    axes = np.linalg.eigh(center)[1][:, 1:]
    with pytest.warns(DataWarning, match="has rank 11 of 12; 11 directions"):
        fit = fit_eloreta(center @ gain, 1e-12 * center)
    inside = fit_eloreta(axes.T @ gain, 1e-12)
    assert_allclose(fit.kernel, inside.kernel @ axes.T, rtol=1e-6, atol=1e-9)


def test_weights_that_did_not_settle_are_told():
    gain = simulate_leadfield(N_SENSORS, N_SOURCES)
    with pytest.warns(ConvergenceWarning, match="after max_iter = 2 .* larger"):
        fit = fit_eloreta(gain, 1.0, max_iter=2)
    assert not fit.converged
    assert fit.n_iter == 2


@pytest.mark.parametrize(
    ("noise", "error", "message"),
    [
        (0.0, OptionError, "noise must be a number above 0"),
        (float("nan"), OptionError, "noise must be a number above 0"),
        (np.zeros((12, 12)), RankError, "noise has rank 0"),
        (np.eye(11), ShapeError, r"noise must have shape \(12, 12\)"),
        (-np.eye(12), InputError, "symmetric and positive"),
        (np.triu(np.ones((12, 12))) + 11 * np.eye(12), InputError, "symmetric and pos"),
    ],
)
def test_row_55_impossible_noise_is_refused(noise, error, message):
    with pytest.raises(error, match=message):
        fit_eloreta(simulate_leadfield(N_SENSORS, N_SOURCES), noise)


def test_row_55_sources_without_any_sensor_are_refused():
    gain = simulate_leadfield(N_SENSORS, N_SOURCES, n_orient=3)
    gain[:, [4, 7]] = 0
    with pytest.raises(InputError, match="2 sources reach no sensor, the first is 4"):
        fit_eloreta(gain, 1.0)


def test_sensors_of_another_leadfield_are_refused():
    fit = fit_eloreta(simulate_leadfield(N_SENSORS, N_SOURCES), 1.0)
    with pytest.raises(ShapeError, match=r"y must have shape \(12, n_times\)"):
        fit.apply(np.ones((11, 3)))
