"""Spectra keep power, autocorrelations are what their sum says."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.math.spectra import autocorrelation, band_power, welch_power

SFREQ = 250.0


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((2, 50_000))


def tone(freq, amplitude=3.0, n_times=2500):
    return amplitude * np.sin(2 * np.pi * freq * np.arange(n_times) / SFREQ)


# Each tone falls on a frequency of the window, and the Hann taper keeps it and its two
# neighbours: exact but for rounding.
def test_power_of_a_tone_is_half_its_squared_amplitude():
    data = np.stack([tone(10.0), tone(40.0, amplitude=1.0)]) + 1000.0
    spectrum = welch_power(data, SFREQ, window_s=1.0)
    assert_allclose(np.diff(spectrum.freqs), 1.0, rtol=1e-12)
    assert_allclose(band_power(spectrum, low=8.0, high=12.0), [4.5, 0.0], atol=1e-9)
    assert_allclose(band_power(spectrum), [4.5, 0.5], rtol=1e-9)


# The mean over 248 frequencies and 100 windows without overlap is known to 0.6 %, their
# median to 1 %.
@pytest.mark.parametrize("average", ["mean", "median"])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_density_of_white_noise_is_its_variance_over_the_band(noise, average, overlap):
    spectrum = welch_power(
        5.0 * noise, SFREQ, window_s=2.0, overlap=overlap, average=average
    )
    inner = spectrum.power[:, 2:-1].mean(axis=1)
    assert_allclose(inner, 25.0 / (SFREQ / 2), rtol=0.02)


def test_total_power_is_the_variance(noise):
    total = band_power(welch_power(noise, SFREQ, window_s=2.0))
    # Parseval's theorem up to the taper's weighting of the ends.
    assert_allclose(total, noise.var(axis=1), rtol=0.01)


def test_median_ignores_a_burst(noise):
    burst = noise.copy()
    burst[:, 1000:2000] *= 1000
    quiet = band_power(welch_power(noise, SFREQ, window_s=1.0, average="median"))
    loud = band_power(welch_power(burst, SFREQ, window_s=1.0, average="median"))
    assert_allclose(loud, quiet, rtol=0.1)


def test_overlap_sees_what_falls_between_two_windows():
    click = np.zeros(1000)
    click[250] = 1.0  # the first sample of the second window, where the taper is zero
    apart, together = (
        band_power(welch_power(click, SFREQ, window_s=1.0, overlap=overlap))
        for overlap in (0.0, 0.5)
    )
    assert apart < 0.01 * together


def test_bands_that_touch_share_nothing(noise):
    spectrum = welch_power(noise, SFREQ, window_s=1.0)
    edges = np.arange(0.0, 151.0, 25.0).tolist()
    parts = [band_power(spectrum, low=low, high=high) for low, high in pairwise(edges)]
    assert_allclose(np.sum(parts, axis=0), band_power(spectrum), rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-15, 1e-200, 1e9])
def test_unit_of_the_data_does_not_matter(noise, unit):
    data = noise[:, :1000]
    assert_allclose(
        autocorrelation(unit * data, n_lags=20),
        autocorrelation(data, n_lags=20),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("unit", [1e-15, 1e9])
def test_power_scales_with_the_square_of_the_unit(noise, unit):
    actual = welch_power(unit * noise, SFREQ, window_s=2.0).power
    wanted = unit**2 * welch_power(noise, SFREQ, window_s=2.0).power
    assert_allclose(actual, wanted, rtol=1e-9)


def test_leading_axes_are_kept(noise):
    data = noise[:, :600].reshape(2, 3, 200)
    spectrum = welch_power(data, SFREQ, window_s=0.4)
    assert spectrum.power.shape == (2, 3, 51)
    one = welch_power(data[1, 2], SFREQ, window_s=0.4)
    assert_allclose(spectrum.power[1, 2], one.power, rtol=1e-12)
    assert autocorrelation(data, n_lags=7).shape == (2, 3, 8)


# The FFT rounds to a few 1e-16 of lag zero.
@pytest.mark.parametrize("n_lags", [1, 50, 199])
def test_autocorrelation_is_the_sum_of_products(noise, n_lags):
    data = 2.0 + noise[:, :200]
    products = [np.correlate(one, one, "full")[199 : 200 + n_lags] for one in data]
    wanted = np.stack(products) / (data**2).sum(axis=1, keepdims=True)
    assert_allclose(autocorrelation(data, n_lags=n_lags), wanted, atol=1e-13)


def test_flat_rows_are_refused_by_name(noise):
    data = noise[:, :100].reshape(2, 2, 50)
    data[1, 0] = 0.0
    with pytest.raises(InputError, match=r"1 rows are, the first at index \(1, 0\)"):
        autocorrelation(data, n_lags=5)


@pytest.mark.parametrize("n_lags", [0, 100])
def test_impossible_lags_are_refused(noise, n_lags):
    with pytest.raises(OptionError, match="n_lags must be a whole number between 1"):
        autocorrelation(noise[:, :100], n_lags=n_lags)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("window_s", {"window_s": 4.004}),
        ("window_s", {"window_s": 0.0}),
        ("overlap", {"window_s": 1.0, "overlap": 1.0}),
        ("overlap", {"window_s": 1.0, "overlap": -0.1}),
        ("average", {"window_s": 1.0, "average": "max"}),
        ("sfreq", {"sfreq": 0.0, "window_s": 1.0}),
    ],
)
def test_impossible_windows_are_refused(noise, name, options):
    with pytest.raises(OptionError, match=f"{name} must be"):
        welch_power(noise[:, :1000], **{"sfreq": SFREQ, **options})


def test_whole_recording_may_be_the_window(noise):
    spectrum = welch_power(noise[:, :1000], SFREQ, window_s=4.0)
    assert spectrum.power.shape == (2, 501)


def test_band_without_frequencies_is_refused(noise):
    spectrum = welch_power(noise[:, :1000], SFREQ, window_s=1.0)
    with pytest.raises(InputError, match=r"holds none of the frequencies .* of 1 Hz"):
        band_power(spectrum, low=10.2, high=10.8)
    with pytest.raises(OptionError, match="high must be a number above 12 Hz"):
        band_power(spectrum, low=12.0, high=12.0)


def test_bad_data_are_refused(noise):
    with pytest.raises(ShapeError, match="data is empty"):
        welch_power(np.zeros((0, 100)), SFREQ, window_s=0.1)
    noise[1, 3] = np.inf
    with pytest.raises(InputError, match=r"NaN or Inf: 1 values.*\(1, 3\)"):
        autocorrelation(noise, n_lags=2)
