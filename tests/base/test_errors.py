"""Errors: caught by the classes that callers know, and they say what to do."""

import copy
import inspect
import pickle  # dask and joblib send errors between processes with it

import pytest

from meegic.base import errors

ERRORS = [
    one
    for _, one in inspect.getmembers(errors, inspect.isclass)
    if issubclass(one, errors.MeegicError)
]
BUILTIN = {
    "InputError": ValueError,
    "ShapeError": ValueError,
    "RankError": ValueError,
    "OptionError": ValueError,
    "ConfigError": ValueError,
    "FileFormatError": ValueError,
    "PlausibilityError": ValueError,
    "MissingDependencyError": ImportError,
    "NotFittedError": (ValueError, AttributeError, RuntimeError),
}


def test_the_tree_is_the_documented_one():
    assert {one.__name__ for one in ERRORS} == {
        *BUILTIN,
        "MeegicError",
        "IntegrityError",
        "OutputError",
        "WorkerLostError",
        "ConvergenceError",
    }
    for name, base in BUILTIN.items():
        for one in base if isinstance(base, tuple) else (base,):
            assert issubclass(getattr(errors, name), one)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_joins_its_message_and_its_hint(kind):
    error = kind("n must be 1, but got 2.", hint="Pass n=1.")
    assert str(error) == "n must be 1, but got 2. Pass n=1."
    assert (error.message, error.hint) == ("n must be 1, but got 2.", "Pass n=1.")
    assert str(kind("n must be 1.")) == "n must be 1."


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize(
    "send",
    [copy.copy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301
)
def test_an_error_survives_the_way_to_another_process(kind, send):
    error = send(kind("message", hint="hint"))
    assert type(error) is kind
    assert (error.message, error.hint) == ("message", "hint")


@pytest.mark.parametrize(
    "kind",
    [errors.ConvergenceWarning, errors.DataWarning, errors.ReproducibilityWarning],
)
def test_warnings_are_shown_to_users(kind):
    assert issubclass(kind, UserWarning)
