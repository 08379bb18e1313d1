"""Rows 21-24, 26, 28-35 and 48-53 of the table of faults: fits of arrays."""

import warnings
from inspect import unwrap

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.fits import Faulty, make_problem, simulate

from meegic.base.errors import (
    ConvergenceError,
    ConvergenceWarning,
    DataWarning,
    InputError,
    OptionError,
    RankError,
    ShapeError,
)
from meegic.components.amica import fit_amica
from meegic.components.kernels import make_estep
from meegic.components.options import AmicaOptions

SHARP = AmicaOptions(
    solver="em", newt_start=10, min_nd=1e-12, use_min_dll=False, max_iter=120,
    n_mix=1, minrho=1.5, maxrho=1.5,
)  # fmt: skip
SHORT = AmicaOptions(max_iter=15)


@pytest.fixture(scope="module")
def data():
    return simulate(4, 2000, flat=False)[0]


def fit_quietly(data, options=SHORT, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return unwrap(fit_amica)(data, options, **kwargs)


def scaled_sources(model, data):
    sources = np.abs(model.unmix(data))
    return sources / sources.std(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(np.nan, id="row-21-nan"),
        pytest.param(np.inf, id="row-22-inf"),
        pytest.param(-np.inf, id="row-22-minus-inf"),
    ],
)
def test_values_that_are_not_finite(data, value):
    dirty = data.copy()
    dirty[2, [7, 9]] = value
    words = r"data contains NaN or Inf: 2 values, the first at index \(2, 7\)"
    with pytest.raises(InputError, match=words):
        fit_amica(dirty)
    model = fit_quietly(data)
    with pytest.raises(InputError, match=words):
        model.score(dirty)


@pytest.mark.parametrize("constant", [0.0, 1.0], ids=["row-23-zero", "row-23-one"])
def test_a_flat_channel_lowers_the_rank(data, constant):
    flat = data.copy()
    flat[1] = constant
    model = fit_quietly(flat)
    assert model.n_components == 3
    assert_allclose(model.maps[:, 1], 0, atol=1e-12)
    assert np.isfinite(model.log_likelihood)


@pytest.mark.parametrize("constant", [0.0, 1.0], ids=["row-24-zero", "row-24-one"])
def test_all_channels_flat(constant):
    with pytest.raises(InputError, match="all channels are flat: nothing varies"):
        fit_amica(np.full((4, 2000), constant))


@pytest.mark.parametrize("kind", ["row-25-duplicate", "row-26-average", "row-26-inter"])
def test_dependent_channels_lower_the_rank(data, kind):
    if kind == "row-25-duplicate":
        dependent = np.vstack([data, data[:1]])
    elif kind == "row-26-average":
        extra = np.random.default_rng(0).laplace(size=(1, 2000))
        dependent = np.vstack([data, extra])
        dependent = dependent - dependent.mean(axis=0)
    else:
        dependent = np.vstack([data, 0.3 * data[:1] + 0.7 * data[2:3]])
    model = fit_quietly(dependent)
    assert model.n_components == 4
    assert model.whitener.forward.shape == (4, 5)
    assert model.maps.shape == (1, 5, 4)
    restored = model.maps[0] @ model.unmix(dependent)[0]
    centered = dependent - dependent.mean(axis=1, keepdims=True)
    assert_allclose(restored, centered, atol=1e-9)


@pytest.mark.parametrize("factor", [1e-15, 1e-13, 1e-6, 2.0**20, 1e6, 1e9])
def test_row_28_units(data, factor):
    plain, other = fit_amica(data, SHARP), fit_amica(factor * data, SHARP)
    assert max(one.history.gradient_norm[-1] for one in (plain, other)) < 1e-10
    ours = scaled_sources(plain, data)
    assert np.abs(ours - scaled_sources(other, factor * data)).max() < 1e-8
    shifted = plain.log_likelihood - np.log(factor)
    assert_allclose(other.log_likelihood, shifted, rtol=0, atol=1e-11)
    assert_allclose(other.maps, factor * plain.maps, rtol=1e-8, atol=1e-9 * factor)


