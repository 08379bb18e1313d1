"""What the pages of mne-icalabel call, with the golden numbers behind it."""

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from labels.icas import make_ica, make_raw
from meegic import (
    get_iclabel_features,
    get_topomaps,
    iclabel_label_components,
    label_components,
    mark_component,
    read_components_tsv,
    run_iclabel,
    write_components_tsv,
)

CASES = (
    *("real_infomax15", "real_picard29", "real_crop4s"),
    *("real_duplicate_pos", "real_as_sfreq250"),
)


@pytest.fixture(scope="module")
def load(shared):
    """Read a golden case as a recording with its ICA."""

    def read(case):
        folder = shared / "golden" / "labels"
        golden = dict(np.load(folder / f"{case}.npz"))
        data_uv = np.load(folder / f"{golden['data_key']}.npz")["data_uV"]
        data = 1e-6 * data_uv[:, : int(golden["n_times"])].astype(float)
        sfreq = float(golden["sfreq"])
        raw = make_raw(data, golden["ch_names"], sfreq, positions=golden["ch_pos"])
        return raw, make_ica(raw.info, golden["unmixing"], pre_whitener=7e-6), golden

    return read


@pytest.mark.parametrize("case", CASES)
def test_compat_gives_the_numbers_of_the_reference(load, case):
    raw, ica, golden = load(case)
    topo, psd, autocorr = get_iclabel_features(raw, ica, compat="mne-icalabel")
    assert_allclose(topo[:, :, 0].transpose(2, 0, 1), golden["topo"], atol=1e-6)
    assert_allclose(psd[0, :, 0].T, golden["psd"], atol=1e-6)
    assert_allclose(autocorr[0, :, 0].T, golden["autocorr"], atol=1e-6)
    assert_allclose(run_iclabel(topo, psd, autocorr), golden["prob"], atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_default_gives_the_numbers_of_eeglab(load, case):
    raw, ica, golden = load(case)
    assert_allclose(
        get_iclabel_features(raw, ica)[1][0, :, 0].T, golden["psd_rms"], atol=1e-6
    )
    proba = iclabel_label_components(raw, ica)
    assert proba.dtype == np.float32
    assert_allclose(proba, golden["prob_rms"], atol=1e-5)
    assert (proba.argmax(axis=1) == golden["prob_rms"].argmax(axis=1)).all()


def test_epochs_and_raw_agree_where_they_should(load):
    raw, ica, _ = load("real_crop4s")
    events = np.array([[0, 0, 1]])
    whole = mne.Epochs(
        raw, events, tmin=0, tmax=raw.times[-1], baseline=None, preload=True,
        verbose="error",
    )  # fmt: skip
    from_raw, from_epochs = (get_iclabel_features(one, ica) for one in (raw, whole))
    for one, other in zip(from_raw, from_epochs, strict=True):
        assert_allclose(one, other, atol=1e-6)


def test_tutorial_on_repairing_artifacts(load):
    raw, ica, golden = load("real_infomax15")
    ic_labels = label_components(raw, ica, method="iclabel")
    labels = ic_labels["labels"]
    exclude_idx = [
        idx for idx, label in enumerate(labels) if label not in ["brain", "other"]
    ]
    assert_allclose(
        ic_labels["y_pred_proba"], golden["prob_rms"].max(axis=1), atol=1e-5
    )
    assert 0 < len(exclude_idx) < 15
    assert exclude_idx == ic_labels.exclude("keep-brain-other")
    reconst_raw = raw.copy()
    ica.apply(reconst_raw, exclude=exclude_idx, verbose="error")
    assert np.std(reconst_raw.get_data()) < np.std(raw.get_data())


def test_tutorial_on_annotating_components(load, tmp_path):
    raw, ica, _ = load("real_infomax15")
    labels = label_components(raw, ica, method="iclabel")["labels"]
    fname = tmp_path / "sub-01_task-rest_components.tsv"
    write_components_tsv(ica, fname)
    mark_component(0, fname, method="manual", label="eye blink", author="me")
    table = read_components_tsv(fname)
    assert table["ic_type"] == ("eye blink", *labels[1:])
    assert table["annotate_method"][:2] == ("manual", "iclabel")


def test_topomaps_are_those_of_the_reference(load, shared):
    _, ica, _ = load("real_infomax15")
    expected = np.load(shared / "golden" / "labels" / "get_topomaps_real15.npz")
    for key in expected.files:
        res, extrapolate = key.removeprefix("res").split("_")
        maps = get_topomaps(ica, picks=[0, 1, 2], res=int(res), extrapolate=extrapolate)
        assert list(maps) == ["eeg"]
        assert_allclose(maps["eeg"], expected[key], atol=1e-6)
