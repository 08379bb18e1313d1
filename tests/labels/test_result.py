import copy
import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.labels.classes import get_vocabulary
from meegic.labels.result import ComponentLabels, Vote

ICLABEL = get_vocabulary("iclabel").classes
EYES = [0.02, 0.0, 0.95, 0.0, 0.0, 0.0, 0.03]
MUSCLE = [0.05, 0.85, 0.0, 0.0, 0.0, 0.0, 0.1]
BRAIN = [0.75, 0.05, 0.1, 0.0, 0.0, 0.0, 0.1]
OTHER = [0.3, 0.05, 0.05, 0.0, 0.0, 0.0, 0.6]
NONE = [np.nan] * 7


@pytest.fixture
def labels():
    return ComponentLabels("iclabel", np.array([EYES, MUSCLE, BRAIN, OTHER, NONE]))


def test_it_is_what_code_for_the_reference_expects(labels):
    assert set(labels) == {"labels", "y_pred_proba"}
    assert len(labels) == 2
    assert "labels" in labels
    assert labels.get("scores") is None
    kept = dict(labels)
    assert kept["labels"] == [
        *("eye blink", "muscle artifact", "brain", "other", "n/a")
    ]  # fmt: skip
    assert_allclose(kept["y_pred_proba"], [0.95, 0.85, 0.75, 0.6, np.nan], rtol=1e-6)
    out = [k for k, one in enumerate(labels["labels"]) if one not in ("brain", "other")]
    assert out == [0, 1, 4]


def test_row_46_no_label_is_made_of_nan(labels):
    assert labels.labels[4] == "n/a"
    assert np.isnan(labels.y_pred_proba[4])
    assert np.isnan(labels.entropy[4])
    assert 4 not in labels.exclude("keep-brain-other")
    assert 4 not in labels.select("brain")


def test_the_result_cannot_be_changed(labels):
    with pytest.raises(ValueError, match="read-only"):
        labels.proba[0, 0] = 1
    with pytest.raises(AttributeError, match="cannot assign"):
        labels.method = "megnet"
    given = np.array([BRAIN])
    taken = ComponentLabels("iclabel", given)
    given[:] = EYES
    assert taken.labels == ["brain"]
    assert labels == labels
    assert labels != copy.copy(labels)
    assert {labels: 1}[labels] == 1


def test_entropy_is_zero_for_the_certain_and_largest_for_the_ignorant():
    proba = np.array([np.eye(4)[1], np.full(4, 0.25)])
    assert_allclose(ComponentLabels("megnet", proba).entropy, [0, np.log(4)], atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("eeglab", [0]),
        ("keep-brain-other", [0, 1]),
        ("brain-0.7", [0, 1, 3]),
        ("brain-0.69", [0, 1, 3]),
        ({"muscle artifact": 0.8}, [1]),
        ({"muscle artifact": 0.8, "other": 0.6}, [1, 3]),
        ({}, []),
    ],
)
def test_rules_name_what_they_remove(labels, rule, expected):
    assert labels.exclude(rule) == expected


def test_threshold_belongs_to_what_it_names():
    at = [0.1, 0.9, 0, 0, 0, 0, 0], [0.8, 0.2, 0, 0, 0, 0, 0]
    labels = ComponentLabels("iclabel", np.array(at))
    assert labels.exclude("eeglab") == [0]
    assert labels.exclude("brain-0.8") == [0]


def test_megnet_keeps_its_own_good_class():
    proba = np.array([[0.9, 0.1, 0, 0], [0.1, 0.2, 0.7, 0]])
    labels = ComponentLabels("megnet", proba)
    assert labels.exclude("keep-brain-other") == [1]
    assert labels.exclude("brain-0.8") == [1]
    with pytest.raises(OptionError, match="'muscle artifact' is not a known class of"):
        labels.exclude("eeglab")


def test_row_47_nothing_that_is_left_is_refused_and_no_brain_is_said():
    labels = ComponentLabels("iclabel", np.array([EYES, MUSCLE]))
    with pytest.raises(InputError, match="removes all 2 components: nothing would be"):
        labels.exclude("keep-brain-other")
    with pytest.warns(DataWarning, match="none of the components is labelled 'brain'"):
        assert labels.exclude("keep-brain-other", allow_all=True) == [0, 1]


def test_select_asks_for_label_and_probability(labels):
    assert labels.select("muscle artifact") == [1]
    assert labels.select("muscle artifact", min_proba=0.9) == []
    with pytest.raises(OptionError, match="Did you mean 'eye blink'"):
        labels.select("eye blnk")


def test_calibration_changes_what_is_known_and_nothing_else(labels):
    def soften(proba):
        assert np.isfinite(proba).all()
        soft = proba**0.5
        return soft / soft.sum(axis=1, keepdims=True)

    soft = labels.calibrate(soften)
    assert soft.labels == labels.labels
    assert (soft.y_pred_proba < labels.y_pred_proba)[:4].all()
    assert np.isnan(soft.proba[4]).all()
    with pytest.raises(InputError, match="sum to one"):
        labels.calibrate(lambda proba: 2 * proba)
    with pytest.raises(ShapeError, match="what the calibration gives must have shape"):
        labels.calibrate(lambda proba: proba[:2])


