"""Bad channels of a Raw: named, with reasons, each type by itself."""

import json

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_array_equal

from clean.edge_recordings import mark
from meegic import simulate_recording
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.clean.bad_channels import BadChannelOptions, find_bad_channels
from meegic.clean.edge.bads import find_bads
from meegic.clean.edge.filtering import filter_recording


@pytest.fixture(scope="module")
def simulated():
    raw, truth = simulate_recording(
        "eeg32", duration_s=20, n_bad_channels=2, artifacts=[], random_state=3
    )
    return filter_recording(raw, 1.0), truth


@pytest.fixture
def raw(simulated):
    return simulated[0].copy()


@pytest.fixture(scope="module")
def meg():
    raw = simulate_recording("neuromag306", duration_s=10, artifacts=[])[0]
    return filter_recording(raw.pick(raw.ch_names[:60]), 1.0)


def test_epochs_that_are_not_loaded_are_looked_at_like_those_that_are(raw):
    events = mne.make_fixed_length_events(raw, duration=2.0)
    limits = {"tmin": 0.0, "tmax": 1.99, "baseline": None, "reject": {"eeg": 1.0}}
    lazy, loaded = (
        mne.Epochs(raw, events, **limits, preload=preload, verbose="error")
        for preload in (False, True)
    )
    assert find_bads(lazy, method="noise") == find_bads(loaded, method="noise")
    with pytest.raises(OptionError, match=r"the text 'eeg'.*Pass \['eeg'\]"):
        find_bads(raw, types="eeg")


def test_bad_channels_of_the_truth_are_found(raw, simulated):
    findings = find_bads(raw)
    assert sorted(findings.names) == sorted(simulated[1].bad_channels)
    assert findings.methods == {"eeg": "ransac"}
    assert set(findings.noise) == set(findings.bad_time_s) == set(raw.ch_names)
    assert raw.info["bads"] == []


@pytest.mark.parametrize("method", ["ransac", "correlation"])
def test_reasons_are_those_of_the_array_function(raw, method):
    import jax

    positions = None
    if method == "ransac":
        center = mne.bem.fit_sphere_to_headshape(raw.info, verbose="error")[1]
        positions = np.array([one["loc"][:3] for one in raw.info["chs"]]) - center
    expected = find_bad_channels(
        raw.get_data(), 250.0, positions, key=jax.random.key(5)
    )
    findings = find_bads(raw, method=method, random_state=5)
    named = {raw.ch_names[k]: words for k, words in expected.reasons.items()}
    assert findings.reasons == named
    assert_array_equal(list(findings.noise.values()), expected.noise)
    assert_array_equal(list(findings.bad_time_s.values()), expected.bad_time_s)
    assert (findings.seed, findings.methods) == (5, {"eeg": method})


def test_row_23_flat_channel_is_found_and_described(raw):
    raw._data[4] = 7e-6
    findings = find_bads(raw, method="correlation")
    assert findings.reasons[raw.ch_names[4]] == ("flat",)
    described = findings.describe()
    assert described[raw.ch_names[4]] == "flat"
    noisy = [one for one in described.values() if one.startswith("noisy (z ")]
    assert noisy
    assert any(one.endswith("uncorrelated (20 s)") for one in described.values())
    assert json.loads(json.dumps(findings.to_dict()))["methods"]["eeg"] == "correlation"


def test_row_23_most_channels_flat_is_refused_by_name(raw):
    raw._data[:4] = 7e-6
    options = {"max_flat_fraction": 0.1}
    names = ", ".join(map(repr, raw.ch_names[:4]))
    with pytest.raises(
        InputError, match=rf"4 of 32 eeg channels are flat.*\[{names}\]"
    ):
        find_bads(raw, **options)
    find_bads(raw, max_flat_fraction=0.125)


def test_row_24_all_channels_flat_is_refused(raw):
    raw._data[:] = 1e-6
    with pytest.raises(InputError, match="All channels are flat"):
        find_bads(raw)


