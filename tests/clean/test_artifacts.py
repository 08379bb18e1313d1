"""The Riemannian potato: recovery, laws and refusals."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import ConvergenceWarning, InputError, OptionError, ShapeError
from meegic.clean import artifacts
from meegic.clean.artifacts import (
    Potato,
    detect_artifacts_riemann,
    fit_potato,
    update_potato,
)
from meegic.math.spd import covariance_mean, geodesic, riemannian_distance
from meegic.preprocessing import artifact as face

N_TIMES = 400


def make_covs(n_matrices, n_channels=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_channels, n_channels)) + np.eye(n_channels)
    data = mixing @ rng.standard_normal((n_matrices, n_channels, N_TIMES))
    return data @ data.mT / N_TIMES


@pytest.fixture(scope="module")
def covs():
    covs = make_covs(50)
    covs[:5] *= np.array([3.0, 5, 10, 20, 30])[:, None, None]
    return covs


@pytest.fixture(scope="module")
def potato(covs):
    return fit_potato(covs)


@pytest.mark.parametrize("median", [False, True])
def test_outliers_are_found_and_nothing_else(covs, median):
    found = detect_artifacts_riemann(covs, median=median)
    assert found.dtype == bool
    assert_array_equal(np.flatnonzero(found), range(5))


@pytest.mark.parametrize("robust", [False, True])
def test_promises_of_the_tutorial(robust):
    covs = make_covs(15, seed=1)
    assert not detect_artifacts_riemann(covs, robust=robust).any()
    covs[6] *= 20
    found = detect_artifacts_riemann(covs, 2.0, robust=robust)
    assert_array_equal(np.flatnonzero(found), [6])


def test_in_one_pass_many_outliers_hide_each_other(covs):
    assert detect_artifacts_riemann(covs, robust=False).sum() < 5


def test_rejected_matrices_do_not_move_the_mean(potato):
    # A copy: the same 45 clean epochs, and other artifacts.
    other = make_covs(50)
    other[:5] *= np.array([40.0, 50, 60, 70, 80])[:, None, None]
    again = fit_potato(other)
    assert_allclose(again.mean, potato.mean, rtol=1e-6, atol=1e-7)
    assert_allclose(
        [again.center, again.spread], [potato.center, potato.spread], rtol=1e-6
    )


def test_scores_are_those_of_the_log_distances(covs, potato):
    logs = np.log(riemannian_distance(potato.mean, covs))
    good = np.arange(50) >= 5
    assert_allclose(
        [potato.center, potato.spread], [logs[good].mean(), logs[good].std()]
    )
    assert_allclose(potato.score(covs), (logs - potato.center) / potato.spread)
    assert_array_equal(potato.score(covs) >= 3, ~good)


@pytest.mark.parametrize("unit", [1e-26, 1e-12, 1e12])
def test_row_28_unit_does_not_matter(covs, potato, unit):
    scores = fit_potato(unit * covs).score(unit * covs)
    assert_allclose(scores, potato.score(covs), rtol=1e-6)


def test_mixture_of_the_channels_does_not_matter(covs, potato):
    turn = np.random.default_rng(3).standard_normal((4, 4)) + 2 * np.eye(4)
    turned = turn @ covs @ turn.T
    turned = (turned + turned.mT) / 2
    # Both means are known to a mean log map of 1e-8.
    assert_allclose(
        fit_potato(turned).score(turned), potato.score(covs), rtol=1e-5, atol=1e-6
    )


def test_kind_and_precision_of_the_caller_are_accepted(covs):
    expected = detect_artifacts_riemann(covs)
    for other in (jnp.asarray(covs), covs.astype(np.float32), covs.astype(">f8")):
        assert_array_equal(detect_artifacts_riemann(other), expected)
    whole = np.round(1000 * covs).astype(np.int64)
    assert_array_equal(detect_artifacts_riemann(whole), expected)


def test_equal_matrices_are_no_artifacts():
    covs = np.repeat(make_covs(1), 6, axis=0)
    for options in ({}, {"median": True}, {"robust": False}):
        assert not detect_artifacts_riemann(covs, **options).any()
    covs[2] *= 2
    assert detect_artifacts_riemann(covs, 2.0, robust=False).tolist() == [
        index == 2 for index in range(6)
    ]


def test_widely_spread_matrices_have_a_mean():
    rng = np.random.default_rng(0)
    turns = np.linalg.qr(rng.standard_normal((20, 4, 4)))[0]
    values = 10.0 ** rng.uniform(-4, 4, (20, 1, 4))
    covs = turns * values @ turns.mT
    assert np.isfinite(fit_potato((covs + covs.mT) / 2).score(covs)).all()


def test_row_26_average_reference_is_projected(covs):
    reference = np.eye(4) - 0.25
    referenced = reference @ covs @ reference
    referenced = (referenced + referenced.mT) / 2
    with pytest.raises(InputError, match=r"covs\[0\] has rank 3 of 4.*or project"):
        detect_artifacts_riemann(referenced)
    potato = fit_potato(referenced, project=True)
    assert potato.basis.shape == (4, 3)
    assert_array_equal(np.flatnonzero(potato.score(referenced) >= 3), range(5))
    # In the subspace any basis does.
    basis = np.linalg.svd(reference)[0][:, :3]
    expected = fit_potato(basis.T @ referenced @ basis)
    assert_allclose(
        potato.score(referenced),
        expected.score(basis.T @ referenced @ basis),
        rtol=1e-5,
    )


def test_shrinkage_makes_short_epochs_usable():
    data = np.random.default_rng(0).standard_normal((30, 6, 4))
    data[4] *= 8
    covs = data @ data.mT / 4
    with pytest.raises(InputError, match=r"covs\[0\] has rank 4 of 6"):
        detect_artifacts_riemann(covs)
    found = detect_artifacts_riemann(covs, shrinkage=0.1)
    assert_array_equal(np.flatnonzero(found), [4])


def test_update_goes_a_step_along_the_geodesic(covs, potato):
    new = covs[10]
    moved = update_potato(potato, new, step=0.2)
    assert_allclose(moved.mean, geodesic(potato.mean, new, position=0.2), rtol=1e-9)
    log = np.log(riemannian_distance(potato.mean, new))
    assert_allclose(moved.center, 0.8 * potato.center + 0.2 * log)
    variance = 0.8 * potato.spread**2 + 0.2 * (log - moved.center) ** 2
    assert_allclose(moved.spread, np.sqrt(variance))
    still = update_potato(potato, new, step=0.0)
    assert_allclose(still.mean, potato.mean, rtol=1e-12)
    assert (still.center, still.spread) == (potato.center, potato.spread)


def test_artifacts_do_not_update(covs, potato):
    assert update_potato(potato, covs[4], step=0.5) is potato


def test_updates_follow_a_drift():
    covs = make_covs(60)
    potato = fit_potato(covs[:30])
    late = 1.5 * covs[30:]
    assert (potato.score(late) >= 3).mean() > 0.9
    for index, share in enumerate(np.linspace(0, 2, 60).clip(max=1)):
        potato = update_potato(potato, 1.5**share * covs[index % 30], step=0.2)
    assert (potato.score(late) >= 3).mean() < 0.2


def test_unfinished_search_is_said(covs, monkeypatch):
    monkeypatch.setattr(artifacts, "_MAX_ROUNDS", 1)
    with pytest.warns(ConvergenceWarning, match="still found after 1 rounds"):
        assert isinstance(fit_potato(covs), Potato)
    hasty = partial(covariance_mean, max_iter=1)
    monkeypatch.setattr(artifacts, "covariance_mean", hasty)
    with pytest.warns(ConvergenceWarning) as caught:
        fit_potato(covs)
    assert "did not converge" in str(caught[0].message)


def test_matrices_that_are_no_covariances_are_refused_by_index(covs):
    for fault, message in (
        (np.full((4, 4), np.nan), r"covs\[7\] holds NaN or Inf"),
        (np.triu(np.ones((4, 4))), r"covs\[7\] is not symmetric"),
        (np.diag([1.0, 1, 1, -1]), r"covs\[7\] has rank 3 of 4"),
        (np.zeros((4, 4)), r"covs\[7\] has rank 0 of 4"),
    ):
        bad = covs.copy()
        bad[7] = fault
        with pytest.raises(InputError, match=message):
            detect_artifacts_riemann(bad)
    with pytest.raises(
        InputError, match=r"covs must be finite and not zero, but covs\[7"
    ):
        detect_artifacts_riemann(bad, project=True)


def test_other_arrays_are_refused(covs, potato):
    with pytest.raises(InputError, match=r"covs must hold real numbers, .* complex"):
        detect_artifacts_riemann(covs + 1j)
    with pytest.raises(InputError, match="at least 2 matrices, but got one"):
        detect_artifacts_riemann(covs[:1])
    for bad in (covs[0], covs[:, :3], covs[:0]):
        with pytest.raises(ShapeError, match=r"\(n_matrices, n_channels, n_channels\)"):
            detect_artifacts_riemann(bad)
    with pytest.raises(ShapeError, match=r"covs must have shape \(any, 4, 4\)"):
        potato.score(covs[:, :3, :3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_std": 0.0}, "threshold must be a number above 0"),
        ({"n_std": np.nan, "robust": False}, "n_std must be a number above 0"),
        ({"shrinkage": 1.5}, "shrinkage must be a number at least 0 and at most 1"),
    ],
)
def test_impossible_options_are_refused(covs, options, message):
    with pytest.raises(OptionError, match=message):
        detect_artifacts_riemann(covs, **options)


def test_public_face_has_the_names_of_the_tutorial():
    assert face.detect_artifacts_riemann is detect_artifacts_riemann
    assert set(face.__all__) <= set(dir(face))
