"""Checks of what a caller passed, and the only home of their message templates."""

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np

from meegic.base.errors import InputError, OptionError, ShapeError


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Suggest the known word that is nearest to what was typed.

    Parameters
    ----------
    word : object
        What was typed.
    known : iterable of str
        The words that would have been right.

    Returns
    -------
    str
        A sentence, or nothing when no known word is close.

    Examples
    --------
    >>> did_you_mean("icalabel", ["iclabel", "megnet"])
    "Did you mean 'iclabel'?"
    """
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def check_option(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value that is not among the allowed ones.

    Examples
    --------
    >>> check_option("method", "megnet", ["iclabel", "megnet"])
    """
    words = [one for one in allowed if isinstance(one, str)]
    alike = [one for one in allowed if type(one) is type(value)]  # True is not 1
    if value in (words if isinstance(value, str) else alike):
        return
    raise OptionError(
        f"{name} must be {list_words(allowed, last='or')}, but got {value!r}.",
        hint=did_you_mean(value, words),
    )


def check_range(
    name: str,
    value: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    unit: str = "",
    hint: str = "",
) -> None:
    """Refuse anything but a real number between two bounds; NaN is outside.

    Examples
    --------
    >>> check_range("sfreq", 250.0, low=0.0, open_low=True, unit="Hz")
    """
    if (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and _is_inside(value, low, high, open_low, open_high)
    ):
        return
    raise OptionError(
        f"{name} must be {_range_words(low, high, open_low, open_high, unit)}, "
        f"but got {value!r}.",
        hint=hint,
    )


def check_count(
    name: str, value: object, *, low: int = 1, high: float = math.inf
) -> None:
    """Refuse anything but a whole number between two bounds.

    Examples
    --------
    >>> check_count("n_models", 2)
    """
    if (
        not isinstance(value, (int, np.integer))
        or isinstance(value, bool)
        or not low <= int(value) <= high
    ):
        bound = f"between {low} and {high}" if math.isfinite(high) else f">= {low}"
        raise OptionError(f"{name} must be a whole number {bound}, but got {value!r}.")


def check_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the first word that is not known, with a suggestion.

    Examples
    --------
    >>> check_known("artifact", ["blink"], ["blink", "muscle"])
    """
    if isinstance(given, str):
        raise OptionError(
            f"{what} names must be a list, but got the text {given!r}.",
            hint=f"Pass [{given!r}].",
        )
    known = list(known)
    for word in given:
        if word not in known:
            raise OptionError(
                f"{word!r} is not a known {what}; known are {list_words(known)}.",
                hint=did_you_mean(word, known),
            )


def check_shape(name: str, array: np.ndarray, shape: Sequence[int | None]) -> None:
    """Refuse an array whose shape does not fit; ``None`` is any length.

    Examples
    --------
    >>> check_shape("data", np.zeros((2, 5)), (2, None))
    """
    fits = array.ndim == len(shape) and all(
        wanted is None or wanted == length
        for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        words = ", ".join("any" if one is None else str(one) for one in shape)
        words += "," if len(shape) == 1 else ""
        raise ShapeError(f"{name} must have shape ({words}), but got {array.shape}.")


def check_data(name: str, data: object) -> np.ndarray:
    """Take channels-by-times data as a float array, or say why not.

    Any real dtype, byte order and layout is accepted; nothing is written to. A mask
    is a weight, not data, so masked elements are refused rather than dropped.

    Parameters
    ----------
    name : str
        How the caller knows the argument.
    data : array-like, shape (n_channels, n_times)
        The recording.

    Returns
    -------
    array, shape (n_channels, n_times)
        The same values, native float64 (float32 stays float32).

    Examples
    --------
    >>> check_data("data", np.ones((2, 5), dtype=np.int16)).dtype
    dtype('float64')
    """
    try:
        array = np.asanyarray(data)
    except ValueError as error:
        raise ShapeError(
            f"{name} must be an array, channels by times, but NumPy refuses it: "
            f"{error}",
            hint="Give every channel the same number of times.",
        ) from error
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{name} must hold real numbers, but its dtype is {array.dtype}.",
            hint="Take the real part, or convert it, first.",
        )
    if array.ndim != 2:
        raise ShapeError(
            f"{name} must have two axes, channels by times, but got shape "
            f"{array.shape}."
        )
    if 0 in array.shape:
        raise ShapeError(f"{name} is empty: its shape is {array.shape}.")
    if array.shape[0] > array.shape[1]:
        raise ShapeError(
            f"{name} has more channels ({array.shape[0]}) than times "
            f"({array.shape[1]}); is it transposed?",
            hint="Data are channels by times.",
        )
    if np.ma.is_masked(array):
        raise InputError(
            f"{name} has {int(np.ma.count_masked(array))} masked elements.",
            hint="Pass the data without the mask, and the mask as weights.",
        )
    dtype = np.float32 if array.dtype.newbyteorder("=") == np.float32 else np.float64
    return np.asarray(np.ma.getdata(array), dtype=dtype)


def check_finite(name: str, data: np.ndarray) -> None:
    """Refuse NaN and infinity, naming the first channel, sample and the count.

    Examples
    --------
    >>> check_finite("data", np.zeros((2, 5)))
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = data.sum()
    if np.isfinite(total):
        return
    bad = ~np.isfinite(data)
    if not bad.any():  # finite values whose sum overflows
        return
    first = tuple(int(one) for one in np.argwhere(bad)[0])
    raise InputError(
        f"{name} contains NaN or Inf: {int(bad.sum())} values, the first at index "
        f"{first}.",
        hint="Remove or annotate those samples first; they are never repaired here.",
    )


def list_words(words: Iterable[object], *, last: str = "and") -> str:
    """Join words as one writes them in a sentence.

    Examples
    --------
    >>> list_words(["a", "b", "c"], last="or")
    "'a', 'b' or 'c'"
    """
    shown = [repr(word) for word in words]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {last} {shown[-1]}"


def _is_inside(
    value: Real, low: float, high: float, open_low: bool, open_high: bool
) -> bool:
    try:
        number = float(value)
    except OverflowError:  # a whole number that no float can hold
        return False
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    return bool(above and below)  # bounds may be of NumPy


def _range_words(
    low: float, high: float, open_low: bool, open_high: bool, unit: str
) -> str:
    unit = f" {unit}" if unit else ""
    lower = f"{'above' if open_low else 'at least'} {low:g}{unit}"
    upper = f"{'below' if open_high else 'at most'} {high:g}{unit}"
    if math.isinf(high) and math.isinf(low):
        return "a number"
    if math.isinf(high):
        return f"a number {lower}"
    if math.isinf(low):
        return f"a number {upper}"
    return f"a number {lower} and {upper}"
