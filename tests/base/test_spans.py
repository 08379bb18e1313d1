"""A mask is its spans, and spans are their mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from meegic.base.spans import find_spans, mark_spans


@given(st.lists(st.booleans(), max_size=40))
def test_spans_of_a_mask_mark_the_mask(values):
    mask = np.array(values, bool)
    assert_array_equal(mark_spans(find_spans(mask), len(mask)), mask)


@given(st.lists(st.booleans(), max_size=40))
def test_spans_are_in_order_and_do_not_touch(values):
    edges = find_spans(np.array(values, bool)).ravel()
    assert (np.diff(edges) > 0).all()


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(1, 3), (2, 4)], [1, 2, 3]),
        ([(-5, -2)], []),
        ([(-5, 2), (4, 99)], [0, 1, 4]),
        ([(3, 3)], []),
        ([], []),
    ],
)
def test_marked_are_the_samples_of_spans_inside_of_the_recording(spans, expected):
    assert_array_equal(np.flatnonzero(mark_spans(spans, 5)), expected)
