"""Packages that an extra brings, imported where they are needed."""

import importlib
from types import ModuleType

from meegic.base.errors import MissingDependencyError


def import_optional(name: str, *, extra: str) -> ModuleType:
    """Import a package, or say how to install it.

    Parameters
    ----------
    name : str
        The module to import.
    extra : str
        The extra of meegic that brings it.

    Returns
    -------
    module
        The module.

    Examples
    --------
    >>> import_optional("json", extra="io").__name__
    'json'
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        absent = f"{name}.".startswith(f"{error.name}.")
        if absent and isinstance(error, ModuleNotFoundError):
            message = f"{name} is not installed."
        else:
            message = f"{name} is installed, but its import fails: {error}."
        hint = f"pip install 'meegic[{extra}]'"
        raise MissingDependencyError(message, hint=hint) from error
