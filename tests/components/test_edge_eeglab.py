"""EEGLAB's data sets: what we write opens in MNE, and all of it comes back."""

import warnings

import h5py
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import loadmat, savemat

from meegic import AmicaICA
from meegic.base.errors import (
    DataWarning,
    FileFormatError,
    InputError,
    NotFittedError,
    OutputError,
    ShapeError,
)
from meegic.components.edge import eeglab_fields
from meegic.components.edge.eeglab import (
    read_marks,
    read_set,
    score_recording,
    write_set,
)
from meegic.components.edge.fitted import FittedIca
from meegic.components.eeglab import read_amicaout

NAMES = ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]
SFREQ, N_TIMES = 100.0, 3000
QUIET = {"random_state": 0, "verbose": False}


def simulate(*, names=NAMES, seed=0, kinds="eeg"):
    """Two halves with different mixing, in volts, on the head."""
    generator = np.random.default_rng(seed)
    n = len(names)
    sources = 1e-5 * generator.laplace(size=(n, N_TIMES))
    first, second = generator.normal(size=(2, n, n))
    half = N_TIMES // 2
    data = np.hstack([first @ sources[:, :half], second @ sources[:, half:]])
    info = mne.create_info(names, SFREQ, kinds)
    raw = mne.io.RawArray(data + 2e-6, info, verbose="error")
    return raw.set_montage("colin27_1020", on_missing="ignore", verbose="error")


