"""Streaming stages need no more memory for a longer recording."""

import tracemalloc

import numpy as np

from meegic.clean.statistics import measure_recording


def peak_of(n_chunks):
    """Peak memory in bytes of measuring so many chunks, made one at a time."""
    rng = np.random.default_rng(0)
    chunks = (rng.standard_normal((8, 2**16)) for _ in range(n_chunks))
    tracemalloc.start()
    measure_recording(chunks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_statistics_of_a_recording_four_times_as_long_take_the_same_memory():
    peak_of(1)  # what is imported and compiled once
    assert peak_of(12) < 1.1 * peak_of(3)
