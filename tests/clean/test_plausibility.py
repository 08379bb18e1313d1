"""Each rule finds its fault, names it as specified, and says nothing else."""

import numpy as np
import pytest

from meegic.base.errors import PlausibilityError
from meegic.clean.findings import Facts
from meegic.clean.plausibility import find_implausible
from meegic.clean.statistics import measure_recording

N = 8


def make_data(n_times=20_000, seed=0):
    return 1e-5 * np.random.default_rng(seed).standard_normal((N, n_times))


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


def said_of(findings, code):
    return [one.channels for one in findings.found if one.code == code]


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_row_21_22_nonfinite_sample_is_named(value):
    data = make_data()
    data[3, 5000] = value
    one = said(look(data), "nan")
    assert one.level == "error"
    assert one.message == (
        "NaN or Inf: 1 sample in 1 channel; the first is E3 at 20.000 s."
    )
    assert one.channels == ("E3",)


def test_row_21_channel_without_a_sample_costs_no_other_channel_its_rank():
    data = make_data()
    data[3] = np.nan
    findings = look(data)
    assert findings.codes() == ("nan",)
    assert findings.ranks == {"eeg": N - 1}


def test_row_21_nan_in_a_channel_marked_bad_is_a_note():
    data = make_data()
    data[3, 100:] = np.nan
    findings = find_implausible(
        measure_recording([data], counted=np.delete(np.arange(N), 3)),
        make_facts(bads=("E3",)),
    )
    assert findings.ok
    assert "in 1 channel marked bad" in said(findings, "nan").message
    assert findings.ranks == {"eeg": N - 1}


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_row_23_flat_channel_is_a_warning(offset):
    data = make_data()
    data[4] = offset
    findings = look(data)
    assert said(findings, "flat").message == "E4 is flat."
    assert findings.ok
    assert findings.ranks == {"eeg": N - 1}


def test_row_23_more_than_half_flat_is_an_error():
    data = make_data()
    data[:5] = 0
    one = said(look(data), "flat")
    assert (one.level, one.message) == (
        "error",
        "5 of 8 channels are flat, more than half.",
    )


@pytest.mark.parametrize("alive", [1, 4000])
def test_row_23_channel_that_is_flat_most_of_the_time_is_flat(alive):
    data = make_data()
    data[4, alive:] = data[4, alive]
    findings = look(data)
    assert said(findings, "flat").channels == ("E4",)


@pytest.mark.parametrize("value", [0.0, 1e-5])
def test_row_24_constant_recording_is_an_error(value):
    one = said(look(np.full((N, 5000), value)), "flat")
    assert (one.level, one.message) == ("error", "All channels are flat.")


def test_row_25_duplicate_channels_are_named_and_lower_the_rank():
    data = make_data()
    data[6] = data[1]
    findings = look(data)
    assert "E1 and E6" in said(findings, "bridge").message
    assert "8 eeg channels have rank 7" in said(findings, "rank").message
    assert findings.ok


def test_row_25_bridged_channels_differ_by_little_noise():
    data = make_data()
    data[6] = data[1] + 1e-7 * np.random.default_rng(1).standard_normal(20_000)
    findings = look(data)
    assert said(findings, "bridge").channels == ("E1", "E6")
    assert findings.ranks == {"eeg": N}


def test_correlated_neighbours_are_no_bridge():
    data = make_data()
    data[6] = 0.95 * data[1] + 0.3 * data[6]
    assert look(data).found == ()


def test_row_26_average_reference_is_noted_with_its_rank():
    data = make_data()
    findings = look(data - data.mean(axis=0))
    one = said(findings, "reference")
    assert one.level == "note"
    assert one.message == "The EEG is average-referenced: 8 channels have rank 7."
    assert "rank" not in findings.codes()


def test_row_26_average_reference_over_the_good_channels_is_seen_too():
    data = make_data()
    data[1:] -= data[1:].mean(axis=0)
    assert "reference" in look(data, make_facts(bads=("E0",))).codes()


def test_row_26_projector_is_named_among_the_reasons():
    data = make_data()
    direction = np.random.default_rng(2).standard_normal(N)
    direction /= np.linalg.norm(direction)
    data -= np.outer(direction, direction @ data)
    one = said(look(data, make_facts(projectors=1)), "rank")
    assert one.message.startswith("8 eeg channels have rank 7: 1 projector, ")


def test_row_27_microvolts_as_volts_are_refused_with_the_unit():
    one = said(look(1e6 * make_data()), "unit")
    assert one.level == "error"
    assert one.hint == "It looks like µV stored as V: multiply by 1e-6."
    assert "between 3e-07 and 0.0005 V is plausible" in one.message


