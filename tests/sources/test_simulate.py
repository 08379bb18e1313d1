"""Sources and sensors with known truth."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.sources.simulate import (
    count_orientations,
    simulate_leadfield,
    simulate_sensors,
    simulate_sources,
)
from meegic.sources.waveforms import ErpOptions, read_erp_config, simulate_waveform


@pytest.fixture(scope="module")
def simulated():
    sources, _ = simulate_sources(20, 3, seed=1)
    return sources, simulate_leadfield(8, 20)


def test_no_active_source_is_silent_at_any_seed():
    for seed in range(20):
        sources, active = simulate_sources(10, 2, seed=seed)
        assert sources[active].any(axis=1).all()
        assert np.count_nonzero(sources.any(axis=1)) == 2


def test_waveform_is_zero_before_the_stimulus_and_peaks_at_its_amplitude():
    options = ErpOptions(sigma=0.0, median_nam=7.0)
    waveform = simulate_waveform(options, seed=3)
    assert not waveform[options.times < 0].any()
    assert_allclose(np.abs(waveform).max(), 7.0, rtol=1e-12)


@pytest.mark.parametrize("sfreq", [100.0, 1000.0, 5000.0])
def test_waveform_lies_in_its_band_at_any_rate(sfreq):
    options = ErpOptions(
        tmax=8.0, sfreq=sfreq, fmin=5.0, fmax=10.0, random_timing=False
    )
    power = np.abs(np.fft.rfft(simulate_waveform(options, seed=0))) ** 2
    frequencies = np.fft.rfftfreq(len(options.times), 1 / sfreq)
    inside = (frequencies > 4) & (frequencies < 12)
    assert power[inside].sum() > 0.98 * power.sum()


def test_amplitudes_are_clipped():
    options = ErpOptions(sigma=3.0, clip_nam=(4.0, 5.0))
    peaks = [np.abs(simulate_waveform(options, seed=one)).max() for one in range(8)]
    assert_allclose([min(peaks), max(peaks)], [4.0, 5.0])


def test_amplitudes_are_as_they_were_drawn_without_clipping():
    options = ErpOptions(sigma=3.0, clip_nam=None)
    peaks = [np.abs(simulate_waveform(options, seed=one)).max() for one in range(8)]
    assert min(peaks) < 4 < 50 < max(peaks)


def test_peaks_that_nothing_is_said_about_are_those_of_the_reference():
    without = read_erp_config({"sfreq": 200})
    assert_allclose(np.abs(simulate_waveform(without, seed=0)).max(), 20.0)
    assert (without.clip_nam, without.fmax) == (None, 5.0)
    unclipped = read_erp_config({"amplitude_distribution": {"median": 8.0}})
    assert unclipped == ErpOptions(median_nam=8.0, clip_nam=None)


def test_orientations_have_waveforms_of_their_own():
    sources, active = simulate_sources(5, 1, n_orient=3, seed=2)
    correlations = np.corrcoef(sources[active[0]])
    assert sources.shape == (5, 3, 250)
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 0.99


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_signal_and_noise_have_the_ratio_that_was_asked_for(simulated, alpha):
    found = simulate_sensors(*simulated, alpha_snr=alpha)
    ratio = np.linalg.norm(found.clean) / np.linalg.norm(found.noise)
    assert_allclose(ratio, alpha / (1 - alpha), rtol=1e-12)
    assert_allclose(found.noisy, found.clean + found.noise)


def test_ratio_holds_in_the_window_that_was_asked_for(simulated):
    found = simulate_sensors(*simulated, snr_window=(150, 180))
    window = np.s_[:, 150:180]
    signal, noise = (np.linalg.norm(one[window]) for one in (found.clean, found.noise))
    assert_allclose(signal, noise, rtol=1e-12)
    assert not np.isclose(simulate_sensors(*simulated).eta, found.eta, rtol=0.1)


def test_noise_alone_is_as_strong_as_the_signal_would_be(simulated):
    found = simulate_sensors(*simulated, alpha_snr=0.0)
    assert_array_equal(found.noisy, found.noise)
    assert_allclose(np.linalg.norm(found.noise), np.linalg.norm(found.clean))


def test_standard_deviation_of_the_noise_changes_eta_alone(simulated):
    weak = simulate_sensors(*simulated, noise_std=1e-9)
    strong = simulate_sensors(*simulated, noise_std=1e9)
    assert_allclose(weak.noisy, strong.noisy, rtol=1e-12, atol=1e-12)
    assert_allclose(weak.eta, 1e18 * strong.eta, rtol=1e-9)


def test_units_do_not_matter(simulated):
    sources, leadfield = simulated
    nanoampere = simulate_sensors(sources, leadfield)
    ampere = simulate_sensors(1e-9 * sources, 1e3 * leadfield)
    assert_allclose(1e6 * ampere.noisy, nanoampere.noisy, rtol=1e-9, atol=1e-9)


def test_orientations_add_up_at_the_sensors():
    sources, _ = simulate_sources(5, 2, n_orient=2, seed=3)
    leadfield = simulate_leadfield(4, 5, n_orient=2)
    found = simulate_sensors(sources, leadfield).clean
    flat = leadfield.reshape(4, -1) @ sources.reshape(-1, sources.shape[2])
    assert_allclose(found, flat, rtol=1e-12, atol=1e-12)


def test_seed_of_the_leadfield_is_heard():  # D18: the reference ignores every seed
    first, second = (simulate_leadfield(4, 5, seed=one) for one in (0, 1))
    assert not np.allclose(first, second)


@pytest.mark.parametrize(
    ("kind", "coil", "n_orient"),
    [
        ("fixed", 3022, 1),
        ("free", 1, 3),
        ("free", 3022, 2),
        ("free", 3012, 2),
    ],
)
def test_orientations_follow_from_the_coil(kind, coil, n_orient):
    assert count_orientations(kind, coil) == n_orient


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("loose", 1), "orientation_type must be"), (("free", 5), "coil_type must be")],
)
def test_unknown_sensors_are_refused(arguments, message):
    with pytest.raises(OptionError, match=message):
        count_orientations(*arguments)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"stim_onset": 0.6},
            "stim_onset must be a number at least -0.5 s and at most",
        ),
        ({"tmax": -1.0}, "tmax must be a number above -0.5 s"),
        ({"fmax": 125.0}, "fmax must be a number above 1.00025 Hz and below 125 Hz"),
        ({"fmin": 6.0}, "fmax must be a number above 6.00025 Hz"),
        ({"fmin": 0.0}, "fmin must be a number at least 0.00025 Hz"),
        ({"sfreq": float("nan")}, "sfreq must be a number above 0 Hz"),
        ({"erp_min_length": 20}, "at least 28 where lengths are drawn, but got 20"),
        ({"erp_min_length": 0}, "min_length must be a whole number >= 1"),
        ({"amplitude_distribution": {"clip": [5, 2]}}, "the smaller one first"),
        (
            {"amplitude_distribution": {"median": 0}},
            "median_nam must be a number above",
        ),
        ({"amplitude_distribution": {"mean": 1}}, "'mean' is not a known key of ampl"),
        ({"tmxa": 1.0}, "'tmxa' is not a known key of ERP_config.* mean 'tmax'"),
    ],
)
def test_impossible_waveforms_are_refused(config, message):
    with pytest.raises(OptionError, match=message):
        read_erp_config(config)


def test_epoch_that_is_too_short_is_refused():  # D18: silence in the reference
    with pytest.raises(InputError, match=r"has 25 samples .* needs 82.*tmax or sfreq"):
        simulate_sources(5, 1, options=ErpOptions(tmax=0.1))


def test_shortest_waveform_is_what_its_filter_needs():
    options = ErpOptions(tmax=0.1, random_timing=False, min_length=20)
    with pytest.raises(InputError, match=r"has 25 samples .* needs 28"):
        simulate_waveform(options, seed=0)


def test_band_that_lets_nothing_pass_is_refused():
    options = ErpOptions(fmin=0.01, fmax=0.02)
    with pytest.raises(InputError, match=r"leaves a peak of .* Widen the band"):
        simulate_waveform(options, seed=0)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((5, 6), "nnz must be a whole number between 1 and 5, but got 6"),
        ((5, 0), "nnz must be a whole number between 1 and 5, but got 0"),
        ((0, 1), "n_sources must be a whole number >= 1"),
    ],
)
def test_impossible_numbers_of_sources_are_refused(counts, message):
    with pytest.raises(OptionError, match=message):
        simulate_sources(*counts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha_snr": 1.1}, "alpha_snr must be a number at least 0 and at most 1"),
        ({"alpha_snr": float("nan")}, "alpha_snr must be"),
        ({"noise_std": 0.0}, "noise_std must be a number above 0"),
        ({"noise_std": 0.0, "alpha_snr": 1.0}, "noise_std must be a number above 0"),
        ({"snr_window": (5, 5)}, "stop of snr_window must be a whole number between 6"),
        ({"snr_window": (250, 251)}, "start of snr_window must be"),
        ({"seed": -1}, "seed must be a whole number between 0"),
    ],
)
def test_impossible_noise_is_refused(simulated, options, message):
    with pytest.raises(OptionError, match=message):
        simulate_sensors(*simulated, **options)


def test_row_55_shapes_that_do_not_fit_are_refused(simulated):
    sources, leadfield = simulated
    with pytest.raises(ShapeError, match=r"\(20, 250\) and \(8, 19\)"):
        simulate_sensors(sources, leadfield[:, 1:])
    with pytest.raises(ShapeError, match=r"\(20, 250\) and \(8, 20, 1\)"):
        simulate_sensors(sources, leadfield[..., None])


def test_silent_or_broken_sources_are_refused(simulated):
    sources, leadfield = simulated
    with pytest.raises(InputError, match="zero at every sensor"):
        simulate_sensors(0 * sources, leadfield)
    with pytest.raises(InputError, match="leadfield contains NaN or Inf: 1 values"):
        simulate_sensors(sources, np.where(leadfield == leadfield[0, 0], np.nan, 1.0))
