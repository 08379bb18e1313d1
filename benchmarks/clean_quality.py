"""How well artifacts are removed where the truth is known: cutoffs and systems."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.clean_data import FULL, QUICK, UNIT_V, Recording, Size, quiet, simulate
from benchmarks.clean_peers import (
    ASRPY,
    DENOISE,
    EEGPREP_LARGE,
    EEGPREP_USUAL,
    MEEGKIT,
    MEEGKIT_ONE,
    OURS,
    System,
    find_fault,
)
from benchmarks.harness import Case, Comparison, Outcome, compare
from meegic.simulation.asr_benchmark import KINDS, ArtifactScores, score_cleaning

CUTOFFS = (2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
INPUT = "input"
_NOTE = "SNR in dB where there are artifacts; clean error: relative, elsewhere"

Cleaner = Callable[[Recording], np.ndarray]


def choose_keys(quick: bool) -> range:
    return range(1 if quick else 5)


def choose_size(quick: bool) -> Size:
    return QUICK if quick else FULL


def compare_cutoffs(quick: bool) -> Comparison:
    """Compare cutoffs of ours, of one calibration for each recording."""
    size, keys = choose_size(quick), choose_keys(quick)
    cases = [Case(INPUT, partial(_score, size, keys, _leave))]
    cases += [
        Case(f"cutoff {cutoff:g}", partial(_score, size, keys, partial(_cut, cutoff)))
        for cutoff in CUTOFFS
    ]
    title = f"Cutoffs of ASR, {size}, {len(keys)} keys; {_NOTE}"
    return compare(title, cases, repeats=0, baseline=None)


def compare_systems(quick: bool) -> Comparison:
    """Compare systems on the same recordings and the same clean windows."""
    size, keys = choose_size(quick), choose_keys(quick)
    fault = find_fault(ASRPY)
    usual = [OURS, EEGPREP_LARGE, EEGPREP_USUAL, DENOISE, MEEGKIT, MEEGKIT_ONE]
    pairs = [(one, 20.0) for one in (*usual, *([] if fault else [ASRPY]))]
    pairs += [(one, 5.0) for one in (OURS, MEEGKIT_ONE)]
    cases = [Case(INPUT, partial(_score, size, keys, _leave))]
    cases += [
        Case(
            f"{one.name}, cutoff {cutoff:g}",
            partial(_score, size, keys, partial(_clean_by, one, cutoff)),
            peer=one.module,
        )
        for one, cutoff in pairs
    ]
    title = f"ASR of several systems, {size}, {len(keys)} keys; {_NOTE}"
    result = compare(title, cases, repeats=0, baseline=None)
    return replace(result, skipped=(*result.skipped, *([fault] if fault else [])))


def _leave(recording: Recording) -> np.ndarray:
    return recording.data


def _clean_by(system: System, cutoff: float, recording: Recording) -> np.ndarray:
    return system.clean(recording.data, recording.calibration, recording.sfreq, cutoff)


def _cut(cutoff: float, recording: Recording) -> np.ndarray:
    """Clean by ours, calibrated once for all cutoffs."""
    state = recording.state.replace(cutoff=cutoff)
    return OURS.process(recording.data, recording.sfreq, state)


def _score(size: Size, keys: Iterable[int], clean: Cleaner) -> Outcome:
    """Clean a recording of each key; mean and standard deviation of the scores."""
    seconds, scores = [], []
    for key in keys:
        recording = simulate(size, key)
        start = time.perf_counter()
        with quiet():
            cleaned = clean(recording)
        seconds.append(time.perf_counter() - start)
        scores.append(score_cleaning(recording.benchmark, UNIT_V * cleaned))
    return Outcome(seconds, summarize(scores))


def summarize(scores: Sequence[ArtifactScores]) -> dict[str, float]:
    """Average over recordings; of a kind over those in which it occurs."""
    columns = {
        "SNR": [one.snr_db for one in scores],
        **{
            kind: [
                one.snr_by_kind_db[kind] for one in scores if kind in one.snr_by_kind_db
            ]
            for kind in KINDS
        },
        "RMSE µV": [one.rmse_uv for one in scores],
        "clean error": [one.clean_error for one in scores],
    }
    values = {}
    for name, column in columns.items():
        if column:
            values[name] = float(np.mean(column))
            values[f"± {name}"] = float(np.std(column))
    return values
