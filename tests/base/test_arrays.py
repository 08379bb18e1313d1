"""Precision and devices: float64 here, the user's flag as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.arrays import pick_device, precise, to_host
from meegic.base.errors import OptionError


@pytest.mark.parametrize("flag", [False, True])
def test_precise_is_float64_inside_and_leaves_the_flag(flag):
    with jax.enable_x64(flag):
        with precise():
            assert jnp.zeros(1).dtype == np.float64
        assert jax.config.jax_enable_x64 == flag


def test_precise_leaves_the_flag_when_the_fit_raises():
    with pytest.raises(KeyError), precise():
        raise KeyError
    assert jnp.zeros(1).dtype == np.float32


def test_to_host_keeps_precision_values_and_what_is_no_array():
    third = np.array([1 / 3])
    with precise():
        tree = {"a": (jnp.asarray(third), 3, "text", None), "b": jnp.ones(2, "int32")}
        found = to_host(tree)
    array, *rest = found["a"]
    assert type(array) is np.ndarray
    assert_array_equal(array, third, strict=True)
    assert found["b"].dtype == np.int32
    assert rest == [3, "text", None]
    assert type(rest[0]) is int


def test_the_device_is_the_one_that_was_asked_for():
    assert pick_device().platform == "cpu"
    assert pick_device("cpu") is jax.devices("cpu")[0]


@pytest.mark.parametrize("name", ["gpu", "cuda"])
def test_an_absent_device_is_refused_with_what_there_is(name, monkeypatch):
    asked = []

    def devices(platform=None):
        if platform is None:
            return jax.local_devices(backend="cpu")
        asked.append(platform)
        raise RuntimeError("no such backend")

    monkeypatch.setattr(jax, "devices", devices)
    words = rf"device '{name}' was asked for, but JAX finds only \['cpu'\].*pip install"
    with pytest.raises(OptionError, match=words):
        pick_device(name)
    assert asked == ["gpu"]


def test_an_unknown_device_is_refused():
    with pytest.raises(
        OptionError, match=r"device must be 'cpu', 'gpu' or 'cuda', but"
    ):
        pick_device("tpu")
