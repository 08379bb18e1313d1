"""The simulated recording: what it holds, and that its truth is true."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment

import meegic
from meegic.base.errors import OptionError
from meegic.base.files import hash_file
from meegic.math.spectra import band_power, welch_power
from meegic.simulation.edge.head import compute_field, make_head
from meegic.simulation.edge.parts import make_artifacts
from meegic.simulation.edge.recording import ARTIFACTS, simulate_recording
from meegic.simulation.sources import Clock

KINDS = {
    "blink": "eye blink",
    "saccade": "eye movement",
    "ecg": "heart beat",
    "muscle": "muscle artifact",
    "line": "line noise",
}


@pytest.fixture(scope="module")
def pair():
    return simulate_recording("eeg32", duration_s=60, n_models=2, random_state=5)


@pytest.fixture(scope="module", params=range(6))
def damaged(request):
    """A recording with pops, four bad channels and room for chance."""
    return simulate_recording(
        "eeg19", duration_s=30, n_bad_channels=4, random_state=request.param
    )


def test_lowest_rate_works_without_mains():
    raw, _ = simulate_recording("eeg19", duration_s=5, sfreq=100, artifacts=["blink"])
    assert raw.info["sfreq"] == 100


def test_every_pop_of_the_truth_is_in_the_data(damaged):
    raw, truth = damaged
    rest = raw.get_data(picks="eeg") - truth.project(*set(truth.kinds))
    pairs = zip(truth.span_channels, truth.span_samples, strict=True)
    for channel, (start, _) in pairs:
        if channel:
            assert channel not in truth.bad_channels
            row = rest[truth.ch_names.index(channel)]
            # half to three halves of 200 µV, beside noise of less than 1 µV
            assert 95e-6 < abs(row[start] - row[start - 1]) < 305e-6


def test_bad_channels_differ_and_come_in_the_order_of_the_data(damaged):
    _, truth = damaged
    assert len(truth.bad_channels) == 4
    ordered = [name for name in truth.ch_names if name in truth.bad_channels]
    assert list(truth.bad_channels) == ordered


def test_last_event_leaves_room_for_its_response(damaged):
    _, truth = damaged
    n_times = truth.sources.shape[1]
    assert truth.event_samples.max() <= n_times - 0.8 * truth.sfreq
    gaps = np.diff(truth.event_samples) / truth.sfreq
    assert 0.99 < gaps.min() < gaps.max() < 1.61  # 1 to 1.6, but for rounding


def test_bad_channel_is_as_loud_as_eeg_and_not_white(damaged):
    raw, truth = damaged
    noise = raw.get_data(picks=list(truth.bad_channels))
    # the slow part of 0.6 and the white one of 0.8 are uncorrelated but for chance
    assert_allclose(noise.std(axis=1), 40e-6, rtol=0.1)
    # of white noise alone 8 in 125 parts would lie below 8 Hz
    spectrum = welch_power(noise, truth.sfreq, window_s=4.0)
    slow = band_power(spectrum, low=0, high=8)
    assert (slow > 0.15 * noise.var(axis=1)).all()


def test_data_are_mixing_times_sources_plus_noise(pair):
    raw, truth = pair
    edges = [*truth.block_starts, raw.n_times]
    blocks = zip(truth.block_models, edges[:-1], edges[1:], strict=True)
    by_hand = np.hstack(
        [truth.mixing[model] @ truth.sources[:, a:b] for model, a, b in blocks]
    )
    size = np.abs(by_hand).max()
    everything = truth.project(*set(truth.kinds))
    assert_allclose(everything, by_hand, rtol=0, atol=1e-12 * size)
    good = ~np.isin(truth.ch_names, [*truth.bad_channels, *truth.span_channels])
    rest = (raw.get_data(picks="eeg") - by_hand)[good]
    # white noise of 50 nV per root Hz; 15 000 samples tell its size within 3 %
    assert_allclose(truth.noise_std, 50e-9 * np.sqrt(125))
    assert_allclose(rest.std(axis=1), truth.noise_std[good], rtol=0.03)
    assert np.abs(rest).max() < 6 * truth.noise_std.max()


def test_field_of_an_artifact_is_that_of_its_dipole(pair):
    _, truth = pair
    head = make_head("eeg32")
    for index in truth.select("muscle artifact", "heart beat"):
        place = (truth.positions[0, index] - head.center) / head.radius
        moment = truth.moments[index] * truth.orientations[0, index]
        field = compute_field("eeg32", place[None], moment[None])
        assert_allclose(truth.mixing[0, :, index], field, rtol=1e-6)


def test_only_the_hum_is_no_dipole(pair):
    _, truth = pair
    dipole = np.isfinite(truth.moments)
    assert_array_equal(np.flatnonzero(~dipole), truth.select("line noise"))
    assert_allclose(np.linalg.norm(truth.orientations[:, dipole], axis=2), 1)
    assert np.isfinite(truth.positions[:, dipole]).all()


def test_brain_sources_lie_in_the_upper_cortex(pair):
    _, truth = pair
    head = make_head("eeg32")
    brain = truth.positions[:, truth.select("brain")]
    places = (brain - head.center) / head.radius
    depth = np.linalg.norm(places, axis=2)
    assert 0.55 < depth.min() < depth.max() < 0.83
    assert places[..., 2].min() > -0.31  # a grid's rounding below -0.3


def test_alpha_is_stronger_behind(pair):
    _, truth = pair
    spectrum = welch_power(truth.project("brain"), truth.sfreq, window_s=4.0)
    alpha = dict(zip(truth.ch_names, band_power(spectrum, low=8, high=12), strict=True))
    behind = np.mean([alpha[name] for name in ("O1", "Oz", "O2")])
    assert behind > 2 * np.mean([alpha[name] for name in ("Fp1", "Fp2", "Fz")])


def test_saccades_have_the_size_of_saccades(pair):
    _, truth = pair
    assert 50e-6 < np.ptp(truth.project("eye movement"), axis=1).max() < 300e-6


def test_hum_in_a_helmet_is_one_field_that_its_coils_read():
    clock = Clock(500, 250.0)
    (hum,) = make_artifacts(
        "ctf151", ["line"], n_models=1, line_freq_hz=50.0, clock=clock, seed=0
    )
    axes = np.array([one["loc"][9:12] for one in make_head("ctf151").info["chs"]])
    field = hum.fields[0]
    uniform = axes @ np.linalg.lstsq(axes, field, rcond=None)[0]
    assert np.corrcoef(uniform, field)[0, 1] > 0.9
    # 100 fT, times the coils' part of a field of about unit length
    assert 30e-15 < np.sqrt(np.mean(field**2)) < 100e-15


def test_spans_come_in_the_order_of_time(pair):
    _, truth = pair
    assert (np.diff(truth.span_samples[:, 0]) >= 0).all()
    assert set(truth.span_kinds) == {*KINDS.values(), "channel noise"} - {"line noise"}


def test_sensors_are_digitized(pair):
    raw, truth = pair
    assert raw.get_montage().ch_names == list(truth.ch_names)


def test_mixing_switches_where_the_truth_says(pair):
    _, truth = pair
    assert_array_equal(truth.block_starts, [0, 3750, 7500, 11250])
    assert_array_equal(truth.block_models, [0, 1, 0, 1])
    brain = truth.select("brain")
    artifact = np.setdiff1d(np.arange(len(truth.kinds)), brain)
    first, second = truth.mixing
    assert_array_equal(first[:, artifact], second[:, artifact])
    # another place, another map: no brain column is the same in both conditions
    cosine = np.sum(first * second, axis=0) / np.linalg.norm(first, axis=0)
    cosine = np.abs(cosine / np.linalg.norm(second, axis=0))[brain]
    assert np.median(cosine) < 0.9


def test_sources_have_unit_rms_and_a_full_mixing(pair):
    _, truth = pair
    assert_allclose(np.mean(truth.sources**2, axis=1), 1)
    good = ~np.isin(truth.ch_names, truth.bad_channels)
    for mixing in truth.mixing:
        square = mixing[good]
        assert square.shape[0] == square.shape[1]
        assert np.linalg.cond(square / np.linalg.norm(square, axis=0)) < 1e4


def test_project_keeps_kinds_apart(pair):
    _, truth = pair
    parts = sum(truth.project(kind) for kind in set(truth.kinds))
    everything = truth.project(*set(truth.kinds))
    assert_allclose(parts, everything, atol=1e-12 * np.abs(everything).max())
    assert np.abs(truth.project("eye blink")[:, :100]).max() < 1e-6


@pytest.mark.parametrize("layout", ["eeg19", "ctf151"])
def test_same_seed_same_bytes_and_another_seed_another_recording(layout, tmp_path):
    digests = set()
    for run in range(2):
        raw, truth = simulate_recording(layout, duration_s=6, random_state=3)
        truth.save(tmp_path / f"{run}.npz")
        digests.add((raw.get_data().tobytes(), hash_file(tmp_path / f"{run}.npz")))
    assert len(digests) == 1
    other, _ = simulate_recording(layout, duration_s=6, random_state=4)
    assert not np.array_equal(other.get_data(), raw.get_data())


@pytest.mark.parametrize("layout", ["eeg19", "neuromag306"])
def test_what_a_user_does_to_a_recording_does_not_reach_the_next_one(layout):
    raw, truth = simulate_recording(layout, duration_s=5)
    before = raw.get_data()
    for channel in raw.info["chs"]:
        channel["loc"][:3] *= 2
    if raw.info["dev_head_t"] is not None:
        raw.info["dev_head_t"]["trans"][:3, 3] += 0.02
    again, same = simulate_recording(layout, duration_s=5)
    assert_array_equal(again.get_data(), before)
    assert_array_equal(same.positions, truth.positions)


def test_leaving_an_artifact_out_leaves_the_others_as_they_were():
    _, full = simulate_recording("eeg32", duration_s=6)
    _, less = simulate_recording("eeg32", duration_s=6, artifacts=["ecg", "blink"])
    for kind in ("eye blink", "heart beat"):
        mine, theirs = less.select(kind), full.select(kind)
        assert_array_equal(less.sources[mine], full.sources[theirs])
        assert_array_equal(less.mixing[:, :, mine], full.mixing[:, :, theirs])
    assert_array_equal(less.event_samples, full.event_samples)


@pytest.mark.parametrize("name", [*KINDS, "pop"])
def test_each_artifact_can_be_asked_for_alone(name):
    _, truth = simulate_recording("eeg19", duration_s=8, artifacts=[name])
    others = {kind for key, kind in KINDS.items() if key != name}
    assert not others & set(truth.kinds)
    if name == "pop":
        assert set(truth.span_kinds) == {"channel noise"}
        assert set(truth.span_channels) <= set(truth.ch_names)
    else:
        assert KINDS[name] in truth.kinds


def test_numbers_are_those_of_a_real_recording(shared):
    """Median band powers within 6 dB of the shared recording; rank and blink size."""
    raw, truth = simulate_recording("eeg32", duration_s=60)
    real = mne.io.read_raw_eeglab(shared / "data/eeglab_data.set", verbose="error")
    real.crop(0, 60)
    bands = [(1, 3), (3, 7), (8, 12), (13, 20), (20, 30), (30, 45)]

    def powers(inst):
        data = inst.get_data(picks="eeg")
        spectrum = welch_power(data, inst.info["sfreq"], window_s=2.0)
        return [
            np.median(band_power(spectrum, low=low, high=high)) for low, high in bands
        ]

    difference = 10 * np.log10(np.array(powers(raw)) / np.array(powers(real)))
    assert np.abs(difference).max() < 6, difference.round(1)
    names = list(truth.ch_names)
    blink = truth.project("eye blink")[names.index("Fp1")]
    assert 80e-6 < blink.max() < 300e-6


def test_infomax_finds_blink_heart_and_muscle():
    """What MNE's own ICA makes of it: the sources are separable, as in real EEG."""
    raw, truth = simulate_recording("eeg32", duration_s=60)
    raw.info["bads"] = list(truth.bad_channels)
    pops = truth.spans("channel noise") / truth.sfreq + np.array([-0.1, 0.1])
    raw.set_annotations(mne.Annotations(pops[:, 0], np.ptp(pops, axis=1), "BAD_pop"))
    raw.filter(1, 100, verbose="error")
    ica = mne.preprocessing.ICA(
        method="infomax", fit_params={"extended": True}, rng=0, max_iter=300
    )
    ica.fit(raw, picks="eeg", verbose="error")
    found = ica.get_sources(raw).get_data()
    true = mne.filter.filter_data(truth.sources, truth.sfreq, 1, 100, verbose="error")
    match = np.abs(np.corrcoef(true, found)[: len(true), len(true) :])
    rows, columns = linear_sum_assignment(-match)
    paired = match[rows, columns]
    assert paired[truth.select("eye blink")].min() > 0.95
    assert paired[truth.select("heart beat")].min() > 0.85
    assert paired[truth.select("muscle artifact")].min() > 0.75
    assert np.median(paired[truth.select("brain")]) > 0.85


