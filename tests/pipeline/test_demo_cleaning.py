"""The demo says of its cleaning what is true, good or bad."""

from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose

from meegic.clean.filter import apply_filter
from meegic.clean.filter_design import design_filter
from meegic.pipeline.demo import cleaning
from meegic.pipeline.demo.run import OPTIONS
from meegic.pipeline.demo.state import Demo
from meegic.simulation.edge.recording import simulate_recording

BAD, LINE, LEFT, WRONG, FILLED = NAMES = (
    "Bad channels",
    "Mains above its surroundings",
    "Artifacts left by ASR",
    "Error away from artifacts",
    "F4 interpolated: r with truth",
)


@pytest.fixture(scope="module")
def pair():
    return simulate_recording(**OPTIONS)


@pytest.fixture(scope="module")
def rest():
    return cleaning.simulate_rest(OPTIONS, bads=["F4"])


@pytest.fixture
def drawn(monkeypatch, rest):
    """What is drawn, and how; drawing itself takes long, and so does resting."""
    calls = {}

    def draw(name):
        def plot(*args, **options):
            calls[name] = args, options
            return plt.figure()

        monkeypatch.setattr(cleaning, name, plot)

    draw("plot_cleaned")
    draw("plot_repairs")
    monkeypatch.setattr(cleaning, "simulate_rest", lambda *_, **__: rest)
    return calls


@pytest.fixture
def run(pair, tmp_path, drawn):
    """Run the step on another recording, or with another truth."""

    def show(raw=None, **changes):
        demo = Demo(tmp_path, raw or pair[0], replace(pair[1], **changes))
        cleaning.show_cleaning(demo, options=OPTIONS)
        return demo

    return show


def test_cleaning_holds_and_says_how_much(run, drawn):
    demo = run()
    assert tuple(one.what for one in demo.comparisons) == NAMES
    assert demo.missed == []
    (section,) = demo.sections
    assert [row[0] for row in section.table.rows] == ["all artifacts", *cleaning.BURSTS]
    for _, before, after in section.table.rows:
        assert float(after.split()[0]) > float(before.split()[0]) + 5
    (before, after), options = drawn["plot_cleaned"]
    assert before.info["bads"] == ["F4"]
    assert after.info["bads"] == []
    assert 0 <= options["start"] <= 60 - cleaning.SHOWN_S
    assert f"({', '.join(before.info['bads'])})" in section.text


def test_other_brain_in_truth_is_missed(run, pair):
    missed = run(sources=pair[1].sources[:, ::-1]).missed
    assert missed == [LEFT, WRONG, FILLED]


def test_asr_that_does_nothing_is_missed(run, monkeypatch):
    monkeypatch.setattr(cleaning, "CUTOFF", 1e4)
    assert LEFT in run().missed


def test_hum_that_stays_is_missed(run, monkeypatch):
    monkeypatch.setattr(cleaning, "remove_line", lambda raw, _freq: raw)
    assert LINE in run().missed


def test_another_bad_channel_in_truth_is_missed(run):
    assert run(bad_channels=("Fz",)).missed == [BAD]


def test_what_is_wanted_is_brain_and_heart_as_filtered(pair, tmp_path):
    raw, truth = pair
    shuffled = raw.copy().reorder_channels(raw.ch_names[::-1])
    wanted = cleaning.make_wanted(Demo(tmp_path, raw, truth), shuffled.info)
    assert tuple(wanted.ch_names) == truth.ch_names
    clean = truth.project("brain") + truth.project("heart beat")
    band = design_filter(truth.sfreq, l_freq=cleaning.HIGH_PASS_HZ)
    assert_allclose(wanted.get_data(), apply_filter(clean, band), atol=1e-15)


def test_rest_is_the_same_head_with_artifacts_marked(rest, pair):
    assert rest.times[-1] > 2 * pair[0].times[-1]
    assert rest.info["bads"] == ["F4"]
    assert set(rest.annotations.description) == {"BAD_artifact", *_stimuli(pair[0])}
    kept = rest.get_data(picks=["Fp1"], reject_by_annotation="omit")
    everything = rest.get_data(picks=["Fp1"])
    assert np.abs(kept).max() < 0.5 * np.abs(everything).max()


def _stimuli(raw: mne.io.BaseRaw) -> set[str]:
    return set(raw.annotations.description)


def test_busiest_span_is_the_one_that_lost_most():
    n_removed = np.array([0.0, 1, 0, 3, 3, 0, 0, 5])
    assert cleaning._find_busiest(n_removed, 2) == 3
