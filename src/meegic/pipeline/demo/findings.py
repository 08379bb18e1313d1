"""The demo's check: what is said of the recording, and of damaged copies of it."""

from collections.abc import Callable

import mne
import numpy as np

from meegic.clean.edge.check import check_recording
from meegic.clean.findings import Findings
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.report import Section, Table


def show_findings(demo: Demo) -> None:
    """Check the recording, and its rank after an average reference."""
    findings = check_recording(demo.raw)
    n_channels = len(demo.truth.ch_names)
    referenced, _ = mne.set_eeg_reference(demo.raw, copy=True, verbose="error")
    lower = check_recording(referenced).ranks["eeg"]
    demo.compare_equal("Rank", n_channels, findings.ranks["eeg"])
    demo.compare_equal("Rank after average reference", n_channels - 1, lower)
    text = (
        "Whether the recording can be what it says it is. A noisy channel, as the red "
        "one, is plausible; finding it is the task of cleaning."
    )
    demo.sections.append(Section("Findings", text, _tabulate(findings)))


def show_damage(demo: Demo) -> None:
    """Damage copies of the recording in known ways and look whether it is noticed."""
    rows, marks = [], []
    for name, (code, damage) in DAMAGES.items():
        damaged = demo.raw.copy()
        damaged.apply_function(damage, picks="eeg", channel_wise=False)
        findings = check_recording(damaged)
        said = [one for one in findings.found if one.code == code]
        demo.compare_equal(name, "noticed", "noticed" if said else "not noticed")
        rows.append((name, findings.verdict, said[0].message if said else "nothing"))
        marks.append("bad" if not said else "")
    text = "Copies of the recording were damaged on purpose; this is said of them."
    table = Table(("damage", "verdict", "what is said"), tuple(rows), tuple(marks))
    demo.sections.append(Section("Damage", text, table))


def _lose_a_sample(data: np.ndarray) -> np.ndarray:
    data[3, 1000] = np.nan
    return data


def _unplug(data: np.ndarray) -> np.ndarray:
    data[5] = data[5, 0]
    return data


def _bridge(data: np.ndarray) -> np.ndarray:
    data[7] = data[8]
    return data


def _hit(data: np.ndarray) -> np.ndarray:
    data[2, 777] = 2e32
    return data


DAMAGES: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "One sample lost (NaN)": ("nan", _lose_a_sample),
    "A channel unplugged": ("flat", _unplug),
    "Two channels bridged": ("bridge", _bridge),
    "Microvolts stored as volts": ("unit", lambda data: 1e6 * data),
    "An impossible value (2e32 V)": ("peak", _hit),
    "Average reference": ("reference", lambda data: data - data.mean(axis=0)),
}


def _tabulate(findings: Findings) -> Table:
    rows = tuple((one.level, one.message, one.hint) for one in findings.found)
    marks = tuple(
        "bad" if one.level == "error" else one.level for one in findings.found
    )
    return Table(
        ("level", "what was found", "what to do"),
        rows or (("ok", "Nothing implausible was found.", ""),),
        marks or ("good",),
    )
