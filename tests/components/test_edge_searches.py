"""Artifact components are searched in the samples of their model."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.recordings import HALF, SFREQ, fit, make_conditions, make_raw
from meegic import score_mutual_information
from meegic.base.errors import DataWarning
from meegic.components.edge.detection import OwnSamplesICA, correlate_weighted

N = 6
POSITIONS = ["Fz", "C3", "C4", "Pz", "T7", "T8"]


@pytest.fixture(scope="module")
def heart():
    """Two conditions with a heart in both, muscles in the second, and an ECG."""
    rng = np.random.default_rng(3)
    times = np.arange(2 * HALF) / SFREQ
    beats = sum(
        np.exp(-0.5 * ((times - at) / 0.02) ** 2) for at in np.arange(0.5, 30, 0.9)
    )
    muscle = mne.filter.filter_data(
        rng.laplace(size=2 * HALF), SFREQ, 30, 100, verbose="error"
    )
    maps = rng.normal(size=(2, N, N))
    maps[:, :, 0] = rng.normal(size=N)
    data = np.empty((N, 2 * HALF))
    for h, span in enumerate((slice(0, HALF), slice(HALF, None))):
        slow = mne.filter.filter_data(
            rng.laplace(size=(N - 2, HALF)), SFREQ, 1, 20, verbose="error"
        )
        strong = 2 * muscle[span] if h else 0.3 * rng.laplace(size=HALF)
        data[:, span] = maps[h] @ np.vstack([4 * beats[span], strong, slow])
    raw = make_raw(
        np.vstack([1e-5 * data, 1e-3 * beats]),
        kinds=["eeg"] * N + ["ecg"],
        names=[*POSITIONS, "ECG"],
    )
    return raw.set_montage("standard_1020", verbose="error"), beats, muscle


@pytest.fixture(scope="module")
def ica(heart):
    return fit(heart[0], n_models=2, max_iter=300)


def best_match(ica, raw, h, course):
    """The component that follows a course where its model holds."""
    own = ica.predict_proba(raw)[h] > 0.5
    sources = ica.get_mne_ica(h).get_sources(raw).get_data()[:, own]
    return int(np.abs(np.corrcoef(sources, course[own])[-1, :-1]).argmax())


@pytest.mark.parametrize("method", ["ctps", "correlation"])
@pytest.mark.parametrize("h", [0, 1])
def test_heart_is_found_in_each_model(heart, ica, h, method):
    raw, beats, _ = heart
    more = {"measure": "correlation", "threshold": 0.7}
    more = more if method == "correlation" else {}
    found, scores = ica.find_bads_ecg(raw, model_idx=h, method=method, **more)
    assert best_match(ica, raw, h, beats) == found[0]
    assert len(scores) == N
    assert "ecg" in ica.get_mne_ica(h).labels_


def test_muscle_is_found_in_the_model_that_has_it(heart, ica):
    raw, _, muscle = heart
    second = int(ica.predict_proba(raw)[:, HALF + 500 :].mean(axis=1).argmax())
    _, scores = ica.find_bads_muscle(raw, model_idx=second, threshold=0.1)
    assert best_match(ica, raw, second, muscle) == int(np.argmax(scores))
    assert len(scores) == ica.get_mne_ica(second).n_components_


def test_epochs_are_searched_too(heart, ica):
    raw, beats, _ = heart
    epochs = mne.make_fixed_length_epochs(raw, 3.0, preload=True, verbose="error")
    for h in (0, 1):
        found, _ = ica.find_bads_ecg(
            epochs, h, method="correlation", measure="correlation", threshold=0.7
        )
        assert found[0] == best_match(ica, raw, h, beats)
        _, scores = ica.find_bads_muscle(epochs, h)
        assert np.isfinite(scores).all()


def test_one_model_is_searched_by_mne_itself(heart):
    raw, _, _ = heart
    ica = fit(raw, max_iter=60)
    found, scores = ica.find_bads_ecg(raw, method="correlation")
    wanted, other = ica.to_mne_ica().find_bads_ecg(raw, method="correlation")
    assert found == wanted
    assert np.array_equal(scores, other)


def test_bad_spans_and_parts_of_the_recording_are_searched_as_mne_does():
    raw, _ = make_conditions()
    raw.set_annotations(mne.Annotations([18.0], [1.0], ["BAD_jump"]))
    raw._data[8, int(18 * SFREQ) : int(19 * SFREQ)] = 1.0  # VEOG's amplifier
    ica = fit(raw, n_models=2, max_iter=200)
    more = {"measure": "correlation", "threshold": 0.5}
    for h in (0, 1):
        for part in ({}, {"start": 0.0, "stop": 29.0}, {"start": 10, "stop": 7400}):
            found, _ = ica.find_bads_eog(raw, h, **more, **part)
            assert len(found) == 1
        _, fooled = ica.find_bads_eog(raw, h, reject_by_annotation=False, **more)
        assert np.abs(fooled).max() < 0.5


def test_several_channels_give_several_scores():
    raw, _ = make_conditions()
    raw.add_channels([raw.copy().pick("VEOG").rename_channels({"VEOG": "HEOG"})])
    ica = fit(raw, n_models=2, max_iter=100)
    found, scores = ica.find_bads_eog(
        raw, ch_name=["VEOG", "HEOG"], measure="correlation", threshold=0.5
    )
    assert len(found) == 1
    assert len(scores) == 2


def test_a_model_that_owns_no_window_is_judged_on_all(heart, ica):
    raw, _, _ = heart
    own = OwnSamplesICA(ica.get_mne_ica(0), raw, np.full(2 * HALF, 0.3))
    with pytest.warns(DataWarning, match="explains no window by itself; its compon"):
        own.find_bads_muscle(raw)


def test_sources_are_independent_where_their_model_holds():
    raw, _ = make_conditions()
    ica = fit(raw, n_models=2, max_iter=100)
    for h in (0, 1):
        own, all_, plain = (
            ica.score_mutual_information(raw, h, samples=one, bias="miller-madow").max()
            for one in ("own", "all", "all")
        )
        assert own < 0.5 * all_
        assert all_ == plain
    theirs = score_mutual_information(ica.get_mne_ica(1), raw)
    found = ica.score_mutual_information(raw, 1, samples="all")
    assert np.array_equal(found, theirs)


def test_weighted_correlation_is_that_of_repeated_samples():
    rng = np.random.default_rng(0)
    sources, target = rng.normal(size=(3, 50)), rng.normal(size=50)
    times = rng.integers(0, 4, size=50)
    repeated = np.corrcoef(np.repeat(sources, times, axis=1), np.repeat(target, times))
    found = correlate_weighted(sources, target, times.astype(float))
    assert_allclose(found, repeated[-1, :-1], rtol=1e-12)
    assert_allclose(correlate_weighted(sources, target, np.zeros(50)), 0)
    assert_allclose(correlate_weighted(0 * sources, target, np.ones(50)), 0)


def test_review_prints_and_excludes_what_was_found(capsys):
    raw, _ = make_conditions()
    ica = fit(raw, n_models=2, max_iter=100)
    ica.get_mne_ica(0).exclude = [1]
    given = {"measure": "correlation", "threshold": 0.5}
    excluded = ica.review(raw, eog_ch="VEOG", eog_kwargs=given, block=False)
    (blink,), _ = ica.find_bads_eog(raw, **given)
    assert excluded == ica.get_mne_ica(0).exclude == sorted({1, int(blink)})
    excluded.append(5)
    assert 5 not in ica.get_mne_ica(0).exclude  # a copy
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Model 0: components found"
    assert lines[1].startswith(f"  EOG  VEOG      ICA{blink:03d} (")
    assert lines[2].startswith("  excluded: ICA001, ICA0")
    assert ica.review(raw, 1, eog_ch=["VEOG"], eog_kwargs={"threshold": 99}) == []
    assert "none; the best of the others ICA00" in capsys.readouterr().out
