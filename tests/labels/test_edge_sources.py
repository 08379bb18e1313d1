"""The matrices of an ICA, and the time courses that are read with them."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from labels.icas import make_ica, make_raw, simulate
from meegic.base.errors import InputError, NotFittedError
from meegic.labels.edge.activations import find_stretches, read_activations
from meegic.labels.edge.decomposition import decompose, list_models

N = 5


@pytest.fixture
def mixed():
    """Electrodes and magnetometers in V and T, in one recording."""
    rng = np.random.default_rng(3)
    scale = np.array([1e-5] * 3 + [1e-12] * 3)
    data = rng.standard_normal((6, 6)) @ rng.laplace(size=(6, 4000))
    names = ["Fz", "Cz", "Pz", "MEG0111", "MEG0121", "MEG0131"]
    return make_raw(
        data * scale[:, None], names, 200.0, types=["eeg"] * 3 + ["mag"] * 3
    )


def fit(raw, *, n=N, noise_cov=None):
    ica = mne.preprocessing.ICA(
        n, noise_cov=noise_cov, method="infomax", random_state=0, max_iter=15,
        verbose="error",
    )  # fmt: skip
    return ica.fit(raw, picks="data", verbose="error")


def add_projector(raw):
    vector = np.ones((1, 3)) / np.sqrt(3)
    data = {
        "nrow": 1, "ncol": 3, "row_names": None, "col_names": raw.ch_names[:3],
        "data": vector,
    }  # fmt: skip
    projector = mne.Projection(active=False, data=data, desc="mean", kind=1)
    return raw.add_proj(projector).apply_proj(verbose="error")


def full_covariance(raw):
    rng = np.random.default_rng(5)
    sizes = raw.get_data().std(axis=1)
    root = sizes[:, None] * rng.standard_normal((6, 6))
    return mne.Covariance(root @ root.T, raw.ch_names, [], [], nfree=1000)


@pytest.mark.parametrize("how", ["plain", "projected", "noise_cov", "both"])
def test_activations_are_the_sources_of_mne(mixed, how):
    if how in ("projected", "both"):
        add_projector(mixed)
    noise_cov = full_covariance(mixed) if how in ("noise_cov", "both") else None
    ica = fit(mixed, n=4, noise_cov=noise_cov)
    found = decompose(ica)
    ours = read_activations(
        mixed, found.names, found.unmixing, offset=found.offset
    ).values
    theirs = ica.get_sources(mixed).get_data()
    assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max())
    centered = read_activations(mixed, found.names, found.unmixing).values
    r = np.array(
        [np.corrcoef(a, b)[0, 1] for a, b in zip(centered, theirs, strict=True)]
    )
    assert_allclose(np.abs(r), 1, atol=1e-12)


@pytest.mark.parametrize("how", ["plain", "noise_cov"])
def test_mixing_is_how_mne_gives_sources_back(mixed, how):
    noise_cov = full_covariance(mixed) if how == "noise_cov" else None
    ica = fit(mixed, n=4, noise_cov=noise_cov)
    found = decompose(ica)
    sources = ica.get_sources(mixed).get_data()
    data = mixed.get_data()
    without = ica.apply(mixed.copy(), exclude=[2], n_pca_components=4, verbose="error")
    whole = ica.apply(mixed.copy(), exclude=[], n_pca_components=4, verbose="error")
    removed = (whole.get_data() - without.get_data()) / data.std(axis=1, keepdims=True)
    ours = np.outer(found.mixing[:, 2], sources[2]) / data.std(axis=1, keepdims=True)
    assert_allclose(removed, ours, atol=1e-8)


def test_compat_leaves_out_the_pre_whitener(mixed):
    ica = fit(mixed)
    found = decompose(ica, compat="mne-icalabel")
    assert_allclose(found.unmixing, ica.unmixing_matrix_ @ ica.pca_components_[:N])
    assert_allclose(found.mixing, np.linalg.pinv(found.unmixing))


def test_channels_are_found_by_name(mixed):
    ica = fit(mixed)
    found = decompose(ica)
    turned = mixed.copy().reorder_channels(mixed.ch_names[::-1])
    one, other = (
        read_activations(raw, found.names, found.unmixing).values
        for raw in (mixed, turned)
    )
    assert_array_equal(one, other)
    with pytest.raises(
        InputError, match=r"6 channels of the ICA, but it lacks 1: 'Cz'"
    ):
        read_activations(mixed.drop_channels(["Cz"]), found.names, found.unmixing)


def test_pieces_make_the_whole(monkeypatch):
    raw, ica = simulate()
    found = decompose(ica)
    whole = read_activations(raw, found.names, found.unmixing)
    monkeypatch.setattr("meegic.labels.edge.activations._CHUNK", 100)
    pieces = read_activations(raw, found.names, found.unmixing)
    assert_allclose(pieces.values, whole.values, atol=1e-12)
    assert_allclose(pieces.deviations, raw.get_data().std(axis=1), rtol=1e-6)
    epochs = mne.make_fixed_length_epochs(raw, 1.0, preload=False, verbose="error")
    epochs.drop_bad(verbose="error")
    cut = read_activations(epochs, found.names, found.unmixing)
    flat = cut.join()
    assert cut.values.shape == (3, 12, 128)
    assert_allclose(flat, whole.values[:, : flat.shape[1]], atol=1e-12)


def test_recordings_on_disk_are_read_as_they_are_needed(tmp_path):
    raw, ica = simulate()
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(tmp_path / "a_raw.fif", preload=False, verbose="error")
    found = decompose(ica)
    one, other = (
        read_activations(inst, found.names, found.unmixing).values
        for inst in (raw, lazy)
    )
    assert_allclose(other, one, atol=1e-9)
    assert not lazy.preload


@pytest.mark.parametrize("first", [0, 777])
def test_stretches_are_what_mne_leaves(first):
    raw, _ = simulate()
    raw = mne.io.RawArray(raw.get_data(), raw.info, first_samp=first, verbose="error")
    notes = mne.Annotations(
        np.array([0.0, 2.0, 2.5, 11.0]), [0.5, 1.0, 1.0, 9.0],
        ["bad_a", "BAD b", "Bad", "BAD_end"],
    )  # fmt: skip
    raw.set_annotations(notes, verbose="error")
    stretches = find_stretches(raw)
    assert stretches == [(64, 256), (448, 1408)]
    kept = raw.get_data(reject_by_annotation="omit", verbose="error")
    ours = np.hstack([raw.get_data()[:, a:b] for a, b in stretches])
    assert_array_equal(ours, kept)


def test_edges_part_stretches_and_others_do_not():
    raw, _ = simulate()
    raw.set_annotations(
        mne.Annotations([1.0, 3.0, 5.0], [0, 0, 1], ["EDGE boundary", "stim", "badge"])
    )
    assert find_stretches(raw) == [(0, 128), (128, 640), (768, 1536)]
    raw.set_annotations(mne.Annotations([3.0], [1.0], ["stimulus"]))
    assert find_stretches(raw) is None


def test_no_good_sample_is_no_stretch():
    raw, _ = simulate()
    raw.set_annotations(mne.Annotations([0.0], [99.0], ["BAD"]), verbose="error")
    assert find_stretches(raw) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_row_21_22_what_is_not_finite_is_named_unless_it_is_marked(value):
    raw, ica = simulate()
    raw._data[4, 300] = value
    found = decompose(ica)
    with pytest.raises(InputError, match=r"NaN or Inf in channels 'Fz'\."):
        read_activations(raw, found.names, found.unmixing)
    raw.set_annotations(mne.Annotations([2.0], [1.0], ["BAD_nan"]))
    found = read_activations(raw, found.names, found.unmixing)
    assert np.isfinite(found.join()).all()
    assert np.isfinite(found.deviations).all()


def test_no_ica_and_no_fit_are_refused():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        list(list_models(mne.preprocessing.ICA()))
    with pytest.raises(TypeError, match="ica must be an mne"):
        list(list_models("ica"))


def test_rank_deficient_and_single_components_are_fine():
    _, ica = simulate(1)
    found = decompose(ica)
    assert found.unmixing.shape == (1, 19)
    assert_allclose(found.unmixing @ found.mixing, [[1.0]])
    info = make_raw(np.zeros((2, 9)), ["A", "B"], 100.0).info
    assert decompose(make_ica(info, np.eye(2))).names == ["A", "B"]
