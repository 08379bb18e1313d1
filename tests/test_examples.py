"""Each example says what it shows, and is in the list. `make examples` runs them."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_example_compiles_and_says_what_it_shows_and_how_to_run_it(path):
    text = path.read_text()
    compile(text, path, "exec", dont_inherit=True)
    told = ast.get_docstring(ast.parse(text)) or ""
    assert told.splitlines()[0].endswith((".", "?"))
    assert f"python examples/{path.name} [folder for the figures]" in told


def test_list_has_every_example_and_no_other():
    rows = [
        line.split("](")[1].split(")")[0]
        for line in (FOLDER / "README.md").read_text().splitlines()
        if line.startswith("| [")
    ]
    assert sorted(rows) == [path.name for path in SCRIPTS]
    assert rows
