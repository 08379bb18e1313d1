"""Every error and warning class of meegic.

A message names the argument or file, what is allowed and what was given; the hint
says what to do. The command line prints them on two lines, Python joins them.
"""


class MeegicError(Exception):
    """Base of every error that meegic raises on purpose.

    Parameters
    ----------
    message : str
        What was wrong, in full sentences.
    hint : str
        What to do about it.

    Examples
    --------
    >>> str(MeegicError("n must be positive, but got -1.", hint="Pass n=1."))
    'n must be positive, but got -1. Pass n=1.'
    """

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(MeegicError, ValueError):
    """What was passed cannot be used."""


class ShapeError(InputError):
    """An array has the wrong shape."""


class RankError(InputError):
    """More components or dimensions were asked for than the data have."""


class OptionError(InputError):
    """An option is unknown or outside what is allowed."""


class ConfigError(InputError):
    """A config file is missing, malformed or contradicts itself."""


class FileFormatError(InputError):
    """A file is truncated, damaged or of a format that cannot be read."""


class PlausibilityError(InputError):
    """A recording cannot be what it claims to be."""


class IntegrityError(MeegicError):
    """Stored content does not match its digest or its schema."""


class OutputError(MeegicError):
    """A result cannot be written: not writable, full, or owned by another run."""


class WorkerLostError(MeegicError):
    """A worker process died while it computed a recording."""


class ConvergenceError(MeegicError):
    """A fit cannot go on; its last good state was saved."""


class MissingDependencyError(MeegicError, ImportError):
    """An optional package is not installed."""


class NotFittedError(MeegicError, ValueError, AttributeError, RuntimeError):
    """A result was asked for before the fit."""


class ConvergenceWarning(UserWarning):
    """A fit stopped before it converged."""


class DataWarning(UserWarning):
    """The data are usable, with a reservation that the message states."""


class ReproducibilityWarning(UserWarning):
    """The result may differ in the last digits from the one it continues."""
