import getpass
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # where benchmarks/ is

from benchmarks.harness import Case, Comparison, Outcome, compare, describe, save

from benchmarks import __main__ as command
from benchmarks import harness
from meegic.base.errors import InputError, OptionError

ROOT = Path(__file__).parents[2]


class Clock:
    """Time that passes only when a case says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def takes(self, *seconds):
        left = iter(seconds)

        def run():
            self.now += next(left)

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(harness, "time", clock)
    return clock


def row(comparison, name):
    (one,) = (one for one in comparison.rows if one.name == name)
    return one


def test_first_call_is_apart_and_the_others_are_summarised(clock):
    cases = [
        Case("fast", clock.takes(64, 2, 1, 4)),
        Case("slow", clock.takes(128, 8, 16, 4)),
    ]
    result = compare("two", cases, repeats=3, baseline="fast")
    fast, slow = row(result, "fast"), row(result, "slow")
    assert (fast.first_s, fast.median_s, fast.min_s, fast.max_s) == (64, 2, 1, 4)
    assert (slow.first_s, slow.median_s, slow.min_s, slow.max_s) == (128, 8, 4, 16)
    assert (fast.ratio, slow.ratio) == (1, 4)
    result = compare(
        "two", [Case("only", clock.takes(9, 3))], repeats=1, baseline="only"
    )
    assert row(result, "only").median_s == 3


def test_cases_take_turns_and_setup_runs_once_and_first():
    events = []
    cases = [
        Case("a", events.append, setup=lambda: events.append("set up") or "a"),
        Case("b", lambda: events.append("b")),
    ]
    compare("turns", cases, repeats=2, baseline="a")
    assert events == ["set up", *"ababab"]


def test_missing_peer_is_named_and_its_ratio_is_open():
    cases = [
        Case("theirs", lambda: pytest.fail("must not run"), peer="no_such.package"),
        Case("other", lambda: pytest.fail("must not run"), peer="json.no_such"),
        Case("ours", lambda: None, peer="json"),
    ]
    result = compare("peers", cases, repeats=1, baseline="theirs")
    assert [one.name for one in result.rows] == ["ours"]
    assert row(result, "ours").ratio is None
    assert result.skipped == (
        "theirs (needs no_such.package)",
        "other (needs json.no_such)",
    )


def test_times_and_values_that_a_call_tells_replace_its_own(clock):
    told = iter([Outcome([9.0], {"LL": 7.0}), Outcome([1.0, 3.0], {"LL": -2.0})])
    took = clock.takes(32, 16)

    def run():
        took()
        return next(told)

    result = compare(
        "told", [Case("a", run), Case("b", lambda: None)], repeats=1, baseline="a"
    )
    one = row(result, "a")
    assert (one.first_s, one.median_s, one.min_s, one.max_s) == (32, 2, 1, 3)
    assert one.values == {"LL": -2.0}
    assert row(result, "b").values == {}
    lines = result.table().splitlines()
    assert lines[1].endswith("  LL")
    assert lines[3].endswith("  -2")
    assert lines[4].endswith("   -")
    assert harness.asdict(result)["rows"][0]["values"] == {"LL": -2.0}


def test_without_repeats_the_first_call_counts(clock):
    cases = [Case("a", clock.takes(4)), Case("b", clock.takes(6))]
    result = compare("once", cases, repeats=0, baseline="a")
    assert [one.median_s for one in result.rows] == [4, 6]
    assert row(result, "b").ratio == 1.5
    told = Case("told", lambda: Outcome([2.0, 8.0], {"passes": 3}))
    (one,) = compare("once", [told], repeats=0, baseline=None).rows
    assert (one.median_s, one.values, one.ratio) == (5, {"passes": 3}, None)


def test_table_shows_milliseconds_and_megabytes():
    rows = (
        harness.Row("a", 3.0, 0.5, 0.25, 1.125, None, None),
        harness.Row("longer", 0.001, 0.002, 0.002, 0.002, 0.004, 7_000_000),
    )
    assert Comparison("Title", "a", rows, (), ("b (needs c)",)).table() == (
        "Title\n"
        "case    first ms  median ms  min ms   max ms  ratio  peak MB\n"
        "------------------------------------------------------------\n"
        "a        3000.00     500.00  250.00  1125.00      -        -\n"
        "longer      1.00       2.00    2.00     2.00   0.00        7\n"
        "skipped: b (needs c)\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_that_an_earlier_case_took_is_not_seen_in_the_next():
    # Below 32 MB the allocator keeps what was freed, from the second time on.
    sizes = iter([5_000_000, 0])  # 40 MB in one call
    cases = [
        *(Case(name, lambda: np.ones(3_500_000)) for name in ("a", "b", "c")),  # 28 MB
        Case("none", lambda: None),
        Case("once", lambda: np.ones(next(sizes))),
    ]
    result = compare("memory", cases, repeats=1, baseline="none")
    peaks = [one.peak_bytes / 1e6 for one in result.rows]
    # The interpreter itself moves by about a megabyte.
    np.testing.assert_allclose(peaks, [28, 28, 28, 0, 40], atol=4)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_fresh_interpreter_has_its_own_memory(monkeypatch):
    mine = np.ones(25_000_000)  # 200 MB that a plain child would be charged with
    cases = [
        Case("empty", "pass"),
        Case("large", "b'x' * 300_000_000"),
        Case("slow", "import time; time.sleep(0.3)"),
    ]
    result = compare("fresh", cases, repeats=1, baseline="empty")
    empty, large, slow = (row(result, case.name) for case in cases)
    assert empty.peak_bytes < mine.nbytes / 2
    # Two interpreters differ by less than the 1 % that tells 1000 from 1024.
    added = large.peak_bytes - empty.peak_bytes
    np.testing.assert_allclose(added, 300e6, rtol=0.01)
    assert slow.min_s >= 0.3


def test_failing_source_is_an_error_and_prints_nothing(capfd):
    with pytest.raises(subprocess.CalledProcessError, match="status 7"):
        harness._time_fresh("import sys; print('noise'); sys.exit(7)")
    assert capfd.readouterr() == ("", "")


def test_result_of_jax_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(sys.modules["jax"], "block_until_ready", waited.append)
    compare("wait", [Case("a", lambda: "array")], repeats=1, baseline="a")
    assert waited == ["array", "array"]


def test_memory_is_open_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(harness, "_restart_peak", lambda: None)
    result = compare("a", [Case("a", lambda: None)], repeats=1, baseline="a")
    assert row(result, "a").peak_bytes is None


def test_wrong_use_is_refused():
    case = Case("scipy", lambda: None)
    with pytest.raises(OptionError, match="baseline must be 'scipy', but got 'numpy'"):
        compare("a", [case], repeats=1, baseline="numpy")
    with pytest.raises(OptionError, match="repeats must be a whole number >= 0"):
        compare("a", [case], repeats=-1, baseline="scipy")
    with pytest.raises(InputError, match="cases must have different names"):
        compare("a", [case, case], repeats=1, baseline="scipy")


@pytest.fixture
def document():
    case = Case("mean", lambda: None, peer="sklearn.cluster")
    result = compare("a", [case], repeats=1, baseline="mean")
    return describe("mean", [result], quick=False)


def test_document_tells_machine_and_versions_but_not_whose(document):
    text = json.dumps(document)
    assert json.loads(text)["comparisons"][0]["rows"][0]["name"] == "mean"
    assert document["schema"] == 1
    assert document["date"].endswith("+00:00")
    assert document["versions"]["scikit-learn"] == version("scikit-learn")
    assert set(harness.PACKAGES) < set(document["versions"])
    assert document["versions"]["python"] == platform.python_version()
    assert document["machine"]["memory_bytes"] > 1e8
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["cpu"]
    for private in (platform.node(), str(Path.home()), str(ROOT), getpass.getuser()):
        assert f'"{private}' not in text


def test_commit_is_unknown_without_git(monkeypatch):
    def absent(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(harness.subprocess, "run", absent)
    assert harness._commit() == "unknown"


def test_commit_is_that_of_the_repository_and_says_when_files_differ(
    tmp_path, monkeypatch
):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", *who, *words]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    monkeypatch.setattr(harness, "__file__", str(tmp_path / "harness.py"))
    git("init")
    assert harness._commit() == "unknown"
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-m", "one")
    git("tag", "-a", "v1", "-m", "tags are not what we want")
    assert harness._commit() == git("rev-parse", "HEAD")
    (tmp_path / "file").write_text("b")
    assert harness._commit() == git("rev-parse", "HEAD") + "-dirty"


def test_quick_results_are_kept_apart(document, tmp_path):
    folder = tmp_path / "results"
    assert save(document, folder).name == "mean.json"
    assert save({**document, "quick": True}, folder).name == "mean.local.json"
    assert json.loads((folder / "mean.json").read_text())["name"] == "mean"


@pytest.fixture
def benchmarks(monkeypatch):
    """Benchmarks that do nothing but say how they were run."""
    ran = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def run(self, quick):
            ran.append((self.name, quick))
            case = Case(self.name, lambda: None)
            return [compare(self.name, [case], repeats=1, baseline=self.name)]

    monkeypatch.setattr(command, "import_module", Fake)
    monkeypatch.setattr(command, "save", lambda document: ran.append(document["quick"]))
    return ran


def test_every_module_of_the_folder_is_run(benchmarks, capsys):
    command.main(["--quick"])
    names = sorted(one.stem for one in (ROOT / "benchmarks").glob("*_bench.py"))
    ran = [(f"benchmarks.{name}", True) for name in names]
    assert benchmarks == [one for pair in ran for one in (pair, True)]
    assert capsys.readouterr().out.count("median ms") == len(names)


def test_chosen_benchmark_alone_and_not_saved(benchmarks):
    command.main(["startup", "--no-save"])
    assert benchmarks == [("benchmarks.startup_bench", False)]


def test_unknown_benchmark_is_refused(benchmarks, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["startp"])
    assert "['startp'] must be among ['amica', 'amica_s" in capsys.readouterr().err
    assert benchmarks == []


def test_peers_are_pinned_with_a_reason():
    lines = (ROOT / "benchmarks" / "peers.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    for line in pins:
        pin, _, reason = line.partition("#")
        assert pin.strip().count("==") == 1
        assert reason.strip()
