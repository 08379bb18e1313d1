import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.components.same_fits import draw_data, fit, list_differences

from meegic.base.errors import ConvergenceError, OptionError, OutputError
from meegic.components import checkpoint
from meegic.components.checkpoint import Checkpoints, find_seed
from meegic.components.loop import Problem

DATA = draw_data()
FITS = {
    "em": {"solver": "em", "max_iter": 40, "newt_start": 15},
    "em-rejection": {
        "solver": "em",
        "max_iter": 40,
        "n_models": 2,
        "do_reject": True,
        "reject_int": 9,
        "num_reject": 3,
    },
    "quasi-newton": {"max_iter": 60},
    "quasi-newton-rejection": {
        "max_iter": 60,
        "n_models": 2,
        "do_reject": True,
        "reject_start": 5,
        "reject_int": 9,
        "num_reject": 3,
    },
    "polish": {"max_iter": 30, "dtype": "float32", "solver": "em"},
    "polish-quasi-newton": {"max_iter": 30, "dtype": "float32", "n_models": 2},
    "restarts": {"max_iter": 250, "n_restarts": 3, "solver": "quasi-newton"},
    "restarts-em": {"max_iter": 70, "n_restarts": 2, "solver": "em"},
    "pyamica": {"max_iter": 40, "compat": "pyamica", "do_reject": True},
    "fortran": {"max_iter": 40, "compat": "fortran", "do_reject": True},
    "jax": {"max_iter": 8, "kernel": "jax", "solver": "em"},
}


def names(folder):
    return sorted(one.name for one in Path(folder).iterdir())


class Stop(Exception):
    """What ends a fit in these tests."""


def stop_at(n_iter):
    def callback(progress):
        if progress.iteration == n_iter:
            raise Stop

    return callback


