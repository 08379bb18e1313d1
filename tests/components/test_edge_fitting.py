"""Which channels, samples and dimensions of a recording are fitted."""

import warnings

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.recordings import fit, make_raw, simulate
from meegic import AmicaICA, fit_amica, simulate_recording
from meegic.base.errors import DataWarning, InputError, OptionError, RankError
from meegic.components.edge.samples import count_rank


@pytest.fixture
def raw():
    data = simulate(5)
    names = ["Fz", "Cz", "Pz", "Oz", "C3"]
    return make_raw(data, names=names)


def correlate(first, second):
    """The smallest of the best absolute correlations of sources."""
    found = np.corrcoef(first, second)[: len(first), len(first) :]
    return np.abs(found).max(axis=1).min()


def test_units_of_the_recording_do_not_matter(raw):
    fits = [
        fit(make_raw(factor * raw.get_data()), max_iter=60)
        for factor in (1.0, 2.0**20, 2.0**-30)
    ]
    sources = [one._fit.model.unmix(factor * raw.get_data()) for one, factor in
               zip(fits, (1.0, 2.0**20, 2.0**-30), strict=True)]  # fmt: skip
    assert np.array_equal(sources[0], sources[1])
    assert np.array_equal(sources[0], sources[2])


@pytest.mark.parametrize(("kind", "unit"), [("mag", 1e-13), ("grad", 1e-12)])
def test_row_28_tesla_are_fitted_as_volts_are(kind, unit):
    data = simulate(5, unit=1.0)
    volts = fit(make_raw(1e-5 * data))
    tesla = fit(make_raw(unit * data, kinds=kind), picks=kind)
    first, second = volts._fit.model, tesla._fit.model
    assert second.n_components == 5
    assert correlate(first.unmix(1e-5 * data)[0], second.unmix(unit * data)[0]) > 0.999


def test_types_of_other_size_share_one_fit():
    sources = np.random.default_rng(0).laplace(size=(6, 6000))
    mixing = np.random.default_rng(1).normal(size=(6, 6))
    data = (
        mixing @ sources * np.array([1e-13, 1e-13, 1e-12, 1e-12, 1e-5, 1e-5])[:, None]
    )
    kinds = ["mag", "mag", "grad", "grad", "eeg", "eeg"]
    ica = fit(make_raw(data, kinds=kinds), picks=["meg", "eeg"])
    model = ica._fit.model
    assert model.n_components == 6
    assert correlate(sources, model.unmix(data)[0]) > 0.99
    scaled = model.whitener.scale * data.std(axis=1)
    assert_allclose(scaled[[0, 2, 4]] + scaled[[1, 3, 5]], 2, rtol=1e-9)  # medians 1


@pytest.mark.parametrize(
    ("picks", "names"),
    [
        ("eeg", ["Fz", "Cz", "Pz", "C3"]),
        (["C3", "Fz"], ["C3", "Fz"]),
        ([0, 1, 2], ["Fz", "Cz", "Pz"]),
        (None, ["Fz", "Cz", "Pz", "C3"]),
        ("data", ["Fz", "Cz", "Pz", "C3"]),
    ],
)
def test_channels_are_picked_without_bad_ones(raw, picks, names):
    raw.info["bads"] = ["Oz"]
    ica = fit(raw, picks=picks, max_iter=5)
    assert ica._ch_names == names


@pytest.mark.parametrize("picks", ["meg", ["T9"], [17], []])
def test_row_20_no_channel_says_which_there_are(raw, picks):
    with pytest.raises(InputError, match=r"selects no .*it has 5 eeg"):
        fit(raw, picks=picks)


def test_stimuli_are_no_signals(raw):
    raw.set_channel_types({"Oz": "stim"}, verbose="error")
    with pytest.raises(InputError, match="channels of type 'stim', which cannot be"):
        fit(raw, picks=["Fz", "Cz", "Oz"])


def test_other_objects_are_refused(raw):
    for inst in (raw.get_data(), mne.EvokedArray(raw.get_data(), raw.info)):
        with pytest.raises(
            TypeError, match="inst must be an mne Raw or Epochs, but got"
        ):
            AmicaICA().fit(inst)


