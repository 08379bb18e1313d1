"""Checks: what is right passes untouched, what is wrong is named with its value."""

import re
from enum import StrEnum
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.checks import (
    check_count,
    check_data,
    check_finite,
    check_known,
    check_option,
    check_range,
    check_shape,
    did_you_mean,
    list_words,
)
from meegic.base.errors import InputError, OptionError, ShapeError


@pytest.mark.parametrize(
    ("word", "answer"),
    [("icalabel", "Did you mean 'iclabel'?"), ("xyz", ""), (3, "")],
)
def test_a_near_word_is_suggested_and_a_far_one_not(word, answer):
    assert did_you_mean(word, ["iclabel", "megnet"]) == answer


def test_words_are_joined_as_one_writes_them():
    assert list_words([]) == ""
    assert list_words(["a"]) == "'a'"
    assert list_words(["a", 2]) == "'a' and 2"
    assert list_words("abc", last="or") == "'a', 'b' or 'c'"


# -- options and numbers ---------------------------------------------------------------


class Word(StrEnum):
    A = "a"


@pytest.mark.parametrize("value", ["a", np.str_("a"), Word.A, 1, None, False])
def test_an_allowed_option_passes(value):
    check_option("method", value, ["a", 1, None, False])
    check_option("method", value, [np.str_("a"), 1, None, False])


@pytest.mark.parametrize("value", ["b", "A", np.str_("b"), b"a", 0, True, 1.0])
def test_another_option_is_refused_even_if_it_compares_equal(value):
    words = f"method must be 'a' or 1, but got {value!r}."
    with pytest.raises(OptionError, match=re.escape(words)):
        check_option("method", value, ["a", 1])


def test_a_mistyped_option_gets_a_suggestion():
    words = "must be 'iclabel' or 'megnet', but got 'icalabel'. Did you mean 'iclabel'?"
    with pytest.raises(OptionError, match=re.escape(words)):
        check_option("method", "icalabel", ["iclabel", "megnet"])


@pytest.mark.parametrize("value", [0.0, 1, 0.5, np.float32(0.5), Fraction(1, 2)])
def test_a_number_in_the_range_passes(value):
    check_range("q", value, low=0.0, high=1.0)
    check_range("q", value, low=np.float64(0.0), high=np.float64(1.0))


@pytest.mark.parametrize(
    "value",
    [
        -1e-300,
        1.0000001,
        np.nan,
        np.inf,
        True,
        np.bool_(True),
        "0.5",
        None,
        1j,
        10**400,
    ],
)
def test_what_is_outside_or_no_number_is_refused(value):
    words = f"q must be a number at least 0 and at most 1, but got {value!r}. Use q."
    with pytest.raises(OptionError, match=re.escape(words)):
        check_range("q", value, low=0.0, high=1.0, hint="Use q.")


@pytest.mark.parametrize(
    ("bounds", "value", "words"),
    [
        ({"low": 0.0, "open_low": True, "unit": "Hz"}, 0.0, "a number above 0 Hz, but"),
        ({"high": 5.0, "open_high": True}, 5.0, "a number below 5, but"),
        ({"low": 2.0}, 1.0, "a number at least 2, but"),
        ({"high": 2.0, "unit": "s"}, 3.0, "a number at most 2 s, but"),
        ({}, np.nan, "a number, but"),
        ({}, -(10**400), "a number, but"),
    ],
)
def test_the_bounds_are_told(bounds, value, words):
    with pytest.raises(OptionError, match=f"q must be {words} got"):
        check_range("q", value, **bounds)


def test_bounds_hold_at_any_scale():
    """A range has no tolerance of its own, so tiny units are told apart."""
    check_range("noise", 1e-30, low=0.0, open_low=True, unit="V")
    with pytest.raises(OptionError, match=r"above 1e-30 V"):
        check_range("noise", 9.99e-31, low=1e-30, open_low=True, unit="V")


@pytest.mark.parametrize("value", [1, 5, np.int64(2), np.uint8(5)])
def test_a_count_passes(value):
    check_count("n_models", value, high=5)


@pytest.mark.parametrize("value", [0, 6, 2.0, True, "2", None, np.float64(2)])
def test_what_is_no_count_is_refused(value):
    words = f"n_models must be a whole number between 1 and 5, but got {value!r}."
    with pytest.raises(OptionError, match=re.escape(words)):
        check_count("n_models", value, high=5)


