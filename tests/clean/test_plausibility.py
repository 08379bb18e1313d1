"""Each rule finds its fault, names it as specified, and says nothing else."""

import numpy as np
import pytest

from meegic.base.errors import PlausibilityError
from meegic.clean.findings import Facts
from meegic.clean.plausibility import find_implausible
from meegic.clean.statistics import measure_recording

N = 8


def make_data(n_times=20_000, *, n_channels=N, seed=0):
    return 1e-5 * np.random.default_rng(seed).standard_normal((n_channels, n_times))


def make_facts(n_channels=N, **changes):
    angles = np.linspace(0, 3, n_channels)
    places = 0.09 * np.stack([np.cos(angles), np.sin(angles), 0.3 + 0 * angles], axis=1)
    defaults = {
        "names": tuple(f"E{index}" for index in range(n_channels)),
        "types": ("eeg",) * n_channels,
        "sfreq": 250.0,
        "positions": places,
    }
    return Facts(**(defaults | changes))


def look(data, facts=None):
    return find_implausible(measure_recording([data]), facts or make_facts(len(data)))


def said(findings, code):
    (one,) = [one for one in findings.found if one.code == code]
    return one


def only(findings, code):
    """The finding, when it is all that was found."""
    assert findings.codes() == (code,)
    return findings.found[0]


def test_a_plain_recording_has_no_findings():
    findings = look(make_data())
    assert findings.found == ()
    assert findings.verdict == "ok"
    assert findings.ranks == {"eeg": N}
    assert str(findings) == "ok: nothing implausible"
    findings.refuse()


def test_gravest_comes_first_and_refuse_raises_it():
    data = make_data(600)
    data[2, 100] = np.nan
    findings = look(data)
    assert [one.level for one in findings.found] == ["error", "warning"]
    with pytest.raises(PlausibilityError, match=r"NaN or Inf.*BAD_nan"):
        findings.refuse()


