"""Where fits begin: every form of a start, and what is refused."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.fits import simulate

from meegic.base.errors import ConvergenceWarning, InputError, OptionError, ShapeError
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.components.parameters import draw_parameters
from meegic.components.scores import amari_distance
from meegic.components.starts import make_start, take_arrays
from meegic.components.whiten import fit_whitener


@pytest.fixture(scope="module")
def recording():
    return simulate(4, 3000, flat=False)


def begin(data, start, seed=0, **options):
    whitener = fit_whitener(data)
    x, ones = whitener(data), np.ones(data.shape[1])
    given = AmicaOptions(**options)
    return make_start(start, x, ones, whitener, given, seed=seed), whitener


def test_the_random_start(recording):
    start, _ = begin(recording[0], None, n_models=2)
    mixing = np.linalg.inv(start.unmix)
    assert_allclose(np.linalg.norm(mixing, axis=1), 1, rtol=1e-12)
    assert_allclose(mixing.diagonal(axis1=1, axis2=2), 1, atol=1e-3)
    off = mixing[:, ~np.eye(4, dtype=bool)]
    assert 1e-3 < np.abs(off).max() <= 0.005
    assert (start.unmix[0] != start.unmix[1]).any()
    assert_allclose(start.mu, [[[-1], [0], [1]]] * np.ones((2, 3, 4)), atol=0.05)
    assert np.abs(start.mu[:, 1]).max() > 0.01
    assert_allclose(start.beta, 1, atol=0.05)
    assert_array_equal(start.rho, 1.5)
    assert_allclose(start.alpha, 1 / 3)
    assert_array_equal(start.weight, 0.5)
    assert_array_equal(start.center, 0)


@pytest.mark.parametrize("given", [("fix", {}), (None, {"fix_init": True})])
def test_the_start_without_chance(recording, given):
    start, _ = begin(recording[0], given[0], **given[1])
    other, _ = begin(recording[0], given[0], seed=9, **given[1])
    for one, two in zip(start, other, strict=True):
        assert_array_equal(one, two)
    assert_array_equal(start.unmix[0], np.eye(4))
    assert_array_equal(start.mu[0, :, 0], [-1, 0, 1])
    assert_array_equal(start.beta, 1)
    with pytest.raises(OptionError, match="fix_init must be False with n_models=2"):
        begin(recording[0], given[0], n_models=2, **given[1])


@pytest.mark.parametrize("word", ["fastica", "one-term"])
def test_starts_that_separate_already(recording, word):
    data, mixing = recording
    start, whitener = begin(data, word)
    plain, _ = begin(data, None)
    distance = [
        amari_distance(one.unmix[0] @ whitener.forward, mixing)
        for one in (start, plain)
    ]
    assert distance[0] < 0.05 < distance[1]
    sources = start.unmix[0] @ whitener(data)
    assert 0.3 < sources.std(axis=1).min() < sources.std(axis=1).max() < 1.5


def test_one_unmixing_makes_models_that_differ(recording):
    start, _ = begin(recording[0], "fastica", n_models=2)
    assert (start.unmix[0] != start.unmix[1]).any()
    assert_allclose(start.unmix[0], start.unmix[1], atol=0.1)


def test_a_model_goes_on_where_it_ended(recording):
    data, _ = recording
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fit_amica(data, AmicaOptions(max_iter=60))
        further = fit_amica(data, AmicaOptions(max_iter=15), start=model)
        em = AmicaOptions(max_iter=5, solver="em", lrate=1e-3, lrate0=1e-3)
        other = fit_amica(data, em, start=model)
    first = further.history.log_likelihood[0]
    assert_allclose(first, model.log_likelihood, rtol=0, atol=1e-12)
    assert further.log_likelihood >= model.log_likelihood
    assert_allclose(other.history.log_likelihood[0], first, rtol=0, atol=1e-12)


def test_a_model_is_carried_over_to_other_sphering(recording):
    data, _ = recording
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fit_amica(data, AmicaOptions(max_iter=40, n_models=2))
    # Twice as long, other mean and covariance; the likelihood of a model is its own.
    other = np.hstack([data, 2 * data[:, :1000] + rng.normal(size=(4, 1))])
    start, whitener = begin(other, model, n_models=2)
    sources = start.unmix @ whitener(other) - np.einsum(
        "hik,hk->hi", start.unmix, start.center)[..., None]  # fmt: skip
    p = model.parameters
    wanted = p.unmix @ model.whitener(other) - np.einsum(
        "hik,hk->hi", p.unmix, p.center)[..., None]  # fmt: skip
    assert_allclose(sources, wanted, atol=1e-9)
    assert_array_equal(start.beta, p.beta)
    for wrong in ({"n_models": 1}, {"n_models": 2, "n_mix": 2}):
        with pytest.raises(
            OptionError, match="start must be a model with the channels"
        ):
            begin(other, model, **wrong)


def test_arrays_take_the_place_of_what_is_drawn():
    rng = np.random.default_rng(0)
    drawn = draw_parameters(4, n_models=2, generator=rng)
    given = {
        "W": rng.normal(size=(2, 4, 4)), "c": rng.normal(size=(2, 4)),
        "gm": np.array([3.0, 1.0]), "alpha": rng.uniform(1, 2, (2, 4, 3)),
        "mu": rng.normal(size=(2, 4, 3)), "sbeta": rng.uniform(1, 2, (2, 4, 3)),
        "rho": rng.uniform(1, 2, (2, 4, 3)),
    }  # fmt: skip
    start = take_arrays(given, drawn)
    assert_array_equal(start.unmix, given["W"])
    assert_array_equal(start.center, given["c"])
    assert_allclose(start.weight, [0.75, 0.25])
    alpha = given["alpha"].swapaxes(1, 2)
    assert_allclose(start.alpha, alpha / alpha.sum(axis=1, keepdims=True))
    for ours, theirs in (("mu", "mu"), ("beta", "sbeta"), ("rho", "rho")):
        assert_array_equal(getattr(start, ours), given[theirs].swapaxes(1, 2))
    for name in given:
        alone = take_arrays({name: given[name]}, drawn)
        same = [np.array_equal(a, b) for a, b in zip(alone, drawn, strict=True)]
        assert sum(same) == 6, name
    mixing = take_arrays({"A": np.linalg.inv(given["W"])}, drawn)
    assert_allclose(mixing.unmix, given["W"], rtol=1e-9)


def test_arrays_of_one_model_need_no_axis_for_it():
    drawn = draw_parameters(4)
    matrix = np.arange(16.0).reshape(4, 4) + 20 * np.eye(4)
    assert_array_equal(take_arrays({"W": matrix}, drawn).unmix[0], matrix)
    rho = np.linspace(1, 2, 12).reshape(4, 3)
    assert_array_equal(take_arrays({"rho": rho}, drawn).rho[0], rho.T)


def test_bounds_hold_from_the_start(recording):
    given = {"rho": np.full((4, 3), 1.1), "sbeta": np.full((4, 3), 1e6)}
    start, _ = begin(recording[0], given, minrho=1.3)
    assert_array_equal(start.rho, 1.3)
    assert_array_equal(start.beta, 100.0)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"sbetta": np.ones(1)}, OptionError, "not a known start array.*Did you mean"),
        ({"W": np.eye(4), "A": np.eye(4)}, OptionError, "must have W or A, its inver"),
        ({"W": np.eye(3)}, ShapeError, r"start array W must have shape \(1, 4, 4\)"),
        ({"rho": np.ones((3, 4))}, ShapeError, "start array rho must have shape"),
        ({"mu": np.full((4, 3), np.nan)}, InputError, "array mu contains NaN or Inf"),
        ({"A": np.zeros((4, 4))}, InputError, "start array A must be invertible"),
        ({"alpha": -np.ones((4, 3))}, InputError, "start array alpha must be positive"),
        ({"gm": np.array([-1.0])}, InputError, "start array gm must be positive"),
        ("fastika", OptionError, "start must be .* Did you mean 'fastica'"),
        ("no-such-folder", OptionError, "a folder with W and S"),
    ],
)
def test_starts_that_cannot_be(recording, given, error, words):
    with pytest.raises(error, match=words):
        begin(recording[0], given)


def test_a_folder_of_eeglab(shared):
    data = np.fromfile(shared / "data/eeglab_data.fdt", "<f4").reshape(30504, 32).T
    whitener = fit_whitener(data)
    folder = shared / "golden/amica/amicaout"
    x = whitener(data[:, :500])
    start = make_start(str(folder), x, np.ones(500), whitener, AmicaOptions(), seed=0)
    with np.load(shared / "golden/amica/fortran_eeg32.npz") as file:
        order, rho = file["order"], file["rho"]
    assert_allclose(start.rho[0].T, rho[order], rtol=1e-12)
