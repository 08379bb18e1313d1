"""Each model as MNE's own ICA object."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from components.recordings import fit, make_conditions, make_raw, simulate
from meegic.base.errors import NotFittedError, OptionError
from meegic.components.edge.amica_ica import AmicaICA


@pytest.fixture(scope="module")
def raw():
    return make_conditions()[0]


@pytest.fixture(scope="module")
def two(raw):
    return fit(raw, n_models=2, max_iter=100)


@pytest.fixture(scope="module")
def referenced():
    """Fewer dimensions than channels, and fewer components than dimensions."""
    data = simulate(6)
    raw = make_raw(data - data.mean(axis=0))
    return raw, fit(raw), fit(raw, n_components=3)


def relative(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("h", [0, 1])
def test_sources_are_those_of_the_model(raw, two, h):
    ica = two.get_mne_ica(h)
    data = raw.get_data(picks="eeg")
    wanted = two._model.transform(data.T, model=h).T
    assert relative(ica.get_sources(raw).get_data(), wanted) < 1e-10


def test_unmixing_and_mixing_are_inverse(two, referenced):
    _, full, reduced = referenced
    for ica in (two, full, reduced):
        one = ica.get_mne_ica()
        product = one.unmixing_matrix_ @ one.mixing_matrix_
        assert_allclose(product, np.eye(one.n_components_), atol=1e-10)


def test_maps_are_those_of_the_model(two):
    for h in (0, 1):
        wanted = two._fit.model.maps[h]
        found = two.get_mne_ica(h).get_components()
        # MNE divides maps by what brings volts to microvolts
        assert_allclose(found / found[0, 0], wanted / wanted[0, 0], rtol=1e-8)


def test_nothing_excluded_changes_nothing(raw, two, referenced):
    for inst, ica in ((raw, two), *((referenced[0], one) for one in referenced[1:])):
        before = inst.get_data(picks="eeg")
        after = ica.get_mne_ica().apply(inst.copy()).get_data(picks="eeg")
        assert relative(after, before) < 1e-10
        ours = ica.apply(inst.copy()).get_data(picks="eeg")
        assert np.array_equal(ours, before)


def test_one_excluded_changes_what_mne_changes(referenced):
    raw, full, reduced = referenced
    for ica in (full, reduced):
        ica.get_mne_ica().exclude = [1]
        ours = ica.apply(raw, copy=True).get_data()
        theirs = ica.get_mne_ica().apply(raw.copy()).get_data()
        assert relative(ours, theirs) < 1e-10
        assert relative(ours, raw.get_data()) > 0.01
        ica.get_mne_ica().exclude = []


@pytest.mark.parametrize("h", [0, 1])
def test_object_survives_a_fif_file(two, raw, h, tmp_path):
    ica = two.to_mne_ica(h)
    ica.exclude = [2]
    ica.save(tmp_path / "model-ica.fif", verbose="error")
    back = mne.preprocessing.read_ica(tmp_path / "model-ica.fif", verbose="error")
    assert back.method == "amica"
    assert back.exclude == [2]
    assert back.n_iter_ == ica.n_iter_
    found, wanted = (one.get_sources(raw).get_data() for one in (back, ica))
    assert relative(found, wanted) < 1e-10


def test_cached_object_is_always_the_same(two):
    assert two.get_mne_ica(1) is two.get_mne_ica(1)
    assert two.get_mne_ica(1) is not two.to_mne_ica(1)
    assert two.get_mne_ica(0) is not two.get_mne_ica(1)


def test_components_explain_variance_as_mne_computes_it(two, raw):
    share = two.get_mne_ica().get_explained_variance_ratio(raw)
    assert 0.9 < share["eeg"] <= 1 + 1e-9


def test_too_large_an_index_is_refused(two):
    with pytest.raises(OptionError, match="model_idx must be a whole number between"):
        two.get_mne_ica(2)


@pytest.mark.parametrize(
    "call",
    [
        lambda ica: ica.get_mne_ica(),
        lambda ica: ica.to_mne_ica(),
        lambda ica: ica.apply(make_conditions()[0]),
        lambda ica: ica.predict_proba(make_conditions()[0]),
        lambda ica: ica.score(make_conditions()[0]),
        lambda ica: ica.plot_model_posteriors(),
        lambda ica: ica.plot_model_dominance(),
        lambda ica: ica.plot_components(),
        lambda ica: ica.score_dipolarity(),
        lambda ica: ica.save("nowhere"),
    ],
)
def test_nothing_comes_before_the_fit(call):
    with pytest.raises(NotFittedError, match=r"not fitted yet\. Call fit\(raw\) first"):
        call(AmicaICA())


def test_unknown_options_are_named():
    with pytest.raises(OptionError, match=r"'max_itr' is not a known.*'max_iter'\?"):
        AmicaICA(max_itr=3)


def test_it_says_what_it_is(two):
    assert repr(AmicaICA(n_models=3)) == "<AmicaICA | not fitted, 3 models>"
    assert repr(two).startswith("<AmicaICA | 2 models, 8 components of 8 channels, ")
