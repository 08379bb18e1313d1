"""Recordings and MNE's ICA objects whose matrices are known."""

import mne
import numpy as np
from mne.io.constants import FIFF

NAMES = (
    *("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8"),
    *("P7", "P3", "Pz", "P4", "P8", "O1", "O2"),
)


def make_raw(data, names, sfreq, *, types="eeg", positions=None, band=(1.0, 100.0)):
    """A Raw that says of itself what ICLabel wants to hear."""
    info = mne.create_info(list(names), sfreq, types)
    raw = mne.io.RawArray(data, info, verbose="error")
    if positions is not None:
        for one, place in zip(raw.info["chs"], positions, strict=True):
            one["loc"][:3] = place
            one["coord_frame"] = FIFF.FIFFV_COORD_HEAD
    with raw.info._unlock():
        raw.info["highpass"], raw.info["lowpass"] = band
        raw.info["custom_ref_applied"] = FIFF.FIFFV_MNE_CUSTOM_REF_ON
    return raw


def make_ica(info, unmixing, *, pre_whitener=1.0, method="infomax", mean=None):
    """An ICA that unmixes by a matrix, after its pre-whitening."""
    n = len(unmixing)
    basis = np.linalg.qr(unmixing.T)[0]
    ica = mne.preprocessing.ICA(
        method=method, fit_params={"extended": True}, verbose="error"
    )
    ica.n_components = n  # MNE refuses to fit a single one
    ica.info = info.copy()
    ica.ch_names = list(info["ch_names"])
    ica.n_components_ = n
    ica.pre_whitener_ = np.full((len(ica.ch_names), 1), 1.0) * pre_whitener
    ica.pca_mean_ = mean
    ica.pca_components_ = basis.T
    ica.pca_explained_variance_ = np.ones(n)
    ica.unmixing_matrix_ = unmixing @ basis
    ica.mixing_matrix_ = np.linalg.inv(ica.unmixing_matrix_)
    ica.current_fit, ica.n_samples_, ica.n_iter_ = "raw", 1000, 1
    ica.reject_ = None
    ica.labels_ = {}
    ica._ica_names = [f"ICA{k:03d}" for k in range(n)]
    return ica


def simulate(n_components=3, *, sfreq=128.0, duration_s=12.0, seed=0):
    """Laplace sources in V on 19 electrodes, average reference, and their ICA."""
    rng = np.random.default_rng(seed)
    montage = mne.channels.make_standard_montage("colin27_1020")
    positions = [montage.get_positions()["ch_pos"][one] for one in NAMES]
    mixing = 1e-5 * rng.standard_normal((19, n_components))
    mixing -= mixing.mean(axis=0)
    times = int(sfreq * duration_s)
    sources = np.cumsum(rng.laplace(size=(n_components, times)), axis=1)
    sources -= mne.filter.filter_data(sources, sfreq, None, 1.0, verbose="error")
    data = mixing @ sources / sources.std(axis=1).mean()
    raw = make_raw(data, NAMES, sfreq, positions=positions)
    return raw, make_ica(raw.info, np.linalg.pinv(mixing))
