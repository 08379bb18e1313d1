"""Artifact subspace reconstruction for MNE objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mne
import numpy as np

from meegic.base.alerts import warn_user
from meegic.base.checks import check_known, check_option, check_range
from meegic.base.errors import DataWarning, InputError, NotFittedError
from meegic.base.npz import hash_arrays
from meegic.base.record import Record, make_record
from meegic.clean.asr_calibration import CalibrationOptions
from meegic.clean.asr_plan import ASROptions
from meegic.clean.asr_state import ASRState, check_cutoff
from meegic.clean.asr_stream import ASRStream
from meegic.clean.asr_windows import refuse_slow_power
from meegic.clean.edge.asr_calibrating import (
    CleanData,
    calibrate_type,
    find_source,
    match_channels,
    match_rate,
    take_clean_data,
    take_ranks,
)
from meegic.clean.edge.asr_cleaning import (
    ASRReport,
    annotate_report,
    choose_options,
    clean_type,
)
from meegic.clean.edge.asr_online import RecordingStream
from meegic.clean.edge.judging import take_used
from meegic.clean.edge.samples import (
    USUAL,
    check_inst,
    copy_loaded,
    pick_types,
)
from meegic.clean.edge.segments import Segments, annotate_nonfinite, find_segments

_WINDOWS = ("max_bad_channels", "z_limits", "fallback")


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class _Fit:
    """What a fit leaves behind."""

    ch_names: tuple[str, ...]
    channels: dict[str, list[str]]
    states: dict[str, ASRState]
    options: dict[str, ASROptions]
    sfreq: float
    record: Record


class ASR:
    """Replace bursts by what the rest of the channels predicts, in Raw and Epochs.

    Magnetometers, gradiometers and EEG are cleaned one type at a time, bad channels and
    other types not at all. No sample is cut: annotations say what was changed. Nothing
    runs across a boundary, a skip or samples that are not finite.

    Parameters
    ----------
    cutoff : float
        How many standard deviations above the mean a component may rise. Studies of
        real data recommend 20 to 30; below 10 clean data are distorted.
    window_s : float
        Length in s of the windows that are judged; 1.5 samples for every channel are
        the least.
    step_s : float | None
        From one window to the next, in s; half a window when None.
    max_dims : float
        Largest fraction of dimensions that a window may lose.
    calibration : 'auto' | mne.io.Raw | mne.Epochs | array of bool
        Where clean data come from: windows of the fitted recording that are found
        clean; another recording; or the samples of the fitted one that a mask marks.
    rank : 'auto' | int | dict
        Dimensions of the data, for each type where there are several.
    covariance : 'geometric-median' | 'riemann-median'
        The robust covariance of the calibration.

    Attributes
    ----------
    states_ : dict of str to ASRState
        The calibration of each type.
    ch_names_ : dict of str to list of str
        Which channels are cleaned.
    report_ : dict of str to ASRReport
        What the last `transform` did to each type.
    record_ : Record
        Options, versions and the digest of the clean data.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((4, 6000))
    >>> info = mne.create_info(4, 100.0, "eeg")
    >>> rest = mne.io.RawArray(data.copy(), info, verbose="error")
    >>> data[:, 3000:3100] *= [[500.0], [-300.0], [0.0], [100.0]]
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> cleaned = ASR(calibration=rest).fit_transform(raw)
    >>> cleaned.annotations.count()["ASR_repaired"] > 0
    True
    """

    def __init__(
        self,
        cutoff: float = 20.0,
        window_s: float = 0.5,
        step_s: float | None = None,
        max_dims: float = 0.66,
        calibration: Any = "auto",
        rank: Any = "auto",
        covariance: str = "geometric-median",
    ) -> None:
        check_cutoff(cutoff)
        check_range("window_s", window_s, low=0.0, open_low=True, unit="s")
        if step_s is not None:
            check_range("step_s", step_s, low=0.0, high=window_s, open_low=True)
        check_range("max_dims", max_dims, low=0.0, high=1.0)
        check_option("covariance", covariance, ["geometric-median", "riemann-median"])
        self.cutoff = cutoff
        self.window_s = window_s
        self.step_s = step_s
        self.max_dims = max_dims
        self.calibration = calibration
        self.rank = rank
        self.covariance = covariance
        self._fit: _Fit | None = None
        self._report: dict[str, ASRReport] | None = None

    def __repr__(self) -> str:
        if self._fit is None:
            return f"<ASR | not fitted, cutoff {self.cutoff:g}>"
        parts = [f"{len(ch)} {kind}" for kind, ch in self._fit.channels.items()]
        return f"<ASR | {', '.join(parts)} channels, cutoff {self.cutoff:g}>"

    def fit(
        self,
        inst: Any,
        *,
        types: Sequence[str] = USUAL,
        on_nonfinite: str = "raise",
        force_lowfreq: bool = False,
        **windows: Any,
    ) -> "ASR":
        """Learn which amplitudes are usual.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs
            A recording, high-pass filtered at 0.5 to 1 Hz, a minute or more. Spans that
            are marked as bad are left out.
        types : sequence of str
            Which types of channels to clean: mag, grad, eeg, seeg, ecog.
        on_nonfinite : 'raise' | 'annotate'
            Whether samples that are not finite are an error, or are left out.
        force_lowfreq : bool
            Accept data with more than a fifth of their power below 0.5 Hz.
        **windows
            How clean windows are chosen: max_bad_channels, z_limits and fallback of
            `choose_calibration`.

        Returns
        -------
        ASR
            Itself, fitted.
        """
        check_inst(inst)
        check_known("option of fit", windows, _WINDOWS)
        picks = pick_types(inst.info, types)
        channels = {
            kind: [inst.ch_names[k] for k in some] for kind, some in picks.items()
        }
        source, mask = find_source(inst, self.calibration, channels)
        sfreq, settings = float(inst.info["sfreq"]), self._settings()
        clean = {
            kind: take_clean_data(source, names, mask=mask, on_nonfinite=on_nonfinite)
            for kind, names in channels.items()
        }
        options = {
            kind: choose_options(kind, len(one.names), sfreq, settings)
            for kind, one in clean.items()
        }
        self._fit = _Fit(
            ch_names=tuple(inst.ch_names),
            channels={kind: one.names for kind, one in clean.items()},
            states=self._calibrate(clean, sfreq, windows, force_lowfreq=force_lowfreq),
            options=options,
            sfreq=sfreq,
            record=self._make_record(source, clean, windows),
        )
        self._report = None
        return self

    def _calibrate(
        self,
        clean: dict[str, CleanData],
        sfreq: float,
        windows: dict[str, Any],
        *,
        force_lowfreq: bool,
    ) -> dict[str, ASRState]:
        ranks = take_ranks(self.rank, list(clean))
        return {
            kind: calibrate_type(
                one,
                sfreq,
                cutoff=self.cutoff,
                options=CalibrationOptions(
                    rank=ranks[kind], covariance=self.covariance
                ),
                choose=windows if isinstance(self.calibration, str) else None,
                force_lowfreq=force_lowfreq,
            )
            for kind, one in clean.items()
        }

    def transform(
        self, inst: Any, *, on_nonfinite: str = "raise", force_lowfreq: bool = False
    ) -> Any:
        """Clean a recording.

        Its new annotations are ``ASR_repaired``, with the dimensions that were removed
        and the type of channel beside; ``BAD_asr`` for what was repaired and is still
        unusual, in stretches of more than a second; ``BAD_short`` for stretches that
        are shorter than a window and stay as they are; and ``BAD_nan``.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs
            With the channels and the sampling rate of the fit; it is not changed, and
            need not be loaded.
        on_nonfinite : 'raise' | 'annotate'
            Whether samples that are not finite, outside of BAD spans, are an error, or
            are annotated and left as they are.
        force_lowfreq : bool
            Accept data with more than a fifth of their power below 0.5 Hz.

        Returns
        -------
        Raw or Epochs
            A new one with the same channels and times.
        """
        fit = self._fitted()
        check_inst(inst)
        match_rate(inst, fit.sfreq)
        picks = {one: match_channels(inst, ch) for one, ch in fit.channels.items()}
        cleaned = copy_loaded(inst)
        segments = {
            kind: find_segments(cleaned, some, on_nonfinite=on_nonfinite)
            for kind, some in picks.items()
        }
        for kind, some in picks.items():
            _check_lengths(inst, fit.options[kind], segments[kind])
            if not force_lowfreq and segments[kind].used.any():
                refuse_slow_power(
                    take_used(cleaned, some, segments[kind]).data, fit.sfreq
                )
        report = {
            kind: clean_type(
                cleaned, some, fit.states[kind], fit.options[kind], segments[kind]
            )
            for kind, some in picks.items()
        }
        annotate_nonfinite(cleaned, np.concatenate(list(picks.values())))
        for kind, one in report.items():
            annotate_report(cleaned, kind, one, segments[kind])
        self._report = report
        return cleaned

    def fit_transform(
        self,
        inst: Any,
        *,
        on_nonfinite: str = "raise",
        force_lowfreq: bool = False,
        **options: Any,
    ) -> Any:
        """Fit to a recording and clean it; see `fit` and `transform`.

        Parameters
        ----------
        inst : mne.io.Raw | mne.Epochs
            The recording.
        on_nonfinite : 'raise' | 'annotate'
            Whether samples that are not finite are an error.
        force_lowfreq : bool
            Accept data with more than a fifth of their power below 0.5 Hz.
        **options
            Others of `fit`.

        Returns
        -------
        Raw or Epochs
            A new one with the same channels and times.
        """
        both = {"on_nonfinite": on_nonfinite, "force_lowfreq": force_lowfreq}
        return self.fit(inst, **both, **options).transform(inst, **both)

    def stream(self) -> RecordingStream:
        """Open a stream that cleans samples of all channels of the fit as they come.

        Returns
        -------
        RecordingStream
            Takes arrays of channels by times, in the order and unit of the fit.
        """
        fit = self._fitted()
        places = {name: place for place, name in enumerate(fit.ch_names)}
        return RecordingStream(
            {one: ASRStream(fit.states[one], fit.options[one]) for one in fit.states},
            {
                one: np.array([places[name] for name in names])
                for one, names in fit.channels.items()
            },
            n_channels=len(fit.ch_names),
        )

    @property
    def states_(self) -> dict[str, ASRState]:
        """The calibration of each type of channel."""
        return dict(self._fitted().states)

    @property
    def ch_names_(self) -> dict[str, list[str]]:
        """Which channels of each type are cleaned."""
        return {one: list(names) for one, names in self._fitted().channels.items()}

    @property
    def record_(self) -> Record:
        """Options, versions and the digest of the clean data."""
        return self._fitted().record

    @property
    def report_(self) -> dict[str, ASRReport]:
        """What the last `transform` did to each type of channel."""
        if self._report is None:
            raise NotFittedError("This ASR cleaned nothing yet.", "Call transform.")
        return dict(self._report)

    def _fitted(self) -> _Fit:
        if self._fit is None:
            raise NotFittedError("This ASR is not fitted.", "Call fit first.")
        return self._fit

    def _settings(self) -> dict[str, Any]:
        names = ("cutoff", "window_s", "step_s", "max_dims", "rank", "covariance")
        return {name: getattr(self, name) for name in names}

    def _make_record(
        self, source: Any, clean: dict[str, CleanData], windows: dict[str, Any]
    ) -> Record:
        kind = "auto"
        if not isinstance(self.calibration, str):
            kind = "mask" if isinstance(self.calibration, np.ndarray) else "recording"
        projs = source.info["projs"]
        calibration = {
            "calibration": kind,
            "windows": windows,
            "types": list(clean),
            "projectors_applied": [one["desc"] for one in projs if one["active"]],
            "projectors_idle": [one["desc"] for one in projs if not one["active"]],
        }
        digest = hash_arrays(
            *(part for one in clean.values() for part in (one.data, one.mask))
        )
        return make_record({**self._settings(), **calibration}, input_digest=digest)


def _check_lengths(inst: Any, options: ASROptions, segments: Segments) -> None:
    """Refuse a recording in which nothing is as long as a window."""
    sfreq, window = float(inst.info["sfreq"]), options.window_size
    lengths = [one.stop - one.start for one in segments.slices]
    if max(lengths, default=0) < window:
        raise InputError(
            f"inst must have a stretch of at least {window / sfreq:g} s, one window, "
            f"but the longest lasts {max(lengths, default=0) / sfreq:g} s.",
            hint="Clean the Raw before it is cut into epochs, or shorten window_s.",
        )
    if isinstance(inst, mne.BaseEpochs) and len(inst.times) < 2 * window:
        warn_user(
            f"epochs last {len(inst.times) / sfreq:g} s, less than two windows of "
            f"{window / sfreq:g} s: their ends are judged by little. Clean the Raw "
            "before it is cut into epochs.",
            DataWarning,
        )
