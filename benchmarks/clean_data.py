"""The recordings that the benchmark of cleaning is measured on."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property

import mne
import numpy as np

from meegic.clean.windows import find_clean_windows
from meegic.preprocessing.asr import ASRState, calibrate_asr
from meegic.simulation.asr_benchmark import ArtifactBenchmark, simulate_artifacts

UNIT_V = 1e-6


@dataclass(frozen=True)
class Size:
    """How large the simulated recordings are."""

    n_channels: int
    sfreq: float
    duration_s: float
    lead_s: float

    def __str__(self) -> str:
        return f"{self.n_channels} channels, {self.duration_s:g} s at {self.sfreq:g} Hz"


FULL = Size(64, 500.0, 300.0, 60.0)
QUICK = Size(16, 100.0, 60.0, 30.0)


@dataclass(frozen=True)
class Recording:
    """A simulated recording; in microvolts, as some peers need it."""

    benchmark: ArtifactBenchmark
    data: np.ndarray
    clean: np.ndarray

    @property
    def sfreq(self) -> float:
        return self.benchmark.sfreq

    @property
    def calibration(self) -> np.ndarray:
        """The samples in clean windows, the same for all systems."""
        return self.data[:, self.clean]

    @cached_property
    def state(self) -> ASRState:
        """Our calibration, which serves all cutoffs."""
        return calibrate_asr(self.calibration, 20.0, sfreq=self.sfreq)


@cache
def read_positions(n_channels: int) -> np.ndarray:
    """Read directions of channels that are spread over the cap of 64."""
    montage = mne.channels.make_standard_montage("biosemi64")
    positions = np.array(list(montage.get_positions()["ch_pos"].values()))
    chosen = positions[:: len(positions) // n_channels][:n_channels]
    return chosen / np.linalg.norm(chosen, axis=1, keepdims=True)


@cache
def simulate(size: Size, key: int) -> Recording:
    """Simulate a recording with artifacts, and find its clean windows."""
    benchmark = simulate_artifacts(
        read_positions(size.n_channels),
        sfreq=size.sfreq,
        duration_s=size.duration_s,
        lead_s=size.lead_s,
        key=key,
    )
    data = benchmark.data / UNIT_V
    return Recording(benchmark, data, find_calibration(data, size.sfreq))


def find_calibration(data: np.ndarray, sfreq: float) -> np.ndarray:
    """Find clean windows by the strict rule that ASR is calibrated with."""
    with quiet():
        return find_clean_windows(
            data, sfreq, max_bad_channels=0.075, z_limits=(-3.5, 5.5)
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what low cutoffs and short calibrations are warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
