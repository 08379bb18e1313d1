"""Scalp maps show what is at the channels, seen from above with the nose up."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.labels.scalp_maps import (
    HEAD_RADIUS,
    compute_scalp_maps,
    measure_radius,
    project_to_plane,
    take_positions,
)


@pytest.fixture
def positions():
    """32 places on the upper half of a head."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(32, 3))
    places[:, 2] = np.abs(places[:, 2])
    return HEAD_RADIUS * places / np.linalg.norm(places, axis=1, keepdims=True)


@pytest.fixture
def mixing():
    return np.random.default_rng(1).normal(size=(32, 4))


@pytest.mark.parametrize("extrapolate", ["head", "box", "local"])
@pytest.mark.parametrize("image_interp", ["cubic", "linear", "nearest"])
def test_largest_magnitude_is_one(positions, mixing, image_interp, extrapolate):
    maps = compute_scalp_maps(
        mixing, positions, res=20, image_interp=image_interp, extrapolate=extrapolate
    )
    assert maps.shape == (4, 20, 20)
    assert_array_equal(np.abs(maps).max(axis=(1, 2)), 1)


def test_unit_and_sign_and_order_of_components_do_not_matter(positions, mixing):
    maps = compute_scalp_maps(mixing, positions)
    assert_allclose(compute_scalp_maps(1e-13 * mixing, positions), maps, atol=1e-9)
    assert_array_equal(compute_scalp_maps(-mixing, positions), -maps)
    assert_array_equal(compute_scalp_maps(mixing[:, ::-1], positions), maps[::-1])


def test_order_of_channels_does_not_matter(positions, mixing):
    order = np.random.default_rng(2).permutation(32)
    found = compute_scalp_maps(mixing[order], positions[order])
    assert_allclose(found, compute_scalp_maps(mixing, positions), atol=1e-9)


@pytest.mark.parametrize(
    ("where", "row", "column"),
    [("front", 0, 4), ("back", 8, 4), ("left", 4, 0), ("right", 4, 8), ("top", 4, 4)],
)
def test_front_is_up_and_left_is_left(where, row, column):
    places = HEAD_RADIUS * np.array(
        [[0.0, 1, 0], [0, -1, 0], [-1, 0, 0], [1, 0, 0], [0, 0, 1]]
    )
    names = ["front", "back", "left", "right", "top"]
    mixing = (np.array(names) == where).astype(float)[:, None]
    image = compute_scalp_maps(mixing, places, res=9)[0]
    assert np.unravel_index(image.argmax(), image.shape) == (row, column)


def test_auto_is_local_for_meg_and_head_for_the_rest(positions, mixing):
    for channel_type, kind in (("mag", "local"), ("grad", "local"), ("eeg", "head")):
        found = compute_scalp_maps(mixing, positions, channel_type=channel_type)
        wanted = compute_scalp_maps(mixing, positions, extrapolate=kind)
        assert_array_equal(found, wanted)
    assert not np.array_equal(
        compute_scalp_maps(mixing, positions, extrapolate="local"), wanted
    )


def test_nothing_is_drawn_outside_of_the_points(positions, mixing):
    small = 0.3 * positions
    corner = compute_scalp_maps(mixing, small, extrapolate="local")[:, 0, 0]
    assert_array_equal(corner, 0)


def test_plane_keeps_arcs_and_directions():
    angles = np.linspace(0.1, 3.0, 7)  # from the vertex, also below the equator
    places = 0.08 * np.column_stack([np.sin(angles), np.zeros(7), np.cos(angles)])
    flat = project_to_plane(places)
    assert_allclose(flat[:, 0], 0.08 * angles / (np.pi / 2), atol=1e-15)
    assert_allclose(flat[:, 1], 0, atol=1e-15)


def test_circle_is_that_of_the_head_or_around_all_positions():
    assert measure_radius(np.array([[0.0, 0.05]]), HEAD_RADIUS) == HEAD_RADIUS
    assert_allclose(measure_radius(np.array([[0.3, 0.4]]), HEAD_RADIUS), 0.505)


def test_coincident_positions_and_those_below_the_equator_are_fine(positions, mixing):
    positions[1] = positions[0]
    positions[2, 2] = -0.05
    assert np.isfinite(compute_scalp_maps(mixing, positions)).all()


def test_inputs_stay_as_they_are(positions, mixing):
    before = positions.copy(), mixing.copy()
    compute_scalp_maps(mixing, positions)
    assert_array_equal(positions, before[0])
    assert_array_equal(mixing, before[1])


@pytest.mark.parametrize("empty", [np.nan, 0.0])
def test_row_39_missing_positions_are_refused_by_channel(positions, mixing, empty):
    positions[[3, 7]] = empty
    words = r"known for every channel, but 2 of 32 are NaN or zero: \[3, 7\]. Set a mon"
    with pytest.raises(InputError, match=words):
        compute_scalp_maps(mixing, positions)


def test_positions_of_no_channel_and_in_a_plane_are_refused():
    with pytest.raises(InputError, match="positions must be known"):
        take_positions(np.empty((0, 3)))
    with pytest.raises(ShapeError, match=r"positions must have shape \(any, 3\)"):
        take_positions(np.ones((4, 2)))


def test_flat_components_are_refused_by_number(positions, mixing):
    mixing[:, [0, 2]] = 0
    with pytest.raises(InputError, match=r"components \[0, 2\] are zero at all 32"):
        compute_scalp_maps(mixing, positions)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"res": 0}, "res must be a whole number >= 1, but got 0"),
        ({"extrapolate": "loca"}, "extrapolate must be .* Did you mean 'local'"),
        ({"image_interp": "bicubic"}, "image_interp must be .* Did you mean 'cubic'"),
        ({"border": "mena"}, "border must be 'mean', but got 'mena'"),
    ],
)
def test_unknown_options_are_refused(positions, mixing, options, words):
    with pytest.raises(OptionError, match=words):
        compute_scalp_maps(mixing, positions, **options)


def test_maps_of_other_channels_and_nan_are_refused(positions, mixing):
    with pytest.raises(ShapeError, match=r"mixing must have shape \(32, any\)"):
        compute_scalp_maps(mixing[:30], positions)
    mixing[0, 0] = np.inf
    with pytest.raises(InputError, match="mixing contains NaN or Inf"):
        compute_scalp_maps(mixing, positions)
