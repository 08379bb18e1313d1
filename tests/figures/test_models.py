"""Pictures of several models show the probabilities and what else is known."""

from unittest.mock import patch

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import OptionError, ShapeError
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.figures.components import MODEL_COLORS
from meegic.figures.models import (
    plot_overview,
    plot_posterior_areas,
    plot_posterior_lines,
    smooth_over_gaps,
)

NAMES = ["Fz", "C3", "Cz", "C4", "Pz"]
RNG = np.random.default_rng(0)


def fit(n_models):
    mixings = RNG.normal(size=(n_models, 5, 5))
    data = np.hstack([one @ RNG.laplace(size=(5, 600)) for one in mixings])
    return fit_amica(data, AmicaOptions(n_models=n_models))


@pytest.fixture(scope="module")
def model():
    """Two models of five channels."""
    return fit(2)


@pytest.fixture(scope="module")
def info():
    return mne.create_info(NAMES, 100.0, "eeg").set_montage("colin27_1020")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def maps():
    """What is drawn as maps; drawing itself takes long."""
    with patch.object(mne.viz, "plot_topomap") as drawn:
        yield drawn


def words(legend):
    return [one.get_text() for one in legend.get_texts()]


def marks(ax):
    """Give where new stretches are marked."""
    return [
        one.get_xdata() for one in ax.lines if one.get_label() == "new stretch"
    ]  # fmt: skip


def test_lines_are_the_probabilities_with_gaps():
    posteriors = RNG.dirichlet(np.ones(3), size=100).T
    posteriors[:, 20:30] = np.nan
    shares = np.array([0.5, 0.3, 0.2])
    ax = plot_posterior_lines(posteriors, 50.0, shares=shares)
    assert_allclose([one.get_ydata() for one in ax.lines], posteriors)
    assert_allclose(ax.lines[0].get_xdata(), (np.arange(100) + 0.5) / 50)
    assert ax.get_xlim() == (0, 2)
    assert [one.get_color() for one in ax.lines] == list(MODEL_COLORS[:3])
    assert words(ax.get_legend()) == [
        "model 0 (50.0 %)", "model 1 (30.0 %)", "model 2 (20.0 %)",
    ]  # fmt: skip


def test_lines_of_long_recordings_are_averaged_to_what_a_page_shows():
    posteriors = np.repeat([[0.2, 1.0], [0.8, 0.0]], 30_000, axis=1)
    posteriors += 0.1 * np.array([[1], [-1]]) * np.where(np.arange(60_000) % 2, 1, -1)
    wide, narrow = (
        plot_posterior_lines(posteriors, 100.0, shares=np.ones(2) / 2, figsize=size)
        for size in ((12, 3), (3.5, 2))
    )
    lines = [len(ax.lines[0].get_xdata()) for ax in (wide, narrow)]
    assert 600 > lines[0] > 3 * lines[1] > 200
    assert_allclose(wide.lines[0].get_ydata()[[0, -1]], [0.2, 1], atol=0.01)


def test_new_stretches_are_marked_above():
    posteriors = np.full((2, 100), 0.5)
    for ax in (
        plot_posterior_lines(posteriors, 10.0, shares=np.ones(2), starts=[0, 30, 60]),
        plot_posterior_areas(posteriors, 10.0, starts=[0, 30, 60]),
    ):
        (found,) = marks(ax)
        assert_allclose(found, [3, 6])
        assert words(ax.get_legend())[-1] == "new stretch"
    crowded = plot_posterior_areas(
        posteriors, 10.0, starts=np.arange(100), figsize=(3, 2)
    )
    assert not marks(crowded)


def test_legend_is_outside_of_the_data_and_as_wide_as_they():
    for n_models, size in ((2, (12, 3)), (7, (12, 3)), (7, (3.5, 2.5))):
        posteriors = np.full((n_models, 40), 1 / n_models)
        lines = plot_posterior_lines(
            posteriors, 10.0, shares=posteriors[:, 0], figsize=size
        )
        for ax in (lines, plot_posterior_areas(posteriors, 10.0, figsize=size)):
            ax.figure.canvas.draw()
            legend, data = ax.get_legend().get_window_extent(), ax.get_window_extent()
            assert legend.y0 >= data.y1
            assert legend.x1 <= ax.figure.bbox.x1