def test_warnings_come_before_notes():
    data = make_data()
    facts = make_facts(positions=np.full((N, 3), np.nan))
    findings = look(data - data.mean(axis=0), facts)
    assert findings.codes() == ("montage", "reference")
    assert [one.level for one in findings.found] == ["warning", "note"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_row_21_22_nonfinite_sample_is_named(value):
    data = make_data()
    data[3, 5000] = value
    one = only(look(data), "nan")
    assert one.level == "error"
    assert one.message == (
        "NaN or Inf: 1 sample in 1 channel; the first is E3 at 20.000 s."
    )
    assert one.channels == ("E3",)


def test_row_21_first_nonfinite_sample_is_the_earliest_of_all_channels():
    data = make_data()
    data[2, [200, 201]] = np.nan
    data[5, 100] = np.nan
    assert only(look(data), "nan").message == (
        "NaN or Inf: 3 samples in 2 channels; the first is E5 at 0.400 s."
    )


def test_row_21_channel_without_a_sample_costs_no_other_channel_its_rank():
    data = make_data()
    data[3] = np.nan
    findings = look(data)
    assert findings.codes() == ("nan",)
    assert findings.ranks == {"eeg": N - 1}


def test_row_21_recording_without_a_sample_has_no_rank():
    findings = look(np.full((N, 5000), np.nan))
    assert findings.codes() == ("nan",)
    assert findings.ranks == {"eeg": 0}


def test_row_21_nan_in_a_channel_marked_bad_is_a_note():
    data = make_data()
    data[3, 100:] = np.nan
    findings = find_implausible(
        measure_recording([data], counted=np.delete(np.arange(N), 3)),
        make_facts(bads=("E3",)),
    )
    one = only(findings, "nan")
    assert one.level == "note"
    assert "in 1 channel marked bad" in one.message
    assert findings.ranks == {"eeg": N - 1}


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize(
    ("rows", "message"), [([4], "E4 is flat."), ([4, 5], "E4, E5 are flat.")]
)
def test_row_23_flat_channel_is_a_warning(rows, message, offset):
    data = make_data()
    data[rows] = offset
    findings = look(data)
    one = only(findings, "flat")
    assert (one.level, one.message) == ("warning", message)
    assert findings.ranks == {"eeg": N - len(rows)}


@pytest.mark.parametrize(("n_channels", "level"), [(8, "warning"), (7, "error")])
def test_row_23_more_than_half_flat_is_an_error(n_channels, level):
    data = make_data(n_channels=n_channels)
    data[:4] = 0
    assert only(look(data), "flat").level == level


def test_row_23_half_is_of_the_good_channels_with_data():
    data = make_data(n_channels=12)
    data[:4] = 0
    facts = make_facts(12, types=("eeg",) * N + ("eog",) * 4, bads=("E7",))
    one = only(look(data, facts), "flat")
    assert one.level == "error"
    assert one.message == "4 of 7 channels are flat, more than half."


@pytest.mark.parametrize(("factor", "codes"), [(2e-3, ()), (1e-5, ("flat",))])
def test_row_23_quiet_channel_is_not_flat_but_a_dead_one_is(factor, codes):
    data = make_data()
    data[4] *= factor
    assert look(data).codes() == codes


def test_row_23_rounding_of_an_offset_is_flat_and_a_signal_on_it_is_not():
    data = make_data()
    data[4] = 0.4 * data[4] + 0.9
    assert look(data).codes() == ()
    step = np.spacing(np.float32(0.3))
    data[4] = np.float32(0.3) + np.tile([0, step], 10_000)
    assert look(data).codes() == ("flat",)


@pytest.mark.parametrize("alive", [1, 4000])
def test_row_23_channel_that_is_flat_most_of_the_time_is_flat(alive):
    data = make_data()
    data[4, alive:] = data[4, alive]
    assert only(look(data), "flat").channels == ("E4",)


@pytest.mark.parametrize("value", [0.0, 1e-5])
def test_row_24_constant_recording_is_an_error(value):
    one = only(look(np.full((N, 5000), value)), "flat")
    assert (one.level, one.message) == ("error", "All channels are flat.")


def test_row_25_duplicate_channels_are_named_and_lower_the_rank():
    data = make_data()
    data[6] = data[1]
    findings = look(data)
    assert findings.codes() == ("bridge", "rank")
    assert "E1 and E6" in said(findings, "bridge").message
    rank = said(findings, "rank").message
    assert rank.startswith("8 eeg channels have rank 7: interpolated, ")
    assert findings.ok


def test_row_25_bridged_channels_differ_by_little_noise():
    data = make_data()
    data[6] = data[1] + 1e-7 * np.random.default_rng(1).standard_normal(20_000)
    findings = look(data)
    assert only(findings, "bridge").channels == ("E1", "E6")
    assert findings.ranks == {"eeg": N}


def test_correlated_neighbours_are_no_bridge():
    data = make_data()
    data[6] = 0.95 * data[1] + 0.3 * data[6]
    assert look(data).found == ()


def test_two_channels_are_no_bridge():
    assert look(make_data(n_channels=2)).found == ()


def test_row_26_average_reference_is_noted_with_its_rank():
    data = make_data()
    one = only(look(data - data.mean(axis=0)), "reference")
    assert one.level == "note"
    assert one.message == "The EEG is average-referenced: 8 channels have rank 7."


@pytest.mark.parametrize("averaged", [slice(None), slice(1, None)])
def test_row_26_average_reference_may_count_the_channels_marked_bad(averaged):
    data = make_data()
    data[averaged] -= data[averaged].mean(axis=0)
    facts = make_facts(bads=("E0",))
    assert look(data, facts).codes() == ("reference",)


@pytest.mark.parametrize(("part", "codes"), [(0.99, ()), (0.9999, ("reference",))])
def test_row_26_mean_must_be_gone_but_for_rounding(part, codes):
    data = make_data()
    assert look(data - part * data.mean(axis=0)).codes() == codes


def test_row_26_projector_is_named_among_the_reasons():
    data = make_data()
    direction = np.random.default_rng(2).standard_normal(N)
    direction /= np.linalg.norm(direction)
    data -= np.outer(direction, direction @ data)
    one = only(look(data, make_facts(projectors=1)), "rank")
    assert one.message.startswith("8 eeg channels have rank 7: 1 projector, ")


@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (1e3, "It looks like mV stored as V: multiply by 1e-3."),
        (1e6, "It looks like µV stored as V: multiply by 1e-6."),
        (1e9, "It looks like nV stored as V: multiply by 1e-9."),
        (1e-6, "Check the unit in the header; containers hold V."),
    ],
)
def test_row_27_wrong_unit_is_refused_with_the_likely_one(factor, hint):
    one = only(look(factor * make_data()), "unit")
    assert (one.level, one.hint) == ("error", hint)
    assert "between 3e-07 and 0.0005 V is plausible" in one.message


