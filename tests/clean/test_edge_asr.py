"""ASR of Raw: what the arrays say, bits that stay, boundaries, marks, refusals."""

import mne
import numpy as np
import pytest
from mne.utils import object_diff  # pyright: ignore[reportAttributeAccessIssue]
from numpy.testing import assert_allclose, assert_array_equal

from clean.edge_recordings import (
    SFREQ,
    START,
    add_bursts,
    list_spans,
    make_mixed,
    make_noise,
    make_raw,
    mark,
)
from meegic.base.errors import (
    DataWarning,
    InputError,
    NotFittedError,
    OptionError,
    RankError,
)
from meegic.clean.asr import apply_reported_asr
from meegic.clean.asr_calibration import CalibrationOptions, calibrate_asr
from meegic.clean.asr_plan import ASROptions
from meegic.clean.edge import asr_cleaning
from meegic.clean.edge.asr import ASR
from meegic.clean.filter import apply_filter
from meegic.clean.filter_design import design_filter

N = 4000
GOOD = [0, 1, 4, 6, 7]
NAMES = [f"eeg{k}" for k in GOOD]
ALL = np.ones(N, bool)
BURSTS = ((1400, 1550), (2601, 2660))


@pytest.fixture(scope="module")
def rest():
    return make_mixed()


@pytest.fixture(scope="module")
def asr(rest):
    return ASR(calibration=ALL).fit(rest)


@pytest.fixture(scope="module")
def state(rest):
    return calibrate_asr(rest.get_data(picks=GOOD), 20.0, sfreq=SFREQ)


@pytest.fixture
def raw():
    """Other noise of the same kind, with two bursts."""
    raw = make_mixed()
    raw._data[GOOD] = add_bursts(raw._data[GOOD], height=2e-3, spans=BURSTS)
    return raw


def run(data, state):
    options = ASROptions(50, 25, initial="zero", padding="even")
    return apply_reported_asr(data, state, options=options)[0]


def test_result_is_that_of_the_arrays(asr, raw, state):
    for name in ("mixing", "threshold", "raw_covariance"):
        assert_array_equal(getattr(asr.states_["eeg"], name), getattr(state, name))
    assert_array_equal(
        asr.transform(raw).get_data(picks=GOOD), run(raw.get_data(picks=GOOD), state)
    )


def test_covariance_is_chosen(asr, rest):
    options = CalibrationOptions(covariance="riemann-median")
    data = rest.get_data(picks=GOOD)
    expected = calibrate_asr(data, 20.0, sfreq=SFREQ, options=options)
    other = ASR(calibration=ALL, covariance="riemann-median").fit(rest)
    assert_array_equal(other.states_["eeg"].mixing, expected.mixing)
    assert not np.array_equal(expected.mixing, asr.states_["eeg"].mixing)


def test_bursts_go_and_everything_else_stays(asr, raw, rest):
    before = raw.copy()
    cleaned = asr.transform(raw)
    wrong = cleaned.get_data() - rest.get_data()
    assert (
        np.abs(wrong[GOOD]).max() < 0.1 * np.abs(raw.get_data() - rest.get_data()).max()
    )
    untouched = [2, 3, 5]
    assert_array_equal(cleaned.get_data()[untouched], raw.get_data()[untouched])
    quiet = asr.report_["eeg"].n_removed == 0
    assert quiet[:1200].all()
    assert quiet[3000:3900].all()
    assert_array_equal(cleaned.get_data()[:, quiet], raw.get_data()[:, quiet])
    assert object_diff(cleaned.info, raw.info) == ""
    assert_array_equal(cleaned.times, raw.times)
    assert type(cleaned) is type(raw)
    assert object_diff(raw, before) == ""
    assert not np.shares_memory(cleaned._data, raw._data)


def test_bad_channels_do_not_matter(asr, raw):
    expected = asr.transform(raw).get_data(picks=NAMES)
    raw._data[3] = np.nan
    fitted = ASR(calibration=ALL).fit(raw)
    assert "eeg3" not in fitted.ch_names_["eeg"]
    assert_array_equal(asr.transform(raw).get_data(picks=NAMES), expected)


