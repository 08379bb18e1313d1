"""What `meegic doctor` reports: can meegic work here, and if not, what to do.

Nothing is sent beyond this machine, and what is written is removed again.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from meegic.base.errors import MissingDependencyError, OutputError
from meegic.base.files import hash_file, write_bytes
from meegic.labels.networks import (
    CARRIER,
    CARRIER_VERSION,
    NO_TELEMETRY,
    REINSTALL,
    REINSTALL_RUNTIME,
    WEIGHTS,
    find_weights,
)

Verdict = Literal["ok", "info", "warn", "fail"]
Look = tuple[Verdict, str]
Check = tuple[str, Callable[[], Look], str]  # name, what it does, advice

EXTRAS = ("bids", "io", "dist", "review", "source", "emd")

LOW_MEMORY = 4e9  # a 64-channel hour in float64 at 500 Hz is 0.9 GB, a fit holds a few
LOW_DISK = 5e9  # the derivatives of one recording take about as much as it does
CLOCK_TOLERANCE_S = 5.0  # some file systems keep times to 2 s only
MATMUL_SIZE = 1024
MATMUL_SECONDS = 0.5
MATMUL_TOLERANCE = 1e-12  # float64 errs by 1e-14 here, float32 by 1e-8
SYSTEM = Path("/")  # where proc and sys are


@dataclass(frozen=True)
class Examination:
    """One line of the report.

    Attributes
    ----------
    name : str
        What was looked at.
    verdict : 'ok' | 'info' | 'warn' | 'fail'
        ``'info'`` is something optional that is absent; only ``'fail'`` keeps meegic
        from working.
    found : str
        What was found.
    advice : str
        What to do; empty when the verdict is ``'ok'``.
    """

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def examine(out: Path | None = None) -> tuple[Examination, ...]:
    """Look at the installation, the machine and the output folder.

    Parameters
    ----------
    out : path | None
        Where results will be written; it need not exist yet. ``None`` is the
        current folder.

    Returns
    -------
    tuple of Examination
        One row per check, always in the same order.

    Examples
    --------
    >>> [row.name for row in examine()][:2]
    ['Python', 'jax']
    """
    wanted = Path(out or ".").absolute()
    folder = next(path for path in (wanted, *wanted.parents) if path.exists())
    return tuple(_examine(*check) for check in _checks(folder))


def exit_code(rows: Sequence[Examination]) -> int:
    """Give the exit code of the command: 2 when any check failed.

    Parameters
    ----------
    rows : sequence of Examination
        What `examine` found.

    Returns
    -------
    int
        0 or 2.

    Examples
    --------
    >>> exit_code([Examination("Python", "fail", "3.10 is too old")])
    2
    """
    return 2 if any(row.verdict == "fail" for row in rows) else 0


def to_document(rows: Sequence[Examination]) -> dict[str, Any]:
    """Turn the rows into what `meegic doctor --json` prints.

    Parameters
    ----------
    rows : sequence of Examination
        What `examine` found.

    Returns
    -------
    dict
        Plain values only, with the number of the ``schema``.

    Examples
    --------
    >>> to_document([Examination("Python", "ok", "3.11.7")])["rows"][0]["verdict"]
    'ok'
    """
    return {"schema": 1, "rows": [asdict(row) for row in rows]}


def _checks(folder: Path) -> tuple[Check, ...]:
    file_system = partial(_file_system, folder)
    return (
        ("Python", _python, "Make an environment with a supported Python."),
        *(
            (r.name, partial(_package, r), f"pip install '{r}'")
            for r in _requirements()
        ),
        ("devices", _devices, "Update jax and the driver, or unset JAX_PLATFORMS."),
        ("float64 switch", _float64_switch, "pip install --upgrade jax jaxlib"),
        ("threads", _threads, "Set OMP_NUM_THREADS to the number of cores."),
        ("memory", _memory, "Close other programs, or ask the queue for more."),
        ("free disk", partial(_disk, folder), "Make room, or choose another folder."),
        ("temporary folder", _temporary, "Set TMPDIR to a writable folder."),
        ("output folder", file_system, "Choose a writable one; check the clock."),
        ("numba cache", _numba_cache, "Set NUMBA_CACHE_DIR to a writable folder."),
        ("network runtime", _runtime, REINSTALL_RUNTIME),
        *(
            (f"{weights.name} weights", partial(_weights, method), REINSTALL)
            for method, weights in WEIGHTS.items()
        ),
        *(
            (f"extra {extra}", partial(_extra, extra), f"pip install 'meegic[{extra}]'")
            for extra in EXTRAS
        ),
        ("SLURM", _slurm, "Only --dask slurm needs it: log in to the cluster."),
        ("localhost", _localhost, "Let programs connect to 127.0.0.1."),
    )


def _examine(name: str, look: Callable[[], Look], advice: str) -> Examination:
    try:
        verdict, found = look()
    except (ImportError, OSError, RuntimeError, OutputError) as error:
        verdict, found = "fail", f"{type(error).__name__}: {error}"
    return Examination(name, verdict, found, "" if verdict == "ok" else advice)


def _requirements(extra: str = "") -> list[Requirement]:
    needed = [Requirement(line) for line in requires("meegic") or ()]
    return [
        one
        for one in needed
        if ("extra" in str(one.marker)) == bool(extra)
        and (one.marker is None or one.marker.evaluate({"extra": extra}))
    ]


def _python() -> Look:
    found = "{}.{}.{}".format(*sys.version_info)
    wanted = SpecifierSet(metadata("meegic")["Requires-Python"])
    return "ok" if found in wanted else "fail", f"{found}, supported is {wanted}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _package(requirement: Requirement) -> Look:
    found, wanted = _version(requirement.name), requirement.specifier
    good = found is not None and wanted.contains(found, prereleases=True)
    return "ok" if good else "fail", f"{found or 'absent'}, supported is {wanted}"


def _extra(extra: str) -> Look:
    requirements = _requirements(extra)
    found = {one.name: _version(one.name) for one in requirements}
    words = ", ".join(f"{name} {number or 'absent'}" for name, number in found.items())
    if None in found.values():
        return "info", words
    good = all(_package(one)[0] == "ok" for one in requirements)
    return "ok" if good else "warn", words


def _devices() -> Look:
    import jax

    from meegic.base.arrays import precise

    devices = list(dict.fromkeys([*jax.devices("cpu"), *jax.devices()]))
    with precise():
        results = [_multiply(one, MATMUL_SECONDS / len(devices)) for one in devices]
    good = all(error < MATMUL_TOLERANCE for _, error in results)
    words = "; ".join(
        f"{device} ({device.device_kind}): float64 at {gflops:.3g} GFLOP/s"
        + ("" if error < MATMUL_TOLERANCE else f", wrong by {error:.1g}")
        for device, (gflops, error) in zip(devices, results, strict=True)
    )
    return "ok" if good else "fail", words


def _multiply(device: Any, seconds: float) -> tuple[float, float]:
    """Multiply thirds for a while: GFLOP/s and the relative error."""
    import jax

    thirds = jax.device_put(np.full((MATMUL_SIZE, MATMUL_SIZE), 1 / 3), device)
    product = np.asarray(thirds @ thirds)  # the first one compiles
    error = np.abs(product * 9 / MATMUL_SIZE - 1).max()
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        jax.block_until_ready(thirds @ thirds)
        count += 1
    return 2e-9 * MATMUL_SIZE**3 * count / elapsed, float(error)


def _float64_switch() -> Look:
    import jax.numpy as jnp

    from meegic.base import arrays

    before = jnp.zeros(1).dtype
    with arrays.precise():
        inside = jnp.zeros(1).dtype
    after = jnp.zeros(1).dtype
    good = inside == np.float64 and before == after
    words = f"{before} before, {inside} inside, {after} afterwards"
    return "ok" if good else "fail", words


def _threads() -> Look:
    from threadpoolctl import threadpool_info

    # A batch queue may give this process fewer cores than the machine has.
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )
    pools = {(one["internal_api"], one["num_threads"]) for one in threadpool_info()}
    words = "".join(f", {name} uses {count}" for name, count in sorted(pools))
    crowded = any(count > cores for _, count in pools)
    return "warn" if crowded else "ok", f"{cores} cores{words}"


def _memory() -> Look:
    table = SYSTEM / "proc/meminfo"
    if not table.is_file():
        return "info", "unknown on this system"
    fields = dict(line.split(":", 1) for line in table.read_text().splitlines())
    total, free = (
        1024 * int(fields[name].split()[0]) for name in ("MemTotal", "MemAvailable")
    )
    words = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB available"
    limit = min(_memory_limits(), default=total)
    if limit < total:
        words += f", limited to {limit / 1e9:.1f} GB (cgroup)"
    return "warn" if min(free, limit) < LOW_MEMORY else "ok", words


def _memory_limits() -> list[int]:
    """Read the limits of this process's control groups and their parents."""
    listed = SYSTEM / "proc/self/cgroup"
    lines = listed.read_text().splitlines() if listed.is_file() else []
    groups = {Path(line.split(":", 2)[2]) for line in lines}
    folders = {
        one.relative_to("/") for group in groups for one in (group, *group.parents)
    }
    root = SYSTEM / "sys/fs/cgroup"
    files = [root / one / "memory.max" for one in folders]
    files += [root / "memory" / one / "memory.limit_in_bytes" for one in folders]
    texts = [file.read_text().strip() for file in files if file.is_file()]
    return [int(text) for text in texts if text.isdigit()]  # no limit reads "max"