def fit(inst, picks="eeg", **options):
    options = {"n_models": 2, "max_iter": 60, **QUIET, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is short, and does not converge
        return AmicaICA(**options).fit(inst, picks)


@pytest.fixture(scope="module")
def raw():
    return simulate()


@pytest.fixture(scope="module")
def ica(raw):
    return fit(raw, do_reject=True)


def read_raw(path):
    return mne.io.read_raw_eeglab(path, preload=True, verbose="error")


def load(path):
    return loadmat(path, simplify_cells=True)["EEG"]


def save_changed(path, target, change):
    """Write a data set again with some fields changed."""
    fields = load(path)
    change(fields)
    savemat(target, {"EEG": fields}, appendmat=False)
    return target


def assert_same_model(found, expected, data):
    assert_allclose(found.score_models(data), expected.score_models(data), rtol=1e-12)
    assert_allclose(found.posteriors(data), expected.posteriors(data), atol=1e-12)
    unit = expected.maps / np.linalg.norm(expected.maps, axis=1, keepdims=True)
    same = found.maps / np.linalg.norm(found.maps, axis=1, keepdims=True)
    assert_allclose(same, unit, atol=1e-12)


def test_mne_reads_the_recording_back(raw, ica, tmp_path):
    found = read_raw(ica.to_eeglab(tmp_path / "a", raw))
    assert found.ch_names == raw.ch_names
    assert found.info["sfreq"] == SFREQ
    assert_allclose(found.get_data(), raw.get_data(), rtol=1e-6)
    places = [[one["loc"][:3] for one in inst.info["chs"]] for inst in (raw, found)]
    assert_allclose(places[1], places[0], atol=1e-9)


def test_file_is_in_microvolts_and_eeglabs_axes(raw, ica, tmp_path):
    eeg = load(ica.to_eeglab(tmp_path / "a.set", raw))
    assert eeg["data"].dtype == np.float32
    assert_allclose(eeg["data"], 1e6 * raw.get_data(), rtol=1e-6)
    assert_allclose(eeg["times"][[0, -1]], [0, 1e3 * raw.times[-1]])
    assert (eeg["nbchan"], eeg["trials"], eeg["pnts"]) == (6, 1, N_TIMES)
    assert (eeg["setname"], eeg["filename"], eeg["ref"]) == ("a", "a.set", "common")
    left_front, right_back = eeg["chanlocs"][0], eeg["chanlocs"][5]
    assert left_front["labels"] == "Fp1"
    assert left_front["type"] == "EEG"
    assert 60 < left_front["X"] < 130
    assert left_front["Y"] > 10
    assert right_back["X"] < -10
    assert right_back["Y"] < -10
    assert -30 < left_front["theta"] < -5  # EEGLAB's angles go to the right
    assert 150 < right_back["theta"] < 180
    for one in eeg["chanlocs"]:
        assert_allclose(one["sph_radius"] ** 2, sum(one[k] ** 2 for k in "XYZ"))
        assert_allclose(one["radius"], 0.5 - one["sph_phi"] / 180)


def test_weights_unmix_the_stored_data(raw, ica, tmp_path):
    eeg = load(ica.to_eeglab(tmp_path / "a.set", raw, model_idx=1))
    unmixing = eeg["icaweights"] @ eeg["icasphere"]
    assert_allclose(unmixing @ eeg["icawinv"], np.eye(6), atol=1e-10)
    assert_allclose(np.linalg.norm(eeg["icawinv"], axis=0), 1)
    maps = ica.get_mne_ica(1).get_components()
    assert_allclose(eeg["icawinv"], maps / np.linalg.norm(maps, axis=0), atol=1e-10)
    sources = unmixing @ eeg["data"]  # in uV, for maps have unit length
    expected = ica.get_mne_ica(1).get_sources(raw).get_data()
    expected *= np.linalg.norm(maps, axis=0)[:, None]
    sources -= sources.mean(axis=1, keepdims=True)
    expected -= expected.mean(axis=1, keepdims=True)
    scale = np.abs(expected).max()
    assert_allclose(sources, expected, atol=1e-5 * scale)


@pytest.mark.parametrize("model_idx", [0, 1])
def test_mne_unmixes_as_the_model_does(raw, ica, tmp_path, model_idx):
    path = ica.to_eeglab(tmp_path / "a.set", raw, model_idx)
    theirs = mne.preprocessing.read_ica_eeglab(path, verbose="error")
    assert theirs.ch_names == raw.ch_names
    found = theirs.get_sources(raw).get_data()
    expected = ica.get_mne_ica(model_idx).get_sources(raw).get_data()
    found, expected = (
        (one - one.mean(axis=1, keepdims=True)) / one.std(axis=1, keepdims=True)
        for one in (found, expected)
    )
    assert_allclose(found, expected, atol=1e-8)


def test_model_comes_back(raw, ica, tmp_path):
    path = ica.to_eeglab(tmp_path / "a.set", raw)
    found, model = read_set(path), ica._fit.model
    assert_same_model(found.model, model, raw.get_data())
    assert_allclose(found.model.whitener.mean, model.whitener.mean, rtol=1e-12)
    assert model.rejected.any()
    assert_array_equal(found.model.rejected, model.rejected)
    assert_allclose(
        found.model.fitted_posteriors[:, ~model.rejected],
        model.fitted_posteriors[:, ~model.rejected],
        atol=1e-10,
    )
    assert np.isnan(found.model.fitted_posteriors[:, model.rejected]).all()
    assert found.channels == NAMES
    assert (found.fit_type, found.sfreq) == ("raw", SFREQ)
    assert found.used.all()
    assert found.used.size == N_TIMES
    assert_array_equal(found.starts, [0])
    assert found.rest.size == 0


def test_what_is_read_can_do_all_that_a_fit_can(raw, ica, tmp_path):
    ica.get_mne_ica(0).exclude, ica.get_mne_ica(1).exclude = [5], [2, 4]
    path = ica.to_eeglab(tmp_path / "a.set", raw, model_idx=1)
    found = AmicaICA.from_eeglab(path)
    ica.get_mne_ica(0).exclude, ica.get_mne_ica(1).exclude = [], []
    assert (found.n_models, found.get_mne_ica(0).exclude) == (2, [5])
    assert found.get_mne_ica(1).exclude == [2, 4]
    assert_allclose(found.predict_proba(raw), ica.predict_proba(raw), atol=1e-12)
    assert_allclose(found.score(raw), ica.score(raw), rtol=1e-12)
    found.apply(raw.copy())
    again = AmicaICA.load(found.save(tmp_path / "b"))
    assert_allclose(again.predict_proba(raw), ica.predict_proba(raw), atol=1e-12)
    twice = read_set(found.to_eeglab(tmp_path / "c.set", raw))
    assert_same_model(twice.model, ica._fit.model, raw.get_data())


def test_marks_of_a_changed_data_set_are_left_out(raw, ica, tmp_path):
    path = write_set(tmp_path / "a.set", raw, ica._fit, excluded=[[3], [1]])
    model = ica._fit.model
    assert read_marks(path, model) == [[3], [1]]

    def mark(fields):  # as in EEGLAB's window: it shows model 0
        fields["reject"]["gcompreject"] = np.array([1.0, 0, 0, 0, 0, 1])

    marked = save_changed(path, tmp_path / "c.set", mark)
    assert read_marks(marked, model) == [[0, 5], [1]]

    def mix(fields):
        fields["etc"]["amica"].pop("excluded")
        fields["icaweights"] = fields["icaweights"][::-1] + 1

    other = save_changed(path, tmp_path / "b.set", mix)
    assert read_marks(other, model) == [[], []]

    def cut(fields):
        fields["etc"]["amica"].pop("excluded")
        fields["icaweights"] = fields["icaweights"][1:]

    assert read_marks(save_changed(path, other, cut), model) == [[], []]


def test_channels_may_be_more_and_in_another_order(raw, ica, tmp_path):
    extra = mne.create_info(["VEOG", "TRIG"], SFREQ, ["eog", "stim"])
    more = mne.io.RawArray(np.full((2, N_TIMES), 3.0), extra, verbose="error")
    wide = raw.copy().add_channels([more], force_update_info=True)
    wide.reorder_channels(["VEOG", "O2", "C3", "TRIG", "Fp1", "O1", "C4", "Fp2"])
    path = ica.to_eeglab(tmp_path / "a.set", wide)
    assert_array_equal(load(path)["icachansind"], [5, 8, 3, 7, 6, 2])
    back = read_raw(path)
    assert back.get_channel_types() == wide.get_channel_types()
    assert_allclose(back.get_data(), wide.get_data(), rtol=1e-6)
    found = read_set(path)
    assert found.channels == NAMES
    assert_same_model(found.model, ica._fit.model, raw.get_data())
    theirs = mne.preprocessing.read_ica_eeglab(path, verbose="error")
    maps = ica.get_mne_ica(0).get_components()
    assert_allclose(
        theirs.get_components() / np.linalg.norm(theirs.get_components(), axis=0),
        maps / np.linalg.norm(maps, axis=0),
        atol=1e-8,
    )


def test_annotations_become_events(raw, ica, tmp_path):
    marked = raw.copy()
    marked.set_meas_date(1e9)
    marked.crop(2.0)
    notes = mne.Annotations([4.0, 6.0, 10.0], [0, 1.5, 0], ["go", "BAD_move", "go"])
    marked.set_annotations(notes)  # from the first sample that is left
    event = load(ica.to_eeglab(tmp_path / "a.set", marked))["event"]
    assert [one["type"] for one in event] == ["go", "BAD_move", "go"]
    assert [one["latency"] for one in event] == pytest.approx([401, 601, 1001])
    assert [one["duration"] for one in event] == pytest.approx([0, 150, 0])
    back = read_raw(tmp_path / "a.set")
    assert_allclose(back.annotations.onset, notes.onset)
    assert_allclose(back.annotations.duration, notes.duration)
    found = read_set(tmp_path / "a.set")
    assert_array_equal(np.flatnonzero(~found.used), np.arange(600, 750))


def test_times_of_annotations_do_not_hang_on_a_date(raw, ica, tmp_path):
    marked = raw.copy().set_annotations(mne.Annotations([5.0], [0.0], ["go"]))
    marked.crop(2.0)
    assert load(ica.to_eeglab(tmp_path / "a.set", marked))["event"]["latency"] == 301
    assert_allclose(read_raw(tmp_path / "a.set").annotations.onset, [3.0])


def test_boundaries_stay_boundaries(raw, ica, tmp_path):
    joined = mne.concatenate_raws(
        [raw.copy().crop(0, 9.99), raw.copy().crop(10)], verbose="error"
    )
    path = ica.to_eeglab(tmp_path / "a.set", joined)
    assert "boundary" in {one["type"] for one in load(path)["event"]}
    assert 1000 in read_set(path).starts


def test_epochs(raw, tmp_path):
    events = np.column_stack([np.arange(50, 2950, 100), np.zeros(29), np.ones(29)])
    events[::2, 2] = 2
    epochs = mne.Epochs(
        raw, events.astype(int), {"go": 1, "stop": 2}, -0.2, 0.5, baseline=None,
        preload=True, verbose="error",
    )  # fmt: skip
    ica = fit(epochs)
    path = ica.to_eeglab(tmp_path / "a.set", epochs)
    eeg = load(path)
    assert eeg["data"].shape == (6, 71, 29)
    assert_allclose([eeg["xmin"], eeg["xmax"]], [-0.2, 0.5])
    assert [eeg["event"][k]["latency"] for k in (0, 1)] == pytest.approx([21, 92])
    assert eeg["event"][1]["epoch"] == 2
    back = mne.io.read_epochs_eeglab(path, verbose="error")
    assert_allclose(back.get_data(), epochs.get_data(), rtol=1e-6)
    assert_allclose(back.times, epochs.times)
    names = {code: name for name, code in back.event_id.items()}
    assert [names[one] for one in back.events[:3, 2]] == ["stop", "go", "stop"]
    found = read_set(path)
    assert found.fit_type == "epc"
    assert_array_equal(found.starts, np.arange(29) * 71)
    assert_allclose(
        found.model.fitted_posteriors, ica._fit.model.fitted_posteriors, atol=1e-10
    )
    single = read_raw(ica.to_eeglab(tmp_path / "b.set", epochs[:1]))
    assert_allclose(single.get_data(), epochs.get_data()[0], rtol=1e-6)


def test_rank_deficient_recording(raw, tmp_path):
    averaged = raw.copy().set_eeg_reference("average", verbose="error")
    ica = fit(averaged)
    path = ica.to_eeglab(tmp_path / "a.set", averaged)
    assert load(path)["ref"] == "average"
    found = read_set(path)
    assert found.model.n_components == 5
    assert found.rest.shape == (1,)
    assert_same_model(found.model, ica._fit.model, averaged.get_data())
    theirs = mne.preprocessing.read_ica_eeglab(path, verbose="error")
    assert theirs.n_components_ == 5


def test_several_types_of_channels_share_one_unit(raw, tmp_path):
    mixed = raw.copy().set_channel_types({"Fp1": "eog"}, verbose="error")
    ica = fit(mixed, ["eeg", "eog"])
    assert len(set(ica._fit.model.whitener.scale)) == 2
    path = ica.to_eeglab(tmp_path / "a.set", mixed)
    found = read_set(path)
    assert set(found.model.whitener.scale) == {1e6}
    data = mixed.get_data()
    assert_allclose(
        found.model.posteriors(data), ica._fit.model.posteriors(data), atol=1e-10
    )
    amica = load(path)["etc"]["amica"]  # told likelihoods are those of microvolts
    scores = found.model.score_models(data)
    assert_allclose(amica["Lht"], scores, rtol=1e-10)
    told = found.model.history.log_likelihood[-1]
    assert_allclose(told, scores_per_component(scores), atol=0.01)


def scores_per_component(scores):
    return np.logaddexp.reduce(scores, axis=0).mean() / 6


def test_unknown_and_unstored_probabilities(raw, ica, tmp_path):
    path = write_set(tmp_path / "a.set", raw, ica._fit)
    assert np.isnan(read_set(path).model.fitted_posteriors).all()
    assert read_set(path).model.fitted_posteriors.shape == (2, N_TIMES)
    holes = raw.copy()
    holes._data[0, 100:110] = np.nan
    found = read_set(ica.to_eeglab(path, holes)).model
    unknown = np.isnan(found.fitted_posteriors).all(axis=0)
    assert_array_equal(np.flatnonzero(unknown), np.arange(100, 110))
    assert not found.rejected.any()


def test_another_recording_has_no_rejected_samples(raw, ica, tmp_path):
    assert np.isnan(score_recording(ica._fit, raw)).any()
    other = simulate(seed=1)
    assert np.isfinite(score_recording(ica._fit, other)).all()
    shorter = read_set(ica.to_eeglab(tmp_path / "a.set", other.crop(0, 9.99))).model
    assert shorter.fitted_posteriors.shape == (2, 1000)


def test_probabilities_of_a_cut_data_set_are_left_out(raw, ica, tmp_path):
    def cut(fields):
        fields |= {"data": fields["data"][:, :900], "pnts": 900, "xmax": 8.99}

    path = ica.to_eeglab(tmp_path / "a.set", raw)
    cut_path = save_changed(path, tmp_path / "b.set", cut)
    with pytest.warns(DataWarning, match="3000 samples, but the data set has 900"):
        found = read_set(cut_path)
    assert np.isnan(found.model.fitted_posteriors).all()
    assert found.model.fitted_posteriors.shape == (2, 900)


def test_data_set_of_eeglab_without_our_extras(raw, ica, tmp_path):
    """Fields at the top, no places, no list of channels, one model."""
    single = fit(raw, n_models=1)
    fields = load(single.to_eeglab(tmp_path / "a.set", raw))
    for one in fields["chanlocs"]:
        del one["X"], one["Y"], one["Z"]
    fields["icachansind"] = np.zeros((0, 0))
    savemat(tmp_path / "b.set", fields, appendmat=False)
    found = AmicaICA.from_eeglab(tmp_path / "b.set")
    assert found.n_models == 1
    assert_same_model(found._fit.model, single._fit.model, raw.get_data())


def test_input_is_left_as_it_is(raw, ica, tmp_path):
    before, data = raw.copy(), ica._fit.model.parameters.unmix.copy()
    ica.to_eeglab(tmp_path / "a.set", raw)
    assert_array_equal(raw.get_data(), before.get_data())
    assert raw.info.ch_names == before.info.ch_names
    assert_array_equal(ica._fit.model.parameters.unmix, data)


def test_every_model_is_exported_for_mne(raw, ica, tmp_path):
    ica.get_mne_ica(1).exclude = [1]
    paths = ica.export_fif(tmp_path / "new" / "icas")
    again = ica.export_fif(tmp_path / "new" / "icas")
    ica.get_mne_ica(1).exclude = []
    assert [one.name for one in paths] == ["model-0-ica.fif", "model-1-ica.fif"]
    assert again == paths
    for h, path in enumerate(paths):
        read = mne.preprocessing.read_ica(path, verbose="error")
        assert_allclose(
            read.get_sources(raw).get_data(),
            ica.get_mne_ica(h).get_sources(raw).get_data(),
            atol=1e-8,
        )
        assert list(read.exclude) == ([1] if h else [])


def test_places_that_are_unknown_stay_empty(raw, ica, tmp_path):
    blind = raw.copy().set_montage(None)
    path = ica.to_eeglab(tmp_path / "a.set", blind)
    assert np.size(load(path)["chanlocs"][0]["theta"]) == 0
    assert read_set(path).channels == NAMES


def test_meg_channels_stay_out(raw, ica, tmp_path):
    magnetometer = mne.io.RawArray(
        np.ones((1, N_TIMES)), mne.create_info(["MEG"], SFREQ, "mag"), verbose="error"
    )
    both = raw.copy().add_channels([magnetometer], force_update_info=True)
    with pytest.warns(DataWarning, match="type .mag. are left out"):
        path = ica.to_eeglab(tmp_path / "a.set", both)
    assert read_raw(path).ch_names == NAMES
    meg = fit(simulate(kinds="mag"), "mag")
    with pytest.raises(InputError, match=r"channels of type .mag.*export_fif"):
        meg.to_eeglab(tmp_path / "b.set", raw)


def test_refusals_of_the_writer(raw, ica, tmp_path, monkeypatch):
    fitted = ica._fit
    with pytest.raises(TypeError, match="inst must be an mne Raw or Epochs, but got"):
        write_set(tmp_path / "a.set", np.zeros((6, 9)), fitted)
    with pytest.raises(InputError, match=r"lacks 1: .C3"):
        write_set(tmp_path / "a.set", raw.copy().drop_channels("C3"), fitted)
    with pytest.raises(InputError, match="model_idx must be"):
        write_set(tmp_path / "a.set", raw, fitted, model_idx=2)
    with pytest.raises(InputError, match="excluded must be"):
        write_set(tmp_path / "a.set", raw, fitted, excluded=[[6]])
    with pytest.raises(ShapeError, match="scores"):
        write_set(tmp_path / "a.set", raw, fitted, scores=np.zeros((2, 9)))
    with pytest.raises(OutputError, match="cannot be written"):
        write_set(tmp_path / "no" / "a.set", raw, fitted)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        AmicaICA().to_eeglab(tmp_path / "a.set", raw)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        AmicaICA().export_fif(tmp_path)
    monkeypatch.setattr(eeglab_fields, "_MAX_BYTES", 1000)
    with pytest.raises(InputError, match="Crop or resample it"):
        write_set(tmp_path / "a.set", raw, fitted)
    assert list(tmp_path.iterdir()) == []


def test_refusals_of_the_reader(raw, ica, tmp_path):
    path = ica.to_eeglab(tmp_path / "a.set", raw)
    other = tmp_path / "b.set"

    def refuse(change, message):
        with pytest.raises(FileFormatError, match=message):
            read_set(save_changed(path, other, change))

    refuse(lambda eeg: eeg.pop("etc"), r"b.set has no results of AMICA.*read_ica_eegl")
    refuse(lambda eeg: eeg["etc"]["amica"].pop("W"), r"b\.set: etc\.amica must .* .W")
    refuse(lambda eeg: eeg.update(icachansind=[1, 2]), "must name 6 of 6 channels")
    refuse(lambda eeg: eeg.update(icachansind=[1, 2, 3, 4, 5, 7]), "icachansind must")
    refuse(lambda eeg: eeg.pop("nbchan"), "holds no data set of EEGLAB")
    other.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match="file truncated: 5000 of at least"):
        read_set(other)
    other.write_bytes(b"no MATLAB")
    with pytest.raises(FileFormatError, match="file truncated: 9 of at least 128"):
        read_set(other)
    with pytest.raises(InputError, match="no such file"):
        read_set(tmp_path / "missing.set")
    with pytest.raises(InputError, match=r"Copy the \.fdt beside"):
        read_set(save_changed(path, other, lambda eeg: eeg.update(data="b.fdt")))


