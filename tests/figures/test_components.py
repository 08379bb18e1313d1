"""Pictures of a decomposition show the numbers of the model."""

from dataclasses import replace
from unittest.mock import patch

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.figures.components import (
    MAX_BINS,
    MODEL_COLORS,
    plot_components,
    plot_fit,
    plot_likelihood,
    plot_maps,
    plot_model_probabilities,
    plot_shares,
)
from meegic.figures.style import INK, KIND_COLORS

NAMES = ["Fz", "C3", "Cz", "C4", "Pz"]


@pytest.fixture(scope="module")
def model():
    """Two models of five channels."""
    rng = np.random.default_rng(0)
    mixings = rng.normal(size=(2, 5, 5))
    data = np.hstack([one @ rng.laplace(size=(5, 600)) for one in mixings])
    return fit_amica(data, AmicaOptions(n_models=2))


@pytest.fixture(scope="module")
def info():
    made = mne.create_info(NAMES, 250.0, "eeg")
    return made.set_montage("colin27_1020")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def maps():
    """What is drawn as maps; drawing itself takes long."""
    with patch.object(mne.viz, "plot_topomap") as drawn:
        yield drawn


def heights(ax):
    """Give the height of every bin of every area, and the bins' edges in s."""
    areas = [one.get_data() for one in ax.patches if hasattr(one, "get_data")]
    return np.array([top - base for top, _, base in areas]), areas[0].edges


def test_areas_are_the_probabilities_and_fill_the_axes():
    posteriors = np.random.default_rng(0).dirichlet(np.ones(3), size=100).T
    ax = plot_model_probabilities(posteriors, 50.0).axes[0]
    found, edges = heights(ax)
    assert_allclose(found, posteriors, atol=1e-12)
    assert_allclose(edges, np.arange(101) / 50)
    assert ax.get_xlim() == (0, 2)
    assert ax.get_ylim() == (0, 1)
    tops = [one.get_data().values for one in ax.patches]
    assert_allclose(tops[-1], 1)
    names = [one.get_text() for one in ax.get_legend().get_texts()]
    assert names == ["model 0", "model 1", "model 2"]


def test_long_recordings_are_averaged():
    posteriors = np.repeat([[0.2, 1.0], [0.8, 0.0]], 3000, axis=1)
    posteriors[0, ::2] -= 0.2
    posteriors[1, ::2] += 0.2
    found, edges = heights(plot_model_probabilities(posteriors, 100.0).axes[0])
    assert found.shape == (2, MAX_BINS)
    assert_allclose(found[0, [0, -1]], [0.1, 0.9], atol=0.05)
    assert_allclose(edges[[0, -1]], [0, 60])


def test_unknown_spans_are_gaps():
    posteriors = np.full((2, 40), 0.5)
    posteriors[:, 10:20] = np.nan
    found, _ = heights(plot_model_probabilities(posteriors, 10.0).axes[0])
    assert_array_equal(np.isnan(found[0]), np.isnan(posteriors[0]))


def test_truth_is_a_band_in_the_colours_of_its_models():
    truth = np.repeat([1, 0, 1], [10, 20, 10])
    ax = plot_model_probabilities(np.eye(2)[:, truth], 10.0, truth=truth).axes[0]
    bands = [
        (band.get_paths()[0].get_extents(), band.get_facecolor()[0])
        for band in ax.collections
    ]
    assert_allclose([one.x0 for one, _ in bands], [0, 1, 3])
    assert_allclose([one.x1 for one, _ in bands], [1, 3, 4])
    assert [to_hex(color) for _, color in bands] == [
        MODEL_COLORS[one] for one in (1, 0, 1)
    ]
    assert min(one.y0 for one, _ in bands) > 1
    with pytest.raises(ShapeError, match=r"truth must have shape \(40,\)"):
        plot_model_probabilities(np.ones((1, 40)), 10.0, truth=truth[:5])


def test_more_models_than_colours_are_drawn():
    found, _ = heights(plot_model_probabilities(np.full((9, 20), 1 / 9), 10.0).axes[0])
    assert len(found) == 9


def test_likelihood_is_that_of_every_iteration_and_of_the_end(model):
    ax = plot_likelihood(model).axes[0]
    curve, end = ax.lines
    assert_array_equal(curve.get_ydata(), model.history.log_likelihood)
    assert curve.get_xdata()[0] == 1
    assert_array_equal(end.get_ydata(), model.log_likelihood)
    assert ax.get_ylim()[0] < model.log_likelihood < ax.get_ylim()[1]
    (text,) = [one.get_text() for one in ax.texts]
    assert f"{model.log_likelihood:.4f} after {model.n_evals} passes" in text
    assert model.stop_reason in text


