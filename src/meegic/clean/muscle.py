"""Muscle activity: how loud every sample is where muscles are and the brain is not."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.fft import next_fast_len
from scipy.signal import hilbert

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_range, check_shape
from meegic.base.errors import DataWarning, InputError
from meegic.base.spans import find_spans
from meegic.clean.filter import apply_filter
from meegic.clean.filter_design import Filter, design_filter
from meegic.clean.windows import take_mask

BAND = (110.0, 140.0)
"""Where muscles are louder than the brain and the line, in Hz."""


def muscle_score(
    data: Array,
    sfreq: float,
    *,
    good: np.ndarray | None = None,
    freqs: tuple[float, float] = BAND,
    reference: Array | None = None,
) -> Float[np.ndarray, " times"]:
    """Score how much louder than usual muscles are at every sample [1]_.

    The envelope of every channel in a high band is taken to z scores. These are summed
    over channels, divided by the root of their number and smoothed below 4 Hz.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, one type of channel, in any unit.
    sfreq : float
        Sampling frequency in Hz, at least 240. Below 300 the band is narrowed.
    good : array of bool, shape (n_times,) | None
        Samples that count; the others get NaN.
    freqs : tuple of float
        The band in Hz.
    reference : array, shape (n_channels, n_any) | None
        What usual is. ``None`` is the data themselves.

    Returns
    -------
    array, shape (n_times,)
        The scores; above 4 is muscle.

    References
    ----------
    .. [1] Muthukumaraswamy (2013). High-frequency brain activity and muscle artifacts
       in MEG/EEG: a review and recommendations. Frontiers in Human Neuroscience 7, 138.

    Examples
    --------
    >>> data = np.random.default_rng(0).standard_normal((3, 5000))
    >>> data[:, 2000:2200] *= 10
    >>> score = muscle_score(data, 500.0)
    >>> score.argmax() // 200, bool(score[2100] > 4 > score[:1800].max())
    (np.int64(10), True)
    """
    data = check_data("data", data)
    check_finite("data", data)
    band = _design_band(freqs, sfreq)
    counted = take_mask(good, data.shape[1], name="good")
    if not counted.any():
        raise InputError("good must mark at least one sample, but marks none.")
    usual = data if reference is None else check_data("reference", reference)
    check_shape("reference", usual, (len(data), None))
    check_finite("reference", usual)
    total = np.zeros(int(counted.sum()))
    for index, row in enumerate(data):
        envelope = _measure_envelope(row, band)[counted]
        known = envelope
        if reference is not None:
            known = _measure_envelope(usual[index], band)
        spread = known.std()
        if spread <= 1e-12 * np.abs(usual[index]).max():
            raise InputError(
                f"data must vary in the band of muscles in every channel, but channel "
                f"{index} does not.",
                hint="Leave flat channels out.",
            )
        total += (envelope - known.mean()) / spread
    scores = np.full(data.shape[1], np.nan)
    smoothing = design_filter(sfreq, h_freq=4.0, kind="fir")
    scores[counted] = apply_filter(total / np.sqrt(len(data)), smoothing)
    return scores


def find_muscle(
    scores: Array,
    sfreq: float,
    *,
    threshold: float = 4.0,
    min_good_s: float = 0.1,
) -> Bool[np.ndarray, " times"]:
    """Mark samples with muscle activity, and good ones too short to be of use.

    Parameters
    ----------
    scores : array, shape (n_times,)
        What `muscle_score` gave; NaN is not marked.
    sfreq : float
        Sampling frequency in Hz.
    threshold : float
        Marked is what is above.
    min_good_s : float
        Good spans shorter than this, in seconds, are marked too.

    Returns
    -------
    array of bool, shape (n_times,)
        True for muscle.

    Examples
    --------
    >>> find_muscle(np.array([5.0, 0.0, 5.0, 0.0, 0.0]), 10.0, min_good_s=0.2)
    array([ True,  True,  True, False, False])
    """
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    check_range("min_good_s", min_good_s, low=0.0, unit="s")
    marked = np.asarray(scores) > threshold  # NaN is not
    for start, stop in find_spans(~marked):
        if stop - start < min_good_s * sfreq:
            marked[start:stop] = True
    return marked


def _design_band(freqs: tuple[float, float], sfreq: float) -> Filter:
    """Design the band-pass, narrowed where the sampling frequency has no room."""
    low, high = freqs
    check_range("the lower of freqs", low, low=0.0, open_low=True, unit="Hz")
    check_range("the upper of freqs", high, low=low, open_low=True, unit="Hz")
    check_range(
        "sfreq",
        sfreq,
        low=low * 240 / BAND[0],
        unit="Hz",
        hint="Muscles are seen above 100 Hz only; score before resampling.",
    )
    highest = BAND[1] / 300 * sfreq
    if high > highest:
        warn_user(
            f"At {sfreq:g} Hz the band of muscles is {low:g} to {highest:g} Hz instead "
            f"of {low:g} to {high:g} Hz.",
            DataWarning,
        )
    return design_filter(sfreq, l_freq=low, h_freq=min(high, highest), kind="fir")


def _measure_envelope(row: np.ndarray, band: Filter) -> np.ndarray:
    """Envelope of one channel in the band."""
    filtered = apply_filter(row.astype(np.float64), band)
    # As long as MNE makes it: a product of 2, 3 and 5 only.
    analytic = hilbert(filtered, N=next_fast_len(len(row), real=True))
    return np.abs(analytic[: len(row)])
