"""`FastICA` as the preprocessing tutorial uses it, and for both kinds of arrays."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.arrays import precise
from meegic.base.errors import (
    ConvergenceWarning,
    InputError,
    NotFittedError,
    OptionError,
    ShapeError,
)
from meegic.preprocessing.ica import FastICA

FITTED = [
    "mixing_",
    "components_",
    "mean_",
    "unmixing_",
    "n_iter_",
    "converged_",
    "seed_",
    "model_",
]


def match(components, sources):
    """The best absolute correlation of every source with a component."""
    n = len(sources)
    both = np.corrcoef(np.asarray(sources), np.asarray(components))
    return np.abs(both[:n, n:]).max(axis=1)


def blink_recording():
    """Two rhythms and two square pulses in four channels, as in the tutorial."""
    t = jnp.linspace(0, 1, 2000)
    pulse = jnp.zeros(2000).at[500:600].set(5.0).at[1200:1300].set(5.0)
    sources = jnp.stack(
        [jnp.sin(2 * jnp.pi * 10 * t), jnp.sin(2 * jnp.pi * 25 * t), pulse]
    )
    mixing = jnp.array(
        [[1.0, 0.3, 2.0], [0.5, 0.8, 1.5], [0.8, 1.0, 0.1], [0.3, 0.9, 0.05]]
    )
    noise = jax.random.normal(jax.random.PRNGKey(14), (4, 2000))
    return mixing @ sources + 0.05 * noise, sources


def test_tutorial_finds_both_rhythms_and_the_blink():
    X, sources = blink_recording()
    ica = FastICA(n_components=3, max_iter=500, tol=1e-5)
    model = ica.fit(X, key=jax.random.PRNGKey(42))
    assert model.converged_
    assert match(model.components_, sources).min() >= 0.985
    for i in range(3):
        peak = float(jnp.max(jnp.abs(model.components_[i])))
        rms = float(jnp.sqrt(jnp.mean(model.components_[i] ** 2)))
        assert peak > rms
        assert_allclose(rms, 1, rtol=1e-5)


def test_tutorial_gives_float32_arrays_of_jax_in_the_promised_shapes():
    X, _ = blink_recording()
    model = FastICA(3).fit(X)
    shapes = {"mixing_": (4, 3), "components_": (3, 2000), "mean_": (4, 1)}
    shapes["unmixing_"] = (3, 4)
    for name, shape in shapes.items():
        value = getattr(model, name)
        assert isinstance(value, jax.Array)
        assert (value.dtype, value.shape) == (jnp.float32, shape)


def test_tutorial_chain_runs_on_filtered_data():
    """One rhythm in all channels and smoothed noise: what ASR would have left."""
    t = jnp.linspace(0, 2, 2000)
    data = jnp.tile(0.5 * jnp.sin(2 * jnp.pi * 10 * t), (4, 1))
    data = data + 0.05 * jax.random.normal(jax.random.PRNGKey(0), (4, 2000))
    data = jax.vmap(lambda row: jnp.convolve(row, jnp.ones(5) / 5)[:2000])(data)
    ica = FastICA(n_components=3, max_iter=500, tol=1e-5)
    model = ica.fit(data, key=jax.random.PRNGKey(42))
    assert model.components_.shape[0] == 3
    assert match(model.components_, jnp.sin(2 * jnp.pi * 10 * t)[None]) > 0.99


def test_sine_and_square_wave_are_separated_from_two_channels():
    t = jnp.linspace(0, 8, 2000)
    sources = jnp.stack([jnp.sin(2 * t), jnp.sign(jnp.sin(3 * t))])
    model = FastICA(n_components=2).fit(jnp.array([[1.0, 0.5], [0.5, 1.0]]) @ sources)
    assert match(model.components_, sources).min() > 0.8


def test_one_component_of_one_channel():
    X = jax.random.normal(jax.random.PRNGKey(1), (1, 300)) * 3 + 2
    model = FastICA(n_components=1).fit(X)
    assert (model.mixing_.shape, model.components_.shape) == ((1, 1), (1, 300))
    assert_allclose(model.components_, (X - X.mean()) / X.std(), atol=1e-5)


def test_one_component_of_several_is_the_largest_direction():
    X, _ = blink_recording()
    model = FastICA(n_components=1).fit(X)
    assert model.components_.shape == (1, 2000)
    covariance = np.cov(np.asarray(X, float), bias=True)
    assert_allclose(
        np.linalg.norm(model.mixing_) ** 2,
        np.linalg.eigvalsh(covariance)[-1],
        rtol=1e-5,
    )


def test_fit_leaves_the_object_and_the_data_alone():
    X = np.random.default_rng(0).laplace(size=(3, 500))
    before = X.copy()
    ica = FastICA(3, max_iter=50)
    model = ica.fit(X)
    assert model is not ica
    assert [getattr(ica, name) for name in FITTED] == [None] * len(FITTED)
    assert not [name for name in FITTED if getattr(model, name) is None]
    assert (model.n_components, model.max_iter, model.tol) == (3, 50, 1e-4)
    assert_array_equal(X, before)


def test_options_have_the_defaults_and_the_order_of_the_tutorial():
    ica = FastICA(2, "eigh", 30, 1e-3)
    assert (ica.whiten_solver, ica.max_iter, ica.tol) == ("eigh", 30, 1e-3)
    assert (FastICA(2).max_iter, FastICA(2).tol) == (200, 1e-4)


def test_options_reach_the_fit():
    X = np.random.default_rng(0).laplace(size=(3, 2000))
    with pytest.warns(ConvergenceWarning, match="within 2 passes.* tol is 1e-12"):
        model = FastICA(2, max_iter=2, tol=1e-12).fit(X)
    assert (model.n_iter_, model.converged_) == (2, False)
    assert dict(model.model_.record.options) == {
        "n_components": 2,
        "algorithm": "symmetric",
        "max_iter": 2,
        "tol": 1e-12,
    }


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_numpy_in_is_numpy_out(dtype):
    X = (100 * np.random.default_rng(0).laplace(size=(3, 500))).astype(dtype)
    model = FastICA(3).fit(X)
    wanted = np.float32 if dtype == "f4" else np.float64
    arrays = [model.mixing_, model.components_, model.mean_, model.apply(X)]
    assert {(type(one), one.dtype.type) for one in arrays} == {(np.ndarray, wanted)}
    eps = np.finfo(wanted).eps
    back = model.mixing_ @ model.components_ + model.mean_
    assert_allclose(back, X, atol=100 * eps * np.abs(X).max())


@pytest.mark.usefixtures("x64")
def test_float64_of_jax_stays_float64():
    X = jax.random.laplace(jax.random.key(0), (3, 500))
    model = FastICA(3).fit(X)
    assert model.components_.dtype == jnp.float64
    back = model.mixing_ @ model.components_ + model.mean_
    assert_allclose(back, X, atol=1e-12)


def test_float64_of_jax_stays_float64_where_the_flag_is_off_again():
    X = np.random.default_rng(0).laplace(size=(2, 500))
    with precise():
        X = jnp.asarray(X)
    assert FastICA(2).fit(X).components_.dtype == jnp.float64


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.int32])
def test_other_numbers_of_jax_become_float32(dtype):
    X = (100 * jax.random.laplace(jax.random.key(0), (3, 500))).astype(dtype)
    assert FastICA(3).fit(X).components_.dtype == jnp.float32


def test_apply_gives_the_fitted_components_and_takes_new_data():
    X, _ = blink_recording()
    model = FastICA(3).fit(X)
    assert_array_equal(model.apply(X), model.components_)
    new = np.asarray(X[:, :50]) + 1
    expected = model.unmixing_ @ (jnp.asarray(new) - model.mean_)
    assert isinstance(model.apply(new), np.ndarray)
    assert_allclose(model.apply(new), expected, atol=1e-4)


def test_key_may_come_in_any_form_and_is_recorded():
    X, _ = blink_recording()
    keys = [42, np.int64(42), jax.random.PRNGKey(42), jax.random.key(42)]
    fits = [FastICA(3).fit(X, key=one) for one in keys]
    for one in fits:
        assert one.seed_ == one.model_.record.seed == 42
        assert_array_equal(one.components_, fits[0].components_)
    assert FastICA(3).fit(X).seed_ == 0
    split = jax.random.split(jax.random.key(0))
    seeds = {FastICA(3).fit(X, one).seed_ for one in split}
    assert len(seeds | {0, 42}) == 4


@pytest.mark.parametrize(
    "key",
    [
        -1,
        True,
        "a",
        1.5,
        np.zeros((2, 2), np.uint32),
        jax.random.split(jax.random.key(0)),
    ],
    ids=["negative", "bool", "text", "float", "two old keys", "two keys"],
)
def test_what_is_no_key_is_refused(key):
    with pytest.raises(OptionError, match="key must be a whole number"):
        FastICA(2).fit(np.random.default_rng(0).laplace(size=(2, 100)), key=key)


@pytest.mark.parametrize(
    ("X", "error", "text"),
    [
        (jnp.full((2, 9), jnp.nan), InputError, "^X contains NaN or Inf: 18 values"),
        (jnp.ones((2, 9), bool), InputError, "^X must hold real numbers"),
        (jnp.ones((2, 9), complex), InputError, "but its dtype is complex64"),
        (jnp.ones((2, 3, 9)), ShapeError, "^X must have two axes"),
        (jnp.ones((9, 2)), ShapeError, "is it transposed"),
    ],
    ids=["NaN", "bool", "complex", "3-D", "transposed"],
)
def test_data_that_cannot_be_used_are_refused_under_their_name(X, error, text):
    with pytest.raises(error, match=text):
        FastICA(2).fit(X)
    model = FastICA(1).fit(np.random.default_rng(0).laplace(size=(2, 100)))
    with pytest.raises(error, match=text):
        model.apply(X)


def test_unknown_whitening_is_refused():
    with pytest.raises(
        OptionError, match="whiten_solver must be 'eigh', but got 'svd'"
    ):
        FastICA(2, "svd").fit(np.zeros((2, 100)))


def test_apply_before_fit_is_refused():
    with pytest.raises(NotFittedError, match=r"not fitted.*model = ica.fit\(X\)"):
        FastICA(2).apply(np.zeros((2, 100)))


def test_public_face_is_lazy():
    code = (
        "import sys, meegic, meegic.preprocessing as face\n"
        "heavy = {'jax', 'numba', 'mne', 'sklearn', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'FastICA' in dir(face) and 'ica' in dir(face)\n"
        "assert face.FastICA is face.ica.FastICA\n"
        "assert not {'mne', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
