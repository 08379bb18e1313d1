"""Two conditions with blinks in both, from the raw recording to the clean one."""

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter1d

from components.recordings import HALF, SFREQ, fit, make_conditions
from meegic.components.edge.detection import correlate_weighted


@pytest.fixture(scope="module")
def recording():
    return make_conditions()


def find_blinks(ica, raw):
    """Find the blinks of every model, exclude them; give indices and scores."""
    found = []
    for h in range(ica.n_models):
        indices, scores = ica.find_bads_eog(
            raw, model_idx=h, ch_name="VEOG", measure="correlation", threshold=0.5
        )
        ica.get_mne_ica(h).exclude = indices
        found.append((indices, np.sort(np.abs(scores))))
    return found


@pytest.mark.parametrize("seed", range(10))
def test_walkthrough_of_two_conditions(recording, seed):
    raw, brain = recording
    ica = fit(raw, n_models=2, max_iter=200, random_state=seed)
    assert_allclose(ica._model.gm_.numpy(), 0.5, atol=0.005)

    posteriors = ica.predict_proba(raw)
    truth = np.arange(2 * HALF) >= HALF
    right = (posteriors.argmax(axis=0) == truth).mean()
    assert max(right, 1 - right) > 0.99
    smooth = gaussian_filter1d(posteriors, 0.2 * SFREQ, axis=1).argmax(axis=0)
    (switch,) = np.flatnonzero(np.diff(smooth)) / SFREQ
    assert switch == pytest.approx(15, abs=0.1)

    for indices, scores in find_blinks(ica, raw):
        assert len(indices) == 1
        assert scores[-1] > 0.95
        assert scores[-2] < 0.15  # by chance: 15 s below 10 Hz are few samples
    clean = ica.apply(raw.copy()).get_data(picks="eeg")
    for one, true in zip(clean, brain, strict=True):
        assert np.corrcoef(one, true)[0, 1] > 0.999
    error = np.linalg.norm(clean - brain) / np.linalg.norm(brain)
    assert error < 0.13
    removed = raw.get_data(picks="eeg")[3] - clean[3]
    assert 1e6 * np.abs(removed).max() == pytest.approx(23.5, abs=1.5)


def test_compat_removes_less_than_centers_do(recording):
    raw, brain = recording
    ica = fit(raw, n_models=2, max_iter=200, compat="pyamica")
    find_blinks(ica, raw)
    clean = ica.apply(raw.copy()).get_data(picks="eeg")
    error = np.linalg.norm(clean - brain) / np.linalg.norm(brain)
    assert error == pytest.approx(0.185, abs=0.002)  # pyAMICA's own, in our hands
    assert 1e6 * np.abs(clean[3]).max() == pytest.approx(245, abs=0.5)


def test_mne_finds_no_blink_in_a_model_of_half_the_recording(recording):
    raw, _ = recording
    ica = fit(raw, n_models=2, max_iter=200)
    for h in (0, 1):
        found = {}
        for samples in ("own", "all"):
            _, scores = ica.find_bads_eog(
                raw, model_idx=h, ch_name="VEOG", samples=samples
            )
            found[samples] = np.abs(scores).max()
        assert found["all"] < 0.5 < 0.95 < found["own"]


def test_sources_are_faded_before_they_are_filtered(recording):
    raw, _ = recording
    ica = fit(raw, n_models=2, max_iter=200)
    target = mne.filter.filter_data(raw.get_data(picks="VEOG")[0], SFREQ, 1, 10)
    posteriors, best = ica.predict_proba(raw), []
    for h in (0, 1):
        sources = ica.get_mne_ica(h).get_sources(raw).get_data()
        sources = mne.filter.filter_data(sources, SFREQ, 1, 10)
        best.append(np.abs(correlate_weighted(sources, target, posteriors[h])).max())
    assert min(best) < 0.6  # filtered first, what the other model explains spreads
    for _, scores in find_blinks(ica, raw):
        assert scores[-1] > 0.95


def test_pictures_of_the_walkthrough(recording):
    raw, _ = recording
    ica = fit(raw, n_models=2, max_iter=50)
    ax = ica.plot_model_dominance(smooth_s=0.2, figsize=(12, 3))
    ax.axvline(15.0, label="boundary")
    ax.legend(loc="upper right")
    assert ica.plot_model_posteriors(ax=plt.subplots()[1]).get_ylabel()
    _, scores = ica.find_bads_eog(raw, ch_name="VEOG")
    assert ica.plot_scores(scores, show=False)
    assert ica.plot_overlay(raw, show=False)
    plt.close("all")