def test_fit_of_one_or_no_iteration_is_drawn_too(model):
    for stop in (0, 1):
        history = replace(
            model.history,
            **{
                name: getattr(model.history, name)[:stop]
                for name in vars(model.history)
            },
        )
        plot_likelihood(replace(model, history=history)).canvas.draw()


def test_shares_are_the_weights(model):
    ax = plot_shares(model).axes[0]
    assert_allclose([bar.get_width() for bar in ax.patches], model.parameters.weight)
    assert [one.get_text() for one in ax.texts] == [
        f"{100 * one:.1f} %" for one in model.parameters.weight
    ]


def test_overview_has_all_three(model):
    posteriors = np.full((2, 50), 0.5)
    figure = plot_fit(model, posteriors, 10.0, truth=np.zeros(50, dtype=int))
    labels = [ax.get_xlabel() for ax in figure.axes]
    assert labels == ["Time (s)", "Iteration", "Share of the samples"]
    assert len(figure.axes[0].collections) == 1


def test_parts_are_drawn_on_axes_that_are_given(model):
    figure, axes = plt.subplots(1, 3)
    assert plot_likelihood(model, ax=axes[0]) is figure
    assert plot_shares(model, ax=axes[1]) is figure
    assert plot_model_probabilities(np.ones((1, 9)), 1.0, ax=axes[2]) is figure


def test_maps_are_those_of_the_model_with_their_shares(model, info, maps):
    figure = plot_maps(model, info, model_index=1)
    drawn = np.array([one.args[0] for one in maps.call_args_list]).T
    assert_array_equal(drawn, model.maps[1])
    assert maps.call_args.args[1].ch_names == NAMES
    shares = model.variances[1] / model.variances[1].sum()
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [f"{k} · {100 * one:.1f} %" for k, one in enumerate(shares)]


def test_titles_have_the_colour_of_their_kind(model, info, maps):
    titles = ["eye blink 0.99", "?"]
    figure = plot_maps(model, info, n_components=2, titles=titles)
    shown = [ax.title for ax in figure.axes]
    assert [one.get_text().split("\n")[1] for one in shown] == titles
    assert [one.get_color() for one in shown] == [KIND_COLORS["eye blink"], INK]


def test_maps_on_given_axes_and_of_every_model(model, info, maps):
    figure, axes = plt.subplots(1, 3)
    assert plot_maps(model, info, n_components=3, axes=list(axes)) is figure
    assert [one.kwargs["axes"] for one in maps.call_args_list] == list(axes)
    maps.reset_mock()
    assert len(plot_components(model, info)) == 2
    assert maps.call_count == 10
    with pytest.raises(InputError, match="axes must be at least 4, but got 3"):
        plot_maps(model, info, n_components=4, axes=list(axes))


def test_map_is_really_drawn(model, info):
    ax = plot_maps(model, info, n_components=1).axes[0]
    assert ax.images


def test_one_type_of_channel_is_shown(model, maps):
    mixed = mne.create_info(NAMES, 250.0, ["misc", "eeg", "eeg", "grad", "eeg"])
    plot_maps(model, mixed, n_components=1)
    field, part = maps.call_args.args
    assert_array_equal(field, model.maps[0, [1, 2, 4], 0])
    assert part.ch_names == ["C3", "Cz", "Pz"]


def test_what_cannot_be_drawn_is_refused(model, info):
    with pytest.raises(ShapeError, match="info must have the 5 channels of the fit"):
        plot_maps(model, mne.create_info(4, 250.0, "eeg"))
    with pytest.raises(InputError, match="info has no channels of type 'eeg', 'mag'"):
        plot_maps(model, mne.create_info(5, 250.0, "misc"))
    with pytest.raises(
        OptionError, match="model_index must be a whole number between 0 and 1"
    ):
        plot_maps(model, info, model_index=2)
    with pytest.raises(
        OptionError, match="n_components must be a whole number between 1 and 5"
    ):
        plot_maps(model, info, n_components=6)
    with pytest.raises(OptionError, match="sfreq must be a number above 0 Hz"):
        plot_model_probabilities(np.ones((1, 9)), 0.0)
