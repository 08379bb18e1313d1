"""Interpolation in the plane goes through what is known, and is linear in it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.labels.planar import (
    EXTRAPOLATIONS,
    METHODS,
    _average_neighbors,
    interpolate_plane,
)


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform(-0.6, 0.6, size=(20, 2))


@pytest.fixture
def maps():
    return np.random.default_rng(1).normal(size=(20, 3))


def line(n_queries=40):
    angles = np.linspace(0, 6, n_queries)
    return 0.05 * angles[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])


@pytest.mark.parametrize("extrapolate", EXTRAPOLATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_maps_go_through_the_known_points(points, maps, method, extrapolate):
    found = interpolate_plane(
        maps, points, points, radius=1.0, method=method, extrapolate=extrapolate
    )
    assert_allclose(found, maps.T, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_interpolation_is_linear_in_the_maps_and_for_each_alone(points, maps, method):
    def interpolate(some):
        return interpolate_plane(some, points, line(), radius=1.0, method=method)

    mixture = np.array([[2.0], [-3e-7], [5e5]])
    wanted = mixture.T @ interpolate(maps)
    assert_allclose(interpolate(maps @ mixture), wanted, rtol=1e-9, atol=1e-6)
    assert_array_equal(interpolate(maps[:, [1]])[0], interpolate(maps)[1])
    assert_array_equal(interpolate(-maps), -interpolate(maps))


@pytest.mark.parametrize("method", METHODS)
def test_unit_of_the_maps_does_not_matter(points, maps, method):
    volts = interpolate_plane(maps, points, line(), radius=1.0, method=method)
    small = interpolate_plane(1e-13 * maps, points, line(), radius=1.0, method=method)
    assert_allclose(1e13 * small, volts, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_maps_in_metres_look_as_those_in_parts_of_the_radius(points, maps, method):
    """Only the distance at which points are added may differ a little."""
    parts = interpolate_plane(maps, points, line(), radius=1.0, method=method)
    meters = interpolate_plane(
        maps, 0.1 * points, 0.1 * line(), radius=0.1, method=method
    )
    assert_allclose(meters, parts, atol=0.02)


def test_a_plane_stays_a_plane_between_the_points(points):
    tilted = points @ [[2.0], [-1.0]] + 3
    inside = 0.3 * line()
    found = interpolate_plane(tilted, points, inside, radius=1.0, method="linear")
    assert_allclose(found[0], inside @ [2.0, -1.0] + 3, atol=1e-12)


def test_points_that_coincide_are_averaged(points, maps):
    twice = np.vstack([points, points[:1] + 1e-9])
    values = np.vstack([maps, maps[:1] + 2])
    merged = maps.copy()
    merged[0] += 1
    found = interpolate_plane(values, twice, line(), radius=1.0)
    assert_allclose(
        found, interpolate_plane(merged, points, line(), radius=1.0), atol=1e-6
    )


def test_order_of_the_points_does_not_matter(points, maps):
    order = np.random.default_rng(2).permutation(20)
    found = interpolate_plane(maps[order], points[order], line(), radius=1.0)
    assert_allclose(
        found, interpolate_plane(maps, points, line(), radius=1.0), atol=1e-9
    )


def test_border_is_the_number_or_the_mean_of_the_known_neighbors():
    # A triangle in a circle of twelve: each added point sees one, two or no corner.
    angles = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
    corners = 0.5 * np.column_stack([np.cos(angles), np.sin(angles)])
    maps = np.eye(3)[:, :1]
    spacing = 0.5 * np.sqrt(3)
    top = np.array([[0.0, 1.1 + spacing - 1e-9]])
    for border, wanted in (("mean", 1.0), (-4.0, -4.0)):
        found = interpolate_plane(
            maps, corners, top, radius=1.0, method="linear", border=border
        )
        assert_allclose(found, [[wanted]], atol=1e-6)


def test_added_points_without_known_neighbors_take_the_mean_of_the_others():
    triangles = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])  # 4 sees 2 and 3 only
    weights = _average_neighbors(triangles, 2, 3)
    assert_allclose(weights, [[0.5, 0.5], [0, 1], [0.25, 0.75]])


def test_points_are_added_where_they_are_wanted():
    """Inside of the added points there is a map, outside is none."""
    square = 0.5 * np.array([[1.0, 1], [1, -1], [-1, -1], [-1, 1], [0, 0]])
    maps = np.ones((5, 1))
    spacing = np.sqrt(0.5)  # of the four triangles' edges three lengths are so
    edge = {
        # the side of a polygon of twelve lies nearer than its corners
        "head": (1.1 + spacing) * np.cos(np.pi / 12),
        "box": 1.5,
        "local": 0.5 + spacing / np.sqrt(2),
    }
    between = [np.cos(np.pi / 12), np.sin(np.pi / 12)]
    direction = {"head": between, "box": [1, 0], "local": [1, 0]}
    for kind, distance in edge.items():
        queries = distance * np.array([[0.999], [1.001]]) * direction[kind]
        found = interpolate_plane(
            maps, square, queries, radius=1.0, method="nearest", extrapolate=kind
        )
        assert found[0, 0] == 1
        assert np.isnan(found[0, 1])


def test_long_gaps_between_outermost_points_are_filled():
    group = 0.05 * np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]])
    points = np.vstack([group + shift for shift in ([-0.9, 0], [0.85, 0])])
    found = interpolate_plane(
        np.ones((10, 1)), points, np.array([[0.0, 0.025], [0.8, 0.025]]), radius=1.0,
        method="nearest", extrapolate="local", border=5.0,
    )  # fmt: skip
    assert_array_equal(found, [[5, 1]])


def test_constant_maps_stay_constant(points):
    for extrapolate in EXTRAPOLATIONS:
        found = interpolate_plane(
            np.full((20, 1), 7.0), points, line(), radius=1.0, extrapolate=extrapolate
        )
        assert_allclose(found, 7.0, atol=1e-9)


def test_zero_maps_stay_zero(points):
    assert not interpolate_plane(np.zeros((20, 1)), points, line(), radius=1.0).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "cubik"}, "image_interp must be .* but got 'cubik'. Did you mean"),
        ({"extrapolate": "hed"}, "extrapolate must be 'head', 'box' or 'local'"),
        ({"border": "median"}, "border must be 'mean', but got 'median'"),
        ({"border": np.nan}, "border must be a number, but got nan"),
    ],
)
def test_unknown_options_are_refused(points, maps, options, words):
    with pytest.raises(OptionError, match=words):
        interpolate_plane(maps, points, line(), radius=1.0, **options)


@pytest.mark.parametrize("n_points", [1, 2, 5])
def test_points_on_one_line_are_refused(n_points):
    points = np.linspace(0, 0.5, n_points)[:, None] * [1.0, 2.0]
    with pytest.raises(InputError, match=f"on one line, but got {n_points} that do"):
        interpolate_plane(np.ones((n_points, 1)), points, line(), radius=1.0)


def test_maps_of_other_channels_and_nan_are_refused(points, maps):
    with pytest.raises(ShapeError, match=r"maps must have shape \(20, any\)"):
        interpolate_plane(maps[:5], points, line(), radius=1.0)
    maps[3, 1] = np.nan
    with pytest.raises(InputError, match="maps contains NaN or Inf: 1 values"):
        interpolate_plane(maps, points, line(), radius=1.0)
