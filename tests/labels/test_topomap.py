"""ICLabel's topographies: laws of the spline, and what cannot be drawn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.base.errors import InputError, ShapeError
from meegic.labels.topomap import compute_topographies


def make_positions(n=20, lowest=0.1, seed=0):
    """Electrodes on a sphere of 9 cm, above a height in parts of its radius."""
    rng = np.random.default_rng(seed)
    z, azimuth = rng.uniform(lowest, 1, n), rng.uniform(0, 2 * np.pi, n)
    across = np.sqrt(1 - z**2)
    return 0.09 * np.column_stack(
        [across * np.sin(azimuth), across * np.cos(azimuth), z]
    )


@pytest.fixture
def positions():
    return make_positions()


@pytest.fixture
def mixing():
    return np.random.default_rng(1).standard_normal((20, 3))


def test_front_is_the_last_row_and_right_the_last_column(positions):
    x, y, _ = positions.T
    front, right = compute_topographies(np.column_stack([y, x]), positions)
    assert front[30, 16] > 0 > front[1, 16]
    assert right[16, 30] > 0 > right[16, 1]


def test_largest_pixel_is_one_and_corners_are_empty(positions, mixing):
    images = compute_topographies(mixing, positions)
    assert_allclose(np.abs(images).max(axis=(1, 2)), 1)
    assert not images[:, [0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_unit_and_sign_of_the_weights_do_not_matter(positions, mixing):
    images = compute_topographies(mixing, positions)
    assert_allclose(
        compute_topographies(-3e-9 * mixing, positions), -images, atol=1e-12
    )


def test_order_of_channels_does_not_matter(positions, mixing):
    order = np.random.default_rng(2).permutation(20)
    found = compute_topographies(mixing[order], positions[order])
    assert_allclose(found, compute_topographies(mixing, positions), atol=1e-9)


def test_mirrored_electrodes_give_the_mirrored_image(positions, mixing):
    found = compute_topographies(mixing, positions * [-1, 1, 1])
    wanted = compute_topographies(mixing, positions)[:, :, ::-1]
    # Unless the outermost electrodes widen the grid it is symmetric.
    assert_allclose(found, wanted, atol=1e-9)


def test_spline_passes_through_the_electrodes():
    # Electrodes on pixels: the vertex lies between them, so these are off it.
    axis = np.linspace(-0.5, 0.5, 32)
    rows, columns = np.array([10, 16, 20, 8, 25]), np.array([9, 20, 14, 22, 17])
    front, right = axis[rows], axis[columns]
    polar, azimuth = np.pi * np.hypot(front, right), np.arctan2(right, front)
    across = np.sin(polar)
    positions = np.column_stack(
        [across * np.sin(azimuth), across * np.cos(azimuth), np.cos(polar)]
    )
    values = np.array([1.0, -2.0, 0.5, 3.0, -1.0])
    image = compute_topographies(values[:, None], positions)[0]
    at = image[rows, columns]
    assert_allclose(at / at[3], values / 3, atol=1e-9)


def test_electrodes_that_coincide_count_as_their_mean(positions, mixing):
    both = np.vstack([positions, positions[:1]])
    values = np.vstack([mixing, mixing[:1] + 2.0])
    merged = mixing.copy()
    merged[0] += 1.0
    found = compute_topographies(values, both)
    assert_allclose(found, compute_topographies(merged, positions), atol=1e-9)


def test_electrodes_on_the_head_are_squeezed_once_in_either_way(positions, mixing):
    images = compute_topographies(mixing, positions, squeeze_again=True)
    assert_allclose(images, compute_topographies(mixing, positions))


def test_electrodes_far_below_are_squeezed_once_by_default(mixing):
    positions = make_positions(lowest=-1.0)
    positions[0] = [0, 1e-6, -0.09]
    once = compute_topographies(mixing, positions)
    again = compute_topographies(mixing, positions, squeeze_again=True)
    assert_allclose(again[0], once[0])
    assert np.abs(again[1:] - once[1:]).max() > 1e-3
    same = compute_topographies(np.repeat(mixing[:, :1], 3, axis=1), positions)
    assert_allclose(same, np.repeat(same[:1], 3, axis=0))


def test_one_component_is_enough(positions, mixing):
    one = compute_topographies(mixing[:, 1:2], positions)
    assert_allclose(one[0], compute_topographies(mixing, positions)[1], atol=1e-12)


@pytest.mark.parametrize("hole", [np.nan, 0.0])
def test_row_39_channels_without_a_position_are_named(positions, mixing, hole):
    positions[[3, 7]] = hole
    with pytest.raises(
        InputError, match=r"channels \[3, 7\] of 20 have none\. Set a m"
    ):
        compute_topographies(mixing, positions)


def test_weights_that_fit_no_channels_are_refused(positions, mixing):
    with pytest.raises(ShapeError, match=r"mixing must have shape \(20, any\)"):
        compute_topographies(mixing[:19], positions)
    mixing[2, 1] = np.inf
    with pytest.raises(InputError, match="mixing contains NaN or Inf"):
        compute_topographies(mixing, positions)


def test_empty_map_is_refused(positions, mixing):
    mixing[:, 1] = 0
    with pytest.raises(InputError, match=r"no column of zeros, but columns \[1\] are"):
        compute_topographies(mixing, positions)
