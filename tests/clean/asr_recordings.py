"""Small recordings for the tests of artifact subspace reconstruction."""

import numpy as np

# 20 is no cutoff that is warned of.
CUTOFF = 20.0


def make_clean(n_channels=5, n_times=3000, seed=0):
    """Mixed sources that wax and wane a little, as calibration data do."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_channels, n_channels)) + 2 * np.eye(n_channels)
    return mixing @ rng.standard_normal((n_channels, n_times))


def add_bursts(data, height=200.0, spans=((400, 550), (1201, 1260))):
    """Add a pattern to spans of samples."""
    pattern = np.random.default_rng(9).standard_normal(len(data))
    spoiled = data.copy()
    for start, stop in spans:
        spoiled[:, start:stop] += height * pattern[:, None]
    return spoiled
