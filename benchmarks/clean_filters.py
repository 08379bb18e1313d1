"""What filters and resampling cost, beside SciPy, MNE and a scan over samples."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import mne
import numpy as np
from scipy import signal

from benchmarks.harness import Case, Comparison, compare
from meegic.preprocessing.filter import apply_filter, design_filter
from meegic.preprocessing.resample import resample_minimal

SFREQ, BAND, ORDER = 500.0, (1.0, 40.0), 4
RATES = ((500, 250), (512, 200), (500, 128))


def compare_causal(quick: bool) -> Comparison:
    """Compare filters that know the past only."""
    double, single = _make_signals(quick)
    sos, design = _design()
    cases = [
        Case("scipy float64", partial(signal.sosfilt, sos, double)),
        # SciPy computes in the wider of the two dtypes.
        Case("scipy float32", partial(signal.sosfilt, sos.astype("f4"), single)),
        Case("meegic float64", partial(apply_filter, double, design, phase="forward")),
        Case("meegic float32", partial(apply_filter, single, design, phase="forward")),
        Case("scan float64", partial(scan_precisely, double)),
        Case("scan float32", partial(scan_samples, single)),
        Case("mne iir", partial(_run_mne, double, method="iir", phase="forward")),
    ]
    return _compare("Causal", cases, double, quick)


def compare_zero_phase(quick: bool) -> Comparison:
    """Compare filters without delay."""
    double, single = _make_signals(quick)
    sos, design = _design()
    cases = [
        Case("scipy float64", partial(signal.sosfiltfilt, sos, double)),
        Case("scipy float32", partial(signal.sosfiltfilt, sos.astype("f4"), single)),
        Case("meegic float64", partial(apply_filter, double, design)),
        Case("meegic float32", partial(apply_filter, single, design)),
        Case("mne iir", partial(_run_mne, double, method="iir", phase="zero")),
        Case("mne fir", partial(_run_mne, double, method="fir", phase="zero")),
    ]
    return _compare("Zero-phase", cases, double, quick)


def compare_resampling(quick: bool) -> dict[str, Comparison]:
    """Compare changes of the rate; each under its name."""
    n_channels, duration_s = (8, 20) if quick else (64, 300)
    results = {}
    for old, new in RATES[:1] if quick else RATES:
        data = _draw(n_channels, duration_s * old)
        ratio = (new // np.gcd(old, new), old // np.gcd(old, new))
        theirs = partial(mne.filter.resample, data, *ratio, verbose="error")
        cases = [
            Case("scipy", partial(signal.resample_poly, data, *ratio, axis=-1)),
            Case("meegic", partial(resample_minimal, data, old, new)),
            Case("mne fft", theirs),
            Case("mne polyphase", partial(theirs, method="polyphase")),
            Case("soxr HQ", partial(_run_soxr, data, old, new), peer="soxr"),
        ]
        title = f"From {old} to {new} Hz, {n_channels} x {data.shape[1]}, float64"
        results[f"resampling {old} to {new}"] = compare(
            title, cases, repeats=2 if quick else 7, baseline="scipy"
        )
    return results


def _compare(kind: str, cases: list[Case], data: np.ndarray, quick: bool) -> Comparison:
    low, high = BAND
    title = (
        f"{kind} filter, {low:g}-{high:g} Hz, order {ORDER}, "
        f"{data.shape[0]} x {data.shape[1]}"
    )
    return compare(title, cases, repeats=2 if quick else 9, baseline="scipy float64")


def _make_signals(quick: bool) -> tuple[np.ndarray, np.ndarray]:
    double = _draw(*((8, 30_000) if quick else (64, 150_000)))
    return double, double.astype(np.float32)


def _draw(n_channels: int, n_times: int) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=20e-6, size=(n_channels, n_times))


def _design() -> tuple[np.ndarray, Any]:
    low, high = BAND
    sos = signal.butter(ORDER, BAND, "bandpass", fs=SFREQ, output="sos")
    return sos, design_filter(SFREQ, l_freq=low, h_freq=high, order=ORDER)


def _run_mne(data: np.ndarray, method: str, phase: str) -> np.ndarray:
    iir = {"order": ORDER, "ftype": "butter"} if method == "iir" else None
    return mne.filter.filter_data(
        data, SFREQ, *BAND, method=method, phase=phase, iir_params=iir, verbose="error"
    )


def _run_soxr(data: np.ndarray, old: int, new: int) -> np.ndarray:
    import soxr

    return soxr.resample(data.T, old, new)


def scan_samples(data: np.ndarray) -> jax.Array:
    """Filter as neurojax does: sample by sample, by the coefficients themselves."""
    return _make_scan()(jnp.asarray(data))


def scan_precisely(data: np.ndarray) -> jax.Array:
    with jax.enable_x64(True):
        return scan_samples(data)


@cache
def _make_scan() -> Callable[[jax.Array], jax.Array]:
    b, a = signal.butter(ORDER, BAND, "bandpass", fs=SFREQ)

    @jax.jit
    def run(data: jax.Array) -> jax.Array:
        later_b, later_a = (jnp.asarray(one[1:], data.dtype) for one in (b, a))

        def step(state: jax.Array, sample: jax.Array) -> tuple[jax.Array, jax.Array]:
            y = b[0].astype(data.dtype) * sample + state[0]
            moved = jnp.concatenate([state[1:], jnp.zeros(1, data.dtype)])
            return moved + later_b * sample - later_a * y, y

        start = jnp.zeros(len(later_b), data.dtype)
        return jax.vmap(lambda row: jax.lax.scan(step, start, row)[1])(data)

    return run
