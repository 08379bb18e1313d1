"""FastICA on arrays: separation, invariances, and what it refuses."""

import warnings
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import FastICA as ReferenceFastICA

from meegic.base.errors import (
    ConvergenceWarning,
    InputError,
    OptionError,
    RankError,
    ShapeError,
)
from meegic.components.fastica import check_recording_array, fit_fastica
from meegic.components.scores import amari_distance

ALGORITHMS = ["symmetric", "deflation"]


def mix(n, n_times, *, n_flat=0, n_channels=None, seed=0):
    """Laplace sources, some of them uniform instead, in channels with an offset."""
    rng = np.random.default_rng(seed)
    sources = rng.laplace(size=(n, n_times))
    sources[:n_flat] = rng.uniform(-1, 1, size=(n_flat, n_times))
    mixing = rng.normal(size=(n_channels or n, n))
    return mixing @ sources + rng.normal(size=(len(mixing), 1)), mixing


@pytest.fixture(scope="module")
def recording():
    return mix(5, 4000, n_flat=1)[0]


@pytest.fixture(scope="module")
def model(recording):
    return fit_fastica(recording)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_sixteen_sources_are_separated_as_well_as_by_scikit_learn(algorithm):
    data, mixing = mix(16, 20_000, n_flat=4)
    ours = fit_fastica(data, algorithm=algorithm)
    assert ours.converged
    reference = ReferenceFastICA(
        16, algorithm=algorithm.replace("symmetric", "parallel"), random_state=0
    ).fit(data.T)
    distance = amari_distance(ours.filters, mixing)
    assert distance < 0.02
    # both end within tol of the same fixed point; deflation depends on who was first
    bound = {"symmetric": 1.02, "deflation": 1.5}[algorithm]
    assert distance < bound * amari_distance(reference.components_, mixing)


def test_thirty_two_sources_are_separated():
    data, mixing = mix(32, 60_000, n_flat=8)
    assert amari_distance(fit_fastica(data).filters, mixing) < 0.01


def test_components_are_those_of_scikit_learn(recording):
    """Run to the fixed point, both agree in every component."""
    ours = fit_fastica(recording, tol=1e-13, max_iter=500)
    reference = ReferenceFastICA(
        5, whiten="unit-variance", tol=1e-13, max_iter=500, random_state=0
    ).fit_transform(recording.T)
    match = np.abs(np.corrcoef(ours.unmix(recording), reference.T)[:5, 5:])
    assert_allclose(match.max(axis=1), 1, atol=1e-9)


def turn_once(fit, data):
    """The next directions before they are made orthogonal, in terms of the present."""
    y = fit.unmix(data)
    products = np.tanh(y) @ y.T / y.shape[1]
    return products - np.diag((1 - np.tanh(y) ** 2).mean(axis=1))


def test_symmetric_fit_ends_where_the_nearest_orthogonal_turn_is_none(recording):
    step = turn_once(fit_fastica(recording, tol=1e-14, max_iter=500), recording)
    left, sizes, right = np.linalg.svd(step)
    assert sizes.min() > 0.01
    assert_allclose(np.abs(left @ right), np.eye(5), atol=1e-6)


def test_deflation_ends_where_earlier_components_alone_pull(recording):
    fit = fit_fastica(recording, algorithm="deflation", tol=1e-14, max_iter=500)
    step = np.abs(turn_once(fit, recording))
    order = np.argsort((step > 1e-6).sum(axis=1))
    assert np.triu(step[order][:, order], 1).max() < 1e-6
    assert step.diagonal().min() > 0.01


