"""A fit that was saved can do all that a fitted one can."""

import pickle
from io import BytesIO

import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.recordings import fit, make_conditions, make_raw, simulate
from meegic import AmicaICA
from meegic.base.errors import InputError, IntegrityError


@pytest.fixture(scope="module")
def raw():
    return make_conditions()[0]


@pytest.fixture(scope="module")
def ica(raw):
    ica = fit(raw, n_models=2, max_iter=40, do_reject=True)
    ica.get_mne_ica(0).exclude = [5, 2]
    ica.get_mne_ica(1).labels_ = {"eog": [np.int64(3)]}
    return ica


@pytest.mark.parametrize("name", ["one", "one.amica", "one.amica.npz", "a.b"])
def test_suffix_is_added_once(ica, tmp_path, name):
    path = ica.save(tmp_path / name)
    assert path.name == ("a.b" if name == "a.b" else "one") + ".amica.npz"
    assert AmicaICA.load(tmp_path / name).n_models == 2


def test_loaded_fit_is_the_saved_one_bit_for_bit(raw, ica, tmp_path):
    loaded = AmicaICA.load(ica.save(tmp_path / "one"))
    first, second = ica._fit, loaded._fit
    assert np.array_equal(first.model.filters, second.model.filters)
    assert np.array_equal(first.model.rejected, second.model.rejected)
    assert np.array_equal(ica._model.posteriors_, loaded._model.posteriors_)
    assert np.array_equal(ica._model.ll_history(), loaded._model.ll_history())
    assert (second.fit_type, second.channels) == (first.fit_type, first.channels)
    assert np.array_equal(first.used, second.used)
    assert second.info["sfreq"] == first.info["sfreq"]
    assert loaded.get_mne_ica(0).exclude == [5, 2]
    assert loaded.get_mne_ica(1).exclude == []
    assert loaded.get_mne_ica(1).labels_ == {"eog": [3]}
    assert loaded.n_components is None
    assert loaded.amica_kwargs["do_reject"]
    assert loaded.amica_kwargs["max_iter"] == 40
    again = AmicaICA.load(loaded.save(tmp_path / "two"))
    assert np.array_equal(again._fit.model.filters, first.model.filters)
    assert again.get_mne_ica(0).exclude == [5, 2]


def test_loaded_fit_does_all_a_fitted_one_does(raw, ica, tmp_path):
    loaded = AmicaICA.load(ica.save(tmp_path / "one"))
    for call in (
        lambda one: one.predict_proba(raw),
        lambda one: one.apply(raw, copy=True).get_data(),
        lambda one: one.apply(raw, "soft", copy=True).get_data(),
        lambda one: one._model.transform(raw.get_data(picks="eeg").T),
        lambda one: one.score(raw),
        lambda one: one.get_mne_ica(1).get_components(),
    ):
        assert np.array_equal(call(loaded), call(ica))
    assert loaded.plot_model_dominance()
    other = make_raw(simulate(8, 5000), names=loaded._ch_names)
    assert_allclose(loaded.predict_proba(other).sum(axis=0), 1)
    more = fit(raw, n_models=2, init=loaded._fit.model, max_iter=3)
    assert more._model.ll_history()[0] > ica._model.ll_history()[20]


def test_missing_files_and_pickles_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        AmicaICA.load(tmp_path / "none")
    content = BytesIO()
    np.savez(content, info=np.array(pickle.dumps({"a": 1}), dtype=object))
    (tmp_path / "old.amica.npz").write_bytes(content.getvalue())
    with pytest.raises(IntegrityError, match="is a pickle, which would run code"):
        AmicaICA.load(tmp_path / "old.amica.npz")


@pytest.mark.parametrize("place", [100, 5000, -5000, -100])
def test_damaged_files_are_refused(ica, tmp_path, place):
    path = ica.save(tmp_path / "one")
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError):
        AmicaICA.load(path)
    path.write_bytes(bytes(content[: len(content) // 2]))
    with pytest.raises(IntegrityError):
        AmicaICA.load(path)
