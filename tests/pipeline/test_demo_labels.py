"""The demo says which components have the right label, good or bad."""

from dataclasses import replace

import numpy as np
import pytest

from meegic.base.errors import DataWarning
from meegic.pipeline.demo import labels
from meegic.pipeline.demo.components import fit_models, prepare
from meegic.pipeline.demo.run import OPTIONS
from meegic.pipeline.demo.state import Demo
from meegic.simulation.edge.recording import simulate_recording

MODELS = ("model 0", "model 1")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A demo as it is after its decomposition."""
    demo = Demo(tmp_path_factory.mktemp("demo"), *simulate_recording(**OPTIONS))
    demo.ica = fit_models(prepare(demo), 2, seed=0)
    return demo


@pytest.fixture(scope="module")
def found(fitted):
    """What the network says; it is asked once."""
    with pytest.warns(DataWarning):
        return labels.label_components(prepare(fitted).raw, fitted.ica, "iclabel")


@pytest.fixture
def run(fitted, found, monkeypatch):
    """Run the step, without asking or drawing, with parts of the truth replaced."""
    shown = []
    monkeypatch.setattr(labels, "label_components", lambda *_: found)
    monkeypatch.setattr(labels, "plot_labels", shown.append)
    monkeypatch.setattr(labels, "render_png", lambda draw, **_: draw() or b"")

    def show(**changes):
        demo = Demo(
            fitted.out, fitted.raw, replace(fitted.truth, **changes), ica=fitted.ica
        )
        labels.show_labels(demo)
        assert shown == [found]
        return demo

    return show


def test_components_are_called_what_they_are(run):
    demo = run()
    assert demo.missed == []
    assert len(demo.comparisons) == 5 * 2 + 1
    assert demo.comparisons[0].found == "eye blink"
    (section,) = demo.sections
    assert len(section.table.rows) == len(demo.truth.kinds) == 18
    assert set(section.table.marks) == {""}


@pytest.mark.parametrize("kind", ["heart beat", "muscle artifact", "line noise"])
def test_another_source_in_truth_is_missed_and_marked(run, fitted, kind):
    kinds = list(fitted.truth.kinds)
    one, brain = kinds.index(kind), kinds.index("brain")
    kinds[one], kinds[brain] = kinds[brain], kinds[one]
    demo = run(kinds=tuple(kinds))
    expected = [f"{kind.capitalize()}, {model}: label" for model in MODELS]
    assert demo.missed == expected  # one of a dozen brain sources is within the bound
    assert np.flatnonzero(np.array(demo.sections[0].table.marks) == "warning").tolist()
    assert demo.sections[0].table.marks.count("warning") == 2


def test_brain_with_other_labels_is_missed(run, fitted):
    kinds = tuple("brain" for _ in fitted.truth.kinds)
    assert run(kinds=kinds).missed == ["Brain sources: labelled brain"]


def test_what_the_package_says_of_the_recording_is_in_the_report(fitted):
    demo = Demo(fitted.out, fitted.raw, fitted.truth, ica=fitted.ica)
    labels.show_labels(demo)
    assert demo.sections[0].text.count("no average reference") == 1
    assert "pass-band of 2 to" in demo.sections[0].text
    assert demo.sections[0].pictures[0][1].startswith("data:image/png;base64,iVBOR")


def test_it_comes_after_the_decomposition(fitted):
    with pytest.raises(ValueError, match="must be decomposed first"):
        labels.show_labels(Demo(fitted.out, fitted.raw, fitted.truth))
