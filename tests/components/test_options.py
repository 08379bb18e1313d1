"""Options of a fit: defaults, ranges, which solver they mean."""

from dataclasses import fields, replace

import numpy as np
import pytest

from meegic.base.errors import OptionError
from meegic.components.options import SCHEDULE, AmicaOptions


def test_defaults_are_those_of_pyamica():
    found = AmicaOptions()
    wanted = {
        "n_components": None, "n_models": 1, "n_mix": 3, "max_iter": 2000,
        "lrate": 0.1, "lrate0": 0.1, "lratefact": 0.5, "rho0": 1.5, "minrho": 1.0,
        "maxrho": 2.0, "rholrate": 0.05, "rholratefact": 0.5, "do_sphere": True,
        "do_newton": True, "newt_start": 50, "newtrate": 1.0, "newt_ramp": 10,
        "doscaling": True, "min_nd": 1e-6, "use_grad_norm": True, "use_min_dll": True,
        "maxdecs": 3, "maxincs": 5, "minlrate": 1e-8, "invsigmax": 100.0,
        "invsigmin": 1e-8, "dtype": "float64", "device": "cpu", "chunk_t": None,
        "fix_init": False, "do_reject": False, "reject_sigma": 3.0, "num_reject": 5,
        "reject_start": 1, "reject_int": 1, "solver": "auto", "n_restarts": 1,
        "newton_fallback": "pair", "safeguard": True, "kernel": "auto", "compat": None,
    }  # fmt: skip
    assert {name: getattr(found, name) for name in wanted} == wanted
    assert hash(found) == hash(AmicaOptions())


@pytest.mark.parametrize("name", ["n_models", "n_mix", "max_iter", "newt_ramp",
                                  "maxdecs", "reject_start", "reject_int",
                                  "n_restarts", "chunk_t"])  # fmt: skip
def test_counts_below_one_are_refused(name):
    with pytest.raises(OptionError, match=f"{name} must be a whole number >= 1, but"):
        AmicaOptions(**{name: 0})


@pytest.mark.parametrize("name", ["newt_start", "maxincs", "num_reject", "polish"])
def test_counts_below_zero_are_refused(name):
    AmicaOptions(**{name: 0})
    with pytest.raises(OptionError, match=f"{name} must be a whole number >= 0, but"):
        AmicaOptions(**{name: -1})


@pytest.mark.parametrize(
    "name", ["lrate", "lrate0", "newtrate", "minlrate", "reject_sigma"]
)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_numbers_that_are_not_positive_are_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} must be a number above 0, but got"):
        AmicaOptions(**{name: value})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"minrho": 0.9}, "minrho must be a number at least 1 and at most 2, but got"),
        ({"maxrho": 2.1}, "maxrho must be a number at least 1 and at most 2, but got"),
        ({"minrho": 1.6, "maxrho": 1.5}, "maxrho must be a number at least 1.6"),
        ({"rho0": 1.2, "minrho": 1.3}, "rho0 must be a number at least 1.3"),
        ({"rho0": 1.9, "maxrho": 1.8}, "rho0 must be .* at most 1.8, but got 1.9"),
        ({"lratefact": 1.1}, "lratefact must be a number above 0 and at most 1"),
        ({"rholratefact": 0.0}, "rholratefact must be a number above 0 and at most 1"),
        ({"rholrate": -0.1}, "rholrate must be a number at least 0"),
        ({"min_nd": -1e-9}, "min_nd must be a number at least 0"),
        ({"invsigmin": -1.0}, "invsigmin must be a number at least 0"),
        ({"invsigmin": 2.0, "invsigmax": 2.0}, "invsigmax must be a number above 2"),
        ({"min_dll": float("nan")}, "min_dll must be a number, but got nan"),
        ({"solver": "quasi-newtn"}, "solver must be .* Did you mean 'quasi-newton'"),
        ({"newton_fallback": "none"}, "newton_fallback must be 'pair', 'model' or"),
        ({"dtype": "float16"}, "dtype must be .* Did you mean"),
        ({"kernel": "cuda"}, "kernel must be 'auto', 'numba' or 'jax', but"),
        ({"device": "mps"}, "device must be 'cpu'"),
        ({"compat": "matlab"}, "compat must be None, 'fortran' or 'pyamica', but"),
        ({"fix_init": True, "n_models": 2}, "fix_init must be False with n_models=2"),
        ({"fix_init": True, "n_restarts": 2}, "n_restarts must be 1 with fix_init"),
    ],
)
def test_values_out_of_range_are_refused(given, words):
    with pytest.raises(OptionError, match=words):
        AmicaOptions(**given)


