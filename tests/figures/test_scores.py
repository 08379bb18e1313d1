"""Pictures of scores show their numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import InputError, ShapeError
from meegic.components.dipolarity import DipoleFits
from meegic.figures.scores import BANDS, plot_dipolarity, plot_mutual_information
from meegic.figures.style import MUTED

RNG = np.random.default_rng(2)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def make_fits(shares):
    empty = np.zeros((len(shares), 3))
    return DipoleFits(np.array(shares), empty, empty)


def dots(ax):
    """Give the heights and colours of all dots."""
    (found,) = [one for one in ax.collections if len(one.get_offsets()) > 1]
    return found.get_offsets()[:, 1], [to_hex(one) for one in found.get_facecolors()]


def test_pairs_are_the_matrix_without_its_diagonal():
    matrix = RNG.uniform(0.1, 1, size=(5, 5))
    figure = plot_mutual_information(matrix)
    ax, bar = figure.axes
    shown = ax.images[0].get_array()
    assert_array_equal(shown.mask, np.eye(5, dtype=bool))
    assert_array_equal(shown.data[~shown.mask], matrix[~shown.mask])
    assert bar.get_ylabel() == "Mutual information (nats)"
    mean = matrix[~shown.mask].mean()
    assert ax.get_title(loc="left") == f"mean of pairs {mean:.3g} nats"


def test_one_large_pair_does_not_hide_the_others():
    matrix = np.full((20, 20), 0.01)
    matrix[3, 4] = matrix[4, 3] = 5
    image = plot_mutual_information(matrix).axes[0].images[0]
    assert image.get_clim() == (0, 0.01)
    assert image.colorbar.extend == "max"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_independent_sources_are_drawn_too(n):
    plot_mutual_information(np.zeros((n, n))).canvas.draw()


def test_residual_variances_are_shown_with_their_counts():
    figure = plot_dipolarity(make_fits([0.5, 0.02, 0.07, 0.12, 0.0]))
    ax = figure.axes[0]
    heights, colors = dots(ax)
    assert_allclose(heights, [0.01, 2, 7, 12, 50])  # what is zero is at the foot
    assert colors == [BANDS[5], BANDS[5], BANDS[10], BANDS[15], MUTED]
    names = [one.get_text() for one in ax.get_xticklabels()]
    assert names == ["4", "1", "2", "3", "0"]
    words = [one.get_text() for one in ax.get_legend().get_texts()]
    assert words == ["2 below 5 %", "3 below 10 %", "4 below 15 %"]
    assert ax.get_legend().get_title().get_text() == "of 5 components"


def test_limits_are_not_below_themselves():
    colors = dots(plot_dipolarity(make_fits([0.05, 0.10])).axes[0])[1]
    assert colors == [BANDS[10], BANDS[15]]


def test_legend_is_outside_of_the_data():
    figure = plot_dipolarity(make_fits(RNG.uniform(size=32)))
    figure.canvas.draw()
    ax = figure.axes[0]
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1


def test_planes_are_shown_too():
    ax = plot_dipolarity(np.array([0.2, 0.9, 0.5])).axes[0]
    assert_allclose(dots(ax)[0], [0.9, 0.5, 0.2])
    assert ax.get_ylabel() == "R² of a plane"
    assert ax.get_legend() is None


def test_many_components_have_ranks():
    ax = plot_dipolarity(RNG.uniform(size=200)).axes[0]
    assert ax.get_xlabel() == "Rank of the component"
    assert len(ax.get_xticks()) < 20


def test_axes_that_are_given_are_used():
    figure, axes = plt.subplots(1, 3)
    assert plot_dipolarity(make_fits([0.1, 0.3]), ax=axes[0]) is figure
    assert plot_dipolarity(np.array([0.1, 0.3]), ax=axes[1]) is figure
    assert plot_mutual_information(np.eye(3), ax=axes[2]) is figure
    assert plt.get_fignums() == [figure.number]


def test_what_is_no_score_is_refused():
    with pytest.raises(ShapeError, match=r"matrix must have shape \(2, 2\)"):
        plot_mutual_information(np.ones((2, 3)))
    with pytest.raises(InputError, match="matrix contains NaN"):
        plot_mutual_information(np.full((2, 2), np.nan))
    with pytest.raises(ShapeError, match=r"fits_or_scores must have shape"):
        plot_dipolarity(np.ones((2, 3)))
