import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.math.loops import fixed_point, split_blocks, sum_over_blocks

DATA = np.random.default_rng(0).normal(1e3, 1, (3, 1003))


def newton_root_of_two(x):
    moved = (x + 2 / x) / 2
    return moved, abs(moved - x)


def halve(x):
    return x / 2, x / 2


def moments(block):
    return {"sum": block.sum(axis=1), "gram": block @ block.T, "n": block.shape[1]}


def cut(data, places):
    return np.split(data, sorted(places), axis=-1)


@pytest.mark.usefixtures("x64")
def test_converged_loop_reports_state_and_history():
    result = fixed_point(
        newton_root_of_two, jnp.array(1.0), max_iter=20, tolerance=1e-12
    )
    assert_allclose(result.state, 2**0.5, rtol=1e-15)
    n_iter = int(result.n_iter)
    assert result.stop_reason == "tolerance"
    assert (result.changes[: n_iter - 1] >= 1e-12).all()
    assert result.changes[n_iter - 1] < 1e-12
    assert np.isnan(result.changes[n_iter:]).all()


@pytest.mark.usefixtures("x64")
def test_running_out_of_rounds_is_said():
    result = fixed_point(halve, jnp.array(1.0), max_iter=3, tolerance=0.125)
    assert result.stop_reason == "max_iter"
    assert not result.converged
    assert_array_equal(result.changes, [0.5, 0.25, 0.125])
    assert_array_equal(result.state, 0.125)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_loop_that_leaves_the_numbers_stops_at_once(value):
    def fail_in_round_two(state):
        return state + 1, jnp.where(state == 1, value, 1.0)

    result = fixed_point(fail_in_round_two, jnp.array(0.0), max_iter=9, tolerance=0.1)
    assert result.stop_reason == "not_finite"
    assert result.n_iter == 2
    assert not result.converged


def test_loop_runs_inside_jit_and_vmap():
    def run(start):
        return fixed_point(halve, start, max_iter=30, tolerance=0.3)

    assert jax.jit(run)(1.0).n_iter == 2
    assert jax.vmap(run)(jnp.array([1.0, 4.0])).n_iter.tolist() == [2, 4]


def test_loop_without_rounds_is_refused():
    with pytest.raises(OptionError, match="max_iter must be a whole number >= 1"):
        fixed_point(halve, jnp.array(1.0), max_iter=0, tolerance=0.1)


@settings(max_examples=50, deadline=None)
@given(
    places=st.lists(st.integers(0, DATA.shape[1]), max_size=12),
    block_size=st.integers(1, 1200),
)
def test_sums_are_the_same_bits_for_any_chunks(places, block_size):
    whole = sum_over_blocks(moments, [DATA], block_size=block_size)
    parts = sum_over_blocks(moments, iter(cut(DATA, places)), block_size=block_size)
    assert_array_equal(parts["sum"], whole["sum"])
    assert_array_equal(parts["gram"], whole["gram"])
    assert parts["n"] == DATA.shape[1]


@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_are_the_same_bytes_for_any_layout(order):
    blocks = list(split_blocks(cut(np.asarray(DATA, order=order), [5]), block_size=400))
    assert [block.shape[1] for block in blocks] == [400, 400, 203]
    assert all(block.flags.c_contiguous for block in blocks)
    assert_array_equal(np.concatenate(blocks, axis=1), DATA)


@pytest.mark.parametrize("n_blocks", [1, 2, 5, 7, 8])
def test_sum_is_the_balanced_tree_over_the_blocks(n_blocks):
    def write(block):
        return np.array(f"{block[0]:.0f}", dtype=object)

    def join(texts):
        """Halves of the largest power of two below: the tree in its usual form."""
        if len(texts) == 1:
            return texts[0]
        half = 2 ** ((len(texts) - 1).bit_length() - 1)
        return f"({join(texts[:half])}{join(texts[half:])})"

    class Bracket(str):
        def __add__(self, other):
            return Bracket(f"({self!s}{other!s})")

    chunks = [np.arange(float(n_blocks))]
    result = sum_over_blocks(
        lambda block: Bracket(write(block).item()), chunks, block_size=1
    )
    assert result == join([str(one) for one in range(n_blocks)])


def test_pairwise_sum_is_more_accurate_than_a_running_one():
    values = np.full(2**16, 0.1, np.float32)
    total = sum_over_blocks(np.sum, [values], block_size=1)
    # A running float32 sum is off by 1e-3; the tree adds equal numbers exactly.
    assert_array_equal(total, np.float32(0.1) * 2**16)


def test_one_array_in_place_of_chunks_is_refused():
    with pytest.raises(TypeError, match=r"pass \[data\] for one"):
        sum_over_blocks(np.sum, DATA)


def test_chunks_that_do_not_fit_together_are_refused():
    with pytest.raises(ShapeError, match=r"\(3,\), but chunk 1 has shape \(2, 1003\)"):
        sum_over_blocks(moments, [DATA, DATA[:2]])
    with pytest.raises(InputError, match="dtype, float64, but chunk 1 has float32"):
        sum_over_blocks(moments, [DATA, DATA.astype(np.float32)])
    with pytest.raises(InputError, match="chunks must hold at least one sample"):
        sum_over_blocks(moments, [DATA[:, :0]])
    with pytest.raises(OptionError, match="block_size must be a whole number >= 1"):
        sum_over_blocks(moments, [DATA], block_size=0)
