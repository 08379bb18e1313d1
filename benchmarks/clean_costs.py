"""What splines, Riemannian means and detectors cost beside MNE and other peers."""

from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO

import mne
import numpy as np

from benchmarks.clean_data import read_positions
from benchmarks.harness import Case, Comparison, Outcome, compare
from meegic.clean.artifacts import detect_artifacts_riemann
from meegic.clean.line_noise import remove_line_noise
from meegic.clean.muscle import find_muscle, muscle_score
from meegic.preprocessing.artifact import covariance_mean
from meegic.preprocessing.interpolate import spherical_spline_interpolate

SFREQ, LINE = 500.0, 50.0
BAD = [3, 17, 30, 51]


def compare_splines(quick: bool) -> list[Comparison]:
    """Compare the interpolation of four channels, and what its second use costs."""
    positions = read_positions(64)
    data = _draw(64, 5_000 if quick else 150_000)
    raw = _make_raw(data)
    repeats = 2 if quick else 7
    cases = [
        Case("numpy, a known matrix", partial(_multiply, data)),
        Case("meegic", partial(spherical_spline_interpolate, data, BAD, positions)),
        Case("mne", partial(_interpolate_by_mne, raw)),
    ]
    title = f"Splines, {len(BAD)} of {data.shape[0]} channels, {data.shape[1]} samples"
    long = compare(title, cases, repeats=repeats, baseline=cases[0].name)
    one = data[:, :1]
    again = partial(spherical_spline_interpolate, one, BAD, positions)
    cases = [
        Case("meegic", again),
        Case("mne", partial(_interpolate_by_mne, _make_raw(one))),
    ]
    title = "Splines, another sample with the same bad channels"
    return [long, compare(title, cases, repeats=9, baseline="meegic")]


def compare_means(quick: bool) -> Comparison:
    """Compare Riemannian means that stop at the same tolerance."""
    covariances = _draw_covariances(*((50, 16) if quick else (300, 64)))
    cases = [
        Case("meegic", partial(covariance_mean, covariances, tolerance=1e-8)),
        Case("pyriemann", partial(_mean_by_pyriemann, covariances), peer="pyriemann"),
    ]
    title = f"Riemannian mean of {_name_size(covariances)}"
    return compare(title, cases, repeats=2 if quick else 5, baseline="meegic")


def compare_potatoes(quick: bool) -> Comparison:
    """Compare potatoes; found: how many of the tenth that are outliers, and others."""
    covariances = _draw_covariances(*((60, 8) if quick else (300, 32)))
    n_outliers = len(covariances) // 10
    generator = np.random.default_rng(1)
    covariances[:n_outliers] *= generator.uniform(3, 30, (n_outliers, 1, 1))
    detect = partial(detect_artifacts_riemann, covariances, 3.0)
    cases = [
        Case("meegic", partial(_count, detect, n_outliers)),
        Case("one pass", partial(_count, partial(detect, robust=False), n_outliers)),
        Case(
            "pyriemann",
            partial(_count, partial(_detect_by_pyriemann, covariances), n_outliers),
            peer="pyriemann",
        ),
    ]
    title = f"Potato of {_name_size(covariances)}, {n_outliers} of them outliers"
    return compare(title, cases, repeats=1 if quick else 5, baseline="meegic")


def compare_muscle(quick: bool) -> Comparison:
    """Compare scores of muscles, and where they are."""
    data = _draw(8 if quick else 64, 10_000 if quick else 150_000)
    raw = _make_raw(data)
    cases = [
        Case("meegic", partial(_find_muscle, data)),
        Case("mne", partial(_annotate_by_mne, raw)),
    ]
    title = f"Muscles, {data.shape[0]} x {data.shape[1]} at {SFREQ:g} Hz"
    return compare(title, cases, repeats=1 if quick else 5, baseline="meegic")


def compare_line_noise(quick: bool) -> Comparison:
    """Compare what is left of a line in few directions, and what is lost beside it."""
    brain, line = _mix_line(quick)
    cleaners = {
        "meegic": (partial(remove_line_noise, sfreq=SFREQ, line_freq=LINE), None),
        "meegkit, dss_line": (_clean_by_meegkit, "meegkit"),
        "mne-denoise, ZapLine": (_clean_by_denoise, "mne_denoise"),
        "mne, notch": (_clean_by_mne, None),
    }
    cases = [
        Case(name, partial(_remove, clean, brain, line), peer=peer)
        for name, (clean, peer) in cleaners.items()
    ]
    title = (
        f"Line noise, {line.shape[0]} x {line.shape[1]} at {SFREQ:g} Hz; left: power "
        "of the error at the line over that of the line, in dB; error: relative, of all"
    )
    return compare(title, cases, repeats=1 if quick else 3, baseline="meegic")


