"""The demo compares honestly, and needs no network."""

import subprocess
import sys

import pytest

from meegic.pipeline.demo.findings import DAMAGES
from meegic.pipeline.demo.run import run_demo
from meegic.pipeline.demo.state import Demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    said = []
    done = run_demo(tmp_path_factory.mktemp("demo"), announce=said.append)
    return done, said


def test_every_step_is_announced_and_every_comparison_holds(demo):
    done, said = demo
    assert said[0] == "simulating a recording"
    assert said[-1] == "writing the report"
    assert len(done.comparisons) == 4 + len(DAMAGES)
    assert done.missed == []


def test_report_is_small_and_has_all_parts(demo):
    done, _ = demo
    page = (done.out / "report.html").read_text()
    assert len(page) < 3_000_000
    for title in ("Recording", "Findings", "Damage", "Truth", "Provenance"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("<img ") == 5


def test_comparisons_can_miss():
    demo = Demo(None, None, None)
    demo.compare_near("a", 10.0, 10.4, 0.5, "Hz")
    demo.compare_near("b", 10.0, 10.6, 0.5, "Hz")
    demo.compare_near("c", 10.0, float("nan"), 0.5, "Hz")
    demo.compare_equal("d", 19, 18)
    assert demo.missed == ["b", "c", "d"]


def test_row_72_demo_works_without_a_network(tmp_path):
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
