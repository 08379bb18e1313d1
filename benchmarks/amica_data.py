"""The recordings that the benchmark of AMICA is measured on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from meegic.components.threads import count_threads
from meegic.components.whiten import Whitener, fit_whitener

N_THREADS = 2
_BLOCK = 2**12


@dataclass(frozen=True)
class Recording:
    """Data with a name for the tables, and what a fit makes of them first."""

    name: str
    data: np.ndarray

    @property
    def size(self) -> str:
        return f"{self.name}, {self.data.shape[0]} x {self.data.shape[1]}"

    @cached_property
    def whitener(self) -> Whitener:
        return fit_whitener(self.data)

    @cached_property
    def x(self) -> np.ndarray:
        return self.whitener(self.data)


def find_recording() -> Path | None:
    """Find the EEGLAB sample recording, which is no part of the repository."""
    beside = Path(__file__).parents[2] / "shared"
    path = Path(os.environ.get("MEEGIC_SHARED", beside)) / "data" / "eeglab_data.fdt"
    return path if path.is_file() else None


@cache
def read_real() -> Recording | None:
    """Read the sample recording: 32 channels, 238 s at 128 Hz, in microvolts."""
    path = find_recording()
    if path is None:
        return None
    data = np.fromfile(path, "<f4").reshape(30_504, 32).T
    return Recording("EEGLAB sample", np.ascontiguousarray(data, dtype=float))


@cache
def mix_laplace(
    n_channels: int = 64, n_times: int = 200_000, seed: int = 0
) -> Recording:
    """Mix independent Laplacian sources."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_channels, n_channels))
    data = np.empty((n_channels, n_times))
    for start in range(0, n_times, _BLOCK):  # no second array of this size
        span = data[:, start : start + _BLOCK]
        np.matmul(mixing, rng.laplace(size=span.shape), out=span)
    return Recording("Laplace mixture", data)


@cache
def mix_varied(n_channels: int, n_times: int, n_models: int, seed: int) -> Recording:
    """Mix sources from flat to peaked and skewed, with models that take turns."""
    rng = np.random.default_rng(seed)
    owners = np.arange(n_times) * 4 * n_models // n_times % n_models
    data = np.empty((n_channels, n_times))
    for model in range(n_models):
        times = owners == model
        sources = _draw_varied(rng, n_channels, int(times.sum()))
        data[:, times] = rng.normal(size=(n_channels, n_channels)) @ sources
    return Recording(f"varied sources {seed}, {n_models} models", data)


def _draw_varied(rng: np.random.Generator, n_sources: int, n_times: int) -> np.ndarray:
    shape = rng.uniform(0.6, 4.0, size=(n_sources, 1))
    sign = rng.choice([-1.0, 1.0], size=(n_sources, n_times))
    size = rng.gamma(1 / shape, size=(n_sources, n_times)) ** (1 / shape)
    sources = sign * size
    skewed = rng.random(n_sources) < 0.3
    sources[skewed] += rng.exponential(2.0, size=(int(skewed.sum()), n_times))
    return sources / sources.std(axis=1, keepdims=True)


@contextmanager
def two_threads() -> Iterator[None]:
    """Give every system the same two processors."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:N_THREADS])
    count_threads.cache_clear()
    try:
        with threadpool_limits(N_THREADS):
            yield
    finally:
        os.sched_setaffinity(0, before)
        count_threads.cache_clear()
