"""ICLabel's spectrum and autocorrelation against their formulas, and their laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import resample_poly

from meegic.base.errors import InputError
from meegic.labels.spectral import compute_autocorrelations, compute_psds

SFREQS = [100.0, 127.7, 131.0, 256.0]


@pytest.fixture
def noise():
    """Three smooth signals of 8 s and more, at any of the rates."""
    white = np.random.default_rng(0).standard_normal((3, 2100))
    return white + np.roll(white, 1, axis=1) + 0.3


def starts_of(n_times, length):
    count = 2 * (n_times // length) - 1
    return np.ceil(np.arange(count) * length / 2).astype(int)


def spectrum_by_formula(pieces, sfreq):
    """Median power of windows, one at a time, as the definition reads."""
    length, nyquist = int(sfreq), int(sfreq // 2)
    taper = np.hamming(length)
    powers = [
        np.abs(np.fft.fft(piece[start : start + length] * taper)) ** 2
        for piece in pieces
        for start in starts_of(len(piece), length)
    ]
    power = np.array(powers)[:, 1 : min(100, nyquist) + 1]
    power *= 2 / (sfreq * (taper**2).sum())
    if nyquist <= 100:
        power[:, -1] /= 2
    values = 20 * np.log10(np.median(power, axis=0))
    values = np.pad(values, (0, 100 - len(values)), mode="edge")
    for line in (49, 59):
        around = values[[line - 1, line + 1]]
        if (around - values[line] > 5).all():
            values[line] = around.mean()
    return values / np.abs(values).max()


def lags_by_formula(pieces, sfreq):
    """Linear autocorrelation, summed over pieces, lag by lag."""
    lags = np.zeros(int(sfreq) + 1)
    for piece in pieces:
        for lag in range(min(len(lags), len(piece))):
            lags[lag] += piece[: len(piece) - lag] @ piece[lag:]
    return lags


def resample(lags, sfreq):
    return resample_poly(lags / lags[0], 100, int(sfreq))[1:]


@pytest.mark.parametrize("sfreq", SFREQS)
def test_spectrum_is_the_median_of_windows(noise, sfreq):
    wanted = [spectrum_by_formula([row], sfreq) for row in noise]
    # Powers are sorted in single precision, which moves decibels by 5e-7.
    assert_allclose(compute_psds(noise, sfreq), wanted, atol=2e-7)


@pytest.mark.parametrize("sfreq", SFREQS)
def test_autocorrelation_of_long_recordings_is_not_biased(noise, sfreq):
    length = int(3 * sfreq)
    found = compute_autocorrelations(noise, sfreq)
    for row, one in zip(noise, found, strict=True):
        windows = [row[a : a + length] for a in starts_of(len(row), length)]
        lags = lags_by_formula(windows, sfreq)
        lags *= length / (length - np.arange(len(lags)))
        assert_allclose(one, resample(lags, sfreq), atol=1e-12)


@pytest.mark.parametrize("n_times", [300, 500])  # at 100 Hz, so exactly 5 s
def test_autocorrelation_of_short_recordings_is_biased(noise, n_times):
    row = noise[0, :n_times]
    wanted = resample(lags_by_formula([row], 100.0), 100.0)
    found = compute_autocorrelations(row[None], 100.0)
    assert_allclose(found[0], wanted, atol=1e-12)


@pytest.mark.parametrize("n_times", [131, 200])  # exactly 1 s, and more
def test_epochs_are_pooled(noise, n_times):
    epochs = noise[:, : 10 * n_times].reshape(3, 10, n_times)
    for row, psd, autocorr in zip(
        epochs,
        compute_psds(epochs, 131.0),
        compute_autocorrelations(epochs, 131.0),
        strict=True,
    ):
        assert_allclose(psd, spectrum_by_formula(row, 131.0), atol=2e-7)
        assert_allclose(autocorr, resample(lags_by_formula(row, 131.0), 131.0))


def test_order_of_epochs_does_not_matter(noise):
    epochs = noise.reshape(3, 10, 210)
    assert_allclose(compute_psds(epochs[:, ::-1], 105.0), compute_psds(epochs, 105.0))
    assert_allclose(
        compute_autocorrelations(epochs[:, ::-1], 105.0),
        compute_autocorrelations(epochs, 105.0),
    )


def test_windows_never_cross_a_gap(noise):
    stretches = [(10, 700), (900, 950), (1000, 2099)]
    pieces = [noise[0, start:stop] for start, stop in stretches]
    psd = compute_psds(noise[:1], 128.0, stretches=stretches)[0]
    assert_allclose(psd, spectrum_by_formula(pieces, 128.0), atol=2e-7)

    windows = [one[a : a + 384] for one in pieces for a in starts_of(len(one), 384)]
    lags = lags_by_formula(windows, 128.0) * 384 / (384 - np.arange(129))
    found = compute_autocorrelations(noise[:1], 128.0, stretches=stretches)[0]
    assert_allclose(found, resample(lags, 128.0), atol=1e-12)


@pytest.mark.parametrize(
    "stretches",
    [
        [(0, 390), (700, 800)],  # 5 s of good time at most
        [(0, 380), (500, 850), (900, 1270)],  # more, but nowhere 3 s of it
    ],
)
def test_short_stretches_are_epochs_of_unequal_length(noise, stretches):
    pieces = [noise[0, start:stop] for start, stop in stretches]
    found = compute_autocorrelations(noise[:1], 128.0, stretches=stretches)[0]
    assert_allclose(found, resample(lags_by_formula(pieces, 128.0), 128.0))


def test_what_is_bad_has_no_effect(noise):
    stretches = [(0, 700), (1200, 2100)]
    spoilt = noise.copy()
    spoilt[:, 700:1200] = np.nan
    for compute in (compute_psds, compute_autocorrelations):
        found = compute(spoilt, 128.0, stretches=stretches)
        assert_allclose(found, compute(noise, 128.0, stretches=stretches))


def test_one_stretch_of_everything_is_no_stretch(noise):
    for compute in (compute_psds, compute_autocorrelations):
        found = compute(noise, 128.0, stretches=[(0, 2100)])
        assert_allclose(found, compute(noise, 128.0))


@pytest.mark.parametrize("shape", [(3, 2100), (3, 7, 300)])
def test_equal_weights_are_no_weights(noise, shape):
    noise = noise.reshape(shape)
    weights = np.full(shape[1:], 0.3)
    for compute in (compute_psds, compute_autocorrelations):
        assert_allclose(compute(noise, 128.0, weights=weights), compute(noise, 128.0))


def test_epochs_of_weight_two_count_twice(noise):
    epochs = noise.reshape(3, 10, 210)
    counts = np.array([1, 2, 0, 1, 3, 1, 1, 0, 2, 1])
    weights = np.repeat(counts[:, None], 210, axis=1) / 7
    repeated = np.repeat(epochs, counts, axis=1)
    for compute in (compute_psds, compute_autocorrelations):
        found = compute(epochs, 128.0, weights=weights)
        assert_allclose(found, compute(repeated, 128.0), atol=1e-7)


@pytest.mark.parametrize("share", [0.4995, 0.5005])
def test_the_heavier_of_two_windows_is_the_median(noise, share):
    epochs = noise[:, :256].reshape(3, 2, 128)
    weights = np.repeat([[share], [1 - share]], 128, axis=1)
    heavier = epochs[:, [int(share < 0.5)]]
    found = compute_psds(epochs, 128.0, weights=weights)
    assert_allclose(found, compute_psds(heavier, 128.0), atol=1e-6)


def test_what_has_no_weight_has_no_effect(noise):
    weights = np.where(np.arange(2100) < 1000, 1.0, 0.0)
    louder = noise * np.where(np.arange(2100) < 1000, 1.0, 50.0)
    half = np.where((weights > 0) | (np.arange(2100) > 1500), louder, noise)
    for compute in (compute_psds, compute_autocorrelations):
        found = compute(louder * weights, 100.0, weights=weights)
        assert_allclose(found, compute(half * weights, 100.0, weights=weights))


def test_weights_of_nothing_are_refused(noise):
    with pytest.raises(InputError, match="weights must not be zero in all windows"):
        compute_psds(noise, 128.0, weights=np.zeros(2100))


@pytest.mark.parametrize("exponent", [-15, -6, 9])
def test_unit_moves_all_decibels_alike(noise, exponent):
    """The spectrum is divided by its largest value, which alone hides the unit."""
    plain, scaled = (
        compute_psds(noise, 128.0),
        compute_psds(10.0**exponent * noise, 128),
    )
    for one, other in zip(plain, scaled, strict=True):
        slope, shift = np.polyfit(one, other, 1)
        assert_allclose(slope * one + shift, other, atol=1e-6)
        assert slope > 0


@pytest.mark.parametrize("exponent", [-15, 9])
def test_unit_and_sign_do_not_matter_to_the_autocorrelation(noise, exponent):
    found = compute_autocorrelations(-(10.0**exponent) * noise, 128.0)
    assert_allclose(found, compute_autocorrelations(noise, 128.0))


def test_single_precision_is_taken(noise):
    single = noise.astype(np.float32)
    assert_allclose(
        compute_psds(single, 128.0), compute_psds(single.astype(float), 128.0)
    )


def test_notch_is_filled_from_its_neighbors():
    rng = np.random.default_rng(3)
    spectra = np.fft.rfft(rng.standard_normal((1, 25600)))
    freqs = np.fft.rfftfreq(25600, 1 / 256)
    spectra[:, np.abs(freqs - 50) < 0.6] *= 1e-3
    notched = compute_psds(np.fft.irfft(spectra), 256.0)[0]
    assert_allclose(notched[49], notched[[48, 50]].mean(), atol=1e-6)


def test_values_beyond_half_the_rate_repeat_the_last(noise):
    found = compute_psds(noise, 128.0)
    assert_allclose(found[:, 64:], np.repeat(found[:, 63:64], 36, axis=1))


def test_signal_that_is_mostly_zero_is_refused(noise):
    noise[1, 300:] = 0
    with pytest.raises(InputError, match="zero in most windows, but 1 rows are, the f"):
        compute_psds(noise, 128.0)


def test_burst_does_not_move_the_spectrum(noise):
    """The median: a tenth of the windows, a thousand times as large."""
    burst = noise.copy()
    burst[:, 800:1000] *= 1000
    assert np.abs(compute_psds(burst, 100.0) - compute_psds(noise, 100.0)).max() < 0.2
