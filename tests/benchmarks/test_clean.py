import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, sosfilt

sys.path.append(str(Path(__file__).parents[2]))  # where benchmarks/ is

from benchmarks.clean_asr import compare_memory
from benchmarks.clean_data import UNIT_V, Size, quiet, simulate
from benchmarks.clean_filters import BAND, ORDER, SFREQ, scan_precisely
from benchmarks.clean_peers import OURS, System, find_fault
from benchmarks.clean_quality import CUTOFFS, INPUT, summarize
from benchmarks.clean_targets import AT_LEAST, AT_MOST, judge
from benchmarks.harness import Comparison, Row

from benchmarks import __main__ as command
from meegic.simulation.asr_benchmark import ArtifactScores, score_cleaning

ROOT = Path(__file__).parents[2]
SMALL = Size(16, 100.0, 60.0, 30.0)


def make_comparison(seconds, values=None):
    """A comparison with these medians, and these values for each of its cases."""
    rows = tuple(
        Row(name, 0, one, 0, 0, None, None, (values or {}).get(name, {}))
        for name, one in seconds.items()
    )
    return Comparison("title", None, rows, peers=(), skipped=())


def test_script_runs_the_benchmark_and_hides_no_peer(monkeypatch):
    ran = []
    monkeypatch.setattr(command, "main", ran.append)
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    monkeypatch.setattr(sys, "argv", ["clean.py", "--quick"])
    runpy.run_path(str(ROOT / "benchmarks" / "clean.py"), run_name="__main__")
    assert ran == [["clean", "clean_quality", "--quick"]]
    assert str(ROOT / "benchmarks") not in sys.path


def test_systems_get_the_same_clean_windows_and_ours_cleans():
    recording = simulate(SMALL, 0)
    assert_array_equal(recording.calibration, recording.data[:, recording.clean])
    assert not (recording.clean & recording.benchmark.mask).mean() > 0.1
    data = recording.data.copy()
    with quiet():
        cleaned = OURS.clean(data, recording.calibration, SMALL.sfreq, 20.0)
    assert_array_equal(data, recording.data)
    before = score_cleaning(recording.benchmark, UNIT_V * data)
    after = score_cleaning(recording.benchmark, UNIT_V * cleaned)
    assert after.snr_db > before.snr_db + 10


def test_scan_is_the_filter_that_the_others_are():
    data = np.random.default_rng(0).standard_normal((2, 500))
    sos = butter(ORDER, BAND, "bandpass", fs=SFREQ, output="sos")
    assert_allclose(scan_precisely(data), sosfilt(sos, data), atol=1e-6)


def test_system_that_does_not_run_is_named_with_its_error():
    def fail(data, sfreq, cutoff):
        return int(data)

    def change(data, sfreq, state):
        data *= 0
        return data

    broken = System("peer", fail, change, "numpy")
    assert find_fault(broken).startswith("peer (TypeError: only ")
    assert find_fault(replace(broken, module="not_installed_here")) is None
    working = System("peer", lambda *_: None, change, "numpy")
    assert find_fault(working) is None


def test_scores_are_averaged_over_recordings_in_which_a_kind_occurs():
    first = ArtifactScores(10.0, {"blink": 8.0, "pop": 3.0}, 2.0, 0.1)
    second = ArtifactScores(14.0, {"blink": 6.0}, 4.0, 0.3)
    values = summarize([first, second])
    assert (values["SNR"], values["± SNR"]) == (12, 2)
    assert (values["blink"], values["± blink"], values["pop"]) == (7, 1, 3)
    assert (values["RMSE µV"], values["clean error"]) == (3, 0.2)
    assert "move" not in values


def test_targets_are_judged_and_those_without_cases_named():
    snr = {f"cutoff {one:g}": {"SNR": 12.5 - abs(one - 20) / 10} for one in CUTOFFS}
    snr["cutoff 20"]["clean error"] = 0.04
    snr[INPUT] = {"SNR": -12.0, "clean error": 0.05}
    causal = {"scipy float32": 3.0, "meegic float32": 2.0, "scan float32": 3.0}
    comparisons = {
        "cutoffs": make_comparison(dict.fromkeys(snr, 1.0), snr),
        "causal": make_comparison(causal),
        "long": make_comparison({"meegic": 2.5}),
    }
    targets = judge(comparisons, quick=False)
    rows = {row.name: row for row in targets.rows}
    assert {name: row.met for name, row in rows.items()} == {
        "SNR at cutoff 20, dB": True,
        "goal: gain of SNR at cutoff 20, dB": False,
        "causal filter, float32: SciPy's time over ours": True,
        "causal filter, float32: a scan's time over ours": False,
        "best SNR less the best of cutoffs from 15 to 35, dB": True,
        "error of the clean part at cutoff 20": True,
        "error of the clean part at cutoff 20 less that of the input": True,
        "processing of 300 s, s": False,
    }
    assert rows["goal: gain of SNR at cutoff 20, dB"].measured == 24.5
    assert rows["causal filter, float32: a scan's time over ours"].measured == 1.5
    assert set(rows) <= {*AT_LEAST, *AT_MOST}
    # What another comparison would tell is not named, a case that did not run is.
    assert targets.skipped == ("causal filter, float64: SciPy's time over ours",)
    table = targets.table()
    assert "NO" in table
    assert "skipped: causal filter, float64" in table


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.slow
def test_memory_is_measured_in_fresh_processes():
    whole, stream = compare_memory(8, 20_000).rows
    for row in (whole, stream):
        assert row.values["data MB"] == 1.28
        assert row.values["calibration s"] > 0
        assert 0 < row.values["processing MB"] < 500
    held = whole.values["processing MB"] - whole.values["beyond arrays MB"]
    assert held == pytest.approx(2 * 1.28)
