"""The spectral shaping that ASR looks at data through.

Artifacts stand out where brain activity is weak. The shaping filter raises those
frequencies, so that a muscle or a drift is seen before it is large. It is a recursive
filter of order 8 whose magnitude follows a curve given by nodes, designed by the
modified Yule-Walker equations [1]_.

References
----------
.. [1] Friedlander & Porat (1984). The modified Yule-Walker method of ARMA spectral
   estimation. IEEE Transactions on Aerospace and Electronic Systems 20(2), 158-173.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.linalg import lstsq, toeplitz
from scipy.signal import freqz, lfilter, tf2sos

from meegic.base.checks import check_range
from meegic.base.errors import OptionError

_ORDER = 8
_N_LAGS = 4 * _ORDER
_N_GRID = 1024
_MARGIN = 1e-9

# The curve of the reference, up to where the Nyquist frequency cuts it.
_NODES_HZ = (0.0, 2.0, 3.0, 13.0, 16.0, 40.0, 80.0)
_GAINS = (3.0, 0.75, 0.33, 0.33, 1.0, 1.0, 3.0)


def design_shaping(sfreq: float) -> Float[np.ndarray, "sections 6"]:
    """Design the shaping filter for a sampling rate.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    array, shape (4, 6)
        Second-order sections, as SciPy lays them out.

    Examples
    --------
    >>> design_shaping(250.0).shape
    (4, 6)
    """
    numerator, denominator = design_shaping_polynomials(sfreq)
    sections = tf2sos(numerator, denominator)
    radius = max(np.abs(np.roots(one)).max(initial=0.0) for one in sections[:, 3:])
    if radius >= 1 - _MARGIN:
        raise OptionError(
            f"sfreq must allow a stable shaping filter, but at {sfreq!r} Hz it has a "
            f"pole of modulus {radius:.9g}.",
            hint="Resample the data, for instance to 250 Hz.",
        )
    return sections


def design_shaping_polynomials(
    sfreq: float,
) -> tuple[Float[np.ndarray, " order"], Float[np.ndarray, " order"]]:
    """Design the shaping filter as numerator and denominator.

    For comparison with other programs. At high rates these coefficients cannot be
    used for filtering; :func:`design_shaping` gives sections that can.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    numerator, denominator : array, shape (9,)
        Coefficients of falling powers.

    Examples
    --------
    >>> design_shaping_polynomials(128.0)[1][0].item()
    1.0
    """
    check_range("sfreq", sfreq, low=8.0, open_high=True, unit="Hz")
    magnitude = _sample_curve(*shaping_nodes(sfreq))
    lags = np.arange(_N_LAGS)
    window = 0.54 + 0.46 * np.cos(np.pi * lags / (_N_LAGS - 1))
    correlation = np.fft.ifft(magnitude**2).real[:_N_LAGS] * window
    denominator = _find_denominator(correlation)
    return _find_numerator(correlation, denominator), denominator


def shaping_nodes(sfreq: float) -> tuple[np.ndarray, np.ndarray]:
    """List the nodes of the magnitude curve below and at the Nyquist frequency.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    frequencies : array, shape (n_nodes,)
        In Hz, from 0 to the Nyquist frequency.
    gains : array, shape (n_nodes,)
        The magnitude there; it is linear in between.

    Examples
    --------
    >>> shaping_nodes(128.0)[0].tolist()
    [0.0, 2.0, 3.0, 13.0, 16.0, 40.0, 63.0, 64.0]
    """
    nyquist = sfreq / 2
    last = min(_NODES_HZ[-1], nyquist - 1)
    if last > _NODES_HZ[-2]:
        return np.array([*_NODES_HZ[:-1], last, nyquist]), np.array([*_GAINS, 3.0])
    # The reference keeps its node at 40 Hz beyond the Nyquist frequency; the curve
    # below it is the same.
    below = [node for node in _NODES_HZ if node < nyquist - 1]
    end = np.interp(nyquist, _NODES_HZ, _GAINS)
    return np.array([*below, nyquist]), np.array([*_GAINS[: len(below)], end])


def _sample_curve(frequencies: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Sample the curve around the whole circle, each piece from the next point on."""
    n_half = _N_GRID // 2 + 1
    curve = np.zeros(n_half)
    begin = 0
    ends = (frequencies[1:] / frequencies[-1] * n_half).astype(int)
    for end, pair in zip(ends, pairwise(gains), strict=True):
        curve[begin:end] = np.linspace(*pair, end - begin)
        begin = end
    return np.concatenate([curve, curve[-2:0:-1]])


def _find_denominator(correlation: np.ndarray) -> np.ndarray:
    columns = correlation[_ORDER:-1]
    lags = toeplitz(columns, correlation[_ORDER:0:-1])
    tail = _least_squares(lags, -correlation[_ORDER + 1 :])
    roots = np.roots([1.0, *tail]).astype(complex)
    outside = np.abs(roots) > 1
    roots[outside] = 1 / roots[outside].conj()
    return np.real(np.poly(roots))


def _find_numerator(correlation: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Fit the impulse response of minimum phase, found through the cepstrum."""
    wing = np.concatenate([correlation[:1] / 2, correlation[1:]])
    additive = _fit_response(wing, denominator)
    _, response = freqz(additive, denominator, _N_GRID, whole=True)
    cepstrum = np.fft.ifft(np.log(2 * response.real + 0j))
    half = _N_GRID // 2
    causal = np.concatenate([[0.5], np.ones(half - 1), np.zeros(half)])
    impulse = np.fft.ifft(np.exp(np.fft.fft(causal * cepstrum)))
    return np.real(_fit_response(impulse[:_N_LAGS], denominator))


def _fit_response(impulse: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Find the numerator whose impulse response comes nearest."""
    ringing = lfilter([1.0], denominator, np.eye(1, _N_LAGS)[0])
    shifted = toeplitz(ringing, np.zeros(_ORDER + 1))
    return _least_squares(shifted, impulse)


def _least_squares(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve by pivoted QR: normal equations have a condition of 1e11 at 2 kHz."""
    return lstsq(matrix, right, lapack_driver="gelsy")[0]
