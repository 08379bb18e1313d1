import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

sys.path.append(str(Path(__file__).parents[2]))  # where benchmarks/ is

from benchmarks.amica_costs import run_fresh
from benchmarks.amica_data import Recording, mix_laplace, mix_varied
from benchmarks.amica_fits import Trace, fit_densities
from benchmarks.amica_peers import time_pass

from benchmarks import __main__ as command

ROOT = Path(__file__).parents[2]


def test_script_runs_the_benchmark_and_hides_no_peer(monkeypatch):
    ran = []
    monkeypatch.setattr(command, "main", ran.append)
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    monkeypatch.setattr(sys, "argv", ["amica.py", "--quick"])
    runpy.run_path(str(ROOT / "benchmarks" / "amica.py"), run_name="__main__")
    assert ran == [["amica", "--quick"]]
    assert str(ROOT / "benchmarks") not in sys.path


def test_mixture_is_repeatable_and_full():
    one = mix_laplace(3, 10_000)
    again = mix_laplace.__wrapped__(3, 10_000)
    assert np.array_equal(one.data, again.data)
    assert (np.abs(one.data) > 0).all()
    assert one.size == "Laplace mixture, 3 x 10000"
    assert_allclose(np.cov(one.x, bias=True), np.eye(3), atol=1e-8)


def test_models_of_the_varied_recording_take_turns():
    data = mix_varied(3, 8_000, 2, seed=1).data
    one, two = np.cov(data[:, :1000]), np.cov(data[:, 1000:2000])
    assert_allclose(one, np.cov(data[:, 2000:3000]), rtol=0.4, atol=0.4)
    assert np.abs(one - two).max() > 1


def test_densities_of_the_true_unmixing_explain_more():
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(2, 5_000)) / np.sqrt(2)
    angle = np.pi / 4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    recording = Recording("turned", turn @ sources)
    unmix = turn.T @ recording.whitener.inverse
    best = fit_densities(recording, unmix, 300)
    # The entropy of a Laplacian of unit variance is 1 + log(sqrt(2)).
    assert_allclose(best, -1 - np.log(2) / 2, atol=0.03)
    assert fit_densities(recording, 3 * unmix, 300) == pytest.approx(best, abs=1e-7)
    assert fit_densities(recording, np.eye(2), 300) < best - 0.02


def test_trace_tells_when_a_value_was_reached_first():
    trace = Trace(
        seconds=np.arange(4.0), passes=np.arange(4.0),
        values=np.array([-3.0, -1.0, -2.0, -0.5]), total_s=4.0, end=-0.5,
    )  # fmt: skip
    assert trace.reach(-1.0) == 1
    assert trace.reach(-0.7) == 3
    assert trace.reach(0.0) is None


def test_passes_are_timed_from_the_second_on():
    run = time_pass(mix_laplace(3, 10_000), 2, "float64", n_passes=4, n_mix=2)
    seconds = run().seconds
    assert len(seconds) == 4
    assert all(one > 0 for one in seconds)


def test_fresh_process_prints_its_values():
    code = "import os, json; print('noise'); print(json.dumps({'a': os.environ['B']}))"
    assert run_fresh(code, {"B": "7"}).values == {"a": "7"}
