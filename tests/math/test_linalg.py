import inspect
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.test_util import check_grads
from numpy.testing import assert_allclose

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.math.linalg import (
    eigh_safe,
    is_skewed,
    log_determinant,
    numerical_rank,
    refuse_matrices,
    solve_psd,
    symmetric_function,
    symmetric_power,
)

UNITS = [1e-15, 1e-6, 1e9]


def spd(*shape, seed=0):
    half = np.random.default_rng(seed).normal(size=(*shape, 2 * shape[-1]))
    return half @ half.mT / half.shape[-1]


def singular(n=4):
    """A covariance whose last two variables are copies of the first two."""
    half = np.random.default_rng(1).normal(size=(n, 50))
    half[-2:] = half[:2]
    return half @ half.T


def check_derivatives(function, *arguments):
    """Forward, reverse, second order; jitted, which is quicker than eager."""
    check_grads(jax.jit(function), arguments, order=2)


def off_diagonal(n, i, j):
    tangent = np.zeros((n, n))
    tangent[i, j] = tangent[j, i] = 1
    return jnp.asarray(tangent)


def steep():
    """Condition 1e9, in a unit that float32 does not know."""
    turn = np.linalg.qr(spd(4))[0]
    return 1e-40 * (turn * [1.0, 1e-3, 1e-6, 1e-9]) @ turn.T


def in_double(tree):
    leaves = jax.tree.leaves(tree)
    return {(type(one), str(one.dtype)) for one in leaves} == {(np.ndarray, "float64")}


# Rounding makes the smallest eigenvalue uncertain by eps times the condition, 2e-7.
def test_numpy_is_computed_in_float64_whatever_the_flag():
    matrix = (steep() + steep().T) / 2
    assert_allclose(eigh_safe(matrix)[0], np.linalg.eigvalsh(matrix), rtol=1e-5)
    assert_allclose(log_determinant(matrix), np.linalg.slogdet(matrix)[1], rtol=1e-8)
    root = symmetric_power(matrix)
    assert_allclose(root @ root, matrix, atol=1e-54)
    assert_allclose(symmetric_function(jnp.sqrt, matrix), root, atol=1e-34)
    answer = solve_psd(matrix, matrix)
    assert_allclose(answer.solution, np.eye(4), atol=1e-5)
    assert not is_skewed(matrix)
    assert is_skewed(matrix + 1e-46 * np.eye(4, k=1))
    solution = answer.solution, answer.jitter
    assert in_double((eigh_safe(matrix), log_determinant(matrix), root, solution))


@pytest.mark.parametrize("dtype", ["i8", "f2", ">f8"])
def test_other_numbers_of_numpy_are_float64_too(dtype):
    matrix = np.array([[2, 1], [1, 2]], dtype)
    assert in_double((log_determinant(matrix), symmetric_power(matrix)))
    assert_allclose(log_determinant(matrix), np.log(3), rtol=1e-14)


