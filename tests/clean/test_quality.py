"""Numbers before and after cleaning: laws and refusals."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.clean.injection import score_injection
from meegic.clean.quality import compute_quality

SFREQ = 400.0
N_TIMES = 4000
MASK = np.zeros(N_TIMES, bool)
MASK[1000:1200] = True


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((5, 5))
    return mixing @ rng.standard_normal((5, N_TIMES))


@pytest.fixture(scope="module")
def data(truth):
    data = truth.copy()
    data[:, MASK] += 10
    return data


def test_nothing_changes_between_a_recording_and_itself(data):
    quality = compute_quality(data, data, SFREQ)
    assert quality.duration_s == 10.0
    assert quality.changed_percent == quality.power_removed_percent == 0
    assert quality.dims_removed is None
    assert quality.truth is None
    for one in ("peak", "size", "rank", "line_noise_db", "muscle_percent"):
        change = getattr(quality, one)
        assert change.before == change.after
    assert_allclose(list(quality.band_ratio.values()), 1)
    assert_allclose(quality.correlation, 1)


def test_numbers_of_a_change_that_is_known(truth, data):
    cleaned = data.copy()
    cleaned[:, MASK] = truth[:, MASK]
    cleaned[4] = cleaned[:4].sum(axis=0)
    removed = np.array([0, 1, 1, 4, 0])
    quality = compute_quality(data, cleaned, SFREQ, dims_removed=removed)
    assert quality.changed_percent == pytest.approx(100 * (0.8 * 0.05 + 0.2))
    power = [(one - one.mean(axis=1, keepdims=True)) ** 2 for one in (data, cleaned)]
    lost = 1 - power[1].sum() / power[0].sum()
    assert quality.power_removed_percent == pytest.approx(100 * lost)
    assert quality.dims_removed == {"median": 1.0, "max": 4.0}
    assert (quality.rank.before, quality.rank.after) == (5, 4)
    assert quality.peak.before == np.abs(data).max()
    assert quality.peak.after == np.abs(cleaned).max()


def test_bands_and_line_show_what_was_taken_off(truth):
    times = np.arange(N_TIMES) / SFREQ
    alpha, line = np.sin(2 * np.pi * np.outer([10.0, 50.0], times))
    before = truth + 3 * line + 3 * alpha
    quality = compute_quality(before, truth + 3 * alpha, SFREQ)
    assert quality.line_noise_db.before > quality.line_noise_db.after + 10
    assert abs(quality.line_noise_db.after) < 2
    assert_allclose(list(quality.band_ratio.values()), 1, atol=0.01)
    quality = compute_quality(before, truth + 3 * line, SFREQ)
    assert quality.band_ratio["alpha"] < 0.2
    others = {"delta", "theta", "beta", "gamma"}
    assert set(quality.band_ratio) == others | {"alpha"}
    assert_allclose([quality.band_ratio[one] for one in others], 1, atol=0.02)


def test_muscles_after_are_counted_beside_what_was_usual_before(truth):
    before = truth.copy()
    before[:, 2000:2100] += 20 * np.random.default_rng(1).standard_normal((5, 100))
    change = compute_quality(before, truth, SFREQ).muscle_percent
    assert 2 < change.before < 5
    assert change.after == 0


def test_slow_and_short_recordings_have_fewer_numbers(data):
    quality = compute_quality(data[:, :60], data[:, :60], 60.0)
    assert quality.line_noise_db is None
    assert quality.muscle_percent is None
    assert set(quality.band_ratio) == {"delta", "theta", "alpha", "beta"}


def test_correlation_is_taken_outside_of_the_mask(truth, data):
    assert_allclose(compute_quality(data, truth, SFREQ, MASK).correlation, 1)
    assert (compute_quality(data, truth, SFREQ).correlation < 0.9).any()
    everywhere = compute_quality(data, truth, SFREQ, ~MASK | MASK)
    assert_array_equal(everywhere.correlation, 0)


def test_truth_gives_the_scores_of_its_definition(truth, data):
    cleaned = truth + 0.1 * (data - truth)
    cleaned[:, 2000] += 1.0
    kinds = {"early": MASK & (np.arange(N_TIMES) < 1100)}
    scores = compute_quality(data, cleaned, SFREQ, MASK, truth, kinds=kinds).truth
    power = (truth[:, MASK] ** 2).mean()
    assert scores.snr_db["all"].before == pytest.approx(10 * np.log10(power / 100))
    assert scores.snr_db["all"].after == pytest.approx(10 * np.log10(power / 1))
    early = (truth[:, kinds["early"]] ** 2).mean()
    assert scores.snr_db["early"].after == pytest.approx(10 * np.log10(early))
    assert (scores.rmse.before, scores.rmse.after) == pytest.approx((10, 1))
    # A second at both ends and a quarter of a second around are left out.
    clean = np.ones(N_TIMES, bool)
    clean[:400] = clean[3600:] = clean[900:1300] = False
    size = np.sqrt((truth[:, clean] ** 2).sum())
    assert scores.clean_error.before == 0
    assert scores.clean_error.after == pytest.approx(np.sqrt(5) / size)


def test_perfect_cleaning_has_no_noise(truth, data):
    scores = compute_quality(data, truth, SFREQ, MASK, truth).truth
    assert scores.snr_db["all"].after == np.inf
    assert scores.rmse.after == 0
    # Without a mask all of it may be artifact.
    assert compute_quality(data, truth, SFREQ, truth=truth).truth.clean_error is None


@pytest.mark.parametrize("unit", [1e-13, 1e-6, 1e6])
def test_row_28_unit_does_not_matter(truth, data, unit):
    cleaned = truth + 0.1 * (data - truth)
    expected = compute_quality(data, cleaned, SFREQ, MASK, truth)
    quality = compute_quality(unit * data, unit * cleaned, SFREQ, MASK, unit * truth)
    assert quality.changed_percent == expected.changed_percent
    assert quality.rank == expected.rank
    assert quality.size.after == pytest.approx(unit * expected.size.after, rel=1e-12)
    pairs = [
        (quality.power_removed_percent, expected.power_removed_percent),
        (quality.line_noise_db.after, expected.line_noise_db.after),
        (quality.truth.snr_db["all"].after, expected.truth.snr_db["all"].after),
        (quality.truth.clean_error.after, expected.truth.clean_error.after),
    ]
    assert_allclose(*zip(*pairs, strict=True), rtol=1e-9, atol=1e-12)


def test_row_23_flat_channels_do_not_stop_the_comparison(data):
    flat = data.copy()
    flat[2] = 3.0
    quality = compute_quality(flat, flat, SFREQ)
    assert quality.changed_percent == 0
    assert quality.correlation[2] == 0


def test_numbers_are_plain_in_json(truth, data):
    quality = compute_quality(data, truth, SFREQ, MASK, truth)
    again = json.loads(json.dumps(quality.to_dict()))
    assert again["peak"]["before"] == quality.peak.before
    assert again["correlation"] == quality.correlation.tolist()


def test_what_cannot_be_compared_is_refused(truth, data):
    with pytest.raises(ShapeError, match=r"after must have shape \(5, 4000\)"):
        compute_quality(data, data[:, :-1], SFREQ)
    with pytest.raises(ShapeError, match=r"truth must have shape \(5, 4000\)"):
        compute_quality(data, data, SFREQ, MASK, truth[:4])
    with pytest.raises(ShapeError, match=r"mask must have shape \(4000,\)"):
        compute_quality(data, data, SFREQ, MASK[:-1])
    with pytest.raises(
        InputError, match="mask must hold True or False, but its dtype is int"
    ):
        compute_quality(data, data, SFREQ, MASK.astype(int))
    with pytest.raises(InputError, match="mask of 'pop' must mark a sample"):
        compute_quality(data, data, SFREQ, MASK, truth, kinds={"pop": ~MASK & MASK})
    with pytest.raises(InputError, match="before must vary"):
        compute_quality(np.ones((5, N_TIMES)), data, SFREQ)
    with pytest.raises(InputError, match="after contains NaN or Inf"):
        compute_quality(data, np.where(MASK, np.nan, data), SFREQ)
    with pytest.raises(OptionError, match="sfreq must be a number above 0 Hz"):
        compute_quality(data, data, -1.0)


def test_injection_gives_back_what_a_linear_cleaning_keeps(truth):
    rng = np.random.default_rng(4)
    pattern = rng.standard_normal((5, 1))
    source = pattern @ rng.standard_normal((1, N_TIMES))
    same = score_injection(lambda one: one, truth, source)
    assert_array_equal(same.snr_db, [-20, -10, 0, 10, 20])
    assert_allclose(same.correlation, 1)
    assert_allclose(same.amplitude_ratio, 1)
    assert_allclose(same.distortion, 0, atol=1e-12)
    # Removing one channel takes its part of the pattern off.
    keep = np.ones((5, 1))
    keep[0] = 0
    scores = score_injection(lambda one: keep * one, 1e-6 * truth, source)
    share = 1 - (pattern[0] ** 2).sum() / (pattern**2).sum()
    assert_allclose(scores.amplitude_ratio, share)
    assert_allclose(scores.distortion, np.sqrt(share * (1 - share)))
    assert_allclose(scores.correlation, np.sqrt(share))
    gone = score_injection(np.zeros_like, truth, source, snr_db=[0.0])
    assert (gone.correlation[0], gone.amplitude_ratio[0]) == (0, 0)


def test_injection_of_nothing_is_refused(truth):
    with pytest.raises(InputError, match="must not be zero throughout"):
        score_injection(np.copy, truth, 0 * truth)
    with pytest.raises(ShapeError, match=r"source must have shape \(5, 4000\)"):
        score_injection(np.copy, truth, truth[:3])
    with pytest.raises(InputError, match="snr_db contains NaN"):
        score_injection(np.copy, truth, truth, snr_db=[np.nan])
