"""Leadfields: shapes, units, orientations, files."""

import pickle
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, IntegrityError, OptionError, ShapeError
from meegic.sources.leadfield import (
    LeadfieldData,
    flatten_leadfield,
    read_leadfield,
    reduce_orientations,
    scale_leadfield,
    take_reals,
    take_sensors,
)


@pytest.fixture(scope="module")
def free():
    return np.random.default_rng(0).normal(size=(8, 5, 3))


def test_orientations_of_a_source_are_neighbours(free):
    flat, n_orient = flatten_leadfield(free, n_orient=1)
    assert n_orient == 3
    for source in range(5):
        assert_array_equal(flat[:, 3 * source : 3 * source + 3], free[:, source])


def test_two_axes_stay_as_they_are(free):
    flat, n_orient = flatten_leadfield(free[..., 0])
    assert n_orient == 1
    assert_array_equal(flat, free[..., 0])


def test_any_real_numbers_are_taken_and_none_is_written_to():
    whole = np.arange(1, 7, dtype=">i2").reshape(2, 3)
    whole.flags.writeable = False
    flat, _ = flatten_leadfield(whole)
    assert flat.dtype == np.float64
    assert_array_equal(flat, whole)


@pytest.mark.parametrize(
    ("leadfield", "n_orient", "error", "message"),
    [
        (np.ones(4), None, ShapeError, r"L must have shape .* but got \(4,\)"),
        (np.ones((2, 2, 2, 2)), None, ShapeError, "L must have shape"),
        (np.ones((2, 5)), 3, ShapeError, r"multiple of n_orient = 3 .* \(2, 5\)"),
        (np.ones((2, 4)), 4, OptionError, "n_orient must be 1, 2 or 3, but got 4"),
        (np.ones((2, 4, 4)), None, OptionError, "n_orient must be 1, 2 or 3"),
        (np.zeros((2, 4)), None, InputError, "L is zero everywhere"),
        (np.ones((2, 0)), None, ShapeError, r"L is empty: its shape is \(2, 0\)"),
        (np.full((2, 2), np.inf), None, InputError, "L contains NaN or Inf: 4 values"),
        (
            np.ones((2, 2), complex),
            None,
            InputError,
            "real numbers, but holds complex128",
        ),
        (np.array([["a"]]), None, InputError, "L must hold real numbers"),
    ],
)
def test_row_55_impossible_leadfields_are_refused(leadfield, n_orient, error, message):
    with pytest.raises(error, match=message):
        flatten_leadfield(leadfield, n_orient=n_orient)


def test_masked_numbers_are_refused():
    masked = np.ma.masked_equal(np.arange(4.0).reshape(2, 2), 3)
    with pytest.raises(InputError, match="holds masked values"):
        take_reals("y", masked)


def test_sensors_of_any_length_are_taken():
    assert take_sensors(np.ones(3), 3).shape == (3, 1)
    assert take_sensors(np.ones((3, 1), dtype=int), 3).dtype == np.float64


def test_row_55_sensors_of_another_leadfield_are_refused():
    with pytest.raises(ShapeError, match=r"y must have shape \(3, n_times\).*\(2, 9\)"):
        take_sensors(np.ones((2, 9)), 3)


@pytest.mark.parametrize(
    ("unit", "factor", "multiplier"),
    [(112, 1e6, -15), (201, 1e6, -15), (107, 1e-3, -6)],
)
@pytest.mark.parametrize("given", [None, 0])
def test_units_become_those_of_the_reference(unit, factor, multiplier, given):
    data = LeadfieldData(np.ones((2, 3)), sensor_units=unit, sensor_unitmult=given)
    scaled = scale_leadfield(data)
    assert_allclose(scaled.leadfield, factor, rtol=1e-15)
    assert scaled.sensor_unitmult == multiplier
    assert scale_leadfield(scaled) is scaled
    assert data.leadfield[0, 0] == 1


def test_other_units_stay():
    for data in (LeadfieldData(np.ones((2, 3))), LeadfieldData(np.ones((2, 3)), 1, 5)):
        assert scale_leadfield(data) is data


