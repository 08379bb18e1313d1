"""AMICA beside its peers: what a pass costs, how soon a fit is done, and how good.

On more than two processors run it as `taskset -c 0,1 python -m benchmarks amica`.
"""

import sys
from functools import partial

from benchmarks.amica_costs import (
    compare_devices,
    compare_first_use,
    compare_memory,
    compare_sizes,
)
from benchmarks.amica_data import Recording, mix_laplace, read_real, two_threads
from benchmarks.amica_fits import (
    compare_single_models,
    compare_time_to_likelihood,
)
from benchmarks.amica_peers import (
    time_amica_python,
    time_em,
    time_jamica,
    time_pass,
    time_pyamica,
)
from benchmarks.harness import Case, Comparison, compare

OURS = "meegic, one pass"
LARGE = 5e6  # elements, from which on peers take minutes


def run(quick: bool) -> list[Comparison]:
    with two_threads():
        return _run(quick)


def _run(quick: bool) -> list[Comparison]:
    real = read_real()
    results = []
    for recording in (real, *(() if quick else (mix_laplace(),))):
        if recording is not None:
            results += _compare_passes(recording, quick)
    if real is not None:
        results.append(compare_time_to_likelihood(real, quick))
        results.append(compare_single_models(real, quick))
    results += [compare_first_use(quick), compare_sizes(quick)]
    if not quick:
        results.append(compare_devices())
    if not quick and sys.platform == "linux":  # memory is read from /proc
        results.append(compare_memory())
    return results


def _compare_passes(recording: Recording, quick: bool) -> list[Comparison]:
    sizes = [("float64", 1)]
    if not quick:
        large = recording.data.size > LARGE
        more = [("float64", 2), ("float32", 1)]
        sizes += more if large else [*more, ("float64", 3)]
    systems = [_compare_systems(recording, m, dtype, quick) for dtype, m in sizes]
    return [_compare_models(recording, quick), *systems]


def _compare_models(recording: Recording, quick: bool) -> Comparison:
    cases = [
        Case(f"{dtype}, M = {m}", time_pass(recording, m, dtype, n_passes=5))
        for dtype in ("float64", "float32")
        for m in (1, 2, 3)
    ]
    title = f"One pass of meegic, {recording.size}; M = 2: at most 2.2"
    return compare(title, cases, repeats=3 if quick else 9, baseline=cases[0].name)


def _compare_systems(
    recording: Recording, n_models: int, dtype: str, quick: bool
) -> Comparison:
    large = recording.data.size > LARGE
    fit = (recording, n_models, dtype)
    few = 2 if large or quick else 5
    cases = [
        Case(OURS, time_pass(*fit, n_passes=5)),
        Case("meegic, one EM iteration", partial(time_em, *fit, n_iter=10)),
        Case("pyAMICA", partial(time_pyamica, *fit, n_iter=few), peer="pyamica"),
        Case("jamica", partial(time_jamica, *fit, n_iter=few), peer="jamica"),
    ]
    if n_models == 1 and dtype == "float64":
        theirs = partial(time_amica_python, recording, n_iter=few)
        cases.append(Case("amica-python", theirs, peer="amica"))
    title = (
        f"One iteration, {recording.size}, M = {n_models}, {dtype}; "
        "pyAMICA: at least 15, jamica: at least 6"
    )
    repeats = 1 if quick or large else 3
    return compare(title, cases, repeats=repeats, baseline=OURS)