def test_bounds_of_a_count_are_told_in_full():
    with pytest.raises(OptionError, match="number >= 0, but got -1"):
        check_count("seed", -1, low=0)
    with pytest.raises(OptionError, match="between 0 and 4294967295, but"):
        check_count("seed", -1, low=0, high=2**32 - 1)


def test_unknown_words_are_refused_with_a_suggestion():
    check_known("artifact", [], ["blink"])
    words = "'blnk' is not a known artifact; known are 'blink' and 'muscle'. Did you me"
    with pytest.raises(OptionError, match=re.escape(words)):
        check_known("artifact", ["muscle", "blnk"], iter(["blink", "muscle"]))


@pytest.mark.parametrize("text", ["blink", "b", ""])
def test_text_where_words_are_wanted_is_refused(text):
    words = (
        f"artifact names must be a list, but got the text {text!r}. Pass [{text!r}]."
    )
    with pytest.raises(OptionError, match=re.escape(words)):
        check_known("artifact", text, ["blink", "b", ""])


# -- arrays ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 5), (None, 5), (2, None), (None, None)])
def test_a_shape_that_fits_passes(shape):
    check_shape("data", np.zeros((2, 5)), shape)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5, 2), "5, 2"),
        ((3000,), "3000,"),
        ((None,), "any,"),
        ((None, 5, 1), "any, 5, 1"),
        ((), ""),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(shape, words):
    words = rf"data must have shape \({words}\), but got \(2, 5\)"
    with pytest.raises(ShapeError, match=words):
        check_shape("data", np.zeros((2, 5)), shape)


VALUES = np.array([[0, 1, 2], [3, 1, 0]])


@pytest.mark.parametrize("dtype", ["i1", "u2", ">i4", "f2", "f4", ">f4", "f8", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_real_data_keep_their_values(dtype, order):
    data = np.array(VALUES, dtype=dtype, order=order)
    data.flags.writeable = False
    found = check_data("data", data)
    assert found.dtype == ("f4" if dtype.endswith("f4") else "f8")
    assert found.dtype.isnative
    assert_array_equal(found, VALUES)


def test_lists_booleans_and_masks_of_nothing_are_data():
    assert_array_equal(check_data("data", VALUES.tolist()), VALUES, strict=False)
    assert_array_equal(check_data("data", VALUES > 1), VALUES > 1)
    found = check_data("data", np.ma.masked_array(VALUES, mask=False))
    assert type(found) is np.ndarray


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (VALUES * 1j, InputError, "real numbers, but its dtype is complex128. Take"),
        (VALUES.astype(str), InputError, "real numbers, but its dtype is <U"),
        (VALUES.astype(object), InputError, "real numbers, but its dtype is object"),
        ([[1.0, 2.0], [3.0]], ShapeError, "array, channels by .* Give every channel"),
        (VALUES[0], ShapeError, r"two axes, channels by times, but got shape \(3,\)"),
        (VALUES[None], ShapeError, r"two axes, .*\(1, 2, 3\)"),
        (VALUES[:, :0], ShapeError, r"data is empty: its shape is \(2, 0\)"),
        (VALUES.T, ShapeError, r"channels \(3\) than times \(2\); is it transposed\?"),
        (np.ma.masked_equal(VALUES, 0), InputError, "data has 2 masked elements"),
    ],
)
def test_what_is_no_recording_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        check_data("data", data)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e9])
def test_one_value_that_is_not_finite_is_found_in_any_unit(bad, scale):
    data = scale * np.ones((3, 7))
    data[1, 4] = bad
    words = r"data contains NaN or Inf: 1 values, the first at index \(1, 4\)\. Remove"
    with pytest.raises(InputError, match=words):
        check_finite("data", data)


def test_infinities_that_cancel_are_counted():
    data = np.array([[0.0, np.inf, -np.inf, np.nan]])
    with pytest.raises(InputError, match=r"3 values, the first at index \(0, 1\)"):
        check_finite("data", data)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_finite_data_pass_even_if_their_sum_overflows(dtype):
    check_finite("data", np.full((2, 4), np.finfo(dtype).max, dtype=dtype))
    check_finite("data", np.zeros((2, 4), dtype=dtype))