@pytest.mark.parametrize("scale", [1e-9, 1e6, 1e15])
def test_units_do_not_matter(raw, scale):
    scaled = raw.copy()
    scaled._data *= scale
    first, second = (ASR(calibration=ALL).fit_transform(one) for one in (raw, scaled))
    height = np.abs(raw.get_data()).max()
    assert_allclose(second.get_data() / scale, first.get_data(), atol=1e-12 * height)
    assert list(second.annotations.onset) == list(first.annotations.onset)


def test_annotations_lie_over_the_bursts(asr, raw):
    cleaned = asr.transform(raw)
    spans = list_spans(cleaned, "ASR_repaired")
    assert all(
        any(start <= a and b <= stop for start, stop in spans) for a, b in BURSTS
    )
    assert sum(stop - start for start, stop in spans) < 800
    extras = cleaned.annotations.extras[0]
    assert extras["channel_type"] == "eeg"
    assert 1 <= extras["n_removed"] <= 4
    assert not len(raw.annotations)


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("first_samp", [0, 1234])
def test_annotations_stay_over_what_changed_when_cropped_or_joined(
    asr, raw, meas_date, first_samp
):
    kinds = raw.get_channel_types()
    parts = [
        make_raw(raw.get_data(), kinds, first_samp=first_samp, meas_date=meas_date)
        for _ in range(2)
    ]
    joined = mne.concatenate_raws(parts, verbose="error").crop(2.0, 75.0)
    mark(joined, 1.0, 0.3, "BAD_blink")
    cleaned = asr.transform(joined)
    changed = (cleaned.get_data() != joined.get_data()).any(axis=0)
    covered = np.zeros(len(joined.times), bool)
    for start, stop in list_spans(cleaned, "ASR_repaired"):
        covered[start:stop] = True
    assert changed.sum() > 300
    assert not (changed & ~covered).any()
    assert covered.sum() < changed.sum() + 10
    assert_array_equal(covered, asr.report_["eeg"].n_removed > 0)
    assert list_spans(cleaned, "BAD_blink") == [[100, 130]]


@pytest.mark.parametrize("word", ["BAD boundary", "EDGE boundary"])
def test_row_42_nothing_runs_across_a_boundary(asr, raw, state, word):
    at = 1475  # within a burst
    mark(raw, at / SFREQ, 0.0, word)
    data, cleaned = raw.get_data(picks=GOOD), asr.transform(raw).get_data(picks=GOOD)
    assert_array_equal(cleaned[:, :at], run(data[:, :at], state))
    assert_array_equal(cleaned[:, at:], run(data[:, at:], state))


def test_recording_unlike_the_calibration_is_warned_of(asr, raw):
    raw._data[GOOD] *= 1e3
    with pytest.warns(DataWarning, match=r"from \d+% of the eeg data"):
        asr.transform(raw)


def test_clean_stretches_are_not_repaired_at_their_ends(asr, rest):
    # Reflected in its last point, slow activity steps there as no brain does.
    slow = rest.copy()
    slow._data[GOOD] += 4e-5 * np.sin(2 * np.pi * np.arange(N) / SFREQ)
    for at in (625, 1225, 1825):  # at its peaks
        mark(slow, at / SFREQ, 0.0, "BAD boundary")
    fitted = ASR(calibration=ALL).fit(slow)
    assert_array_equal(fitted.transform(slow).get_data(), slow.get_data())
    options = ASROptions(50, 25, initial="zero")
    stretch, state = slow.get_data(picks=GOOD)[:, 625:1225], fitted.states_["eeg"]
    published, _ = apply_reported_asr(stretch, state, options=options)
    assert not np.array_equal(published[:, -25:], stretch[:, -25:])


