import errno
import json
import os
import shutil
import socket
import stat
import sys
import tempfile
import tomllib
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import jax
import numba
import pytest
import threadpoolctl
from packaging.requirements import Requirement

from meegic.base import arrays
from meegic.base.files import write_bytes
from meegic.labels import networks
from meegic.labels.networks import WEIGHTS
from meegic.pipeline import doctor
from meegic.pipeline.doctor import Examination, examine, exit_code, to_document


@pytest.fixture
def look(tmp_path):
    """One check alone, by its name."""

    def run(name, folder=tmp_path):
        (check,) = (one for one in doctor._checks(folder) if one[0] == name)
        return doctor._examine(*check)

    return run


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine with 8 GB, 6 of them free, whose cgroup files a test may write."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr(doctor, "SYSTEM", tmp_path)
    write("proc/meminfo", "MemTotal: 7812500 kB\nMemAvailable:  5859375 kB\nX: 0\n")
    return write


def raises(error):
    def fail(*_, **__):
        raise error

    return fail


def test_this_machine_passes_and_nothing_is_left_behind_or_sent(tmp_path, monkeypatch):
    connect = socket.socket.connect

    def loopback_only(self, address):
        assert address[0] == "127.0.0.1"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", loopback_only)
    monkeypatch.delitem(sys.modules, "mne_icalabel", raising=False)
    rows = examine(tmp_path / "not" / "there")
    assert [row for row in rows if row.verdict == "fail"] == []
    assert all(bool(row.advice) == (row.verdict != "ok") for row in rows)
    assert len({row.name for row in rows}) == len(rows)
    assert list(tmp_path.iterdir()) == []
    assert "mne_icalabel" not in sys.modules

    document = json.loads(json.dumps(to_document(rows)))
    assert document["schema"] == 1
    assert tuple(Examination(**row) for row in document["rows"]) == rows


def test_only_a_failure_changes_the_exit_code():
    rows = [Examination(one, one, "") for one in ("ok", "info", "warn")]
    assert exit_code(rows) == 0
    assert exit_code([*rows, Examination("fail", "fail", "")]) == 2


def test_every_core_package_and_extra_of_the_project_is_looked_at():
    project = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(project.read_text(encoding="utf-8"))["project"]

    def names(lines):
        return {Requirement(line).name.lower().replace("_", "-") for line in lines}

    assert {one.name for one in doctor._requirements()} == names(
        project["dependencies"]
    )
    for extra in doctor.EXTRAS:
        assert {one.name for one in doctor._requirements(extra)} == names(
            project["optional-dependencies"][extra]
        )


def test_unsupported_python_fails(look, monkeypatch):
    monkeypatch.setattr(doctor, "metadata", lambda _: {"Requires-Python": ">=3.99"})
    row = look("Python")
    assert row.verdict == "fail"
    assert row.found.endswith("supported is >=3.99")


@pytest.mark.parametrize(
    ("version", "verdict", "found"),
    [
        ("2.0.9", "fail", "2.0.9, supported is >=2.1"),
        (None, "fail", "absent, supported is >=2.1"),
        ("2.2.0rc1", "ok", "2.2.0rc1, supported is >=2.1"),
    ],
)
def test_core_package_must_be_in_the_supported_range(
    look, monkeypatch, version, verdict, found
):
    monkeypatch.setattr(doctor, "_version", lambda _: version)
    row = look("numpy")
    assert (row.verdict, row.found) == (verdict, found)
    assert row.advice == ("" if verdict == "ok" else "pip install 'numpy>=2.1'")


def test_version_of_an_absent_package_is_none():
    assert doctor._version("no-such-package-of-ours") is None


@pytest.mark.parametrize(
    ("versions", "verdict"),
    [
        ({"dask": "2025.1", "distributed": "2025.1", "dask-jobqueue": "0.9"}, "ok"),
        ({"dask": "2025.1", "distributed": "2024.9", "dask-jobqueue": "0.9"}, "warn"),
        ({"dask": "2025.1"}, "info"),
        ({}, "info"),
    ],
)
def test_extra_is_optional_but_not_half_or_old(look, monkeypatch, versions, verdict):
    monkeypatch.setattr(doctor, "_version", versions.get)
    row = look("extra dist")
    assert row.verdict == verdict
    assert ("distributed absent" in row.found) == ("distributed" not in versions)
    assert row.advice == ("" if verdict == "ok" else "pip install 'meegic[dist]'")