def test_ecg_and_eog_channels_follow_their_sources(pair):
    raw, truth = pair
    kinds = {"VEOG": "eye blink", "HEOG": "eye movement", "ECG": "heart beat"}
    for name, kind in kinds.items():
        course = truth.sources[truth.select(kind)[0]]
        assert np.corrcoef(raw.get_data(picks=[name])[0], course)[0, 1] > 0.9


@pytest.mark.parametrize("layout", ["neuromag306", "ctf275"])
def test_meg_has_the_magnitudes_of_meg(layout):
    raw, truth = simulate_recording(layout, duration_s=10)
    types = np.array(raw.get_channel_types(picks="meg"))
    spread = raw.get_data(picks="meg").std(axis=1)
    assert 1e-13 < np.median(spread[types == "mag"]) < 5e-12
    assert len(truth.kinds) == 64
    assert raw.info["dev_head_t"] is not None


def test_events_are_annotations_of_the_raw(pair):
    raw, truth = pair
    assert set(raw.annotations.description) == {"stimulus"}
    assert_allclose(raw.annotations.onset * truth.sfreq, truth.event_samples)


def test_evoked_sources_answer_to_the_events(pair):
    _, truth = pair
    lag = np.arange(int(0.6 * truth.sfreq))
    trials = truth.sources[:, truth.event_samples[:, None] + lag].mean(axis=1)
    height = np.ptp(trials, axis=1)
    rest = np.setdiff1d(truth.select("brain"), truth.evoked)
    assert height[truth.evoked].min() > 1.5 * np.median(height[rest])


