"""Channels that do not vary, samples that rule the covariance: what rank is left."""

import warnings
from inspect import unwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.fits import simulate

from meegic.base.errors import (
    ConvergenceWarning,
    DataWarning,
    InputError,
    ShapeError,
)
from meegic.components.amica import fit_amica
from meegic.components.inspection import find_spikes
from meegic.components.options import AmicaOptions
from meegic.components.scores import amari_distance
from meegic.components.whiten import fit_whitener

SHORT = AmicaOptions(max_iter=12)


@pytest.fixture(scope="module")
def data():
    return simulate(4, 4000, flat=False)[0]


def fit_quietly(data, options=SHORT, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return unwrap(fit_amica)(data, options, **kwargs)


# The mean of none of these is exact in binary, at least not by a sum of so many.
@pytest.mark.parametrize("constant", [0.1, 3.14, 7.7, -2.3e5])
@pytest.mark.parametrize("n_times", [4000, 100_000])
def test_a_channel_at_any_offset_is_flat(data, constant, n_times):
    flat = np.tile(data, n_times // 4000)
    flat[1] = constant
    whitener = fit_whitener(flat)
    assert whitener.forward.shape == (3, 4)
    assert_allclose(whitener.forward[:, 1], 0, atol=1e-14)
    assert_allclose(whitener.mean[1], constant, rtol=1e-14)
    assert_array_equal(whitener.scale, 1)  # rounding is no unit
    if n_times == 4000:
        assert fit_quietly(flat).n_components == 3


@pytest.mark.parametrize("constant", [3.3, 0.1, -2.3e5, 1e-13])
def test_nothing_but_flat_channels_is_refused(constant):
    with pytest.raises(InputError, match="all channels are flat: nothing varies"):
        fit_amica(np.full((4, 30_000), constant))


def test_a_channel_that_holds_rounding_only_is_flat(data):
    rounding = 1e-16 * np.random.default_rng(0).normal(size=4000)
    noisy = np.vstack([data, rounding])
    whitener = fit_whitener(noisy)
    assert whitener.forward.shape == (4, 5)
    assert_array_equal(whitener.scale, 1)
    small = np.vstack([data, 1e10 * rounding])  # another unit, but a signal
    assert len(fit_whitener(small).forward) == 5


def test_a_small_signal_on_a_large_offset_is_kept(data):
    lifted = data.copy()
    lifted[2] += 1e9
    assert len(fit_whitener(lifted).forward) == 4


@pytest.mark.parametrize("rows", [[1], [0, 2], [0, 1, 2, 3]])
@pytest.mark.parametrize("n_times", [1500, 20_000])  # of which 2500 n is 10 000
def test_row_30_spikes_keep_the_components(rows, n_times):
    spiked, _ = simulate(4, n_times, flat=False)
    calm = fit_whitener(spiked)
    spiked[rows, 777] = 1e9
    with pytest.warns(DataWarning, match="1 samples are .* at 777; do_reject=True"):
        model = fit_quietly(spiked)
    assert model.n_components == 4
    # The sphere is that of the other samples.
    rest = np.delete(np.arange(n_times), 777)
    assert_allclose(np.cov(model.whitener(spiked)[:, rest], bias=True), np.eye(4),
                    atol=1e-8)  # fmt: skip
    assert_allclose(model.whitener.forward, calm.forward, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
@pytest.mark.parametrize("n_restarts", [1, 2])
@pytest.mark.parametrize("sizes", [[1e9], [1e9] * 3, [1e5, 1e8, -1e11]])
def test_row_30_with_rejection_spikes_spoil_nothing(solver, n_restarts, sizes):
    spiked, mixing = simulate(4, 3000, flat=False)
    places = [10, 500, 2000][: len(sizes)]
    spiked[1, places] = sizes  # some hide others
    listed = ", ".join(str(one) for one in places)
    options = AmicaOptions(
        max_iter=90, do_reject=True, solver=solver, n_restarts=n_restarts
    )
    with pytest.warns(DataWarning, match=f"samples are .* at {listed}; do_reject"):
        model = fit_quietly(spiked, options)
    assert model.n_components == 4
    assert model.rejected[places].all()
    assert model.rejected.sum() < 200
    assert amari_distance(model.filters[0], mixing) < 0.05


def test_row_30_reference_programs_sphere_all_samples():
    spiked, _ = simulate(4, 3000, flat=False)
    spiked[1, 777] = 1e4
    options = AmicaOptions(max_iter=3, compat="fortran")
    model = fit_quietly(spiked, options)
    whole = fit_whitener(spiked)
    assert_array_equal(model.whitener.forward, whole.forward)


def test_usual_data_have_no_spikes(data):
    whitener = fit_whitener(data)
    assert not find_spikes(whitener(data), np.ones(4000)).any()
    few = np.random.default_rng(0).normal(size=(4, 30))  # where shares are large
    assert not find_spikes(fit_whitener(few)(few), np.ones(30)).any()


@pytest.mark.parametrize("value", [1e160, 1e200])
def test_values_whose_squares_are_not_finite_are_refused(data, value):
    huge = data.copy()
    huge[1, 7] = value
    with pytest.raises(InputError, match="so large that their squares are not finite"):
        fit_amica(huge)


@pytest.mark.parametrize("wrong", [0.0, np.nan, -1.0, np.inf])
def test_scales_that_are_not_positive_are_refused(data, wrong):
    scale = np.array([1.0, 1.0, wrong, 1.0])
    with pytest.raises(InputError, match="scale must be finite and positive, but got"):
        fit_amica(data, scale=scale)


def test_a_scale_for_other_channels_is_refused(data):
    with pytest.raises(ShapeError, match=r"scale must have shape \(4,\), but got"):
        unwrap(fit_amica)(data, scale=np.ones(5))


def test_row_48_blocks_of_lower_rank_are_reported():
    whole, _ = simulate(4, 8000, flat=False)
    repaired = whole.copy()
    repaired[3, 2000:4000] = repaired[:3, 2000:4000].mean(axis=0)
    words = "1 blocks of 2000 samples have .* at sample 2000 has 3 of 4. Repair or"
    with pytest.warns(DataWarning, match=words):
        model = fit_quietly(repaired)
    assert model.n_components == 4
    assert np.isfinite(model.log_likelihood)
    assert np.diff(model.history.log_likelihood).min() > -1e-9
    words = "2 blocks of 1000 samples have .* at sample 2000 has 3 of 4"
    with pytest.warns(DataWarning, match=words):
        fit_quietly(repaired, AmicaOptions(max_iter=3, sfreq=100.0))
    fit_quietly(whole, SHORT)  # without a warning


def test_row_48_a_block_needs_enough_samples_to_be_judged():
    whole, _ = simulate(4, 8000, flat=False)
    weights = np.ones(8000)
    weights[2000:3993] = 0.0  # seven are left of this block, of eight that it takes
    fit_quietly(whole, weights=weights)
    weights[2000:4000] = 0.0
    fit_quietly(whole, weights=weights)
    repaired = whole.copy()
    repaired[3, 2000:4000] = repaired[:3, 2000:4000].mean(axis=0)
    fit_quietly(repaired, weights=weights)  # nothing of it is used
    weights[3900:4000] = 1.0
    with pytest.warns(DataWarning, match="at sample 2000 has 3 of 4"):
        fit_quietly(repaired, weights=weights)


def test_row_48_a_spike_hides_no_block():
    repaired, _ = simulate(4, 8000, flat=False)
    repaired[3, 2000:4000] = repaired[:3, 2000:4000].mean(axis=0)
    repaired[3, 2777] = 1e9
    with pytest.warns(DataWarning) as said:
        fit_quietly(repaired)
    words = [str(one.message) for one in said]
    assert any("at sample 2000 has 3 of 4" in one for one in words)
    assert any("at 2777; do_reject" in one for one in words)


def test_a_fit_that_a_spike_ruins_is_not_called_converged(data):
    spiked = data.copy()
    spiked[1, 700] = 1e9
    with (
        pytest.warns(DataWarning, match="at 700"),
        pytest.warns(ConvergenceWarning, match="none raises the log-likelihood"),
    ):
        model = unwrap(fit_amica)(spiked)
    assert model.stop_reason == "line_search"
    assert not model.converged
    with pytest.warns(DataWarning, match="at 700"):
        calm = unwrap(fit_amica)(spiked, AmicaOptions(do_reject=True))
    assert calm.converged
    assert calm.rejected[700]
