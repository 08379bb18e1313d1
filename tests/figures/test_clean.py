"""Pictures of cleaning show the recordings and the report that they were given."""

from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from matplotlib.colors import same_color
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError
from meegic.clean.edge.asr_cleaning import ASRReport
from meegic.figures.clean import (
    N_TRACES,
    SHADE,
    TALLEST,
    plot_cleaned,
    plot_cleaned_spectra,
    plot_repairs,
)
from meegic.figures.style import ACCENT, INK, MUTED

SFREQ = 100.0
RNG = np.random.default_rng(3)
NOISE = 1e-5 * RNG.standard_normal((8, 2000))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def make_raw(data, types="eeg", first_samp=0):
    info = mne.create_info(len(data), SFREQ, types)
    return mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")


def find_line(ax, label):
    (line,) = [one for one in ax.lines if one.get_label() == label]
    return line


def shades(ax, color):
    """Give the begins and ends of what is shaded in a colour."""
    return [
        (one.get_x(), one.get_x() + one.get_width())
        for one in ax.patches
        if same_color(one.get_facecolor()[:3], color)
    ]


@pytest.mark.parametrize(
    ("kind", "size", "unit"),
    [("eeg", 1e-6, "µV"), ("mag", 1e-15, "fT"), ("grad", 1e-13, "fT/cm")],
)
def test_traces_are_the_data_in_their_unit(kind, size, unit):
    before, after = make_raw(NOISE, kind), make_raw(0.5 * NOISE, kind)
    truth = make_raw(0.4 * NOISE, kind)
    ax = plot_cleaned(
        before, after, truth=truth, picks=["2"], start=5, duration=4
    ).axes[0]
    assert ax.get_ylabel() == f"2 ({unit})"
    for label, share, color in (
        ("before", 1.0, MUTED),
        ("truth", 0.4, INK),
        ("after", 0.5, ACCENT),
    ):
        line = find_line(ax, label)
        assert_allclose(line.get_ydata(), share * NOISE[2, 500:900] / size)
        assert_array_equal(line.get_xdata(), before.times[500:900])
        assert line.get_color() == color


def test_channels_that_changed_most_are_chosen_in_their_order():
    after = NOISE.copy()
    after[[6, 1, 2, 3, 4, 5], 700] += 1e-3
    figure = plot_cleaned(make_raw(NOISE), make_raw(after), start=5, duration=4)
    names = [ax.get_ylabel().split()[0] for ax in figure.axes]
    assert names == ["1", "2", "3", "4", "5", "6"]
    assert len(names) == N_TRACES


def test_bad_channels_and_others_are_not_chosen():
    before = make_raw(NOISE[:4], ["eeg", "eeg", "eeg", "eog"])
    after = before.copy().apply_function(lambda row: 0 * row, picks="all")
    after.info["bads"] = ["1"]
    figure = plot_cleaned(before, after)
    assert [ax.get_ylabel() for ax in figure.axes] == ["0 (µV)", "2 (µV)"]


@pytest.mark.parametrize("first_samp", [0, 370])
def test_repaired_spans_of_the_type_are_shaded_where_they_are(first_samp):
    before = make_raw(NOISE, first_samp=first_samp)
    after = before.copy()
    for onset, text, kind in (
        (2, "ASR_repaired", "eeg"),
        (5, "ASR_repaired", "mag"),
        (7, "BAD_x", "eeg"),
    ):
        after.annotations.append(
            onset + after.first_time, 1.5, text, extras=[{"channel_type": kind}]
        )
    ax = plot_cleaned(before, after, picks=["0"]).axes[0]
    assert_allclose(shades(ax, SHADE), [(2, 3.5)])
    texts = [one.get_text() for one in ax.get_legend().get_texts()]
    assert texts == ["before", "after", "repaired"]


def test_nothing_repaired_is_not_in_the_legend():
    ax = plot_cleaned(make_raw(NOISE), make_raw(NOISE), picks=["0"]).axes[0]
    texts = [one.get_text() for one in ax.get_legend().get_texts()]
    assert texts == ["before", "after"]


def test_what_was_large_before_does_not_flatten_the_rest():
    burst = NOISE.copy()
    burst[0, 300] = 1.0
    figure = plot_cleaned(make_raw(burst), make_raw(NOISE), picks=["0", "1"])
    for ax, factor in zip(figure.axes, (TALLEST, 1), strict=True):
        largest = np.abs(find_line(ax, "after").get_ydata()).max()
        assert ax.get_ylim()[1] == pytest.approx(1.05 * factor * largest)


def test_flat_recordings_are_drawn_too():
    flat = make_raw(0 * NOISE)
    plot_cleaned(flat, flat).canvas.draw()
    plot_cleaned_spectra(flat, flat).canvas.draw()


