"""What a fit takes for an argument, and what it refuses, by public names."""

import os
import subprocess
import sys
from inspect import unwrap

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tests.components.fits import simulate
from tests.components.same_fits import fit, list_differences

from meegic.base.errors import InputError, OptionError, ShapeError
from meegic.components import model as model_module
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.components.starts import make_start
from meegic.components.whiten import fit_whitener


@pytest.fixture(scope="module")
def data():
    return simulate(3, 1500, flat=False)[0]


SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"W": SINGULAR}, "start array W must be invertible"),
        ({"W": np.zeros((3, 3))}, "start array W must be invertible"),
        ({"A": SINGULAR}, "start array A must be invertible"),
        ({"gm": np.zeros(1)}, "start array gm must be positive"),
        ({"sbeta": np.zeros((3, 3))}, "start array sbeta must be positive"),
        ({"rho": np.zeros((3, 3))}, "start array rho must be positive"),
        ({"alpha": np.zeros((3, 3))}, "start array alpha must be positive"),
    ],
)
def test_start_arrays_that_cannot_be(data, start, words):
    with pytest.raises(InputError, match=words):
        fit_amica(data, start=start)


def test_a_matrix_is_a_start(data):
    bare, named = (
        fit(data, start=one, max_iter=12) for one in (np.eye(3), {"W": np.eye(3)})
    )
    assert list_differences(bare, named) == []
    turned = fit(data, start=np.eye(3)[::-1].copy(), max_iter=12)
    assert list_differences(bare, turned) != []
    with pytest.raises(ShapeError, match="start array W must have shape"):
        fit_amica(data, start=np.eye(2))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"options": {}}, "options must be AmicaOptions, but got dict; pass Amica"),
        ({"callback": 3}, "callback must be a function, but got 3"),
    ],
)
def test_kinds_of_arguments(data, given, words):
    with pytest.raises(TypeError, match=words):
        unwrap(fit_amica)(data, **given)


def test_a_number_is_no_start(data):
    whitener = fit_whitener(data)
    with pytest.raises(TypeError, match=r"start must be None, .* arrays, but got int"):
        unwrap(make_start)(5, data, np.ones(1500), whitener, AmicaOptions(), seed=0)


def test_a_flag_array_is_no_recording():
    flags = np.random.default_rng(0).uniform(size=(3, 200)) > 0.5
    with pytest.raises(InputError, match="data must hold real numbers, but its dtype"):
        unwrap(fit_amica)(flags)


@pytest.mark.parametrize("start", ["fix", {"c": np.zeros(3)}, "model"])
def test_several_starts_must_differ(data, start):
    if start == "model":
        start = fit(data, max_iter=3)
    words = "n_restarts must be 1 when start is given, but got 3: every start would"
    with pytest.raises(OptionError, match=words):
        fit(data, start=start, n_restarts=3)


@pytest.mark.parametrize("word", ["fastica", "one-term"])
def test_starts_with_a_drawn_part_may_be_several(data, word):
    model = fit(data, start=word, n_restarts=2, max_iter=15)
    assert len(set(model.restarts)) == 2


def test_restarts_are_no_longer_than_the_limit(data):
    model = fit(data, n_restarts=3, max_iter=7, solver="em")
    assert len(model.history.rate) == 7
    assert model.n_evals == 3 * 7
    assert model.stop_reason == "max_iter"
    joint = fit(data, n_restarts=3, max_iter=12)
    assert 3 * 12 <= joint.n_evals < 3 * (12 + 10)


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_the_best_start_has_the_whole_limit(data, solver):
    given = {"solver": solver, "max_iter": 80, "use_min_dll": False, "min_nd": 0.0}
    several = fit(data, n_restarts=3, **given)
    single = fit(data, **given)
    lost = 2 * 50
    if solver == "em":
        assert len(several.history.rate) == len(single.history.rate) == 80
        assert several.n_evals - lost == single.n_evals
    else:
        assert 80 <= several.n_evals - lost < 80 + 3 * 10
        assert 80 <= single.n_evals < 90
    assert_array_equal(np.diff(several.history.log_likelihood) > -1e-9, True)