@pytest.mark.parametrize("name", SCHEDULE)
def test_an_option_of_the_schedule_takes_em(name):
    default = {one.name: one.default for one in fields(AmicaOptions)}[name]
    if name == "newton_fallback":
        other = "model"
    elif isinstance(default, bool):
        other = not default
    else:
        other = type(default)(default * 0.5)
    given = AmicaOptions(**{name: other})
    assert given.picked_solver == "em"
    if name == "fix_init":  # the other solver begins there as well
        assert replace(given, solver="quasi-newton").picked_solver == "quasi-newton"
        return
    for more in ({}, {"fix_init": True}):
        with pytest.raises(OptionError, match=f"'quasi-newton' has no '{name}'.*em'"):
            AmicaOptions(solver="quasi-newton", **{name: other}, **more)


def test_several_options_of_the_schedule_are_named_together():
    with pytest.raises(OptionError, match=r"has no 'lrate' or 'maxdecs'\. Leave them"):
        AmicaOptions(solver="quasi-newton", lrate=0.2, maxdecs=2)


def test_the_default_solver():
    assert AmicaOptions().picked_solver == "quasi-newton"
    assert AmicaOptions(min_dll=1e-7, n_models=3).picked_solver == "quasi-newton"
    assert AmicaOptions(solver="em").picked_solver == "em"


@pytest.mark.parametrize(
    ("compat", "fallback", "invsigmin"),
    [("fortran", "model", 0.0), ("pyamica", "all", 1e-8)],
)
def test_reference_programs(compat, fallback, invsigmin):
    found = AmicaOptions(compat=compat, n_models=2)
    assert found.picked_solver == "em"
    assert not found.safeguard
    assert (found.newton_fallback, found.invsigmin) == (fallback, invsigmin)
    assert found.n_models == 2
    with pytest.raises(OptionError, match=r"compat must be .* Did you mean 'fortran'"):
        AmicaOptions(compat="fotran")


def test_what_was_asked_for_stays_with_a_reference_program():
    found = AmicaOptions(compat="fortran", newton_fallback="all", invsigmin=0.5)
    assert (found.newton_fallback, found.invsigmin) == ("all", 0.5)
    assert (found.solver, found.safeguard) == ("em", False)
    assert AmicaOptions(compat="pyamica", invsigmin=0.5).invsigmin == 0.5
    assert replace(found, n_mix=2).safeguard is False
    plain = AmicaOptions()
    assert (plain.solver, plain.safeguard, plain.invsigmin) == ("auto", True, 1e-8)


@pytest.mark.parametrize("compat", ["fortran", "pyamica"])
def test_reference_programs_have_no_joint_steps(compat):
    words = f"solver must be 'em' with compat='{compat}', but got 'quasi-newton'"
    with pytest.raises(OptionError, match=words):
        AmicaOptions(compat=compat, solver="quasi-newton")


def test_numba_is_for_processors():
    words = "kernel must be 'jax' on device 'gpu', but got 'numba'"
    with pytest.raises(OptionError, match=words):
        AmicaOptions(kernel="numba", device="gpu")
    for kernel in ("auto", "jax"):
        AmicaOptions(kernel=kernel, device="gpu")


def test_scalars_of_numpy_are_as_good_as_numbers():
    given = AmicaOptions(
        n_models=np.int64(2), max_iter=np.int32(7), lrate=np.float32(0.25),
        do_reject=np.bool_(True), minrho=np.float64(1.5), chunk_t=np.int16(64),
        solver=np.str_("em"),
    )  # fmt: skip
    plain = AmicaOptions(
        n_models=2, max_iter=7, lrate=0.25, do_reject=True, minrho=1.5, chunk_t=64,
        solver="em",
    )  # fmt: skip
    assert given == plain
    for one in fields(AmicaOptions):
        assert type(getattr(given, one.name)) is type(getattr(plain, one.name))


@pytest.mark.parametrize("value", ["no", "False", 2, None, 0.5])
@pytest.mark.parametrize("name", ["do_reject", "safeguard", "fix_init", "do_sphere"])
def test_flags_are_true_or_false(name, value):
    with pytest.raises(OptionError, match=f"{name} must be True or False, but got"):
        AmicaOptions(**{name: value})
