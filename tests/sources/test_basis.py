"""The sFLEX basis: patches of sources."""

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.sources.basis import make_basis, repeat_orientations

CHAIN = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.02, 0, 0], [0.03, 0, 0]])


@pytest.fixture(scope="module")
def coords():
    return np.random.default_rng(0).normal(scale=0.02, size=(60, 3))


def dense_basis(coords, sigma, factor):
    """All pairs, from the definition."""
    squared = ((coords[:, None] - coords) ** 2).sum(axis=2)
    return np.where(
        squared <= (factor * sigma) ** 2, np.exp(-squared / (2 * sigma**2)), 0.0
    )


@pytest.mark.parametrize("sigma", [0.003, 0.01, 0.05])
@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_patches_are_those_of_all_pairs(coords, sigma, factor):
    basis = make_basis(
        coords, sigma=sigma, threshold_factor=factor, normalize=None
    ).toarray()
    assert_allclose(basis, dense_basis(coords, sigma, factor), rtol=1e-12)


def test_normalized_patches_have_the_sums_they_say(coords):
    plain = dense_basis(coords, 0.01, 3.0)
    sums = plain.sum(axis=1)
    rows = make_basis(coords, normalize="row")
    both = make_basis(coords, normalize="sym")
    assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(both.toarray(), plain / np.sqrt(np.outer(sums, sums)), rtol=1e-12)


def test_several_widths_stand_side_by_side(coords):
    several = make_basis(coords, sigma=(0.005, 0.02))
    single = [make_basis(coords, sigma=one).toarray() for one in (0.005, 0.02)]
    assert several.shape == (60, 120)
    assert_array_equal(several.toarray(), np.hstack(single))


def test_orientations_are_side_by_side(coords):
    basis = make_basis(coords[:5], sigma=(0.01, 0.02))
    found = repeat_orientations(basis, 3).toarray()
    assert_array_equal(found, np.kron(basis.toarray(), np.eye(3)))
    assert repeat_orientations(basis, 1) is basis


def test_basis_of_many_sources_is_small():
    rng = np.random.default_rng(1)
    basis = make_basis(rng.uniform(-0.07, 0.07, size=(5000, 3)), sigma=0.003)
    assert isinstance(basis, scipy.sparse.csr_array)
    assert basis.nnz < 0.01 * 5000**2


def test_order_of_the_sources_does_not_matter(coords):
    order = np.random.default_rng(2).permutation(len(coords))
    basis = make_basis(coords).toarray()
    assert_allclose(make_basis(coords[order]).toarray(), basis[np.ix_(order, order)])


def test_sources_at_one_place_share_a_patch():
    basis = make_basis(np.zeros((2, 3)), normalize=None)
    assert_array_equal(basis.toarray(), np.ones((2, 2)))


def test_patches_end_where_they_should_to_the_last_digit():
    wide = make_basis(CHAIN, sigma=0.01, threshold_factor=1.0, normalize=None)
    assert_array_equal(
        wide.toarray() > 0, np.abs(np.subtract.outer(*2 * [range(4)])) <= 1
    )


def horseshoe():
    """A strip of triangles, bent so that its ends are near each other."""
    angles = np.linspace(0.1, 2 * np.pi - 0.1, 40)
    ring = 0.02 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    coords = np.stack([ring, ring + np.array([0, 0, 0.002])], axis=1).reshape(-1, 3)
    first = np.arange(0, 78, 2)
    triangles = np.concatenate(
        [
            np.stack([first, first + 1, first + 2], 1),
            np.stack([first + 1, first + 2, first + 3], 1),
        ]
    )
    return coords, triangles


def test_ways_along_a_mesh_do_not_jump():
    coords, triangles = horseshoe()
    straight = make_basis(coords, normalize=None).toarray()
    along = make_basis(coords, normalize=None, triangles=triangles).toarray()
    assert straight[0, -2] > 0.9
    assert along[0, -2] == 0
    assert_allclose(along, along.T)
    assert (along <= straight + 1e-12).all()
    assert_allclose(along[0, 2], straight[0, 2])  # one edge is one straight way


def test_way_over_several_edges_is_their_sum():
    chain = np.stack([np.arange(2), np.arange(1, 3), np.arange(2, 4)], axis=1)
    coords = CHAIN * [1, 0, 0]
    along = make_basis(
        coords, threshold_factor=3.5, normalize=None, triangles=chain
    ).toarray()
    assert_allclose(along, dense_basis(coords, 0.01, 3.5), rtol=1e-12)


def test_vertices_of_a_mesh_at_one_place_are_neighbours():
    coords = CHAIN[[0, 0, 3]]
    triangles = np.array([[0, 1, 2]])
    along = make_basis(coords, normalize=None, triangles=triangles).toarray()
    assert along[0, 1] == 1


def test_hemispheres_of_a_mesh_are_apart():
    coords = np.concatenate([CHAIN[:3], CHAIN[:3] + np.array([0, 1e-4, 0])])
    along = make_basis(coords, triangles=np.array([[0, 1, 2], [3, 4, 5]])).toarray()
    assert not along[:3, 3:].any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sigma": 0.0}, OptionError, "sigma must be a number above 0 m and at most 1"),
        ({"sigma": (0.01, -1.0)}, OptionError, "sigma must be .* but got -1"),
        ({"sigma": ()}, OptionError, "one or several widths"),
        ({"sigma": 10.0}, OptionError, "at most 1 m, but got 10"),
        ({"threshold_factor": 0.0}, OptionError, "threshold_factor must be"),
        ({"normalize": "symmetric"}, OptionError, "normalize must be 'sym', 'row' or"),
        ({"triangles": np.array([[0, 1, 4]])}, InputError, "from 0 to 3"),
        ({"triangles": np.array([[0, 1]])}, ShapeError, r"triangles must have shape"),
        (
            {"triangles": np.array([[0.0, 1, 2]])},
            InputError,
            "triangles must hold whole",
        ),
    ],
)
def test_impossible_bases_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make_basis(CHAIN, **options)


def test_missing_or_wrong_coordinates_are_refused():
    with pytest.raises(InputError, match=r"src_coords is needed.*in m"):
        make_basis(None)
    with pytest.raises(InputError, match=r"in m, but they extend over 30.*in mm"):
        make_basis(1000 * CHAIN)
    with pytest.raises(ShapeError, match=r"src_coords must have shape \(any, 3\)"):
        make_basis(CHAIN[:, :2])
    with pytest.raises(InputError, match="src_coords contains NaN"):
        make_basis(np.where(CHAIN > 0.02, np.nan, CHAIN))
