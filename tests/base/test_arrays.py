"""Precision and devices: float64 here, the user's flag as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.arrays import keep_kind, pick_device, precise, to_host
from meegic.base.errors import InputError, OptionError


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


@keep_kind
def divide(values, by=3, *, rest=()):
    return jnp.asarray(values) / by + sum(rest)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "f2", "i4", "u1", "?"])
def test_numpy_is_computed_in_float64_and_comes_back(dtype):
    found = divide(np.ones(2, dtype))
    assert_array_equal(found, np.full(2, 1 / 3), strict=True)
    assert type(found) is np.ndarray


def test_lists_are_numpy_and_float32_stays():
    assert_array_equal(divide([1, 1]), np.full(2, 1 / 3), strict=True)
    single = divide(values=np.ones(2, ">f4"))
    assert_array_equal(single, np.full(2, 1 / 3, np.float32), strict=True)
    assert jnp.zeros(1).dtype == np.float32


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.int32, jnp.bool_])
def test_jax_arrays_are_computed_as_jax_does(dtype):
    found = divide(jnp.ones(2, dtype))
    assert isinstance(found, jax.Array)
    assert found.dtype == np.float32


def test_any_jax_array_among_the_arguments_makes_it_jax():
    assert isinstance(divide(np.ones(2), jnp.ones(2)), jax.Array)
    assert isinstance(divide(np.ones(2), rest=(jnp.ones(2),)), jax.Array)
    assert type(divide(np.ones(2), rest=(np.ones(2),))) is np.ndarray
    assert jax.grad(lambda x: divide(x).sum())(jnp.ones(())) == np.float32(1 / 3)


def test_a_float64_array_of_jax_keeps_its_digits():
    with precise():
        third = jnp.asarray(1 / 3)
    assert float(keep_kind(lambda values: values)(third)) == 1 / 3


def test_numpy_has_its_values_inside_a_transformation_too():
    kinds = []

    def run(x):
        third = divide(np.ones(1))
        kinds.append((type(third), third.dtype))
        return third * x

    for change in (jax.jit, jax.vmap):
        change(run)(jnp.ones(1))
    assert kinds == [(np.ndarray, np.float64)] * 2


def test_what_holds_no_real_numbers_is_refused_by_name():
    for wrong in (np.ones(2, complex), jnp.ones(2, complex), np.array(["1"])):
        with pytest.raises(InputError, match="values must hold real numbers, but its"):
            divide(wrong)
    with pytest.raises(InputError, match=r"by must hold real numbers, .* is object"):
        divide(np.ones(2), by=np.array([None]))


def test_masked_elements_are_refused_by_number():
    data = np.ma.array([1.0, 2.0, 3.0], mask=[True, False, True])
    with pytest.raises(InputError, match="values has 2 masked elements"):
        divide(data)
    assert type(divide(data[1:2])) is np.ndarray


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