@pytest.mark.parametrize(
    ("kind", "amplitude", "word", "factor"),
    [
        ("mag", 1e-12, "fT", 1e15),
        ("grad", 3e-11, "pT/m", 1e12),
        ("eeg", 5e-5, "µV", 1e6),
    ],
)
def test_row_27_unit_of_each_type_is_guessed(kind, amplitude, word, factor):
    data = factor * amplitude / 1e-5 * make_data()
    one = only(look(data, make_facts(types=(kind,) * N)), "unit")
    assert one.hint.startswith(f"It looks like {word} stored as")


@pytest.mark.parametrize("factor", [100, 1 / 100])
def test_row_27_within_ten_times_it_is_a_warning(factor):
    one = only(look(factor * make_data()), "unit")
    assert (one.level, one.hint) == ("warning", "Check the gain.")


@pytest.mark.parametrize(
    ("kind", "amplitude"), [("mag", 1e-12), ("grad", 3e-11), ("seeg", 5e-5)]
)
def test_row_28_each_type_has_its_own_magnitude(kind, amplitude):
    data = amplitude / 1e-5 * make_data()
    assert look(data, make_facts(types=(kind,) * N)).found == ()
    assert look(1e6 * data, make_facts(types=(kind,) * N)).codes() == ("unit",)


def test_row_29_types_are_judged_apart():
    eeg, mag = make_data(), 1e-7 * make_data(seed=1)
    findings = look(
        np.vstack([eeg, mag]),
        make_facts(2 * N, types=("eeg",) * N + ("mag",) * N),
    )
    assert findings.found == ()
    assert findings.ranks == {"eeg": N, "mag": N}


def test_row_30_spike_is_named_and_rank_unchanged():
    data = make_data()
    data[5, 2500] = 0.9
    findings = look(data)
    one = only(findings, "spike")
    assert one.channels == ("E5",)
    assert "0.9 V, is at 10.000 s" in one.message
    assert findings.ranks == {"eeg": N}


@pytest.mark.parametrize("factor", [1e-2, 1e2, 1e3])
def test_row_26_27_one_loud_or_quiet_channel_changes_nothing(factor):
    data = make_data()
    data[0] *= factor
    findings = look(data)
    assert findings.found == ()
    assert findings.ranks == {"eeg": N}


@pytest.mark.parametrize("value", [1e200, 1e308, -1e308])
def test_row_10_values_that_overflow_are_findings_too(value):
    data = make_data()
    data[2] *= 1e3 * min(abs(value), 1e300)
    data[5, 2500] = value
    findings = look(data)
    peaks = [one.channels for one in findings.found if one.code == "peak"]
    assert peaks == [("E2",), ("E5",)]
    assert findings.ranks == {"eeg": N - 1}


@pytest.mark.parametrize(
    ("kind", "scale", "value", "peak"),
    [
        ("eeg", 1, 2e32, "2e+32 V"),
        ("eeg", 1, -2, "2 V"),
        ("mag", 1e-7, 2e-6, "2e-06 T"),
    ],
)
def test_row_10_impossible_peak_is_an_error(kind, scale, value, peak):
    data = scale * make_data()
    data[5, 2500] = value
    one = only(look(data, make_facts(types=(kind,) * N)), "peak")
    assert one.level == "error"
    assert one.message == f"E5 peak {peak} at 10.000 s is impossible."


def test_row_31_short_recording_is_warned_of_with_both_numbers():
    one = only(look(make_data(1000)), "length")
    assert one.level == "warning"
    assert "1000 samples (4 s)" in one.message
    assert "rank 8 wants 1280 (5 s)" in one.message


