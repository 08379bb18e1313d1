"""MEGNet and scalp maps against numbers of mne-icalabel."""

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.labels.classes import get_vocabulary
from meegic.labels.megnet import (
    MegnetVotes,
    draw_magnetometer_maps,
    plan_windows,
    predict_windows,
    project_magnetometers,
    run_megnet,
)
from meegic.labels.scalp_maps import compute_scalp_maps


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "labels" / "megnet_neuromag.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def votes(golden):
    return run_megnet(
        golden["time_series"], golden["mixing_mag"][:, :6], golden["mag_pos3d"]
    )


def name(proba):
    classes = get_vocabulary("megnet").classes
    return [classes[one] for one in proba.argmax(axis=1)]


@pytest.mark.parametrize("res", [32, 64])
@pytest.mark.parametrize("extrapolate", ["auto", "local", "box"])
def test_scalp_maps_agree(shared, res, extrapolate):
    folder = shared / "golden" / "labels"
    with np.load(folder / "real_infomax15.npz") as case:
        mixing, positions = case["mixing"][:, :3], case["ch_pos"]
    found = compute_scalp_maps(mixing, positions, res=res, extrapolate=extrapolate)
    with np.load(folder / "get_topomaps_real15.npz") as wanted:
        assert_allclose(found, wanted[f"res{res}_{extrapolate}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("extrapolate", ["head", "local", "box"])
@pytest.mark.parametrize("name", ["easycap-M10", "biosemi16"])
def test_scalp_maps_agree_on_symmetric_montages(name, extrapolate):
    """There four neighbors often lie on one circle, and MNE cuts them as we do."""
    montage = mne.channels.make_standard_montage(name)
    info = mne.create_info(montage.ch_names, 250.0, "eeg").set_montage(montage)
    positions = np.array([one["loc"][:3] for one in info["chs"]])
    mixing = np.random.default_rng(0).normal(size=(len(positions), 1))
    image, _ = mne.viz.plot_topomap(
        mixing[:, 0], info, res=32, extrapolate=extrapolate, contours=0, show=False,
        sphere=(0.0, 0.0, 0.0, 0.095),
    )  # fmt: skip
    plt.close("all")
    wanted = np.nan_to_num(np.asarray(image.get_array())[::-1])
    found = compute_scalp_maps(mixing, positions, res=32, extrapolate=extrapolate)
    assert_allclose(found[0], wanted / np.abs(wanted).max(), rtol=0, atol=1e-6)


def test_positions_in_the_plane_agree(golden):
    found = project_magnetometers(golden["mag_pos3d"])
    assert_allclose(found, golden["pos2d"], rtol=0, atol=1e-12)


def test_images_agree(golden):
    """Those of the reference were resampled by matplotlib, and back."""
    found = draw_magnetometer_maps(golden["mixing_mag"], golden["mag_pos3d"])
    error = np.abs(found.astype(float) - golden["topomap_rgb"])
    assert error.mean(axis=(1, 2, 3)).max() <= 1.2
    assert (error > 8).mean(axis=(1, 2, 3)).max() <= 0.025


def test_windows_and_weights_agree(golden):
    for compat in (None, "mne-icalabel"):
        starts, weights = plan_windows(35_000, compat=compat)
        assert_array_equal(starts, golden["window_starts"])
        assert_array_equal(weights, golden["window_weights"])


def test_probabilities_agree_on_the_reference_images(golden):
    found = predict_windows(
        golden["time_series"], golden["topomap_rgb"][:6], golden["window_starts"],
        compat="mne-icalabel",
    )  # fmt: skip
    assert_allclose(found, golden["window_prob"], rtol=0, atol=1e-5)


def test_votes_agree(golden):
    votes = MegnetVotes(
        golden["window_starts"], golden["window_weights"], golden["window_prob"]
    )
    assert_allclose(votes.proba, golden["prob"], rtol=0, atol=1e-12)


def test_our_images_lead_to_the_probabilities_of_the_reference(golden):
    found = run_megnet(
        golden["time_series"], golden["mixing_mag"][:, :6], golden["mag_pos3d"],
        compat="mne-icalabel",
    )  # fmt: skip
    assert_allclose(found.proba, golden["prob"], rtol=0, atol=1e-5)


def test_labels_are_right(votes):
    assert name(votes.proba) == [
        *("brain/other", "heart beat", "brain/other"),
        *("eye blink", "brain/other", "brain/other"),
    ]


def test_other_signs_change_no_number(golden, votes):
    found = run_megnet(
        -golden["time_series"], -golden["mixing_mag"][:, :6], golden["mag_pos3d"]
    )
    assert_array_equal(found.window_proba, votes.window_proba)


def test_three_times_the_series_changes_no_label(golden, votes):
    found = run_megnet(
        3 * golden["time_series"], golden["mixing_mag"][:, :6], golden["mag_pos3d"]
    )
    assert_allclose(found.window_proba, votes.window_proba, rtol=0, atol=1e-6)
    assert name(found.proba) == name(votes.proba)