def test_row_29_types_of_channels(data):
    mixed = data * np.array([[1e-13], [1e-13], [1e-4], [1e-4]])
    plain, other = fit_amica(data, SHARP), fit_amica(mixed, SHARP)
    assert other.n_components == 4
    ours = scaled_sources(plain, data)
    assert np.abs(ours - scaled_sources(other, mixed)).max() < 1e-8
    sizes = np.array([1e13, 1e13, 1e4, 1e4])
    given = fit_amica(mixed, SHARP, scale=sizes)
    assert np.abs(ours - scaled_sources(given, mixed)).max() < 1e-8
    assert_array_equal(given.whitener.scale, sizes)


def test_row_30_one_spike():
    # Sphered samples are never larger than sqrt(T): here 141, of which 100 is reported.
    spiked, _ = simulate(4, 20_000, flat=False)
    spiked[1, 777] = 1e9
    with pytest.warns(DataWarning, match="usual, at 777; do_reject=True"):
        model = fit_quietly(spiked, AmicaOptions(max_iter=40))
    assert model.n_components == 4
    assert np.isfinite(model.log_likelihood)
    assert all(np.isfinite(one).all() for one in model.parameters)
    options = AmicaOptions(max_iter=40, do_reject=True, num_reject=2)
    with pytest.warns(DataWarning, match="777"):
        model = fit_quietly(spiked, options)
    assert model.rejected[777]
    assert model.rejected.sum() < 1000


def test_row_31_short_recordings():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="at least 12 times for 6 channels, but got 9"):
        fit_amica(rng.normal(size=(6, 9)))
    with pytest.warns(DataWarning, match=r"719 samples are few for 6.* = 720 is"):
        fit_quietly(rng.laplace(size=(6, 719)))
    fit_quietly(rng.laplace(size=(6, 720)))  # without a warning


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        pytest.param((4, 0), "data", id="row-32-no-times"),
        pytest.param((4, 1), "data", id="row-32-one-sample"),
        pytest.param((0, 100), "data", id="row-32-no-channel"),
        pytest.param((1, 100), "at least 2 channels", id="row-32-one-channel"),
    ],
)
def test_next_to_nothing(shape, words):
    with pytest.raises(InputError, match=words):
        fit_amica(np.ones(shape))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        pytest.param((2, 4, 300), "data must", id="row-33-three-axes"),
        pytest.param((300,), "data must", id="row-33-one-axis"),
        pytest.param((300, 4), "transposed", id="row-33-transposed"),
    ],
)
def test_wrong_shapes(shape, words):
    with pytest.raises(ShapeError, match=words):
        unwrap(fit_amica)(np.zeros(shape))  # the tests' check of types is quicker


def make_kinds(folder):
    whole = np.round(200 * simulate(4, 2000, flat=False)[0])
    path = folder / "data.dat"
    stored = np.memmap(path, np.float64, "w+", shape=whole.shape)
    stored[:] = whole
    stored.flush()
    locked = np.memmap(path, np.float64, "r", shape=whole.shape)
    strided = np.repeat(whole, 2, axis=1)[:, ::2]
    return {
        "int16": whole.astype(np.int16),
        "int64": whole.astype(np.int64),
        "float16": whole.astype(np.float16),
        "float32": whole.astype(np.float32),
        "big-endian": whole.astype(">f8"),
        "big-endian-int": whole.astype(">i4"),
        "memmap": locked,
        "fortran": np.asfortranarray(whole),
        "strided": strided,
        "jax": jax.numpy.asarray(whole, dtype="float32"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(one, id=f"row-34-{one}")
        for one in ("int16", "int64", "float16", "float32", "big-endian",
                    "big-endian-int", "memmap", "fortran", "strided", "jax")
    ],
)  # fmt: skip
def test_kinds_of_arrays(tmp_path, kind):
    given = make_kinds(tmp_path)[kind]
    values = np.array(given, dtype=float)
    before = np.array(given)
    model = fit_quietly(given)
    wanted = fit_quietly(values)
    for one, other in zip(model.parameters, wanted.parameters, strict=True):
        assert one.dtype == np.float64
        assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert_array_equal(np.array(given), before)
    if isinstance(given, np.ndarray):
        given.flags.writeable = False  # nothing tries to write
        fit_quietly(given, AmicaOptions(max_iter=3))


