import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from jax.test_util import check_grads
from numpy.testing import assert_allclose

from meegic.base.errors import (
    ConvergenceError,
    ConvergenceWarning,
    InputError,
    OptionError,
    ShapeError,
)
from meegic.math.spd import (
    covariance_mean,
    exp_map,
    fit_covariance_mean,
    geodesic,
    log_map,
    map_tangent_space,
    riemannian_distance,
    tangent_space_vectorize,
)

RNG = np.random.default_rng(0)
HALVES = RNG.normal(size=(12, 4, 10))
STACK = HALVES @ HALVES.mT / 10
A, B = STACK[:2]
MIX = RNG.normal(size=(4, 4))


def mixed(matrices):
    return MIX @ matrices @ MIX.T


def function(of, matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(of(values)) @ vectors.T


@pytest.mark.usefixtures("x64")
def test_distance_agrees_with_generalised_eigenvalues():
    expected = [np.linalg.norm(np.log(scipy.linalg.eigvalsh(b, A))) for b in STACK[1:]]
    assert_allclose(riemannian_distance(A, STACK[1:]), expected, rtol=1e-12)


def test_numpy_is_computed_in_float64_whatever_the_flag():
    stack = 1e-40 * np.stack([np.eye(3), np.diag([1.0, 1e-4, 1e-9])])
    a, b = stack
    length = np.log(10) * 97**0.5
    middle = np.diag([1.0, 1e-2, 10**-4.5])
    assert_allclose(riemannian_distance(a, b), length, rtol=1e-13)
    assert_allclose(exp_map(log_map(b, a), a), b, rtol=1e-12)
    assert_allclose(1e40 * geodesic(a, b, position=0.5), middle, rtol=1e-12)
    vectors = map_tangent_space(stack, a)
    assert_allclose(np.linalg.norm(vectors, axis=1), [0, length], atol=1e-12)
    assert vectors.dtype == log_map(b, a).dtype == np.float64
    assert type(vectors) is type(tangent_space_vectorize(stack)) is np.ndarray
    assert riemannian_distance(jnp.eye(2), np.eye(2)).dtype == np.float32


def test_whole_numbers_are_matrices_too():
    whole = np.array([[2, 1], [1, 2]])
    expected = riemannian_distance(whole.astype(float), np.eye(2))
    assert_allclose(riemannian_distance(whole, np.eye(2, dtype=int)), expected, rtol=0)
    assert riemannian_distance(jnp.eye(2, dtype=int), jnp.eye(2)) == 0


@pytest.mark.usefixtures("x64")
def test_distance_is_a_metric():
    forth, back = riemannian_distance(A, STACK), riemannian_distance(STACK, A)
    assert_allclose(forth, back, rtol=1e-10, atol=1e-13)
    assert_allclose(forth[0], 0, atol=1e-13)
    assert (forth[2:] <= forth[1] + riemannian_distance(B, STACK[2:])).all()


@pytest.mark.usefixtures("x64")
def test_mixture_and_inversion_do_not_change_the_distance():
    expected = riemannian_distance(A, B)
    assert_allclose(riemannian_distance(mixed(A), mixed(B)), expected, rtol=1e-10)
    inverses = np.linalg.inv(A), np.linalg.inv(B)
    assert_allclose(riemannian_distance(*inverses), expected, rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_maps_are_inverse():
    tangents = log_map(STACK, A)
    assert_allclose(exp_map(tangents, A), STACK, rtol=1e-10)
    assert_allclose(tangents, tangents.mT, atol=1e-14)


@pytest.mark.usefixtures("x64")
def test_maps_agree_with_the_symmetric_roots():
    root, inverse = function(np.sqrt, A), np.linalg.inv(function(np.sqrt, A))
    log = root @ function(np.log, inverse @ B @ inverse) @ root
    assert_allclose(log_map(B, A), log, rtol=1e-10)
    exp = root @ function(np.exp, inverse @ B @ inverse) @ root
    assert_allclose(exp_map(B, A), exp, rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_geodesic_runs_at_constant_speed_between_its_ends():
    assert_allclose(geodesic(A, B, position=0.0), A, atol=1e-13)
    assert_allclose(geodesic(A, B, position=1.0), B, atol=1e-13)
    part = geodesic(A, B, position=0.3)
    whole = riemannian_distance(A, B)
    assert_allclose(riemannian_distance(A, part), 0.3 * whole, rtol=1e-10)
    assert_allclose(riemannian_distance(part, B), 0.7 * whole, rtol=1e-10)


def test_mean_of_commuting_matrices_is_their_geometric_mean():
    turn = np.linalg.qr(MIX)[0]
    values = np.exp(RNG.normal(size=(5, 4)))
    matrices = turn @ (values[:, :, None] * np.eye(4)) @ turn.T
    expected = turn @ np.diag(scipy.stats.gmean(values)) @ turn.T
    assert_allclose(covariance_mean(matrices), expected, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_mean_of_two_is_the_middle_of_the_geodesic():
    # The search ends at a mean log map below 1e-8, so the mean is known to 1e-8.
    assert_allclose(covariance_mean(STACK[:2]), geodesic(A, B, position=0.5), rtol=1e-7)


@pytest.mark.usefixtures("x64")
def test_tangents_at_the_mean_add_to_zero():
    result = fit_covariance_mean(STACK, tolerance=1e-12)
    assert result.converged
    assert result.state.dtype == np.float64
    assert_allclose(log_map(STACK, result.state).mean(axis=0), 0, atol=1e-12)


def test_mixture_goes_through_the_mean():
    expected = mixed(covariance_mean(STACK, tolerance=1e-12))
    assert_allclose(covariance_mean(mixed(STACK), tolerance=1e-12), expected, rtol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("unit", [1e-26, 1e-12, 1e9])
def test_unit_does_not_matter(unit):
    ours, expected = fit_covariance_mean(unit * STACK), fit_covariance_mean(STACK)
    assert_allclose(ours.state, unit * expected.state, rtol=1e-12)
    assert ours.n_iter == expected.n_iter
    assert_allclose(log_map(unit * A, unit * B), unit * log_map(A, B), rtol=1e-10)
    assert_allclose(
        map_tangent_space(unit * STACK), map_tangent_space(STACK), rtol=1e-9, atol=1e-12
    )
    assert_allclose(
        geodesic(unit * A, unit * B, position=0.3),
        unit * geodesic(A, B, position=0.3),
        rtol=1e-12,
    )


@pytest.mark.usefixtures("x64")
def test_norm_of_a_tangent_vector_is_the_distance_to_the_mean():
    vectors = map_tangent_space(STACK, A)
    assert vectors.shape == (12, 10)
    assert_allclose(
        np.linalg.norm(vectors, axis=1), riemannian_distance(A, STACK), atol=1e-12
    )
    assert_allclose(
        map_tangent_space(STACK, covariance_mean(STACK)), map_tangent_space(STACK)
    )


@pytest.mark.usefixtures("x64")
def test_tangent_vectors_agree_with_the_symmetric_root():
    inverse = np.linalg.inv(function(np.sqrt, A))
    log = function(np.log, inverse @ B @ inverse)
    rows, columns = np.triu_indices(4)
    expected = log[rows, columns] * np.where(rows == columns, 1, np.sqrt(2))
    assert_allclose(map_tangent_space(B[None], A)[0], expected, rtol=1e-9)


def test_vector_holds_the_upper_triangle_row_by_row():
    tangent = jnp.array([[1.0, 2.0], [2.0, 3.0]])
    assert_allclose(tangent_space_vectorize(tangent), [1, 2 * 2**0.5, 3], rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_derivatives_of_the_distance():
    check_grads(jax.jit(riemannian_distance), (np.eye(4) + A, np.eye(4) + B), order=2)


@pytest.mark.usefixtures("x64")
def test_derivatives_of_the_maps():
    def maps(a, b):
        return log_map(a, b), exp_map(a, b), geodesic(a, b, position=0.3)

    # Their second derivatives are those of symmetric_function, tested there.
    check_grads(jax.jit(maps), (A[:3, :3], B[:3, :3]), order=1)


@pytest.mark.usefixtures("x64")
def test_derivatives_are_finite_where_matrices_are_equal():
    def everything(a, b):
        return riemannian_distance(a, b) + log_map(a, b).sum() + exp_map(a, b).sum()

    slopes = jax.jit(jax.grad(everything, argnums=(0, 1)))(np.eye(3), np.eye(3))
    assert np.isfinite(slopes).all()


def spread(decades):
    """Thirty matrices with eigenvalues 10^±decades, in any directions."""
    rng = np.random.default_rng(0)
    turns = np.linalg.qr(rng.normal(size=(30, 4, 4)))[0]
    powers = rng.uniform(*decades, (30, 1, 4)) * rng.choice([-1, 1], (30, 1, 4))
    matrices = (turns * 10**powers) @ turns.mT
    return (matrices + matrices.mT) / 2


def mean_log_norm(matrices, mean):
    inverse = np.linalg.inv(np.linalg.cholesky(mean))
    logs = [function(np.log, inverse @ one @ inverse.T) for one in matrices]
    return np.linalg.norm(np.mean(logs, axis=0))


def test_mean_of_widely_spread_matrices_is_found():
    matrices = spread((2, 4))
    # Matrices of condition 1e8 have logarithms to 1e-8.
    assert mean_log_norm(matrices, covariance_mean(matrices)) < 1e-7


def test_history_only_falls_and_ends_with_the_mean_that_is_returned():
    # Their condition, 1e16, leaves a mean log map of 1e-2: no convergence, no NaN.
    result = fit_covariance_mean(spread((2, 8)))
    assert result.stop_reason == "max_iter"
    assert (np.diff(result.changes) <= 0).all()
    assert result.changes[-1] < 0.02 * result.changes[0]
    calm = fit_covariance_mean(STACK)
    assert np.isfinite(calm.changes).sum() == calm.n_iter
    # The norm, 1e-9, is what is left of twelve logarithms of size 1.
    last = calm.changes[calm.n_iter - 1]
    assert_allclose(mean_log_norm(STACK, calm.state), last, rtol=1e-5)


def test_search_that_cannot_start_is_an_error():
    with pytest.raises(ConvergenceError, match="arithmetic mean, or its log maps, are"):
        fit_covariance_mean(np.array([[[1e-300]], [[1e300]]]))
    huge = fit_covariance_mean(np.full((30, 1, 1), 1e307))  # their sum overflows
    assert_allclose(huge.state, 1e307)


def test_weights_are_repetitions():
    counts = np.arange(len(STACK)) % 3
    found = covariance_mean(STACK, weights=counts.astype(float))
    wanted = covariance_mean(np.repeat(STACK, counts, axis=0))
    assert_allclose(found, wanted, rtol=1e-7)


def test_search_that_did_not_converge_is_said():
    words = r"did not converge in 1 rounds: the norm of the mean log map is \d"
    with pytest.warns(ConvergenceWarning, match=words):
        covariance_mean(STACK, max_iter=1)
    result = fit_covariance_mean(STACK, max_iter=1)
    assert not result.converged
    assert result.stop_reason == "max_iter"


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (np.diag([1.0, 1, 1, 0]), "has rank 3 of 4 and eigenvalues from 0 to 1"),
        (np.diag([1.0, 1, 1, -1]), "has rank 3 of 4 and eigenvalues from -1 to 1"),
        (np.eye(4) + 1e-3 * np.eye(4, k=1), "is not symmetric"),
        (np.full((4, 4), np.nan), "holds NaN or Inf"),
    ],
)
def test_matrix_that_is_not_positive_definite_is_refused_by_number(bad, fault):
    stack = np.stack([A, bad])
    with pytest.raises(InputError, match=rf"definite, but covariances\[1\] {fault}"):
        covariance_mean(stack)
    with pytest.raises(InputError, match=rf"definite, but b\[1\] {fault}"):
        riemannian_distance(A, stack)
    with pytest.raises(InputError, match=rf"definite, but a {fault}"):
        geodesic(bad, A, position=0.5)
    with pytest.raises(InputError, match=rf"definite, but reference {fault}"):
        log_map(A, bad)


@pytest.mark.usefixtures("x64")
def test_other_arguments_are_checked():
    with pytest.raises(ShapeError, match=r"a must be square .* but got \(4, 3\)"):
        inspect.unwrap(riemannian_distance)(A[:, :3], B)
    with pytest.raises(InputError, match="tangent contains NaN"):
        exp_map(np.nan * A, A)
    for position in (np.nan, -np.inf, np.inf):
        with pytest.raises(OptionError, match=r"position must be a number.* finite"):
            geodesic(A, B, position=position)
    with pytest.raises(OptionError, match="tolerance must be a number at least 0"):
        fit_covariance_mean(STACK, tolerance=-1.0)
