"""What cleaning costs beside its peers: time and memory."""

import sys

from benchmarks.amica_data import two_threads
from benchmarks.clean_asr import (
    compare_calibrations,
    compare_long,
    compare_memory,
    compare_processing,
)
from benchmarks.clean_costs import (
    compare_line_noise,
    compare_means,
    compare_muscle,
    compare_potatoes,
    compare_splines,
)
from benchmarks.clean_filters import (
    compare_causal,
    compare_resampling,
    compare_zero_phase,
)
from benchmarks.clean_targets import Targets, judge
from benchmarks.harness import Comparison


def run(quick: bool) -> list[Comparison | Targets]:
    with two_threads():
        results = _run(quick)
    return [*results.values(), judge(results, quick=quick)]


def _run(quick: bool) -> dict[str, Comparison]:
    splines, splines_again = compare_splines(quick)
    results = {
        "causal": compare_causal(quick),
        "zero phase": compare_zero_phase(quick),
        **compare_resampling(quick),
        "splines": splines,
        "splines again": splines_again,
        "mean": compare_means(quick),
        "potato": compare_potatoes(quick),
        "muscle": compare_muscle(quick),
        "line noise": compare_line_noise(quick),
        "calibration": compare_calibrations(quick),
        "processing": compare_processing(quick),
        "long": compare_long(quick),
    }
    if not quick and sys.platform == "linux":  # memory is read from /proc
        results["memory"] = compare_memory()
    return results
