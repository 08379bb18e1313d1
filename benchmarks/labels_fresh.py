"""Labelling in a process of its own: import, first call, warm calls, memory."""

import json
import sys
import time
import warnings
from importlib import import_module
from typing import Any

import mne
import numpy as np

from benchmarks.harness import _read_memory, _restart_peak

CALLS = {
    "meegic": ("meegic.labels.edge.labelling", {}),
    "mne-icalabel": ("mne_icalabel.iclabel", {"backend": "onnx"}),
}
"""Where `iclabel_label_components` lies, and what it is told."""

N_WARM = 3


def measure(name: str, raw_path: str, ica_path: str) -> dict[str, float]:
    """Label a stored recording several times; it is read before that."""
    with warnings.catch_warnings(), mne.use_log_level("error"):
        warnings.simplefilter("ignore")
        return _measure(name, raw_path, ica_path)


def _measure(name: str, raw_path: str, ica_path: str) -> dict[str, float]:
    raw = mne.io.read_raw_fif(raw_path, preload=True)
    ica = mne.preprocessing.read_ica(ica_path)
    data_bytes = raw.n_times * len(raw.ch_names) * np.dtype(float).itemsize

    start = time.perf_counter()
    module, options = CALLS[name]
    label: Any = import_module(module).iclabel_label_components
    imported = time.perf_counter() - start
    seconds, added = [], []
    for _ in range(1 + N_WARM):
        before = _restart_peak()
        start = time.perf_counter()
        label(raw, ica, inplace=False, **options)
        seconds.append(time.perf_counter() - start)
        added.append(np.nan if before is None else _read_memory("VmHWM") - before)
    return {
        "import s": imported,
        "first call s": seconds[0],
        "warm s": min(seconds[1:]),
        "first adds per data": added[0] / data_bytes,
        "warm adds per data": max(added[1:]) / data_bytes,
    }


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