def test_row_42_skipped_samples_stay_and_do_not_count(asr, raw, state):
    mark(raw, 20.0, 1.0, "BAD_ACQ_SKIP")
    raw._data[GOOD, 2000:2100] = 0.0
    data, cleaned = raw.get_data(picks=GOOD), asr.transform(raw).get_data(picks=GOOD)
    assert_array_equal(cleaned[:, 2000:2100], 0.0)
    assert_array_equal(cleaned[:, 2100:], run(data[:, 2100:], state))
    assert asr.report_["eeg"].n_stretches == 2
    assert_array_equal(np.flatnonzero(asr.report_["eeg"].passed), np.arange(2000, 2100))


def test_short_stretches_stay_and_are_annotated_and_counted(asr, raw):
    mark(raw, 14.1, 0.0, "BAD boundary")
    mark(raw, 14.5, 0.0, "BAD boundary")
    with pytest.warns(DataWarning, match="1 stretches between boundaries are shorter"):
        cleaned = asr.transform(raw)
    assert list_spans(cleaned, "BAD_short") == [[1410, 1450]]
    assert_array_equal(cleaned.get_data()[:, 1410:1450], raw.get_data()[:, 1410:1450])
    assert asr.report_["eeg"].n_short == 1


def test_row_36_recording_shorter_than_a_window_is_refused(asr, raw):
    with pytest.raises(
        InputError, match=r"a stretch of at least 0.5 s, one window, but .* 0.3 s"
    ):
        asr.transform(raw.crop(0, 0.29))


def test_row_21_what_is_not_finite_is_refused_or_annotated_and_kept(asr, raw, state):
    raw._data[4, 2000] = np.nan
    with pytest.raises(InputError, match=r"'eeg4': 1 samples, the first at 20.000 s"):
        asr.transform(raw)
    cleaned = asr.transform(raw, on_nonfinite="annotate")
    assert list_spans(cleaned, "BAD_nan") == [[2000, 2001]]
    data, found = raw.get_data(picks=GOOD), cleaned.get_data(picks=GOOD)
    assert_array_equal(found[:, 2000], data[:, 2000])
    assert_array_equal(found[:, 2001:], run(data[:, 2001:], state))
    again = asr.transform(cleaned)
    assert list_spans(again, "BAD_nan") == [[2000, 2001]]


def test_row_22_calibration_leaves_out_what_is_not_finite(rest):
    raw = rest.copy()
    raw._data[4, 2000] = np.inf
    with pytest.raises(InputError, match="'eeg4': 1 samples"):
        ASR().fit(raw)
    fitted = ASR(calibration=ALL).fit(raw, on_nonfinite="annotate")
    data = np.delete(raw.get_data(picks=GOOD), 2000, axis=1)
    expected = calibrate_asr(data, 20.0, sfreq=SFREQ, boundaries=[2000])
    assert_array_equal(fitted.states_["eeg"].mixing, expected.mixing)


def test_row_42_bad_spans_are_cleaned_but_not_learned_from(raw):
    for start, stop in BURSTS:
        mark(raw, start / SFREQ, (stop - start) / SFREQ, "BAD_burst")
    asr = ASR(calibration=ALL).fit(raw)
    mask = np.ones(N, bool)
    for start, stop in BURSTS:
        mask[start:stop] = False
    expected = calibrate_asr(raw.get_data(picks=GOOD), 20.0, sfreq=SFREQ, mask=mask)
    assert_array_equal(asr.states_["eeg"].threshold, expected.threshold)
    cleaned = asr.transform(raw)
    burst = slice(*BURSTS[0])
    assert np.abs(cleaned.get_data(picks=GOOD)[:, burst]).max() < 4e-4


@pytest.mark.filterwarnings("ignore:Only .* s are clean enough")
def test_row_42_recording_that_is_bad_throughout_is_cleaned_all_the_same(asr, raw):
    data = asr.transform(raw).get_data()
    mark(raw, 0.0, 40.0, "BAD_session")
    assert_array_equal(asr.transform(raw).get_data(), data)