@pytest.mark.parametrize(
    "dtype",
    [
        pytest.param(complex, id="row-35-complex"),
        pytest.param(object, id="row-35-object"),
        pytest.param("U8", id="row-35-text"),
    ],
)
def test_wrong_dtypes(data, dtype):
    wrong = data.astype(dtype)
    with pytest.raises(InputError, match=str(wrong.dtype)):
        unwrap(fit_amica)(wrong)


def test_row_49_more_components_than_the_rank(data):
    dependent = np.vstack([data, data.sum(axis=0)])
    with pytest.raises(RankError, match="rank of the data, 4, but got 5"):
        fit_amica(dependent, AmicaOptions(n_components=5))
    fewer = fit_quietly(dependent, AmicaOptions(n_components=3, max_iter=15))
    assert fewer.n_components == 3
    for wrong in (0, -1, 6):
        with pytest.raises(OptionError, match="n_components must be a whole number"):
            fit_amica(dependent, AmicaOptions(n_components=wrong))


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_row_50_not_converged(data, solver):
    options = AmicaOptions(solver=solver, max_iter=15)
    with pytest.warns(ConvergenceWarning, match="max_iter=15 while the log-likelihood"):
        model = fit_amica(data, options)
    assert not model.converged
    assert model.stop_reason == "max_iter"
    further = fit_quietly(data, AmicaOptions(solver=solver, max_iter=40), start=model)
    assert further.log_likelihood > model.log_likelihood


@pytest.mark.parametrize("kind", ["nan", "falls"])
@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
@pytest.mark.parametrize("n_times", [1, 2, 3, 10**9])
def test_row_51_faulty_passes(data, solver, kind, n_times):
    options = AmicaOptions(solver=solver, max_iter=24, use_min_dll=False)
    for first in range(1, 21):
        problem, start = make_problem(
            data[:3, :400], options,
            wrap=lambda estep, first=first: Faulty(estep, first, kind, n_times),
        )  # fmt: skip
        try:
            state = problem.run(problem.start(start), limit=24)
        except ConvergenceError:
            assert kind == "nan"
            assert n_times >= 3
            continue
        assert not (kind == "nan" and n_times > 20), first
        values = state.history[:, 0]
        assert np.isfinite(values).all()
        assert np.diff(values).min(initial=0) > -1e-9
        parameters = problem.solver.finish(state.solver)
        assert all(np.isfinite(one).all() for one in parameters)
        if n_times <= 3:
            assert state.reason == "max_iter"
            assert values[-1] > values[0]
        else:
            assert state.reason in ("max_iter", "minlrate", "line_search")


def test_row_51_retries_are_shorter_and_no_more_than_three(data):
    options = AmicaOptions(solver="em", max_iter=40, use_min_dll=False)
    seen = []

    class Watch(Faulty):
        def __call__(self, parameters, weights, scores=None):
            seen.append(np.array(parameters.unmix))
            return super().__call__(parameters, weights, scores)

    problem, start = make_problem(
        data, options, wrap=lambda one: Watch(one, 15, "nan", 99)
    )
    with pytest.raises(ConvergenceError, match="at iteration 15, 3 times in a row"):
        problem.run(problem.start(start), limit=40)
    assert len(seen) == 17
    good = seen[13]
    steps = [np.linalg.norm(np.linalg.inv(one) - np.linalg.inv(good)) for one in seen]
    assert steps[15] < 0.6 * steps[14]
    assert steps[16] < 0.6 * steps[15]


