"""States of a fit on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meegic.base.record import Record


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often."""

    path: Path
    every: int = 0


def open_store(checkpoints: Checkpoints, record: Record) -> Any:
    """Open."""
    raise NotImplementedError
