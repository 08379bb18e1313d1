"""Calibration of artifact subspace reconstruction from MNE objects."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mne
import numpy as np
from jaxtyping import Bool, Float

from meegic.base.alerts import warn_user
from meegic.base.checks import check_known, list_words
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.clean.asr_calibration import CalibrationOptions, calibrate_asr
from meegic.clean.asr_state import ASRState
from meegic.clean.asr_windows import choose_calibration, refuse_slow_power
from meegic.clean.edge.samples import (
    check_inst,
    find_channels,
    load_epochs,
    take_samples,
)
from meegic.clean.edge.segments import find_segments

Channels = Mapping[str, list[str]]
"""Names of channels, by type."""


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class CleanData:
    """What a calibration learns from: the stretches of one type, end to end.

    Attributes
    ----------
    names : list of str
        The channels that vary.
    data : array, shape (n_channels, n_times)
        Their samples, in SI units.
    mask : array of bool, shape (n_times,)
        Which of them count.
    boundaries : tuple of int
        Samples before which the recording is interrupted.
    """

    names: list[str]
    data: Float[np.ndarray, "channels times"]
    mask: Bool[np.ndarray, " times"]
    boundaries: tuple[int, ...]


def take_clean_data(
    inst: Any,
    names: list[str],
    *,
    mask: Bool[np.ndarray, "..."] | None = None,
    on_nonfinite: str = "raise",
) -> CleanData:
    """Take what a calibration may look at; channels without a signal are left out.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording.
    names : list of str
        Channels of one type.
    mask : array of bool, shape (n_times,) or (n_epochs, n_times) | None
        Which samples may be used, beside those in BAD spans.
    on_nonfinite : 'raise' | 'annotate'
        Whether samples that are not finite are an error, or are left out.

    Returns
    -------
    CleanData
        A copy.

    Examples
    --------
    >>> info = mne.create_info(2, 10.0, "eeg")
    >>> raw = mne.io.RawArray([[1.0, 2.0], [4.0, 3.0]], info, verbose="error")
    >>> take_clean_data(raw, ["0"]).data
    array([[1., 2.]])
    """
    picks = find_channels(inst, names)
    segments = find_segments(inst, picks, on_nonfinite=on_nonfinite)
    used = segments.used if mask is None else segments.used & _take_mask(mask, inst)
    if not used.any():
        raise InputError(
            "inst has no samples to calibrate ASR on: all lie in spans that are marked "
            "as bad, or outside of the mask.",
            hint="Look at the annotations, or calibrate on another recording.",
        )
    data = np.hstack([take_samples(inst, picks, one) for one in segments.slices])
    kept = np.concatenate([used[one] for one in segments.slices])
    lengths = [one.stop - one.start for one in segments.slices]
    flat = np.ptp(data[:, kept], axis=1) == 0
    _warn_of_flat(names, flat)
    return CleanData(
        names=[name for name, one in zip(names, flat, strict=True) if not one],
        data=data[~flat] if flat.any() else data,
        mask=kept,
        boundaries=tuple(int(one) for one in np.cumsum(lengths[:-1])),
    )


def calibrate_type(
    clean: CleanData,
    sfreq: float,
    *,
    cutoff: float,
    options: CalibrationOptions,
    choose: Mapping[str, Any] | None,
    force_lowfreq: bool = False,
) -> ASRState:
    """Calibrate on the clean data of one type of channel.

    Parameters
    ----------
    clean : CleanData
        From `take_clean_data`.
    sfreq : float
        Sampling rate in Hz.
    cutoff : float
        How many standard deviations above the mean a component may rise.
    options : CalibrationOptions
        Rank and covariance.
    choose : mapping | None
        How to choose clean windows: options of `choose_calibration`. None takes all
        samples.
    force_lowfreq : bool
        Whether to accept data that were not high-passed.

    Returns
    -------
    ASRState
        Of the channels in the order of ``clean``.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 9000))
    >>> clean = CleanData(list("abcd"), data, np.ones(9000, bool), ())
    >>> calibrate_type(clean, 100.0, cutoff=20.0, options=CalibrationOptions(),
    ...                choose=None).rank
    4
    """
    mask, places = clean.mask, clean.boundaries
    if not force_lowfreq:
        used = clean.data if mask.all() else clean.data[:, mask]
        refuse_slow_power(used, sfreq)
    if choose is not None:
        mask = choose_calibration(
            clean.data, sfreq, mask=mask, boundaries=places, **choose
        )
    with warnings.catch_warnings():  # said below, by name
        warnings.filterwarnings("ignore", "clean_data has channels that are copies")
        state = calibrate_asr(
            clean.data,
            cutoff,
            sfreq=sfreq,
            options=options,
            mask=mask,
            boundaries=places,
        )
    _warn_of_copies(clean.names, state)
    return state


def find_source(inst: Any, calibration: Any, channels: Channels) -> tuple[Any, Any]:
    """Find what is calibrated on, and its mask where one was given.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording that is fitted.
    calibration : 'auto' | mne.io.Raw | mne.Epochs | array of bool
        As given to `ASR`.
    channels : mapping of str to list of str
        Channels of the fit.

    Returns
    -------
    source : mne.io.Raw | mne.Epochs
        Where clean data come from.
    mask : array of bool | None
        Which samples of it.

    Examples
    --------
    >>> info = mne.create_info(1, 10.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 30)), info, verbose="error")
    >>> find_source(raw, "auto", {"eeg": ["0"]})[0] is raw
    True
    """
    if isinstance(calibration, str) and calibration == "auto":
        return load_epochs(inst), None
    if isinstance(calibration, np.ndarray):
        return load_epochs(inst), calibration
    if not isinstance(calibration, mne.io.BaseRaw | mne.BaseEpochs):
        text = isinstance(calibration, str)
        raise OptionError(
            "calibration must be 'auto', a Raw, Epochs or an array of bool, but got "
            f"{repr(calibration) if text else type(calibration).__name__}."
        )
    check_inst(calibration, "calibration")
    for names in channels.values():
        match_channels(calibration, names, "calibration")
    match_rate(calibration, float(inst.info["sfreq"]), "calibration")
    return load_epochs(calibration), None


def match_channels(inst: Any, names: list[str], what: str = "inst") -> np.ndarray:
    """Find channels by name, or name those that are missing or marked as bad.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((2, 9)), info, verbose="error")
    >>> match_channels(raw, ["Cz"])
    array([1])
    """
    missing = [one for one in names if one not in inst.ch_names]
    bad = [one for one in names if one in inst.info["bads"]]
    for state, found in (("lacks", missing), ("has marked as bad", bad)):
        if found:
            raise InputError(
                f"{what} must have the {len(names)} good channels that ASR is fitted "
                f"to, but it {state} {len(found)}: {list_words(found[:10])}"
                f"{' and others' if len(found) > 10 else ''}.",
                hint="Fit on channels that are good everywhere; interpolate after it.",
            )
    return find_channels(inst, names)


def match_rate(inst: Any, sfreq: float, what: str = "inst") -> None:
    """Refuse a recording of another sampling rate than that of the fit.

    Examples
    --------
    >>> info = mne.create_info(1, 100.0, "eeg")
    >>> match_rate(mne.io.RawArray(np.zeros((1, 9)), info, verbose="error"), 100.0)
    """
    found = float(inst.info["sfreq"])
    if not np.isclose(found, sfreq, rtol=1e-6):
        raise InputError(
            f"{what} must have a sampling rate of {sfreq:g} Hz, that of the fit, but "
            f"has {found:g} Hz.",
            hint="Resample one of them, or fit again.",
        )


def take_ranks(rank: Any, kinds: list[str]) -> dict[str, int | None]:
    """Give each type of channel its rank; None counts it.

    Examples
    --------
    >>> take_ranks({"eeg": 30}, ["mag", "eeg"])
    {'mag': None, 'eeg': 30}
    """
    if isinstance(rank, Mapping):
        check_known("type of channel in rank", rank, kinds)
        return {one: rank.get(one) for one in kinds}
    if rank == "auto":
        return dict.fromkeys(kinds)
    if len(kinds) > 1 or isinstance(rank, str):
        raise OptionError(
            f"rank must be 'auto' or name a rank for types of channels, for there are "
            f"{list_words(kinds)}, but got {rank!r}.",
            hint=f"Pass rank={{{kinds[0]!r}: ...}}.",
        )
    return {kinds[0]: rank}


def _take_mask(mask: np.ndarray, inst: Any) -> np.ndarray:
    shape = (len(inst.times),)
    if isinstance(inst, mne.BaseEpochs):
        shape = (len(inst), len(inst.times))
    if mask.dtype != bool or mask.shape != shape:
        raise InputError(
            f"calibration must be an array of bool of shape {shape}, the samples of "
            f"inst, but got shape {mask.shape} of {mask.dtype}."
        )
    return mask.ravel()


def _warn_of_flat(names: list[str], flat: np.ndarray) -> None:
    if flat.all():
        raise InputError(
            f"all channels are flat: {list_words(names[:10])}"
            f"{' and others' if len(names) > 10 else ''}.",
            hint="Look at the recording.",
        )
    if flat.any():
        found = [name for name, one in zip(names, flat, strict=True) if one]
        warn_user(
            f"channels {list_words(found)} are flat: they are left as they are. Mark "
            "them as bad.",
            DataWarning,
        )


def _warn_of_copies(names: list[str], state: ASRState) -> None:
    pairs = [
        f"{names[copy]} of {names[first]}"
        for copy, first in enumerate(state.twins)
        if copy != first
    ]
    if pairs:
        warn_user(
            f"some channels are copies of others: {', '.join(pairs)}. They get the "
            "same result.",
            DataWarning,
        )