def test_row_31_twenty_samples_for_each_square_of_the_rank_are_enough():
    assert look(make_data(1280)).found == ()
    assert look(make_data(1279)).codes() == ("length",)


def test_row_31_a_lower_rank_wants_fewer_samples():
    data = make_data(1000)  # enough for the rank of 7 (980), not for 8 (1280)
    assert look(data - data.mean(axis=0)).codes() == ("reference",)


def test_row_31_less_than_two_samples_a_channel_is_an_error():
    one = only(look(make_data(15)), "length")
    assert one.level == "error"
    assert "15 samples for 8 channels; 16 are the least" in one.message
    assert only(look(make_data(16)), "length").level == "warning"


def test_row_31_flat_channels_want_no_samples():
    data = make_data(14)
    data[4] = 0
    assert said(look(data), "length").level == "warning"


@pytest.mark.parametrize(
    ("n_times", "words"), [(1000, "rank 8 wants 1280"), (15, "16 are the least")]
)
def test_row_31_the_larger_of_two_types_says_how_many_samples(n_times, words):
    data = make_data(n_times, n_channels=12)
    data[N:] *= 1e-7
    facts = make_facts(12, types=("eeg",) * N + ("mag",) * 4)
    assert words in only(look(data, facts), "length").message


def test_row_32_one_channel_is_an_error():
    message = only(look(make_data(n_channels=1)), "channels").message
    assert message.startswith("There is one data channel")


def test_row_20_no_data_channel_lists_the_types_present():
    findings = look(make_data(), make_facts(types=("misc",) * 5 + ("eog",) * 3))
    assert only(findings, "channels").message.endswith("there are: 3 eog, 5 misc.")


def test_channels_marked_bad_are_left_out():
    data = make_data()
    data[2] = 0
    findings = look(data, make_facts(bads=("E2",)))
    assert findings.found == ()
    assert findings.n_channels == {"eeg": N - 1}


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_row_39_recording_without_a_position_wants_a_montage(nothing):
    facts = make_facts(positions=np.full((N, 3), nothing))
    one = only(look(make_data(), facts), "montage")
    assert one.message.startswith("No channel has a position")
    assert "raw.set_montage" in one.hint


@pytest.mark.parametrize(
    ("place", "nothing", "message"),
    [
        (3, 0.0, "E3 has no position."),
        (3, np.nan, "E3 has no position."),
        ((3, 1), np.nan, "E3 has no position."),
        ((3, 1), np.inf, "E3 has no position."),
        (slice(3, 5), np.nan, "E3, E4 have no position."),
    ],
)
def test_row_39_missing_positions_are_named(place, nothing, message):
    facts = make_facts()
    facts.positions[place] = nothing
    assert only(look(make_data(), facts), "montage").message == message


def test_row_39_ten_channels_are_named_and_the_others_counted():
    facts = make_facts(20)
    facts.positions[:13] = np.nan
    one = only(look(make_data(n_channels=20), facts), "montage")
    assert one.message.endswith("E8, E9 and 3 more have no position.")
    assert len(one.channels) == 13


def test_row_39_equal_positions_are_noticed():
    facts = make_facts(positions=np.tile([0.0, 0.1, 0.0], (N, 1)))
    assert "same position" in only(look(make_data(), facts), "montage").message


def test_row_39_zero_is_a_coordinate_like_any_other():
    facts = make_facts()
    facts.positions[3, 0] = 0
    assert look(make_data(), facts).found == ()


@pytest.mark.parametrize(("sfreq", "codes"), [(99.0, ("rate",)), (100.0, ())])
def test_row_40_low_rate_is_warned_of(sfreq, codes):
    findings = look(make_data(), make_facts(sfreq=sfreq))
    assert findings.codes() == codes
    assert all("below 100 Hz" in one.message for one in findings.found)


def test_findings_are_plain_data_for_json():
    data = make_data()
    data[4] = 0
    document = look(data).to_dict()
    assert document["verdict"] == "warning"
    assert document["found"][0]["channels"] == ("E4",)
    assert document["duration_s"] == 80
