"""Rates and stops of the EM solver, rule by rule."""

import math

import pytest

from meegic.components.options import AmicaOptions
from meegic.components.schedule import check_progress, ramp_rate, start_schedule

OPTIONS = AmicaOptions(newt_start=50)


def check(state, value, *, iteration=10, norm=1.0, options=OPTIONS):
    return check_progress(
        state, options, iteration=iteration, log_likelihood=value, norm=norm
    )


@pytest.fixture
def state():
    return start_schedule(OPTIONS)._replace(previous=-3.0)


def test_the_start():
    state = start_schedule(AmicaOptions(lrate=0.2, lrate0=0.3, newtrate=0.7))
    assert (state.lrate, state.lrate0, state.newtrate) == (0.2, 0.3, 0.7)
    assert (state.rholrate, state.rholrate0) == (0.05, 0.05)
    assert (state.n_decs, state.n_incs, state.previous) == (0, 0, -math.inf)


def test_nothing_is_checked_in_the_first_iteration():
    state, reason = check(start_schedule(OPTIONS), -9.0, iteration=1, norm=0.0)
    assert reason == ""
    assert state.previous == -9.0


def test_a_fall_halves_the_rates_of_this_iteration(state):
    state, reason = check(state, -3.1)
    assert reason == ""
    assert (state.lrate, state.rholrate) == (0.05, 0.025)
    assert (state.lrate0, state.rholrate0, state.n_decs) == (0.1, 0.05, 1)
    state, _ = check(state, -3.05)  # it rises: only rho's rate is back at once
    assert (state.lrate, state.rholrate, state.n_decs) == (0.05, 0.05, 1)


def test_the_third_fall_lowers_the_ceiling(state):
    for value in (-3.1, -3.2, -3.0, -3.1):  # a running count, not in a row
        state, _ = check(state, value)
    assert state.n_decs == 0
    assert state.lrate0 == 0.05
    assert (state.newtrate, state.rholrate0) == (1.0, 0.05)


def test_with_newton_it_lowers_all_ceilings(state):
    for value in (-3.1, -3.2, -3.3):
        state, _ = check(state, value, iteration=51)
    assert (state.lrate0, state.newtrate, state.rholrate0) == (0.05, 0.5, 0.025)


@pytest.mark.parametrize("given", [{"do_newton": False}, {"newt_start": 51}])
def test_without_newton_the_others_stay(state, given):
    options = AmicaOptions(**given)
    state = state._replace(n_decs=2)
    state, _ = check(state, -3.1, iteration=51 if "do_newton" in given else 50,
                     options=options)  # fmt: skip
    assert (state.lrate0, state.newtrate, state.rholrate0) == (0.05, 1.0, 0.05)


def test_the_count_of_falls_begins_anew_with_newton(state):
    state = state._replace(n_decs=2)
    state, _ = check(state, -3.1, iteration=50)
    assert (state.n_decs, state.lrate0) == (1, 0.1)


@pytest.mark.parametrize(
    ("change", "norm", "reason"),
    [
        ({"lrate": 1e-8}, 1.0, "minlrate"),
        ({"lrate": 1.1e-8}, 1.0, ""),
        ({}, 1e-6, "min_nd"),
        ({}, 1.1e-6, ""),
    ],
)
def test_stops_at_a_fall(state, change, norm, reason):
    options = AmicaOptions(use_grad_norm=False, use_min_dll=False)
    found, why = check(state._replace(**change), -3.1, norm=norm, options=options)
    assert why == reason
    if reason:  # rates stay as they are
        assert found.lrate == state._replace(**change).lrate


def test_the_sixth_small_gain_in_a_row_stops(state):
    for k in range(5):
        state, reason = check(state, -3.0 + 1e-10 * k)
        assert reason == ""
    after, reason = check(state, -3.0 + 6e-10)
    assert reason == "min_dll"
    assert after.n_incs == 6
    again, _ = check(state, -2.9)
    assert again.n_incs == 0
    loose = AmicaOptions(min_dll=0.2)
    assert check(state, -2.9, options=loose)[1] == "min_dll"
    assert check(state, -2.7, options=loose)[1] == ""
    unused = AmicaOptions(use_min_dll=False)
    assert check(state, -3.0 + 6e-10, options=unused)[1] == ""


def test_a_small_step_stops(state):
    assert check(state, -2.0, norm=1e-6)[1] == "min_nd"
    assert check(state, -2.0, norm=1.1e-6)[1] == ""
    unused = AmicaOptions(use_grad_norm=False)
    assert check(state, -2.0, norm=0.0, options=unused)[1] == ""


@pytest.mark.parametrize(
    ("lrate", "ceiling", "wanted"),
    [(0.1, 0.1, 0.1), (0.1, 1.0, 0.2), (0.5, 1.0, 0.6), (0.02, 1.0, 0.04),
     (0.95, 1.0, 1.0), (1.0, 0.1, 0.1)],
)  # fmt: skip
def test_the_ramp(lrate, ceiling, wanted):
    state = start_schedule(OPTIONS)._replace(lrate=lrate)
    found = ramp_rate(state, OPTIONS, ceiling=ceiling)
    assert found.lrate == pytest.approx(wanted, rel=1e-12)
    assert found._replace(lrate=lrate) == state
