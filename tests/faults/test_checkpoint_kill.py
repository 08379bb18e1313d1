"""Fits that are killed and started again end as if nothing had happened.

Run as a script, it forks a child that fits, once for every line with a solver and a
folder that it reads; children inherit what was compiled and imported.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "em": {"solver": "em", "n_models": 2, "max_iter": 60, "do_reject": True},
    "quasi-newton": {"n_models": 2, "max_iter": 80, "do_reject": True},
}
ALL = {"do_reject": True, "reject_start": 8, "reject_int": 8, "num_reject": 3}


class Nursery:
    """A process that starts fits, which may be killed."""

    def __init__(self, process):
        self.process = process

    def start(self, solver, folder, pause=0.0):
        """Give the number of a new process, which is its own until it is waited for."""
        print(solver, pause, folder, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def wait(self):
        """Give the code that the fit ended with."""
        print(file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def nursery():
    command, pipe = [sys.executable, __file__], subprocess.PIPE
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=os.environ | path
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield Nursery(process)
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def whole(nursery, tmp_path_factory):
    """The models of fits that nobody disturbed, and how long these took."""
    models = {}
    for solver in OPTIONS:
        folder = tmp_path_factory.mktemp(solver)
        began = time.monotonic()
        nursery.start(solver, folder)
        assert nursery.wait() == 0
        models[solver] = (folder / "model.npz", time.monotonic() - began)
    return models


def list_states(folder):
    return sorted(one for one in folder.iterdir() if re.match(r"fit_\d{6}", one.name))


def check_same(path, folder):
    from tests.components.same_fits import list_differences

    from meegic.components.model_file import read_model

    one, other = read_model(path), read_model(folder / "model.npz")
    assert list_differences(one, other) == []


@pytest.mark.parametrize("solver", OPTIONS)
@pytest.mark.parametrize(
    "n_kills", [4, pytest.param(25, marks=pytest.mark.slow)], ids=str
)
def test_row_59_killed_fits_end_like_others(tmp_path, nursery, whole, solver, n_kills):
    """Kill -9 comes at random, every other time while a state is being written."""
    path, seconds = whole[solver]
    rng = np.random.default_rng(n_kills)
    n_killed, n_within = 0, 0
    for kill in range(n_kills):
        if (tmp_path / "model.npz").exists():
            break
        before = list_states(tmp_path)
        child = nursery.start(solver, tmp_path)
        time.sleep(rng.uniform(0, 1.5 * seconds / n_kills))
        began = time.monotonic()
        while kill % 2 and time.monotonic() < began + seconds:
            if any(tmp_path.glob(".fit_*.tmp")):
                n_within += 1
                break
        os.kill(child, signal.SIGKILL)
        n_killed += nursery.wait() == -signal.SIGKILL
        assert len(list_states(tmp_path)) >= min(len(before), 2)
    assert n_killed >= n_kills // 2
    assert n_within > 0
    nursery.start(solver, tmp_path)
    assert nursery.wait() == 0
    check_same(path, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_row_65_signals_end_a_fit_after_its_iteration(tmp_path, nursery, whole, number):
    """The process ends as it would without us, but for a state more."""
    path, _ = whole["em"]
    child = nursery.start("em", tmp_path, pause=0.02)
    while not list_states(tmp_path):
        time.sleep(0.001)
    os.kill(child, number)
    assert nursery.wait() == (-number if number == signal.SIGTERM else 130)
    assert 1 <= len(list_states(tmp_path)) <= 2
    assert not list(tmp_path.glob(".*.tmp"))
    nursery.start("em", tmp_path)
    assert nursery.wait() == 0
    check_same(path, tmp_path)


def fit_one(solver, pause, folder):
    from tests.components.same_fits import draw_data, fit

    from meegic.components.checkpoint import Checkpoints

    signal.signal(signal.SIGINT, signal.default_int_handler)
    kept = Checkpoints(folder / "fit", every=1)
    model = fit(
        draw_data(n_times=600),
        checkpoints=kept,
        callback=lambda _: time.sleep(pause),
        **ALL | OPTIONS[solver],
    )
    model.save(folder / "model")


def fit_until_told_nothing_more():
    from tests.components.same_fits import draw_data, fit

    fit(draw_data(n_times=600), n_models=2, max_iter=3)  # compiles
    print("ready", flush=True)
    while line := sys.stdin.readline():
        solver, pause, folder = line.split(maxsplit=2)
        child = os.fork()
        if not child:
            try:
                fit_one(solver, float(pause), Path(folder.strip()))
            except KeyboardInterrupt:
                os._exit(130)
            os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    fit_until_told_nothing_more()