@pytest.mark.filterwarnings("ignore:Only .* s are clean enough")
@pytest.mark.filterwarnings("ignore:clean_data last")
def test_automatic_calibration_is_that_of_clean_windows(raw):
    asr = ASR().fit(raw)
    mixing = asr.states_["eeg"].mixing
    quiet = calibrate_asr(make_mixed().get_data(picks=GOOD), 20.0, sfreq=SFREQ).mixing
    assert np.linalg.norm(mixing - quiet) < 0.1 * np.linalg.norm(quiet)


def test_another_recording_serves_by_name(asr, raw, rest):
    mixed = rest.copy().reorder_channels(rest.ch_names[::-1])
    other = ASR(calibration=mixed).fit(raw)
    assert other.ch_names_ == asr.ch_names_
    assert_array_equal(other.states_["eeg"].threshold, asr.states_["eeg"].threshold)


def test_row_38_channels_are_matched_by_name(asr, raw):
    expected = asr.transform(raw).get_data(picks=NAMES)
    mixed = raw.copy().reorder_channels(raw.ch_names[::-1])
    assert_array_equal(asr.transform(mixed).get_data(picks=NAMES), expected)
    fewer = raw.copy().drop_channels(["eeg4", "eeg6"])
    with pytest.raises(InputError, match=r"inst must .* lacks 2: 'eeg4' and 'eeg6'"):
        asr.transform(fewer)
    with pytest.raises(InputError, match=r"calibration must .* lacks 2: 'eeg4' and"):
        ASR(calibration=fewer).fit(raw)
    raw.info["bads"] = ["eeg0"]
    with pytest.raises(InputError, match=r"marked as bad 1: 'eeg0'. Fit on channels"):
        asr.transform(raw)


def test_other_sampling_rate_is_refused(asr, raw):
    other = raw.copy().resample(80, verbose="error")
    with pytest.raises(InputError, match="rate of 100 Hz, that of the fit, but has 80"):
        asr.transform(other)
    with pytest.raises(
        InputError, match="calibration must have a sampling rate of 100"
    ):
        ASR(calibration=other).fit(raw)


def test_row_43_no_clean_window_is_refused_unless_all_may_serve(raw):
    none = (50.0, 60.0)
    with pytest.raises(
        InputError, match=r"0 of \d+ windows are clean .* fallback='all'"
    ):
        ASR().fit(raw, z_limits=none)
    with pytest.warns(DataWarning, match="All data are taken, artifacts included"):
        asr = ASR().fit(raw, fallback="all", z_limits=none)
    assert asr.record_.options["windows"]["fallback"] == "all"
    with pytest.raises(
        OptionError, match=r"'z_limit' is not .* Did you mean 'z_limits'"
    ):
        ASR().fit(raw, z_limit=(0, 1))


def test_row_23_flat_channel_is_named_and_left_as_it_is(raw):
    raw._data[4] = 3e-5
    with pytest.warns(DataWarning, match="channels 'eeg4' are flat"):
        asr = ASR(calibration=ALL).fit(raw)
    assert "eeg4" not in asr.ch_names_["eeg"]
    assert_array_equal(asr.transform(raw).get_data()[4], raw.get_data()[4])


def test_row_24_flat_recording_is_refused(raw):
    raw._data[GOOD] = 3e-5
    with pytest.raises(InputError, match="all channels are flat: 'eeg0', 'eeg1'"):
        ASR().fit(raw)


def test_row_25_copies_are_named_and_change_nothing(raw):
    alone = raw.copy().drop_channels(["eeg6"])
    raw._data[6] = raw._data[1]
    with pytest.warns(DataWarning, match="copies of others: eeg6 of eeg1"):
        asr = ASR(calibration=ALL).fit(raw)
    found = asr.transform(raw)
    expected = ASR(calibration=ALL).fit_transform(alone)
    height = np.abs(raw.get_data()).max()
    names = ["eeg0", "eeg1", "eeg4", "eeg7"]
    assert_allclose(found.get_data(names), expected.get_data(names), atol=1e-9 * height)
    assert_allclose(
        found.get_data(["eeg6"]), found.get_data(["eeg1"]), atol=1e-12 * height
    )


