"""The demo says of a decomposition what is true, good or bad."""

from dataclasses import replace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.pipeline.demo import components
from meegic.pipeline.demo.components import (
    ARTIFACTS,
    fit_models,
    prepare,
    show_components,
)
from meegic.pipeline.demo.run import OPTIONS
from meegic.pipeline.demo.state import Demo
from meegic.simulation.edge.recording import simulate_recording

COURSES = {f"{one.capitalize()}: r with truth" for one in ARTIFACTS}


@pytest.fixture(scope="module")
def pair():
    return simulate_recording(**OPTIONS)


@pytest.fixture(scope="module")
def fits():
    """Fit once: all tests look at the same data with other truths."""
    return {}


@pytest.fixture
def drawn(monkeypatch, fits):
    """What is drawn, and how; drawing itself takes long."""
    calls = []

    def fit_once(ready, n_models, *, seed):
        if not fits:
            fits["ica"] = fit_models(ready, n_models, seed=seed)
        return fits["ica"]

    def note(name):
        def plot(*args, **kwargs):
            calls.append((name, args, kwargs))
            return plt.figure()

        return plot

    monkeypatch.setattr(components, "fit_models", fit_once)
    for name in ("plot_fit", "plot_model_probabilities", "plot_maps"):
        monkeypatch.setattr(components, name, note(name))
    return calls


@pytest.fixture
def run(pair, tmp_path, drawn):
    """Run the step with parts of the truth replaced."""

    def show(**changes):
        demo = Demo(tmp_path, pair[0], replace(pair[1], **changes))
        show_components(demo)
        return demo

    return show


def test_models_and_sources_are_found(run):
    demo = run()
    assert demo.missed == []
    assert {one.what for one in demo.comparisons} == COURSES | {
        "Right model",
        "Right model, smoothed",
        "Amari distance, condition 0",
        "Amari distance, condition 1",
        "Brain sources: median r with truth",
    }
    table = demo.sections[0].table
    assert [row[0] for row in table.rows] == list(demo.truth.kinds)
    assert len(table.head) == len(table.rows[0]) == 5


def test_other_names_of_the_conditions_change_nothing(run, pair):
    truth = pair[1]
    demo, plain = (
        run(block_models=1 - truth.block_models, mixing=truth.mixing[::-1]),
        run(),
    )
    assert demo.missed == []
    assert sorted(x.found for x in demo.comparisons) == sorted(
        x.found for x in plain.comparisons
    )


def test_models_at_the_wrong_times_are_missed(run):
    demo = run(block_models=np.array([0, 0, 1, 1]))
    assert {"Right model", "Right model, smoothed"} <= set(demo.missed)


def test_other_mixing_is_missed(run, pair):
    mixing = pair[1].mixing.copy()
    mixing[1] = np.random.default_rng(0).normal(size=mixing[1].shape)
    missed = set(run(mixing=mixing).missed)
    assert "Amari distance, condition 1" in missed
    assert "Amari distance, condition 0" not in missed


def test_other_courses_are_missed(run, pair):
    noise = np.random.default_rng(0).normal(size=pair[1].sources.shape)
    assert set(run(sources=noise).missed) == COURSES | {
        "Brain sources: median r with truth"
    }


def test_worst_source_of_a_kind_counts(run, pair):
    sources = pair[1].sources.copy()
    sources[pair[1].select("muscle artifact")[1]] *= -1  # signs do not matter
    assert run(sources=sources).missed == []
    rng = np.random.default_rng(0)
    sources[pair[1].select("muscle artifact")[1]] = rng.normal(size=sources.shape[1])
    assert run(sources=sources).missed == ["Muscle artifact: r with truth"]


def test_preparation_leaves_out_the_bad_channel_and_the_pops(pair, tmp_path):
    raw, truth = pair
    before = raw.get_data().copy()
    ready = prepare(Demo(tmp_path, raw, truth))
    assert_array_equal(raw.get_data(), before)
    good = [one for one in truth.ch_names if one not in truth.bad_channels]
    assert ready.raw.copy().pick("eeg", exclude="bads").ch_names == good
    assert ready.data.shape == (18, 15000)
    assert ready.mixing.shape == (2, 18, 18)
    outside = np.flatnonzero(~ready.used)
    pops = truth.spans("channel noise")
    distance = np.minimum(
        np.abs(outside[:, None] - pops[:, 0]), np.abs(outside[:, None] - pops[:, 1] + 1)
    )
    within = (outside[:, None] >= pops[:, 0]) & (outside[:, None] < pops[:, 1])
    assert (within | (distance <= 50)).any(axis=1).all()
    for start, stop in pops:
        assert not ready.used[start:stop].any()
    assert ready.used.mean() > 0.9
    assert_array_equal(
        np.flatnonzero(np.diff(ready.conditions)) + 1, truth.block_starts[1:]
    )


def test_truth_gets_the_filter_of_the_data(pair, tmp_path):
    raw, truth = pair
    ready = prepare(Demo(tmp_path, raw, truth))
    both = mne.filter.filter_data(
        truth.project(*set(truth.kinds)), truth.sfreq, 2.0, None, verbose="error"
    )
    held = ready.conditions == 0
    good = ~np.isin(truth.ch_names, truth.bad_channels)
    mixed = ready.mixing[0] @ ready.sources
    inner = np.flatnonzero(held)[500:3000]  # where no other block rings
    assert_allclose(mixed[:, inner], both[good][:, inner], atol=0.05e-6)


def test_pictures_show_the_models_in_their_own_colours(run, drawn):
    demo = run()
    (_, (_, plain, sfreq), marks), (_, (smooth, _), other) = drawn[:2]
    ready = prepare(demo)
    assert sfreq == demo.truth.sfreq
    assert_array_equal(np.isnan(plain[0]), ~ready.used)
    assert np.isfinite(smooth).all()
    assert_array_equal(marks["truth"], other["truth"])
    assert (smooth.argmax(axis=0) == marks["truth"]).mean() > 0.98
    maps = [kwargs for name, _, kwargs in drawn if name == "plot_maps"]
    assert [one["model_index"] for one in maps] == [0, 1]
    captions = [caption for caption, _ in demo.sections[0].pictures]
    for index, caption in enumerate(captions[2:]):
        condition = int(caption.split("condition ")[1][0])
        held = ready.used & (ready.conditions == condition)
        assert (marks["truth"][held] == index).all()
    words = [one.rsplit(" ", 1)[0] for one in maps[0]["titles"]]
    assert sorted(words) == sorted(demo.truth.kinds)


def test_a_model_gets_the_titles_of_its_own_components(run, drawn, fits, pair):
    run()
    kwargs = next(one for name, _, one in drawn if name == "plot_maps")
    place = [one.startswith("eye blink") for one in kwargs["titles"]].index(True)
    found = fits["ica"].model.maps[0, :, place]
    good = ~np.isin(pair[1].ch_names, pair[1].bad_channels)
    true = pair[1].mixing[0, good, pair[1].select("eye blink")[0]]
    assert abs(np.corrcoef(found, true)[0, 1]) > 0.99
