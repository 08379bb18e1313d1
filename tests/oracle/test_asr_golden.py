"""ASR against eegprep 0.3.0 in one split (golden/clean/README.md), and the tutorial."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter, sosfreqz

from meegic.clean.asr_shaping import design_shaping, design_shaping_polynomials
from meegic.preprocessing.asr import ASRState, apply_asr, calibrate_asr

# The golden recording is 30 s, its cutoff of 5 and those of the tutorial are low.
pytestmark = [
    pytest.mark.filterwarnings("ignore:clean_data last"),
    pytest.mark.filterwarnings("ignore:cutoff is"),
]


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "clean" / "asr_32ch.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def synthetic(shared):
    with np.load(shared / "golden" / "clean" / "asr_synth64.npz") as file:
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


def test_signal_to_noise_is_that_of_the_reference(shared, synthetic):
    with np.load(shared / "golden" / "clean" / "clean_windows.npz") as file:
        clean = file["mask_synth64"]
    truth = synthetic["truth"].astype(float)
    data = truth + synthetic["artifact"]
    state = calibrate_asr(data[:, clean], 20.0, sfreq=float(synthetic["sfreq"]))
    mask = synthetic["mask"].copy()
    mask[:250] = mask[-250:] = False

    def score(cutoff):
        cleaned = apply_asr(data, state.replace(cutoff=cutoff), 125, 62)
        error = (cleaned - truth)[:, mask]
        return 10 * np.log10((truth[:, mask] ** 2).mean() / (error**2).mean())

    for cutoff, wanted in {20.0: 11.61, 5.0: 9.13}.items():
        assert_allclose(score(cutoff), wanted, atol=0.006)


def rms(data):
    return jnp.sqrt(jnp.mean(data**2, axis=-1))


def snr_db(signal, noise):
    return float(10 * jnp.log10(jnp.mean(signal**2) / jnp.mean(noise**2)))


# What follows is the published tutorial of neurojax, with its keys and in float32.


def test_calibration_of_the_tutorial():
    clean = jax.random.normal(jax.random.PRNGKey(1), (4, 500)) * 0.1
    state = calibrate_asr(clean, cutoff=3.0)
    gram = state.mixing_matrix.T @ state.mixing_matrix
    assert jnp.allclose(gram, jnp.eye(4), atol=1e-5)
    assert jnp.all(state.component_stdevs > 0)
    assert state.component_stdevs.shape == (4,)
    assert state.cutoff == 3.0


def test_block_of_the_tutorial_goes():
    key, _ = jax.random.split(jax.random.PRNGKey(5))
    clean = jax.random.normal(key, (4, 600)) * 0.1
    state = calibrate_asr(clean, cutoff=3.0)
    corrupted = clean.at[0, 200:400].set(clean[0, 200:400] + 50.0 * jnp.ones(200))
    cleaned = apply_asr(corrupted, state, window_size=100, step_size=50)
    assert cleaned.shape == (4, 600)
    assert cleaned.dtype == jnp.float32
    assert rms(cleaned)[0] <= 0.10
    assert jnp.abs(cleaned[0, 200:400].mean()) < 0.01
    assert snr_db(clean, corrupted - clean) == pytest.approx(-43.6, abs=0.05)
    assert snr_db(clean, cleaned - clean) >= 6
    assert jnp.corrcoef(clean[0], cleaned[0])[0, 1] >= 0.7
    error = jnp.linalg.norm((cleaned - clean)[1:]) / jnp.linalg.norm(clean[1:])
    assert error <= 0.2
    assert not (cleaned == 0).any()


def test_clean_data_of_the_tutorial_stay():
    data = jax.random.normal(jax.random.PRNGKey(6), (3, 400)) * 0.1
    state = calibrate_asr(data, cutoff=10.0)
    cleaned = apply_asr(data, state, window_size=100, step_size=50)
    assert jnp.corrcoef(data.ravel(), cleaned.ravel())[0, 1] >= 0.98


def test_chain_of_the_tutorial_gains_thirty_decibels():
    t = jnp.linspace(0, 2, 2000)
    truth = jnp.tile(0.5 * jnp.sin(2 * jnp.pi * 10 * t), (4, 1))
    truth = truth + 0.05 * jax.random.normal(jax.random.PRNGKey(0), (4, 2000))
    data = truth.at[0, 400:600].add(10.0 * jnp.sin(2 * jnp.pi * 200 * t[400:600]))
    data = data.at[2, 1000:1200].add(20.0)
    # Its moving average of five samples, for the data and for the truth.
    data, truth = (
        jnp.asarray(lfilter(np.ones(5) / 5, [1.0], one), jnp.float32)
        for one in (data, truth)
    )
    state = calibrate_asr(data[:, :200], cutoff=3.0)
    cleaned = apply_asr(data, state, window_size=100, step_size=50)
    assert snr_db(truth, data - truth) == pytest.approx(-19.0, abs=0.05)
    assert snr_db(truth, cleaned - truth) >= 12
    assert_allclose(rms(cleaned), rms(truth), rtol=0.02)
