"""Artifact subspace reconstruction of each system, called alike.

Each is calibrated on the same clean samples, with blocks of ten samples where that can
be chosen, and processes windows of half a second.
"""

import logging
import math
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from io import StringIO
from typing import Any

import numpy as np

from meegic.preprocessing.asr import ASRState, apply_asr, calibrate_asr

WINDOW_S = 0.5


@dataclass(frozen=True)
class System:
    """How to calibrate a system and how to clean by it, in microvolts.

    Attributes
    ----------
    name : str
        How the tables call it.
    calibrate : callable
        Takes clean data, sampling rate and cutoff; gives what `process` needs.
    process : callable
        Takes data, sampling rate and that; gives the cleaned data.
    module : str | None
        What must be importable.
    """

    name: str
    calibrate: Callable[[np.ndarray, float, float], Any]
    process: Callable[[np.ndarray, float, Any], np.ndarray]
    module: str | None = None

    def clean(
        self, data: np.ndarray, calibration: np.ndarray, sfreq: float, cutoff: float
    ) -> np.ndarray:
        state = self.calibrate(calibration.copy(), sfreq, cutoff)
        return self.process(data.copy(), sfreq, state)


def _calibrate_ours(clean: np.ndarray, sfreq: float, cutoff: float) -> ASRState:
    return calibrate_asr(clean, cutoff, sfreq=sfreq)


def process_ours(data: np.ndarray, sfreq: float, state: ASRState) -> np.ndarray:
    window = round(WINDOW_S * sfreq)
    return apply_asr(data, state, window, window // 2)


def _calibrate_eegprep(
    clean: np.ndarray, sfreq: float, cutoff: float, *, memory_mb: int
) -> dict[str, Any]:
    from eegprep.plugins.clean_rawdata.asr_calibrate import asr_calibrate

    return asr_calibrate(clean, sfreq, cutoff, maxmem=memory_mb)


def _process_eegprep(
    data: np.ndarray, sfreq: float, state: dict[str, Any], *, memory_mb: int
) -> np.ndarray:
    from eegprep.plugins.clean_rawdata.asr_process import asr_process

    n_ahead = round(WINDOW_S / 2 * sfreq)
    beyond = 2 * data[:, -1:] - data[:, -2 : -2 - n_ahead : -1]
    cleaned, _ = asr_process(
        np.hstack([data, beyond]),
        sfreq,
        dict(state),
        window_len=WINDOW_S,
        step_size=int(WINDOW_S / 2 * sfreq),
        max_mem=memory_mb,
    )
    return cleaned[:, : data.shape[1]]


def _calibrate_meegkit(clean: np.ndarray, sfreq: float, cutoff: float) -> Any:
    from meegkit.asr import ASR, asr_calibrate

    system = ASR(sfreq=sfreq, cutoff=cutoff, method="euclid")
    mixing, threshold = asr_calibrate(clean, sfreq, cutoff=cutoff, blocksize=10)
    system.state_ = {"M": mixing, "T": threshold, "R": None}
    system._fitted = True  # its own fit would choose other windows
    return system


def _process_meegkit(
    data: np.ndarray, sfreq: float, system: Any, *, chunk_s: float
) -> np.ndarray:
    n_times = data.shape[1]
    n_chunk = int(min(n_times, chunk_s * sfreq))
    starts = range(0, n_times, n_chunk)
    with redirect_stdout(StringIO()):
        pieces = [system.transform(data[:, one : one + n_chunk]) for one in starts]
    return np.hstack(pieces)


def _calibrate_asrpy(clean: np.ndarray, sfreq: float, cutoff: float) -> Any:
    from asrpy.asr import asr_calibrate

    return asr_calibrate(clean, sfreq, cutoff=cutoff, blocksize=10)


def _process_asrpy(data: np.ndarray, sfreq: float, state: Any) -> np.ndarray:
    from asrpy.asr import asr_process

    mixing, threshold = state
    n_ahead = int(WINDOW_S / 2 * sfreq)
    longer = np.pad(data, [(0, 0), (0, n_ahead)])
    step = int(WINDOW_S / 2 * sfreq)
    cleaned = asr_process(
        longer, sfreq, mixing, threshold, WINDOW_S, WINDOW_S / 2, step, mem_splits=1
    )
    return cleaned[:, n_ahead:]


def _calibrate_denoise(clean: np.ndarray, sfreq: float, cutoff: float) -> Any:
    from mne_denoise.asr import ASR

    logging.getLogger("mne_denoise").setLevel(logging.ERROR)
    system = ASR(sfreq=sfreq, cutoff=cutoff, calibration="manual", verbose="error")
    return system.fit(clean)


def _process_denoise(data: np.ndarray, sfreq: float, system: Any) -> np.ndarray:
    return system.transform(data)


OURS = System("meegic", _calibrate_ours, process_ours)


def _make_eegprep(name: str, memory_mb: int) -> System:
    return System(
        f"eegprep, {name}",
        partial(_calibrate_eegprep, memory_mb=memory_mb),
        partial(_process_eegprep, memory_mb=memory_mb),
        "eegprep",
    )


# Its calibration and its splits depend on the memory it is allowed.
EEGPREP_WHOLE = _make_eegprep("one split", 200_000)
EEGPREP_LARGE = _make_eegprep("4 GB", 4_000)
EEGPREP_USUAL = _make_eegprep("64 MB", 64)
MEEGKIT = System(
    "meegkit, chunks of 0.5 s",
    _calibrate_meegkit,
    partial(_process_meegkit, chunk_s=WINDOW_S),
    "meegkit",
)
MEEGKIT_ONE = System(
    "meegkit, one call",
    _calibrate_meegkit,
    partial(_process_meegkit, chunk_s=math.inf),
    "meegkit",
)
ASRPY = System("asrpy", _calibrate_asrpy, _process_asrpy, "asrpy")
DENOISE = System("mne-denoise", _calibrate_denoise, _process_denoise, "mne_denoise")


def find_fault(system: System) -> str | None:
    """Say why an installed system does not run with these versions, if so."""
    if system.module is None or find_spec(system.module) is None:
        return None
    noise = np.random.default_rng(0).normal(scale=10.0, size=(4, 3000))
    try:
        system.clean(noise, noise, 100.0, 20.0)
    except TypeError as error:
        return f"{system.name} (TypeError: {error})"
    return None
