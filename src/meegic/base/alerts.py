"""Warnings that point to the line of whoever called the package."""

import sys
import warnings


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn as if the first caller outside this package had done so.

    Parameters
    ----------
    message : str
        What is to be known, and what to do.
    category : type of Warning
        One of `meegic.base.errors`.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_user("The recording is short.", UserWarning)
    >>> str(caught[0].message)
    'The recording is short.'
    """
    level, frame = 1, sys._getframe()
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "meegic"