def test_row_27_millivolts_as_volts_are_told_from_microvolts():
    one = said(look(1e3 * make_data()), "unit")
    assert one.hint == "It looks like mV stored as V: multiply by 1e-3."


def test_row_27_volts_as_microvolts_are_refused():
    one = said(look(1e-6 * make_data()), "unit")
    assert one.level == "error"
    assert "containers hold V" in one.hint


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
    one = said(look(data, make_facts(types=(kind,) * N)), "unit")
    assert one.hint.startswith(f"It looks like {word} stored as")


def test_row_27_within_ten_times_it_is_a_warning():
    one = said(look(100 * make_data()), "unit")
    assert one.level == "warning"


def test_row_27_one_loud_channel_does_not_make_a_unit():
    data = make_data()
    data[0] *= 1e3
    assert "unit" not in look(data).codes()


@pytest.mark.parametrize(
    ("kind", "amplitude"), [("mag", 1e-12), ("grad", 3e-11), ("seeg", 5e-5)]
)
def test_row_28_each_type_has_its_own_magnitude(kind, amplitude):
    data = amplitude / 1e-5 * make_data()
    assert look(data, make_facts(types=(kind,) * N)).found == ()
    assert not look(1e6 * data, make_facts(types=(kind,) * N)).ok


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
    one = said(findings, "spike")
    assert one.channels == ("E5",)
    assert "0.9 V, is at 10.000 s" in one.message
    assert findings.ranks == {"eeg": N}


@pytest.mark.parametrize("factor", [1e-2, 1e2, 1e3])
def test_row_26_one_loud_or_quiet_channel_leaves_the_rank(factor):
    data = make_data()
    data[0] *= factor
    assert look(data).ranks == {"eeg": N}


@pytest.mark.parametrize("value", [1e200, 1e308, -1e308])
def test_row_10_values_that_overflow_are_findings_too(value):
    data = make_data()
    data[2] *= 1e3 * min(abs(value), 1e300)
    data[5, 2500] = value
    findings = look(data)
    assert set(said_of(findings, "peak")) == {("E2",), ("E5",)}
    assert findings.ranks == {"eeg": N - 1}


def test_row_10_impossible_peak_is_an_error():
    data = make_data()
    data[5, 2500] = 2e32
    one = said(look(data), "peak")
    assert (one.level, one.message) == (
        "error",
        "E5 peak 2e+32 V at 10.000 s is impossible.",
    )


def test_row_31_short_recording_is_warned_of_with_both_numbers():
    one = said(look(make_data(1000)), "length")
    assert one.level == "warning"
    assert "1000 samples (4 s)" in one.message
    assert "rank 8 wants 1280 (5 s)" in one.message


def test_row_31_a_lower_rank_wants_fewer_samples():
    data = make_data(1000)  # enough for the rank of 7 (980), not for 8 (1280)
    assert look(data - data.mean(axis=0)).codes() == ("reference",)


def test_row_31_less_than_two_samples_a_channel_is_an_error():
    one = said(look(make_data(15)), "length")
    assert one.level == "error"
    assert "15 samples for 8 channels; 16 are the least" in one.message


def test_row_32_one_channel_is_an_error():
    assert said(look(make_data()[:1]), "channels").message.startswith(
        "There is one data channel"
    )


def test_row_20_no_data_channel_lists_the_types_present():
    findings = look(make_data(), make_facts(types=("misc",) * 5 + ("eog",) * 3))
    assert said(findings, "channels").message.endswith("there are: 3 eog, 5 misc.")


def test_channels_marked_bad_are_left_out():
    data = make_data()
    data[2] = 0
    findings = look(data, make_facts(bads=("E2",)))
    assert findings.found == ()
    assert findings.n_channels == {"eeg": N - 1}


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_row_39_missing_positions_are_named(nothing):
    facts = make_facts()
    facts.positions[:] = nothing
    one = said(look(make_data(), facts), "montage")
    assert "raw.set_montage" in one.hint
    facts = make_facts()
    facts.positions[3] = nothing
    assert said(look(make_data(), facts), "montage").message == "E3 has no position."


def test_row_39_equal_positions_are_noticed():
    facts = make_facts()
    facts.positions[:] = [0.0, 0.1, 0.0]
    assert "same position" in said(look(make_data(), facts), "montage").message


def test_row_40_low_rate_is_warned_of():
    assert (
        "below 100 Hz"
        in said(look(make_data(), make_facts(sfreq=90.0)), "rate").message
    )


def test_findings_are_plain_data_for_json():
    data = make_data()
    data[4] = 0
    document = look(data).to_dict()
    assert document["verdict"] == "warning"
    assert document["found"][0]["channels"] == ("E4",)
    assert document["duration_s"] == 80
