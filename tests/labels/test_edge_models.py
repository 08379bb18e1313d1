"""Labels of several models that share a recording."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from labels.icas import make_ica, simulate
from meegic import (
    AmicaICA,
    combine_labels,
    get_iclabel_features,
    iclabel_label_components,
    label_components,
    read_components_tsv,
    write_components_tsv,
)
from meegic.base.errors import DataWarning, InputError


class Mixture:
    """Two decompositions, and how probable they are."""

    n_models = 2

    def __init__(self, icas, shares):
        self.icas, self.shares = icas, np.asarray(shares, dtype=float)

    def get_mne_ica(self, model_idx=0):
        return self.icas[model_idx]

    def predict_proba(self, inst):
        if isinstance(inst, mne.BaseEpochs):
            n = len(inst.times)
            return np.stack([self.shares[:, k * n :][:, :n] for k in range(len(inst))])
        return self.shares


@pytest.fixture
def case():
    """A recording, its ICA, and another that sees other components."""
    raw, ica = simulate()
    w = ica.unmixing_matrix_ @ ica.pca_components_
    return raw, ica, make_ica(raw.info, w[::-1])


def halves(raw, *, share=1.0):
    first = np.where(raw.times < 6.0, share, 1 - share)
    return np.stack([first, 1 - first])


def test_equal_shares_are_labels_of_each_model_alone(case):
    raw, ica, other = case
    mixture = Mixture([ica, other], np.full((2, len(raw.times)), 0.5))
    labels = label_components(raw, mixture, "iclabel")
    assert labels.proba.shape == (2, 3, 7)
    for h, one in enumerate((ica, other)):
        alone = label_components(raw, one, "iclabel")
        assert_allclose(labels.proba[h], alone.proba, atol=1e-4)
        assert labels.for_model(h).labels == alone.labels
        assert_allclose(labels.variance_explained[h], alone.variance_explained)


def test_each_model_is_judged_by_its_own_samples(case):
    raw, ica, other = case
    mixture = Mixture([ica, other], halves(raw))
    expected = iclabel_label_components(raw, mixture)
    spoiled = raw.copy()
    rng = np.random.default_rng(0)
    spoiled._data[:, 1152:] += 1e-5 * rng.standard_normal((19, 384))
    found = iclabel_label_components(spoiled, mixture)
    assert_allclose(found[0], expected[0], atol=1e-5)
    assert np.abs(found[1] - expected[1]).max() > 1e-3


def test_epochs_have_shares_too(case):
    raw, ica, other = case
    epochs = mne.make_fixed_length_epochs(raw, 2.0, preload=True, verbose="error")
    mixture = Mixture([ica, other], halves(raw))
    labels = label_components(epochs, mixture, "iclabel")
    first = label_components(epochs[:3], ica, "iclabel")
    assert_allclose(labels.proba[0], first.proba, atol=1e-4)


def test_model_without_samples_has_no_labels(case):
    raw, ica, other = case
    shares = np.zeros((2, len(raw.times)))
    shares[0], shares[1, :600] = 1, 0.9  # 4.2 s
    mixture = Mixture([ica, other], shares)
    with pytest.warns(DataWarning, match=r"models \[1\] are active for less than 5 s"):
        labels = label_components(raw, mixture, "iclabel")
    assert labels.labels[1] == ["n/a"] * 3
    assert np.isnan(labels.proba[1]).all()
    assert "n/a" not in labels.labels[0]
    assert not any(other.labels_.values())
    with pytest.warns(DataWarning, match=r"models \[0, 1\] are active"):
        none = label_components(raw, Mixture([ica, other], 0 * shares), "iclabel")
    assert np.isnan(none.proba).all()


def test_what_is_not_finite_has_no_weight(case):
    raw, ica, other = case
    shares = halves(raw)
    expected = iclabel_label_components(raw, Mixture([ica, other], shares))
    raw.set_annotations(mne.Annotations([11.0], [9.0], ["BAD_end"]), verbose="error")
    shares[:, 1408:] = np.nan
    raw._data[3, 1450] = np.nan
    found = iclabel_label_components(raw, Mixture([ica, other], shares))
    assert_allclose(found[0], expected[0], atol=1e-5)


def test_features_and_votes_are_of_one_model(case):
    raw, ica, other = case
    mixture = Mixture([ica, other], halves(raw))
    with pytest.raises(InputError, match=r"2 models, which have features of their own"):
        get_iclabel_features(raw, mixture)
    with pytest.raises(InputError, match=r"votes are for one model, but ica has 2"):
        combine_labels(raw, mixture)


@pytest.mark.filterwarnings("ignore::meegic.base.errors.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::meegic.base.errors.DataWarning")
def test_amica_is_labelled_and_written(tmp_path):
    raw, _ = simulate(4)
    raw.pick(raw.ch_names[:6])
    noise = 1e-7 * np.random.default_rng(1).laplace(size=(6, len(raw.times)))
    raw._data += noise
    ica = AmicaICA(3, n_models=2, max_iter=20, random_state=0, verbose=False).fit(raw)
    labels = label_components(raw, ica, "iclabel")
    assert labels.proba.shape == (2, 3, 7)
    path = tmp_path / "sub-01_components.tsv"
    write_components_tsv(ica, path)
    table = read_components_tsv(path)
    assert table["model"] == ("0",) * 3 + ("1",) * 3
    assert list(table["ic_type"]) == [*labels.labels[0], *labels.labels[1]]
    assert_array_equal(ica.get_mne_ica(1).labels_scores_, labels.for_model(1).proba)
