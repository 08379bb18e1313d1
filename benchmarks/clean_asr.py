"""What artifact subspace reconstruction costs: calibration, processing, memory."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.amica_costs import run_fresh
from benchmarks.clean_data import (
    FULL,
    QUICK,
    Recording,
    Size,
    find_calibration,
    quiet,
    simulate,
)
from benchmarks.clean_peers import (
    DENOISE,
    EEGPREP_USUAL,
    EEGPREP_WHOLE,
    MEEGKIT,
    OURS,
    System,
)
from benchmarks.harness import Case, Comparison, compare

CUTOFF = 20.0
SHORT = Size(64, 500.0, 40.0, 15.0)  # peers take a covariance per sample of it
WINDOWS = "meegic, with clean windows"

# Linux starts the peak anew at the present memory when 5 is written there.
_MEMORY = """
import json, time, warnings
import numpy as np
from meegic.preprocessing.asr import ASROptions, ASRStream, apply_asr, calibrate_asr

warnings.simplefilter("ignore")  # the calibration is short
N_CHANNELS, N_TIMES, PIECE = {n_channels}, {n_times}, 10_000
WINDOW = 2 * N_CHANNELS

def read(field):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int([one.split()[1] for one in lines if one.startswith(field)][0])

def draw(n_times):
    data = rng.standard_normal((N_CHANNELS, n_times))
    data[0, : n_times // 10] *= 100
    return data

rng = np.random.default_rng(0)
clean = rng.standard_normal((N_CHANNELS, min(N_TIMES, 30_000)))
marks, peaks = [time.perf_counter()], []
for part in ("calibrate", "process"):
    open("/proc/self/clear_refs", "w").write("5")
    before = read("VmRSS")
    if part == "calibrate":
        state = calibrate_asr(clean, 20.0, sfreq=1000.0)
    else:
        {run}
    peaks.append(read("VmHWM") - before)
    marks.append(time.perf_counter())
arrays = 8 * N_CHANNELS * N_TIMES
print(json.dumps({{
    "calibration s": marks[1] - marks[0],
    "calibration MB": peaks[0] / 1e6,
    "processing s": marks[2] - marks[1],
    "processing MB": peaks[1] / 1e6,
    "data MB": arrays / 1e6,
    "beyond arrays MB": (peaks[1] - {n_held} * arrays) / 1e6,
}}))
"""
_WHOLE = "apply_asr(draw(N_TIMES), state, WINDOW, WINDOW // 2)"
_STREAM = """stream = ASRStream(state, ASROptions(WINDOW, WINDOW // 2))
        for _ in range(N_TIMES // PIECE):
            stream.push(draw(PIECE))"""


def compare_calibrations(quick: bool) -> Comparison:
    """Compare calibrations on the same clean samples; ours also with finding them."""
    size = QUICK if quick else FULL
    recording = simulate(size, 0)
    calibration = recording.calibration
    cases = [
        Case(
            one.name,
            partial(_call, one.calibrate, calibration, size.sfreq, CUTOFF),
            peer=one.module,
        )
        for one in (OURS, EEGPREP_WHOLE, EEGPREP_USUAL, DENOISE, MEEGKIT)
    ]
    cases.insert(1, Case(WINDOWS, partial(_find_and_calibrate, recording)))
    title = f"Calibration of ASR, {size}; {calibration.shape[1]} clean samples of it"
    return compare(title, cases, repeats=1 if quick else 3, baseline=OURS.name)


def compare_processing(quick: bool) -> Comparison:
    """Compare processing after a calibration that does not count."""
    size = QUICK if quick else SHORT
    systems = (OURS, EEGPREP_WHOLE, DENOISE, MEEGKIT)
    title = f"Processing of ASR, {size}, cutoff {CUTOFF:g}"
    return _compare_processing(title, size, systems, repeats=1 if quick else 3)


def compare_long(quick: bool) -> Comparison:
    """Time ours on a recording of the full size."""
    size = QUICK if quick else FULL
    title = f"Processing of ASR, {size}, cutoff {CUTOFF:g}, meegic alone"
    return _compare_processing(title, size, (OURS,), repeats=1 if quick else 5)


def compare_memory(n_channels: int = 256, n_times: int = 600_000) -> Comparison:
    """Measure the peak memory of fresh processes, input and output included."""
    scripts = {"apply_asr": (_WHOLE, 2), "ASRStream": (_STREAM, 0)}
    cases = [
        Case(name, partial(run_fresh, _fill(n_channels, n_times, run, n_held)))
        for name, (run, n_held) in scripts.items()
    ]
    title = (
        f"Memory that ASR adds, {n_channels} x {n_times} at 1000 Hz, calibrated on "
        "30 s; beyond arrays: without input and output, which the stream does not hold"
    )
    return compare(title, cases, repeats=0, baseline=None)


def _compare_processing(
    title: str, size: Size, systems: Sequence[System], repeats: int
) -> Comparison:
    recording = simulate(size, 0)
    cases = [
        Case(
            one.name,
            partial(_process, one, recording.data, size.sfreq),
            setup=partial(
                _call, one.calibrate, recording.calibration, size.sfreq, CUTOFF
            ),
            peer=one.module,
        )
        for one in systems
    ]
    return compare(title, cases, repeats=repeats, baseline=OURS.name)


def _process(system: System, data: np.ndarray, sfreq: float, state: Any) -> np.ndarray:
    return _call(system.process, data, sfreq, state)


def _call(function: Callable[..., Any], data: np.ndarray, *arguments: Any) -> Any:
    """Call without warnings, with data that may be written to."""
    with quiet():
        return function(data.copy(), *arguments)


def _find_and_calibrate(recording: Recording) -> Any:
    clean = find_calibration(recording.data, recording.sfreq)
    return _call(OURS.calibrate, recording.data[:, clean], recording.sfreq, CUTOFF)


def _fill(n_channels: int, n_times: int, run: str, n_held: int) -> str:
    return _MEMORY.format(
        n_channels=n_channels, n_times=n_times, run=run, n_held=n_held
    )
