"""Check recordings by path: what `meegic check` does."""

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meegic.base.errors import (
    InputError,
    MeegicError,
    MissingDependencyError,
    OptionError,
)
from meegic.bids.layout import find_recordings
from meegic.bids.recordings import read_recording
from meegic.clean.edge.check import check_recording
from meegic.clean.findings import Finding, Findings

SCHEMA = 1
logger = logging.getLogger("meegic.check")


@dataclass(frozen=True)
class CheckedRecording:
    """One recording and what was found in it, or why it could not be read.

    Attributes
    ----------
    path : str
        The file or folder, as it was given.
    findings : Findings | None
        What was found; None when it could not be read.
    error : MeegicError | None
        Why it could not be read.
    """

    path: str
    findings: Findings | None = None
    error: MeegicError | None = None

    @property
    def verdict(self) -> str:
        """``'ok'``, ``'note'``, ``'warning'``, ``'error'`` or ``'unreadable'``."""
        return self.findings.verdict if self.findings else "unreadable"

    @property
    def ok(self) -> bool:
        """Whether the recording can be worked with."""
        return self.findings is not None and self.findings.ok

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain types, for JSON."""
        row: dict[str, Any] = {"path": self.path, "verdict": self.verdict}
        if self.findings:
            row |= self.findings.to_dict()
        if self.error:
            row |= {"error": self.error.message, "hint": self.error.hint}
        return row


def check_paths(
    paths: Iterable[Path | str], *, announce: Callable[[str], None] = lambda text: None
) -> tuple[CheckedRecording, ...]:
    """Check recordings one by one; a bad one never stops the others.

    Parameters
    ----------
    paths : iterable of path
        Recordings, or BIDS data sets, which stand for all recordings in them.
    announce : callable
        Is told which recording begins.

    Returns
    -------
    tuple of CheckedRecording
        One per recording, in this order.

    Examples
    --------
    >>> check_paths(["no_such_file.fif"])[0].verdict
    'unreadable'
    """
    recordings = [one for path in paths for one in _expand(Path(path))]
    checked = []
    for index, path in enumerate(recordings, 1):
        announce(f"checking {index} of {len(recordings)}: {path.name}")
        checked.append(_check(path))
    return tuple(checked)


def exit_code(checked: Sequence[CheckedRecording]) -> int:
    """Give the exit code: 0 for good, 2 or 4 for a single bad input, 3 for a batch.

    Examples
    --------
    >>> exit_code(check_paths(["no_such_file.fif"]))
    4
    """
    if all(one.ok for one in checked):
        return 0
    if len(checked) > 1:
        return 3
    is_usage = isinstance(checked[0].error, OptionError | MissingDependencyError)
    return 2 if is_usage else 4


def to_document(checked: Sequence[CheckedRecording]) -> dict[str, Any]:
    """Give what `meegic check --json` prints.

    Examples
    --------
    >>> to_document(())
    {'schema': 1, 'recordings': []}
    """
    return {"schema": SCHEMA, "recordings": [one.to_dict() for one in checked]}


def _expand(path: Path) -> list[Path]:
    """Give the recordings of a BIDS folder; one without any is refused when read."""
    if os.path.isfile(path / "dataset_description.json"):
        with suppress(OptionError):
            return find_recordings(path)
    return [path]


def _check(path: Path) -> CheckedRecording:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            findings = check_recording(read_recording(path))
        except (InputError, MissingDependencyError) as error:
            logger.debug("%s", path, exc_info=error)
            return CheckedRecording(str(path), error=error)
        except OSError as error:
            refusal = InputError(f"{path} cannot be opened: {error.strerror}.")
            return CheckedRecording(str(path), error=refusal)
    notes = []
    for one in caught:
        if issubclass(one.category, UserWarning | RuntimeWarning):
            notes.append(Finding("reader", "warning", str(one.message)))
        else:
            logger.info("%s: %s: %s", path, one.category.__name__, one.message)
    return CheckedRecording(str(path), findings.add(*dict.fromkeys(notes)))
