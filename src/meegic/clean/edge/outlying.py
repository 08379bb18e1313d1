"""Windows and epochs whose covariance is far from the usual: nothing is cut."""

from collections.abc import Sequence

import mne
import numpy as np
from jaxtyping import Int

from meegic.base.checks import check_range
from meegic.base.errors import InputError
from meegic.base.spans import mark_spans
from meegic.clean.artifacts import detect_artifacts_riemann
from meegic.clean.edge.judging import (
    Used,
    annotate_found,
    check_raw,
    check_used,
    find_varying,
    take_varying,
)
from meegic.clean.edge.samples import (
    USUAL,
    check_inst,
    load_epochs,
    pick_types,
    take_samples,
)
from meegic.clean.edge.segments import find_segments
from meegic.clean.windows import find_stretches, round_half_up


def annotate_artifacts(
    raw: mne.io.BaseRaw,
    *,
    types: Sequence[str] = USUAL,
    window_s: float = 1.0,
    n_std: float = 3.0,
    shrinkage: float = 0.0,
    on_nonfinite: str = "raise",
) -> mne.io.BaseRaw:
    """Annotate windows whose covariance is far from the usual as ``BAD_riemann``.

    The windows lie one after the other in stretches that are not marked as bad; what
    is left over at the end of one is not judged. Each type of channel is judged by
    itself, and any of them makes a window bad.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording, high-passed; left as it is. It need not be loaded.
    types : sequence of str
        Which types of channel to look at.
    window_s : float
        Length of a window in seconds: more samples than channels.
    n_std, shrinkage : float
        As in `detect_artifacts_riemann`; covariances are compared in the subspace that
        they fill together.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity outside of BAD spans are refused, or are annotated as
        ``BAD_nan``.

    Returns
    -------
    mne.io.Raw
        A copy with the annotations.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 2000))
    >>> data[:2, 1000:1100] *= 5
    >>> info = mne.create_info(4, 100.0, "eeg")
    >>> raw = annotate_artifacts(mne.io.RawArray(data, info, verbose="error"))
    >>> raw.annotations.onset, raw.annotations.duration
    (array([10.]), array([1.]))
    """
    check_raw(raw)
    marks = np.zeros(len(raw.times), bool)
    n_window = round_half_up(window_s * raw.info["sfreq"])
    for picks in pick_types(raw.info, types).values():
        _check_window(len(picks), n_window, raw.info["sfreq"], shrinkage)
        used = take_varying(raw, picks, on_nonfinite)
        starts = _place_windows(used, n_window, raw.info["sfreq"])
        windows = np.stack([used.data[:, k : k + n_window] for k in starts])
        bad = _find_outlying(windows, n_std, shrinkage)
        spans = np.stack([starts[bad], starts[bad] + n_window], axis=1)
        marks |= used.spread(mark_spans(spans, len(used.places)), len(marks))
    return annotate_found(raw, marks, "BAD_riemann", types, on_nonfinite)


def find_bad_epochs(
    epochs: mne.BaseEpochs,
    *,
    types: Sequence[str] = USUAL,
    n_std: float = 3.0,
    shrinkage: float = 0.0,
    on_nonfinite: str = "raise",
) -> Int[np.ndarray, " bad"]:
    """Find epochs whose covariance is far from the usual.

    Parameters
    ----------
    epochs : mne.Epochs
        The epochs, high-passed, of more samples than channels; left as they are.
    types : sequence of str
        Which types of channel to look at; any of them makes an epoch bad.
    n_std, shrinkage : float
        As in `detect_artifacts_riemann`; covariances are compared in the subspace that
        they fill together.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity are refused, or make an epoch bad.

    Returns
    -------
    array of int, shape (n_bad,)
        Which of the epochs, for ``epochs.drop``.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((20, 4, 100))
    >>> data[7, :2] *= 5
    >>> info = mne.create_info(4, 100.0, "eeg")
    >>> find_bad_epochs(mne.EpochsArray(data, info, verbose="error"))
    array([7])
    """
    if not isinstance(epochs, mne.BaseEpochs):
        raise TypeError(
            f"epochs must be mne Epochs, but got {type(epochs).__name__}. "
            "annotate_artifacts takes a Raw."
        )
    check_inst(epochs)
    epochs = load_epochs(epochs)
    n_times, sfreq = len(epochs.times), epochs.info["sfreq"]
    bad = np.zeros(len(epochs), bool)
    for picks in pick_types(epochs.info, types).values():
        _check_window(len(picks), n_times, sfreq, shrinkage)
        segments = find_segments(epochs, picks, on_nonfinite=on_nonfinite)
        data = take_samples(epochs, picks, slice(None)).reshape(len(picks), -1, n_times)
        holes = np.asarray(segments.nonfinite.reshape(-1, n_times).any(axis=1))
        check_used(~holes)
        varying = find_varying(epochs, picks, data[:, ~holes].reshape(len(picks), -1))
        windows = data[varying][:, ~holes].swapaxes(0, 1)
        bad |= holes
        bad[~holes] |= _find_outlying(windows, n_std, shrinkage)
    return np.flatnonzero(bad)


def _check_window(
    n_channels: int, n_times: int, sfreq: float, shrinkage: float
) -> None:
    check_range("shrinkage", shrinkage, low=0.0, high=1.0)
    if shrinkage == 0 and n_times <= n_channels:
        raise InputError(
            f"windows must be longer than {n_channels / sfreq:.3g} s for {n_channels} "
            f"channels, but have {n_times / sfreq:.3g} s: their covariances are "
            "singular.",
            hint="Use longer windows, or shrinkage=0.05.",
        )


def _place_windows(used: Used, n_window: int, sfreq: float) -> np.ndarray:
    """List where windows begin, one after the other in each stretch."""
    stretches = find_stretches(np.ones(len(used.places), bool), used.joins)
    starts = [np.arange(a, b - n_window + 1, n_window) for a, b in stretches.tolist()]
    placed = np.concatenate(starts)
    if not len(placed):
        longest = np.diff(stretches).max() / sfreq
        raise InputError(
            f"raw must have a stretch of {n_window / sfreq:.3g} s, one window, without "
            f"boundaries and bad spans, but the longest has {longest:.3g} s.",
            hint="Use a longer recording or shorter windows.",
        )
    return placed


def _find_outlying(windows: np.ndarray, n_std: float, shrinkage: float) -> np.ndarray:
    centered = windows - windows.mean(axis=2, keepdims=True)
    covariances = centered @ centered.mT / windows.shape[2]
    return detect_artifacts_riemann(
        covariances, n_std, shrinkage=shrinkage, project=True
    )
