"""The demo's first step: what the recording looks like."""

import numpy as np

from meegic.figures.recording import plot_spectra, plot_traces
from meegic.figures.style import render_png
from meegic.math.spectra import Spectrum, welch_power
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.report import Section, embed


def show_recording(demo: Demo, *, line_freq_hz: float) -> None:
    """Draw traces and spectra; find the mains and the alpha rhythm in them."""
    raw, truth = demo.raw, demo.truth
    samples = zip(truth.span_kinds, truth.span_samples / truth.sfreq, strict=True)
    spans = [(kind, *span) for kind, span in samples if kind != "heart beat"]
    bad = truth.bad_channels
    traces = render_png(lambda: plot_traces(raw, duration=15, spans=spans, marked=bad))
    spectra = render_png(lambda: plot_spectra(raw, marked=bad))
    demo.sections.append(
        Section(
            "Recording",
            f"{len(truth.ch_names)} EEG channels, {len(raw.ch_names)} in all, "
            f"{raw.times[-1]:.0f} s at {truth.sfreq:g} Hz, simulated with seed "
            f"{truth.seed}. Shaded: what the simulation put in. Red: the bad channel.",
            pictures=(
                ("The first 15 seconds.", embed(traces)),
                ("Power spectra.", embed(spectra)),
            ),
        )
    )
    everything = _compute_middle(np.asarray(raw.get_data(picks="eeg")), truth.sfreq)
    brain = _compute_middle(truth.project("brain"), truth.sfreq)
    mains = _find_peak(everything, 45, 65)
    demo.compare_near("Mains frequency", line_freq_hz, mains, 0.25, "Hz")
    alpha = _find_peak(brain, 7, 13), _find_peak(everything, 7, 13)
    demo.compare_near("Alpha rhythm", *alpha, 0.5, "Hz")


def _compute_middle(data: np.ndarray, sfreq: float) -> Spectrum:
    """Compute the median spectrum over channels."""
    spectrum = welch_power(data, sfreq, window_s=4.0)
    return Spectrum(spectrum.freqs, np.median(spectrum.power, axis=0))


def _find_peak(spectrum: Spectrum, low: float, high: float) -> float:
    inside = (spectrum.freqs >= low) & (spectrum.freqs <= high)
    return float(spectrum.freqs[inside][spectrum.power[inside].argmax()])
