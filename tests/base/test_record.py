"""Records: complete, the same after a round trip, and nothing private in them."""

import copy
import dataclasses
import enum
import getpass
import json
import os
import pickle
import platform
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from meegic.base.errors import IntegrityError, OptionError
from meegic.base.record import Record, canonical_json, draw_seed, make_record

OPTIONS = {"n_models": 2, "band": (1.0, None), "amica": {"µ": True, "rate": 0.1}}


class Color(enum.Enum):
    RED = 1


@pytest.fixture
def record():
    return make_record(OPTIONS, seed=7, input_digest="abc")


def test_a_record_tells_versions_platform_options_seed_and_input(record):
    assert record.versions["numpy"] == np.__version__
    assert record.versions["python"] == platform.python_version()
    assert {name: version(name) for name in record.versions if name != "python"} == {
        name: record.versions[name]
        for name in ("meegic", "numpy", "scipy", "jax", "jaxlib", "mne")
    }
    assert record.platform == f"{platform.system()} {platform.machine()}"
    assert record.options == OPTIONS
    assert (record.seed, record.input_digest) == (7, "abc")


def test_a_record_comes_back_from_json(record):
    text = json.dumps(record.to_dict())
    assert Record.from_dict(json.loads(text)) == record
    assert make_record({}) == Record.from_dict(make_record({}).to_dict())


@pytest.mark.parametrize("change", ["surplus", "missing"])
def test_other_fields_are_refused(record, change):
    content = record.to_dict() | {"surplus": 1}
    if change == "missing":
        content = {"seed": 1}
    with pytest.raises(
        IntegrityError, match=r"fields \['input_digest', 'options'.*got"
    ):
        Record.from_dict(content)


def test_a_record_can_be_a_static_field(record):
    others = [
        make_record(OPTIONS, seed=8, input_digest="abc"),
        make_record(OPTIONS, seed=7, input_digest="xyz"),
        make_record({}, seed=7, input_digest="abc"),
    ]
    assert len({hash(one) for one in others} | {hash(record)}) == 4
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.seed = 1


def test_a_record_does_not_follow_the_callers_options():
    options = {"bands": [1, 2]}
    record = make_record(options)
    options["bands"].append(3)
    assert record.options == {"bands": (1, 2)}
    content = record.to_dict()
    again = Record.from_dict(content)
    content["options"]["bands"].append(3)
    content["versions"].clear()
    assert again == record
    assert record.to_dict()["options"] == {"bands": [1, 2]}


def test_nothing_in_a_record_can_be_changed(record):
    for mapping in (record.options, record.options["amica"], record.versions):
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["new"] = 1
    assert record.options["band"] == (1.0, None)


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        dataclasses.replace,
        lambda one: pickle.loads(pickle.dumps(one)),  # noqa: S301 (our own bytes)
    ],
    ids=["copy", "deepcopy", "replace", "pickle"],
)
def test_a_copy_is_the_same_record_and_as_frozen(record, copied):
    found = copied(record)
    assert found == record
    assert hash(found) == hash(record)
    with pytest.raises(TypeError, match="does not support item assignment"):
        found.options["amica"]["new"] = 1


def test_a_record_names_no_person_host_or_folder(record):
    text = json.dumps(record.to_dict())
    for private in (socket.gethostname(), os.getcwd(), str(Path.home())):
        assert private not in text
    assert getpass.getuser() not in json.dumps(record.to_dict() | {"versions": {}})


@pytest.mark.parametrize("path", ["/data/x.sfp", "~/x.sfp", "C:\\x.sfp", "C:/x.sfp"])
def test_an_absolute_path_is_refused(path):
    words = r"options\.load\.files\[1\] must not be an absolute path"
    with pytest.raises(OptionError, match=words):
        make_record({"load": {"files": ["a/b.sfp", path]}})


def test_canonical_json_does_not_depend_on_order_or_kind_of_container():
    same = {"amica": {"rate": 0.1, "µ": True}, "band": [1.0, None], "n_models": 2}
    text = '{"amica":{"rate":0.1,"\\u00b5":true},"band":[1.0,null],"n_models":2}'
    assert canonical_json(OPTIONS) == canonical_json(same) == text


def test_canonical_json_does_not_depend_on_the_process():
    code = (
        "from meegic.base.record import canonical_json as c; print(c({'b': 1, 'a': 2}))"
    )
    for seed in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout == '{"a":2,"b":1}\n'


@pytest.mark.parametrize(
    "other", [{"n_models": 3}, {"band": (1.0, 2.0)}, {"amica": {}}, {"new": None}]
)
def test_any_change_of_an_option_changes_the_text(other):
    assert canonical_json(OPTIONS | other) != canonical_json(OPTIONS)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.nan, "finite, but got nan"),
        (np.inf, "finite, but got inf"),
        (np.float64(-np.inf), r"finite, but got .*-inf"),
        (np.int64(1), "JSON can hold, but got int64"),
        (np.zeros(2), "JSON can hold, but got ndarray"),
        (Path("x"), "JSON can hold, but got PosixPath"),
        (b"x", "JSON can hold, but got bytes"),
        ({1, 2}, "JSON can hold, but got set"),
        (Color.RED, "JSON can hold, but got Color"),
        ({1: 2}, "have text as keys, but got 1"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_its_name(bad, words):
    with pytest.raises(OptionError, match=rf"options\.a\[1\]\.b must .*{words}"):
        canonical_json({"a": [0, {"b": bad}]})


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, np.int64(7), np.uint32(2**32 - 1)])
def test_a_seed_is_taken_as_it_is(seed):
    assert draw_seed(seed) == seed
    assert type(draw_seed(seed)) is int


@pytest.mark.parametrize(
    "seed", [True, -1, 1.0, "7", 2**32, np.bool_(True), np.int8(-1)]
)
def test_what_is_no_seed_is_refused(seed):
    words = "random_state must be a whole number between 0 and 4294967295, but got"
    with pytest.raises(OptionError, match=words):
        draw_seed(seed)
    with pytest.raises(OptionError, match=r"^key must be"):
        draw_seed(seed, name="key")


def test_none_draws_another_seed_every_time_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    seeds = [draw_seed(None) for _ in range(100)]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert len(set(seeds)) > 95  # two of 100 are equal once in a million runs
    assert max(seeds) > 2**30  # all 32 bits are drawn
    assert [draw_seed(one) for one in seeds] == seeds
