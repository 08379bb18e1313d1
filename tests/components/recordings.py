"""Small recordings as MNE objects, and fits to them."""

import warnings

import mne
import numpy as np

from meegic import AmicaICA
from meegic.base.errors import ConvergenceWarning, DataWarning

N_EEG = 8
SFREQ = 250.0
HALF = 15 * 250


def mix_conditions(seed=42):
    """Two conditions of 15 s, blinks in both, in V; give data, brain and blinks."""
    rng = np.random.default_rng(seed)
    blink_map = rng.standard_normal(N_EEG)
    first, second = (rng.standard_normal((N_EEG, N_EEG - 1)) for _ in range(2))
    halves = [
        mixing @ (1e-5 * rng.laplace(size=(N_EEG - 1, HALF)))
        for mixing in (first, second)
    ]
    brain = np.hstack(halves)
    times = np.arange(2 * HALF) / SFREQ
    blinks = sum(
        25e-6 * np.exp(-0.5 * ((times - peak) / 0.15) ** 2)
        for peak in np.arange(1.5, 30, 3.0)
    )
    return brain + blink_map[:, None] * blinks, brain, blinks


def make_raw(data, *, kinds="eeg", sfreq=SFREQ, names=None):
    """Make a Raw of one or several types of channels."""
    kinds = [kinds] * len(data) if isinstance(kinds, str) else kinds
    names = names or [f"CH{k:02d}" for k in range(1, len(data) + 1)]
    info = mne.create_info(names, sfreq, kinds)
    return mne.io.RawArray(data, info, verbose="error")


def make_conditions(seed=42):
    """The two conditions with the blinks as an EOG channel; and the brain alone."""
    data, brain, blinks = mix_conditions(seed)
    names = [*(f"EEG{k:03d}" for k in range(1, N_EEG + 1)), "VEOG"]
    kinds = ["eeg"] * N_EEG + ["eog"]
    return make_raw(np.vstack([data, blinks]), kinds=kinds, names=names), brain


def fit(inst, picks="eeg", *, reject_by_annotation=True, **options):
    """Fit without the warnings that a short recording brings."""
    options = {"random_state": 0, "verbose": False, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataWarning)
        ica = AmicaICA(**options)
        return ica.fit(inst, picks, reject_by_annotation=reject_by_annotation)


def simulate(n=5, n_times=4000, seed=0, *, unit=1e-5):
    """Mixed Laplace sources in V."""
    rng = np.random.default_rng(seed)
    return unit * rng.normal(size=(n, n)) @ rng.laplace(size=(n, n_times))
