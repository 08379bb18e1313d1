"""The demo says how much of the artifacts is left, good or bad."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from meegic.pipeline.demo import removal
from meegic.pipeline.demo.components import fit_models, prepare
from meegic.pipeline.demo.run import OPTIONS
from meegic.pipeline.demo.state import Demo
from meegic.simulation.edge.recording import simulate_recording


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A demo as it is after its decomposition."""
    demo = Demo(tmp_path_factory.mktemp("demo"), *simulate_recording(**OPTIONS))
    demo.ica = fit_models(prepare(demo), 2, seed=0)
    return demo


@pytest.fixture
def run(fitted, monkeypatch):
    """Run the step, without drawing, with parts of the truth replaced."""
    monkeypatch.setattr(removal, "plot_cleaned", lambda *_, **__: plt.figure())

    def show(**changes):
        truth = replace(fitted.truth, **changes)
        demo = Demo(fitted.out, fitted.raw, truth, ica=fitted.ica)
        removal.show_removal(demo)
        return demo

    return show


def test_artifacts_are_found_and_removed(run):
    demo = run()
    assert demo.missed == []
    assert len(demo.comparisons) == 8
    assert len(demo.sections[0].table.rows) == 2


def test_other_artifacts_in_truth_are_missed(run, fitted):
    sources = fitted.truth.sources.copy()
    place = fitted.truth.select("eye blink")[0]
    sources[place] = sources[place][::-1]
    missed = run(sources=sources).missed
    assert missed == ["Eyes and heart left, hard", "Eyes and heart left, soft"]


def test_another_component_in_truth_is_missed(run, fitted):
    kinds = list(fitted.truth.kinds)
    blink, brain = kinds.index("eye blink"), kinds.index("brain")
    kinds[blink], kinds[brain] = kinds[brain], kinds[blink]
    assert "Eye blink, model 0: component" in run(kinds=tuple(kinds)).missed


def test_what_is_shown_has_no_pop():
    size = np.array([0.0, 1, 5, 5, 0, 4, 3, 0])
    used = np.array([True] * 3 + [False] + [True] * 4)
    assert removal._find_busy(size, used, 2) == 5
    assert removal._find_busy(size, np.ones(8, dtype=bool), 2) == 2


def test_it_comes_after_the_decomposition(fitted):
    with pytest.raises(ValueError, match="must be decomposed first"):
        removal.show_removal(Demo(fitted.out, fitted.raw, fitted.truth))