def test_float32_and_jax_stay_as_they_are():
    single = np.eye(2, dtype=np.float32)
    assert log_determinant(single).dtype == np.float32
    assert type(symmetric_power(single)) is np.ndarray
    assert isinstance(log_determinant(jnp.eye(2)), jax.Array)
    mixed = solve_psd(np.eye(2), jnp.ones((2, 1))).solution
    assert isinstance(mixed, jax.Array)
    assert mixed.dtype == np.float32


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("unit", [1e-26, 1.0, 1e9])
@pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-3])
def test_rotation_of_eigenvectors_is_broadened_relative_to_the_eigenvalues(gap, unit):
    matrix = jnp.diag(unit * jnp.array([1.0, 1.0 + gap]))
    _, (_, change) = jax.jvp(eigh_safe, (matrix,), (unit * off_diagonal(2, 0, 1),))
    # The gap itself is known to eps / gap = 2e-7.
    assert_allclose(abs(change[0, 1]), gap / (gap**2 + 1e-18), rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_derivatives_of_the_eigendecomposition():
    def invariants(matrix):
        values, vectors = eigh_safe(matrix)
        return values, vectors**2

    check_derivatives(invariants, spd(3) + np.eye(3))


@pytest.mark.usefixtures("x64")
def test_other_directions_keep_their_derivative_beside_equal_eigenvalues():
    def projector(matrix):
        last = eigh_safe(matrix)[1][:, 2]
        return jnp.outer(last, last)

    _, change = jax.jvp(
        projector, (jnp.diag(jnp.array([1.0, 1.0, 4.0])),), (off_diagonal(3, 0, 2),)
    )
    assert_allclose(change, off_diagonal(3, 0, 2) / 3, atol=1e-12)


def test_derivatives_stay_finite_in_float32_where_squares_underflow():
    matrix = 1e-26 * jnp.diag(jnp.array([1.0, 1.0, 3.0, 0.0]))
    slope = jax.grad(lambda m: (eigh_safe(m)[1] ** 3).sum())(matrix)
    assert np.isfinite(slope).all()
    assert np.isfinite(
        jax.grad(lambda m: (eigh_safe(m)[1] ** 3).sum())(0 * matrix)
    ).all()


@pytest.mark.usefixtures("x64")
def test_function_agrees_with_scipy():
    matrix = spd(5)
    for ours, theirs in [(jnp.log, scipy.linalg.logm), (jnp.exp, scipy.linalg.expm)]:
        assert_allclose(symmetric_function(ours, matrix), theirs(matrix), rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_function_of_a_stack_is_the_stack_of_functions():
    stack = spd(2, 3, 4)
    together = symmetric_power(stack, 0.3)
    assert together.shape == stack.shape
    assert_allclose(together[1, 2], symmetric_power(stack[1, 2], 0.3), rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_derivatives_of_a_power():
    check_derivatives(partial(symmetric_power, power=-0.5), spd(3) + np.eye(3))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("gap", [0.0, 1e-14, 1e-9, 1e-6, 1e-4, 1e-3])
def test_derivative_of_the_root_is_exact_at_equal_eigenvalues(gap):
    matrix = jnp.diag(jnp.array([2.0, 2.0 + gap, 7.0]))
    tangent = off_diagonal(3, 0, 1)
    _, change = jax.jvp(symmetric_power, (matrix,), (tangent,))
    expected = tangent / (2**0.5 + (2 + gap) ** 0.5)
    # eps^(2/3) = 4e-11 is what the best split between quotient and slope leaves.
    assert_allclose(change, expected, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("x64")
def test_derivative_of_the_exponential_is_exact_near_zero():
    matrix = jnp.diag(jnp.array([0.0, 1e-12, 1e-7]))
    _, change = jax.jvp(
        lambda m: symmetric_function(jnp.exp, m), (matrix,), (jnp.ones((3, 3)),)
    )
    assert_allclose(change, np.ones((3, 3)), atol=1e-6)  # the matrix is 1e-7


@pytest.mark.usefixtures("x64")
def test_root_squared_is_the_matrix():
    for matrix in (spd(5), singular(), np.zeros((2, 2))):
        root = symmetric_power(matrix)
        assert_allclose(root @ root, matrix, atol=1e-12 * np.trace(matrix))
        assert_allclose(root, root.T, atol=1e-14 * np.trace(matrix))


@pytest.mark.usefixtures("x64")
def test_negative_power_of_a_singular_matrix_is_its_pseudo_inverse():
    matrix = singular()
    inverse = symmetric_power(matrix, -1.0)
    assert_allclose(inverse, np.linalg.pinv(matrix, hermitian=True), atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_derivative_of_the_root_of_a_singular_matrix_is_finite():
    slope = jax.grad(lambda matrix: symmetric_power(matrix).sum())(singular())
    assert np.isfinite(slope).all()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("unit", UNITS)
def test_unit_does_not_matter_to_a_power(unit):
    for matrix in (spd(4), singular()):
        expected = unit**-0.5 * symmetric_power(matrix, -0.5)
        scale = abs(expected).max()
        result = symmetric_power(unit * matrix, -0.5)
        assert_allclose(result / scale, expected / scale, atol=1e-11)


@pytest.mark.usefixtures("x64")
def test_power_refuses_an_indefinite_matrix():
    stack = np.stack([np.eye(2), np.diag([-1e-6, 1.0])])
    with pytest.raises(InputError, match=r"semidefinite, but matrix\[1\] has rank 1"):
        symmetric_power(stack)
    with pytest.raises(InputError, match="matrix has rank 0 of 2"):
        symmetric_power(-np.eye(2))
    with pytest.raises(InputError, match="matrix holds NaN or Inf"):
        symmetric_power(np.full((2, 2), np.nan))
    for power in (np.nan, -np.inf, np.inf):
        with pytest.raises(OptionError, match=r"power must be a number.* finite"):
            symmetric_power(np.eye(2), power)
    assert np.isnan(jax.jit(symmetric_power)(stack)[1]).all()


@pytest.mark.usefixtures("x64")
def test_solution_agrees_with_numpy_and_needs_no_jitter():
    matrix, right = spd(2, 5), np.ones((2, 5, 3))
    answer = solve_psd(matrix, right)
    assert_allclose(answer.solution, np.linalg.solve(matrix, right), rtol=1e-10)
    assert_allclose(answer.jitter, [0, 0], atol=0)
    assert answer.solved.all()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("unit", UNITS)
def test_only_a_singular_matrix_gets_a_small_jitter_in_its_unit(unit):
    stack = unit * np.stack([spd(4), singular()])
    known = np.ones((2, 4, 1))
    answer = solve_psd(stack, stack @ known)
    size = np.trace(stack[1]) / 4
    eps = np.finfo(float).eps
    assert answer.jitter[0] == 0
    assert 0.99 * eps * size < answer.jitter[1] < 1.01 * eps**0.5 * size
    # The residual of a consistent system is the jitter times the solution.
    error = stack @ answer.solution - stack @ known
    assert abs(error).max() < 1e-7 * size


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("lowest", "step"), [(-1e-13, 0.75), (-1e-9, 0.5)])
def test_jitter_is_the_smallest_that_does(lowest, step):
    answer = solve_psd(np.diag([1.0, 1.0, lowest]), np.ones((3, 1)))
    assert_allclose(answer.jitter, 2 / 3 * np.finfo(float).eps ** step, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_matrix_that_is_not_semidefinite_is_refused_or_flagged():
    stack, right = np.stack([np.eye(2), np.diag([1.0, -1e-3])]), np.ones((2, 2, 1))
    with pytest.raises(InputError, match=r"matrix\[1\] has rank 1 of 2 and eig"):
        solve_psd(stack, right)
    with pytest.raises(InputError, match="matrix has rank 0"):
        solve_psd(np.zeros((2, 2)), right[0])
    with pytest.raises(InputError, match="right contains NaN"):
        solve_psd(stack[0], right[0] * np.nan)
    flagged = jax.jit(solve_psd)(stack, right)
    assert flagged.solved.tolist() == [True, False]
    assert np.isnan(flagged.solution[1]).all()


def test_matrix_is_refused_under_a_derivative_and_flagged_under_a_map():
    def total(matrix):
        return solve_psd(matrix, jnp.ones((3, 1))).solution.sum()

    with pytest.raises(InputError, match="rank 0 of 3 and eigenvalues from -1 to -1"):
        jax.grad(total)(-jnp.eye(3))
    with pytest.raises(InputError, match="positive definite, but matrix has rank 0"):
        jax.grad(log_determinant)(-jnp.eye(3))
    assert jnp.isnan(jax.vmap(total)(-jnp.eye(3)[None])).all()
    jax.jit(lambda m: refuse_matrices("m", m, np.ones(1, bool), "good"))(
        np.eye(1)[None]
    )


@pytest.mark.parametrize(
    ("matrix", "right"),
    [((3, 3), (2, 1)), ((3, 2), (3, 1)), ((3, 3), (3,)), ((2, 3, 3), (3, 1))],
)
def test_system_of_other_shapes_is_refused(matrix, right):
    words = re.escape(f"(..., n, n) and (..., n, k), but got {matrix} and {right}.")
    with pytest.raises(ShapeError, match=words):
        inspect.unwrap(solve_psd)(np.ones(matrix), np.ones(right))


@pytest.mark.usefixtures("x64")
def test_derivatives_of_a_solution():
    def solve(matrix, right):
        return solve_psd(matrix, right).solution

    check_derivatives(solve, spd(3) + np.eye(3), np.ones((3, 2)))
    slope = jax.grad(lambda matrix: solve(matrix, matrix).sum())(singular())
    assert np.isfinite(slope).all()


def test_float32_solution_of_a_singular_matrix_is_finite():
    matrix = np.asarray(1e-12 * singular(), np.float32)
    answer = solve_psd(matrix, matrix)
    assert answer.jitter > 0
    assert np.isfinite(answer.solution).all()


@pytest.mark.usefixtures("x64")
def test_log_determinant_agrees_with_numpy():
    stack = spd(3, 5)
    assert_allclose(log_determinant(stack), np.linalg.slogdet(stack)[1], rtol=1e-12)
    assert_allclose(
        log_determinant(1e-15 * stack),
        log_determinant(stack) + 5 * np.log(1e-15),
        rtol=1e-12,
    )


@pytest.mark.usefixtures("x64")
def test_derivative_of_the_log_determinant_is_the_inverse():
    matrix = spd(4)
    assert_allclose(jax.grad(log_determinant)(matrix), np.linalg.inv(matrix), rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_log_determinant_refuses_a_singular_matrix():
    with pytest.raises(InputError, match="positive definite, but matrix has rank 1"):
        log_determinant(np.ones((2, 2)) - 1e-9 * np.eye(2))
    assert np.isnan(jax.jit(log_determinant)(-np.eye(2)))


@pytest.mark.parametrize("unit", UNITS)
def test_rank_is_relative_to_the_largest(unit):
    assert numerical_rank(unit * np.array([3.0, 1e-8, 2.0, -1e-3, 1e-6])) == 3
    assert numerical_rank(unit * np.linalg.eigvalsh(singular(6))) == 4
    assert numerical_rank(unit * np.array([1.0, 1e-8]), tolerance=1e-9) == 2


def test_rank_of_nothing_is_zero():
    assert numerical_rank(np.zeros(3)) == numerical_rank(-np.ones(3)) == 0


def test_rank_refuses_what_is_no_list_of_eigenvalues():
    with pytest.raises(InputError, match="eigenvalues contains NaN"):
        numerical_rank(np.array([1.0, np.nan]))
    with pytest.raises(ShapeError, match=r"eigenvalues must have shape \(any,\)"):
        numerical_rank(np.eye(2))
    with pytest.raises(OptionError, match=r"and below 1, but got 1\.0"):
        numerical_rank(np.ones(2), tolerance=1.0)
