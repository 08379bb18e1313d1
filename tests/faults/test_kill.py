"""What kill -9 and damaged bytes leave: a file that is right, or a refusal.

Run as a script, it forks a child that overwrites the same files until it is killed,
once for every line that it reads.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from meegic.base import files, npz
from meegic.base.errors import IntegrityError

SCHEMA = {"x": npz.ArraySpec("float64", (None,))}


def write_all(folder, number):
    """Overwrite three files, each of which can tell that it is whole."""

    def write(path):
        with path.open("wb") as stream:
            for _ in range(100):
                stream.write(b"%d," % number * 20_000)

    npz.write_arrays(folder / "a.npz", {"x": np.full(300_000, float(number))})
    files.write_json(folder / "a.json", [number] * 200)
    files.export_atomically(folder / "a.fif", write)


def check_all(folder):
    """Give the numbers that were found, where every file agrees with itself."""
    x = npz.read_arrays(folder / "a.npz", SCHEMA)["x"]
    assert x.tobytes() == x[:1].tobytes() * 300_000
    numbers = files.read_json(folder / "a.json")
    assert numbers == numbers[:1] * 200
    fif = (folder / "a.fif").read_bytes()
    number = fif[: fif.index(b",") + 1]
    assert fif == number * 2_000_000
    return int(x[0]), numbers[0], int(number[:-1])


@pytest.fixture
def nursery(tmp_path):
    command = [sys.executable, __file__, tmp_path]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize("n_kills", [pytest.param(50, id="row-60")])
def test_killed_writers_leave_whole_files_and_sweepable_rests(
    tmp_path, nursery, n_kills
):
    rng = np.random.default_rng(0)
    write_all(tmp_path, 0)
    found, n_rests = {(0, 0, 0)}, 0
    for kill in range(n_kills):
        print(file=nursery.stdin, flush=True)
        child = int(nursery.stdout.readline())
        time.sleep(rng.uniform(0, 0.06))
        while kill % 2 and not any(tmp_path.glob(".*.tmp")):
            pass  # every other time, come during a write
        os.kill(child, signal.SIGKILL)
        assert nursery.stdout.readline() == f"{-signal.SIGKILL}\n"
        found.add(check_all(tmp_path))
        rests = list(tmp_path.glob(".*.tmp"))
        assert files.sweep_temporaries(tmp_path) == []  # too young
        for one in rests:
            os.utime(one, (0, 0))
        assert sorted(files.sweep_temporaries(tmp_path)) == sorted(rests)
        n_rests += len(rests)
    assert {one.name for one in tmp_path.iterdir()} == {"a.npz", "a.json", "a.fif"}
    assert n_rests > 0  # or no kill came during a write
    assert len(found) > 1  # or nothing was written between them


def overwrite_until_killed(folder):
    first = 1
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            for number in itertools.count(first):
                write_all(folder, number)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        first += 1000


def damage(rng, content):
    """Flip, truncate, splice, extend or swap: what bad disks and copies do."""
    start, stop, other = sorted(rng.integers(0, len(content) + 1, 3))
    kind = rng.integers(5)
    if kind == 0:
        flipped = np.frombuffer(content, np.uint8).copy()
        places = rng.integers(0, len(content), rng.integers(1, 65))
        flipped[places] ^= rng.integers(1, 256, len(places), dtype=np.uint8)
        return flipped.tobytes()
    if kind == 1:
        return content[:start]
    if kind == 2:
        return content[:start] + content[stop:]
    if kind == 3:
        return content + rng.bytes(rng.integers(1, 200))
    return content[:start] + content[stop:other] + content[start:stop] + content[other:]


def damaged_copies(path, n_copies):
    """Put a differently damaged copy in place of the file, again and again."""
    rng = np.random.default_rng(0)
    content = path.read_bytes()
    for _ in range(n_copies):
        bad = damage(rng, content)
        path.write_bytes(bad)
        yield bad != content


def test_damaged_arrays_are_refused_or_equal(tmp_path):
    x = np.random.default_rng(1).normal(size=100)
    path = tmp_path / "a.npz"
    npz.write_arrays(path, {"x": x})
    refusals = []
    for _ in damaged_copies(path, 500):
        try:
            found = npz.read_arrays(path, SCHEMA)
        except IntegrityError as error:
            refusals.append(error.message)
        else:
            assert found["x"].tobytes() == x.tobytes()
    assert len(refusals) > 400
    assert all(str(path) in one for one in refusals)


@pytest.mark.parametrize("with_digest", [True, False], ids=["digest", "no digest"])
def test_damaged_json_is_refused_or_json(tmp_path, with_digest):
    """Without a digest another digit cannot be seen, but nothing else may happen."""
    path = tmp_path / "a.json"
    digest = files.write_json(path, {"a": [1.5, None, "text"], "b": {"c": [True] * 20}})
    refusals = []
    for is_bad in damaged_copies(path, 500):
        try:
            files.read_json(path, digest=digest if with_digest else None)
        except IntegrityError as error:
            refusals.append(error.message)
        else:
            assert not (with_digest and is_bad)
    assert len(refusals) > 400
    assert all(str(path) in one for one in refusals)


if __name__ == "__main__":
    overwrite_until_killed(Path(sys.argv[1]))