def test_float32_in_place_of_float64_fails(look, monkeypatch):
    monkeypatch.setattr(arrays, "precise", nullcontext)
    row = look("devices")
    assert row.verdict == "fail"
    assert "wrong by" in row.found
    row = look("float64 switch")
    assert row.verdict == "fail"
    assert row.found == "float32 before, float32 inside, float32 afterwards"


def test_float64_that_stays_on_fails(look, monkeypatch):
    @contextmanager
    def leaking():
        jax.config.update("jax_enable_x64", True)
        yield

    monkeypatch.setattr(arrays, "precise", leaking)
    try:
        row = look("float64 switch")
    finally:
        jax.config.update("jax_enable_x64", False)
    assert row.verdict == "fail"
    assert row.found == "float32 before, float64 inside, float64 afterwards"


def test_devices_that_do_not_start_fail(look, monkeypatch):
    error = RuntimeError("Unable to initialize backend 'cuda'")
    monkeypatch.setattr(jax, "devices", raises(error))
    row = look("devices")
    assert row.verdict == "fail"
    assert row.found == "RuntimeError: Unable to initialize backend 'cuda'"
    assert "JAX_PLATFORMS" in row.advice


def test_more_threads_than_cores_is_a_warning(look, monkeypatch):
    pools = [{"internal_api": "mkl", "num_threads": 9999}]
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: pools)
    row = look("threads")
    assert row.verdict == "warn"
    assert row.found.endswith("cores, mkl uses 9999")
    assert "OMP_NUM_THREADS" in row.advice