def _disk(folder: Path) -> Look:
    free = shutil.disk_usage(folder).free
    return "warn" if free < LOW_DISK else "ok", f"{free / 1e9:.1f} GB"


def _temporary() -> Look:
    with tempfile.TemporaryFile() as file:
        file.write(b"meegic")
    return "ok", tempfile.gettempdir()


def _file_system(folder: Path) -> Look:
    """Replace a file as every result is replaced."""
    with tempfile.TemporaryDirectory(prefix=".meegic-doctor-", dir=folder) as inside:
        path = Path(inside, "file")
        path.write_bytes(b"old")
        clock, start = time.time(), time.perf_counter()
        write_bytes(path, b"new")
        took = time.perf_counter() - start
        offset = path.stat().st_mtime - clock
        replaced = path.read_bytes() == b"new"
    words = f"fsync and rename in {1e3 * took:.0f} ms, clock off by {offset:+.1f} s"
    if not replaced:
        return "fail", "a rename did not replace the old file"
    return "warn" if abs(offset) > CLOCK_TOLERANCE_S else "ok", words


def _numba_cache() -> Look:
    import numba

    try:
        numba.njit(cache=True)(lambda: None)  # looks for a folder, compiles nothing
    except RuntimeError as error:
        return "warn", f"kernels are compiled anew in each process: {error}"
    return "ok", "writable"


def _runtime() -> Look:
    # in a process without a home: its import may write a device id there
    code = "import onnxruntime as o; print(*o.get_available_providers())"
    with tempfile.TemporaryDirectory() as folder:
        homes = dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME"), folder)
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, **homes, **NO_TELEMETRY},
        )
    if done.returncode:
        return "fail", done.stderr.strip().rpartition("\n")[2]
    good = "CPUExecutionProvider" in done.stdout.split()
    return "ok" if good else "fail", done.stdout.strip()


def _weights(method: str) -> Look:
    weights = WEIGHTS[method]
    try:
        path = find_weights(method)
    except MissingDependencyError as error:
        return "fail", error.message
    found = hash_file(path)
    if found != weights.digest:
        return "fail", (
            f"{path.name} of {CARRIER} {version(CARRIER)} has the digest {found[:8]}, "
            f"but that of {CARRIER_VERSION} is {weights.digest[:8]}"
        )
    return "ok", f"{path.name} as in {CARRIER} {CARRIER_VERSION}; {weights.licence}"


def _slurm() -> Look:
    found = shutil.which("sbatch")
    return "ok" if found else "info", found or "no sbatch"


def _localhost() -> Look:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=2),
    ):
        return "ok", "a program here can connect to another"
