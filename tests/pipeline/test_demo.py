"""The demo compares honestly, and needs no network."""

import socket
import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from meegic.clean.edge.check import check_recording
from meegic.figures.style import KIND_COLORS
from meegic.pipeline.demo import (
    components,
    findings,
    recording,
    removal,
    run,
    truth,
)
from meegic.pipeline.demo.recording import show_recording
from meegic.pipeline.demo.state import Demo
from meegic.simulation.edge.recording import simulate_recording


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run it once, where any connection and any look-up of a name is an error."""
    said, asked = [], []

    def refuse(*args, **kwargs):
        asked.append((args, kwargs))
        raise OSError("no network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refuse)
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        done = run.run_demo(tmp_path_factory.mktemp("demo"), announce=said.append)
    return done, said, asked


def test_every_step_is_announced_and_every_comparison_holds(demo):
    done, said, _ = demo
    assert said[0] == "simulating a recording"
    assert said[-1] == "writing the report"
    n_cleaning = 5
    n_components = 5 + len(components.ARTIFACTS)
    n_removal = 2 * len(removal.CHANNELS) + 2
    n_labels = 2 * len(components.ARTIFACTS) + 1
    assert len(done.comparisons) == (
        4 + len(findings.DAMAGES) + n_cleaning + n_components + n_removal + n_labels
    )
    assert done.missed == []


def test_report_is_small_and_has_all_parts(demo):
    done, *_ = demo
    page = (done.out / "report.html").read_text()
    assert len(page) < 1_500_000
    for title in (
        "Recording",
        "Findings",
        "Damage",
        "Cleaning",
        "Components",
        "Labels",
        "Removal",
        "Truth",
        "Provenance",
    ):
        assert f"<h2>{title}</h2>" in page
    assert page.count("<img ") == 13


@pytest.fixture(scope="module")
def pair():
    return simulate_recording(
        "eeg19", duration_s=12, n_models=2, line_freq_hz=60, artifacts=["ecg", "line"]
    )


@pytest.fixture
def fresh(pair, tmp_path):
    return Demo(tmp_path, *pair)


@pytest.fixture
def unseen(monkeypatch, pair):
    """Let the check find nothing, and a wrong rank."""
    nothing = replace(check_recording(pair[0]), found=(), ranks={"eeg": 7})
    monkeypatch.setattr(findings, "check_recording", lambda _raw: nothing)


@pytest.mark.parametrize(
    ("found", "good"),
    [(9.5, True), (10.5, True), (9.4, False), (10.6, False), (np.nan, False)],
)
def test_near_is_within_the_bound_on_either_side(fresh, found, good):
    fresh.compare_near("rate", 10.0, found, 0.5, "Hz")
    assert fresh.missed == ([] if good else ["rate"])
    assert fresh.comparisons[0].bound == "within 0.5 Hz"


def test_equal_is_the_very_same(fresh):
    fresh.compare_equal("kept", 19, 19)
    fresh.compare_equal("lost", 19, 18)
    assert fresh.missed == ["lost"]


def test_other_mains_than_the_truth_are_missed(fresh):
    show_recording(fresh, line_freq_hz=50.0)
    assert fresh.missed == ["Mains frequency"]


def test_one_loud_channel_moves_no_peak(fresh):
    hum = np.sin(2 * np.pi * 55 * fresh.raw.times)
    loud = fresh.raw.copy().apply_function(lambda row: row + 1e-3 * hum, picks=[0])
    demo = replace(fresh, raw=loud)
    show_recording(demo, line_freq_hz=60.0)
    assert demo.missed == []


def test_pictures_show_what_their_captions_say(fresh, monkeypatch):
    shown = {}

    def plot(_raw, **options):
        shown.update(options)
        return plt.figure()

    monkeypatch.setattr(recording, "plot_traces", plot)
    show_recording(fresh, line_freq_hz=60.0)
    caption, _ = fresh.sections[0].pictures[0]
    assert caption == f"The first {shown['duration']} seconds."
    assert {kind for kind, *_ in shown["spans"]} <= set(KIND_COLORS) - {"heart beat"}
    assert shown["marked"] == fresh.truth.bad_channels


def test_blind_check_is_missed_in_everything(fresh, unseen):
    findings.show_findings(fresh)
    findings.show_damage(fresh)
    ranks = {"Rank", "Rank after average reference"}
    assert set(fresh.missed) == ranks | set(findings.DAMAGES)
    found, damage = (one.table for one in fresh.sections)
    assert found.marks == ("good",)
    assert set(damage.marks) == {"bad"}


def test_implausible_recording_is_red_in_its_report(fresh):
    lost = fresh.raw.copy().apply_function(lambda row: np.nan * row, picks=["Cz"])
    findings.show_findings(Demo(fresh.out, lost, fresh.truth, sections=fresh.sections))
    assert fresh.sections[0].table.marks[0] == "bad"


def test_each_condition_has_its_own_picture(fresh, monkeypatch):
    models = []

    def plot(_raw, _truth, *, model):
        models.append(model)
        return plt.figure()

    monkeypatch.setattr(truth, "plot_truth", plot)
    truth.show_truth(fresh)
    assert models == [0, 1]
    captions = [caption for caption, _ in fresh.sections[0].pictures]
    assert captions[1:] == ["Sources in condition 0.", "Sources in condition 1."]


def test_report_says_what_was_missed_and_with_which_options(tmp_path, monkeypatch):
    said = []
    steps = (
        ("one", lambda demo: demo.compare_equal("X", 1, 2)),
        ("two", lambda demo: demo.compare_equal("Y", 1, 1)),
    )
    monkeypatch.setattr(run, "STEPS", steps)
    run.run_demo(tmp_path / "a" / "b", announce=said.append)
    assert said == ["simulating a recording", "one", "two", "writing the report"]
    page = (tmp_path / "a" / "b" / "report.html").read_text()
    assert "1 of 2 comparisons with the truth hold; missed: X.</p>" in page
    assert '<p class="verdict bad">' in page
    assert '<tr class="bad"><td>X</td>' in page
    assert '<tr class="good"><td>Y</td>' in page
    for name, value in run.OPTIONS.items():
        assert f"<td>{name}</td><td>{value}</td>" in page


def test_the_embedded_recording_is_always_the_same():
    assert isinstance(run.OPTIONS["random_state"], int)


def test_row_72_demo_works_without_a_network(demo):
    done, _, asked = demo
    assert asked == []
    assert (done.out / "report.html").is_file()


@pytest.mark.slow  # the same again, with the imports
def test_row_72_demo_works_without_a_network_from_the_first_import_on(tmp_path):
    """Any connection and any look-up of a name ends the run with an error."""
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise RuntimeError(f'network: {a}')\n"
        "socket.getaddrinfo = refuse\n"
        "socket.socket.connect = refuse\n"
        "from meegic.pipeline.demo.run import run_demo\n"
        f"run_demo({str(tmp_path)!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "report.html").is_file()
