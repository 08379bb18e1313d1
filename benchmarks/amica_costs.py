"""What AMICA costs beside time per pass: memory, the first use, larger problems."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks.amica_data import mix_laplace
from benchmarks.amica_peers import time_pass
from benchmarks.harness import Case, Comparison, Outcome, compare

_SIZES = {"T": 50_000, "n": 32, "M": 1, "J": 3}
_SCALES = {
    "T": (12_500, 25_000, 100_000, 200_000),
    "n": (8, 16, 64, 128),
    "M": (2, 3, 4),
    "J": (1, 2, 5),
}

# The kernel was compiled and is cached on the disk. After the import all modules of a
# fit are there; from then on everything counts, also what is freed again.
_MEMORY = """
import json, warnings
from pathlib import Path
import meegic.components.statistics_cpu
{more}
def read(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int([one.split()[1] for one in lines if one.startswith(field)][0])
imported = read("VmRSS")
from benchmarks.amica_data import mix_laplace, two_threads
warnings.simplefilter("ignore")
with two_threads():
    data = mix_laplace({n_channels}, {n_times}).data
    made = read("VmRSS")
    {call}
peak = read("VmHWM")
print(json.dumps({{
    "imported MB": imported / 1e6,
    "data MB": data.nbytes / 1e6,
    "data made MB": (made - imported) / 1e6,
    "above import MB": (peak - imported) / 1e6,
    "per data": (peak - imported) / data.nbytes,
}}))
"""
_FIT = """
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions
"""
_PASS = """
import numpy as np
from meegic.components.parameters import draw_parameters
from meegic.components.kernels import make_estep
from meegic.components.threads import one_blas_thread
"""
_FITS = {
    "one pass over the data as they are": (
        _PASS,
        "with one_blas_thread(): make_estep(data)(draw_parameters(len(data)), "
        "np.ones(data.shape[1]))",
    ),
    "fit of 15 passes": (_FIT, "fit_amica(data, AmicaOptions(max_iter=15))"),
    "fit of 5 EM iterations": (
        _FIT,
        "fit_amica(data, AmicaOptions(solver='em', max_iter=5))",
    ),
    "fit of two models, 15 passes": (
        _FIT,
        "fit_amica(data, AmicaOptions(n_models=2, max_iter=15))",
    ),
}

_FIRST_USE = """
import json, time
start = time.perf_counter()
import numpy as np
from meegic.components.parameters import draw_parameters
from meegic.components.kernels import make_estep
from meegic.components.threads import one_blas_thread
x = np.random.default_rng(0).normal(size=({n}, {n_times}))
imported = time.perf_counter()
step = make_estep(x, kernel="{kernel}")
with one_blas_thread():
    step(draw_parameters({n}), np.ones({n_times}))
    first = time.perf_counter()
    used = time.process_time()
    step(draw_parameters({n}), np.ones({n_times}))
second = time.perf_counter()
print(json.dumps({{
    "import s": imported - start,
    "first pass s": first - imported,
    "processor s": used,
    "second pass s": second - first,
}}))
"""

_DEVICES = """
import json, time
import jax
import numpy as np
from benchmarks.amica_data import mix_laplace
from meegic.components.parameters import draw_parameters
from meegic.components.kernels import make_estep
recording = mix_laplace({n}, {n_times})
step = make_estep(recording.x, kernel="jax")
marks = []
for _ in range(6):
    step(draw_parameters({n}), np.ones({n_times}))
    marks.append(time.perf_counter())
seconds = sorted(b - a for a, b in zip(marks, marks[1:]))
print(json.dumps({{"devices": len(jax.devices()), "pass ms": 1e3 * seconds[2]}}))
"""


def compare_memory() -> Comparison:
    """Compare the memory of a fit above the level after import."""
    n_channels, n_times = 64, 200_000
    cases = [
        Case(name, partial(run_fresh, _fill_memory(fit, n_channels, n_times)))
        for name, fit in _FITS.items()
    ]
    title = (
        f"Memory above the level after import, Laplace mixture {n_channels} x "
        f"{n_times}, the data themselves included; at most 2.5 per data"
    )
    return compare(title, cases, repeats=1, baseline=None)  # the first may compile


def compare_first_use(quick: bool) -> Comparison:
    """Compare the first pass of fresh processes, without and with cached code."""
    size = {"n": 32, "n_times": 30_504}
    numba = _FIRST_USE.format(kernel="numba", **size)
    with tempfile.TemporaryDirectory() as folder:
        cached = partial(run_fresh, numba, {"NUMBA_CACHE_DIR": folder})
        cases = [
            Case("numba, nothing cached", partial(_run_uncached, numba)),
            Case("numba, cached", cached),
        ]
        if not quick:
            jax = _FIRST_USE.format(kernel="jax", **size)
            cases.append(Case("JAX", partial(run_fresh, jax)))
        title = "First use in a fresh process, 32 x 30504; numba: less than 5 s"
        return compare(title, cases, repeats=1 if quick else 7, baseline=None)


def compare_sizes(quick: bool) -> Comparison:
    """Compare passes over data and models of other sizes."""
    usual = ", ".join(f"{name} = {size}" for name, size in _SIZES.items())
    cases = [Case(usual, _prepare(_SIZES))]
    for name, sizes in _SCALES.items():
        for size in sizes[:1] if quick else sizes:
            cases.append(Case(f"{name} = {size}", _prepare({**_SIZES, name: size})))
    title = "One pass of meegic, one size changed at a time, float64"
    return compare(title, cases, repeats=2 if quick else 9, baseline=usual)


def compare_devices() -> Comparison:
    """Compare the JAX kernel on processors that play several devices."""
    code = _DEVICES.format(n=32, n_times=30_504)
    flag = "--xla_force_host_platform_device_count"
    cases = [
        Case(f"{n}", partial(run_fresh, code, {"XLA_FLAGS": f"{flag}={n}"}))
        for n in (1, 2, 3, 4)
    ]
    title = "One pass of the JAX kernel on forced host devices, 32 x 30504, float64"
    return compare(title, cases, repeats=0, baseline=None)


def run_fresh(code: str, variables: Mapping[str, str] | None = None) -> Outcome:
    """Run code in a fresh interpreter; it prints its values as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **(variables or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Outcome(values=json.loads(done.stdout.splitlines()[-1]))


def _run_uncached(code: str) -> Outcome:
    """Run code in a fresh interpreter that has to compile everything."""
    with tempfile.TemporaryDirectory() as folder:
        return run_fresh(code, {"NUMBA_CACHE_DIR": folder})


def _fill_memory(fit: Sequence[str], n_channels: int, n_times: int) -> str:
    more, call = fit
    return _MEMORY.format(more=more, call=call, n_channels=n_channels, n_times=n_times)


def _prepare(size: Mapping[str, int]) -> Callable[[], Outcome]:
    recording = mix_laplace(size["n"], size["T"])
    return time_pass(recording, size["M"], "float64", n_passes=3, n_mix=size["J"])