def test_boundaries_of_eeglab_have_no_length(raw, ica, tmp_path):
    def join(fields):
        fields["event"] = [
            {"type": "boundary", "latency": 1000.5, "duration": np.nan},
            {"type": "go", "latency": 1200.0, "duration": np.zeros((0, 0))},
        ]

    path = ica.to_eeglab(tmp_path / "a.set", raw)
    found = read_set(save_changed(path, tmp_path / "b.set", join))
    assert_array_equal(found.starts, [0, 1000])  # EEGLAB says between samples
    assert found.used.all()


def write_hdf5(group, name, value):
    """Write a field as MATLAB 7.3 does, with axes in reverse."""
    if isinstance(value, dict):
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, one in value.items():
            write_hdf5(inner, key, one)
    elif isinstance(value, list):  # an array of structures: places of each field
        inner, hidden = group.create_group(name), group.file.require_group("#refs#")
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key in value[0]:
            places = []
            for row in value:
                place = f"{len(hidden)}"
                write_hdf5(hidden, place, row[key])
                places.append([hidden[place].ref])
            inner.create_dataset(key, data=places, dtype=h5py.ref_dtype)
    else:
        kind = "char" if isinstance(value, str) else "double"
        if kind == "char":
            value = np.array([[ord(one)] for one in value] or [[0, 0]], np.uint16)
        else:
            value = np.atleast_2d(value).T
        group.create_dataset(name, data=value).attrs["MATLAB_class"] = np.bytes_(kind)