def test_row_42_marked_spans_and_marked_channels_are_not_looked_at(raw, simulated):
    bad = list(simulated[1].bad_channels)
    rng = np.random.default_rng(0)
    raw._data[:, 1000:2500] = 1e-3 * rng.standard_normal((32, 1500))
    mark(raw, 4.0, 6.0, "BAD_burst")
    assert sorted(find_bads(raw).names) == sorted(bad)
    raw.info["bads"] = bad[:1]
    assert find_bads(raw).names == bad[1:]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_21_row_22_nonfinite_samples_are_refused_or_not_looked_at(
    raw, simulated, value
):
    raw._data[6, 100:103] = value
    with pytest.raises(InputError, match=rf"{raw.ch_names[6]!r}: 3 samples.* 0\.400 s"):
        find_bads(raw)
    findings = find_bads(raw, on_nonfinite="annotate")
    assert sorted(findings.names) == sorted(simulated[1].bad_channels)


def test_magnetometers_and_gradiometers_are_judged_apart_by_noise(meg):
    raw = meg.copy()
    kinds = np.array(raw.get_channel_types())
    loud = [int(np.flatnonzero(kinds == kind)[3]) for kind in ("mag", "grad")]
    for row in loud:
        size = raw._data[row].std()
        raw._data[row] += 10 * size * np.random.default_rng(row).standard_normal(2500)
    found, before = find_bads(raw), find_bads(meg)
    assert found.methods == {"mag": "noise", "grad": "noise"}
    names = {raw.ch_names[row] for row in loud}
    assert names <= set(found.names) <= names | set(before.names)
    assert not names <= set(before.names)
    assert all(words == ("noisy",) for words in found.reasons.values())
    assert find_bads(raw, types=["mag"]).names == [
        one for one in found.names if raw.get_channel_types([one]) == ["mag"]
    ]


def test_too_few_channels_for_subsets_are_compared_with_each_other(raw):
    few = raw.copy().pick(raw.ch_names[:13])
    assert find_bads(few).methods == {"eeg": "correlation"}
    with pytest.raises(InputError, match="Subsets must have at least 4 channels"):
        find_bads(few, method="ransac")


def test_lost_positions_are_named(raw):
    raw.info["chs"][3]["loc"][:3] = np.nan
    with pytest.warns(DataWarning, match=rf"\[{raw.ch_names[3]!r}\] have no position"):
        assert find_bads(raw).methods == {"eeg": "correlation"}
    with pytest.raises(InputError, match=rf"{raw.ch_names[3]!r}\] have no position"):
        find_bads(raw, method="ransac")
    raw.set_montage(None)
    assert find_bads(raw).methods == {"eeg": "correlation"}


def test_equal_positions_are_named(raw):
    raw.info["chs"][3]["loc"][:3] = raw.info["chs"][9]["loc"][:3]
    names = ", ".join(repr(raw.ch_names[one]) for one in (3, 9))
    with pytest.raises(InputError, match=rf"\[{names}\] have the same position"):
        find_bads(raw)


def test_positions_without_a_head_need_points_or_another_method(raw):
    with raw.info._unlock():
        raw.info["dig"] = None
    with pytest.raises(InputError, match=r"no sphere can be fitted.*Set a montage"):
        find_bads(raw)


@pytest.mark.parametrize("unit", [1e-7, 1e6])
def test_row_28_unit_does_not_matter(raw, unit):
    expected = find_bads(raw)
    raw._data *= unit
    assert find_bads(raw).reasons == expected.reasons


def test_recording_stays_and_need_not_be_loaded(raw, tmp_path):
    data, info = raw.get_data(), raw.info.copy()
    expected = find_bads(raw, method="correlation")
    assert_array_equal(raw.get_data(), data)
    assert object_diff(raw.info, info) == ""
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    assert find_bads(lazy, method="correlation") == expected
    assert not lazy.preload


def test_options_are_passed_on_and_checked(raw):
    strict = BadChannelOptions(max_noise=0.5)
    assert len(find_bads(raw, method="noise", options=strict).names) > 5
    with pytest.raises(OptionError, match="method must be 'auto', 'ransac'"):
        find_bads(raw, method="spline")
    with pytest.raises(OptionError, match="max_flat_fraction must be"):
        find_bads(raw, max_flat_fraction=2.0)
