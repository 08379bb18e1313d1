"""How well cleaning removes artifacts whose truth is known, beside its peers."""

from benchmarks.amica_data import two_threads
from benchmarks.clean_quality import compare_cutoffs, compare_systems
from benchmarks.clean_targets import Targets, judge
from benchmarks.harness import Comparison


def run(quick: bool) -> list[Comparison | Targets]:
    with two_threads():
        results = {
            "cutoffs": compare_cutoffs(quick),
            "systems": compare_systems(quick),
        }
    return [*results.values(), judge(results, quick=quick)]