def test_components_are_white(recording, model):
    components = model.unmix(recording)
    assert_allclose(components.mean(axis=1), 0, atol=1e-12)
    assert_allclose(np.cov(components, bias=True), np.eye(5), atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_components_give_the_data_back_where_all_are_kept(recording, algorithm):
    fit = fit_fastica(recording, algorithm=algorithm)
    components = fit.unmix(recording)
    mean = recording.mean(axis=1, keepdims=True)
    assert_allclose(fit.maps @ components + mean, recording, atol=1e-10)
    assert_allclose(fit.restore(components), recording, atol=1e-10)
    assert_allclose(fit.filters @ fit.maps, np.eye(5), atol=1e-12)
    assert_allclose(fit.rotation @ fit.rotation.T, np.eye(5), atol=1e-13)


def test_rank_of_average_referenced_data_is_used():
    data = mix(4, 3000)[0]
    data -= data.mean(axis=0)
    fit = fit_fastica(data)
    assert fit.maps.shape == (4, 3)
    assert_allclose(fit.restore(fit.unmix(data)), data, atol=1e-10)


def test_fewer_components_restore_the_largest_directions():
    data, _ = mix(3, 3000, n_channels=6)
    data += 0.01 * np.random.default_rng(1).normal(size=data.shape)
    fit = fit_fastica(data, n_components=3)
    rest = data - fit.restore(fit.unmix(data))
    assert np.abs(rest.std(axis=1)).max() < 0.011


def test_components_come_by_variance_with_positive_peaks(model):
    maps = model.maps
    sizes = (maps**2).sum(axis=0)
    assert (np.diff(sizes) < 0).all()
    assert (maps[np.abs(maps).argmax(axis=0), np.arange(5)] > 0).all()


@pytest.mark.parametrize("unit", [1e-13, 1e-6, 1e9])
def test_unit_of_the_data_does_not_matter(recording, model, unit):
    other = fit_fastica(unit * recording)
    assert other.n_iter == model.n_iter
    components = model.unmix(recording)
    assert_allclose(other.unmix(unit * recording), components, atol=1e-10)
    assert_allclose(other.maps, unit * model.maps, rtol=1e-9, atol=1e-11 * unit)


def test_channels_of_another_unit_do_not_matter(recording, model):
    units = np.array([1, 1e9, 1, 1e9, 1])[:, None]
    other = fit_fastica(units * recording)
    # the start differs, so that both only end within the tolerance of each other
    match = np.corrcoef(other.unmix(units * recording), model.unmix(recording))
    assert_allclose(np.abs(match[:5, 5:]).max(axis=1), 1, atol=1e-4)
    sizes = ((other.maps / units) ** 2).sum(axis=0)
    assert (np.diff(sizes) < 0).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("chunk_t", [1, 7, 3999, 10_000])
def test_length_of_blocks_does_not_matter(recording, algorithm, chunk_t):
    data = recording[:, :400] if chunk_t == 1 else recording
    whole = fit_fastica(data, algorithm=algorithm)
    other = fit_fastica(data, algorithm=algorithm, chunk_t=chunk_t)
    assert other.n_iter == whole.n_iter
    assert_allclose(other.filters, whole.filters, atol=1e-12)


def test_same_seed_gives_the_same_bits(recording, model):
    assert_array_equal(fit_fastica(recording).filters, model.filters)
    other = fit_fastica(recording, seed=1)
    assert not np.array_equal(other.filters, model.filters)
    assert_allclose(other.filters, model.filters, atol=0.02)
    assert (model.record.seed, other.record.seed) == (0, 1)


def test_start_does_not_depend_on_the_signs_of_principal_directions(monkeypatch):
    """Nor do results, so that another LAPACK gives the same components."""
    from meegic.components import fastica

    def flip(*args, **kwargs):
        white = fit_whitener(*args, **kwargs)
        signs = np.array([1.0, -1.0, -1.0])
        return replace(
            white,
            forward=signs[:, None] * white.forward,
            inverse=white.inverse * signs,
            directions=white.directions * signs,
        )

    data = mix(3, 2000)[0]
    expected = fit_fastica(data).filters
    replace, fit_whitener = fastica.replace, fastica.fit_whitener
    monkeypatch.setattr(fastica, "fit_whitener", flip)
    assert_allclose(fit_fastica(data).filters, expected, atol=1e-11)


@pytest.mark.parametrize("dtype", ["f4", ">f8", "f2", "i4"])
def test_any_real_dtype_and_layout_is_taken_and_left_alone(recording, dtype):
    data = np.asfortranarray((100 * recording).astype(dtype))
    data.flags.writeable = False
    plain = fit_fastica(np.array(data, dtype=float))
    assert_allclose(fit_fastica(data).filters, plain.filters, rtol=1e-6, atol=1e-9)


def test_history_holds_the_change_of_every_pass(recording, model):
    assert model.converged
    assert model.n_iter == len(model.changes) > 2
    assert model.changes[-1] < 1e-4 <= model.changes[:-1].min()
    shorter = fit_fastica(recording, tol=0.5)
    assert_array_equal(shorter.changes, model.changes[: shorter.n_iter])


@pytest.mark.filterwarnings("ignore:FastICA has not converged")
def test_change_is_that_of_the_direction_that_moved_most(recording):
    before, after = (fit_fastica(recording, max_iter=k, tol=1e-15) for k in (3, 4))
    cosines = np.abs(before.rotation @ after.rotation.T).max(axis=1)
    assert_allclose(after.changes[-1], 1 - cosines.min(), rtol=1e-6)
    assert_array_equal(after.changes[:3], before.changes)


def test_whitening_is_by_principal_components(recording, model):
    directions = model.whitener.inverse
    values = np.linalg.eigvalsh(np.cov(recording, bias=True))[::-1]
    assert_allclose(directions.T @ directions, np.diag(values), atol=1e-12)


@pytest.mark.filterwarnings("ignore::meegic.base.errors.ConvergenceWarning")
def test_two_times_for_each_component_are_enough():
    assert fit_fastica(mix(4, 8)[0]).maps.shape == (4, 4)


def test_one_component_of_one_channel_is_the_standardized_channel():
    data = np.random.default_rng(0).normal(3, 2, size=(1, 100))
    fit = fit_fastica(data)
    assert_allclose(fit.unmix(data), (data - data.mean()) / data.std(), atol=1e-12)
    assert fit.converged


def test_new_data_are_unmixed_with_the_mean_of_the_fit(recording, model):
    shifted = recording[:, :100] + 1
    expected = model.unmix(recording)[:, :100] + model.filters.sum(axis=1)[:, None]
    assert_allclose(model.unmix(shifted), expected, atol=1e-12)


def test_result_is_frozen_and_records_its_options(model):
    with pytest.raises(FrozenInstanceError):
        model.rotation = np.eye(5)
    assert dict(model.record.options) == {
        "n_components": 5,
        "algorithm": "symmetric",
        "max_iter": 200,
        "tol": 1e-4,
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_too_few_passes_are_a_warning_with_what_to_do(recording, algorithm):
    with pytest.warns(
        ConvergenceWarning, match="not converged within 2 passes.*Raise max_iter"
    ):
        fit = fit_fastica(recording, algorithm=algorithm, max_iter=2)
    assert not fit.converged
    components = fit.unmix(recording)
    assert_allclose(np.cov(components, bias=True), np.eye(5), atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 500), (5, 10_000), (16, 2000)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gaussian_noise_is_a_warning_and_never_an_error(shape, algorithm):
    data = np.random.default_rng(0).normal(size=shape)
    with pytest.warns(ConvergenceWarning, match="tell from Gaussian noise"):
        fit = fit_fastica(data, algorithm=algorithm, max_iter=20)
    assert np.isfinite(fit.filters).all()


def test_one_source_among_gaussian_noise_is_found_without_that_warning():
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(4, 8000))
    sources[0] = rng.laplace(size=8000)
    data = rng.normal(size=(4, 4)) @ sources
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FastICA has not converged")
        fit = fit_fastica(data)
    match = np.corrcoef(sources[0], fit.unmix(data))[0, 1:]
    assert np.abs(match).max() > 0.99


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"n_components": 0}, OptionError, "n_components must be a whole number"),
        ({"n_components": 6}, OptionError, "between 1 and 5, but got 6"),
        ({"max_iter": 0}, OptionError, "max_iter must be a whole number >= 1"),
        ({"tol": 0.0}, OptionError, "tol must be a number above 0 and below 1"),
        ({"tol": float("nan")}, OptionError, "tol must be .* but got nan"),
        ({"seed": -1}, OptionError, "seed must be a whole number >= 0"),
        ({"chunk_t": 0}, OptionError, "chunk_t must be a whole number >= 1"),
    ],
)
def test_option_outside_its_range_is_refused(recording, change, error, match):
    with pytest.raises(error, match=match):
        fit_fastica(recording, **change)