def test_models_are_told_apart(labels):
    both = ComponentLabels(
        "iclabel", np.array([[EYES, BRAIN], [MUSCLE, NONE]]),
        variance_explained=np.array([[0.4, 0.3], [0.2, 0.1]]),
    )  # fmt: skip
    assert both.n_models == 2
    assert both["labels"] == [["eye blink", "brain"], ["muscle artifact", "n/a"]]
    second = both.for_model(1)
    assert second.labels == ["muscle artifact", "n/a"]
    assert_array_equal(second.variance_explained, [0.2, 0.1])
    assert labels.for_model(0) is labels
    with pytest.raises(OptionError, match="model must be a whole number between"):
        both.for_model(2)
    for ask in (lambda: both.exclude("eeglab"), lambda: both.select("brain")):
        with pytest.raises(InputError, match=r"2 models\..*labels\.for_model\(0\)"):
            ask()


def test_windows_tell_how_sure_megnet_is():
    windows = np.zeros((2, 3, 4))
    windows[0, :, 1] = 1
    windows[1, :2, 0] = windows[1, 2, 2] = 1
    weights = np.array([1.0, 2.0, 1.0])
    proba = np.einsum("kwc,w->kc", windows, weights / 4)
    labels = ComponentLabels(
        "megnet", proba, window_proba=windows, window_weights=weights
    )
    assert_allclose(labels.window_spread, [0, 1])
    assert_allclose(labels.window_dissent, [0, 0.25])
    with pytest.raises(InputError, match="iclabel labels have no windows"):
        _ = ComponentLabels("iclabel", np.array([EYES])).window_spread


def test_frame_has_a_row_for_each_component_of_each_model(labels):
    pandas = pytest.importorskip("pandas")
    frame = ComponentLabels("iclabel", np.array([[EYES, BRAIN]] * 2)).to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.component.tolist() == [0, 1, 0, 1]
    assert frame.model.tolist() == [0, 0, 1, 1]
    assert frame.label.tolist() == ["eye blink", "brain"] * 2
    assert_allclose(frame["eye blink"][0], 0.95, rtol=1e-6)
    assert len(labels.to_frame()) == 5


def test_picture_is_drawn(labels):
    figure = labels.plot()
    words = {one.get_text() for one in figure.findobj(Text)}
    assert any("eye blink" in one for one in words)
    plt.close(figure)


def test_it_says_what_it_is(labels):
    said = "<ComponentLabels | iclabel, 1 brain, 1 muscle artifact, 1 eye blink, 1 oth"
    assert repr(labels).startswith(said)


@pytest.mark.parametrize(
    ("proba", "error", "message"),
    [
        ([[0.5, 0.6, 0, 0]], InputError, "sum to one"),
        ([[1.5, -0.5, 0, 0]], InputError, "sum to one"),
        ([[1.0, np.nan, 0, 0]], InputError, "sum to one"),
        ([[1.0, 0, 0]], ShapeError, r"proba must have shape \(any, 4\)"),
    ],
)
def test_what_is_no_probability_is_refused(proba, error, message):
    with pytest.raises(error, match=message):
        ComponentLabels("megnet", np.array(proba))


def test_unknown_keys_and_networks_are_named(labels):
    with pytest.raises(KeyError, match="Did you mean 'labels'"):
        labels["label"]
    with pytest.raises(OptionError, match="Did you mean 'iclabel'"):
        ComponentLabels("icalabel", np.array([EYES]))


def test_result_is_sent_to_a_worker_as_it_is():
    votes = ({"line": Vote("line noise", 0.75)}, {"line": Vote(None, 0.25)})
    proba = np.array([[0.9, 0.1, 0, 0], [0, 0, 1, 0]])
    windows = {"window_proba": proba[:, None], "window_weights": np.ones(1)}
    labels = ComponentLabels("megnet", proba, maps=np.eye(2), votes=votes, **windows)
    pickle.dumps(labels)  # refuses what a copy may keep
    other = copy.deepcopy(labels)
    assert other.votes == labels.votes
    assert other.labels == labels.labels
    assert_array_equal(other.maps, labels.maps)
    assert other.window_dissent.tolist() == [0, 0]


def test_nothing_in_a_result_can_be_changed():
    maps = np.eye(2)
    proba = np.array([[0.9, 0.1, 0, 0], [0, 0, 1, 0]])
    labels = ComponentLabels("megnet", proba, maps=maps, votes=({}, {}))
    for array in (labels.proba, labels.maps):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(TypeError):
        labels.votes[0]["eog"] = Vote(None, 0)
    maps[0] = 1  # the caller's own stays free