def test_the_parts_of_scoring_do_not_matter(data, monkeypatch):
    model = fit(data, n_models=2, max_iter=20)
    whole = model.score_models(data)
    monkeypatch.setattr(model_module, "_CHUNK", 97)
    parts = model.score_models(data)
    assert np.abs(parts - whole).max() < 1e-12 * np.abs(whole).max()


def test_no_samples_have_no_score(data):
    model = fit(data, max_iter=3)
    with pytest.raises(ShapeError, match="data must have at least one time to be sco"):
        model.score(data[:, :0])
    assert model.score_samples(data[:, :0]).shape == (0,)


def test_posteriors_of_the_fit_are_in_the_order_of_its_models(data):
    both = np.hstack([data, simulate(3, 3000, seed=5)[0]])
    start = {"gm": np.array([0.1, 0.9])}  # the second model comes first at the end
    model = fit(both, n_models=2, start=start, solver="em", max_iter=5)
    assert model.parameters.weight[0] > 0.6
    assert_array_equal(np.diff(model.parameters.weight) < 0, True)
    found, wanted = model.fitted_posteriors, model.posteriors(both)
    assert np.abs(found - wanted).max() < 1e-9
    assert np.abs(found[::-1] - wanted).max() > 0.1


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
@pytest.mark.parametrize("power", [-40, 33])
def test_units_that_are_powers_of_two_change_no_bit(data, solver, power):
    given = {"solver": solver, "max_iter": 60, "n_models": 2}
    plain, other = fit(data, **given), fit(2.0**power * data, **given)
    assert list_differences(plain.parameters, other.parameters) == []
    assert_array_equal(plain.fitted_posteriors, other.fitted_posteriors)
    assert plain.stop_reason == other.stop_reason
    shift = plain.log_likelihood - other.log_likelihood - power * np.log(2)
    assert abs(shift) < 1e-11


def test_signs_are_those_of_the_scaled_channels(data):
    sizes = 2.0 ** np.array([0, 12, -7])
    plain = fit(data, max_iter=30)
    other = fit(data / sizes[:, None], scale=sizes, max_iter=30)
    assert_array_equal(other.unmix(data / sizes[:, None]), plain.unmix(data))
    unscaled = np.abs(other.maps).argmax(axis=1)
    assert (unscaled != np.abs(plain.maps).argmax(axis=1)).any()  # or this says nothing


CALLER = """
import warnings
import numpy as np
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
from meegic.components.selection import select_n_models

data = np.random.default_rng(0).laplace(size=(3, 150))
options = AmicaOptions(solver="em", max_iter=3)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    fit_amica(data, options)
    select_n_models(data, [1], options=options, n_blocks=2)
for one in said:
    print(one.category.__name__, one.filename, one.lineno)
"""


def test_warnings_point_to_the_line_of_the_caller(tmp_path):
    # In a process of its own: here a check of types stands between caller and called.
    script = tmp_path / "caller.py"
    script.write_text(CALLER)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True
    )
    few, rising = f"DataWarning {script}", f"ConvergenceWarning {script}"
    fit = [f"{few} 12", f"{rising} 12"]
    assert done.stdout.splitlines() == [*fit, f"{few} 13", *3 * [f"{rising} 13"]]


def test_choosing_a_kernel_starts_no_threads_of_jax():
    code = (
        "import os; from jax._src import xla_bridge\n"
        "from meegic.components.kernels import pick_kernel\n"
        "assert pick_kernel('auto', 'cpu') == 'numba'\n"
        "assert pick_kernel('auto', 'gpu') == 'jax'\n"
        "assert not xla_bridge.backends_are_initialized()\n"
        "import warnings; warnings.simplefilter('error')\n"
        "if os.fork(): os.wait()"
    )
    names = ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
    plain = {name: one for name, one in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", code], env=plain, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
