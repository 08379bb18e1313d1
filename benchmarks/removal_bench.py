"""Blinks in two conditions: how well they are removed, beside pyAMICA's AmicaICA."""

import time
import warnings
from functools import partial
from typing import Any

import mne
import numpy as np

from benchmarks.amica_data import two_threads
from benchmarks.harness import Case, Comparison, Outcome, compare

N_EEG, SFREQ, HALF = 8, 250, 15 * 250
MEEGIC = {"verbose": False, "max_iter": 200}


def run(quick: bool) -> list[Comparison]:
    """Compare errors of the cleaned recording relative to the one without blinks."""
    seeds = range(2 if quick else 10)
    cases = [
        Case("meegic, hard", partial(_clean_all, seeds, mode="hard")),
        Case("meegic, soft", partial(_clean_all, seeds, mode="soft")),
        Case("meegic, as pyAMICA", partial(_clean_all, seeds, compat="pyamica")),
        Case("pyAMICA", partial(_clean_theirs, seeds), peer="pyamica"),
    ]
    title = (
        f"Two conditions with blinks, {N_EEG} x {2 * HALF}, two models, {len(seeds)} "
        "starts; error: relative to the recording without blinks, as it is and without "
        "offsets; blinks found by correlation, by MNE's rule at 0.5"
    )
    with two_threads(), mne.use_log_level("error"):
        return [compare(title, cases, repeats=0, baseline="meegic, hard")]


def mix_conditions() -> tuple[mne.io.BaseRaw, np.ndarray]:
    """Two mixings of peaked sources, one blink map; and the recording without it."""
    rng = np.random.default_rng(42)
    blink_map = rng.standard_normal(N_EEG)
    mixings = [rng.standard_normal((N_EEG, N_EEG - 1)) for _ in range(2)]
    sources = [1e-5 * rng.laplace(size=(N_EEG - 1, HALF)) for _ in range(2)]
    brain = np.hstack([a @ s for a, s in zip(mixings, sources, strict=True)])
    times = np.arange(2 * HALF) / SFREQ
    peaks = np.arange(1.5, 30, 3.0)
    blinks = 25e-6 * np.exp(-0.5 * ((times - peaks[:, None]) / 0.15) ** 2).sum(axis=0)
    names = [*(f"EEG{k:03d}" for k in range(1, N_EEG + 1)), "VEOG"]
    info = mne.create_info(names, SFREQ, ["eeg"] * N_EEG + ["eog"])
    data = np.vstack([brain + blink_map[:, None] * blinks, blinks])
    return mne.io.RawArray(data, info, verbose="error"), brain


def _clean_all(seeds: range, mode: str = "hard", **options: Any) -> Outcome:
    from meegic import AmicaICA

    rows = [
        _clean(AmicaICA(n_models=2, random_state=seed, **MEEGIC, **options), mode=mode)
        for seed in seeds
    ]
    return _summarize(rows)


def _clean_theirs(seeds: range) -> Outcome:
    import torch
    from pyamica import AmicaICA

    rows = []
    for seed in seeds:
        torch.manual_seed(seed)
        rows.append(_clean(AmicaICA(n_models=2, **MEEGIC)))
    return _summarize(rows)


def _clean(ica: Any, **apply: Any) -> tuple[float, dict[str, float]]:
    """Fit, find the blinks of each model, remove them, compare."""
    raw, brain = mix_conditions()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 200 passes do not end the fit
        ica.fit(raw, picks="eeg")
    seconds = time.perf_counter() - start
    n_found = 0
    for h in range(2):
        found, scores = ica.find_bads_eog(
            raw, model_idx=h, ch_name="VEOG", measure="correlation", threshold=0.5
        )
        n_found += len(found)
        if not len(found):
            found = [int(np.argmax(np.abs(scores)))]
        ica.get_mne_ica(h).exclude = found
    clean = ica.apply(raw.copy(), **apply).get_data(picks="eeg")
    before = raw.get_data(picks="eeg")
    halves = np.stack([clean - brain, brain]).reshape(2, N_EEG, 2, HALF)
    moving = halves - halves.mean(axis=-1, keepdims=True)
    return seconds, {
        "error": np.linalg.norm(clean - brain) / np.linalg.norm(brain),
        "without offsets": np.linalg.norm(moving[0]) / np.linalg.norm(moving[1]),
        "found": n_found,
        "removed µV": 1e6 * np.abs(before - clean)[3].max(),
        "remaining µV": 1e6 * np.abs(clean[3]).max(),
        "true µV": 1e6 * np.abs(brain[3]).max(),
    }


def _summarize(rows: list[tuple[float, dict[str, float]]]) -> Outcome:
    values = {
        name: float(np.median([one[name] for _, one in rows])) for name in rows[0][1]
    }
    return Outcome([seconds for seconds, _ in rows], values)