@pytest.mark.parametrize(
    "name",
    [*list(FITS)[:-1], pytest.param("jax", marks=pytest.mark.slow)],  # it compiles
)
def test_two_halves_are_the_whole_to_the_last_bit(tmp_path, name):
    """To be interrupted, at any of some iterations, changes nothing of the result."""
    options, seen = FITS[name], []
    whole = fit(DATA, callback=seen.append, **options)
    assert whole.rejected.any() == bool(options.get("do_reject"))
    assert len(whole.restarts) == options.get("n_restarts", 0)
    n_iter = seen[-1].iteration
    early = seen[0].iteration  # with restarts, that after the best was chosen
    cuts = {early, (early + n_iter) // 2, n_iter - 2}
    for cut in cuts if name != "jax" else {5}:
        kept = Checkpoints(tmp_path / f"{cut}.npz")
        with pytest.raises(Stop):
            fit(DATA, checkpoints=kept, callback=stop_at(cut), **options)
        resumed = fit(DATA, checkpoints=kept, **options)
        assert list_differences(whole, resumed) == []


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_fifty_and_fifty_are_a_hundred(tmp_path, solver):
    kept = Checkpoints(tmp_path / "fit.npz")
    options = {"solver": solver, "min_dll": 0.0, "use_min_dll": False, "min_nd": 0.0}
    fit(DATA, checkpoints=kept, max_iter=50, **options)
    resumed = fit(DATA, checkpoints=kept, max_iter=100, **options)
    assert resumed.n_evals >= 100 or resumed.stop_reason == "line_search"
    whole = fit(DATA, max_iter=100, **options)
    assert list_differences(whole, resumed) == []


def test_only_the_last_state_is_there_after_twenty_of_twenty(tmp_path):
    kept = Checkpoints(tmp_path / "amica.npz", every=20)
    fit(DATA, checkpoints=kept, max_iter=20, solver="em")
    assert names(tmp_path) == ["amica_000020.npz"]


def test_the_newest_are_kept_and_nothing_else_is_touched(tmp_path):
    foreign = [
        *("amica.npz", "amica_best.npz", "amica_20.npz", "amica_000001.npz.bak"),
        *("other_000001.npz", "amica_000001_000001.npz", "x_amica_000001.npz"),
    ]
    for name in foreign:
        (tmp_path / name).write_text(name)
    (tmp_path / "amica_000002.npz").mkdir()
    kept = Checkpoints(tmp_path / "amica", every=5, keep=3)
    with pytest.raises(Stop):
        fit(DATA, checkpoints=kept, callback=stop_at(24), solver="em")
    states = [f"amica_{n:06d}.npz" for n in (15, 20, 24)]
    assert names(tmp_path) == sorted([*foreign, *states, "amica_000002.npz"])
    assert all((tmp_path / name).read_text() == name for name in foreign)


def test_a_finished_fit_is_not_fitted_again(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path / "fit.npz")
    options = {"n_models": 2, "do_reject": True, "min_dll": 1e-3, "max_iter": 90}
    whole = fit(DATA, checkpoints=kept, **options)
    assert whole.converged
    monkeypatch.setattr(Problem, "run", lambda *_, **__: pytest.fail("it iterates"))
    again = fit(DATA, checkpoints=kept, **options)
    assert list_differences(whole, again) == []
    assert list_differences(whole.history, again.history, without=()) == []
    assert again.posteriors(DATA).tobytes() == whole.posteriors(DATA).tobytes()


@pytest.mark.parametrize("solver", ["em", "quasi-newton"])
def test_a_smaller_limit_gives_the_state_that_is_there(tmp_path, solver):
    kept = Checkpoints(tmp_path / "fit.npz")
    long = fit(DATA, checkpoints=kept, max_iter=30, solver=solver)
    short = fit(DATA, checkpoints=kept, max_iter=10, solver=solver)
    assert list_differences(long, short) == []
    assert len(names(tmp_path)) == 1


def test_a_callback_that_stops_leaves_a_state_to_go_on_from(tmp_path):
    kept = Checkpoints(tmp_path / "fit.npz")
    part = fit(DATA, checkpoints=kept, callback=lambda p: p.iteration == 7, max_iter=20)
    assert (part.stop_reason, names(tmp_path)) == ("callback", ["fit_000007.npz"])
    resumed = fit(DATA, checkpoints=kept, max_iter=20)
    assert list_differences(fit(DATA, max_iter=20), resumed) == []


def test_a_fit_that_gave_up_tries_again_and_is_never_a_result(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path / "fit.npz", every=10)
    evaluate = Problem.evaluate

    def spoil(self, parameters, *arguments):
        sums = evaluate(self, parameters, *arguments)
        bad = self._n_evals > 30
        return sums._replace(log_likelihood=np.nan) if bad else sums

    for solver in ("em", "quasi-newton"):
        kept = Checkpoints(tmp_path / f"{solver}.npz", every=10)
        with monkeypatch.context() as patch:
            patch.setattr(Problem, "evaluate", spoil)
            for _ in range(2):
                with pytest.raises(ConvergenceError, match=r"state is in the file"):
                    fit(DATA, checkpoints=kept, solver=solver)
        model = fit(DATA, checkpoints=kept, solver=solver, max_iter=45)
        assert model.stop_reason == "max_iter"
        assert np.isfinite(model.log_likelihood)


def test_a_drawn_seed_is_found_again(tmp_path):
    kept = Checkpoints(tmp_path / "fit.npz")
    part = fit(DATA, checkpoints=kept, seed=None, max_iter=10)
    resumed = fit(DATA, checkpoints=kept, seed=None, max_iter=20)
    assert part.record.seed == resumed.record.seed == find_seed(kept)
    whole = fit(DATA, seed=part.record.seed, max_iter=20)
    assert list_differences(whole, resumed) == []


def test_a_path_keeps_the_end_alone(tmp_path):
    paths = str(tmp_path / "fit"), tmp_path / "fit.npz"
    for path, n_iter in zip(paths, (10, 15), strict=True):
        resumed = fit(DATA, checkpoints=path, max_iter=n_iter, solver="em")
        assert names(tmp_path)[-1] == f"fit_{n_iter:06d}.npz"
    assert list_differences(fit(DATA, max_iter=15, solver="em"), resumed) == []
    with pytest.raises(OptionError, match=r"must name a file .*, but got ''"):
        fit(DATA, checkpoints="")


def test_states_are_kept_by_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    seen = []

    def callback(progress):
        now[0] += 1.0
        seen.append(set(names(tmp_path)))

    kept = Checkpoints(tmp_path / "fit.npz", seconds=3.0, keep=99)
    fit(DATA, checkpoints=kept, callback=callback, max_iter=11, solver="em")
    assert seen[3] == {"fit_000003.npz"}
    assert names(tmp_path) == [f"fit_{n:06d}.npz" for n in (3, 6, 9, 11)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_wish_to_end_is_granted_after_the_iteration(tmp_path, monkeypatch, number):
    heard = []

    def end(number, frame):
        heard.append(number)
        raise Stop

    before = signal.signal(number, end)
    try:
        kept = Checkpoints(tmp_path / "fit.npz")

        def callback(progress):
            if progress.iteration == 7:
                os.kill(os.getpid(), number)

        with pytest.raises(Stop):
            fit(DATA, checkpoints=kept, callback=callback, max_iter=20)
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    assert (heard, names(tmp_path)) == ([number], ["fit_000007.npz"])
    resumed = fit(DATA, checkpoints=kept, max_iter=20)
    assert list_differences(fit(DATA, max_iter=20), resumed) == []


def test_a_second_wish_to_end_is_granted_at_once(tmp_path):
    steps = []

    def callback(progress):
        if progress.iteration == 7:
            for step in ("first", "second", "third"):
                steps.append(step)
                signal.raise_signal(signal.SIGINT)

    kept = Checkpoints(tmp_path / "fit.npz", every=5)
    with pytest.raises(KeyboardInterrupt):
        fit(DATA, checkpoints=kept, callback=callback)
    assert steps == ["first", "second"]
    # the loop keeps the state when a callback raises, whatever it is
    assert names(tmp_path) == ["fit_000005.npz", "fit_000007.npz"]


def test_a_wish_that_nobody_hears_lets_the_fit_go_on(tmp_path):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        kept = Checkpoints(tmp_path / "fit.npz", keep=9)

        def callback(progress):
            if progress.iteration in (3, 7):
                signal.raise_signal(signal.SIGTERM)

        model = fit(DATA, checkpoints=kept, callback=callback, max_iter=9, solver="em")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (heard, model.stop_reason) == ([1, 1], "max_iter")
    assert names(tmp_path) == [f"fit_{n:06d}.npz" for n in (3, 7, 9)]


def test_usr1_keeps_the_state_and_the_fit_goes_on(tmp_path):
    before = signal.getsignal(signal.SIGUSR1)

    def callback(progress):
        if progress.iteration == 4:
            signal.raise_signal(signal.SIGUSR1)

    kept = Checkpoints(tmp_path / "fit.npz")
    model = fit(DATA, checkpoints=kept, callback=callback, max_iter=9, solver="em")
    assert names(tmp_path) == ["fit_000004.npz", "fit_000009.npz"]
    assert model.stop_reason == "max_iter"
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_wish_to_end_during_the_last_pass_is_not_lost(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path / "fit.npz")
    run = Problem.run

    def run_and_signal(self, state, *, limit):
        state = run(self, state, limit=limit)
        signal.raise_signal(signal.SIGINT)
        return state

    monkeypatch.setattr(Problem, "run", run_and_signal)
    with pytest.raises(KeyboardInterrupt):
        fit(DATA, checkpoints=kept, max_iter=5, solver="em")
    assert names(tmp_path) == ["fit_000005.npz"]


def test_other_threads_leave_signals_alone(tmp_path):
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)}
    seen, models = [], []

    def callback(progress):
        seen.append({one: signal.getsignal(one) for one in before})

    def work():
        kept = Checkpoints(tmp_path / "fit.npz", every=2)
        models.append(fit(DATA, checkpoints=kept, callback=callback, max_iter=5))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(models) == 1
    assert all(one == before for one in seen)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"path": ""}, "path must name a file for the checkpoints, but got ''"),
        ({"every": -1}, "every must be a whole number >= 0, but got -1"),
        ({"seconds": 0.0}, "seconds must be a number above 0, but got 0.0"),
        ({"keep": 0}, "keep must be a whole number >= 1, but got 0"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_impossible_checkpoints_are_refused(given, match):
    with pytest.raises(OptionError, match=match):
        Checkpoints(**{"path": "a.npz", **given})


def test_a_folder_that_is_missing_is_refused_before_the_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(Problem, "start", lambda *_: pytest.fail("it computes"))
    kept = Checkpoints(tmp_path / "nowhere" / "fit.npz")
    for seed in (0, None):
        with pytest.raises(OutputError, match=r"fit\.npz \(a file\) cannot be written"):
            fit(DATA, checkpoints=kept, seed=seed)
