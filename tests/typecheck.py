"""How types are checked at test time: beartype, with two concessions.

An int is a float, as everywhere in Python. And the boundary of the package checks what
it is given by itself, with messages for users, so that it must be reached by wrong
types in the tests of those messages.
"""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

BOUNDARY = ("edge", "estimator", "options", "figures", "pipeline", "bids", "cli")

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(thing: Callable[..., Any]) -> Callable[..., Any]:
    """Check the types of a call, unless it is one from outside."""
    parts = (getattr(thing, "__module__", None) or "").split(".")
    return thing if set(parts) & set(BOUNDARY) else _check(thing)