def test_two_orientations_are_those_of_the_singular_values(free):
    reduced, basis = reduce_orientations(free)
    for source in range(5):
        _, values, axes = np.linalg.svd(free[:, source], full_matrices=False)
        strengths = np.linalg.norm(reduced[:, source], axis=0)
        assert_allclose(strengths, values[:2], rtol=1e-12)
        assert_allclose(np.abs(axes[:2] @ basis[source]), np.eye(2), atol=1e-12)
    assert (np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1) > 0).all()


def test_nothing_is_lost_where_sensors_do_not_see_the_third_orientation(free):
    normals = np.random.default_rng(1).normal(size=(5, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    silent = free - np.einsum("mnk,nk,nj->mnj", free, normals, normals)
    reduced, basis = reduce_orientations(1e-13 * silent)
    assert_allclose(
        np.einsum("mnj,nkj->mnk", reduced, basis), 1e-13 * silent, atol=1e-26
    )
    assert_allclose(np.einsum("nkj,nk->nj", basis, normals), 0, atol=1e-12)


def test_only_three_orientations_are_reduced(free):
    with pytest.raises(ShapeError, match=r"\(any, any, 3\), but got \(8, 5, 2\)"):
        reduce_orientations(free[..., :2])


def save_as_reference(path, leadfield, **members):
    """What the reference's extraction stores: objects of MNE are pickled beside."""
    np.savez(
        path,
        subject="one",
        leadfield=leadfield,
        src_coords=np.ones((5, 3)),
        info=np.array({"chs": []}, dtype=object),
        coil_type=1,
        sensor_kind=2,
        sensor_units=107,
        sensor_unitmult=0,
        **members,
    )
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_file_of_the_reference_is_read_without_its_pickles(tmp_path, free, compressed):
    path = save_as_reference(
        tmp_path / "a.npz", np.asfortranarray(free[..., 0]), Q_basis=None
    )
    if compressed:
        with np.load(path, allow_pickle=True) as file:
            np.savez_compressed(path, **dict(file))
    found = read_leadfield(path)
    assert_array_equal(found.leadfield, free[..., 0])
    assert (found.sensor_kind, found.sensor_units, found.coil_type) == (2, 107, 1)
    assert found.Q_basis is None
    assert_allclose(scale_leadfield(found).leadfield, 1e-3 * free[..., 0])


def test_free_file_has_its_axes(tmp_path, free):
    basis = np.ones((5, 3, 3))
    found = read_leadfield(save_as_reference(tmp_path / "a.npz", free, Q_basis=basis))
    assert_array_equal(found.leadfield, free)
    assert_array_equal(found.Q_basis, basis)


class Opened:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize("name", ["leadfield", "src_coords", "Q_basis"])
def test_pickled_arrays_are_refused_unopened(tmp_path, free, name):  # D20
    members = {"leadfield": free, name: np.array([Opened()], dtype=object)}
    np.savez(tmp_path / "a.npz", **members)
    with pytest.raises(IntegrityError, match=f"member '{name}'.* would run code"):
        read_leadfield(tmp_path / "a.npz")


def test_files_that_lie_are_refused(tmp_path, free):
    path = tmp_path / "a.npz"
    np.savez(path, leadfield=free)
    with zipfile.ZipFile(path) as archive:
        content = archive.read("leadfield.npy")
    lie = content.replace(b"(8, 5, 3), ", b"(8, 5, 3000000), ".ljust(11))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("leadfield.npy", lie)
    with pytest.raises(IntegrityError, match="is not as long as the shape"):
        read_leadfield(path)
    np.savez_compressed(path, leadfield=np.zeros((1000, 1000)))
    with pytest.raises(IntegrityError, match="compressed too far"):
        read_leadfield(path)


def test_files_that_are_none_are_refused(tmp_path, free):
    with pytest.raises(InputError, match="no such file"):
        read_leadfield(tmp_path / "missing.npz")
    (tmp_path / "a.npz").write_bytes(pickle.dumps(free))
    with pytest.raises(IntegrityError, match="cannot be used"):
        read_leadfield(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", gain=free)
    with pytest.raises(IntegrityError, match="no member 'leadfield'"):
        read_leadfield(tmp_path / "b.npz")


def test_coordinates_of_other_sources_are_refused(tmp_path, free):
    np.savez(tmp_path / "a.npz", leadfield=free, src_coords=np.ones((4, 3)))
    with pytest.raises(ShapeError, match=r"src_coords must have shape \(5, 3\)"):
        read_leadfield(tmp_path / "a.npz")
