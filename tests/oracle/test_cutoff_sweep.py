"""Cutoffs of ASR on the simulated recording of 60 s, against eegprep 0.3.0.

The recording and the scores are golden data (golden/clean/README.md): signal over
error in dB where there are artifacts, without a second at both ends.
"""

import numpy as np
import pytest

from meegic.preprocessing.asr import apply_asr, calibrate_asr
from meegic.simulation.asr_benchmark import (
    KINDS,
    ArtifactBenchmark,
    score_cleaning,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:clean_data last"),
    pytest.mark.filterwarnings("ignore:cutoff is"),
]

REFERENCE_DB = {
    2.5: 5.28, 5.0: 9.13, 10.0: 11.34, 15.0: 11.70, 20.0: 11.61, 25.0: 11.39,
    30.0: 11.02, 40.0: 11.02, 50.0: 9.71,
}  # fmt: skip


@pytest.fixture(scope="module")
def benchmark(shared):
    with np.load(shared / "golden" / "clean" / "asr_synth64.npz") as file:
        unit = float(file["unit_v"])
        return ArtifactBenchmark(
            truth=unit * file["truth"].astype(float),
            artifact=unit * file["artifact"].astype(float),
            mask=file["mask"],
            mask_wide=file["mask_wide"],
            masks=np.stack([file[f"mask_{kind}"] for kind in KINDS]),
            positions=file["unit_positions"],
            sfreq=float(file["sfreq"]),
        )


@pytest.fixture(scope="module")
def sweep(shared, benchmark):
    with np.load(shared / "golden" / "clean" / "clean_windows.npz") as file:
        clean = file["mask_synth64"]
    data = benchmark.data
    state = calibrate_asr(data[:, clean], 20.0, sfreq=benchmark.sfreq)
    return {
        cutoff: score_cleaning(
            benchmark, apply_asr(data, state.replace(cutoff=cutoff), 125, 62)
        )
        for cutoff in REFERENCE_DB
    }


def test_every_cutoff_scores_as_the_reference_does(sweep):
    for cutoff, scores in sweep.items():
        # The reference is rounded to hundredths.
        assert scores.snr_db == pytest.approx(REFERENCE_DB[cutoff], abs=0.006)


def test_best_cutoff_is_between_fifteen_and_thirty_five(sweep):
    scores = {cutoff: one.snr_db for cutoff, one in sweep.items()}
    good = max(score for cutoff, score in scores.items() if 15 <= cutoff <= 35)
    assert max(scores.values()) <= good + 0.3
    assert scores[20.0] >= 11.4
    assert scores[2.5] < scores[5.0] < scores[10.0] < good


def test_high_cutoffs_leave_the_clean_part_alone(benchmark, sweep):
    before = score_cleaning(benchmark, benchmark.data)
    assert before.snr_db == pytest.approx(-13.1, abs=0.05)
    # What is there are the ends of artifacts, which the high-pass makes longer.
    assert before.clean_error == pytest.approx(0.131, abs=5e-4)
    errors = {cutoff: one.clean_error for cutoff, one in sweep.items()}
    for cutoff in (20.0, 30.0, 50.0):
        assert 0.5 * before.clean_error < errors[cutoff] < before.clean_error
    assert errors[2.5] > errors[5.0] > 2 * before.clean_error


def test_every_kind_of_artifact_is_reduced(benchmark, sweep):
    before = score_cleaning(benchmark, benchmark.data).snr_by_kind_db
    after = sweep[20.0].snr_by_kind_db
    assert set(after) == set(KINDS)
    for kind in KINDS:
        assert after[kind] > before[kind] + 8
        assert after[kind] > 7
