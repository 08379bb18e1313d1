"""ASR against eegprep 0.3.0 in one split (golden/clean/README.md)."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import sosfreqz

from meegic.clean.asr_shaping import design_shaping, design_shaping_polynomials
from meegic.preprocessing.asr import ASRState, apply_asr, calibrate_asr

# The golden recording is 30 s, and its cutoff of 5 is low.
pytestmark = [
    pytest.mark.filterwarnings("ignore:clean_data last"),
    pytest.mark.filterwarnings("ignore:cutoff is"),
]


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "clean" / "asr_32ch.npz") as file:
        return dict(file)


def take_reference_state(golden, cutoff):
    """The reference's M and T as a state."""
    mixing, threshold = golden[f"M_{cutoff}"], golden[f"T_{cutoff}"]
    stdevs, vectors = np.linalg.eigh(mixing)
    stdevs, vectors = stdevs[::-1], vectors[:, ::-1]
    heights = np.linalg.norm(threshold @ vectors, axis=0)
    return ASRState(
        mixing_matrix=vectors,
        component_stdevs=stdevs,
        cutoff=float(cutoff),
        mu=heights,
        sigma=np.zeros_like(heights),
        raw_covariance=mixing @ mixing,
        twins=np.arange(len(mixing)),
        sos=design_shaping(float(golden["sfreq"])),
        filter_state=golden["filter_state"],
        rank=len(mixing),
        sfreq=float(golden["sfreq"]),
    )


def test_shaping_filter_is_that_of_the_reference(golden):
    sfreq = float(golden["sfreq"])
    numerator, denominator = design_shaping_polynomials(sfreq)
    assert_allclose(numerator, golden["B"], rtol=0, atol=1e-12)
    assert_allclose(denominator, golden["A"], rtol=0, atol=1e-12)
    ours = np.abs(sosfreqz(design_shaping(sfreq))[1])
    theirs = np.abs(sosfreqz(golden["sos"])[1])
    assert np.abs(20 * np.log10(ours / theirs)).max() < 1e-6


# Measured: M 7e-15, T'T 8e-14.
@pytest.mark.parametrize("cutoff", [20, 5])
def test_calibration_is_that_of_the_reference(golden, cutoff):
    state = calibrate_asr(golden["calib"], cutoff, sfreq=float(golden["sfreq"]))
    mixing, threshold = golden[f"M_{cutoff}"], golden[f"T_{cutoff}"]
    assert_allclose(state.mixing, mixing, rtol=0, atol=1e-9 * np.abs(mixing).max())
    squares = threshold.T @ threshold
    actual = state.threshold.T @ state.threshold
    assert_allclose(actual, squares, rtol=0, atol=1e-9 * np.abs(squares).max())
    final = golden["filter_state"]
    assert_allclose(state.filter_state, final, rtol=0, atol=1e-9 * np.abs(final).max())


# Measured: 6e-12 uV.
@pytest.mark.parametrize("cutoff", [20, 5])
def test_processing_is_that_of_the_reference(golden, cutoff):
    data, wanted = golden["data"].astype(float), golden[f"cleaned_{cutoff}"]
    given = apply_asr(data, take_reference_state(golden, cutoff), 64, 32)
    assert_allclose(given, wanted, rtol=0, atol=1e-9)
    own = calibrate_asr(golden["calib"], cutoff, sfreq=float(golden["sfreq"]))
    assert_allclose(apply_asr(data, own, 64, 32), wanted, rtol=0, atol=1e-6)


def test_unit_of_the_real_recording_does_not_matter(golden):
    sfreq = float(golden["sfreq"])
    results = []
    for unit in (1.0, 1e-6, 1e-13):
        calibration, data = (
            unit * golden[one].astype(float) for one in ("calib", "data")
        )
        state = calibrate_asr(calibration, 20.0, sfreq=sfreq)
        results.append(apply_asr(data, state, 64, 32) / unit)
    for one in results[1:]:
        assert_allclose(one, results[0], rtol=0, atol=1e-12 * np.abs(results[0]).max())
