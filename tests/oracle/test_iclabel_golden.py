"""ICLabel's features and probabilities against mne-icalabel and eegprep."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.labels.iclabel import (
    IclabelFeatures,
    compute_features,
    compute_probabilities,
    run_iclabel,
    scale_unmixing,
)

CASES = (
    *("real_infomax15", "real_picard29", "real_crop4s"),
    *("real_duplicate_pos", "real_as_sfreq250"),
)


def read(path):
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "golden" / "labels"


@pytest.fixture(scope="module")
def recording(folder):
    return np.float64(read(folder / "data_real.npz")["data_uV"])


@pytest.fixture(scope="module", params=CASES)
def case(request, folder):
    return read(folder / f"{request.param}.npz")


# An autocorrelation, a decibel over the largest and a pixel are all of order one; each
# is rounded to single precision. In the network that rounding grows about tenfold.
def check(features, golden, suffix):
    assert_allclose(features.images, golden["topo"], rtol=0, atol=1e-6)
    assert_allclose(features.psds, golden[f"psd{suffix}"], rtol=0, atol=1e-6)
    assert_allclose(features.autocorrs, golden["autocorr"], rtol=0, atol=1e-6)
    found, wanted = compute_probabilities(features), golden[f"prob{suffix}"]
    assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))


def test_compat_gives_the_numbers_of_mne_icalabel(recording, case):
    activations = case["unmixing"] @ recording[:, : case["n_times"]]
    sfreq = float(case["sfreq"])
    features = compute_features(
        activations, case["mixing"], case["ch_pos"], sfreq, compat="mne-icalabel"
    )
    check(features, case, "")


def test_default_gives_the_numbers_of_eeglab(recording, case):
    volts = 1e-6 * recording[:, : case["n_times"]]
    # Another scale of the decomposition changes nothing.
    factors = np.geomspace(1e-3, 1e3, len(case["unmixing"]))
    unmixing, mixing = factors[:, None] * case["unmixing"], case["mixing"] / factors
    activations = scale_unmixing(unmixing, mixing) @ volts
    sfreq = float(case["sfreq"])
    features = compute_features(activations, mixing, case["ch_pos"], sfreq)
    check(features, case, "_rms")


def test_network_alone_gives_the_golden_probabilities(folder):
    golden = read(folder / "network_random.npz")
    features = IclabelFeatures(golden["topo"], golden["psd"], golden["autocorr"])
    wanted = golden["prob"]
    assert_allclose(compute_probabilities(features), wanted, rtol=0, atol=1e-6)
    found = run_iclabel(*features.to_last_axis())
    assert_allclose(found, wanted, rtol=0, atol=1e-6)
