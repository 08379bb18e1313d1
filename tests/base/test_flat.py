from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from jaxtyping import Bool, Float

from meegic.base.errors import InputError, IntegrityError
from meegic.base.flat import add_suffix, read_flat, write_flat
from meegic.base.npz import ArraySpec, read_arrays, write_arrays
from meegic.base.record import Record, make_record


class Short(NamedTuple):
    rate: float


class Long(NamedTuple):
    rate: float
    used: Bool[np.ndarray, " times"]


@dataclass(frozen=True)
class Result:
    name: str
    count: int
    done: bool
    values: Float[np.ndarray, "times 2"]
    part: Short | Long
    record: Record


RECORD = make_record({"n_mix": 3, "solver": "em"}, seed=7, input_digest="ab")
VALUES = np.array([[0.1, np.nan], [-0.0, np.inf], [5e-324, 1e300]])
LONG = Result("µ", -3, True, VALUES, Long(0.1, np.array([True, False, True])), RECORD)
SHORT = Result("", 0, False, VALUES, Short(-np.inf), RECORD)


@pytest.mark.parametrize("result", [LONG, SHORT], ids=["long", "short"])
def test_results_come_back_bit_for_bit_in_their_types(tmp_path, result):
    write_flat(tmp_path / "a.npz", result, version=1)
    found = read_flat(tmp_path / "a.npz", Result, version=1)
    assert found.values.tobytes() == result.values.tobytes()
    assert (found.name, found.count, found.done) == (
        result.name,
        result.count,
        result.done,
    )
    assert type(found.part) is type(result.part)
    assert found.part.rate == result.part.rate
    assert found.record == result.record
    assert [type(found.count), type(found.done), type(found.part.rate)] == [
        int,
        bool,
        float,
    ]


def test_equal_results_give_equal_bytes(tmp_path):
    digests = {write_flat(tmp_path / f"{k}.npz", LONG, version=1) for k in range(2)}
    assert len(digests) == 1


def forge(path, *, seal=True, **changes):
    """Change arrays of a file, with or without a fitting digest; None removes one."""
    write_flat(path, LONG, version=1)
    names = ["name", "count", "done", "values", "part.rate", "part.used", "record"]
    dtypes = ["U", "int64", "bool", "float64", "float64", "bool", "U"]
    ndims = [0, 0, 0, 2, 0, 1, 0]
    schema = {
        name: ArraySpec(dtype, (None,) * ndim)
        for name, dtype, ndim in zip(names, dtypes, ndims, strict=True)
    }
    arrays = read_arrays(path, schema | {"digest": ArraySpec("U", ())}, version=1)
    arrays |= changes
    arrays = {name: one for name, one in arrays.items() if one is not None}
    if seal:
        from meegic.base import flat

        arrays.pop("digest")
        arrays["digest"] = np.array(flat._hash(arrays))
    write_arrays(path, arrays, version=1)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"count": np.array(4), "seal": False}, "it states the sha256 .*, but has"),
        ({"part.used": np.array([True])}, "part.used has 1 times, and other arrays 3"),
        ({"count": None}, "it has no member 'count'"),
        ({"part.rate": None}, r"it has no member 'part\.rate'"),
        ({"record": np.array("{}")}, "a record must have the fields"),
        ({"record": np.array("{")}, "cannot be used: Expecting property name"),
        ({"count": np.array(4.0)}, "its dtype must be int64, but is float64"),
        ({"values": np.zeros((3, 3))}, r"shape \(any, 2\), but got \(3, 3\)"),
        ({"more": np.zeros(3)}, "its members must be"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_what_is_not_as_it_says_is_refused(tmp_path, changes, match):
    forge(tmp_path / "a.npz", **changes)
    with pytest.raises(IntegrityError, match=match):
        read_flat(tmp_path / "a.npz", Result, version=1)


def test_forging_with_a_fitting_digest_needs_fitting_content(tmp_path):
    forge(tmp_path / "a.npz", count=np.array(4))
    assert read_flat(tmp_path / "a.npz", Result, version=1).count == 4


def test_a_newer_schema_is_no_damage(tmp_path):
    write_flat(tmp_path / "a.npz", LONG, version=2)
    with pytest.raises(IntegrityError, match=r"schema 2, but .* reads 1") as error:
        read_flat(tmp_path / "a.npz", Result, version=1)
    assert error.value.__cause__ is None


def test_arrays_of_another_dtype_are_not_written(tmp_path):
    result = SHORT.__class__("", 0, False, np.zeros((1, 2), "f4"), Short(0.0), RECORD)
    with pytest.raises(
        InputError, match="array 'values' must be of dtype float64, but is float32"
    ):
        write_flat(tmp_path / "a.npz", result, version=1)
    assert not list(tmp_path.iterdir())


def test_suffix_is_added_once():
    assert add_suffix("a.npz").name == "a.npz"
    assert add_suffix(add_suffix("b/a.amica")).name == "a.amica.npz"