def test_spectra_are_power_densities_and_their_middle():
    loud = NOISE.copy()
    loud[0] *= 1000  # one channel of eight moves no median
    figure = plot_cleaned_spectra(make_raw(loud), make_raw(0.1 * NOISE), f_max=40)
    ax = figure.axes[0]
    level = {label: find_line(ax, label).get_ydata() for label in ("before", "after")}
    # (10 µV)² spread over 50 Hz
    assert level["before"].mean() == pytest.approx(10 * np.log10(100 / 50), abs=0.5)
    assert (level["before"] - level["after"]).mean() == pytest.approx(20, abs=0.5)
    freqs = find_line(ax, "before").get_xdata()
    assert 0 < freqs.min() < 1
    assert freqs.max() == 40
    assert ax.get_ylabel() == "Power (dB, µV²/Hz)"


def test_gradients_are_squared_with_their_length():
    raw = make_raw(NOISE, "grad")
    ax = plot_cleaned_spectra(raw, raw).axes[0]
    assert ax.get_ylabel() == "Power (dB, (fT/cm)²/Hz)"


def test_spectra_look_at_channels_that_are_good_in_both():
    before, after = make_raw(NOISE[:3]), make_raw(NOISE[:3])
    before.info["bads"], after.info["bads"] = ["0"], ["1"]
    truth = make_raw(NOISE[:3])
    found = plot_cleaned_spectra(before, after, truth=truth).axes[0].lines
    alone = make_raw(NOISE[2:3])
    expected = plot_cleaned_spectra(alone, alone, truth=alone).axes[0].lines
    assert [one.get_label() for one in found] == ["before", "truth", "after"]
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one.get_ydata(), other.get_ydata())


def test_axes_that_are_given_are_used():
    figure, axes = plt.subplots(1, 2)
    raw = make_raw(NOISE)
    assert plot_cleaned_spectra(raw, raw, ax=axes[1]) is figure
    assert len(axes[1].lines) == 2


def test_recordings_without_a_common_channel_are_refused():
    before, after = make_raw(NOISE[:1]), make_raw(NOISE[:1])
    after.info["bads"] = ["0"]
    for plot in (plot_cleaned, plot_cleaned_spectra):
        with pytest.raises(InputError, match="no good data channel in common"):
            plot(before, after)
    with pytest.raises(OptionError, match="Cx"):
        plot_cleaned(before, after, picks=["Cx"])
    with pytest.raises(OptionError, match="start"):
        plot_cleaned(before, after, start=20.0)


@pytest.mark.parametrize("plot", [plot_cleaned, plot_cleaned_spectra])
def test_recordings_of_other_times_are_refused(plot):
    raw, short = make_raw(NOISE), make_raw(NOISE[:, :500])
    slow = mne.io.RawArray(NOISE, mne.create_info(8, 50.0, "eeg"), verbose="error")
    for other in (short, slow):
        with pytest.raises(InputError, match="after must have the times of before"):
            plot(raw, other)
        with pytest.raises(InputError, match="truth must have the times of before"):
            plot(raw, raw, truth=other)


@pytest.fixture
def report():
    n_removed = np.repeat([0.0, 2.0, 0.0, 5.0], [400, 100, 400, 100])
    bad, passed = np.zeros((2, 1000), bool)
    bad[900:950] = True
    return ASRReport(n_removed, bad, passed, n_stretches=1, n_short=0)


def test_repairs_are_steps_in_seconds(report):
    ax = plot_repairs({"eeg": report}, SFREQ).axes[0]
    (steps,) = [one for one in ax.patches if hasattr(one, "get_data")]
    values, edges, _ = steps.get_data()
    assert_array_equal(values, [0, 2, 0, 5])
    assert_allclose(edges, [0, 4, 5, 9, 10])
    assert_allclose(shades(ax, ACCENT), [(9, 9.5)])
    assert ax.get_title(loc="left") == (
        "eeg: 20.0 % of the time repaired, 5 dimensions at most"
    )
    assert [one.get_text() for one in ax.get_legend().get_texts()] == ["still unusual"]
    assert ax.get_ylim()[1] > 5


def test_repairs_have_one_axes_for_each_type(report):
    calm = replace(report, n_removed=np.zeros(1000), bad=np.zeros(1000, bool))
    figure = plot_repairs({"mag": report, "grad": calm}, SFREQ, n_dims={"grad": 204})
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert [one.split(":")[0] for one in titles] == ["mag", "grad"]
    assert titles[1].endswith("0 of 204 dimensions at most")
    assert figure.axes[1].get_legend() is None
    with pytest.raises(InputError, match="reports must have a type of channel"):
        plot_repairs({}, SFREQ)
