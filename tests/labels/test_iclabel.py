"""ICLabel from arrays: what changes nothing, what is refused, what it costs."""

import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.labels import iclabel
from meegic.labels.iclabel import (
    IclabelFeatures,
    compute_features,
    compute_probabilities,
    run_iclabel,
    scale_unmixing,
)

SFREQ = 128.0


@pytest.fixture
def parts():
    """Four components of 8 s on twelve channels."""
    rng = np.random.default_rng(0)
    positions = rng.standard_normal((12, 3))
    positions[:, 2] = np.abs(positions[:, 2])
    white = rng.standard_normal((4, 1024))
    return {
        "activations_uv": white + np.roll(white, 1, axis=1),
        "mixing": rng.standard_normal((12, 4)),
        "positions": positions,
        "sfreq": SFREQ,
    }


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    shapes = (5, 32, 32), (5, 100), (5, 100)
    return IclabelFeatures(*(np.float32(rng.uniform(-1, 1, one)) for one in shapes))


def assert_same(found, wanted):
    for field in fields(IclabelFeatures):
        one, other = (getattr(each, field.name) for each in (found, wanted))
        assert_allclose(one, other, rtol=0, atol=1e-6)


def take(features, rows):
    return IclabelFeatures(
        *(getattr(features, one.name)[rows] for one in fields(features))
    )


def test_features_are_single_and_below_one(parts):
    features = compute_features(**parts)
    for field in fields(features):
        values = getattr(features, field.name)
        assert (values.dtype, len(values)) == (np.float32, 4)
        assert np.abs(values).max() <= 0.99 + 1e-7
    assert_allclose(np.abs(features.images).max(axis=(1, 2)), 0.99, atol=1e-6)
    assert_allclose(np.abs(features.psds).max(axis=1), 0.99, atol=1e-6)


def test_sign_of_a_component_turns_its_image_only(parts):
    signs = np.array([1, -1, -1, 1])
    features = compute_features(**parts)
    parts["activations_uv"] = signs[:, None] * parts["activations_uv"]
    parts["mixing"] = parts["mixing"] * signs
    turned = compute_features(**parts)
    images = signs[:, None, None] * features.images
    assert_same(turned, IclabelFeatures(images, features.psds, features.autocorrs))
    assert_allclose(
        compute_probabilities(turned), compute_probabilities(features), atol=1e-6
    )


def test_order_of_components_does_not_matter(parts):
    order = np.array([2, 0, 3, 1])
    features = compute_features(**parts)
    parts["activations_uv"] = parts["activations_uv"][order]
    parts["mixing"] = parts["mixing"][:, order]
    assert_same(compute_features(**parts), take(features, order))


def test_one_component_is_enough(parts):
    features = compute_features(**parts)
    parts["activations_uv"] = parts["activations_uv"][2:3]
    parts["mixing"] = parts["mixing"][:, 2:3]
    assert_same(compute_features(**parts), take(features, slice(2, 3)))


def test_scale_of_the_decomposition_does_not_matter():
    rng = np.random.default_rng(1)
    unmixing, mixing = rng.standard_normal((3, 5)), rng.standard_normal((5, 3))
    factors = np.array([1e-9, -7.0, 1e6])
    scaled = scale_unmixing(factors[:, None] * unmixing, mixing / factors)
    wanted = np.sign(factors)[:, None] * scale_unmixing(unmixing, mixing)
    assert_allclose(scaled, wanted, rtol=1e-12)


def test_activations_in_rms_microvolt_are_as_large_as_their_part_of_the_data():
    rng = np.random.default_rng(2)
    mixing = 1e-5 * rng.standard_normal((6, 3))
    unmixing = np.linalg.pinv(mixing)
    volts = mixing @ rng.laplace(size=(3, 500))
    activations_uv = scale_unmixing(unmixing, mixing) @ volts
    for k, found in enumerate(activations_uv):
        part_uv = 1e6 * np.outer(mixing[:, k], unmixing[k] @ volts)
        assert_allclose(np.sqrt((found**2).mean()), np.sqrt((part_uv**2).mean()))


def test_bad_times_have_no_effect(parts):
    stretches = [(0, 400), (500, 1024)]
    features = compute_features(**parts, stretches=stretches)
    parts["activations_uv"][:, 400:500] = np.inf
    assert_same(compute_features(**parts, stretches=stretches), features)


@pytest.mark.parametrize("shape", [(4, 1024), (4, 8, 128), (4, 1, 640)])
def test_recordings_and_epochs_are_taken(parts, shape):
    n_times = np.prod(shape[1:])
    activations = parts["activations_uv"][:, :n_times].reshape(shape)
    parts["activations_uv"] = activations
    before = activations.copy()
    assert compute_features(**parts).psds.shape == (4, 100)
    assert_array_equal(activations, before)


def test_weights_choose_among_the_epochs(parts):
    parts["activations_uv"] = parts["activations_uv"].reshape(4, 8, 128)
    weights = np.zeros((8, 128))
    weights[2:6] = 0.25
    weighted = compute_features(**parts, weights=weights)
    parts["activations_uv"] = parts["activations_uv"][:, 2:6]
    assert_same(weighted, compute_features(**parts))


