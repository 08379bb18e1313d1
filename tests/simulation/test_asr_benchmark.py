"""The benchmark of artifact removal is what its description says."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError
from meegic.preprocessing.asr import apply_asr, calibrate_asr
from meegic.simulation.asr_benchmark import (
    KINDS,
    score_cleaning,
    simulate_artifacts,
)

RNG = np.random.default_rng(0)
POSITIONS = RNG.standard_normal((16, 3)) * 0.09


@pytest.fixture(scope="module")
def benchmark():
    return simulate_artifacts(POSITIONS, sfreq=100.0, duration_s=90.0, lead_s=30.0)


def test_recording_is_truth_and_artifact_in_volt(benchmark):
    assert benchmark.data.shape == (16, 9000)
    assert_array_equal(benchmark.data, benchmark.truth + benchmark.artifact)
    # 10 uV and a little noise, less what the high-pass takes.
    assert 8e-6 < benchmark.truth.std() < 10.5e-6
    assert 100e-6 < np.abs(benchmark.artifact).max() < 2e-3
    assert_allclose(np.linalg.norm(benchmark.positions, axis=1), 1)


def test_masks_mark_artifacts_after_the_lead(benchmark):
    assert_array_equal(benchmark.mask, benchmark.masks.any(axis=0))
    assert not benchmark.mask[:3000].any()
    assert benchmark.mask[3000]
    assert benchmark.masks.shape == (len(KINDS), 9000)
    assert benchmark.mask_wide[2975:3000].all()
    assert not benchmark.mask_wide[:2975].any()
    power = (benchmark.artifact**2).mean(axis=0)
    assert power[benchmark.mask].mean() > 20 * power[~benchmark.mask_wide].mean()


def test_key_decides_everything():
    short = {"sfreq": 100.0, "duration_s": 20.0, "lead_s": 5.0}
    first = simulate_artifacts(POSITIONS, key=3, **short)
    assert_array_equal(simulate_artifacts(POSITIONS, key=3, **short).data, first.data)
    other = simulate_artifacts(POSITIONS, key=4, **short)
    assert np.abs(other.truth - first.truth).max() > 1e-6
    typed = simulate_artifacts(POSITIONS, key=jax.random.key(3), **short)
    raw = simulate_artifacts(POSITIONS, key=jax.random.PRNGKey(3), **short)
    assert_array_equal(typed.data, raw.data)


def test_scores_of_known_errors(benchmark):
    perfect = score_cleaning(benchmark, 1.1 * benchmark.truth)
    assert_allclose(perfect.snr_db, 20)
    assert_allclose(list(perfect.snr_by_kind_db.values()), 20)
    assert_allclose(perfect.clean_error, 0.1)
    untouched = score_cleaning(benchmark, benchmark.data)
    assert untouched.snr_db < -5
    inner = benchmark.mask.copy()
    inner[-100:] = False
    wanted = 1e6 * np.sqrt((benchmark.artifact[:, inner] ** 2).mean())
    assert_allclose(untouched.rmse_uv, wanted)


@pytest.mark.filterwarnings("ignore:cutoff is")
@pytest.mark.filterwarnings("ignore:clean_data last")
def test_best_cutoff_is_between_fifteen_and_thirty_five(benchmark):
    data = benchmark.data
    state = calibrate_asr(data[:, :3000], 20.0, sfreq=100.0)
    scores = {
        cutoff: score_cleaning(
            benchmark, apply_asr(data, state.replace(cutoff=cutoff), 50, 25)
        ).snr_db
        for cutoff in (2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0)
    }
    # A short set: the best is within 0.3 dB of the best there.
    assert max(scores.values()) < max(scores[15.0], scores[20.0]) + 0.3
    assert scores[20.0] > 5
    assert scores[2.5] < scores[20.0] - 3


def test_impossible_arguments_are_refused():
    with pytest.raises(InputError, match=r"away from the origin, but \[1\]"):
        simulate_artifacts(np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1.0]]))
    with pytest.raises(OptionError, match="duration_s must be a number at least 66 s"):
        simulate_artifacts(POSITIONS, duration_s=60.0)
    with pytest.raises(OptionError, match="sfreq must be a number at least 50 Hz"):
        simulate_artifacts(POSITIONS, sfreq=10.0)
