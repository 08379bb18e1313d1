"""Measure cases side by side: time and memory, in this process or in fresh ones."""

import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from meegic.base.checks import check_count, check_option
from meegic.base.errors import InputError

RESULTS = Path(__file__).parent / "results"
HEAD = ("case", "first ms", "median ms", "min ms", "max ms", "ratio", "peak MB")
PACKAGES = ("meegic", "numpy", "scipy", "jax", "numba", "mne")

# A child inherits the peak memory of its parent in what the system reports of it, so
# a bare interpreter stands between this process, which may be large, and the child.
_STARTER = """
import os, subprocess, sys, time
start = time.perf_counter()
command = [sys.executable, "-c", sys.argv[1]]
child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - start
child.returncode = os.waitstatus_to_exitcode(status)
print(seconds, usage.ru_maxrss, child.returncode)
"""


@dataclass(frozen=True)
class Case:
    """One of the things to compare.

    Attributes
    ----------
    name : str
        How the table calls it.
    run : callable | str
        What is timed: a function, called in this process, or Python source, run in a
        fresh interpreter. What a function returns is waited for, as JAX needs; an
        `Outcome` is what the function measured itself.
    setup : callable | None
        Called once before anything is timed; `run` gets what it returns.
    peer : str | None
        Module that must be importable; otherwise the case is named and skipped.
    """

    name: str
    run: Callable[..., object] | str
    setup: Callable[[], object] | None = None
    peer: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a function measured itself, when the time of the whole call is not meant.

    Attributes
    ----------
    seconds : sequence of float
        The times that count: of iterations, say. Empty: the time of the call.
    values : mapping of str to float
        What else to show, in columns of their own.
    """

    seconds: Sequence[float] = ()
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """What was measured of one case.

    Attributes
    ----------
    name : str
        The case.
    first_s : float
        The first call, which warms caches and compiles; in no other number.
    median_s, min_s, max_s : float
        The later calls; of an only one, that one.
    ratio : float | None
        The median over that of the baseline; above one is slower.
    peak_bytes : int | None
        The largest memory of any call: of the whole process when it was a fresh one,
        else what the call added to this one. ``None`` where the system does not tell.
    values : dict of str to float
        Medians of what the same calls told beside their times.
    """

    name: str
    first_s: float
    median_s: float
    min_s: float
    max_s: float
    ratio: float | None
    peak_bytes: int | None
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """The rows of the cases that ran, and the names of those that could not."""

    title: str
    baseline: str | None
    rows: tuple[Row, ...]
    peers: tuple[str, ...]
    skipped: tuple[str, ...]

    def table(self) -> str:
        """Lay the rows out as text."""
        extra = tuple(dict.fromkeys(name for row in self.rows for name in row.values))
        lines = [(*HEAD, *extra), *(_cells(row, extra) for row in self.rows)]
        first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
        lines = [
            "  ".join([name.ljust(first), *map(str.rjust, cells, widths)])
            for name, *cells in lines
        ]
        lines.insert(1, "-" * len(lines[0]))
        skipped = (f"skipped: {name}" for name in self.skipped)
        return "\n".join([self.title, *lines, *skipped, ""])


class _Sample(NamedTuple):
    wall: float
    peak_bytes: int | None
    outcome: Outcome = Outcome()

    @property
    def seconds(self) -> Sequence[float]:
        return self.outcome.seconds or (self.wall,)


def compare(
    title: str, cases: Sequence[Case], *, repeats: int, baseline: str | None
) -> Comparison:
    """Time the cases in turn, A B A B ..., so that all share what disturbs them.

    Parameters
    ----------
    title : str
        What is compared, with the size of the data.
    cases : sequence of Case
        The candidates, with different names.
    repeats : int
        How often each is called after its first call; 0 for calls of minutes, of
        which the first counts.
    baseline : str | None
        Name of the case that the ratios refer to; ``None`` when there are none.

    Returns
    -------
    Comparison
        One row for each case that could run.
    """
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise InputError(f"cases must have different names, but got {names}.")
    if baseline is not None:
        check_option("baseline", baseline, names)
    check_count("repeats", repeats, low=0)

    present = [case for case in cases if case.peer is None or _is_present(case.peer)]
    calls = [_prepare(case) for case in present]
    first = [call() for call in calls]
    rounds = [[call() for call in calls] for _ in range(repeats)]

    samples = {
        case.name: list(one)
        for case, one in zip(present, zip(first, *rounds, strict=True), strict=True)
    }
    unit = statistics.median(_count(samples[baseline])) if baseline in samples else None
    return Comparison(
        title,
        baseline,
        rows=tuple(_summarise(name, one, unit) for name, one in samples.items()),
        peers=tuple(case.peer for case in present if case.peer is not None),
        skipped=tuple(
            f"{case.name} (needs {case.peer})" for case in cases if case not in present
        ),
    )


def describe(
    name: str, comparisons: Iterable[Comparison], *, quick: bool
) -> dict[str, Any]:
    """Join comparisons with what makes them comparable to later ones.

    Parameters
    ----------
    name : str
        Name of the benchmark.
    comparisons : iterable of Comparison
        What it measured.
    quick : bool
        Whether it was the quick form.

    Returns
    -------
    dict
        Plain values: nothing in it tells whose machine it was.
    """
    comparisons = list(comparisons)
    peers = [peer.partition(".")[0] for one in comparisons for peer in one.peers]
    return {
        "schema": 1,
        "name": name,
        "quick": quick,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": {"python": platform.python_version(), **_versions(peers)},
        "comparisons": [asdict(one) for one in comparisons],
    }


def save(document: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write a result; the file of a quick one is not kept by git.

    Parameters
    ----------
    document : dict
        What `describe` made.
    folder : path
        Where to.

    Returns
    -------
    path
        The file.
    """
    ending = "local.json" if document["quick"] else "json"
    path = folder / f"{document['name']}.{ending}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def _is_present(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _prepare(case: Case) -> Callable[[], _Sample]:
    if isinstance(case.run, str):
        return partial(_time_fresh, case.run)
    if case.setup is None:
        return partial(_time_here, case.run)
    return partial(_time_here, partial(case.run, case.setup()))