def test_components_do_not_depend_on_their_batch(features, monkeypatch):
    whole = compute_probabilities(features)
    monkeypatch.setattr(iclabel, "_MAX_BATCH", 2)
    assert_allclose(compute_probabilities(features), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("turn", [lambda x: -x, lambda x: x[:, :, ::-1]])
def test_negated_and_mirrored_images_get_the_same_probabilities(features, turn):
    turned = IclabelFeatures(turn(features.images), features.psds, features.autocorrs)
    found, wanted = compute_probabilities(turned), compute_probabilities(features)
    assert_allclose(found, wanted, rtol=0, atol=1e-6)
    upside_down = features.images[:, ::-1]
    other = IclabelFeatures(upside_down, features.psds, features.autocorrs)
    assert np.abs(compute_probabilities(other) - wanted).max() > 1e-4


def test_both_layouts_of_mne_icalabel_are_taken(features):
    wanted = compute_probabilities(features)
    last = features.to_last_axis()
    assert [one.shape for one in last] == [
        (32, 32, 1, 5),
        (1, 100, 1, 5),
        (1, 100, 1, 5),
    ]
    assert_allclose(run_iclabel(*last), wanted, atol=1e-6)
    first = (
        features.images[:, None],
        features.psds[:, None, None],
        features.autocorrs[:, None, None],
    )
    assert_allclose(run_iclabel(*first, "onnx"), wanted, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", "pytorch"])
def test_torch_is_answered_by_onnxruntime(features, backend):
    with pytest.warns(DataWarning, match=f"'{backend}' is not used: onnxruntime runs"):
        found = run_iclabel(*features.to_last_axis(), backend=backend)
    assert_array_equal(found, run_iclabel(*features.to_last_axis()))


def test_unknown_backend_is_refused(features):
    with pytest.raises(OptionError, match=r"'oonx'\. Did you mean 'onnx'"):
        run_iclabel(*features.to_last_axis(), backend="oonx")


def test_shapes_that_do_not_fit_are_refused(features):
    images, psds, autocorrs = features.to_last_axis()
    with pytest.raises(ShapeError, match=r"images must have shape \(any, 1, 32, 32\)"):
        run_iclabel(features.images, psds, autocorrs)
    with pytest.raises(ShapeError, match=r"psds must have shape \(1, 100, 1, 5\)"):
        run_iclabel(images, psds[..., :4], autocorrs)
    with pytest.raises(ShapeError, match=r"autocorr must have shape \(1, 100, 1, 5\)"):
        run_iclabel(images, psds, features.autocorrs)


def test_row_40_rate_below_100_hz_is_refused(parts):
    parts["sfreq"] = 90.0
    with pytest.raises(
        OptionError, match=r"sfreq must be a number at least 100 Hz.*resam"
    ):
        compute_features(**parts)


@pytest.mark.parametrize("shape", [(4, 100), (4, 8, 64)])
def test_less_than_a_second_is_refused(parts, shape):
    n_times = np.prod(shape[1:])
    parts["activations_uv"] = parts["activations_uv"][:, :n_times].reshape(shape)
    with pytest.raises(
        InputError, match=f"at least 1 s .* piece has {shape[-1]} times"
    ):
        compute_features(**parts)


def test_stretches_below_a_second_are_refused(parts):
    stretches = [(0, 100), (200, 327)]
    for compat in (None, "mne-icalabel"):
        with pytest.raises(InputError, match="longest piece has 127 times"):
            compute_features(**parts, stretches=stretches, compat=compat)


def test_compat_goes_below_a_second_as_far_as_the_formula_does(parts):
    parts["activations_uv"] = parts["activations_uv"][:, :100]
    assert compute_features(**parts, compat="mne-icalabel").psds.shape == (4, 100)
    parts["activations_uv"] = parts["activations_uv"][:, :64]
    with pytest.raises(InputError, match="64 times at 128 Hz are too few for 64 freq"):
        compute_features(**parts, compat="mne-icalabel")


@pytest.mark.parametrize(
    "stretches", [[], [(0, 1025)], [(-1, 500)], [(500, 500)], [(700, 300)]]
)
def test_stretches_outside_the_recording_are_refused(parts, stretches):
    with pytest.raises(InputError, match="stretches must be pairs of a first time and"):
        compute_features(**parts, stretches=stretches)


def test_row_46_flat_components_are_named(parts):
    parts["activations_uv"][1] = 3e5 * (1 + 1e-15 * (np.arange(1024) % 2))
    parts["activations_uv"][3] = 0
    with pytest.raises(InputError, match=r"Components \[1, 3\] are flat"):
        compute_features(**parts)


def test_row_21_22_components_that_are_not_finite_are_named(parts):
    parts["activations_uv"][0, 7] = np.nan
    parts["activations_uv"][2, 9] = -np.inf
    with pytest.raises(InputError, match=r"Components \[0, 2\] contain NaN or Inf"):
        compute_features(**parts)


def test_activations_that_fit_no_maps_are_refused(parts):
    parts["activations_uv"] = parts["activations_uv"][:3]
    with pytest.raises(ShapeError, match="one for each of the 4 columns of mixing"):
        compute_features(**parts)


@pytest.mark.parametrize("value", [-0.1, np.nan])
def test_weights_that_are_none_are_refused(parts, value):
    with pytest.raises(ShapeError, match=r"weights must have shape \(1024,\)"):
        compute_features(**parts, weights=np.ones(1000))
    weights = np.ones(1024)
    weights[5] = value
    with pytest.raises(InputError, match="weights must be finite and not negative"):
        compute_features(**parts, weights=weights)


def test_unknown_compat_is_refused(parts):
    with pytest.raises(OptionError, match=r"Did you mean 'mne-icalabel'"):
        compute_features(**parts, compat="mne_icalabel")


@pytest.mark.parametrize("epochs", [False, True])
def test_memory_is_a_part_of_the_data(epochs):
    rng = np.random.default_rng(0)
    activations = rng.standard_normal((8, 150 * 400))
    shape = (8, 100, 600) if epochs else activations.shape
    n_bytes = activations.nbytes
    tracemalloc.start()
    compute_features(
        activations.reshape(shape),
        rng.standard_normal((12, 8)),
        rng.standard_normal((12, 3)),
        200.0,
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.7 * n_bytes
