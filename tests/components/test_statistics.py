"""One pass over the data, by both kernels, against the formulas and golden data."""

import logging

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.dense import assert_same, compute_dense, draw_problem

from meegic.base.errors import OptionError
from meegic.components import statistics_cpu, statistics_jax, threads
from meegic.components.kernels import make_estep, pick_kernel
from meegic.components.parameters import AmicaParameters, draw_parameters
from meegic.components.statistics_cpu import NumbaEStep
from meegic.components.statistics_jax import JaxEStep

KERNELS = ("numba", "jax")
GOLDEN = {
    "v": "Nv", "vb2": "vb2", "vx": "vx", "u": "u", "ur": "ur", "ur_y": "ur_y",
    "ur_y2": "ur_y2", "url": "url", "ur2": "ur2", "ur2_y2": "ur2_y2", "cross": "G",
}  # fmt: skip
# The shapes of most tests, so that JAX compiles few: M, J, n.
SMALL, LARGE = (1, 3, 5), (3, 5, 7)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/amica/estep_small.npz") as file:
        return dict(file)


def by_house(values):
    """Models, components, mixtures to models, mixtures, components."""
    return np.ascontiguousarray(values.swapaxes(1, 2))


@pytest.mark.parametrize("kernel", KERNELS)
def test_golden_statistics(golden, kernel):
    by_term = (by_house(golden[f"in_{name}"]) for name in ("alpha", "mu", "beta"))
    parameters = AmicaParameters(
        golden["in_W"], golden["in_c"], golden["in_gm"], *by_term,
        by_house(golden["in_rho"]),
    )  # fmt: skip
    scores = np.full(golden["e_P"].shape, np.nan)
    estep = make_estep(golden["x"], jacobian=float(golden["sldet"]), kernel=kernel)
    found = estep(parameters, golden["keep"].astype(float), scores)
    for ours, theirs in GOLDEN.items():
        wanted = golden[f"e_{theirs}"]
        wanted = by_house(wanted) if ours.startswith("u") else wanted
        bound = 1e-11 * np.abs(wanted).max()
        assert_allclose(getattr(found, ours), wanted, rtol=0, atol=bound, err_msg=ours)
    assert found.n_samples == golden["e_n_kept"]
    per_sample = found.log_likelihood / found.n_samples / len(golden["x"])
    assert_allclose(per_sample, golden["e_LL"], rtol=1e-13)
    assert_allclose(found.log_likelihood, golden["e_LL_sum"], rtol=1e-13)
    assert_allclose(scores, golden["e_P"], rtol=1e-12)
    joint = np.logaddexp.reduce(scores, axis=0)
    assert_allclose(joint, golden["e_L"], rtol=1e-12)
    assert_allclose(np.exp(scores - joint), golden["e_posteriors"], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 7)),
    n_times=st.integers(1, 700),
    chunk=st.sampled_from([None, 64, 100]),
    seed=st.integers(0, 2**32 - 1),
)
def test_numba_is_the_dense_formula(sizes, n_times, chunk, seed):
    x, parameters, weights = draw_problem(seed, *sizes, n_times)
    scores = np.full((sizes[0], n_times), np.nan)
    estep = NumbaEStep(x, jacobian=0.5, chunk=chunk)
    found = estep(parameters, weights, scores)
    expected, expected_scores = compute_dense(x, parameters, weights, 0.5)
    assert_same(found, expected)
    assert_allclose(scores, expected_scores, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("sizes", "n_times"),
    [(SMALL, 1), (SMALL, 50), (SMALL, 64), (SMALL, 321), (SMALL, 384), (LARGE, 333),
     ((2, 1, 1), 350)],
)  # fmt: skip
def test_jax_is_the_dense_formula(sizes, n_times):
    x, parameters, weights = draw_problem(n_times, *sizes, n_times)
    scores = np.full((sizes[0], n_times), np.nan)
    found = JaxEStep(x, jacobian=0.5, chunk=64)(parameters, weights, scores)
    expected, expected_scores = compute_dense(x, parameters, weights, 0.5)
    assert_same(found, expected)
    assert_allclose(scores, expected_scores, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sizes", [SMALL, LARGE])
def test_float32_agrees_to_its_precision(kernel, sizes):
    x, parameters, weights = draw_problem(5, *sizes, 333)
    scores = np.empty((sizes[0], 333))
    estep = make_estep(x, kernel=kernel, dtype="float32", chunk=64)
    found = estep(parameters, weights, scores)
    expected, expected_scores = compute_dense(x, parameters, weights)
    # 1e-7 of y, enlarged by the exponential of a large r.
    assert_same(found, expected, tolerance=1e-5)
    assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-6)
    assert_allclose(scores, expected_scores, rtol=1e-5, atol=1e-5)
    assert_same(estep(parameters, weights, scores), found, tolerance=0)


