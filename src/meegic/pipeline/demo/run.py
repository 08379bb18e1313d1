"""Run the demo from the simulation to the report."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from meegic.base.files import make_folder
from meegic.base.record import make_record
from meegic.bids.export import write_recording
from meegic.pipeline.demo.cleaning import show_cleaning
from meegic.pipeline.demo.components import show_components
from meegic.pipeline.demo.findings import show_damage, show_findings
from meegic.pipeline.demo.labels import show_labels
from meegic.pipeline.demo.recording import show_recording
from meegic.pipeline.demo.removal import show_removal
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.demo.truth import show_truth
from meegic.pipeline.report import Section, Table, write_report
from meegic.simulation.edge.recording import simulate_recording

LINE_FREQ_HZ = 50.0

OPTIONS = {
    "layout": "eeg19",
    "duration_s": 60.0,
    "sfreq": 250.0,
    "n_models": 2,
    "line_freq_hz": LINE_FREQ_HZ,
    "random_state": 0,
}
"""The embedded recording."""

STEPS: tuple[tuple[str, Callable[[Demo], None]], ...] = (
    ("drawing the recording", partial(show_recording, line_freq_hz=LINE_FREQ_HZ)),
    ("checking the recording", show_findings),
    ("checking damaged copies", show_damage),
    ("cleaning the recording", partial(show_cleaning, options=OPTIONS)),
    ("separating the sources", show_components),
    ("naming the components", show_labels),
    ("removing eyes and heart", show_removal),
    ("drawing the truth", show_truth),
)
"""What is announced, and the step; a new stage adds its own."""


def run_demo(
    out: Path | str, *, announce: Callable[[str], None] = lambda text: None
) -> Demo:
    """Simulate the embedded recording, run every stage on it, write the report.

    Parameters
    ----------
    out : path
        A folder; it is made when it does not exist.
    announce : callable
        Is told what begins.

    Returns
    -------
    Demo
        With its comparisons; the page is ``report.html`` in the folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run_demo(folder).missed  # doctest: +SKIP
    []
    """
    out = make_folder(out)
    announce("simulating a recording")
    raw, truth = simulate_recording(**OPTIONS)
    write_recording(out / "demo_raw.fif", raw)
    truth.save(out / "demo_truth.npz")
    demo = Demo(out, raw, truth)
    for label, step in STEPS:
        announce(label)
        step(demo)
    announce("writing the report")
    _write_report(demo)
    return demo


def _write_report(demo: Demo) -> None:
    total, missed = len(demo.comparisons), demo.missed
    held = f"{total - len(missed)} of {total} comparisons with the truth hold"
    verdict = f"{held}; missed: {', '.join(missed)}." if missed else f"{held}."
    rows = tuple((x.what, x.truth, x.found, x.bound) for x in demo.comparisons)
    marks = tuple("good" if one.good else "bad" for one in demo.comparisons)
    compared = Section(
        "Truth against found",
        "The recording is simulated: what was found is compared with what was put in.",
        Table(("what", "truth", "found", "counts as found"), rows, marks),
    )
    record = make_record(OPTIONS)
    lines = {"platform": record.platform, **record.versions, **record.options}
    provenance = Section(
        "Provenance",
        "With these versions and options `meegic demo` makes this page again.",
        Table(
            ("what", "value"), tuple((name, str(one)) for name, one in lines.items())
        ),
    )
    write_report(
        demo.out / "report.html",
        title="meegic demo",
        verdict=verdict,
        good=not missed,
        sections=[compared, *demo.sections, provenance],
    )
