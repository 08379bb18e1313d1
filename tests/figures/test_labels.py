"""The picture of labelled components shows the numbers of the result."""

from unittest.mock import patch

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.legend import Legend
from numpy.testing import assert_allclose, assert_array_equal

from meegic.figures import labels as labels_module
from meegic.figures.labels import plot_labels
from meegic.figures.style import INK, KIND_COLORS, MUTED
from meegic.labels.result import ComponentLabels
from meegic.labels.scalp_maps import compute_scalp_maps

NAMES = ["Fz", "C3", "Cz", "C4", "Pz", "Oz"]


@pytest.fixture
def proba():
    return np.random.default_rng(0).dirichlet(np.full(7, 0.3), size=8)


@pytest.fixture
def maps():
    return np.random.default_rng(1).normal(size=(6, 8))


@pytest.fixture(scope="module")
def info():
    made = mne.create_info(NAMES, 250.0, "eeg")
    return made.set_montage("colin27_1020")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def draw(labels, **options):
    (ax,) = plot_labels(labels, **options).axes
    return ax


def bars(ax):
    """Give lengths as shares of the tracks, and places, of the bars of each panel."""
    found = []
    for tracks, values in zip(ax.containers[::2], ax.containers[1::2], strict=True):
        length = tracks[0].get_width()
        lengths = np.array([one.get_width() for one in values]) / length
        places = np.array([[one.get_x(), one.get_y()] for one in values])
        found.append((lengths, places, [to_hex(one.get_facecolor()) for one in values]))
    return found


def texts(ax):
    return [one.get_text() for one in ax.texts]


def test_bars_are_the_probabilities_in_the_colours_of_their_classes(proba):
    labels = ComponentLabels("iclabel", proba)
    ((lengths, places, colors),) = bars(draw(labels))
    assert_allclose(lengths, proba.ravel(), atol=1e-6)
    assert colors == [KIND_COLORS[one] for one in labels.classes] * 8
    left = places[:, 0].reshape(8, 7)
    down = places[:, 1].reshape(8, 7)
    assert_array_equal(left, left[:, :1].repeat(7, axis=1))
    assert (np.diff(down, axis=1) > 0).all()
    assert len({*zip(left[:, 0], down[:, 0], strict=True)}) == 8


def test_titles_say_the_label_how_probable_and_how_large(proba):
    shares = np.linspace(0.3, 0.01, 8)
    labels = ComponentLabels("iclabel", proba, variance_explained=shares)
    ax = draw(labels)
    wanted = zip(labels.labels, labels.y_pred_proba, strict=True)
    assert texts(ax)[1::2] == [f"{one} {value:.2f}" for one, value in wanted]
    assert texts(ax)[::2] == [
        f"{k} · {100 * one:.1f} %" for k, one in enumerate(shares)
    ]
    colors = [one.get_color() for one in ax.texts[1::2]]
    assert colors == [KIND_COLORS[one] for one in labels.labels]
    assert texts(draw(ComponentLabels("iclabel", proba)))[::2] == [*"01234567"]


def test_legend_counts_the_labels_in_lines(proba):
    labels = ComponentLabels("iclabel", proba)
    legend = draw(labels).get_legend()
    assert isinstance(legend, Legend)
    plt.gcf().canvas.draw()
    entries = legend.get_texts()
    corners = [one.get_window_extent() for one in entries]
    reading = sorted(range(7), key=lambda k: (-round(corners[k].y0), corners[k].x0))
    wanted = [f"{one} ({labels.labels.count(one)})" for one in labels.classes]
    assert [entries[k].get_text() for k in reading] == wanted
    assert max(one.x1 for one in corners) <= plt.gcf().bbox.x1


def test_unknown_labels_have_no_bars(proba):
    proba[2] = np.nan
    ax = draw(ComponentLabels("iclabel", proba))
    ((lengths, _, _),) = bars(ax)
    assert len(lengths) == 49
    assert texts(ax)[5] == "n/a"
    assert ax.texts[5].get_color() == MUTED
    assert "n/a (1)" in [one.get_text() for one in ax.get_legend().get_texts()]


def test_maps_are_those_of_the_components(proba, maps, info):
    ax = draw(ComponentLabels("iclabel", proba, maps=maps, info=info))
    positions = np.array([one["loc"][:3] for one in info["chs"]])
    wanted = compute_scalp_maps(maps, positions)
    assert_array_equal([one.get_array() for one in ax.images], wanted)
    assert {one.get_clim() for one in ax.images} == {(-1, 1)}
    # Row 0, the front, is at the upper end, where the nose is; y grows downwards.
    left, right, bottom, top = ax.images[0].get_extent()
    assert left < right
    assert top < bottom
    assert ax.yaxis_inverted()
    nose = ax.lines[0].get_ydata()
    assert nose.min() < top < nose.max() + 0.01


