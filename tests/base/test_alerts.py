"""Warnings point to the line of whoever called, however deep they arose."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import FunctionType

import pytest

from meegic.base import alerts

WHOLE = """
import warnings
import numpy as np
from meegic import AMICA
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    AMICA(max_iter=2, verbose=False).fit(np.random.default_rng(0).normal(size=(60, 3)))
assert {(one.filename, one.lineno) for one in caught} == {("<string>", 7)}
"""


@pytest.fixture
def warn_user():
    """The function without the check of types, whose frames are another package's."""
    spec = spec_from_file_location(alerts.__name__, alerts.__file__)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.warn_user


def call(inner, *arguments):
    return inner(*arguments)


def frame_of(module):
    """Give `call` as if it stood in another module."""
    code = call.__code__.replace(co_filename=f"{module}.py")
    return FunctionType(code, {"__name__": module})


@pytest.mark.parametrize(
    ("modules", "blamed"),
    [
        ([], __file__),
        (["meegic.components.amica"], __file__),
        (["meegic.components.estimator", "meegic", "meegic.base.files"], __file__),
        (["script", "meegic.components.amica"], "script.py"),
        (["meegic.cli", "sklearn.base", "meegic.math"], "sklearn.base.py"),
        (["meegic.cli", "meegical.math"], "meegical.math.py"),
    ],
    ids=lambda one: "-".join(one) or "none" if isinstance(one, list) else "",
)
def test_nearest_caller_outside_is_blamed(warn_user, modules, blamed):
    first, *rest = [*(frame_of(one) for one in modules), warn_user]
    with pytest.warns(UserWarning, match=r"^short$") as caught:
        first(*rest, "short", UserWarning)
    assert [one.filename for one in caught] == [blamed]
    assert caught[0].category is UserWarning


@pytest.mark.slow  # it imports everything once more
def test_warnings_of_a_fit_point_to_the_script():
    subprocess.run([sys.executable, "-c", WHOLE], check=True)
