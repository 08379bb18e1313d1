"""Directions of the unmixing: golden numbers, blocks of pairs, their safeguards."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.components.dense import draw_problem
from tests.components.golden import assert_near, golden_parameters

from meegic.components.kernels import make_estep
from meegic.components.newton import (
    Curvature,
    compute_curvature,
    direction_norm,
    natural_direction,
    newton_direction,
    newton_direction_or_natural,
)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/amica/estep_small.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def found(golden):
    parameters = golden_parameters(golden)
    estep = make_estep(golden["x"], jacobian=float(golden["sldet"]))
    return parameters, estep(parameters, golden["keep"].astype(float))


def test_golden_curvature(golden, found):
    curvature = compute_curvature(*found)
    assert_near(natural_direction(found[1]), golden["d_direction"])
    assert_near(curvature.kappa, golden["d_kappa"])
    assert_near(curvature.lam, golden["d_lam"])
    assert_near(curvature.sigma2, golden["d_sigma2"])
    wanted = golden["d_pair_ok"] | np.eye(5, dtype=bool)
    assert_array_equal(curvature.positive(), wanted)
    assert not curvature.positive()[1, 0, 1]  # or the fallbacks are not tested


def test_golden_directions(golden, found):
    parameters, sums = found
    natural, curvature = natural_direction(sums), compute_curvature(*found)
    by_model, fell = newton_direction_or_natural(natural, curvature, scope="model")
    assert_near(by_model, golden["d_newton_model"])
    assert fell
    assert_array_equal(by_model[1], natural[1])
    assert np.abs(by_model[0] - natural[0]).max() > 0.1 * np.abs(natural[0]).max()
    assert_near(newton_direction(natural, curvature), golden["d_newton_pair"])
    norms = [direction_norm(parameters, one) for one in (natural, by_model)]
    wanted = [golden["d_nd_natural"], golden["d_nd_newton_model"]]
    assert_allclose(norms, wanted, rtol=1e-12)
    assert_allclose(norms[0] * np.sqrt(5), golden["d_nd_seed"], rtol=1e-12)


def test_one_bad_pair_spoils_all_models_for_pyamica(found):
    natural, curvature = natural_direction(found[1]), compute_curvature(*found)
    direction, fell = newton_direction_or_natural(natural, curvature, scope="all")
    assert fell
    assert_array_equal(direction, natural)


def draw_curvature(seed, low):
    rng = np.random.default_rng(seed)
    sizes = (2, 6)
    return rng.normal(size=(2, 6, 6)), Curvature(
        kappa=rng.uniform(low, 3, sizes),
        sigma2=rng.uniform(low, 3, sizes),
        lam=rng.uniform(0.5, 3, sizes),
    )


@pytest.mark.parametrize("low", [1.2, 0.05])
def test_every_pair_solves_its_own_block(low):
    gradient, curvature = draw_curvature(3, low)
    direction = newton_direction(gradient, curvature)
    n_lifted = 0
    for h in range(2):
        for i in range(6):
            for k in range(i):
                s1 = curvature.sigma2[h, i] * curvature.kappa[h, k]
                s2 = curvature.sigma2[h, k] * curvature.kappa[h, i]
                block = np.array([[s2, 1], [1, s1]])
                lift = max(1e-2 - np.linalg.eigvalsh(block)[0], 0)
                n_lifted += lift > 0
                pair = [gradient[h, i, k], gradient[h, k, i]]
                wanted = np.linalg.solve(block + lift * np.eye(2), pair)
                found = [direction[h, i, k], direction[h, k, i]]
                assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
        diagonal = gradient[h].diagonal() / curvature.lam[h]
        assert_allclose(direction[h].diagonal(), diagonal)
    assert (n_lifted > 0) == (low < 1)


@pytest.mark.parametrize("seed", range(5))
def test_lifted_direction_is_one_of_ascent(seed):
    gradient, curvature = draw_curvature(seed, 0.05)
    assert not curvature.positive().all()
    for h in range(2):
        direction = newton_direction(gradient, curvature)
        assert (direction[h] * gradient[h]).sum() > 0
        assert np.isfinite(direction).all()


def test_direction_does_not_depend_on_the_order_of_models_and_components():
    gradient, curvature = draw_curvature(0, 0.05)
    rng = np.random.default_rng(1)
    models, parts = rng.permutation(2), rng.permutation(6)
    moved = Curvature(*(one[models][:, parts] for one in curvature))
    turned = gradient[models][:, parts][:, :, parts]
    direction = newton_direction(gradient, curvature)
    assert_array_equal(
        newton_direction(turned, moved), direction[models][:, parts][:, :, parts]
    )


def test_a_model_without_samples_divides_by_nothing():
    x, parameters, _ = draw_problem(0, 2, 3, 4, 50)
    sums = make_estep(x)(parameters, np.ones(50))
    nothing = sums._replace(**{
        name: np.stack([value[0], np.zeros_like(value[1])])
        for name, value in sums._asdict().items() if np.ndim(value)
    })  # fmt: skip
    with np.errstate(all="raise", under="ignore"):
        curvature = compute_curvature(parameters, nothing)
        direction = newton_direction(natural_direction(nothing), curvature)
    assert np.isfinite(direction).all()
