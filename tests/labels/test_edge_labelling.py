"""Labels of a recording: what may not change them, what is said and what is refused."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from labels.icas import NAMES, make_ica, make_raw, simulate
from meegic import (
    get_iclabel_features,
    get_megnet_features,
    get_topomaps,
    iclabel_label_components,
    label_components,
    megnet_label_components,
)
from meegic.base.errors import DataWarning, InputError, NotFittedError, OptionError
from meegic.labels.result import ComponentLabels

QUIET = warnings.catch_warnings


@pytest.fixture
def case():
    return simulate()


def quietly(function, *args, **kwargs):
    with QUIET():
        warnings.simplefilter("ignore", DataWarning)
        return function(*args, **kwargs)


def annotate(raw, onset, duration, words="BAD_burst"):
    return raw.copy().set_annotations(mne.Annotations([onset], [duration], [words]))


def test_result_says_where_it_comes_from(case):
    raw, ica = case
    labels = label_components(raw, ica, "iclabel")
    assert isinstance(labels, ComponentLabels)
    assert labels.proba.shape == (3, 7)
    assert_allclose(labels.proba.sum(axis=1), 1, atol=1e-5)
    assert labels.maps.shape == (19, 3)
    assert labels.info["ch_names"] == list(NAMES)
    options = labels.record.options
    assert options["scaling"] == "RMS"
    assert options["good_time_s"] == 12.0
    assert options["weights_sha256"].startswith("b7dc72bc")
    assert options["ica_method"] == "infomax"
    assert labels.record.versions["meegic"]
    assert labels.record.input_digest == label_components(
        raw, ica, "iclabel"
    ).record.input_digest  # fmt: skip


@pytest.mark.parametrize(
    ("options", "n_iter", "expected"),
    [({"max_iter": 50}, 49, True), ({"max_iter": 50}, 50, False), ({}, 7, None)],
)
def test_row_50_record_says_whether_the_ica_converged(case, options, n_iter, expected):
    raw, ica = case
    ica.fit_params, ica.n_iter_ = {"extended": True} | options, n_iter
    options = label_components(raw, ica, "iclabel").record.options
    assert options["ica_converged"] is expected


def test_shares_of_variance_are_those_of_the_data():
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.standard_normal((4, 4)))[0] * [4.0, 3.0, 2.0, 1.0]
    sources = np.linalg.qr(rng.standard_normal((2000, 4)))[0].T
    sources -= sources.mean(axis=1, keepdims=True)
    sources = np.linalg.qr(sources.T)[0].T  # of one size, without any correlation
    places = [(0.1, 0, 0), (-0.1, 0, 0), (0, 0.1, 0), (0, 0, 0.1)]
    raw = make_raw(1e-5 * mixing @ sources, "ABCD", 128.0, positions=places)
    ica = make_ica(raw.info, np.linalg.inv(mixing))
    expected = np.array([16, 9, 4, 1]) / 30
    shares = quietly(label_components, raw, ica, "iclabel").variance_explained
    assert_allclose(shares, expected, rtol=1e-6)
    noisy = annotate(raw, 1.0, 2.0)
    noisy._data[:, 128:384] *= 100
    shares = quietly(label_components, noisy, ica, "iclabel").variance_explained
    assert_allclose(shares, expected, rtol=0.1)


def test_inputs_stay_as_they_are(case):
    raw, ica = case
    before = raw.get_data().copy(), raw.info.copy(), ica.unmixing_matrix_.copy()
    label_components(raw, ica, "iclabel")
    assert_array_equal(raw.get_data(), before[0])
    assert mne.utils.object_diff(raw.info, before[1]) == ""
    assert_array_equal(ica.unmixing_matrix_, before[2])


def test_labels_on_the_ica_are_replaced_not_added(case):
    raw, ica = case
    ica.labels_ = {
        "brain": [0, 1, 2], "eog": [0, 2], "eog/0/EOG 061": [2], "mine": [1],
    }  # fmt: skip
    labels = label_components(raw, ica, "iclabel")
    once = {key: list(one) for key, one in ica.labels_.items()}
    assert once["eog/0/EOG 061"] == [2]
    assert once["mine"] == [1]
    keys = ("brain", "muscle", "eog", "ecg", "line_noise", "ch_noise", "other")
    held = [one for key in keys for one in once[key]]
    assert sorted(held) == [0, 1, 2]
    assert all(type(one) is int for one in held)
    assert_array_equal(ica.labels_scores_, labels.proba)
    label_components(raw, ica, "iclabel")
    assert ica.labels_ == once


def test_ica_is_written_only_on_request(case):
    raw, ica = case
    iclabel_label_components(raw, ica, inplace=False)
    assert ica.labels_ == {}
    assert not hasattr(ica, "labels_scores_")
    iclabel_label_components(raw, ica)
    assert ica.labels_scores_.shape == (3, 7)


def test_size_sign_and_pre_whitener_of_the_ica_do_not_matter(case):
    raw, ica = case
    expected = iclabel_label_components(raw, ica)
    w = ica.unmixing_matrix_ @ ica.pca_components_
    for other in (
        make_ica(raw.info, -3e4 * w),
        make_ica(raw.info, 1e-5 * w, pre_whitener=1e-6),
        make_ica(raw.info, w, mean=np.arange(19.0)),
    ):
        assert_allclose(iclabel_label_components(raw, other), expected, atol=1e-5)


def test_order_of_components_and_channels_does_not_matter(case):
    raw, ica = case
    expected = iclabel_label_components(raw, ica)
    w = ica.unmixing_matrix_ @ ica.pca_components_
    turned = make_ica(raw.info, w[::-1])
    assert_allclose(iclabel_label_components(raw, turned), expected[::-1], atol=1e-5)
    mixed = raw.copy().reorder_channels(raw.ch_names[::-1])
    assert_allclose(iclabel_label_components(mixed, ica), expected, atol=1e-5)


def test_bad_spans_have_no_effect_at_all(case):
    raw, ica = case
    noisy = annotate(raw, 4.0, 3.0)
    expected = get_iclabel_features(noisy, ica)
    noisy._data[:, 512:896] *= 1000
    for one, other in zip(get_iclabel_features(noisy, ica), expected, strict=True):
        assert_array_equal(one, other)
    used = quietly(get_iclabel_features, noisy, ica, reject_by_annotation=False)
    assert np.abs(used[2] - expected[2]).max() > 1e-3


def test_compat_does_not_look_at_annotations(case):
    raw, ica = case
    expected = get_iclabel_features(raw, ica, compat="mne-icalabel")
    found = get_iclabel_features(annotate(raw, 4, 3), ica, compat="mne-icalabel")
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


def test_epochs_are_labelled(case):
    raw, ica = case
    lazy = mne.make_fixed_length_epochs(raw, 2.0, verbose="error")
    with pytest.raises(InputError, match=r"not known yet which epochs.*drop_bad\(\)"):
        label_components(lazy, ica, "iclabel")
    epochs = mne.make_fixed_length_epochs(raw, 2.0, preload=True, verbose="error")
    assert label_components(epochs, ica, "iclabel").proba.shape == (3, 7)


def test_mixed_decompositions_are_labelled_by_their_electrodes(case):
    raw, ica = case
    expected = iclabel_label_components(raw, ica)
    w = ica.unmixing_matrix_ @ ica.pca_components_
    data = np.vstack([raw.get_data(), 1e-12 * np.ones((2, len(raw.times)))])
    places = [one["loc"][:3] for one in raw.info["chs"]]
    places += [(0.1, 0, 0), (0, 0.1, 0)]
    names = [*NAMES, "MEG0111", "MEG0121"]
    types = ["eeg"] * 19 + ["mag"] * 2
    both = make_raw(data, names, 128.0, types=types, positions=places)
    wide = make_ica(both.info, np.hstack([w, np.zeros((3, 2))]))
    assert_allclose(iclabel_label_components(both, wide), expected, atol=1e-5)


def test_row_46_component_that_electrodes_do_not_see_has_no_label(case):
    raw, ica = case
    w = np.zeros((4, 20))
    w[:3, :19] = ica.unmixing_matrix_ @ ica.pca_components_
    w[3, 19] = 1e12
    data = np.vstack([raw.get_data(), 1e-12 * raw.get_data()[:1] / 1e-5])
    places = [*(one["loc"][:3] for one in raw.info["chs"]), (0.1, 0, 0)]
    both = make_raw(
        data, [*NAMES, "MEG0111"], 128.0, types=["eeg"] * 19 + ["mag"],
        positions=places,
    )  # fmt: skip
    wide = make_ica(both.info, w)
    wide.pca_components_[:] = np.where(
        np.abs(wide.pca_components_) < 1e-12, 0, wide.pca_components_
    )
    wide.unmixing_matrix_ = w @ wide.pca_components_.T
    wide.mixing_matrix_ = np.linalg.inv(wide.unmixing_matrix_)
    wide.mixing_matrix_[np.abs(wide.mixing_matrix_) < 1e-16] = 0
    with pytest.warns(DataWarning, match=r"components \[3\] do not reach the EEG"):
        labels = label_components(both, wide, "iclabel")
    assert labels.labels[3] == "n/a"
    assert "n/a" not in labels.labels[:3]
    assert 3 not in [one for key in wide.labels_.values() for one in key]


def test_row_40_below_100_hz_is_refused():
    raw, ica = simulate(sfreq=90.0)
    with pytest.raises(InputError, match=r"sfreq must be .* 100 Hz.*resample"):
        label_components(raw, ica, "iclabel")


@pytest.mark.parametrize("epochs", [False, True])
def test_less_than_a_second_is_refused_and_a_second_is_fine(case, epochs):
    raw, ica = case
    short = raw.copy().crop(0, 0.5)
    whole = raw.copy().crop(0, 1.0, include_tmax=False)
    if epochs:
        short, whole = (
            mne.make_fixed_length_epochs(raw, length, preload=True, verbose="error")
            for length in (0.5, 1.0)
        )
    with pytest.raises(InputError, match="at least 1 s"):
        label_components(short, ica, "iclabel")
    assert label_components(whole, ica, "iclabel").proba.shape == (3, 7)


def test_no_stretch_of_a_second_is_refused(case):
    raw, ica = case
    onsets = np.arange(0, 12, 0.5)
    raw.set_annotations(mne.Annotations(onsets, 0.1, "BAD"))
    with pytest.raises(InputError, match="at least 1 s"):
        label_components(raw, ica, "iclabel")
    raw.set_annotations(mne.Annotations([0], [99], "BAD"), verbose="error")
    with pytest.raises(InputError, match="no sample is left"):
        label_components(raw, ica, "iclabel")


def test_row_39_missing_positions_are_named(case):
    raw, ica = case
    for value in (np.nan, 0.0):
        raw.info["chs"][2]["loc"][:3] = value
        with pytest.raises(InputError, match=r"1 of 19 have none: 'F7'\..*set_montage"):
            label_components(raw, ica, "iclabel")
    for one in raw.info["chs"]:
        one["loc"][:3] = (0.0, 0.0, 0.1)
    with pytest.raises(InputError, match="all 19 channels have one position"):
        label_components(raw, ica, "iclabel")


def test_row_41_the_right_network_is_named():
    data = np.random.default_rng(0).normal(size=(3, 400))
    names = ["A", "B", "C"]
    for kind, call, message in (
        ("mag", "iclabel", "needs EEG channels, but the ICA has 'mag'.*'megnet'"),
        ("eeg", "megnet", "needs magnetometers, but the ICA has 'eeg'.*'iclabel'"),
        ("grad", "megnet", "the ICA has 'grad'.*Fit the ICA to the magnetometers"),
    ):
        raw = make_raw(data, names, 250.0, types=kind)
        with pytest.raises(InputError, match=message):
            label_components(raw, make_ica(raw.info, np.eye(3)), call)


def test_flat_components_are_named(case):
    raw, ica = case
    raw._data[:] = 0
    with pytest.raises(InputError, match=r"\[0, 1, 2\] are flat"):
        label_components(raw, ica, "iclabel")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"custom_ref_applied": 0}, "has no average reference"),
        ({"highpass": 0.1}, "pass-band of 0.1 to 100 Hz"),
        ({"lowpass": 40.0}, "pass-band of 1 to 40 Hz"),
    ],
)
def test_what_iclabel_does_not_know_is_said(case, change, message):
    raw, ica = case
    with raw.info._unlock():
        raw.info.update(change)
    with pytest.warns(DataWarning, match=message):
        label_components(raw, ica, "iclabel")


def test_whole_band_of_a_slow_recording_is_fine(case):
    raw, ica = case
    with raw.info._unlock():
        raw.info["lowpass"] = 64.0
    label_components(raw, ica, "iclabel")  # a warning would be an error


def test_active_projector_counts_as_average_reference(case):
    raw, ica = case
    with raw.info._unlock():
        raw.info["custom_ref_applied"] = 0
    raw.set_eeg_reference(projection=True, verbose="error")
    with pytest.warns(DataWarning, match="has no average reference"):
        label_components(raw, ica, "iclabel")
    raw.apply_proj(verbose="error")
    label_components(raw, ica, "iclabel")


def test_other_references_are_noticed_and_left_out_channels_are_not(case):
    raw, ica = case
    maps = np.linalg.pinv(ica.unmixing_matrix_ @ ica.pca_components_)
    some = raw.copy().drop_channels(["T7", "O2"])
    kept = [NAMES.index(one) for one in some.ch_names]
    label_components(some, make_ica(some.info, np.linalg.pinv(maps[kept])), "iclabel")
    other = raw.copy().set_eeg_reference(["Cz"], verbose="error")
    maps = maps - maps[NAMES.index("Cz")]
    with pytest.warns(DataWarning, match="has no average reference"):
        label_components(other, make_ica(raw.info, np.linalg.pinv(maps)), "iclabel")


@pytest.mark.parametrize(
    ("method", "options", "warns"),
    [
        ("infomax", {"extended": True}, False),
        ("picard", {"ortho": False, "extended": True}, False),
        ("amica", {}, False),
        ("jamica", {}, False),
        ("infomax", {}, True),
        ("picard", {"ortho": True, "extended": True}, True),
        ("fastica", {}, True),
    ],
)
def test_method_of_the_ica_is_judged(case, method, options, warns):
    raw, ica = case
    ica.method, ica.fit_params = method, options
    with QUIET(record=True) as caught:
        warnings.simplefilter("always")
        label_components(raw, ica, "iclabel")
    words = [str(one.message) for one in caught]
    assert [one.startswith("the ICA was fitted with") for one in words] == [
        True
    ] * warns


def test_row_27_data_in_microvolt_are_noticed(case):
    raw, ica = case
    raw._data *= 1e6
    with pytest.warns(DataWarning, match="are they in microvolt"):
        label_components(raw, ica, "iclabel")


def test_arguments_are_checked_before_anything(case):
    raw, ica = case
    with pytest.raises(OptionError, match="Did you mean 'iclabel'"):
        label_components(raw, ica, "icalabel")
    with pytest.raises(TypeError, match="method must be"):
        label_components(raw, ica, 3)
    with pytest.raises(TypeError, match="inst must be an mne"):
        label_components(raw.get_data(), ica, "iclabel")
    with pytest.raises(TypeError, match="ica must be"):
        label_components(raw, raw, "iclabel")
    with pytest.raises(NotFittedError, match="not fitted"):
        label_components(raw, mne.preprocessing.ICA(), "iclabel")
    with pytest.raises(OptionError, match="Did you mean 'mne-icalabel'"):
        label_components(raw, ica, "iclabel", compat="mne-icalable")
    with pytest.raises(OptionError, match="backend must be"):
        iclabel_label_components(raw, ica, backend="tensorflow")
    with pytest.warns(DataWarning, match="onnxruntime runs the network"):
        iclabel_label_components(raw, ica, backend="torch")


@pytest.mark.parametrize(
    ("picks", "numbers"),
    [(None, [0, 1, 2]), (1, [1]), ([2, 0], [2, 0]), (slice(1, None), [1, 2])],
)
def test_topomaps_are_of_the_picked_components(case, picks, numbers):
    _, ica = case
    whole = get_topomaps(ica, res=12)["eeg"]
    assert_allclose(get_topomaps(ica, picks=picks, res=12)["eeg"], whole[numbers])


def test_impossible_topomaps_are_refused(case):
    _, ica = case
    with pytest.raises(TypeError, match="picks must be numbers of components"):
        get_topomaps(ica, picks="eeg")
    with pytest.raises(InputError, match="components from 0 to 2, but got 3"):
        get_topomaps(ica, picks=3)
    with pytest.raises(ValueError, match="res"):
        get_topomaps(ica, res=0)


def test_first_call_loads_nothing_that_takes_a_second():
    code = """