def test_file_of_matlab_73(raw, ica, tmp_path):
    fields = load(ica.to_eeglab(tmp_path / "a.set", raw))
    kept = ["nbchan", "trials", "pnts", "srate", "xmin", "xmax", "data", "chanlocs"]
    kept += ["icaweights", "icasphere", "icawinv", "icachansind", "etc"]
    path = tmp_path / "b.set"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name in kept:
            write_hdf5(file, name, fields[name])
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    assert_same_model(read_set(path).model, ica._fit.model, raw.get_data())


def test_run_of_the_fortran_program_in_eeglabs_own_data_set(shared, tmp_path):
    theirs = shared / "data" / "eeglab_data.set"
    raw = mne.io.read_raw_eeglab(theirs, preload=True, verbose="error")
    folder = shared / "golden" / "amica" / "amicaout"
    model = read_amicaout(folder).to_model(scale=np.full(32, 1e6))
    full = np.ones(raw.n_times, dtype=bool)
    fitted = FittedIca(model, raw.info, "raw", full, np.zeros(1, int), np.zeros(0))
    path = write_set(
        tmp_path / "a.set", raw, fitted, scores=score_recording(fitted, raw)
    )
    found = read_set(path)
    assert found.model.score(raw.get_data()) == pytest.approx(-3.40184684, abs=1e-8)
    assert_same_model(found.model, model, raw.get_data())
    # angles of channels and times of events as EEGLAB has them
    expected = loadmat(theirs, simplify_cells=True)
    expected, eeg = expected.get("EEG", expected), load(path)
    for name in ("theta", "radius", "sph_theta", "sph_phi"):
        places = [[one[name] for one in some["chanlocs"]] for some in (eeg, expected)]
        assert_allclose(*places, atol=1e-3)
    times = [[one["latency"] for one in some["event"]] for some in (eeg, expected)]
    assert_allclose(*times, atol=1e-3)
    assert [one["type"] for one in eeg["event"]] == [
        one["type"] for one in expected["event"]
    ]