def test_row_51_a_start_that_fails_is_drawn_again_three_times(data):
    for n_bad, enough in ((3, True), (4, False)):
        problem, start = make_problem(
            data, SHORT, wrap=lambda one, n=n_bad: Faulty(one, 1, "nan", n)
        )
        if enough:
            state = problem.run(problem.start(start), limit=15)
            assert state.n_redraws == 3
            continue
        with pytest.raises(ConvergenceError, match="do_reject=True"):
            problem.run(problem.start(start), limit=15)


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_row_52_a_model_dies(data, solver):
    options = AmicaOptions(n_models=2, solver=solver, max_iter=30, use_min_dll=False)
    problem, start = make_problem(data, options)
    far = start.center.copy()
    far[1] += 1e3  # the second model is nowhere near the data
    start = start._replace(center=far)
    with np.errstate(divide="raise", invalid="raise"):
        state = problem.run(problem.start(start), limit=30)
    assert_array_equal(state.deaths > 0, [False, True])
    assert state.solver.sums.v.min() > 8  # it lives again
    assert np.isfinite(state.history).all()


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_row_52_a_model_that_dies_again_is_kept_out(data, solver):
    options = AmicaOptions(n_models=2, solver=solver, max_iter=30, use_min_dll=False)

    class Deadly:
        def __init__(self, estep):
            self.estep = estep

        def __call__(self, parameters, weights, scores=None):
            center = parameters.center.copy()
            center[1] += 1e3
            return self.estep(parameters._replace(center=center), weights, scores)

    problem, start = make_problem(data, options, wrap=Deadly)
    with (
        np.errstate(divide="raise", invalid="raise"),
        pytest.warns(DataWarning, match="model 1 explains fewer than 8 samples again"),
    ):
        state = problem.run(problem.start(start), limit=30)
    parameters = problem.solver.finish(state.solver)
    assert all(np.isfinite(one).all() for one in parameters)
    assert parameters.weight[1] < 1e-2
    assert_allclose(parameters.weight.sum(), 1)
    assert np.isfinite(state.history).all()


@pytest.mark.parametrize("kernel", ["numba", "jax"])
@pytest.mark.parametrize("flag", [False, True])
def test_row_53_flags_of_the_caller_stay(data, kernel, flag):
    options = AmicaOptions(kernel=kernel, max_iter=4)
    with jax.enable_x64(flag):
        model = fit_quietly(data, options)
        assert jax.config.jax_enable_x64 is flag
        assert jax.numpy.zeros(1).dtype == (np.float64 if flag else np.float32)
        with pytest.raises(ConvergenceError):
            fit_amica(data, options, callback=fail)
        assert jax.config.jax_enable_x64 is flag
    assert all(one.dtype == np.float64 for one in model.parameters)
    assert type(model.parameters.unmix) is np.ndarray


def fail(progress):
    raise ConvergenceError("on purpose")


def test_row_53_other_flags_of_jax(data):
    given = {"max_iter": 2, "chunk_t": 320}
    x = data[:, :320]
    plain = fit_quietly(x, AmicaOptions(kernel="jax", **given))
    with jax.debug_nans(True):
        strict = fit_quietly(x, AmicaOptions(kernel="jax", **given))
        assert jax.config.jax_debug_nans
    assert_array_equal(strict.parameters.unmix, plain.parameters.unmix)
    with jax.disable_jit():
        eager = fit_quietly(x, AmicaOptions(**given))
        assert jax.config.jax_disable_jit
    assert_allclose(eager.parameters.unmix, plain.parameters.unmix, rtol=1e-9)


@pytest.mark.slow
def test_row_53_without_compilation(data):
    x, options = data[:, :320], AmicaOptions(kernel="jax", max_iter=1, chunk_t=320)
    plain = fit_quietly(x, options)
    with jax.disable_jit():
        eager = fit_quietly(x, options)
    assert_allclose(eager.log_likelihood, plain.log_likelihood, rtol=1e-12)


def test_row_53_the_kernels_agree(data):
    steps = [make_estep(data, kernel=kernel) for kernel in ("numba", "jax")]
    assert type(steps[0]) is not type(steps[1])
    ours, theirs = (fit_quietly(data, AmicaOptions(max_iter=8, kernel=one))
                    for one in ("numba", "jax"))  # fmt: skip
    assert (ours.kernel, theirs.kernel) == ("numba", "jax")
    assert_allclose(ours.parameters.unmix, theirs.parameters.unmix, rtol=1e-8)