def test_truth_survives_the_file(pair, tmp_path):
    _, truth = pair
    truth.save(tmp_path / "truth.npz")
    read = meegic.read_truth(tmp_path / "truth.npz")
    for name in truth.__dataclass_fields__:
        before, after = getattr(truth, name), getattr(read, name)
        assert_array_equal(before, after)
        assert type(before) is type(after)


def test_seed_is_drawn_and_recorded():
    _, truth = simulate_recording("eeg19", duration_s=5, random_state=None)
    _, again = simulate_recording("eeg19", duration_s=5, random_state=truth.seed)
    assert_array_equal(truth.sources, again.sources)


def test_global_generator_is_neither_read_nor_moved():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_recording("eeg19", duration_s=5)
    assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "eeg33"}, r"layout must be .*Did you mean 'eeg32'"),
        ({"duration_s": 4}, "duration_s must be a number at least 5 s"),
        ({"duration_s": float("nan")}, "duration_s must be a number at least 5 s"),
        ({"sfreq": 50}, "sfreq must be a number at least 100 Hz"),
        ({"n_models": 0}, "n_models must be a whole number between 1 and 10"),
        ({"n_models": 1.5}, "n_models must be a whole number"),
        ({"artifacts": ["blnk"]}, "'blnk' is not a known artifact.*'blink'"),
        ({"n_bad_channels": 5}, "n_bad_channels must be .* between 0 and 4"),
        (
            {"line_freq_hz": 125},
            "line_freq_hz must be a number at least 1 Hz and below",
        ),
        ({"random_state": -1}, "random_state"),
        ({"random_state": 1.5}, "random_state"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        simulate_recording(**{"layout": "eeg19", "duration_s": 5} | options)


def test_string_of_artifacts_is_refused():
    with pytest.raises(OptionError, match="artifact names must be a list"):
        simulate_recording("eeg19", duration_s=5, artifacts="blink")


def test_all_artifacts_are_the_default():
    assert set(ARTIFACTS) == {*KINDS, "pop"}
