"""The code of the README and the pages runs, and prints what they say."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", re.DOTALL)
BLOCKS = [
    pytest.param(code, output, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (code, output) in enumerate(BLOCK.findall(page.read_text()))
]


@pytest.mark.parametrize(("code", "output"), BLOCKS)
def test_example_runs_and_prints_what_the_page_says(
    code, output, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text(code)
    runpy.run_path("example.py", run_name="__main__")
    if output:
        assert capsys.readouterr().out == output


@pytest.mark.slow  # each imports everything once more
@pytest.mark.parametrize(("code", "output"), BLOCKS)
def test_example_runs_as_a_script(code, output, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    if output:
        assert done.stdout == output


def test_there_is_an_example_with_its_output():
    assert any(one.values[1] for one in BLOCKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_command_page_is_what_the_commands_say():
    typer = Path(sys.executable).with_name("typer")
    done = subprocess.run(
        [typer, "meegic.cli.main", "utils", "docs", "--name", "meegic"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.stdout.strip() == (ROOT / "docs" / "cli.md").read_text().strip(), (
        "docs/cli.md is old: make docs"
    )
