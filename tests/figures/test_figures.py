"""Figures show what they were given, and leave nothing open."""

import io
from unittest.mock import patch

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import meegic
from meegic.base.errors import InputError, OptionError
from meegic.figures.recording import plot_spectra, plot_traces
from meegic.figures.style import ACCENT, INK, KIND_COLORS, render_png
from meegic.figures.truth import plot_conditions, plot_truth


@pytest.fixture(scope="module")
def pair():
    return meegic.simulate_recording("eeg19", duration_s=20, n_models=2)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def noise():
    """10 µV of white noise, and one channel a hundred times as loud."""
    data = 1e-5 * np.random.default_rng(0).standard_normal((8, 5000))
    data[0] *= 100
    return data


@pytest.fixture
def maps():
    """What is drawn as maps; drawing itself takes long."""
    with patch.object(mne.viz, "plot_topomap") as drawn:
        yield drawn


def make_raw(data, types="eeg"):
    info = mne.create_info(len(data), 250.0, types)
    return mne.io.RawArray(data, info, verbose="error")


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


def test_truth_shows_all_artifacts_and_some_brain(pair, maps):
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
    raw, truth = meegic.simulate_recording(
        "neuromag306", duration_s=5, artifacts=["line"]
    )
    texts = [one.get_text() for one in plot_traces(raw).axes[0].texts]
    assert any(text.endswith("fT/cm") for text in texts)
    with patch.object(mne.viz, "plot_topomap", wraps=mne.viz.plot_topomap) as drawn:
        plot_truth(raw, truth, n_brain=1)
    field, info = drawn.call_args.args
    assert set(info.get_channel_types()) == {"mag"}
    assert len(field) == len(info.ch_names) == 102


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


@pytest.mark.parametrize(
    ("kind", "unit", "size"),
    [
        ("eeg", "µV", 1e-6),
        ("seeg", "µV", 1e-6),
        ("ecog", "µV", 1e-6),
        ("dbs", "µV", 1e-6),
        ("mag", "fT", 1e-15),
        ("grad", "fT/cm", 1e-13),
    ],
)
def test_traces_are_the_data_in_steps_of_the_scale_bar(kind, unit, size):
    wave = 10 * size * np.sin(2 * np.pi * np.arange(2500) / 250)
    raw = make_raw(np.stack([wave, 2 * wave + 1e3 * size]), kind)
    ax = plot_traces(raw, marked=["1"]).axes[0]
    step, shown = ax.texts[0].get_text().split()
    assert shown == unit
    first, second = ax.lines[:2]
    # the bar rounds to six digits, and a median of 2500 samples to a few ulp
    for line, place, data in ((first, 0, wave), (second, -1, 2 * wave)):
        found = (line.get_ydata() - place) * float(step) * size
        assert_allclose(found, data, atol=1e-6 * wave.max())
    assert (first.get_color(), second.get_color()) == (INK, ACCENT)
    assert_array_equal(first.get_xdata(), raw.times)
    # a tenth to nine tenths of the waves span 19 and 38 units; twice their middle is 57
    assert step == "50"


def test_spans_within_the_view_are_shaded_and_named():
    raw = make_raw(1e-5 * np.ones((2, 2500)))
    spans = [("eye blink", 1.0, 2.0), ("muscle artifact", 50.0, 60.0)]
    ax = plot_traces(raw, spans=spans).axes[0]
    (shade,) = ax.patches
    assert_allclose(shade.get_extents().transformed(ax.transData.inverted()).x0, 1)
    assert "eye blink" in [one.get_text() for one in ax.get_legend().get_texts()]


def test_at_most_64_traces_are_drawn(noise):
    ax = plot_traces(make_raw(np.tile(noise[1:, :500], (10, 1)))).axes[0]
    assert len(ax.get_yticklabels()) == 64


def test_flat_auxiliary_channel_is_drawn(noise):
    noise[7] = 0
    ax = plot_traces(make_raw(noise, ["eeg"] * 7 + ["eog"])).axes[0]
    assert_array_equal(ax.lines[7].get_ydata(), -7)


def test_spectra_are_power_densities_in_decibels(noise):
    ax = plot_spectra(make_raw(noise), marked=["0"], f_max=50).axes[0]
    (median,) = [line for line in ax.lines if line.get_label() == "median"]
    freqs, level = median.get_data()
    # (10 µV)² spread over 125 Hz; eight seeds erred by less than 0.2 dB
    assert np.median(level) == pytest.approx(10 * np.log10(100 / 125), abs=0.5)
    assert freqs.min() > 0
    assert freqs.max() <= 50
    assert ax.get_ylabel() == "Power (dB, µV²/Hz)"
    marked = [line.get_label() for line in ax.lines if line.get_color() == ACCENT]
    assert marked == ["0"]


def test_spectra_of_a_recording_shorter_than_their_window(noise):
    assert len(plot_spectra(make_raw(noise[:, :500])).axes[0].lines) == 9


def test_truth_shows_the_fields_of_its_model_and_their_courses(pair, maps):
    raw, truth = pair
    figure = plot_truth(raw, truth, model=1, n_brain=4)
    fields = np.array([one.args[0] for one in maps.call_args_list])
    same = (fields[:, :, np.newaxis] == truth.mixing[1]).all(axis=1)
    assert_array_equal(same.sum(axis=1), 1)
    shown = same.argmax(axis=1)
    brain = truth.select("brain")
    assert (shown[-4], shown[-1]) == (brain[0], brain[-1])
    lines = [ax.lines[0].get_ydata() for ax in figure.axes if ax.lines]
    # 6 s of 20 s at 250 Hz, with the largest value in the middle where there is room
    peaks = np.abs(truth.sources[shown]).argmax(axis=1)
    for source, peak, line in zip(shown, peaks, lines, strict=True):
        start = min(max(peak - 750, 0), 5000 - 1500)
        assert_array_equal(line, truth.sources[source, start : start + 1500])


def test_truth_finds_its_channels_by_name(pair, maps):
    raw, truth = pair
    moved = raw.copy().reorder_channels(raw.ch_names[::-1])
    plot_truth(moved, truth, n_brain=1)
    assert tuple(maps.call_args.args[1].ch_names) == truth.ch_names


def test_conditions_are_drawn_in_seconds(pair):
    _, truth = pair
    ax = plot_conditions(truth).axes[0]
    assert [one.get_position()[0] for one in ax.texts] == [2.5, 7.5, 12.5, 17.5]
    assert_allclose(ax.lines[-1].get_xdata(), truth.event_samples / 250)
    kind = ax.get_yticklabels()[0].get_text()
    bars = [np.ptp(path.vertices[:, 0]) for path in ax.collections[0].get_paths()]
    assert_allclose(bars, np.diff(truth.spans(kind), axis=1)[:, 0] / 250)


def test_png_has_the_dots_that_were_asked_for():
    png = render_png(lambda: plt.figure(figsize=(2, 1)), dpi=100)
    assert plt.imread(io.BytesIO(png)).shape[:2] == (100, 200)