def test_gaussian_reaches_over_no_gap_and_no_start():
    posteriors = np.repeat([[1.0, 0.0]], 50, axis=1)
    posteriors[:, 20:25] = np.nan
    found = smooth_over_gaps(posteriors, 3.0, starts=[0, 50])
    assert_array_equal(np.isnan(found), np.isnan(posteriors))
    assert_allclose(found[0, :20], 1)
    assert_allclose(found[0, 50:], 0)
    mixed = smooth_over_gaps(posteriors, 3.0)
    assert 0.3 < mixed[0, 49] < 0.7


def test_areas_are_smoothed_on_request():
    posteriors = np.repeat([[1.0, 0.0], [0.0, 1.0]], 100, axis=1)
    ax = plot_posterior_areas(posteriors, 100.0, smooth_s=0.1)
    first = ax.patches[0].get_data().values
    assert_allclose(first, smooth_over_gaps(posteriors, 10.0)[0])


def test_overview_shows_times_maps_shares_and_likelihood(model, info, maps):
    figure = plot_overview(model, np.full((2, 80), 0.5), info, n_components=3)
    labels = [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]
    assert labels == ["Time (s)", "Iteration", "Share of the samples"]
    drawn = np.array([one.args[0] for one in maps.call_args_list])
    assert_array_equal(drawn, np.concatenate([one.T[:3] for one in model.maps]))
    names = [one.get_text() for ax in figure.axes for one in ax.texts]
    assert [one for one in names if one.startswith("model")] == ["model 0", "model 1"]


def test_overview_of_one_model_shows_no_times(info, maps):
    figure = plot_overview(fit(1), np.ones((1, 80)), info)
    labels = [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]
    assert labels == ["Iteration"]
    assert maps.call_count == 5


def test_annotations_have_rows_and_bad_spans_are_grey(model, info, maps):
    notes = [(0.1, 0.0, "go"), (0.2, 0.2, "stop"), (0.3, 0.1, "BAD_move"),
             (0.5, 0.0, "go"), (0.6, 0.1, "bad jump")]  # fmt: skip
    figure = plot_overview(model, np.full((2, 80), 0.5), info, annotations=notes)
    rows, ax = figure.axes[:2]
    assert [one.get_text() for one in rows.get_yticklabels()] == ["go", "stop"]
    assert words(rows.get_legend()) == ["model 0", "model 1", "marked as bad"]
    assert ax.get_legend() is None
    spans = [one for one in ax.patches if one.get_label() in ("marked as bad", "_")]
    assert_allclose([one.get_x() for one in spans], [0.3, 0.6])
    assert rows.get_xlim() == ax.get_xlim() == (0, 0.8)


def test_many_kinds_of_annotations_share_a_row(model, info, maps):
    notes = [(0.1 * k, 0.0, f"a long name of kind {k}") for k in range(7)]
    figure = plot_overview(model, np.full((2, 80), 0.5), info, annotations=notes)
    names = [one.get_text() for one in figure.axes[0].get_yticklabels()]
    assert len(names) == 5
    assert names[-1] == "3 others"
    assert max(map(len, names)) == 18


def test_overview_is_really_drawn(model, info):
    figure = plot_overview(
        model, np.full((2, 80), 0.5), info, starts=[0, 40], n_components=2,
        figsize=(7, 6),
    )  # fmt: skip
    figure.canvas.draw()
    assert sum(bool(ax.images) for ax in figure.axes) == 4


def test_what_cannot_be_drawn_is_refused(model, info):
    with pytest.raises(ShapeError, match=r"shares must have shape \(2,\)"):
        plot_posterior_lines(np.ones((2, 9)), 1.0, shares=np.ones(3))
    with pytest.raises(OptionError, match="sfreq must be a number above 0 Hz"):
        plot_posterior_lines(np.ones((2, 9)), 0.0, shares=np.ones(2))
    with pytest.raises(OptionError, match="smooth_s must be a number at least 0 s"):
        plot_posterior_areas(np.ones((2, 9)), 1.0, smooth_s=-1)
    with pytest.raises(
        OptionError, match="n_components must be a whole number between 1 and 8"
    ):
        plot_overview(model, np.ones((2, 9)), info, n_components=0)
