"""Recordings that were cropped, joined, marked or damaged, and searches in them."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.recordings import HALF, fit, make_conditions, make_raw, simulate
from meegic import AmicaICA
from meegic.base.errors import DataWarning, InputError, OptionError, RankError
from meegic.components import cleaning
from meegic.components.edge.samples import take_samples

pytestmark = pytest.mark.filterwarnings("ignore:No sensor positions found")
SEARCH = {"measure": "correlation", "threshold": 0.5}


@pytest.fixture(scope="module")
def raw():
    return make_conditions()[0]


@pytest.fixture(scope="module")
def ica(raw):
    return fit(raw, n_models=2, max_iter=200)


@pytest.fixture(scope="module")
def first(ica, raw):
    """The model of the first half."""
    return int(ica.predict_proba(raw)[:, :HALF].mean(axis=1).argmax())


def test_blocks_of_the_cleaning_do_not_matter(raw, ica, monkeypatch):
    ica.get_mne_ica(0).exclude = [3]
    whole = ica.apply(raw, copy=True).get_data()
    monkeypatch.setattr(cleaning, "_BLOCK", 1000)
    parts = ica.apply(raw, copy=True).get_data()
    ica.get_mne_ica(0).exclude = []
    assert_allclose(parts, whole, atol=1e-13 * np.abs(whole).max())


def test_epochs_on_disk_are_cleaned(raw, ica):
    loaded, lazy = (
        mne.make_fixed_length_epochs(raw, 2.0, preload=one, verbose="error")
        for one in (True, False)
    )
    ica.get_mne_ica(0).exclude = [3]
    assert np.array_equal(
        ica.apply(lazy).get_data(copy=False), ica.apply(loaded).get_data(copy=False)
    )
    ica.get_mne_ica(0).exclude = []


def test_searches_look_at_excluded_components_as_well(raw, ica, first):
    found, scores = ica.find_bads_eog(raw, first, **SEARCH)
    _, muscle = ica.find_bads_muscle(raw, first)
    ica.get_mne_ica(first).exclude = [int(one) for one in found]
    assert np.array_equal(ica.find_bads_eog(raw, first, **SEARCH)[1], scores)
    for samples in ("own", "all"):
        assert len(ica.find_bads_muscle(raw, first, samples=samples)[1]) == 8
    assert np.array_equal(ica.find_bads_muscle(raw, first)[1], muscle)
    assert ica.get_mne_ica(first).exclude == found
    assert "muscle" in ica.get_mne_ica(first).labels_
    ica.get_mne_ica(first).exclude = []


def test_what_is_not_finite_is_no_correlation(raw, ica):
    holes, target = raw.copy(), raw.copy()
    holes._data[2, 1000] = np.nan
    target._data[8, 1000] = np.inf
    for samples in ("own", "all"):
        with pytest.raises(InputError, match="NaN or Inf in channel 'EEG003': 1 samp"):
            ica.find_bads_eog(holes, samples=samples, **SEARCH)
    with pytest.raises(InputError, match="channel that is searched with has NaN"):
        ica.find_bads_eog(target, **SEARCH)
    with pytest.raises(InputError, match="NaN or Inf in channel"):
        ica.find_bads_muscle(holes)
    holes.set_annotations(mne.Annotations([3.9], [0.3], ["BAD_hole"]))
    assert len(ica.find_bads_eog(holes, **SEARCH)[0]) == 1


def test_a_model_that_explains_little_is_warned_about(raw, ica, first):
    half = raw.copy().crop(0.0, 14.9, include_tmax=False)
    other = 1 - first
    with pytest.warns(DataWarning, match=rf"model {other} explains 0?\.?\S* s of inst"):
        ica.find_bads_eog(half, other, **SEARCH)
    with pytest.warns(DataWarning, match="what is found there may be chance"):
        ica.score_mutual_information(half, other)
    assert len(ica.find_bads_eog(half, first, **SEARCH)[0]) == 1
    half.set_annotations(mne.Annotations([0.0], [14.9], ["BAD_all"]))
    with pytest.raises(InputError, match="explains no sample of inst"):
        ica.find_bads_eog(half, first, **SEARCH)
    with pytest.raises(InputError, match="all lie in spans marked as bad"):
        ica.score(half)


@pytest.mark.parametrize("dated", [False, True])
def test_first_sample_and_date_of_a_recording_do_not_matter(raw, ica, first, dated):
    part = raw.copy().crop(2.0, 28.0)
    moved = mne.io.RawArray(
        part.get_data(), raw.info.copy(), first_samp=3333, verbose="error"
    )
    if dated:
        moved.set_meas_date(1_600_000_000)
    plain = mne.io.RawArray(part.get_data(), raw.info.copy(), verbose="error")
    for one, shift in ((moved, 3333 / 250), (plain, 0.0)):
        onset = 5.0 + shift * dated  # without a date they count from the first sample
        origin = one.info["meas_date"]
        one.set_annotations(
            mne.Annotations([onset, onset + 3], [1, 0], ["BAD_x", "boundary"], origin),
            verbose="error",
        )
    one, two = (take_samples(inst, ica._ch_names) for inst in (moved, plain))
    assert np.array_equal(one.used, two.used)
    assert np.array_equal(np.flatnonzero(~two.used), np.arange(1250, 1500))
    assert one.starts.tolist() == two.starts.tolist() == [0, 2000]
    for find in (ica.find_bads_eog, ica.find_bads_muscle):
        assert_allclose(find(moved, first)[1], find(plain, first)[1], atol=1e-9)


def test_skips_begin_and_end_stretches(raw):
    skipped = raw.copy().set_annotations(
        mne.Annotations([4.0], [2.0], ["BAD_ACQ_SKIP"])
    )
    assert take_samples(skipped, ["EEG001"]).starts.tolist() == [0, 1000, 1500]


def test_bad_spans_tell_the_models_that_last_nothing(raw, ica, first):
    mixed = raw.copy()
    mixed._data[:, 1000:1500] = mixed._data[:, HALF + 1000 : HALF + 1500]
    assert ica.predict_proba(mixed, smooth="hmm")[first, 1250] < 0.01
    mixed.set_annotations(mne.Annotations([4.0], [2.0], ["BAD_other"]))
    assert ica.predict_proba(mixed, smooth="hmm", dwell_s=20)[first, 1250] > 0.9
    assert ica.predict_proba(mixed)[first, 1000:1500].mean() < 0.1  # judged by itself


def test_bad_spans_count_in_no_score(raw, ica, first):
    marked = raw.copy().set_annotations(mne.Annotations([4.0], [2.0], ["BAD_x"]))
    loud = marked.copy()
    loud._data[:8, 1000:1500] *= 1e3
    assert ica.score(loud) == ica.score(marked) != ica.score(loud.set_annotations(None))
    loud.set_annotations(marked.annotations)
    assert_allclose(
        ica.score_mutual_information(loud, first),
        ica.score_mutual_information(marked, first),
        atol=1e-12,
    )


def test_rejected_samples_are_not_counted_as_fitted(raw):
    ica = fit(raw, do_reject=True, max_iter=30)
    assert 0 < ica.model.rejected.sum() < 500
    assert ica.get_mne_ica().n_samples_ == 7500 - ica.model.rejected.sum()


def test_types_are_brought_to_the_size_of_their_median_channel():
    data = simulate(6) * np.array([1, 1, 1e3, 1e-6, 1e-6, 1e-6])[:, None]
    data[:, 500:750] *= 1e4  # a span that is marked as bad
    raw = make_raw(data, kinds=["eeg"] * 3 + ["seeg"] * 3)
    raw.set_annotations(mne.Annotations([2.0], [1.0], ["BAD_loud"]))
    ica = fit(raw, picks=["eeg", "seeg"], max_iter=5)
    used = ica._fit.used
    scaled = ica.model.whitener.scale * data[:, used].std(axis=1)
    assert_allclose([np.median(scaled[:3]), np.median(scaled[3:])], 1, rtol=1e-9)


@pytest.mark.parametrize(
    ("picks", "words"),
    [
        (["EEG001", "EEG002", "XX"], "picks names 'XX', which is no channel"),
        (["EEG001", "EEG0002"], "'EEG0002'.* Did you mean 'EEG002'"),
        (["EEG001", "EEG001"], "picks names 'EEG001' more than once"),
    ],
)
def test_wrong_names_are_named(raw, picks, words):
    with pytest.raises(InputError, match=words):
        fit(raw, picks=picks)


@pytest.mark.parametrize("picks", [["EEG001", "EEG002", "EEG003"], [0, 1, 2]])
def test_bad_channels_are_left_out_though_they_are_named(raw, picks):
    marked = raw.copy()
    marked.info["bads"] = ["EEG002"]
    with pytest.warns(DataWarning, match=r"\['EEG002'\] are marked as bad and left"):
        ica = AmicaICA(verbose=False, random_state=0).fit(marked, picks=picks)
    assert ica._ch_names == ["EEG001", "EEG003"]


def test_one_component_is_refused():
    raw = make_raw(simulate(3))
    with pytest.raises(RankError, match="at least 2 components are needed"):
        fit(raw, n_components=1)
    with pytest.raises(RankError, match="at least 2 components are needed"):
        fit(raw, picks=["CH01"])


@pytest.mark.parametrize(
    ("exclude", "error", "words"),
    [
        ([1.5], OptionError, "exclude of model 0 must be a whole number between 0 and"),
        ([-1], OptionError, "exclude of model 0 must be a whole number between 0 and"),
        (["ICA001"], OptionError, "exclude of model 0 must be a whole number"),
        (None, TypeError, "exclude of model 0 must be a list, but got None"),
    ],
)
def test_wrong_exclusions_are_named(raw, ica, exclude, error, words):
    ica.get_mne_ica(0).exclude = exclude
    with pytest.raises(error, match=words):
        ica.apply(raw, copy=True)
    ica.get_mne_ica(0).exclude = []


def test_values_of_epochs_that_are_not_finite_are_named(raw):
    epochs = mne.make_fixed_length_epochs(raw, 3.0, preload=True, verbose="error")
    epochs._data[3, 1, 5] = np.nan
    words = "NaN or Inf in channel 'EEG002': 1 samples, the first in epoch 3"
    with pytest.raises(InputError, match=words):
        fit(epochs)


def test_pictures_of_another_recording_are_of_that_recording(raw, ica):
    turned = make_raw(
        np.roll(raw.get_data(), HALF, axis=1),
        kinds=raw.get_channel_types(),
        names=raw.ch_names,
    )
    shown, starts = ica._shown(turned, None, 1.0)
    assert np.array_equal(shown, ica.predict_proba(turned))
    assert starts.tolist() == [0]
    own, _ = ica._shown(None, None, 1.0)
    assert_allclose(own, ica.predict_proba(raw), atol=1e-9)
    for plot in (ica.plot_model_posteriors, ica.plot_model_dominance):
        assert plot(inst=turned).get_xlim()[1] == pytest.approx(30)
    assert ica.plot_models(turned)  # without positions there are no maps
    with pytest.raises(OptionError, match="n_components must be a whole number betw"):
        ica.plot_models(n_components=30)
