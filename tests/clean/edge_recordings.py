"""Small MNE recordings for the tests of the edge of cleaning."""

from datetime import UTC, datetime

import mne
import numpy as np

SFREQ = 100.0
START = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_noise(n_channels, n_times, seed=0):
    """Mixed white noise in units of one."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_channels, n_channels)) + 2 * np.eye(n_channels)
    return mixing @ rng.standard_normal((n_channels, n_times))


def make_raw(data, kinds=None, *, sfreq=SFREQ, first_samp=0, meas_date=None):
    """Make a Raw whose channels are called after their types."""
    data = np.atleast_2d(data)
    kinds = kinds or ["eeg"] * len(data)
    names = [f"{kind}{k}" for k, kind in enumerate(kinds)]
    info = mne.create_info(names, sfreq, kinds)
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")
    return raw.set_meas_date(meas_date)


def add_bursts(data, height, spans):
    """Add a pattern that swings at 8 Hz to spans of samples."""
    pattern = np.random.default_rng(9).standard_normal(len(data))
    spoiled = data.copy()
    for start, stop in spans:
        swing = np.sin(2 * np.pi * 8 * np.arange(stop - start) / SFREQ)
        spoiled[:, start:stop] += height * pattern[:, None] * swing
    return spoiled


def mark(raw, onset_s, duration_s, description):
    """Annotate a span, in seconds from the first sample of a recording."""
    raw.annotations.append(onset_s + raw.first_time, duration_s, description)


def list_spans(raw, description):
    """List annotated spans by samples from the first one of a recording."""
    sfreq = raw.info["sfreq"]
    chosen = raw.annotations.description == description
    onsets = (raw.annotations.onset[chosen] - raw.first_time) * sfreq
    ends = onsets + raw.annotations.duration[chosen] * sfreq
    return np.rint([onsets, ends]).astype(int).T.tolist()


def make_mixed(seed=0, n_times=4000):
    """Six EEG channels, one of them bad, with EOG and stimuli, in V."""
    kinds = ["eeg", "eeg", "eog", "eeg", "eeg", "stim", "eeg", "eeg"]
    raw = make_raw(1e-5 * make_noise(8, n_times, seed), kinds)
    raw.info["bads"] = ["eeg3"]
    return raw
