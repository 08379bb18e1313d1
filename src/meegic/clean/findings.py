"""What a check of a recording looks at, and the form of what it finds."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Float

from meegic.base.errors import PlausibilityError

LEVELS = ("error", "warning", "note")
"""How grave a finding is, the gravest first."""

UNITS = {
    "eeg": ("V", 0.3e-6, 500e-6, 1.0),
    "mag": ("T", 10e-15, 1e-9, 1e-6),
    "grad": ("T/m", 0.2e-12, 10e-9, 1e-5),
    "seeg": ("V", 0.5e-6, 5e-3, 1.0),
    "ecog": ("V", 0.5e-6, 5e-3, 1.0),
    "dbs": ("V", 0.3e-6, 5e-3, 1.0),
}
"""Unit, lowest and highest plausible robust standard deviation, impossible value."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found in a recording.

    Attributes
    ----------
    code : str
        A word for machines: ``'nan'``, ``'flat'``, ``'unit'``, ...
    level : str
        One of `LEVELS`; an error means that the recording is refused.
    message : str
        What was found, in full sentences.
    hint : str
        What to do.
    channels : tuple of str
        The channels that it concerns; empty for all.
    """

    code: str
    level: str
    message: str
    hint: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What the header of a recording says; channels in the order of the data.

    Attributes
    ----------
    names, types : tuple of str
        Channel names and types.
    sfreq : float
        Sampling rate in Hz.
    positions : array, shape (n_channels, 3)
        Sensor positions in m; NaN where unknown.
    bads : tuple of str
        Channels marked bad.
    projectors : int
        How many active projectors lower the rank.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    sfreq: float
    positions: Float[np.ndarray, "channels 3"]
    bads: tuple[str, ...] = ()
    projectors: int = 0

    def good(self, kind: str) -> np.ndarray:
        """Give the indices of the channels of a type that are not marked bad."""
        pairs = zip(self.names, self.types, strict=True)
        return np.array(
            [i for i, (n, t) in enumerate(pairs) if t == kind and n not in self.bads],
            dtype=np.intp,
        )

    def kinds(self) -> list[str]:
        """Give the types of data channel that the recording has good ones of."""
        return [one for one in UNITS if self.good(one).size]

    def name(self, indices: np.ndarray) -> tuple[str, ...]:
        """Give the names of channels."""
        return tuple(self.names[index] for index in indices)


@dataclass(frozen=True)
class Findings:
    """All that was found in a recording.

    Attributes
    ----------
    found : tuple of Finding
        The findings, the gravest first.
    ranks : dict
        Numerical rank of the good channels, by type.
    n_channels : dict
        How many good channels there are, by type.
    sfreq : float
        Sampling rate in Hz.
    duration_s : float
        Length in s.
    """

    found: tuple[Finding, ...]
    ranks: dict[str, int]
    n_channels: dict[str, int]
    sfreq: float
    duration_s: float

    @property
    def verdict(self) -> str:
        """The gravest level found, or ``'ok'``."""
        return self.found[0].level if self.found else "ok"

    @property
    def ok(self) -> bool:
        """Whether nothing forbids to go on."""
        return self.verdict != "error"

    def add(self, *more: Finding) -> "Findings":
        """Give the findings with more of them, in their order."""
        found = sorted((*self.found, *more), key=lambda one: LEVELS.index(one.level))
        return replace(self, found=tuple(found))

    def codes(self) -> tuple[str, ...]:
        """Give the code of every finding."""
        return tuple(one.code for one in self.found)

    def refuse(self) -> None:
        """Raise a `PlausibilityError` when there is an error among the findings."""
        if not self.ok:
            raise PlausibilityError(self.found[0].message, hint=self.found[0].hint)

    def to_dict(self) -> dict:
        """Give the findings as plain types, for JSON."""
        return {"verdict": self.verdict, **asdict(self)}

    def __str__(self) -> str:
        lines = [f"{one.level}: {one.message}" for one in self.found]
        return "\n".join(lines) or "ok: nothing implausible"
