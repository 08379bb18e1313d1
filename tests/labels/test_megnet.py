"""MEGNet's images, windows and votes from arrays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.labels import megnet
from meegic.labels.megnet import (
    HOP,
    MAX_BATCH,
    N_WINDOW,
    MegnetVotes,
    draw_magnetometer_maps,
    plan_windows,
    predict_windows,
    project_magnetometers,
    run_megnet,
)

RED, WHITE, BLUE, BLACK = [255, 0, 0], [255, 255, 255], [0, 0, 255], [0, 0, 0]
# Lengths at which the last two windows are the same one.
REPEATED = [26_250, 37_500, 150_000]


@pytest.fixture
def helmet():
    """Forty magnetometers on the upper half of a sphere, and some below."""
    n = np.arange(40)
    z = 0.95 - 1.1 * n / 39
    ring = np.sqrt(1 - z**2)
    return 0.1 * np.column_stack([ring * np.cos(2.4 * n), ring * np.sin(2.4 * n), z])


@pytest.fixture
def mixing():
    return np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture
def asked(monkeypatch):
    """What the network is asked; its answer tells the means of both inputs."""
    batches = []

    def answer(method, inputs, *, model_path=None):
        assert method == "megnet"
        batches.append(inputs | {"model_path": model_path})
        image = inputs["spatial_input"].mean(axis=(1, 2, 3))
        first = inputs["temporal_input"][:, 0, 0]
        return np.column_stack([image, first, image, first]).astype(np.float32)

    monkeypatch.setattr(megnet, "run_network", answer)
    return batches


def count_sample_by_sample(n_times, starts):
    covered = np.zeros(n_times)
    for start in starts:
        covered[start : start + N_WINDOW] += 1
    return [(1 / covered[start : start + N_WINDOW]).sum() for start in starts]


@pytest.mark.parametrize("n_times", [15_000, 15_001, 20_000, 26_249, 60_000, *REPEATED])
def test_weights_are_the_samples_that_each_window_speaks_for(n_times):
    starts, weights = plan_windows(n_times)
    assert_allclose(weights, count_sample_by_sample(n_times, starts), rtol=1e-10)
    assert_allclose(weights.sum(), n_times, rtol=1e-14)
    assert starts[0] == 0
    assert starts[-1] + N_WINDOW == n_times
    assert (np.diff(starts)[:-1] == HOP).all()
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= HOP).all()


@pytest.mark.parametrize("n_times", REPEATED)
def test_repeated_window_counts_once_but_twice_for_the_reference(n_times):
    starts, weights = plan_windows(n_times)
    same, reference = plan_windows(n_times, compat="mne-icalabel")
    assert_array_equal(same, starts)
    doubled = count_sample_by_sample(n_times, [*starts, starts[-1]])
    assert_allclose(reference, [*doubled[:-2], 2 * doubled[-1]], rtol=1e-10)
    assert reference[-1] > weights[-1]
    assert_allclose(reference.sum(), n_times, rtol=1e-14)


def test_weights_of_the_specified_lengths():
    assert_array_equal(plan_windows(26_250)[1], [13_125, 13_125])
    wanted = [12_500, 13_750]
    assert_array_equal(plan_windows(26_250, compat="mne-icalabel")[1], wanted)
    starts, weights = plan_windows(35_000)
    assert_array_equal(starts, [0, 11_250, 20_000])
    assert_array_equal(weights, [13_125, 10_000, 11_875])


def test_samples_count_as_much_as_their_weights_say():
    random = np.random.default_rng(0).uniform(size=40_000)
    starts, weights = plan_windows(40_000, sample_weights=random)
    assert_allclose(weights.sum(), random.sum())
    assert_array_equal(starts, plan_windows(40_000)[0])
    ones = np.ones(40_000)
    assert_allclose(
        plan_windows(40_000, sample_weights=ones)[1], plan_windows(40_000)[1]
    )
    first = ones.copy()
    first[15_000:] = 0
    _, weights = plan_windows(40_000, sample_weights=first)
    assert_allclose(weights, [HOP + 3_750 / 2, 3_750 / 2, 0, 0])


@pytest.mark.parametrize("bad", [-1.0, np.nan, "zero"])
def test_impossible_sample_weights_are_refused(bad):
    weights = np.zeros(15_000)
    if bad != "zero":
        weights[:2] = 1, bad
    with pytest.raises(InputError, match="sample_weights"):
        plan_windows(15_000, sample_weights=weights)


def test_less_than_a_minute_is_refused():
    assert_array_equal(plan_windows(15_000)[1], [15_000])
    with pytest.raises(InputError, match="15000 good samples or more, 60 s at 250 Hz"):
        plan_windows(14_999)


def test_probabilities_are_means_over_windows_by_weight():
    sure, torn = [[1, 0, 0, 0]] * 3, [[0.1, 0.9, 0, 0], [0.3, 0.7, 0, 0], [1, 0, 0, 0]]
    votes = MegnetVotes(
        np.arange(3), np.array([2.0, 1.0, 1.0]), np.array([sure, torn], np.float32)
    )
    assert_allclose(votes.proba, [[1, 0, 0, 0], [0.375, 0.625, 0, 0]], atol=1e-7)


def test_windows_are_scaled_to_a_range_of_ten_about_their_mean(asked, mixing, helmet):
    series = 1e-12 * np.random.default_rng(1).laplace(size=(3, 20_000)) + 5e-12
    predict_windows(
        series, draw_magnetometer_maps(mixing, helmet), np.array([0, 5_000])
    )
    (batch,) = asked
    windows = batch["temporal_input"][..., 0]
    assert_allclose(np.ptp(windows, axis=1), 10)
    assert_allclose(windows.mean(axis=1), 0, atol=1e-9)
    tail = series[1, 5_000:]
    assert_allclose(np.corrcoef(windows[3], tail)[0, 1], 1)
    assert_array_equal(batch["spatial_input"][2], batch["spatial_input"][3])


def test_windows_are_as_they_come_for_the_reference(asked, helmet, mixing):
    series = np.random.default_rng(1).laplace(size=(3, 15_000))
    run_megnet(series, mixing, helmet, compat="mne-icalabel", model_path="other.onnx")
    (batch,) = asked
    assert_array_equal(batch["temporal_input"][..., 0], series)
    assert batch["model_path"] == "other.onnx"


def test_both_signs_are_seen(asked, helmet, mixing):
    series = np.random.default_rng(1).laplace(size=(3, 15_000))
    run_megnet(series, mixing, helmet)
    one, other = asked
    assert_array_equal(other["temporal_input"], -one["temporal_input"])
    images = draw_magnetometer_maps(-mixing, helmet)
    assert_array_equal(other["spatial_input"], images)


def test_long_recordings_are_asked_in_small_batches(asked, mixing, helmet):
    series = np.random.default_rng(1).normal(size=(3, 15_000)).astype(np.float32)
    images = draw_magnetometer_maps(mixing, helmet)
    starts = np.zeros(15, dtype=int)
    found = predict_windows(series, images, starts)
    sizes = [len(one["temporal_input"]) for one in asked]
    assert sizes == [MAX_BATCH] * (45 // MAX_BATCH) + [45 % MAX_BATCH]
    assert MAX_BATCH <= 32
    for component in range(3):
        alone = predict_windows(series[[component]], images[[component]], starts[:1])
        assert_array_equal(found[component], np.repeat(alone[0], 15, axis=0))


def test_colours_are_blue_white_red_about_zero(helmet):
    x = helmet[:, 0]
    image = draw_magnetometer_maps(x[:, None], helmet)[0]
    half = image[60].astype(int)
    assert_array_equal(image[0, 0], BLACK)
    assert_allclose(half[59], WHITE, atol=6)
    assert (half[2:58, 0] < half[2:58, 2]).all()  # left is negative, blue
    assert (half[62:118, 0] > half[62:118, 2]).all()
    assert_array_equal(half.min(axis=0)[1] < 60, True)


def test_constant_maps_have_the_strongest_colour(helmet):
    ones = np.ones((40, 1))
    assert_array_equal(draw_magnetometer_maps(ones, helmet)[0, 60, 60], RED)
    assert_array_equal(draw_magnetometer_maps(-ones, helmet)[0, 60, 60], BLUE)


def test_limits_are_symmetric_but_for_the_reference(helmet):
    bump = np.exp(-((helmet[:, :2] / 0.05) ** 2).sum(axis=1))[:, None]
    ours = draw_magnetometer_maps(bump, helmet)[0]
    reference = draw_magnetometer_maps(bump, helmet, compat="mne-icalabel")[0]
    inside = ours.any(axis=2)
    assert (ours[inside][:, 0] >= ours[inside][:, 2]).all()  # nothing is blue
    assert_allclose(reference[60, 8], BLUE, atol=40)  # near the rim it is zero
    other = draw_magnetometer_maps(-bump, helmet, compat="mne-icalabel")
    assert_array_equal(other, draw_magnetometer_maps(-bump, helmet))


def test_scale_of_a_map_does_not_matter_and_its_sign_swaps_red_and_blue(helmet, mixing):
    images = draw_magnetometer_maps(mixing, helmet)
    assert_array_equal(draw_magnetometer_maps(8.0 * mixing, helmet), images)
    swapped = draw_magnetometer_maps(-mixing, helmet)[..., ::-1]
    # A value between two of 256 colours is rounded to the other one.
    assert_allclose(swapped.astype(int), images, atol=2)


def test_order_of_channels_and_components_does_not_matter():
    """Of these helmets one is triangulated otherwise when its channels are moved."""
    for seed in range(4):
        helmet = np.random.default_rng(seed).normal(size=(30, 3))
        helmet[:, 2] = np.abs(helmet[:, 2])
        helmet /= np.linalg.norm(helmet, axis=1, keepdims=True)
        mixing = np.random.default_rng(seed + 9).normal(size=(30, 3))
        order = np.random.default_rng(seed + 5).permutation(30)
        found = draw_magnetometer_maps(mixing[order][:, ::-1], helmet[order])
        assert_array_equal(found, draw_magnetometer_maps(mixing, helmet)[::-1])


def test_helmet_becomes_a_disc_whose_rim_is_the_unit_circle(helmet):
    flat = project_magnetometers(helmet)
    distances = np.linalg.norm(flat, axis=1)
    assert distances.max() <= 1 + 1e-12
    assert (distances > 1 - 1e-12).sum() >= 3
    azimuths = np.arctan2(helmet[:, 1], helmet[:, 0])
    assert_allclose(np.arctan2(flat[:, 1], flat[:, 0]), azimuths, atol=1e-12)
    assert_allclose(project_magnetometers(1e3 * helmet), flat, atol=1e-12)


def test_sign_changes_nothing_and_scale_nearly_nothing(helmet, mixing):
    """The real network, on two components of 60 s: a heart and noise."""
    rng = np.random.default_rng(0)
    beats = np.exp(-((np.arange(15_000) % 240 - 120) ** 2) / 20)
    series = np.stack([beats, 0.1 * rng.normal(size=15_000)])
    votes = run_megnet(series, mixing[:, :2], helmet)
    assert_allclose(votes.proba.sum(axis=1), 1, atol=1e-5)
    flipped = run_megnet(-series, -mixing[:, :2], helmet)
    assert_array_equal(flipped.window_proba, votes.window_proba)
    scaled = run_megnet(3 * series, mixing[:, :2], helmet)
    assert_allclose(scaled.window_proba, votes.window_proba, atol=1e-6)


def test_inputs_stay_as_they_are(asked, helmet, mixing):
    series = np.random.default_rng(1).laplace(size=(3, 15_000))
    inputs = series, mixing, helmet
    before = [one.copy() for one in inputs]
    run_megnet(*inputs)
    for one, other in zip(inputs, before, strict=True):
        assert_array_equal(one, other)


def test_constant_series_are_refused_by_number(helmet, mixing):
    series = np.random.default_rng(1).laplace(size=(3, 20_000))
    series[1, 4_000:] = 7.0
    with pytest.raises(
        InputError, match=r"\[1\] are constant from sample 5000 to 20000. Mark that"
    ):
        run_megnet(series, mixing, helmet)


def test_flat_maps_and_missing_positions_are_refused(helmet, mixing):
    mixing[:, 2] = 0
    with pytest.raises(InputError, match=r"components \[2\] are zero at all 40"):
        draw_magnetometer_maps(mixing, helmet)
    helmet[5] = 0
    with pytest.raises(InputError, match=r"1 of 40 are NaN or zero: \[5\]"):
        draw_magnetometer_maps(mixing, helmet)
    line = np.arange(1, 6)[:, None] * np.array([[0.0, 0.01, 0.0]])
    with pytest.raises(InputError, match="one line, but got 5 that do"):
        project_magnetometers(line)


def test_nan_and_other_shapes_are_refused(helmet, mixing):
    series = np.zeros((3, 15_000))
    images = np.zeros((2, 120, 120, 3), np.uint8)
    with pytest.raises(ShapeError, match=r"images must have shape \(3, 120, 120, 3\)"):
        predict_windows(series, images, np.array([0]))
    with pytest.raises(ShapeError, match=r"series must have shape \(3, any\)"):
        run_megnet(series[:2], mixing, helmet)
    series[0, 9] = np.nan
    with pytest.raises(InputError, match="series contains NaN or Inf: 1 values"):
        run_megnet(series, mixing, helmet)


def test_unknown_compat_is_refused(helmet, mixing):
    with pytest.raises(OptionError, match="Did you mean 'mne-icalabel'"):
        run_megnet(np.ones((3, 15_000)), mixing, helmet, compat="mne_icalabel")
    with pytest.raises(OptionError, match="sign must be 1 or -1, but got 2"):
        predict_windows(
            np.ones((1, 15_000)), np.zeros((1, 120, 120, 3)), np.array([0]), sign=2
        )
