"""The block filter beside SciPy's, one way and both ways, in both precisions."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.signal import butter, sosfilt, sosfiltfilt

from benchmarks.harness import Case, Comparison, compare
from meegic.math.iir import balance_sos, filter_forward, filter_zero_phase

SHAPE = (64, 150_000)


def run(quick: bool) -> list[Comparison]:
    repeats = 3 if quick else 15
    return [
        _compare("forward", sosfilt, filter_forward, repeats),
        _compare("zero phase", sosfiltfilt, filter_zero_phase, repeats),
    ]


def _compare(kind: str, theirs: Callable, ours: Callable, repeats: int) -> Comparison:
    sos = np.asarray(butter(4, [1.0, 40.0], "bandpass", fs=500.0, output="sos"))
    double = np.random.default_rng(0).normal(scale=20e-6, size=SHAPE)
    single = double.astype(np.float32)
    design = balance_sos(sos)
    cases = [
        Case("scipy float64", partial(theirs, sos, double)),
        # SciPy computes in the wider of the two dtypes.
        Case("scipy float32", partial(theirs, sos.astype(np.float32), single)),
        Case("meegic float64", partial(ours, design, double)),
        Case("meegic float32", partial(ours, design, single)),
    ]
    title = f"Filter of {len(sos)} sections, {kind}, {SHAPE[0]} x {SHAPE[1]}"
    return compare(title, cases, repeats=repeats, baseline="scipy float64")
