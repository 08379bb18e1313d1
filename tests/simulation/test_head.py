"""The head model against formulas, and the anatomy of artifact fields."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.base.errors import OptionError
from meegic.simulation.edge import head as heads
from meegic.simulation.edge.head import (
    LAYOUTS,
    compute_brain_gain,
    compute_field,
    make_head,
)

EYES = np.array([[-0.33, 0.72, -0.42], [0.33, 0.72, -0.42]])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_sensors_around_its_sphere(layout):
    head = make_head(layout)
    to_head = np.eye(4) if not head.is_meg else head.info["dev_head_t"]["trans"]
    places = np.array([one["loc"][:3] for one in head.info["chs"]])
    places = places @ to_head[:3, :3].T + to_head[:3, 3]
    distance = np.linalg.norm(places - head.center, axis=1)
    low = 1.03 if head.is_meg else 0.85
    assert low * head.radius < distance.min()
    assert head.info["nchan"] == int("".join(c for c in layout if c.isdigit())) - (
        layout == "ctf275"
    )


def test_gain_agrees_with_mne_for_one_dipole():
    """The whole way through MNE once more, by hand, with its own reference."""
    names = make_head("eeg19").info["ch_names"]
    info = mne.create_info([*names, "M1", "M2"], 1000.0, "eeg")
    info.set_montage(mne.channels.make_standard_montage("colin27_1005"))
    positions, gain = compute_brain_gain("eeg19")
    head = make_head("eeg19")
    space = mne.setup_volume_source_space(
        pos={"rr": positions[[100]], "nn": [[1.0, 0, 0]]}, verbose="error"
    )
    sphere = mne.make_sphere_model(head.center, head.radius, verbose="error")
    forward = mne.make_forward_solution(info, None, space, sphere, verbose="error")
    expected = forward["sol"]["data"]
    expected = expected[:-2] - expected[-2:].mean(axis=0)
    assert_allclose(gain[:, 100], expected, rtol=1e-6, atol=1e-6 * abs(gain).max())


def test_blink_is_positive_and_largest_at_the_forehead():
    field = compute_field("eeg32", EYES, np.tile([0.0, 0.6, 0.8], (2, 1)) * 1e-6)
    names = make_head("eeg32").info["ch_names"]
    order = [names[index] for index in np.argsort(-field)]
    assert set(order[:2]) == {"Fp1", "Fp2"}
    assert field.max() > 5 * abs(field[names.index("Oz")])


def test_saccade_has_opposite_signs_left_and_right():
    field = compute_field("eeg32", EYES, np.tile([-1.0, 0, 0], (2, 1)) * 1e-6)
    names = make_head("eeg32").info["ch_names"]
    assert field[names.index("F7")] > 0 > field[names.index("F8")]


def test_heart_reaches_eeg_and_every_helmet():
    for layout in LAYOUTS:
        moment = np.array([[0.3, -0.3, -0.9]]) * 35e-6
        field = compute_field(layout, np.array([[0.3, 0.2, -3.9]]), moment)
        largest = np.abs(field).max()
        low, high = (5e-6, 80e-6) if layout.startswith("eeg") else (1e-13, 1e-10)
        assert low < largest < high


def test_potential_differences_fall_with_the_cube_of_the_distance():
    moment = np.array([[0.0, 0.0, 1e-6]])
    near, far = (
        np.ptp(compute_field("eeg19", np.array([[0.0, 0.0, -height]]), moment))
        for height in (40, 80)
    )
    # the head is a fortieth of the distance, which bounds the dipole's own terms
    assert far / near == pytest.approx(1 / 8, rel=0.1)


def test_planar_coil_reads_the_slope_of_the_field():
    """Central difference of a magnetometer's field, the formula of a gradiometer."""
    moment, position = np.array([0.0, 1e-6, 0.0]), np.array([0.0, 0.0, -0.3])
    axes = np.eye(3)
    grad = {"loc": np.concatenate([[0.03, 0, 0.1], axes.ravel()]), "coil_type": 3012}
    read = heads._read_coil
    got = read(grad, np.eye(4), position, moment)
    ends = [
        read(
            {**grad, "loc": grad["loc"] + np.r_[x, np.zeros(11)], "coil_type": 3024},
            np.eye(4),
            position,
            moment,
        )
        for x in (-0.0084, 0.0084)
    ]
    assert got == pytest.approx((ends[1] - ends[0]) / 0.0168)


def test_fields_are_linear_in_the_moment():
    moments = np.array([[0.0, 0.6, 0.8], [0.1, 0.2, 0.3]]) * 1e-6
    once = compute_field("eeg19", EYES, moments)
    assert_allclose(compute_field("eeg19", EYES, 3 * moments), 3 * once, rtol=1e-9)


def test_unknown_layout_is_refused_with_a_suggestion():
    with pytest.raises(OptionError, match=r"layout must be .*Did you mean 'eeg32'\?"):
        make_head("eg32")