def test_row_42_bad_spans_have_no_weight_and_keep_their_place(raw):
    raw.set_annotations(mne.Annotations([2.0, 6.0], [1.0, 0.4], ["bad_jump", "stim"]))
    raw._data[:, 500:750] += 1.0
    ica = fit(raw, max_iter=30)
    assert np.array_equal(np.flatnonzero(~ica._fit.used), np.arange(500, 750))
    assert ica.get_mne_ica().n_samples_ == 3750
    weights = np.ones(4000)
    weights[500:750] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = ica._model._make_options(ica._model.get_params())
        alone = fit_amica(
            raw.get_data(), options, weights=weights, scale=np.full(5, 1e6), seed=0
        )
    assert np.array_equal(alone.filters, ica._fit.model.filters)
    everything = fit(raw, reject_by_annotation=False, max_iter=30)
    assert everything._fit.used.all()


def test_all_in_bad_spans_is_refused(raw):
    raw.set_annotations(mne.Annotations([0.0], [16.0], ["BAD_all"]))
    with pytest.raises(InputError, match="no sample is left: all lie in spans"):
        fit(raw)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_21_values_that_are_not_finite_are_named(raw, value):
    raw._data[2, 1000:1003] = value
    words = r"NaN or Inf in channel 'Pz': 3 samples, the first at 4\.000 s; 1 channels"
    with pytest.raises(InputError, match=words):
        fit(raw)
    raw.set_annotations(mne.Annotations([3.9], [0.5], ["BAD_nan"]))
    ica = fit(raw, max_iter=30)
    assert np.isfinite(ica._fit.model.filters).all()
    assert np.isnan(ica._model.posteriors_[0, 1000:1003]).all()
    with pytest.raises(InputError, match="NaN or Inf"):
        fit(raw, reject_by_annotation=False)


def test_row_23_flat_channels_are_left_out_and_named(raw):
    raw._data[3] = 1e-6
    with pytest.warns(DataWarning, match=r"channels \['Oz'\] are flat and left out"):
        ica = AmicaICA(verbose=False, random_state=0).fit(raw)
    assert ica._ch_names == ["Fz", "Cz", "Pz", "C3"]


def test_row_24_only_flat_channels_are_refused(raw):
    raw._data[:] = 0
    with pytest.raises(InputError, match="all channels are flat"):
        fit(raw)


def test_row_26_references_and_projectors_lower_the_rank():
    raw, _ = simulate_recording("eeg19", duration_s=40, n_bad_channels=0)
    raw.set_eeg_reference("average", verbose="error")
    assert fit(raw, max_iter=3)._fit.model.n_components == 18
    applied, _ = simulate_recording("eeg19", duration_s=40, n_bad_channels=0)
    applied.set_eeg_reference("average", projection=True, verbose="error")
    assert count_rank(applied.copy().pick("eeg").info) == 19  # not applied yet
    assert fit(applied, max_iter=3)._fit.model.n_components == 19
    applied.apply_proj(verbose="error")
    assert count_rank(applied.copy().pick("eeg").info) == 18
    assert fit(applied, max_iter=3)._fit.model.n_components == 18
    words = "n_components must be at most the rank of the recording, 18, but got 19"
    with pytest.raises(RankError, match=words):
        fit(applied, n_components=19)


def test_row_49_more_components_than_dimensions_are_refused(raw):
    raw._data -= raw._data.mean(axis=0)
    with pytest.raises(RankError, match="between 1 and the rank of the data, 4, but"):
        fit(raw, n_components=5)
    for wrong in (0, -1, 1.5, "a"):
        with pytest.raises(OptionError, match="n_components must be a whole number"):
            fit(raw, n_components=wrong)


def test_maxwell_filtered_recordings_have_the_rank_of_their_sources():
    raw, _ = simulate_recording("neuromag306", duration_s=10, n_bad_channels=0)
    raw = mne.preprocessing.maxwell_filter(
        raw, origin=(0, 0, 0.04), coord_frame="head", st_duration=None, verbose="error"
    )
    told = count_rank(raw.copy().pick("meg").info)
    assert 60 < told < 90


def test_the_input_is_not_changed(raw):
    before, info = raw.get_data(), raw.info.copy()
    fit(raw, max_iter=5)
    assert np.array_equal(raw.get_data(), before)
    assert repr(raw.info) == repr(info)


def test_recordings_on_disk_are_fitted_and_cleaned(raw, tmp_path):
    raw.save(tmp_path / "one_raw.fif", verbose="error")
    stored = mne.io.read_raw_fif(tmp_path / "one_raw.fif", verbose="error")
    ica = fit(stored, max_iter=30)
    assert not stored.preload
    ica.get_mne_ica().exclude = [0]
    assert ica.apply(stored, copy=True) is not stored
    assert not stored.preload
    assert ica.apply(stored).preload
