"""Spans of a recording that are not the brain's, as annotations: nothing is cut."""

from collections.abc import Sequence

import mne
import numpy as np
from jaxtyping import Float

from meegic.base.checks import check_option
from meegic.clean.edge.judging import (
    annotate_found,
    check_raw,
    check_used,
    find_varying,
    take_varying,
)
from meegic.clean.edge.samples import USUAL, pick_types, take_samples
from meegic.clean.edge.segments import find_segments
from meegic.clean.muscle import find_muscle, muscle_score
from meegic.clean.windows import find_clean_windows


def annotate_windows(
    raw: mne.io.BaseRaw,
    *,
    types: Sequence[str] = USUAL,
    max_bad_channels: float = 0.2,
    z_limits: tuple[float, float] = (-3.5, 5.0),
    window_s: float = 1.0,
    on_nonfinite: str = "raise",
) -> mne.io.BaseRaw:
    """Annotate windows in which too many channels are unusual as ``BAD_window``.

    Each type of channel is judged by itself, and any of them makes a window bad. What
    is marked as bad already is not looked at, and no window spans a boundary.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording, high-passed; left as it is. It need not be loaded.
    types : sequence of str
        Which types of channel to look at.
    max_bad_channels, z_limits, window_s
        As in `find_clean_windows`.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity outside of BAD spans are refused, or are annotated as
        ``BAD_nan``.

    Returns
    -------
    mne.io.Raw
        A copy with the annotations.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 6000))
    >>> data[:, 1000:1100] *= 50
    >>> info = mne.create_info(4, 100.0, "eeg")
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> annotate_windows(raw).annotations.description[0]
    'BAD_window'
    """
    check_raw(raw)
    marks = np.zeros(len(raw.times), bool)
    for picks in pick_types(raw.info, types).values():
        used = take_varying(raw, picks, on_nonfinite)
        clean = find_clean_windows(
            used.data,
            raw.info["sfreq"],
            max_bad_channels=max_bad_channels,
            z_limits=z_limits,
            window_s=window_s,
            boundaries=used.joins,
        )
        marks |= used.spread(~clean, len(marks))
    return annotate_found(raw, marks, "BAD_window", types, on_nonfinite)


def score_muscle(
    raw: mne.io.BaseRaw, *, ch_type: str | None = None, on_nonfinite: str = "raise"
) -> Float[np.ndarray, " times"]:
    """Score how much louder than usual muscles are at every sample of a recording.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording, at 240 Hz or more; it need not be loaded.
    ch_type : 'mag' | 'grad' | 'eeg' | None
        Which type of channel to look at; ``None`` is the first of these that is there.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity outside of BAD spans are refused, or have no score.

    Returns
    -------
    array, shape (n_times,)
        The scores, as `muscle_score` computes them; NaN in spans marked as bad.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 5000))
    >>> data[:, 2000:2200] *= 10
    >>> info = mne.create_info(4, 500.0, "eeg")
    >>> score = score_muscle(mne.io.RawArray(data, info, verbose="error"))
    >>> score.argmax() // 200
    np.int64(10)
    """
    check_raw(raw)
    picks = _pick_first(raw.info, ch_type)
    segments = find_segments(raw, picks, on_nonfinite=on_nonfinite)
    check_used(segments.used)
    data, places = _join_smoothly(
        take_samples(raw, picks, slice(None)), segments.slices
    )
    good = segments.used[places]
    data = data[find_varying(raw, picks, data[:, good])]
    scores = np.full(len(raw.times), np.nan)
    scores[places] = muscle_score(data, raw.info["sfreq"], good=good)
    return scores


def annotate_muscle(
    raw: mne.io.BaseRaw,
    *,
    threshold: float = 4.0,
    ch_type: str | None = None,
    min_good_s: float = 0.1,
    on_nonfinite: str = "raise",
) -> mne.io.BaseRaw:
    """Annotate muscle activity as ``BAD_muscle``.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording, at 240 Hz or more; left as it is. It need not be loaded.
    threshold : float
        Marked is what scores higher in `score_muscle`.
    ch_type : 'mag' | 'grad' | 'eeg' | None
        Which type of channel to look at; ``None`` is the first of these that is there.
    min_good_s : float
        Good spans shorter than this, in seconds, are marked too.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity outside of BAD spans are refused, or are annotated as
        ``BAD_nan``.

    Returns
    -------
    mne.io.Raw
        A copy with the annotations.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 5000))
    >>> data[:, 2000:2200] *= 10
    >>> info = mne.create_info(4, 500.0, "eeg")
    >>> raw = annotate_muscle(mne.io.RawArray(data, info, verbose="error"))
    >>> raw.annotations.onset.round(1), raw.annotations.duration.round(1)
    (array([4.]), array([0.4]))
    """
    scores = score_muscle(raw, ch_type=ch_type, on_nonfinite=on_nonfinite)
    marks = find_muscle(
        scores, raw.info["sfreq"], threshold=threshold, min_good_s=min_good_s
    )
    return annotate_found(raw, marks, "BAD_muscle", USUAL, on_nonfinite)


def _pick_first(info: mne.Info, ch_type: str | None) -> np.ndarray:
    if ch_type is None:
        return next(iter(pick_types(info).values()))
    check_option("ch_type", ch_type, USUAL)
    return pick_types(info, (ch_type,))[ch_type]


def _join_smoothly(
    data: np.ndarray, slices: Sequence[slice]
) -> tuple[np.ndarray, np.ndarray]:
    """Join stretches so that each begins where the one before ends.

    Whoever looks at high frequencies sees no step then.
    """
    places = np.concatenate([np.arange(one.start, one.stop) for one in slices])
    joined = data if len(places) == data.shape[1] else data[:, places]
    for one in np.cumsum([k.stop - k.start for k in slices])[:-1]:
        joined[:, one:] -= joined[:, one : one + 1] - joined[:, one - 1 : one]
    return joined, places