import sys
from labels.icas import simulate
from meegic import label_components
label_components(*simulate(), "iclabel")
print([one for one in ("jax", "numba", "torch", "matplotlib") if one in sys.modules])
"""
    paths = [str(Path(__file__).parents[1]), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", code]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    )
    assert found.stdout == "[]\n"


def test_labelling_takes_less_memory_than_the_recording():
    import tracemalloc

    raw, ica = simulate(6, sfreq=500.0, duration_s=240.0)
    small, small_ica = simulate(6)
    label_components(small, small_ica, "iclabel")  # loads the network
    tracemalloc.start()
    label_components(raw, ica, "iclabel")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * raw.get_data().nbytes


@pytest.fixture(scope="module")
def meg(shared):
    """The golden series as a recording that the golden maps make."""
    golden = dict(np.load(shared / "golden" / "labels" / "megnet_neuromag.npz"))
    series = golden["time_series"][[1, 2, 3]].astype(float)  # heart, brain, blinks
    maps = golden["mixing_mag"][:, [1, 2, 3]]
    names = [f"MEG{k:04d}" for k in range(102)]
    raw = make_raw(maps @ series, names, 250.0, types="mag")
    for one, place in zip(raw.info["chs"], golden["mag_pos3d"], strict=True):
        one["loc"][:3] = place
    ica = make_ica(raw.info, np.linalg.pinv(maps), pre_whitener=1e-12)
    return raw, ica, golden


def test_megnet_features_are_series_and_images(meg):
    raw, ica, golden = meg
    series, images = quietly(get_megnet_features, raw, ica, compat="mne-icalabel")
    expected = golden["time_series"][[1, 2, 3]]
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(series, expected, strict=True)]
    assert_allclose(r, 1, atol=1e-9)
    theirs = ica.get_sources(raw).get_data()
    assert_allclose(series, theirs, atol=1e-6 * np.abs(theirs).max())
    assert images.dtype == np.uint8
    difference = np.abs(images.astype(float) - golden["topomap_rgb"][[1, 2, 3]])
    assert difference.mean() < 2.5


def test_megnet_labels_do_not_depend_on_sign_and_scale(meg):
    raw, ica, _ = meg
    raw = raw.copy().crop(0, 70, include_tmax=False)
    labels = quietly(label_components, raw, ica, "megnet")
    assert labels.labels == ["heart beat", "brain/other", "eye blink"]
    assert labels.window_proba.shape == (3, 2, 4)
    assert_allclose(labels.window_weights, [8750, 8750])
    assert ica.labels_ == {}
    w = ica.unmixing_matrix_ @ ica.pca_components_ / ica.pre_whitener_[0]
    other = make_ica(raw.info, -3 * w)
    proba = quietly(megnet_label_components, raw, other, inplace=True)
    assert_allclose(proba, labels.proba, atol=1e-4)
    assert other.labels_ == {"brain_other": [1], "eog": [2], "ecg": [0]}


def test_megnet_says_what_it_does_not_know(meg):
    raw, ica, _ = meg
    with pytest.warns(DataWarning, match="has 3 components, but MEGNet was trained"):
        get_megnet_features(raw, ica)
    other = raw.copy()
    with other.info._unlock():
        other.info.update(sfreq=251.0, highpass=0.0, line_freq=50.0)
    hum = (
        10
        * raw.get_data().std()
        * np.sin(2 * np.pi * 50 * np.arange(len(raw.times)) / 251)
    )
    other._data += hum
    fast = make_ica(raw.info, np.eye(102)[:3])
    fast.method = "fastica"
    with QUIET(record=True) as caught:
        warnings.simplefilter("always")
        get_megnet_features(other, fast)
    said = " ".join(str(one.message) for one in caught)
    for words in ("251 Hz", "pass-band", "line noise at 50 Hz", "'fastica'", "3 comp"):
        assert words in said


def _answer_in_turn(n_components, n_windows):
    """A network that takes every first window for brain, and the others for blinks."""
    answers = np.tile(np.eye(4)[np.arange(n_windows) % 2], (n_components, 1))

    def answer(method, inputs, *, model_path=None):
        return answers[: len(inputs["temporal_input"])]

    return answer


class Halves:
    """A model twice; one for the first samples, one for the others."""

    n_models = 2

    def __init__(self, ica, n_first):
        self.icas, self.n_first = (ica, ica.copy()), n_first

    def get_mne_ica(self, model_idx):
        return self.icas[model_idx]

    def predict_proba(self, raw):
        first = np.arange(raw.n_times) < self.n_first
        return np.stack([first, ~first]).astype(float)


def test_windows_of_megnet_count_as_their_model_is_active(meg, monkeypatch):
    raw, ica, _ = meg
    raw = raw.copy().crop(0, 105, include_tmax=False)  # two windows
    monkeypatch.setattr("meegic.labels.megnet.run_network", _answer_in_turn(3, 2))
    labels = quietly(label_components, raw, Halves(ica, 12_000), "megnet")
    assert labels.window_proba.shape == (2, 3, 2, 4)
    assert_allclose(labels.window_weights, [[11_625, 375], [1_500, 12_750]])
    assert_allclose(labels.proba[0, :, 0], 11_625 / 12_000, atol=1e-6)
    assert_allclose(labels.proba[1, :, 0], 1_500 / 14_250, atol=1e-6)
    one = labels.for_model(1)
    assert one.labels == ["eye blink"] * 3
    assert_allclose(one.window_dissent, 1_500 / 14_250)
    assert_allclose(one.window_spread, 1.0)


def test_model_that_is_silent_has_no_windows(meg, monkeypatch):
    raw, ica, _ = meg
    raw = raw.copy().crop(0, 105, include_tmax=False)
    monkeypatch.setattr("meegic.labels.megnet.run_network", _answer_in_turn(3, 2))
    with (
        pytest.warns(DataWarning, match=r"models \[0\] are active for less"),
        pytest.warns(DataWarning, match="has 3 components"),
    ):
        labels = label_components(raw, Halves(ica, 100), "megnet")
    assert np.isnan(labels.window_proba[0]).all()
    assert labels.for_model(1).labels == ["eye blink"] * 3


def test_megnet_refuses_epochs_and_short_recordings(meg):
    raw, ica, _ = meg
    epochs = mne.make_fixed_length_epochs(raw, 61.0, preload=True, verbose="error")
    with pytest.raises(TypeError, match=r"needs an mne\.io\.Raw, but got Epo"):
        label_components(epochs, ica, "megnet")
    with pytest.raises(InputError, match="15000 good samples or more, 60 s at 250 Hz"):
        label_components(raw.copy().crop(0, 59), ica, "megnet")
    with pytest.raises(InputError, match="15000 good samples or more"):
        quietly(label_components, annotate(raw, 10, 100), ica, "megnet")