def _time_here(run: Callable[[], object]) -> _Sample:
    before = _restart_peak()
    start = time.perf_counter()
    result = run()
    if "jax" in sys.modules:
        sys.modules["jax"].block_until_ready(result)
    seconds = time.perf_counter() - start
    peak = None if before is None else _read_memory("VmHWM") - before
    outcome = result if isinstance(result, Outcome) else Outcome()
    return _Sample(seconds, peak, outcome)


def _time_fresh(code: str) -> _Sample:
    command = [sys.executable, "-S", "-c", _STARTER, code]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, peak, status = done.stdout.split()
    if int(status) != 0:
        raise subprocess.CalledProcessError(int(status), code)
    unit = 1 if sys.platform == "darwin" else 1024
    return _Sample(float(seconds), unit * int(peak))


def _restart_peak() -> int | None:
    """Make the peak start again at the present memory, and give that."""
    restart = Path("/proc/self/clear_refs")
    if not os.access(restart, os.W_OK):
        return None
    # What earlier cases freed goes back first, or the next one would grow into it;
    # musl has no such function.
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    restart.write_text("5")
    return _read_memory("VmRSS")


def _read_memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (words,) = (line.split() for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(words[1])


def _count(samples: Sequence[_Sample]) -> list[float]:
    """List the times that count: all but those of the first call, if there are any."""
    return [second for one in samples[1:] or samples for second in one.seconds]


def _summarise(name: str, samples: Sequence[_Sample], unit: float | None) -> Row:
    seconds = _count(samples)
    median = statistics.median(seconds)
    peaks = [one.peak_bytes for one in samples if one.peak_bytes is not None]
    told = [one.outcome.values for one in samples[1:] or samples]
    return Row(
        name,
        first_s=samples[0].wall,
        median_s=median,
        min_s=min(seconds),
        max_s=max(seconds),
        ratio=None if unit is None else median / unit,
        peak_bytes=max(peaks, default=None),
        values={key: statistics.median(one[key] for one in told) for key in told[0]},
    )


def _cells(row: Row, extra: Sequence[str]) -> tuple[str, ...]:
    seconds = (row.first_s, row.median_s, row.min_s, row.max_s)
    return (
        row.name,
        *(f"{1e3 * one:.2f}" for one in seconds),
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        "-" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}",
        *(f"{row.values[one]:.7g}" if one in row.values else "-" for one in extra),
    )


def _commit() -> str:
    """Name the commit, marked when files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True
        )
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _machine() -> dict[str, Any]:
    jax = sys.modules.get("jax")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "devices": [one.device_kind for one in jax.devices()] if jax else [],
    }


def _cpu() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.is_file() else []
    models = (line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def _versions(peers: Iterable[str]) -> dict[str, str]:
    sources = packages_distributions()
    found = {}
    for module in [*PACKAGES, *peers]:
        name = sources.get(module, [module])[0]
        with suppress(PackageNotFoundError):  # a module of Python's own, say
            found[name] = version(name)
    return found