def test_more_components_than_the_rank_are_refused():
    data = mix(2, 100, n_channels=4)[0]
    with pytest.raises(RankError, match="rank of the data, 2, but got 3"):
        fit_fastica(data, n_components=3)


def spoil(how):
    data = mix(4, 100)[0]
    if how == "nan":
        data[1, 7] = np.nan
    elif how == "flat":
        data[2] = 0.1
    elif how == "all flat":
        data[:] = 0.1
    return data


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (
            spoil("nan"),
            InputError,
            r"NaN or Inf: 1 values, the first at index \(1, 7\)",
        ),
        (spoil("flat"), InputError, "1 of 4 channels are flat, the first at index 2"),
        (spoil("all flat"), InputError, "4 of 4 channels are flat"),
        (mix(4, 7)[0], InputError, "4 components need at least 8 times, but got 7"),
        (mix(4, 3)[0], ShapeError, "more channels .4. than times .3.; is it transp"),
        (np.ones((2, 3, 4)), ShapeError, "data must have two axes"),
        (np.ones((2, 9), bool), InputError, "real numbers, but its dtype is bool"),
        (np.ones((2, 9), complex), InputError, "but its dtype is complex128"),
        (np.ones((0, 9)), ShapeError, "data is empty"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_data_that_cannot_be_used_are_refused(data, error, match):
    with pytest.raises(error, match=match):
        fit_fastica(data)


@pytest.mark.parametrize(
    ("spoiled", "error", "match"),
    [
        (np.zeros((4, 10)), ShapeError, "the 5 channels of the fit, but got 4"),
        (np.full((5, 10), np.inf), InputError, "data contains NaN or Inf"),
    ],
)
def test_other_channels_and_holes_in_new_data_are_refused(model, spoiled, error, match):
    with pytest.raises(error, match=match):
        model.unmix(spoiled)


def test_name_of_the_argument_is_that_of_the_caller():
    with pytest.raises(InputError, match=r"^X must hold real numbers"):
        check_recording_array("X", np.ones((2, 9), bool))
