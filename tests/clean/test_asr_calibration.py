"""Calibration learns what is usual, whatever the unit, the rank and the outliers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from clean.asr_recordings import CUTOFF, make_clean
from meegic.base.errors import (
    DataWarning,
    InputError,
    IntegrityError,
    OptionError,
    RankError,
    ShapeError,
)
from meegic.clean import asr_covariance
from meegic.clean.asr_calibration import (
    CalibrationOptions,
    calibrate_asr,
    choose_window,
)
from meegic.clean.asr_covariance import fit_block_median, fit_riemann_median
from meegic.clean.asr_state import read_asr_state
from meegic.clean.windows import place_windows
from meegic.math.robust import geometric_median
from meegic.math.spd import riemannian_distance

RIEMANN = CalibrationOptions(covariance="riemann-median")
SHORT = CalibrationOptions(window_s=0.2)


def average_reference(data):
    return data - data.mean(axis=0)


def dense_median(data, **options):
    """The geometric median of all moments, held in memory."""
    n_blocks = -(-data.shape[1] // 10)
    places = np.minimum(np.arange(10 * n_blocks), data.shape[1] - 1)
    blocks = data[:, places].reshape(len(data), n_blocks, 10)
    moments = np.einsum("cbt,dbt->bcd", blocks, blocks) / 10
    result = geometric_median(moments.reshape(n_blocks, -1), **options)
    return result.state.reshape(len(data), len(data))


@pytest.mark.parametrize("n_times", [3000, 3001, 8007])
def test_median_without_stored_moments_is_that_of_the_stored_ones(n_times):
    data = make_clean(n_times=n_times)
    data[:, :300] *= 30
    result = fit_block_median(data)
    assert result.converged
    assert_allclose(result.covariance, dense_median(data), rtol=1e-10, atol=1e-11)


def test_median_of_equal_blocks_is_the_block():
    data = np.tile(make_clean(n_times=10), 50)
    result = fit_block_median(data)
    assert result.converged
    assert_allclose(result.covariance, data @ data.T / 500, rtol=1e-12)


def test_median_hardly_depends_on_where_the_search_starts():
    data = make_clean(n_times=20000)
    data[:, :2000] *= 30
    wanted = fit_block_median(data).covariance
    actual = fit_block_median(data, n_start=100).covariance
    assert np.abs(actual - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_median_that_needs_more_rounds_says_so():
    assert not fit_block_median(make_clean(), tolerance=1e-13, max_iter=1).converged


def test_components_are_orthonormal_and_ordered():
    state = calibrate_asr(make_clean(), CUTOFF)
    vectors = state.mixing_matrix
    assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-12)
    assert (np.diff(state.component_stdevs) < 0).all()
    assert (state.component_stdevs > 0).all()
    largest = np.abs(vectors).argmax(axis=0)
    assert (vectors[largest, np.arange(5)] > 0).all()
    assert state.cutoff == CUTOFF
    assert state.rank == 5


@pytest.mark.parametrize("unit", [1e-6, 1e-13, 1e6])
@pytest.mark.parametrize("sfreq", [None, 100.0])
@pytest.mark.parametrize("options", [CalibrationOptions(), RIEMANN])
def test_unit_of_the_data_does_not_matter(unit, sfreq, options):
    data = make_clean(n_times=4000)
    state = calibrate_asr(data, CUTOFF, sfreq=sfreq, options=options)
    scaled = calibrate_asr(unit * data, CUTOFF, sfreq=sfreq, options=options)
    assert_allclose(scaled.mixing_matrix, state.mixing_matrix, atol=1e-11)
    assert_allclose(scaled.mixing, unit * state.mixing, rtol=1e-12, atol=1e-12 * unit)
    squares = state.threshold.T @ state.threshold
    actual = scaled.threshold.T @ scaled.threshold / unit**2
    assert_allclose(actual, squares, rtol=0, atol=1e-12 * squares.max())
    assert_allclose(scaled.raw_covariance / unit**2, state.raw_covariance, atol=1e-10)


def test_artifacts_in_a_tenth_of_the_data_hardly_matter():
    data = make_clean(n_times=6000)
    spoiled = data.copy()
    spoiled[0, 1000:1600:2] += 1000
    spoiled[0, 1001:1600:2] -= 1000
    wanted = calibrate_asr(data, CUTOFF)
    state = calibrate_asr(spoiled, CUTOFF)
    plain = np.trace(spoiled @ spoiled.T) / np.trace(data @ data.T)
    robust = np.trace(state.mixing @ state.mixing) / np.trace(
        wanted.mixing @ wanted.mixing
    )
    assert plain > 100
    assert robust < 1.1
    assert_allclose(state.mu.sum(), wanted.mu.sum(), rtol=0.02)


def test_drifts_are_warned_of():
    data = make_clean()
    data[3] += 0.6 * data[3].std()
    with pytest.warns(DataWarning, match=r"mean above half .* channels \[3\]"):
        calibrate_asr(data, CUTOFF)


def test_raw_covariance_has_the_size_of_the_data():
    data = make_clean(n_times=8000)
    state = calibrate_asr(data, CUTOFF, sfreq=100.0)
    true = np.trace(data @ data.T) / data.shape[1]
    assert_allclose(np.trace(state.raw_covariance), true, rtol=0.05)


def test_few_windows_are_described_by_median_and_mad():
    data = make_clean(n_times=500)
    state = calibrate_asr(data, CUTOFF)
    window = choose_window(5, np.array([[0, 500]]), None)
    components = state.mixing_matrix.T @ data
    starts = place_windows(500, window)
    assert 30 <= len(starts) < 60
    rms = np.array(
        [np.sqrt((components[:, s : s + window] ** 2).mean(axis=1)) for s in starts]
    )
    assert_allclose(state.mu, np.median(rms, axis=0), rtol=1e-12)
    spread = np.median(np.abs(rms - state.mu), axis=0) * 1.482602218505602
    assert_allclose(state.sigma, spread, rtol=1e-9)


def test_row_26_average_reference_lowers_the_rank():
    state = calibrate_asr(average_reference(make_clean()), CUTOFF)
    assert state.rank == 4
    assert_allclose(state.component_stdevs[4], 0)
    assert_allclose(np.abs(state.mixing_matrix[:, 4]), 5**-0.5, rtol=1e-9)
    assert np.isfinite(state.mixing).all()


def test_row_23_flat_channels_are_named_and_left_out():
    data = make_clean()
    with pytest.warns(DataWarning, match=r"channels that are flat: \[2\]"):
        state = calibrate_asr(np.insert(data, 2, 7.0, axis=0), CUTOFF)
    assert_array_equal(state.flat, np.arange(6) == 2)
    rest = np.arange(6) != 2
    wanted = calibrate_asr(data, CUTOFF)
    assert_allclose(state.mixing[np.ix_(rest, rest)], wanted.mixing, atol=1e-12)
    assert not state.mixing[2].any()


def test_row_25_copies_of_a_channel_are_named_and_lower_the_rank():
    data = make_clean()
    with pytest.warns(DataWarning, match=r"channels that are copies of others: \[5\]"):
        state = calibrate_asr(np.vstack([data, data[1]]), CUTOFF)
    assert state.rank == 5
    assert state.twins.tolist() == [0, 1, 2, 3, 4, 1]
    assert not state.flat.any()


def test_row_24_all_flat_channels_are_refused():
    with pytest.raises(InputError, match="all channels are flat"):
        calibrate_asr(np.ones((3, 500)), CUTOFF)


def test_rank_above_that_of_the_data_is_refused():
    data = average_reference(make_clean())
    assert calibrate_asr(data, CUTOFF, options=CalibrationOptions(rank=3)).rank == 3
    with pytest.raises(RankError, match="at most the rank of clean_data, 4, but got 5"):
        calibrate_asr(data, CUTOFF, options=CalibrationOptions(rank=5))


def test_channel_that_is_mostly_flat_keeps_its_rank():
    data = make_clean()
    data[0, 500:] = 0.0
    state = calibrate_asr(data, CUTOFF)
    assert state.rank == 5
    assert (state.component_stdevs > 0).all()


def test_tolerance_below_rounding_is_refused():
    with pytest.raises(OptionError, match=r"rank_tolerance must be .* at least 1e-12"):
        calibrate_asr(
            make_clean(), CUTOFF, options=CalibrationOptions(rank_tolerance=0.0)
        )


def test_row_36_too_short_data_are_refused_with_the_length_needed():
    with pytest.raises(InputError, match=r"one window, 10 samples, but have 10"):
        calibrate_asr(make_clean(n_times=10), CUTOFF)
    with pytest.raises(InputError, match=r"0.5 s \(51 samples\), but last 0.4 s"):
        calibrate_asr(make_clean(n_times=40), CUTOFF, sfreq=100.0)


def test_short_data_with_a_rate_are_warned_of():
    with pytest.warns(DataWarning, match=r"last 10 s and have 56 windows for 5 comp"):
        calibrate_asr(make_clean(n_times=1000), CUTOFF, sfreq=100.0)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan")])
def test_impossible_cutoffs_are_refused(cutoff):
    with pytest.raises(OptionError, match="cutoff must be a number above 0"):
        calibrate_asr(make_clean(), cutoff)
    with pytest.raises(OptionError, match="cutoff must be a number above 0"):
        calibrate_asr(make_clean(), CUTOFF).replace(cutoff=cutoff)


def test_cutoff_that_distorts_is_warned_of():
    with pytest.warns(DataWarning, match="cutoff is 5: below 10 ASR changes clean"):
        calibrate_asr(make_clean())


def test_cutoff_changes_without_a_new_calibration():
    state = calibrate_asr(make_clean(), CUTOFF)
    other = state.replace(cutoff=30.0)
    assert_array_equal(other.threshold, calibrate_asr(make_clean(), 30.0).threshold)
    assert state.cutoff == CUTOFF


def test_field_that_there_is_not_is_refused():
    state = calibrate_asr(make_clean(), CUTOFF)
    with pytest.raises(InputError, match="Did you mean 'cutoff'"):
        state.replace(cutof=30.0)


@pytest.mark.parametrize("sfreq", [None, 100.0])
def test_state_survives_a_file(tmp_path, sfreq):
    state = calibrate_asr(make_clean(n_times=4000), CUTOFF, sfreq=sfreq)
    loaded = read_asr_state(state.save(tmp_path / "state"))
    pairs = zip(jax.tree.leaves(loaded), jax.tree.leaves(state), strict=True)
    for actual, wanted in pairs:
        assert_array_equal(actual, wanted)
    assert loaded.sfreq == sfreq
    assert loaded.rank == 5


def test_damaged_and_missing_files_are_refused(tmp_path):
    path = calibrate_asr(make_clean(), CUTOFF).save(tmp_path / "state")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        read_asr_state(path)
    with pytest.raises(InputError, match="no such file"):
        read_asr_state(tmp_path / "other")


@pytest.mark.parametrize("dtype", ["<i2", ">f4", ">f8", "f2"])
def test_row_34_any_real_dtype_and_layout_is_taken_untouched(dtype):
    data = np.asfortranarray(100 * make_clean()).astype(dtype)
    data.flags.writeable = False
    before = data.copy()
    state = calibrate_asr(data, CUTOFF)
    wanted = calibrate_asr(data.astype(np.float64), CUTOFF)
    assert state.mixing_matrix.dtype == np.float64
    assert_array_equal(state.mixing, wanted.mixing)
    assert_array_equal(data, before)


def test_row_53_arrays_of_jax_are_computed_in_double_precision():
    data = jnp.asarray(make_clean(), jnp.float32)
    state = calibrate_asr(data, CUTOFF)
    wanted = calibrate_asr(np.asarray(data, np.float64), CUTOFF)
    assert_array_equal(state.mixing, wanted.mixing)
    assert jnp.zeros(1).dtype == jnp.float32


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (np.nan, InputError, r"NaN or Inf: 1 values, the first at index \(1, 77\)"),
        (np.inf, InputError, r"NaN or Inf: 1 values, the first at index \(1, 77\)"),
    ],
)
def test_rows_21_22_bad_samples_are_refused_with_their_place(bad, error, match):
    data = make_clean()
    data[1, 77] = bad
    with pytest.raises(error, match=match):
        calibrate_asr(data, CUTOFF)


def test_row_33_transposed_data_are_refused():
    with pytest.raises(ShapeError, match=r"is it transposed\?"):
        calibrate_asr(make_clean().T, CUTOFF)
    with pytest.raises(ShapeError, match="two axes"):
        calibrate_asr(make_clean()[None], CUTOFF)


def test_traced_data_are_refused():
    with pytest.raises(TypeError, match="calibrate outside jit"):
        jax.jit(lambda data: calibrate_asr(data, CUTOFF))(jnp.ones((2, 500)))


def test_samples_outside_of_the_mask_are_not_learned():
    data = make_clean(n_times=9000)
    mask = np.ones(9000, bool)
    mask[4000:5000] = False
    spoiled = data.copy()
    spoiled[:, 4000:5000] *= 1000
    wanted = calibrate_asr(data, CUTOFF, mask=mask)
    state = calibrate_asr(spoiled, CUTOFF, mask=mask)
    assert_array_equal(state.mixing, wanted.mixing)
    assert_array_equal(state.sigma, wanted.sigma)
    assert_array_equal(state.raw_covariance, wanted.raw_covariance)


def test_mask_of_all_changes_nothing():
    data = make_clean(n_times=4003)
    wanted = calibrate_asr(data, CUTOFF, sfreq=100.0)
    state = calibrate_asr(data, CUTOFF, sfreq=100.0, mask=np.ones(4003, bool))
    pairs = zip(jax.tree.leaves(state), jax.tree.leaves(wanted), strict=True)
    for actual, expected in pairs:
        assert_array_equal(actual, expected)


def test_mask_and_pieces_put_together_agree_without_shaping():
    data = make_clean(n_times=9000)
    mask = np.ones(9000, bool)
    mask[3000:5000] = False  # whole blocks on both sides
    state = calibrate_asr(data, CUTOFF, mask=mask)
    pieces = calibrate_asr(data[:, mask], CUTOFF, boundaries=[3000])
    assert_array_equal(state.mixing, pieces.mixing)
    assert_array_equal(state.mu, pieces.mu)


def test_filter_starts_anew_after_a_boundary():
    data = make_clean(n_times=8000)
    after = calibrate_asr(data[:, 4000:], CUTOFF, sfreq=100.0)
    mask = np.arange(8000) >= 4000
    state = calibrate_asr(data, CUTOFF, sfreq=100.0, mask=mask, boundaries=[4000])
    pairs = zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True)
    for actual, wanted in pairs:
        assert_array_equal(actual, wanted)


def test_filter_hardly_rings_where_artifacts_were_left_out():
    # Put together, the pieces would jump; filtered as a whole they do not.
    times = np.arange(9000)
    noise = make_clean(n_times=9000)
    data = 0.05 * noise + 10 * np.sin(2 * np.pi * 0.11 * times)
    mask = (times % 45) < 30
    whole = calibrate_asr(data, CUTOFF, sfreq=100.0, options=SHORT)
    state = calibrate_asr(data, CUTOFF, sfreq=100.0, mask=mask, options=SHORT)
    joined = calibrate_asr(data[:, mask], CUTOFF, sfreq=100.0, options=SHORT)
    wanted, actual, other = (np.trace(one.mixing) for one in (whole, state, joined))
    assert abs(actual / wanted - 1) < 0.02
    assert abs(other / wanted - 1) > 0.1


def test_flat_in_the_mask_is_flat():
    data = make_clean(n_times=6000)
    mask = np.arange(6000) >= 3000
    data[2, 3000:] = 1.0
    with pytest.warns(DataWarning, match=r"channels that are flat: \[2\]"):
        state = calibrate_asr(data, CUTOFF, mask=mask)
    assert_array_equal(state.flat, np.arange(5) == 2)


def test_no_stretch_as_long_as_a_window_is_refused():
    with pytest.raises(InputError, match=r"0.5 s \(51 samples\), but last 0.4 s"):
        calibrate_asr(make_clean(), CUTOFF, sfreq=100.0, mask=np.arange(3000) % 41 < 40)


def find_riemann_median(data):
    return fit_riemann_median(data, np.array([[0, data.shape[1]]])).covariance


def test_riemann_median_of_white_data_is_the_identity_but_for_its_size():
    data = np.random.default_rng(0).standard_normal((4, 64000))
    median = find_riemann_median(data)
    size = np.trace(median) / 4
    assert 0.8 < size < 0.95  # second moments of 16 samples are too small
    assert_allclose(median / size, np.eye(4), atol=0.03)


def test_riemann_median_goes_through_any_mixture_but_for_the_shrinkage(monkeypatch):
    data = make_clean(n_times=2000)
    mixture = np.random.default_rng(4).standard_normal((5, 5))
    mixture = mixture @ np.diag([1.0, 10.0, 100.0, 1.0, 0.1])

    def compare():
        wanted = mixture @ find_riemann_median(data) @ mixture.T
        return riemannian_distance(find_riemann_median(mixture @ data), wanted)

    assert compare() > 1e-3
    monkeypatch.setattr(asr_covariance, "_SHRINKAGE", 0.0)
    assert compare() < 1e-5


@pytest.mark.parametrize("size", [30.0, 3e4])
def test_a_fifth_of_outlying_blocks_hardly_moves_the_riemann_median(size):
    data = make_clean(n_times=8000)
    spoiled = data.copy().reshape(5, -1, 20)
    spoiled[:, ::5] *= size
    spoiled[0, ::5] *= 10
    wanted = find_riemann_median(data)
    moved = find_riemann_median(spoiled.reshape(5, -1))
    assert riemannian_distance(moved, wanted) < 0.6


def test_riemann_median_does_not_span_stretches():
    data = make_clean(n_times=4000)
    data[:, 2005:] *= 1e3
    one = np.array([[0, 2005], [2005, 2015]])  # the second is too short
    wanted = fit_riemann_median(data[:, :2005], np.array([[0, 2005]])).covariance
    assert_array_equal(fit_riemann_median(data, one).covariance, wanted)


def test_silent_blocks_do_not_count_in_the_riemann_median():
    data = make_clean(n_times=4000)
    wanted = find_riemann_median(data)
    silence = np.zeros((5, 1000))
    median = find_riemann_median(np.hstack([data, silence]))
    assert_allclose(median, wanted, rtol=1e-12)


def test_both_covariances_agree_on_clean_data():
    data = make_clean(n_times=20000)
    mixing = [
        calibrate_asr(data, CUTOFF, options=one).mixing
        for one in (CalibrationOptions(), RIEMANN)
    ]
    mixing = [one / np.trace(one) for one in mixing]
    assert np.abs(mixing[0] - mixing[1]).max() < 0.03 * np.abs(mixing[0]).max()


def test_row_26_rank_is_lowered_for_the_riemann_median_too():
    state = calibrate_asr(
        average_reference(make_clean()), CUTOFF, sfreq=100.0, options=RIEMANN
    )
    assert state.rank == 4
    assert_allclose(state.raw_covariance.sum(axis=0), 0, atol=1e-9)
    assert np.linalg.eigvalsh(state.raw_covariance)[1] > 0.1


def test_blocks_that_no_stretch_holds_are_refused():
    with pytest.raises(InputError, match=r"at least 20 samples, 4 per channel"):
        fit_riemann_median(make_clean(), np.array([[0, 19]]))
    with pytest.raises(OptionError, match=r"covariance must be 'geometric-median' or"):
        calibrate_asr(make_clean(), CUTOFF, options=CalibrationOptions(covariance="x"))
