"""What the steps of the demo hand on, and how they compare truth with found."""

from dataclasses import dataclass, field
from pathlib import Path

import mne

from meegic.components.edge.amica_ica import AmicaICA
from meegic.pipeline.report import Section
from meegic.simulation.truth import RecordingTruth


@dataclass(frozen=True)
class Comparison:
    """A number of the truth and what was found of it.

    Attributes
    ----------
    what : str
        What is compared.
    truth, found : str
        The two, as text.
    bound : str
        When it counts as found.
    good : bool
        Whether it was.
    """

    what: str
    truth: str
    found: str
    bound: str
    good: bool


@dataclass
class Demo:
    """The recording, its truth, and what the steps have said so far.

    Attributes
    ----------
    out : Path
        Where files go.
    raw : mne.io.Raw
        The recording.
    truth : RecordingTruth
        What it is made of.
    comparisons : list of Comparison
        Truth against found.
    sections : list of Section
        The parts of the report.
    ica : AmicaICA | None
        The decomposition, as soon as there is one.
    """

    out: Path
    raw: mne.io.BaseRaw
    truth: RecordingTruth
    comparisons: list[Comparison] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    ica: AmicaICA | None = None

    @property
    def missed(self) -> list[str]:
        """What was not found within its bound."""
        return [one.what for one in self.comparisons if not one.good]

    def compare_equal(self, what: str, truth: object, found: object) -> None:
        """Add a comparison that wants the very same."""
        good = truth == found
        self.comparisons.append(
            Comparison(what, str(truth), str(found), "the same", good)
        )

    def compare_near(
        self, what: str, truth: float, found: float, bound: float, unit: str = ""
    ) -> None:
        """Add a comparison that allows a distance."""
        good = abs(found - truth) <= bound
        self.comparisons.append(
            Comparison(
                what,
                f"{truth:.4g} {unit}".rstrip(),
                f"{found:.4g} {unit}".rstrip(),
                f"within {bound:g} {unit}".rstrip(),
                good,
            )
        )
