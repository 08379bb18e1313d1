"""Reconstruction removes what is unusual, in any unit, rank, precision and place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clean.asr_recordings import CUTOFF, add_bursts, make_clean
from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.clean import asr as asr_module
from meegic.clean.asr_kernel import find_repair
from meegic.clean.asr_plan import make_plan
from meegic.preprocessing.asr import (
    ASROptions,
    ASRState,
    apply_asr,
    apply_reported_asr,
    calibrate_asr,
)

SHORT = ASROptions(window_size=40, step_size=20)


@pytest.fixture(scope="module")
def clean():
    return make_clean()


@pytest.fixture(scope="module")
def state(clean):
    return calibrate_asr(clean, CUTOFF)


@pytest.fixture(scope="module")
def spoiled(clean):
    return add_bursts(clean[:, :1500])


def run(data, state, window=40, step=20, **options):
    return apply_asr(data, state, window, step, **options)


def dense_asr(data, state, *, window, step, max_dims=0.66, padding="odd"):
    """The published algorithm, one sample after the other, on channels."""
    n_channels, ahead = len(data), (window + 1) // 2
    mixing, threshold = np.asarray(state.mixing), np.asarray(state.threshold)
    end = data[:, -2 : -ahead - 2 : -1]
    end = end if padding == "even" else 2 * data[:, -1:] - end
    signal = np.hstack([data, end])
    n_times = signal.shape[1]
    updates = sorted({*range(step, n_times + 1, step), n_times})
    kept_least = n_channels - int(np.floor(max_dims * n_channels + 0.5))
    old, last = np.eye(n_channels), 0
    out = np.zeros_like(signal)
    for now in updates:
        recent = signal[:, max(0, now - window) : now]
        values, vectors = np.linalg.eigh(recent @ recent.T / window)
        keep = values < ((threshold @ vectors) ** 2).sum(axis=0)
        keep |= np.arange(1, n_channels + 1) < kept_least
        new = np.eye(n_channels)
        if not keep.all():
            new = mixing @ np.linalg.pinv(keep[:, None] * (vectors.T @ mixing))
            new = new @ vectors.T
        for k in range(1, now - last + 1):
            share = (1 - np.cos(np.pi * k / (now - last))) / 2
            place = last + k - 1 - ahead
            if place >= 0:
                mixed = share * new + (1 - share) * old
                out[:, place] = mixed @ signal[:, place]
        old, last = new, now
    return out[:, : data.shape[1]]


# Windows that are odd or no multiple of the step, steps beyond the lookahead, lengths
# that are no multiple of the step.
@pytest.mark.parametrize(
    ("window", "step"), [(40, 20), (41, 20), (50, 13), (40, 40), (40, 33), (40, 1)]
)
@pytest.mark.parametrize("n_times", [700, 713])
def test_result_is_that_of_the_published_formulas(
    state, spoiled, window, step, n_times
):
    if step == 1:
        n_times //= 5
    data = spoiled[:, 300 : 300 + n_times]
    wanted = dense_asr(data, state, window=window, step=step)
    actual = run(data, state, window, step)
    assert_allclose(actual, wanted, rtol=0, atol=1e-10)
    assert np.abs(actual - data).max() > 100


def test_bursts_go_and_the_rest_stays_bit_for_bit(state, clean, spoiled):
    cleaned = run(spoiled, state)
    wanted = clean[:, :1500]
    spans = np.r_[400:550, 1201:1260]
    assert np.abs(spoiled - wanted).max() > 200
    assert np.abs(cleaned - wanted)[:, spans].max() < 5 * wanted.std()
    near = np.zeros(1500, bool)
    near[340:610] = near[1140:1330] = True
    near[1460:] = True  # noise is no wave that a reflection continues
    assert_array_equal(cleaned[:, ~near], wanted[:, ~near])


@pytest.mark.parametrize("unit", [1e-6, 1e-13, 1e6])
@pytest.mark.parametrize("sfreq", [None, 100.0])
@pytest.mark.filterwarnings("ignore:clean_data last")
def test_row_28_unit_of_the_data_does_not_matter(clean, spoiled, unit, sfreq):
    wanted = run(spoiled, calibrate_asr(clean, CUTOFF, sfreq=sfreq))
    scaled = run(unit * spoiled, calibrate_asr(unit * clean, CUTOFF, sfreq=sfreq))
    assert_allclose(scaled / unit, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_rotated_data_give_the_rotated_result(state, spoiled):
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    turned = state.replace(mixing_matrix=turn @ state.mixing_matrix)
    actual = run(turn @ spoiled, turned)
    assert_allclose(actual, turn @ run(spoiled, state), rtol=0, atol=1e-9)


@pytest.mark.parametrize("piece", [64, 1000, 1499])
def test_result_does_not_depend_on_the_chunks(clean, spoiled, monkeypatch, piece):
    state = calibrate_asr(clean[:, :3000], CUTOFF, sfreq=90.0)
    wanted = run(spoiled, state)
    monkeypatch.setattr(asr_module, "_PIECE", piece)
    assert_array_equal(run(spoiled, state), wanted)


@pytest.mark.parametrize("place", [slice(0, 60), slice(1440, 1500), slice(0, 1500)])
def test_artifacts_at_the_ends_are_removed(state, clean, place):
    data = clean[:, :1500].copy()
    data[:, place] += 300 * np.arange(1.0, 6.0)[:, None]
    cleaned = run(data, state)
    assert np.isfinite(cleaned).all()
    assert np.abs(cleaned[:, place]).max() < 10 * clean.std()


@pytest.mark.parametrize(("max_dims", "removed"), [(0.66, 4), (0.2, 2), (0.0, 1)])
def test_window_without_usual_directions_loses_as_many_as_allowed(
    state, max_dims, removed
):
    noise = 1e4 * np.random.default_rng(0).standard_normal((5, 300))
    options = ASROptions(40, 20, max_dims=max_dims)
    with pytest.warns(DataWarning, match=f"as it may, {removed}, from 100%"):
        cleaned, report = apply_reported_asr(noise, state, options=options)
    assert np.isfinite(cleaned).all()
    assert report.n_removed.max() == removed


def test_row_26_average_referenced_data_stay_in_their_subspace(clean, spoiled):
    state = calibrate_asr(clean - clean.mean(axis=0), CUTOFF)
    data = spoiled - spoiled.mean(axis=0)
    cleaned = run(data, state)
    assert np.isfinite(cleaned).all()
    assert_allclose(cleaned.mean(axis=0), 0, atol=1e-12)
    assert np.abs(cleaned - (clean - clean.mean(axis=0))[:, :1500]).max() < 30
    # The same in coordinates of the subspace alone.
    basis = np.linalg.svd(np.eye(5) - 0.2)[0][:, :4]
    inner = ASRState(
        mixing_matrix=basis.T @ state.mixing_matrix[:, :4],
        component_stdevs=state.component_stdevs[:4],
        cutoff=CUTOFF,
        mu=state.mu[:4],
        sigma=state.sigma[:4],
        raw_covariance=basis.T @ state.raw_covariance @ basis,
        twins=np.arange(4),
        sos=None,
        filter_state=None,
        rank=4,
        sfreq=None,
    )
    wanted = basis @ run(basis.T @ data, inner)
    assert_allclose(cleaned, wanted, rtol=0, atol=1e-9)


def test_what_is_outside_the_rank_is_kept_only_where_nothing_is_removed(clean, spoiled):
    state = calibrate_asr(clean - clean.mean(axis=0), CUTOFF)
    cleaned = run(spoiled, state)
    assert_array_equal(cleaned[:, 700:1100], spoiled[:, 700:1100])
    assert_allclose(cleaned[:, 480:500].mean(axis=0), 0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:clean_data has channels")
def test_row_25_copies_get_the_result_of_their_channel(clean, state, spoiled):
    twin = np.array([0, 1, 2, 3, 4, 1])
    copied = calibrate_asr(clean[twin], CUTOFF)
    cleaned = run(spoiled[twin], copied)
    assert_allclose(cleaned, run(spoiled, state)[twin], rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore:clean_data has channels")
def test_row_23_flat_channels_are_passed_through(clean, state, spoiled):
    flat = calibrate_asr(np.insert(clean, 2, 0.0, axis=0), CUTOFF)
    noise = np.random.default_rng(0).standard_normal(spoiled.shape[1])
    cleaned = run(np.insert(spoiled, 2, noise, axis=0), flat)
    assert_array_equal(cleaned[2], noise)
    rest = np.delete(cleaned, 2, axis=0)
    assert_allclose(rest, run(spoiled, state), rtol=0, atol=1e-9)


def test_short_windows_are_lengthened(state, spoiled):
    with pytest.warns(DataWarning, match="window_size is 6 samples.* 8 are used"):
        cleaned = run(spoiled, state, 6, 3)
    assert_array_equal(cleaned, run(spoiled, state, 8, 3))


def test_filter_may_start_from_zero(clean, spoiled):
    state = calibrate_asr(clean, CUTOFF, sfreq=90.0)
    silent = state.replace(filter_state=0 * state.filter_state)
    wanted = run(spoiled, silent)
    assert_array_equal(run(spoiled, state, initial="zero"), wanted)
    assert not np.array_equal(silent.filter_state, state.filter_state)


@pytest.mark.parametrize("dtype", ["<i2", ">f4", ">f8", "f2", "<f4"])
def test_row_34_any_real_dtype_and_layout_is_taken_untouched(state, spoiled, dtype):
    data = np.asfortranarray(spoiled).astype(dtype)
    data.flags.writeable = False
    before = data.copy()
    cleaned = run(data, state)
    single = np.dtype(dtype).newbyteorder("=") == np.float32
    assert cleaned.dtype == (np.float32 if single else np.float64)
    wanted = run(data.astype(np.float64), state)
    assert_allclose(cleaned, wanted, rtol=1e-6 if single else 0)
    assert_array_equal(data, before)


def test_arrays_of_jax_stay_so_in_their_precision(state, spoiled):
    data = jnp.asarray(spoiled, jnp.float32)
    cleaned = run(data, state)
    assert isinstance(cleaned, jax.Array)
    assert cleaned.dtype == jnp.float32
    assert_array_equal(cleaned, run(np.asarray(data), state))


def test_row_33_other_shapes_are_refused(state, spoiled):
    with pytest.raises(ShapeError, match=r"must have shape \(5, any\).* \(4, 1500\)"):
        run(spoiled[:4], state)
    with pytest.raises(ShapeError, match=r"is it transposed\?"):
        run(spoiled.T, state)
    with pytest.raises(ShapeError, match="two axes"):
        run(spoiled[None], state)


def test_rows_21_22_bad_samples_are_refused_with_their_place(state, spoiled):
    for bad in (np.nan, np.inf):
        data = spoiled.copy()
        data[3, 70:73] = bad
        with pytest.raises(InputError, match=r"3 values, the first at index \(3, 70\)"):
            run(data, state)


def test_row_35_other_dtypes_are_refused(state, spoiled):
    with pytest.raises(InputError, match="dtype is complex128"):
        run(spoiled + 0j, state)


def test_row_36_too_short_data_are_refused_with_the_length_needed(state, spoiled):
    assert run(spoiled[:, :40], state).shape == (5, 40)
    with pytest.raises(InputError, match="at least 40 times, one window, but have 39"):
        run(spoiled[:, :39], state)
    with pytest.raises(InputError, match="at least 40 times, one window, but have 39"):
        jax.jit(lambda data: run(data, state))(spoiled[:, :39])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"step": 41}, "step_size must be at most window_size, 40, but got 41"),
        ({"step": 0}, "step_size must be a whole number >= 1"),
        ({"window": 1, "step": 1}, "window_size must be a whole number >= 2"),
        ({"max_dims": 1.5}, "max_dims must be"),
        ({"soft": 0.0}, "soft must be a number above 0"),
        ({"initial": "calibrated"}, "Did you mean 'calibration'"),
    ],
)
def test_impossible_options_are_refused(state, spoiled, options, match):
    with pytest.raises(OptionError, match=match):
        run(spoiled, state, **options)


def test_data_in_another_unit_than_the_calibration_are_warned_of(clean, state):
    with pytest.warns(DataWarning, match=r"from 100% of the data.*the unit"):
        run(1e6 * clean, state)


@pytest.mark.parametrize("n_times", [400, 413])
def test_end_may_be_continued_by_its_mirror_image(state, spoiled, n_times):
    data = spoiled[:, 300 : 300 + n_times]
    options = ASROptions(40, 20, padding="even")
    found, _ = apply_reported_asr(data, state, options=options)
    wanted = dense_asr(data, state, window=40, step=20, padding="even")
    assert_allclose(found, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())
    with pytest.raises(OptionError, match="padding must be 'odd' or 'even'"):
        apply_reported_asr(data, state, options=ASROptions(40, 20, padding="none"))


@pytest.mark.usefixtures("x64")
def test_program_for_transformations_gives_the_same(clean, spoiled):
    state = calibrate_asr(clean, CUTOFF, sfreq=90.0)
    data = spoiled[:, 300:713]
    wanted = run(data, state)
    traced = jax.jit(lambda one: run(one, state))(jnp.asarray(data))
    assert_allclose(traced, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.usefixtures("x64")
def test_recordings_can_be_mapped_over(state, spoiled):
    both = jnp.stack([spoiled[:, 300:700], spoiled[:, 1000:1400]])
    mapped = jax.vmap(lambda one: run(one, state))(both)
    wanted = np.stack([run(np.asarray(one), state) for one in both])
    assert_allclose(mapped, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_state_that_holds_a_filter_is_no_argument_of_jit(clean, spoiled):
    state = calibrate_asr(clean, CUTOFF, sfreq=90.0)
    with pytest.raises(TypeError, match="close over the state"):
        jax.jit(run)(jnp.asarray(spoiled), state)


def test_state_without_a_filter_is_an_argument_of_jit(state, spoiled):
    data = jnp.asarray(spoiled[:, 300:600], jnp.float32)
    wanted = run(data, state)
    actual = jax.jit(run)(data, state)
    assert actual.dtype == jnp.float32
    assert_allclose(actual, wanted, atol=1e-4 * float(jnp.abs(wanted).max()))


@pytest.mark.parametrize("soft", [1e-2, 1e-4])
def test_narrow_soft_cutoff_is_the_hard_one(state, spoiled, soft):
    data = spoiled[:, 300:700]
    actual = run(data, state, soft=soft)
    assert_allclose(actual, run(data, state), rtol=0, atol=1e-9)


def slope(function, place, step):
    return (function(place + step) - function(place - step)) / (2 * step)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cutoff", [12.0, 20.0, 60.0])
def test_derivative_in_the_cutoff_is_right(state, spoiled, cutoff):
    data = jnp.asarray(spoiled[:, 380:560])

    def power(cutoff):
        return (run(data, state.replace(cutoff=cutoff), soft=0.3) ** 2).mean()

    wanted = slope(jax.jit(power), cutoff, 1e-5 * cutoff)
    assert abs(wanted) > 0
    assert_allclose(jax.jit(jax.grad(power))(cutoff), wanted, rtol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("soft", [None, 0.3])
def test_derivative_in_the_data_is_right(state, spoiled, soft):
    data = jnp.asarray(spoiled[:, 380:500])
    away = jnp.asarray(np.random.default_rng(1).standard_normal(data.shape))

    def power(step):
        return (run(data + step * away, state, soft=soft) ** 2).mean()

    # From 0 itself, where nothing about a hard cutoff changes.
    assert_allclose(jax.jit(jax.grad(power))(0.0), slope(power, 0.0, 1e-4), rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_derivative_at_equal_eigenvalues_is_finite_and_downhill(state):
    plan = make_plan(state, ASROptions(40, 20, soft=0.3))
    height = float((state.threshold**2).sum() / 5)

    def size(scale):
        return (find_repair(plan, scale * height * jnp.eye(5))[0] ** 2).sum()

    derivative = jax.jit(jax.grad(size))(1.0)
    assert jnp.isfinite(derivative)
    assert derivative > 0  # more power, more is removed


def test_report_says_what_was_done(state, spoiled):
    cleaned, report = apply_reported_asr(spoiled, state, options=SHORT)
    assert_array_equal(cleaned, run(spoiled, state))
    assert report.samples[-1] == 1499
    assert_array_equal(np.diff(report.samples[:-1]), 20)
    assert len(report.repairs) == (report.n_removed > 0).sum()
    for sample in (0, 7, 450, 451, 700, 1215, 1499):
        wanted = report.reconstruction(sample) @ spoiled[:, sample]
        assert_allclose(cleaned[:, sample], wanted, rtol=0, atol=1e-10)
    assert not report.covariance(700).any()


def test_sample_beyond_the_recording_has_no_report(state, spoiled):
    _, report = apply_reported_asr(spoiled, state, options=SHORT)
    with pytest.raises(OptionError, match="sample must be a whole number between 0"):
        report.covariance(1500)


@pytest.mark.parametrize("reconstruct_with", ["shaped", "raw"])
def test_lost_covariance_is_a_projection_of_that_of_clean_data(
    clean, spoiled, reconstruct_with
):
    state = calibrate_asr(clean, CUTOFF, sfreq=90.0)
    options = ASROptions(40, 20, reconstruct_with=reconstruct_with)
    _, report = apply_reported_asr(spoiled, state, options=options)
    sample = int(report.samples[report.n_removed > 0][2])
    removed = report.n_removed[report.samples == sample][0]
    keep = report.reconstruction(sample)
    lost = report.covariance(sample)
    assert_allclose(keep @ keep, keep, atol=1e-10)
    values = np.linalg.eigvalsh(lost)
    assert values[0] > -1e-12 * values[-1]
    assert (values > 1e-10 * values[-1]).sum() == removed
    conditional = state.raw_covariance - keep @ state.raw_covariance
    if reconstruct_with == "raw":
        assert_allclose(lost, conditional, atol=1e-9)
    else:
        assert np.abs(lost - conditional).max() > 1e-3


def test_lost_covariance_is_that_of_the_error(clean, state, spoiled):
    _, report = apply_reported_asr(spoiled, state, options=SHORT)
    keep, lost = report.reconstruction(480), report.covariance(480)
    draws = make_clean(n_times=20000, seed=0)
    truth = np.cov(draws)
    # The error does not hold the artifact, which the reconstruction annihilates.
    error = keep @ (draws + (spoiled - clean[:, :1500])[:, 480:481]) - draws
    trace = np.trace(truth) / np.trace(state.raw_covariance)
    assert_allclose(np.trace(np.cov(error)), trace * np.trace(lost), rtol=0.1)
    assert np.abs(np.cov(error) - lost).max() < 0.1 * np.abs(lost).max()
