"""What cleaning is to reach, beside what was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.clean_asr import WINDOWS
from benchmarks.clean_filters import RATES
from benchmarks.clean_peers import EEGPREP_WHOLE, OURS
from benchmarks.clean_quality import CUTOFFS, INPUT
from benchmarks.harness import Comparison, Row

GOOD_CUTOFFS = (15.0, 35.0)
HEAD = ("what", "target", "measured", "met")


@dataclass(frozen=True)
class Target:
    """A number that is to be reached, and what was reached.

    Attributes
    ----------
    name : str
        What is measured, and its unit.
    target : float
        The number to reach.
    at_least : bool
        Whether more is better.
    measured : float
        What was reached.
    met : bool
        Whether that is enough.
    """

    name: str
    target: float
    at_least: bool
    measured: float
    met: bool


@dataclass(frozen=True)
class Targets:
    """The targets whose cases ran, and the names of the others."""

    title: str
    rows: tuple[Target, ...]
    skipped: tuple[str, ...]
    peers: tuple[str, ...] = ()

    def table(self) -> str:
        """Lay the rows out as text."""
        lines = [HEAD, *(_cells(row) for row in self.rows)]
        first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
        lines = [
            "  ".join([name.ljust(first), *map(str.rjust, cells, widths)])
            for name, *cells in lines
        ]
        lines.insert(1, "-" * len(lines[0]))
        skipped = (f"skipped: {name}" for name in self.skipped)
        return "\n".join([self.title, *lines, *skipped, ""])


class NotCompared(LookupError):
    """A comparison that this benchmark does not make."""


@dataclass(frozen=True)
class Results:
    """The comparisons by name, to look numbers up in."""

    comparisons: Mapping[str, Comparison]

    def row(self, comparison: str, case: str) -> Row:
        """Find the row of a case; `KeyError` where it did not run."""
        if comparison not in self.comparisons:
            raise NotCompared(comparison)
        rows = {row.name: row for row in self.comparisons[comparison].rows}
        return rows[case]

    def seconds(self, comparison: str, case: str) -> float:
        return self.row(comparison, case).median_s

    def value(self, comparison: str, case: str, name: str) -> float:
        return self.row(comparison, case).values[name]

    def faster(self, comparison: str, theirs: str, ours: str = OURS.name) -> float:
        """How many times their time is ours."""
        return self.seconds(comparison, theirs) / self.seconds(comparison, ours)

    def snr(self, cutoff: float) -> float:
        return self.value("cutoffs", f"cutoff {cutoff:g}", "SNR")


Measure = Callable[[Results], float]


def _lag_of_good_cutoffs(results: Results) -> float:
    low, high = GOOD_CUTOFFS
    good = max(results.snr(one) for one in CUTOFFS if low <= one <= high)
    return max(results.snr(one) for one in CUTOFFS) - good


AT_LEAST: dict[str, tuple[float, Measure]] = {
    "SNR at cutoff 20, dB": (12.0, lambda r: r.snr(20.0)),
    "goal: gain of SNR at cutoff 20, dB": (
        25.0,
        lambda r: r.snr(20.0) - r.value("cutoffs", INPUT, "SNR"),
    ),
    **{
        f"{kind} filter, {dtype}: SciPy's time over ours": (
            target,
            lambda r, kind=kind, dtype=dtype: r.faster(
                kind, f"scipy {dtype}", f"meegic {dtype}"
            ),
        )
        for kind in ("causal", "zero phase")
        for dtype, target in (("float32", 1.0), ("float64", 0.9))
    },
    "causal filter, float32: a scan's time over ours": (
        1.7,
        lambda r: r.faster("causal", "scan float32", "meegic float32"),
    ),
    "processing of 40 s: eegprep's time over ours": (
        20.0,
        lambda r: r.faster("processing", EEGPREP_WHOLE.name),
    ),
    "Riemannian mean: pyRiemann's time over ours": (
        5.0,
        lambda r: r.faster("mean", "pyriemann"),
    ),
}
AT_MOST: dict[str, tuple[float, Measure]] = {
    "best SNR less the best of cutoffs from 15 to 35, dB": (0.0, _lag_of_good_cutoffs),
    "error of the clean part at cutoff 20": (
        0.05,
        lambda r: r.value("cutoffs", "cutoff 20", "clean error"),
    ),
    "error of the clean part at cutoff 20 less that of the input": (
        0.0,
        lambda r: (
            r.value("cutoffs", "cutoff 20", "clean error")
            - r.value("cutoffs", INPUT, "clean error")
        ),
    ),
    "processing of 300 s, s": (2.0, lambda r: r.seconds("long", OURS.name)),
    "clean windows and calibration of 300 s, s": (
        3.0,
        lambda r: r.seconds("calibration", WINDOWS),
    ),
    **{
        f"{old} to {new} Hz: our time over SciPy's": (
            1.5,
            lambda r, rates=f"{old} to {new}": (
                1 / r.faster(f"resampling {rates}", "scipy")
            ),
        )
        for old, new in RATES
    },
    "splines: our time over that of a product": (
        1.5,
        lambda r: 1 / r.faster("splines", "numpy, a known matrix"),
    ),
    "splines, the same channels again, ms": (
        1.0,
        lambda r: 1e3 * r.seconds("splines again", OURS.name),
    ),
    "memory beyond input and output, MB": (
        400.0,
        lambda r: r.value("memory", "apply_asr", "beyond arrays MB"),
    ),
    "memory of the stream, MB": (
        400.0,
        lambda r: r.value("memory", "ASRStream", "beyond arrays MB"),
    ),
}


def judge(comparisons: Mapping[str, Comparison], *, quick: bool) -> Targets:
    """Compare what was measured with what is to be reached."""
    results = Results(comparisons)
    rows, skipped = [], []
    for at_least, targets in ((True, AT_LEAST), (False, AT_MOST)):
        for name, (target, measure) in targets.items():
            try:
                measured = measure(results)
            except NotCompared:  # it belongs to the other benchmark
                continue
            except KeyError:  # a peer is not installed, or the quick form leaves it out
                skipped.append(name)
                continue
            met = measured >= target if at_least else measured <= target
            rows.append(Target(name, target, at_least, measured, met))
    title = "Targets" + (", which hold for the full sizes only" if quick else "")
    return Targets(title, tuple(rows), tuple(skipped))


def _cells(row: Target) -> tuple[str, ...]:
    sign = "≥" if row.at_least else "≤"
    met = "yes" if row.met else "NO"
    return row.name, f"{sign} {row.target:g}", f"{row.measured:.3g}", met
