"""Interpolation agrees with MNE, keeps good channels, and needs no unit."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, RankError, ShapeError
from meegic.preprocessing.interpolate import (
    make_spline_operator,
    spherical_spline_interpolate,
)

BAD = [3, 11]


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "clean" / "splines.npz") as file:
        return dict(file)


@pytest.fixture
def coords():
    positions = np.random.default_rng(0).standard_normal((20, 3))
    positions[:, 2] = np.abs(positions[:, 2])
    return positions


@pytest.fixture
def data(coords):
    """A smooth field in time: what splines are for."""
    unit = coords / np.linalg.norm(coords, axis=1, keepdims=True)
    return unit @ np.random.default_rng(1).standard_normal((3, 50)) + 1.0


def test_bad_channels_are_those_of_mne(golden):
    found = spherical_spline_interpolate(
        golden["data"],
        golden["bad_idx"],
        golden["positions_head"],
        origin=golden["origin"],
    )
    wanted = golden["interpolated"]
    assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())
    unit, bad = golden["unit_positions"], golden["bad_idx"]
    operator = make_spline_operator(unit[bad], np.delete(unit, bad, axis=0))
    wanted = golden["matrix"]
    assert_allclose(operator, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def test_single_precision_is_as_good_as_its_digits(golden):
    found = spherical_spline_interpolate(
        jnp.asarray(golden["data"]), golden["bad_idx"], golden["unit_positions"]
    )
    assert found.dtype == jnp.float32
    largest = np.abs(golden["interpolated"]).max()
    assert_allclose(found, golden["interpolated"], rtol=0, atol=1e-6 * largest)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_good_channels_stay_bit_for_bit(data, coords, kind, dtype):
    data = kind(data.astype(dtype))
    before = np.array(data)
    found = spherical_spline_interpolate(data, BAD, coords)
    good = np.setdiff1d(np.arange(20), BAD)
    assert_array_equal(found[good], data[good])
    assert found.dtype == data.dtype
    assert type(found) is type(data)
    assert_array_equal(data, before)
    assert_array_equal(spherical_spline_interpolate(data, [], coords), data)


def test_smooth_field_is_recovered_whatever_the_bad_channels_hold(data, coords):
    for broken in (np.nan, 1e9):
        faulty = data.copy()
        faulty[BAD] = broken
        found = spherical_spline_interpolate(faulty, BAD, coords)
        assert np.abs(found - data).max() < 0.1 * np.abs(data).max()


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1e9])
def test_units_of_data_and_positions_do_not_matter(data, coords, unit):
    wanted = spherical_spline_interpolate(data, BAD, coords)
    found = spherical_spline_interpolate(unit * data, BAD, 1000.0 * coords)
    assert_allclose(found, unit * wanted, rtol=1e-9)


def test_origin_is_where_positions_are_looked_at_from(data, coords):
    shift = np.array([0.3, -0.2, 0.5])
    wanted = spherical_spline_interpolate(data, BAD, coords)
    found = spherical_spline_interpolate(data, BAD, coords + shift, origin=shift)
    assert_allclose(found, wanted, rtol=1e-9)
    other = spherical_spline_interpolate(data, BAD, coords, origin=shift)
    assert np.abs(other - wanted).max() > 1e-3


def test_order_of_bad_channels_does_not_matter(data, coords):
    wanted = spherical_spline_interpolate(data, BAD, coords)
    for bad in (BAD[::-1], np.array(BAD), jnp.array(BAD)):
        found = spherical_spline_interpolate(data, bad, coords)
        assert_allclose(found, wanted, rtol=1e-12)


def test_smoothing_and_terms_are_used(data, coords):
    wanted = spherical_spline_interpolate(data, BAD, coords)
    for options in ({"lambda_reg": 1e-1}, {"n_terms": 3}):
        other = spherical_spline_interpolate(data, BAD, coords, **options)
        assert np.abs(other - wanted).max() > 1e-6


def test_operator_keeps_constants_and_known_values(coords):
    unit = coords / np.linalg.norm(coords, axis=1, keepdims=True)
    operator = make_spline_operator(unit, unit[5:])
    assert_allclose(operator.sum(axis=1), 1.0, atol=1e-9)
    exact = make_spline_operator(unit[5:], unit[5:], lambda_reg=0.0)
    assert_allclose(exact, np.eye(15), atol=1e-6)


def test_second_use_of_an_operator_is_free(coords):
    unit = coords / np.linalg.norm(coords, axis=1, keepdims=True)
    first = make_spline_operator(unit[:5], unit[5:])
    start = time.process_time()
    assert make_spline_operator(unit[:5], unit[5:]) is first
    assert time.process_time() - start < 0.01
    assert not first.flags.writeable


@pytest.mark.usefixtures("x64")
def test_derivative_in_the_data_is_the_operator(data, coords):
    def sum_bad(one):
        return spherical_spline_interpolate(one, BAD, coords)[jnp.array(BAD)].sum()

    found = jax.jit(jax.grad(sum_bad))(jnp.asarray(data))
    unit = coords / np.linalg.norm(coords, axis=1, keepdims=True)
    good = np.setdiff1d(np.arange(20), BAD)
    wanted = make_spline_operator(unit[BAD], unit[good]).sum(axis=0)
    assert_allclose(found[good], np.tile(wanted[:, None], 50), rtol=1e-12)
    assert_array_equal(found[np.array(BAD)], 0.0)


@pytest.mark.parametrize("dtype", [np.int16, ">f8", np.float16])
def test_any_real_dtype_is_taken(coords, dtype):
    data = np.arange(100).reshape(20, 5).astype(dtype)
    data.flags.writeable = False
    found = spherical_spline_interpolate(data, BAD, coords)
    wanted = spherical_spline_interpolate(data.astype(float), BAD, coords)
    assert found.dtype == np.float64
    assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ([3, 3], OptionError, "name every channel once"),
        ([-1], OptionError, "between 0 and 19"),
        ([20], OptionError, "between 0 and 19"),
        (np.array([0.5]), OptionError, "a list of channel numbers"),
        (np.ones(20, dtype=bool), OptionError, "np.flatnonzero"),
        (np.arange(11), RankError, "got 9 good and 11 bad"),
        (np.arange(20), RankError, "got 0 good and 20 bad"),
    ],
)
def test_bad_channels_that_cannot_be_are_refused(data, coords, bad, error, words):
    with pytest.raises(error, match=words):
        spherical_spline_interpolate(data, bad, coords)


def test_fewer_than_four_good_channels_are_refused(data, coords):
    with pytest.raises(RankError, match="at least 4 good channels"):
        spherical_spline_interpolate(data[:4], [0], coords[:4])


def test_row_39_positions_that_cannot_be_are_refused(data, coords):
    twice = coords.copy()
    twice[7] = 2 * coords[5]
    with pytest.raises(InputError, match="5 and 7 lie in the same"):
        spherical_spline_interpolate(data, BAD, twice)
    with pytest.raises(InputError, match="away from the origin"):
        spherical_spline_interpolate(data, BAD, 0 * coords)
    unknown = coords.copy()
    unknown[2, 1] = np.nan
    with pytest.raises(InputError, match="positions contains NaN"):
        spherical_spline_interpolate(data, BAD, unknown)
    with pytest.raises(ShapeError, match="sensor_coords must have shape"):
        spherical_spline_interpolate(data, BAD, coords[:, :2])


def test_data_of_another_shape_are_refused(data, coords):
    with pytest.raises(ShapeError, match="Is it transposed"):
        spherical_spline_interpolate(data.T, BAD, coords)
    with pytest.raises(ShapeError, match=r"data must have shape \(20, n_times\)"):
        spherical_spline_interpolate(data[None], BAD, coords)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_row_21_bad_samples_of_good_channels_are_refused(data, coords, kind):
    data[5, 7] = np.nan
    with pytest.raises(InputError, match="good channels of data contains NaN"):
        spherical_spline_interpolate(kind(data), BAD, coords)


def test_negative_smoothing_is_refused(data, coords):
    with pytest.raises(OptionError, match="lambda_reg must be"):
        spherical_spline_interpolate(data, BAD, coords, lambda_reg=-1.0)
