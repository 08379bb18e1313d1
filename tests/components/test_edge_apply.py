"""Cleaning by the model that holds, in the fitted recording and in others."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.recordings import HALF, SFREQ, fit, make_conditions, make_raw, simulate
from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.components.cleaning import choose_models, remove_components


@pytest.fixture(scope="module")
def recording():
    return make_conditions()


@pytest.fixture(scope="module")
def ica(recording):
    """Two models, of which both exclude their blinks."""
    raw, _ = recording
    ica = fit(raw, n_models=2, max_iter=200)
    for h in (0, 1):
        indices, _ = ica.find_bads_eog(
            raw, model_idx=h, measure="correlation", threshold=0.5
        )
        ica.get_mne_ica(h).exclude = indices
    return ica


def get(inst):
    return inst.get_data(picks="eeg")


def test_samples_of_a_model_without_exclusions_keep_their_bits(recording, ica):
    raw, _ = recording
    excluded = ica.get_mne_ica(0).exclude
    ica.get_mne_ica(0).exclude = []
    clean = ica.apply(raw, copy=True)
    ica.get_mne_ica(0).exclude = excluded
    first = ica.predict_proba(raw).argmax(axis=0) == 0
    assert np.array_equal(get(clean)[:, first], get(raw)[:, first])
    assert not np.array_equal(get(clean)[:, ~first], get(raw)[:, ~first])
    assert np.array_equal(clean.get_data(picks="eog"), raw.get_data(picks="eog"))


def test_a_copy_leaves_the_recording(recording, ica):
    raw, _ = recording
    before = raw.get_data()
    assert ica.apply(raw, copy=True) is not raw
    assert np.array_equal(raw.get_data(), before)
    in_place = raw.copy()
    assert ica.apply(in_place) is in_place
    assert np.array_equal(get(in_place), get(ica.apply(raw, copy=True)))


def test_hard_is_soft_with_certain_posteriors(recording, ica):
    raw, _ = recording
    model, data = ica._fit.model, get(raw)
    excluded = [[int(one) for one in ica.get_mne_ica(h).exclude] for h in (0, 1)]
    certain = choose_models(model.posteriors(data))
    assert np.array_equal(
        remove_components(model, data, excluded, certain),
        get(ica.apply(raw, copy=True)),
    )
    assert_allclose(certain.sum(axis=0), 1)


def test_soft_makes_no_larger_steps_than_the_data(recording, ica):
    """Where models change, what is removed does not jump."""
    raw, brain = recording
    certain = ica.predict_proba(raw)
    changes = np.flatnonzero(np.diff(certain.argmax(axis=0)))
    steps = {}
    for mode in ("hard", "soft"):
        clean = get(ica.apply(raw, mode, copy=True))
        steps[mode] = np.abs(np.diff(clean, axis=1)[:, changes]).max()
        error = np.linalg.norm(clean - brain) / np.linalg.norm(brain)
        assert error < 0.13
    assert steps["soft"] <= 1.05 * np.abs(np.diff(brain, axis=1)[:, changes]).max()


def test_one_model_everywhere_is_what_mne_does(recording, ica):
    raw, _ = recording
    for h in (0, 1):
        ours = get(ica.apply(raw, "model", model_idx=h, copy=True))
        theirs = get(ica.get_mne_ica(h).apply(raw.copy()))
        assert_allclose(ours, theirs, atol=1e-10 * np.abs(theirs).max())


def test_row_38_order_of_channels_does_not_matter(recording, ica):
    raw, _ = recording
    turned = raw.copy().reorder_channels(raw.ch_names[::-1])
    straight, back = (ica.apply(one, copy=True) for one in (raw, turned))
    assert np.array_equal(back.get_data(picks=raw.ch_names), straight.get_data())
    assert np.array_equal(ica.predict_proba(turned), ica.predict_proba(raw))


def test_a_recording_twice_as_long_is_cleaned(recording, ica):
    raw, _ = recording
    long = mne.concatenate_raws([raw.copy(), raw.copy()], verbose="error")
    n = len(raw.times)
    assert_allclose(ica.predict_proba(long)[:, n:], ica.predict_proba(raw), atol=1e-12)
    once, twice = get(ica.apply(raw, copy=True)), get(ica.apply(long))
    assert_allclose(twice[:, n:], once, atol=1e-12 * np.abs(once).max())


def test_a_part_of_the_recording_is_cleaned_alike(recording, ica):
    raw, _ = recording
    part = raw.copy().crop(3, 9)
    whole = get(ica.apply(raw, copy=True))[:, 750 : 750 + len(part.times)]
    assert_allclose(get(ica.apply(part)), whole, atol=1e-15)


def test_bad_spans_have_probabilities_and_are_cleaned(recording):
    raw, _ = recording
    marked = raw.copy()
    marked.set_annotations(mne.Annotations([20.0], [2.0], ["BAD_jump"]))
    span = slice(int(20 * SFREQ), int(22 * SFREQ))
    marked._data[:8, span] += 1e-3  # would ruin a fit that saw it
    ica = fit(marked, n_models=2, max_iter=200)
    assert not ica._fit.used[span].any()
    assert ica._fit.used.sum() == len(raw.times) - 500
    assert np.isfinite(ica.predict_proba(marked)).all()
    assert len(ica._model.posteriors_[0]) == len(raw.times)
    second = int(ica.predict_proba(raw)[:, HALF + 500 :].mean(axis=1).argmax())
    ica.get_mne_ica(second).exclude = [7]
    clean = ica.apply(marked.copy())
    assert not np.array_equal(get(clean)[:, span], get(marked)[:, span])


def test_values_that_are_not_finite_stay_and_spread_nowhere(recording, ica):
    raw, _ = recording
    holes = raw.copy()
    holes._data[2, 100:110] = np.nan
    posteriors = ica.predict_proba(holes)
    assert np.isnan(posteriors[:, 100:110]).all()
    assert np.isfinite(np.delete(posteriors, slice(100, 110), axis=1)).all()
    clean, whole = ica.apply(holes), ica.apply(raw, copy=True)
    kept = np.delete(np.arange(len(raw.times)), slice(100, 110))
    assert np.array_equal(get(clean)[:, kept], get(whole)[:, kept])
    assert np.isnan(get(clean)[2, 100:110]).all()
    smooth = ica.predict_proba(holes, smooth="hmm")
    assert np.isnan(smooth[:, 100:110]).all()
    assert_allclose(np.delete(smooth, slice(100, 110), axis=1).sum(axis=0), 1)


def test_models_that_last_change_once(recording, ica):
    raw, _ = recording
    smooth = ica.predict_proba(raw, smooth="hmm", dwell_s=2.0)
    assert len(np.flatnonzero(np.diff(smooth.argmax(axis=0)))) == 1
    at_once = ica.predict_proba(raw, smooth="hmm", dwell_s=0)
    assert_allclose(at_once, ica.predict_proba(raw), atol=1e-12)
    error = [
        np.linalg.norm(get(ica.apply(raw, smooth=one, copy=True)) - recording[1])
        for one in (None, "hmm")
    ]
    assert error[1] < 1.01 * error[0]


def test_models_last_within_epochs_and_boundaries_only(recording, ica):
    raw, _ = recording
    joined = mne.concatenate_raws(
        [raw.copy().crop(0, 2), raw.copy().crop(17, 19)], verbose="error"
    )
    smooth = ica.predict_proba(joined, smooth="hmm", dwell_s=50)
    first, second = (ica.predict_proba(raw.copy().crop(a, b), smooth="hmm", dwell_s=50)
                     for a, b in ((0, 2), (17, 19)))  # fmt: skip
    assert_allclose(smooth, np.hstack([first, second]), atol=1e-12)


@pytest.fixture(scope="module")
def epochs(recording):
    raw, _ = recording
    return mne.make_fixed_length_epochs(
        raw, duration=3.0, preload=True, verbose="error"
    )


def test_epochs_are_cleaned_like_the_recording(recording, ica, epochs):
    raw, _ = recording
    n_epochs, n_times = len(epochs), len(epochs.times)
    found = ica.predict_proba(epochs)
    assert found.shape == (n_epochs, 2, n_times)
    flat = np.hstack(found)
    assert_allclose(flat, ica.predict_proba(raw)[:, : flat.shape[1]], atol=1e-12)
    clean = np.hstack(get(ica.apply(epochs.copy())))
    whole = get(ica.apply(raw, copy=True))[:, : clean.shape[1]]
    assert_allclose(clean, whole, atol=1e-15)


def test_epochs_are_fitted(epochs, recording):
    ica = fit(epochs, n_models=2, max_iter=100)
    assert (ica._fit_type, ica._n_samples, len(ica._picks)) == ("epc", 7500, 8)
    assert ica.get_mne_ica().current_fit == "epochs"
    assert np.array_equal(ica._fit.starts, np.arange(0, 7500, 750))
    assert ica.plot_model_dominance(smooth_s=0.1)
    assert np.isfinite(ica.score(recording[0]))


def test_evoked_are_cleaned_by_one_model_as_mne_does(epochs):
    ica = fit(epochs, max_iter=100)
    ica.get_mne_ica().exclude = [0, 3]
    evoked = epochs.average(picks="eeg")
    ours = ica.apply(evoked.copy()).data
    theirs = ica.get_mne_ica().apply(evoked.copy()).data
    assert_allclose(ours, theirs, atol=1e-10 * np.abs(theirs).max())


def test_what_fits_leave_out_passes():
    """Fewer components than dimensions: the rest of the data is not touched."""
    data = simulate(6)
    raw = make_raw(data)
    ica = fit(raw, n_components=3)
    ica.get_mne_ica().exclude = [0, 1, 2]
    rest = ica.apply(raw, copy=True).get_data()
    directions = ica._fit.model.whitener.directions
    outside = data - directions @ (directions.T @ data)
    rest, outside = (one - one.mean(axis=1, keepdims=True) for one in (rest, outside))
    assert_allclose(rest, outside, atol=1e-18)


def test_row_38_missing_channels_are_listed(recording, ica):
    raw, _ = recording
    fewer = raw.copy().drop_channels(["EEG002", "EEG005"])
    words = "must have the 8 channels of the fit, but it lacks 2: 'EEG002' and 'EEG005'"
    for call in (ica.apply, ica.predict_proba, ica.score):
        with pytest.raises(InputError, match=words):
            call(fewer)


def test_another_rate_is_warned_about(recording, ica):
    raw, _ = recording
    slow = raw.copy().resample(125, verbose="error")
    with pytest.warns(DataWarning, match="rate of 125 Hz, but the fit had 250 Hz"):
        ica.predict_proba(slow)


def test_wrong_arguments_are_named(recording, ica):
    raw, _ = recording
    with pytest.raises(OptionError, match="mode must be 'hard', 'soft' or 'model'"):
        ica.apply(raw, "weich", copy=True)
    with pytest.raises(OptionError, match="smooth must be None or 'hmm'"):
        ica.predict_proba(raw, smooth="gauss")
    with pytest.raises(OptionError, match="samples must be 'own' or 'all'"):
        ica.find_bads_eog(raw, samples="mine")
    with pytest.raises(TypeError, match="Raw, Epochs or Evoked, but got ndarray"):
        ica.apply(raw.get_data())
    model, shares = ica._fit.model, np.ones((2, 9))
    with pytest.raises(
        ShapeError, match="one list for each of the 2 models, but got 1"
    ):
        remove_components(model, np.zeros((8, 9)), [[0]], shares)
    with pytest.raises(OptionError, match="excluded component of model 1 must be a wh"):
        remove_components(model, np.zeros((8, 9)), [[0], [8]], shares)
    ica = fit(raw, max_iter=20)
    ica.get_mne_ica().exclude = [11]
    with pytest.raises(OptionError, match=r"exclude of model 0 must be .* 7"):
        ica.apply(raw, copy=True)
