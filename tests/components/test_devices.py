"""The same statistics from one, two, three and four devices."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
from tests.components.dense import assert_same, compute_dense, draw_problem

from meegic.components.statistics import Statistics

# The fewest that cannot share alike are the default run; each is a process.
N_DEVICES = (
    1,
    pytest.param(2, marks=pytest.mark.slow),
    3,
    pytest.param(4, marks=pytest.mark.slow),
)
# No length is divisible by 2, 3 or 4; of the last, some devices get nothing at all.
LENGTHS = (1013, 7)
SIZES = (2, 3, 4)
PROGRAM = """
import sys
import jax
import numpy as np
from meegic.components.parameters import AmicaParameters
from meegic.components.kernels import make_estep, pick_kernel

n_devices, problem, result = int(sys.argv[1]), sys.argv[2], sys.argv[3]
assert len(jax.devices()) == n_devices
assert pick_kernel("auto", "cpu") == ("numba" if n_devices == 1 else "jax")
found = {}
with np.load(problem) as file:
    parameters = AmicaParameters(*(file[name] for name in AmicaParameters._fields))
    for key in [one[1:] for one in file if one.startswith("x")]:
        weights = file["w" + key]
        estep = make_estep(file["x" + key], kernel="jax", chunk=16)
        scores = np.full((2, len(weights)), np.nan)
        first = estep(parameters, weights, scores)
        for one, other in zip(first, estep(parameters, weights, scores)):
            np.testing.assert_array_equal(one, other)
        found |= {f"{name}{key}": one for name, one in first._asdict().items()}
        found["scores" + key] = scores
assert not jax.config.jax_enable_x64
np.savez(result, **found)
"""


@pytest.fixture(scope="module")
def problems():
    parameters = draw_problem(0, *SIZES, 1)[1]
    return parameters, {n: draw_problem(n, *SIZES, n)[::2] for n in LENGTHS}


@pytest.fixture(scope="module")
def results(problems, tmp_path_factory):
    """Find what a number of devices finds, in a process of its own."""
    folder = tmp_path_factory.mktemp("devices")
    parameters, data = problems
    arrays = parameters._asdict()
    for n, (x, weights) in data.items():
        arrays |= {f"x{n}": x, f"w{n}": weights}
    np.savez(folder / "problem.npz", **arrays)

    @functools.cache
    def find(k):
        flags = f"--xla_force_host_platform_device_count={k}"
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        files = [folder / "problem.npz", folder / f"{k}.npz"]
        command = [sys.executable, "-c", PROGRAM, str(k), *map(str, files)]
        subprocess.run(command, env=environment, check=True)
        return np.load(folder / f"{k}.npz")

    return find


@pytest.mark.parametrize("n_times", LENGTHS)
@pytest.mark.parametrize("n_devices", N_DEVICES)
def test_row_81_devices_agree_on_any_length(results, problems, n_devices, n_times):
    def read(k):
        names = [f"{name}{n_times}" for name in Statistics._fields]
        return [results(k)[name] for name in names]

    x, weights = problems[1][n_times]
    expected, scores = compute_dense(x, problems[0], weights)
    assert_same(read(n_devices), expected)
    assert_same(read(n_devices), read(1))
    found = results(n_devices)[f"scores{n_times}"]
    np.testing.assert_allclose(found, scores, rtol=1e-12)
