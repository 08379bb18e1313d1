"""Second-order statistics along time: power spectra and autocorrelation."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float
from scipy.fft import next_fast_len
from scipy.signal import welch

from meegic.base.checks import check_count, check_finite, check_option, check_range
from meegic.base.errors import InputError, ShapeError


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Spectrum:
    """One-sided power spectral density.

    Attributes
    ----------
    freqs : array, shape (n_freqs,)
        Evenly spaced frequencies from zero, in Hz.
    power : array, shape (..., n_freqs)
        Density in the squared unit of the data per Hz.
    """

    freqs: Float[np.ndarray, " freqs"]
    power: Float[np.ndarray, "*rows freqs"]


def welch_power(
    data: np.ndarray,
    sfreq: float,
    *,
    window_s: float,
    overlap: float = 0.5,
    average: str = "mean",
) -> Spectrum:
    """Estimate power spectra from overlapping Hann windows.

    Every window is centered, so that an offset does not leak into the low frequencies.

    Parameters
    ----------
    data : array, shape (..., n_times)
        The signals, in any unit.
    sfreq : float
        Sampling frequency in Hz.
    window_s : float
        Length of a window in seconds. Frequencies are ``1 / window_s`` apart.
    overlap : float
        Which fraction of a window the next one repeats.
    average : 'mean' | 'median'
        How windows are joined. The median, corrected for its bias in Gaussian noise,
        ignores what happens in a minority of the windows.

    Returns
    -------
    Spectrum
        Frequencies from zero to half of ``sfreq``, and the density, in float64.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((2, 5000))
    >>> welch_power(noise, 250.0, window_s=2.0).power.shape
    (2, 251)
    """
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    check_range("overlap", overlap, low=0.0, high=1.0, open_high=True)
    check_option("average", average, ["mean", "median"])
    data = _take_rows(data)
    longest = data.shape[-1] / sfreq
    check_range("window_s", window_s, low=4 / sfreq, high=longest, unit="s")
    n_window = min(round(window_s * sfreq), data.shape[-1])
    freqs, power = welch(
        data,
        sfreq,
        nperseg=n_window,
        noverlap=int(overlap * n_window),
        average=average,
    )
    return Spectrum(freqs, power)


def band_power(
    spectrum: Spectrum, *, low: float = 0.0, high: float = np.inf
) -> np.ndarray | np.floating:
    """Integrate a spectrum over a band, from ``low`` up to but without ``high``.

    Bands that touch share no bin, so that their powers add up.

    Parameters
    ----------
    spectrum : Spectrum
        What :func:`welch_power` made.
    low, high : float
        Edges of the band in Hz.

    Returns
    -------
    array, shape (...)
        The power, in the squared unit of the data.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 10 * np.arange(1000) / 250)
    >>> spectrum = welch_power(tone, 250.0, window_s=2.0)
    >>> band_power(spectrum, low=8.0, high=12.0).round(6)
    np.float64(0.5)
    """
    check_range("low", low, low=0.0, unit="Hz")
    check_range("high", high, low=low, open_low=True, unit="Hz")
    inside = (spectrum.freqs >= low) & (spectrum.freqs < high)
    if not inside.any():
        raise InputError(
            f"The band from {low:g} to {high:g} Hz holds none of the frequencies from "
            f"0 to {spectrum.freqs[-1]:g} Hz in steps of {spectrum.freqs[1]:g} Hz.",
            hint="Widen the band, or use longer windows.",
        )
    return spectrum.power[..., inside].sum(axis=-1) * spectrum.freqs[1]


def autocorrelation(
    data: np.ndarray, *, n_lags: int
) -> Float[np.ndarray, "*rows lags"]:
    r"""Correlate every signal with itself, later.

    The biased estimate :math:`r_k = \sum_t x_t x_{t+k} / \sum_t x_t^2`, whose values
    never exceed one. The mean is not removed.

    Parameters
    ----------
    data : array, shape (..., n_times)
        The signals, in any unit.
    n_lags : int
        The largest lag, in samples.

    Returns
    -------
    array, shape (..., n_lags + 1)
        Lags from zero, where it is one, to ``n_lags``.

    Examples
    --------
    >>> autocorrelation(np.array([1.0, -1.0, 1.0, -1.0]), n_lags=2)
    array([ 1.  , -0.75,  0.5 ])
    """
    data = _take_rows(data)
    n_times = data.shape[-1]
    check_count("n_lags", n_lags, high=n_times - 1)
    # Divided by the peak, the squares of no unit underflow.
    peak = np.abs(data).max(axis=-1, keepdims=True)
    _refuse_zeros(peak[..., 0])
    n_fft = next_fast_len(n_times + n_lags, real=True)
    squares = np.abs(np.fft.rfft(data / peak, n_fft)) ** 2
    sums = np.fft.irfft(squares, n_fft)[..., : n_lags + 1]
    return sums / sums[..., :1]


def _refuse_zeros(peak: np.ndarray) -> None:
    """Name the first signal that is zero throughout."""
    if not peak.all():
        first = tuple(int(one) for one in np.argwhere(peak == 0)[0])
        raise InputError(
            f"data must not be zero throughout, but {int((peak == 0).sum())} rows are, "
            f"the first at index {first}.",
            hint="Leave flat rows out; they have no autocorrelation.",
        )


def _take_rows(data: np.ndarray) -> np.ndarray:
    """Take finite signals in float64."""
    data = np.asarray(data, dtype=float)
    if data.size == 0:
        raise ShapeError(f"data is empty: its shape is {data.shape}.")
    check_finite("data", data)
    return data