def test_float32_totals_are_in_float64():
    """A million equal samples: totals in float32 would be off by a hundredth."""
    n_times = 2**20 + 3
    x = np.full((1, n_times), 0.1)
    parameters = draw_parameters(1, n_mix=1, rho=1.0)
    for kernel in KERNELS:
        found = make_estep(x, kernel=kernel, dtype="float32", chunk=64)(
            parameters, np.ones(n_times)
        )
        assert_allclose(found.v, n_times, rtol=1e-12)
        assert_allclose(found.vx, n_times * 0.1, rtol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sizes", [SMALL, LARGE])
def test_blocks_do_not_matter(kernel, sizes):
    x, parameters, weights = draw_problem(1, *sizes, 333)
    expected = make_estep(x, kernel=kernel, chunk=64)(parameters, weights)
    for chunk in (100, None, 333) if kernel == "numba" else (100,):
        found = make_estep(x, kernel=kernel, chunk=chunk)(parameters, weights)
        assert_same(found, expected)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_threads_change_no_bit(monkeypatch, dtype):
    x, parameters, weights = draw_problem(2, 2, 3, 5, 5000)
    estep = NumbaEStep(x, dtype=dtype, chunk=64)
    found = []
    for n_threads in (1, 2, 2, 2, 1):
        monkeypatch.setattr(threads, "count_threads", lambda n=n_threads: n)
        found.append(estep(parameters, weights))
    for one in found[1:]:
        assert_same(one, found[0], tolerance=0)


def test_repeated_calls_of_jax_change_no_bit():
    x, parameters, weights = draw_problem(2, *SMALL, 333)
    first = JaxEStep(x, chunk=64)(parameters, weights)
    again = JaxEStep(x, chunk=64)
    for _ in range(3):
        assert_same(again(parameters, weights), first, tolerance=0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [1e3, 1e9])
@pytest.mark.parametrize("sizes", [SMALL, LARGE])
def test_far_samples_do_not_vanish(kernel, size, sizes):
    """Densities underflow there: only relative to the largest term they are numbers."""
    x, parameters, weights = draw_problem(3, *sizes, 333)
    weights[[7, 100]] = 1.0
    x[:, 7] = size
    x[0, 100] = -size
    scores = np.empty((sizes[0], 333))
    found = make_estep(x, kernel=kernel, chunk=64)(parameters, weights, scores)
    expected, expected_scores = compute_dense(x, parameters, weights)
    assert np.isfinite(found.log_likelihood)
    assert_same(found, expected)
    assert_allclose(scores, expected_scores, rtol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_far_samples_in_float32_stay_finite(kernel):
    x, parameters, weights = draw_problem(3, *SMALL, 333)
    weights[7] = 1.0
    x[:, 7] = 1e9
    found = make_estep(x, kernel=kernel, dtype="float32", chunk=64)(parameters, weights)
    expected, _ = compute_dense(x, parameters, weights)
    assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-5)
    assert all(np.isfinite(one).all() for one in found)


@pytest.mark.parametrize(("dtype", "y"), [("float64", 80.0), ("float32", 40.0)])
def test_many_small_densities_do_not_underflow_together(dtype, y):
    """Numba takes the logarithm of products; these are just large enough for it."""
    n = 17
    x = np.full((n, 100), y)
    parameters = draw_parameters(n, n_mix=1, rho=1.0)
    found = NumbaEStep(x, dtype=dtype)(parameters, np.ones(100))
    wanted = -100 * n * (y + np.log(2))
    assert_allclose(found.log_likelihood, wanted, rtol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("rho", [1.0, 1.5, 2.0])
def test_samples_at_the_center_of_a_term_stay_finite(kernel, rho):
    x, parameters, weights = draw_problem(4, *SMALL, 333)
    parameters = parameters._replace(
        unmix=np.eye(5)[None],
        center=np.zeros((1, 5)),
        mu=np.zeros((1, 3, 5)),
        rho=np.full((1, 3, 5), rho),
    )
    x[:, 5] = 0.0
    weights[5] = 1.0
    found = make_estep(x, kernel=kernel, chunk=64)(parameters, weights)
    assert_same(found, compute_dense(x, parameters, weights)[0])
    single = make_estep(x, kernel=kernel, dtype="float32", chunk=64)
    assert all(np.isfinite(one).all() for one in single(parameters, weights))


@pytest.mark.parametrize("kernel", KERNELS)
def test_samples_without_weight_count_for_nothing(kernel):
    x, parameters, weights = draw_problem(6, *SMALL, 333)
    estep = make_estep(x, kernel=kernel, chunk=64)
    x_other = np.where(weights == 0, 1e3, x)
    other = make_estep(x_other, kernel=kernel, chunk=64)
    scores, other_scores = np.empty((2, 1, 333))
    expected = estep(parameters, weights, scores)
    assert_same(other(parameters, weights, other_scores), expected)
    # Their densities are computed all the same.
    assert_allclose(other_scores, compute_dense(x_other, parameters, weights)[1])
    nothing = estep(parameters, np.zeros(333))
    assert nothing.n_samples == nothing.log_likelihood == 0
    assert not nothing.cross.any()


@pytest.mark.parametrize("kernel", KERNELS)
def test_models_may_be_permuted(kernel):
    x, parameters, weights = draw_problem(7, *LARGE, 333)
    order = [2, 0, 1]
    estep = make_estep(x, kernel=kernel, chunk=64)
    expected = estep(parameters, weights)
    permuted = AmicaParameters(*(one[order] for one in parameters))
    found = estep(permuted, weights)
    for name in GOLDEN:
        wanted = getattr(expected, name)[order]
        bound = 1e-13 * np.abs(wanted).max()
        assert_allclose(getattr(found, name), wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_data_are_never_written_to(kernel, dtype, tmp_path):
    x, parameters, weights = draw_problem(8, *SMALL, 333)
    (tmp_path / "data").write_bytes(x.astype(dtype).tobytes())
    data = np.memmap(tmp_path / "data", dtype, "r", shape=x.shape)
    weights.flags.writeable = False
    for one in parameters:
        one.flags.writeable = False
    found = make_estep(data, kernel=kernel, dtype=dtype, chunk=64)(parameters, weights)
    plain = make_estep(x, kernel=kernel, dtype=dtype, chunk=64)(parameters, weights)
    assert_same(found, plain, tolerance=0)
    assert_array_equal(data, x.astype(dtype))


@pytest.mark.parametrize("kernel", KERNELS)
def test_layout_of_the_data_does_not_matter(kernel):
    x, parameters, weights = draw_problem(9, *SMALL, 333)
    expected = make_estep(x, kernel=kernel, chunk=64)(parameters, weights)
    for data in (np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, 1)[:, ::2]):
        found = make_estep(data, kernel=kernel, chunk=64)(parameters, weights)
        assert_same(found, expected, tolerance=0)


def test_code_is_kept_in_memory_where_no_folder_is_writable(monkeypatch):
    class Uncacheable:
        def __call__(self):
            return "compiled"

        def enable_caching(self):
            raise RuntimeError("cannot cache function: no locator available")

    compiled = Uncacheable()
    monkeypatch.setattr(statistics_cpu, "njit", lambda **_: lambda _: compiled)
    assert statistics_cpu._compile(lambda: None) is compiled


def test_kernel_is_numba_on_one_processor():
    assert pick_kernel("auto", "cpu") == "numba"
    assert pick_kernel("auto", "gpu") == "jax"
    assert pick_kernel("jax", "cpu") == "jax"
    with pytest.raises(OptionError, match="kernel must be 'auto', 'numba' or 'jax'"):
        make_estep(np.ones((1, 9)), kernel="numpy")  # pyright: ignore


def has_gpu():
    return any(one.platform == "gpu" for one in jax.devices())


@pytest.mark.skipif(has_gpu(), reason="needs a machine without a GPU")
def test_row_54_absent_gpu_is_an_error():
    with pytest.raises(OptionError, match="'gpu' was asked for, but JAX finds only"):
        make_estep(np.ones((1, 9)), device="gpu")


def fail_first(monkeypatch, error, times):
    """Let the pass fail the first times; return the list of blocks it was given."""
    run, calls = statistics_jax._pass, []

    def maybe(data, *args, **kwargs):
        calls.append((data.shape[-1], data.dtype.name))
        if len(calls) <= times:
            raise error
        return run(data, *args, **kwargs)

    monkeypatch.setattr(statistics_jax, "_pass", maybe)
    return calls


OUT_OF_MEMORY = jax.errors.JaxRuntimeError(
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes."
)


def test_row_54_out_of_memory_halves_the_block_once(monkeypatch, caplog):
    x, parameters, weights = draw_problem(10, *SMALL, 333)
    calls = fail_first(monkeypatch, OUT_OF_MEMORY, times=1)
    estep = JaxEStep(x, chunk=128)
    with caplog.at_level(logging.WARNING, "meegic.components"):
        found = estep(parameters, weights)
    assert_same(found, compute_dense(x, parameters, weights)[0])
    assert calls == [(128, "float64"), (64, "float64")]
    assert "blocks now have 64 samples" in caplog.text
    estep(parameters, weights)
    assert calls[2:] == [(64, "float64")]


@pytest.mark.parametrize(
    ("error", "n_calls"),
    [(OUT_OF_MEMORY, 2), (jax.errors.JaxRuntimeError("INTERNAL: broken"), 1)],
)
def test_row_54_other_errors_and_a_second_one_are_loud(monkeypatch, error, n_calls):
    x, parameters, weights = draw_problem(10, *SMALL, 333)
    calls = fail_first(monkeypatch, error, times=9)
    with pytest.raises(jax.errors.JaxRuntimeError, match=str(error)[:9]):
        JaxEStep(x, chunk=128)(parameters, weights)
    assert len(calls) == n_calls


def test_similar_lengths_share_compiled_code():
    _, parameters, _ = draw_problem(11, *SMALL, 1)
    sizes = []
    for n_times in (1025, 1100, 1152):  # 17 and 18 blocks
        x = np.ones((5, n_times))
        JaxEStep(x, chunk=64)(parameters, np.ones(n_times))
        sizes.append(statistics_jax._pass._cache_size())
    assert sizes[0] == sizes[1] == sizes[2]


def test_room_for_blocks_is_at_most_an_eighth_more():
    for n_blocks in range(1, 3000):
        layout = statistics_jax._Layout(n_times=n_blocks, n_devices=1, chunk=1)
        assert n_blocks <= layout.room <= n_blocks * 1.125


@pytest.mark.parametrize(
    ("platform", "memory", "n", "n_times", "chunk"),
    [
        ("cpu", None, 32, 10**6, 128),
        ("cpu", None, 64, 10**6, 64),
        ("cpu", None, 200, 10**6, 64),
        ("gpu", {"bytes_limit": 2**30, "bytes_in_use": 0}, 64, 10**6, 20928),
        ("gpu", {"bytes_limit": 2**30, "bytes_in_use": 2**29}, 64, 10**6, 10432),
        ("gpu", {"bytes_limit": 2**40, "bytes_in_use": 0}, 64, 1000, 1024),
        ("gpu", None, 64, 10**6, 20928),
    ],
)
def test_block_fits_the_cache_or_the_free_memory(platform, memory, n, n_times, chunk):
    found = statistics_jax._choose_chunk(platform, memory, n_times, n * 3 * 8)
    assert found == chunk


def test_flag_of_the_user_is_untouched():
    assert not jax.config.jax_enable_x64
    x, parameters, weights = draw_problem(12, *SMALL, 333)
    found = JaxEStep(x, chunk=64)(parameters, weights)
    assert not jax.config.jax_enable_x64
    assert found.cross.dtype == np.float64
    assert type(found.cross) is np.ndarray
    assert type(found.log_likelihood) is float