def test_memory_without_a_limit(look, system):
    assert look("memory").found == "6.0 of 8.0 GB available"
    assert look("memory").verdict == "ok"


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/job/step\n", "sys/fs/cgroup/job/memory.max"),
        ("0::/job/step\n", "sys/fs/cgroup/memory.max"),
        ("4:memory:/job\n0::/\n", "sys/fs/cgroup/memory/job/memory.limit_in_bytes"),
    ],
)
def test_smallest_limit_of_the_control_groups_counts(look, system, groups, file):
    system("proc/self/cgroup", groups)
    system("sys/fs/cgroup/job/step/memory.max", "max\n")
    system("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    system(file, "3000000000\n")
    row = look("memory")
    assert row.found == "6.0 of 8.0 GB available, limited to 3.0 GB (cgroup)"
    assert row.verdict == "warn"
    assert "ask the queue" in row.advice


def test_memory_is_unknown_where_the_system_does_not_tell(look, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "SYSTEM", tmp_path)
    row = look("memory")
    assert (row.verdict, row.found) == ("info", "unknown on this system")


def test_full_disk_is_a_warning(look, monkeypatch, tmp_path):
    def usage(folder):
        assert folder == tmp_path
        return SimpleNamespace(free=1e9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    row = look("free disk")
    assert (row.verdict, row.found) == ("warn", "1.0 GB")
    assert "Make room" in row.advice


def test_temporary_folder_that_is_not_there_fails(look, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    row = look("temporary folder")
    assert row.verdict == "fail"
    assert "FileNotFoundError" in row.found
    assert "TMPDIR" in row.advice


def test_output_folder_that_is_a_file_fails(tmp_path):
    (tmp_path / "out").write_text("")
    (row,) = (one for one in examine(tmp_path / "out") if one.name == "output folder")
    assert row.verdict == "fail"
    assert "NotADirectoryError" in row.found
    assert "Choose a writable one" in row.advice


@pytest.mark.parametrize("refuses", [stat.S_ISREG, stat.S_ISDIR])
def test_output_folder_without_fsync_fails(look, monkeypatch, refuses):
    def fsync(handle):
        if refuses(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    row = look("output folder")
    assert row.verdict == "fail"
    assert row.found.startswith("OutputError: ")
    assert "Input/output error" in row.found


def test_output_folder_is_tried_as_results_are_written(look, monkeypatch):
    written = []

    def write(path, content):
        written.append(write_bytes(path, content))

    monkeypatch.setattr(doctor, "write_bytes", write)
    assert look("output folder").verdict == "ok"
    assert len(written) == 1


def test_rename_that_does_not_replace_fails(look, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: None)
    row = look("output folder")
    assert row.verdict == "fail"
    assert row.found == "a rename did not replace the old file"


@pytest.mark.parametrize("ahead", [60, -60])
def test_clock_of_the_file_system_that_is_off_is_a_warning(look, monkeypatch, ahead):
    now = doctor.time.time
    monkeypatch.setattr(doctor.time, "time", lambda: now() - ahead)
    row = look("output folder")
    assert row.verdict == "warn"
    assert f"clock off by {ahead:+}.0 s" in row.found
    assert "check the clock" in row.advice


def test_numba_without_a_cache_folder_is_a_warning(look, monkeypatch):
    error = RuntimeError("cannot cache function: no locator available")
    monkeypatch.setattr(numba, "njit", raises(error))
    row = look("numba cache")
    assert row.verdict == "warn"
    assert "anew in each process: cannot cache function" in row.found
    assert "NUMBA_CACHE_DIR" in row.advice


def test_numba_is_asked_for_a_cache(look, monkeypatch):
    asked = []
    monkeypatch.setattr(numba, "njit", lambda **how: asked.append(how) or nullcontext)
    assert look("numba cache").verdict == "ok"
    assert asked == [{"cache": True}]


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """Another onnxruntime for a fresh interpreter, made of this source."""

    def fake(source):
        (tmp_path / "onnxruntime.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return fake


def test_onnxruntime_that_cannot_be_imported_fails(look, runtime):
    runtime("raise ImportError('a library of the system is missing')")
    row = look("network runtime")
    assert row.verdict == "fail"
    assert row.found == "ImportError: a library of the system is missing"
    assert row.advice == "pip install --force-reinstall onnxruntime"


def test_onnxruntime_must_run_on_the_cpu(look, runtime):
    runtime("def get_available_providers(): return ['OtherProvider']")
    row = look("network runtime")
    assert (row.verdict, row.found) == ("fail", "OtherProvider")


def test_row_71_onnxruntime_writes_nothing_to_the_home_folder(
    look, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert look("network runtime").verdict == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_other_weights_fail_and_name_the_right_carrier(
    look, monkeypatch, tmp_path, weights
):
    path = tmp_path / weights.file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another network")
    carrier = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(networks, "find_spec", lambda _: carrier)
    row = look(f"{weights.name} weights")
    assert row.verdict == "fail"
    # 846aff4f is the beginning of sha256(b"another network").
    assert "has the digest 846aff4f, but that of 0.10.0 is" in row.found
    assert row.advice == "pip install --force-reinstall mne-icalabel==0.10.0"

    path.unlink()
    assert (
        f"lacks the weights of {weights.name}" in look(f"{weights.name} weights").found
    )


def test_absent_carrier_of_the_weights_fails(look, monkeypatch):
    monkeypatch.setattr(networks, "find_spec", lambda _: None)
    row = look("MEGNet weights")
    assert row.verdict == "fail"
    assert "come with mne-icalabel 0.10.0, which is absent" in row.found


def test_licence_of_megnet_is_said(look):
    assert "academic and research use only" in look("MEGNet weights").found
    assert "research" not in look("ICLabel weights").found


@pytest.mark.parametrize(("path", "verdict"), [("/bin/sbatch", "ok"), (None, "info")])
def test_slurm_is_optional(look, monkeypatch, path, verdict):
    monkeypatch.setattr(shutil, "which", {"sbatch": path}.get)
    row = look("SLURM")
    assert (row.verdict, row.found) == (verdict, path or "no sbatch")


@pytest.mark.parametrize("step", ["create_server", "create_connection"])
def test_localhost_that_cannot_be_reached_fails(look, monkeypatch, step):
    monkeypatch.setattr(socket, step, raises(PermissionError("denied")))
    row = look("localhost")
    assert (row.verdict, row.found) == ("fail", "PermissionError: denied")
    assert "127.0.0.1" in row.advice
