"""The Amari distance: 0 for separation, whatever the order, sign and size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.base.errors import InputError, ShapeError
from meegic.components.scores import amari_distance

RNG = np.random.default_rng(0)


def test_scaled_permutation_of_the_inverse_separates_perfectly():
    mixing = RNG.normal(size=(5, 5))
    unmixing = (RNG.normal(size=(5, 1)) * np.linalg.inv(mixing))[RNG.permutation(5)]
    assert amari_distance(unmixing, mixing) < 1e-12


def test_value_of_two_by_two_is_that_of_the_formula():
    # rows: 1/4 + 3/5; columns: 3/4 + 1/5; over 2 * 2 * 1
    gains = np.array([[4.0, 1.0], [-3.0, 5.0]])
    assert_allclose(
        amari_distance(gains, np.eye(2)), (1 / 4 + 3 / 5 + 3 / 4 + 1 / 5) / 4
    )


@pytest.mark.parametrize("n", [2, 7])
def test_everything_in_every_component_is_one(n):
    assert_allclose(amari_distance(np.ones((n, n)), np.eye(n)), 1)


def test_nothing_in_a_component_counts_as_everything():
    empty = np.diag([1.0, 1.0, 0.0])
    # one row and one column of three are undecided
    assert_allclose(amari_distance(empty, np.eye(3)), 2 * 2 / (2 * 3 * 2))


def test_more_channels_than_sources_and_one_source_are_allowed():
    mixing = RNG.normal(size=(6, 3))
    assert amari_distance(np.linalg.pinv(mixing), mixing) < 1e-12
    assert amari_distance(np.full((1, 2), 3.0), np.ones((2, 1))) == 0


def test_shapes_that_do_not_meet_are_refused():
    with pytest.raises(ShapeError, match=r"mixing must have shape \(3, 2\)"):
        amari_distance(np.ones((2, 3)), np.ones((3, 3)))


def test_nan_is_refused():
    with pytest.raises(InputError, match="contains NaN or Inf"):
        amari_distance(np.full((2, 2), np.nan), np.eye(2))