def test_maps_and_bars_of_a_component_stand_side_by_side(proba, maps, info):
    ax = draw(ComponentLabels("iclabel", proba, maps=maps, info=info))
    ((_, places, _),) = bars(ax)
    for k, image in enumerate(ax.images):
        left, right, bottom, top = image.get_extent()
        x, y = places[7 * k : 7 * k + 7].T
        assert (x > right).all()
        assert (top < y).all()
        assert (y < bottom).all()
        assert ax.texts[2 * k].get_position()[0] == pytest.approx(left)
        assert ax.texts[2 * k + 1].get_position()[1] < top


def test_everything_lies_inside_of_the_figure(proba, maps, info):
    figure = plot_labels(ComponentLabels("iclabel", proba, maps=maps, info=info))
    figure.canvas.draw()
    (ax,) = figure.axes
    for one in (*ax.texts, *ax.images, *ax.containers[0], ax.get_legend()):
        box = one.get_window_extent()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("lacks", ["maps", "info", "positions", "type"])
def test_components_without_maps_or_positions_have_bars_only(proba, maps, info, lacks):
    given = {"maps": maps, "info": info} | (
        {lacks: None} if lacks in "maps info" else {}
    )
    if lacks == "positions":
        given["info"] = mne.create_info(NAMES, 250.0, "eeg")
    if lacks == "type":
        given["info"] = mne.create_info(NAMES, 250.0, "mag")
    ax = draw(ComponentLabels("iclabel", proba, **given))
    assert not ax.images
    assert_allclose(bars(ax)[0][0], proba.ravel(), atol=1e-6)


def test_only_channels_that_the_network_saw_are_drawn(proba, maps, info):
    types = ["eeg", "misc", "eeg", "eeg", "eeg", "eeg"]
    mixed = mne.create_info(NAMES, 250.0, types)
    for one, other in zip(mixed["chs"], info["chs"], strict=True):
        one["loc"][:] = other["loc"]
    with patch.object(labels_module, "compute_scalp_maps") as drawn:
        drawn.return_value = np.zeros((8, 9, 9))
        drawn.return_value[:, 0] = 1
        draw(ComponentLabels("iclabel", proba, maps=maps, info=mixed))
    keep = [0, 2, 3, 4, 5]
    assert_array_equal(drawn.call_args.args[0], maps[keep])
    assert_array_equal(
        drawn.call_args.args[1], [info["chs"][k]["loc"][:3] for k in keep]
    )


def test_range_over_windows_is_a_line_through_the_bar():
    windows = np.array([[[1.0, 0, 0, 0], [0.25, 0.75, 0, 0]], [[0, 1.0, 0, 0]] * 2])
    labels = ComponentLabels(
        "megnet", windows.mean(axis=1), window_proba=windows, window_weights=np.ones(2)
    )
    ax = draw(labels)
    (lines,) = ax.collections
    ends = np.array([one[:, 0] for one in lines.get_segments()])
    left, length = ax.containers[0][0].get_x(), ax.containers[0][0].get_width()
    assert_allclose((ends - left) / length, [[0.25, 1], [0, 0.75]], atol=1e-6)
    assert "range of windows" in [one.get_text() for one in ax.get_legend().get_texts()]


def test_every_model_has_its_block(proba, maps, info):
    labels = ComponentLabels(
        "iclabel", np.stack([proba, proba[::-1]]), info=info,
        maps=np.stack([maps, maps[:, ::-1]]),
    )  # fmt: skip
    ax = draw(labels)
    headings = [one for one in ax.texts if one.get_text().startswith("model")]
    assert [one.get_text() for one in headings] == ["model 0", "model 1"]
    assert {one.get_color() for one in headings} == {INK}
    (first, upper, _), (second, lower, _) = bars(ax)
    assert_allclose(first, proba.ravel(), atol=1e-6)
    assert_allclose(second, proba[::-1].ravel(), atol=1e-6)
    assert upper[:, 1].max() < headings[1].get_position()[1] < lower[:, 1].min()
    assert len(ax.images) == 16
    assert_array_equal(ax.images[8].get_array(), ax.images[7].get_array())


def test_axes_that_are_given_are_drawn_on(proba):
    figure, ax = plt.subplots()
    assert plot_labels(ComponentLabels("iclabel", proba), ax=ax) is figure
    assert len(texts(ax)) == 16


def test_one_component_is_drawn(proba):
    assert len(bars(draw(ComponentLabels("iclabel", proba[:1])))[0][0]) == 7