def test_row_26_applied_projector_lowers_the_rank_and_an_idle_one_is_named(raw):
    raw.set_eeg_reference(projection=True, verbose="error")
    idle = ASR(calibration=ALL).fit(raw)
    assert idle.states_["eeg"].rank == 5
    assert idle.record_.options["projectors_idle"] == ("Average EEG reference",)
    assert not idle.transform(raw).info["projs"][0]["active"]
    raw.apply_proj(verbose="error")
    applied = ASR(calibration=ALL).fit(raw)
    assert applied.states_["eeg"].rank == 4
    assert applied.record_.options["projectors_applied"] == ("Average EEG reference",)
    mean = applied.transform(raw).get_data(picks=GOOD).mean(axis=0)
    assert_allclose(mean, 0.0, atol=1e-12 * np.abs(raw.get_data()).max())


def test_row_49_rank_above_that_of_the_data_is_refused(raw):
    with pytest.raises(RankError, match=r"rank must be at most .* 5, but got 6"):
        ASR(calibration=ALL, rank=6).fit(raw)
    assert ASR(calibration=ALL, rank={"eeg": 4}).fit(raw).states_["eeg"].rank == 4


def test_drifts_are_refused_unless_forced(asr, raw):
    raw._data[GOOD] += 1e-3
    with pytest.raises(InputError, match=r"below 0.5 Hz, but have .* High-pass them"):
        asr.transform(raw)
    with pytest.raises(InputError, match=r"below 0.5 Hz, but have"):
        ASR().fit(raw)
    assert np.isfinite(asr.transform(raw, force_lowfreq=True).get_data()).all()


def test_row_31_short_calibration_is_warned_of(raw):
    with pytest.warns(DataWarning, match=r"last 20 s and have .* 30 s"):
        ASR(calibration=np.arange(N) < 2000).fit(raw)


def test_many_artifacts_are_warned_of(raw):
    rng = np.random.default_rng(0)
    for start in rng.permutation(40)[:15] * 100:
        raw._data[GOOD, start : start + 50] *= 30
    with pytest.warns(DataWarning) as caught:
        ASR().fit(raw)
    assert "are clean enough to calibrate ASR" in str(caught[0].message)


def test_low_cutoff_is_warned_of():
    with pytest.warns(DataWarning, match="cutoff is 5: below 10 ASR changes clean"):
        ASR(cutoff=5.0)


