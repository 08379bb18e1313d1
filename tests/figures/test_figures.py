"""Figures show what they were given, and leave nothing open."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose

import meegic
from meegic.base.errors import InputError, OptionError
from meegic.figures.recording import plot_spectra, plot_traces
from meegic.figures.style import INK, KIND_COLORS, render_png
from meegic.figures.truth import plot_conditions, plot_truth


@pytest.fixture(scope="module")
def pair():
    return meegic.simulate_recording("eeg19", duration_s=20, n_models=2)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_traces_show_every_channel_between_start_and_end(pair):
    raw, truth = pair
    ax = plot_traces(raw, start=5, duration=4, marked=truth.bad_channels).axes[0]
    assert [one.get_text() for one in ax.get_yticklabels()] == raw.ch_names
    assert_allclose(ax.get_xlim(), (5, 9), atol=0.01)
    marked = [line for line in ax.lines if line.get_color() not in (INK,)]
    assert len(marked) >= len(truth.bad_channels)


def test_traces_draw_on_axes_that_are_given(pair):
    raw, _ = pair
    figure, (left, right) = plt.subplots(1, 2)
    assert plot_traces(raw, ax=left) is figure
    assert plot_spectra(raw, ax=right) is figure
    assert len(left.lines) > 19
    assert len(right.lines) == 20


def test_traces_have_a_scale_bar_with_its_unit(pair):
    raw, _ = pair
    texts = [one.get_text() for one in plot_traces(raw).axes[0].texts]
    assert any(text.endswith("µV") for text in texts)


def test_spectra_peak_at_the_mains(pair):
    raw, _ = pair
    ax = plot_spectra(raw).axes[0]
    (median,) = [line for line in ax.lines if line.get_label() == "median"]
    freqs, level = median.get_data()
    beyond = freqs > 40
    assert freqs[beyond][np.argmax(level[beyond])] == pytest.approx(50, abs=0.3)


def test_truth_shows_all_artifacts_and_some_brain(pair):
    raw, truth = pair
    figure = plot_truth(raw, truth, n_brain=4)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    n_artifacts = len(truth.kinds) - truth.select("brain").size
    assert titles.count("brain") == 4
    assert len(titles) == 4 + n_artifacts
    with pytest.raises(
        OptionError, match="model must be a whole number between 0 and 1"
    ):
        plot_truth(raw, truth, model=2)


def test_conditions_show_blocks_and_kinds(pair):
    _, truth = pair
    ax = plot_conditions(truth).axes[0]
    assert [one.get_text() for one in ax.texts] == [
        f"condition {model}" for model in truth.block_models
    ]
    rows = {one.get_text() for one in ax.get_yticklabels()}
    assert rows == set(truth.span_kinds) | {"stimulus"}


def test_conditions_can_be_ten():
    _, truth = meegic.simulate_recording("eeg19", duration_s=10, n_models=10)
    assert len(plot_conditions(truth).axes[0].texts) == 20


def test_other_electrodes_are_drawn_and_other_channels_refused(pair):
    raw = pair[0].copy()
    names = raw.ch_names[:19]
    raw.set_channel_types(dict.fromkeys(names, "seeg"), verbose="error")
    plot_traces(raw)
    plot_spectra(raw)
    raw.set_channel_types(dict.fromkeys(names, "misc"), verbose="error")
    with pytest.raises(InputError, match="no channel of a type that can be drawn"):
        plot_traces(raw)


def test_loud_trace_is_cut_so_that_it_hides_few(pair):
    raw = pair[0].copy().apply_function(lambda row: 1e3 * row, picks=["Cz"])
    ax = plot_traces(raw).axes[0]
    heights = [np.ptp(line.get_ydata()) for line in ax.lines]
    assert max(heights) <= 6


def test_meg_is_drawn_in_its_own_unit():
    raw, truth = meegic.simulate_recording("neuromag306", duration_s=6)
    texts = [one.get_text() for one in plot_traces(raw).axes[0].texts]
    assert any(text.endswith("fT/cm") for text in texts)
    plot_truth(raw, truth)


def test_flat_recording_is_drawn_too(pair):
    raw = pair[0].copy().apply_function(lambda row: 0 * row, picks="eeg")
    render_png(lambda: plot_traces(raw))
    render_png(lambda: plot_spectra(raw))


@pytest.mark.parametrize("start", [-1, 20.5])
def test_start_outside_the_recording_is_refused(pair, start):
    with pytest.raises(
        OptionError, match="start must be a number at least 0 s and below"
    ):
        plot_traces(pair[0], start=start)


def test_rendering_closes_the_figure():
    assert render_png(lambda: plt.subplots()[0])[:4] == b"\x89PNG"
    assert plt.get_fignums() == []


def test_kinds_have_different_colours():
    assert len(set(KIND_COLORS.values())) == len(KIND_COLORS)