def _draw(n_channels: int, n_times: int) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=20e-6, size=(n_channels, n_times))


def _draw_covariances(n: int, size: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(size, size))
    data = mixing @ generator.normal(size=(n, size, 4 * size))
    return data @ data.swapaxes(1, 2) / data.shape[-1]


def _name_size(covariances: np.ndarray) -> str:
    n, size, _ = covariances.shape
    return f"{n} matrices of {size} x {size}"


def _make_raw(data: np.ndarray) -> mne.io.RawArray:
    montage = mne.channels.make_standard_montage("biosemi64")
    names = montage.ch_names[: len(data)]
    raw = mne.io.RawArray(data, mne.create_info(names, SFREQ, "eeg"), verbose="error")
    raw.info["bads"] = [names[one] for one in BAD if one < len(names)]
    return raw.set_montage(montage)


def _multiply(data: np.ndarray) -> np.ndarray:
    """Do the least that an interpolation must do: copy, and put a product in."""
    operator = np.full((len(BAD), len(data) - len(BAD)), 1 / 60)
    result = data.copy()
    result[BAD] = operator @ np.delete(data, BAD, axis=0)
    return result


def _interpolate_by_mne(raw: mne.io.RawArray) -> mne.io.RawArray:
    return raw.copy().interpolate_bads(origin=(0.0, 0.0, 0.0), verbose="error")


def _mean_by_pyriemann(covariances: np.ndarray) -> np.ndarray:
    from pyriemann.geometry.mean import mean_riemann

    return mean_riemann(covariances, tol=1e-8, maxiter=50)


def _detect_by_pyriemann(covariances: np.ndarray) -> np.ndarray:
    from pyriemann.artifact_detection import Potato

    return Potato(threshold=3).fit(covariances).predict(covariances) == 0


def _count(detect: Callable[[], np.ndarray], n_outliers: int) -> Outcome:
    found = detect()
    hits, misses = found[:n_outliers].sum(), found[n_outliers:].sum()
    return Outcome(values={"found": float(hits), "others": float(misses)})


def _find_muscle(data: np.ndarray) -> np.ndarray:
    return find_muscle(muscle_score(data, SFREQ), SFREQ)


def _annotate_by_mne(raw: mne.io.RawArray) -> None:
    mne.preprocessing.annotate_muscle_zscore(raw, ch_type="eeg", verbose="error")


def _mix_line(quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Make brain activity, and a line with harmonics in two directions."""
    n_channels, n_times = (8, 10_000) if quick else (64, 30_000)
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(n_channels, n_channels))
    brain = 2e-6 * mixing @ generator.normal(size=(n_channels, n_times))
    phases = 2 * np.pi * LINE * np.arange(n_times) / SFREQ
    courses = np.stack([np.sin(phases), np.cos(phases) + 0.3 * np.sin(3 * phases)])
    return brain, 20e-6 * generator.normal(size=(n_channels, 2)) @ courses


def _remove(
    clean: Callable[[np.ndarray], np.ndarray], brain: np.ndarray, line: np.ndarray
) -> Outcome:
    error = clean(brain + line) - brain
    left = _power_at_line(error) / _power_at_line(line)
    return Outcome(
        values={
            "left dB": float(10 * np.log10(left)),
            "error": float(np.linalg.norm(error) / np.linalg.norm(brain)),
        }
    )


def _power_at_line(data: np.ndarray) -> float:
    wave = np.exp(-2j * np.pi * LINE / SFREQ * np.arange(data.shape[1]))
    return float((np.abs(data @ wave) ** 2).sum())


def _clean_by_meegkit(data: np.ndarray) -> np.ndarray:
    from meegkit.dss import dss_line

    with redirect_stdout(StringIO()):
        cleaned, _ = dss_line(data.T.copy(), LINE, SFREQ, nremove=2)
    return cleaned.T


def _clean_by_denoise(data: np.ndarray) -> np.ndarray:
    from mne_denoise.zapline import ZapLine

    return ZapLine(SFREQ, LINE, verbose="error").fit_transform(data)


def _clean_by_mne(data: np.ndarray) -> np.ndarray:
    freqs = np.arange(LINE, SFREQ / 2, LINE)
    return mne.filter.notch_filter(data, SFREQ, freqs, verbose="error")
