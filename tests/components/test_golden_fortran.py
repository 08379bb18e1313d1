"""The Fortran program's runs from stored starts, and its published result."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic.components.amica import fit_amica
from meegic.components.em import likelihood
from meegic.components.kernels import make_estep
from meegic.components.model import compute_sensor_variances, order_parameters
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters
from meegic.components.threads import one_blas_thread
from meegic.components.whiten import fit_whitener

# Iterations; how far LL may be in iterations 1 to 3, and in 4 and 5. The second update
# of mu enlarges rounding by |y|^(rho - 2) at the nearest sample, so that the order of
# summation shows: 5e-14 to 1.6e-12 in the third iteration, 3e-8 in the fifth, from one
# kernel to another. The first two iterations agree to 1e-13.
RUNS = {
    "m1": (80, 5e-12, 1e-7),
    "m2": (50, 5e-12, 1e-7),
    "m1_smooth": (80, 5e-12, 1e-8),
    "m2_smooth": (50, 5e-12, 1e-8),
    "reject": (20, 5e-12, 1e-7),
}


def load(path):
    with np.load(path) as file:
        return dict(file)


def by_house(values):
    return np.ascontiguousarray(np.swapaxes(values, -1, -2))


@pytest.fixture(scope="module")
def recording(shared):
    data = np.fromfile(shared / "data/eeglab_data.fdt", "<f4")
    return data.reshape(30504, 32).T.astype(float)


@pytest.fixture(scope="module")
def published(shared):
    return load(shared / "golden/amica/fortran_eeg32.npz")


@pytest.fixture(scope="module")
def final(published):
    one = {name: published[name][None] for name in ("W", "c")}
    terms = [by_house(published[name])[None] for name in ("alpha", "mu", "beta", "rho")]
    return AmicaParameters(one["W"], one["c"], published["gm"], *terms)


@pytest.mark.parametrize("name", RUNS)
def test_trajectory(shared, recording, name):
    golden = load(shared / f"golden/amica/fortran_start_{name}.npz")
    n_iter, early, later = RUNS[name]
    options = AmicaOptions(
        compat="fortran", n_models=len(golden["gm"]), max_iter=n_iter,
        newt_start=50 if name == "reject" else 20,
        minrho=1.4 if "smooth" in name else 1.0,
        use_min_dll=False, use_grad_norm=False,
        do_reject=name == "reject", num_reject=3, reject_start=2, reject_int=3,
    )  # fmt: skip
    start = {
        "A": golden["A_start"], "mu": golden["mu_start"],
        "sbeta": golden["beta_start"], "rho": golden["rho_start"],
        "alpha": np.full_like(golden["mu_start"], 1 / 3),
    }  # fmt: skip
    counts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # still rising at the end, as it should be
        model = fit_amica(
            recording, options, start=start, callback=lambda at: counts.append(at)
        )
    found = model.history
    assert len(found.log_likelihood) == n_iter
    error = np.abs(found.log_likelihood - golden["LL"])
    assert error[:3].max() < early
    assert error[3:5].max() < later
    assert error.max() < 2e-5
    norm = np.abs(found.gradient_norm - golden["nd"])
    assert norm[:3].max() < 1e-9
    assert norm.max() < 1e-4
    assert_allclose(found.rate, golden["lrate"], rtol=0, atol=1e-9)
    assert_array_equal(model.rejected, golden["rejected"])
    if name == "reject":
        seen = [at.n_rejected for at in counts]
        assert seen == [0] + 3 * [398] + 3 * [571] + 13 * [646]
    assert model.solver == "em"
    assert model.stop_reason == "max_iter"
    order = np.argsort(-golden["gm"], kind="stable")
    assert_allclose(model.parameters.weight, golden["gm"][order], atol=1e-4)
    rows = by_house(golden["W"])  # columns: components
    for h, k in enumerate(order):  # every row of theirs is one of ours, but for sign
        ours = model.parameters.unmix[h]
        likeness = np.abs(ours @ rows[k])
        likeness /= np.linalg.norm(ours, axis=1)[:, None]
        likeness /= np.linalg.norm(rows[k], axis=0)
        best = likeness.argmax(axis=1)
        assert_array_equal(np.sort(best), np.arange(32))
        assert likeness.max(axis=1).min() > 1 - 1e-5


def test_sphere_and_its_determinant(recording, published):
    whitener = fit_whitener(recording)
    scale = np.abs(published["S"]).max()
    assert_allclose(whitener.forward, published["S"], rtol=0, atol=1e-12 * scale)
    assert_allclose(whitener.mean, published["mean"], rtol=1e-11)
    assert_allclose(whitener.variances, published["eigenvalues"], rtol=1e-11)
    assert_allclose(whitener.log_determinant, published["sldet"], rtol=1e-12)


def test_likelihood_of_the_saved_parameters(recording, published, final):
    whitener = fit_whitener(recording)
    estep = make_estep(whitener(recording), jacobian=whitener.log_determinant)
    with one_blas_thread():
        value = likelihood(estep(final, np.ones(recording.shape[1])))
    assert_allclose(value, published["LL_saved_parameters"], rtol=0, atol=1e-9)


def test_order_of_components_is_that_of_eeglab(recording, published, final):
    whitener = fit_whitener(recording)
    found = compute_sensor_variances(whitener, final)[0]
    assert_allclose(found, published["svar"], rtol=1e-9)
    ordered = order_parameters(whitener, final)
    wanted = published["W"][published["order"]]
    assert_allclose(np.abs(ordered.unmix[0]), np.abs(wanted), atol=1e-12)
    assert_allclose(compute_sensor_variances(whitener, ordered)[0],
                    np.sort(found)[::-1], rtol=1e-12)  # fmt: skip
    maps = whitener.inverse @ np.linalg.inv(ordered.unmix[0])
    assert (maps[np.abs(maps).argmax(axis=0), np.arange(32)] > 0).all()
