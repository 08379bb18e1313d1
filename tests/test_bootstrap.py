"""`tools/bootstrap` installs when it must, only then, and says why it cannot."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("cat", "cksum", "cp", "dirname", "mkdir", "rm", "sh", "tail", "tee", "touch")
PYTHONS = ("python3", "python3.11", "python3.12", "python3.13")

PYTHON = """#!/bin/sh
echo "python $*" >>"$LOG"
case "$*" in
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    *version_info*) exit "${OLD:-0}" ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>"$LOG"
echo "what uv said"
exit "${FAIL:-0}"
"""


def write_script(path, text):
    path.write_text(text)
    path.chmod(0o755)


class House:
    """A tree with the script, and programs that only log how they are called."""

    def __init__(self, folder):
        self.bin, self.tree, self.log = folder / "bin", folder / "tree", folder / "log"
        self.bin.mkdir()
        for name in (*TOOLS, "tr"):
            (self.bin / name).symlink_to(shutil.which(name))
        for name in PYTHONS:
            write_script(self.bin / name, PYTHON)
        write_script(self.bin / "uv", UV)
        (self.tree / "tools").mkdir(parents=True)
        shutil.copy(ROOT / "tools" / "bootstrap", self.tree / "tools")
        for name in ("pyproject.toml", "constraints.txt"):
            (self.tree / name).write_text(name)

    def run(self, extras, **env):
        """Run the script: its exit code, what it said, and what was installed."""
        self.log.write_text("")
        done = subprocess.run(
            [self.tree / "tools" / "bootstrap", extras],
            env={"PATH": str(self.bin), "LOG": str(self.log), **env},
            cwd=self.bin,
            capture_output=True,
            text=True,
        )
        calls = self.log.read_text().splitlines()
        return (
            done.returncode,
            done.stderr,
            [one for one in calls if " install " in one],
        )


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_first_run_installs_the_pinned_versions(house):
    code, said, calls = house.run("all,dev")
    assert code == 0
    assert said.endswith("meegic: ready.\n")
    assert calls == [
        "uv pip install --python .venv/bin/python -c constraints.txt -e .[all,dev]"
    ]


def test_second_run_says_and_does_nothing(house):
    house.run("all")
    assert house.run("all") == (0, "", [])


def test_pip_installs_where_there_is_no_uv(house):
    (house.bin / "uv").unlink()
    code, _, (call,) = house.run("all")
    assert code == 0
    assert call.startswith("python -m pip install ")
    assert call.endswith(" -c constraints.txt -e .[all]")


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "constraints.txt", "tools/bootstrap"]
)
def test_change_of_what_is_wanted_installs_again(house, name):
    house.run("all")
    with (house.tree / name).open("a") as file:
        file.write("\n# changed\n")
    assert len(house.run("all")[2]) == 1
    assert house.run("all")[2] == []


def test_moved_tree_installs_again(house):
    house.run("all")
    house.tree = house.tree.rename(house.tree.with_name("moved"))
    assert len(house.run("all")[2]) == 1


def test_environment_that_does_not_run_is_made_anew(house):
    house.run("all")
    venv = house.tree / ".venv"
    write_script(venv / "bin" / "python", "#!/bin/sh\nexit 1\n")
    (venv / "left over").touch()
    code, said, calls = house.run("all")
    assert (code, len(calls)) == (0, 1)
    assert "making .venv" in said
    assert not (venv / "left over").exists()


@pytest.mark.parametrize(
    ("first", "second", "n_installs"),
    [("all,dev", "all", 0), ("all", "all,dev", 1), ("dev", "all", 1)],
)
def test_more_extras_count_for_fewer_but_not_the_other_way(
    house, first, second, n_installs
):
    house.run(first)
    assert len(house.run(second)[2]) == n_installs


def test_failed_installation_is_shown_and_tried_again(house):
    code, said, _ = house.run("all", FAIL="1")
    assert code == 2
    assert "what uv said\nerror: installation failed" in said
    assert "ready" not in said
    assert list((house.tree / ".venv").glob(".installed*")) == []
    code, _, calls = house.run("all")
    assert (code, len(calls)) == (0, 1)


def test_python_that_is_too_old_is_refused(house):
    code, said, calls = house.run("all", OLD="1")
    assert (code, calls) == (2, [])
    assert said == (
        "error: Python 3.11 or newer is needed; install it or set "
        "PYTHON=/path/to/python.\n"
    )
    assert not (house.tree / ".venv").exists()


def test_next_best_python_is_taken_where_the_first_is_too_old(house):
    write_script(house.bin / "python3", "#!/bin/sh\nexit 1\n")
    assert house.run("all")[0] == 0


def test_python_can_be_chosen(house):
    for name in PYTHONS:
        (house.bin / name).unlink()
    write_script(house.bin / "mine", PYTHON)
    assert house.run("all")[0] == 2
    assert house.run("all", PYTHON="mine")[0] == 0
