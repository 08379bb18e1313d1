"""Clean windows, the potato and muscles against reference implementations.

The first two are golden data of eegprep 0.3.0 and pyriemann 0.12
(golden/clean/README.md), the last is MNE itself.
"""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.clean.artifacts import detect_artifacts_riemann, fit_potato
from meegic.clean.muscle import find_muscle, muscle_score
from meegic.clean.quality import compute_quality
from meegic.clean.windows import find_clean_windows


def load(shared, name):
    with np.load(shared / "golden" / "clean" / f"{name}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_clean_windows_of_a_real_recording(shared, unit):
    golden = load(shared, "clean_windows")
    clean = find_clean_windows(unit * golden["data"], float(golden["sfreq"]))
    assert_array_equal(clean, golden["mask"])


@pytest.fixture(scope="module")
def synthetic(shared):
    return load(shared, "asr_synth64")


def test_clean_windows_of_a_synthetic_recording(shared, synthetic):
    golden = load(shared, "clean_windows")
    max_bad, low, high, window_s = golden["synth64_settings"].tolist()
    clean = find_clean_windows(
        synthetic["truth"].astype(float) + synthetic["artifact"],
        float(synthetic["sfreq"]),
        max_bad_channels=max_bad,
        z_limits=(low, high),
        window_s=window_s,
    )
    assert_array_equal(clean, golden["mask_synth64"])


def test_potato_leaves_out_the_same_matrices(shared):
    golden = load(shared, "potato")
    potato = fit_potato(golden["covs"], threshold=float(golden["threshold"]))
    artifacts = detect_artifacts_riemann(golden["covs"], float(golden["threshold"]))
    assert_array_equal(artifacts, ~golden["potato_good"])
    scale = np.abs(potato.mean).max()
    assert_allclose(potato.mean, golden["potato_mean"], rtol=0, atol=1e-7 * scale)
    # Both means are known to a mean log map of 1e-8.
    assert_allclose(potato.score(golden["covs"]), golden["potato_z"], atol=1e-7)


def test_quality_of_the_artifacts_is_that_of_the_generator(synthetic):
    truth = synthetic["truth"].astype(float)
    data = truth + synthetic["artifact"]
    cleaned = truth + 0.1 * synthetic["artifact"]
    scores = compute_quality(data, cleaned, 250.0, synthetic["mask"], truth).truth
    # Numbers of the README and of section 9 of the specification.
    assert scores.snr_db["all"].before == pytest.approx(-13.1, abs=0.05)
    assert scores.snr_db["all"].after == pytest.approx(-13.1 + 20, abs=0.05)
    assert scores.clean_error.before == pytest.approx(0.131, abs=5e-4)


def test_changed_values_are_those_of_the_reference(shared):
    golden = load(shared, "asr_32ch")
    for cutoff, percent in ((20, 9.2), (5, 60.7)):
        quality = compute_quality(golden["data"], golden[f"cleaned_{cutoff}"], 128.0)
        assert quality.changed_percent == pytest.approx(percent, abs=0.05)


# Odd lengths have another transform length in SciPy's and MNE's view.
@pytest.mark.parametrize(("sfreq", "n_times"), [(500.0, 5001), (320.0, 4000)])
def test_muscle_score_is_that_of_mne(sfreq, n_times):
    data = 1e-5 * np.random.default_rng(0).standard_normal((4, n_times))
    data[:3, 2000:2300] *= 5
    raw = mne.io.RawArray(data, mne.create_info(4, sfreq, "eeg"), verbose="error")
    raw.set_annotations(mne.Annotations([2.0], [0.5], ["BAD_"]))
    annotations, expected = mne.preprocessing.annotate_muscle_zscore(
        raw, threshold=2, verbose="error"
    )
    scores = muscle_score(data, sfreq, good=~np.isnan(expected))
    assert_allclose(scores, expected, atol=1e-10)
    marked = find_muscle(scores, sfreq, threshold=2)
    assert marked.any()
    wanted = np.zeros(n_times, bool)
    for one in annotations:
        first, last = np.round(
            [one["onset"] * sfreq, (one["onset"] + one["duration"]) * sfreq]
        ).astype(int)
        wanted[first:last] = True
    assert_array_equal(marked, wanted)
