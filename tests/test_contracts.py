"""The import contracts bite: each planted fault is caught by the one that names it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FAULTS = {
    "a lower floor imports a higher one": (
        "math/loops.py",
        "import meegic.clean.findings",
        "The data flow downwards BROKEN",
    ),
    "two stages' roofs know each other's floor": (
        "figures/style.py",
        "import meegic.pipeline.report",
        "The data flow downwards BROKEN",
    ),
    "a folder without a place": (
        "extra/__init__.py",
        '"""Nobody gave it a place."""',
        "extra",
    ),
    "mne outside an edge": (
        "clean/findings.py",
        "import mne",
        "MNE stays at the edges BROKEN",
    ),
    "a picture outside figures": (
        "clean/edge/check.py",
        "import matplotlib",
        "Only figures draw BROKEN",
    ),
    "pandas in the core": (
        "pipeline/report.py",
        "import pandas",
        "pandas is imported by name only, where an extra brings it BROKEN",
    ),
    "a circle inside a folder": (
        "clean/findings.py",
        "import meegic.clean.edge.check",
        "No cycles inside a folder BROKEN",
    ),
}


def lint(folder):
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONUTF8": "1"}
    linter = Path(sys.executable).with_name("lint-imports")
    config = str(ROOT / "pyproject.toml")
    return subprocess.run(
        [linter, "--config", config, "--no-cache"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=env,
    )


@pytest.fixture
def house(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "meegic", tmp_path / "meegic", ignore=ignored)
    return tmp_path


def test_house_as_it_stands_keeps_its_contracts(house):
    done = lint(house)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("path", "line", "said"), FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_caught(house, path, line, said):
    module = house / "meegic" / path
    module.parent.mkdir(exist_ok=True)
    before = module.read_text() if module.exists() else ""
    module.write_text(f"{before}\n{line}\n")
    done = lint(house)
    assert done.returncode != 0
    assert said in done.stdout