@pytest.mark.parametrize("fmt", ["double", "single", "short"])
def test_row_34_file_on_disk_is_cleaned_like_the_loaded_one(asr, raw, tmp_path, fmt):
    raw.save(tmp_path / "a_raw.fif", fmt=fmt, verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    cleaned = asr.transform(lazy)
    assert not lazy.preload
    assert_array_equal(cleaned.get_data(), asr.transform(lazy.load_data()).get_data())
    assert cleaned.get_data().dtype == np.float64


@pytest.mark.parametrize("length", [1, 60, 1001])
def test_pieces_that_are_read_do_not_matter(asr, raw, monkeypatch, length):
    raw.crop(10, 20)
    whole = asr.transform(raw).get_data()
    monkeypatch.setattr(asr_cleaning, "_PIECE", length)
    assert_array_equal(asr.transform(raw).get_data(), whole)


def test_stream_gives_the_bits_of_the_recording(asr, raw):
    data, stream, pieces, done = raw.get_data(), asr.stream(), [], 0
    for length in (1, 700, 24, 1999, 1276):
        pieces.append(stream.push(data[:, done : done + length]))
        done += length
        assert done - sum(one.shape[1] for one in pieces) <= stream.latency
    pieces.append(stream.finish())
    assert_array_equal(np.hstack(pieces), asr.transform(raw).get_data())


def test_what_is_still_unusual_after_the_repair_is_marked(rest):
    raw = rest.copy()
    loud = 3e-3 * make_noise(5, 300, seed=5)
    raw._data[GOOD, 2000:2300] += loud
    few = ASR(max_dims=0.0, calibration=rest).fit(raw)
    spans = list_spans(few.transform(raw), "BAD_asr")
    assert spans
    assert min(spans)[0] < 2000
    assert max(spans)[1] > 2300
    many = ASR(max_dims=1.0, calibration=rest).fit(raw)
    assert "BAD_asr" not in many.transform(raw).annotations.description
    n_removed = few.report_["eeg"].n_removed
    assert not (few.report_["eeg"].bad & (n_removed == 0)).any()


def test_record_says_what_it_takes_to_compute_it_again(raw):
    first, second = (ASR(calibration=ALL).fit(raw).record_ for _ in range(2))
    assert first == second
    assert first.options["cutoff"] == 20.0
    assert first.options["types"] == ("eeg",)
    raw._data[0, 0] *= 1.5
    assert ASR(calibration=ALL).fit(raw).record_.input_digest != first.input_digest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cutoff": -1.0}, "cutoff must be a number above 0"),
        ({"cutoff": np.nan}, "cutoff must be a number above 0"),
        ({"window_s": 0.0}, "window_s must be a number above 0 s"),
        ({"step_s": 0.6}, "step_s must be a number above 0 and at most 0.5"),
        ({"max_dims": 1.5}, "max_dims must be a number at least 0 and at most 1"),
        ({"covariance": "mean"}, "covariance must be 'geometric-median' or 'riemann"),
    ],
)
def test_row_37_options_are_refused_at_once(options, words):
    with pytest.raises(OptionError, match=words):
        ASR(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"calibration": "clean"}, "'auto', a Raw, Epochs or an .* got 'clean'"),
        ({"calibration": [True] * N}, "'auto', a Raw, Epochs or an .* got list"),
        ({"step_s": 1e-4}, r"step_s must be at least one sample, 0\.01 s, but got"),
        ({"calibration": np.ones(5, bool)}, r"array of bool of shape \(4000,\)"),
        ({"calibration": np.ones(N)}, "but got shape .* of float64"),
        ({"calibration": np.zeros(N, bool)}, "no samples to calibrate ASR on"),
        ({"rank": "full"}, "rank must be 'auto' or name a rank"),
        ({"rank": {"mag": 3}}, "'mag' is not a known type of channel in rank"),
    ],
)
def test_calibration_that_cannot_be_is_refused(raw, options, words):
    with pytest.raises(InputError, match=words):
        ASR(**options).fit(raw)


def test_arrays_are_refused_and_what_is_not_fitted_says_so(asr, raw):
    with pytest.raises(TypeError, match="inst must be an mne Raw or Epochs"):
        asr.transform(raw.get_data())
    empty = ASR(calibration=ALL)
    assert repr(empty) == "<ASR | not fitted, cutoff 20>"
    assert repr(asr) == "<ASR | 5 eeg channels, cutoff 20>"
    with pytest.raises(NotFittedError, match="Call fit first"):
        empty.transform(raw)
    with pytest.raises(NotFittedError, match="Call transform"):
        _ = empty.fit(raw).report_


def test_clean_data_are_not_changed_at_their_start():
    """A filter that begins at rest makes no artifact."""
    rng = np.random.default_rng(3)
    drifting = np.cumsum(rng.standard_normal((8, 12_000)), axis=1)
    data = apply_filter(drifting, design_filter(100.0, l_freq=1.0))
    info = mne.create_info(8, 100.0, "eeg")
    raws = [
        mne.io.RawArray(part, info, verbose="error")
        for part in (data[:, :7001], data[:, 7001:])
    ]
    asr = ASR(calibration=raws[0]).fit(raws[1])
    asr.transform(raws[1])
    assert (asr.report_["eeg"].n_removed[:100] == 0).all()
