"""House rules that linters cannot check."""

import ast
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

import meegic

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "meegic"
MODULES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = {"jax", "numba", "mne", "numpy", "scipy", "matplotlib", "pydantic", "starlette"}
EXTRAS = {
    *("bids", "io", "dist", "review", "source", "emd"),
    *("cuda12", "cuda13", "bench", "docs", "dev", "all"),
}


def loaded_by(statement):
    """Heavy modules in a fresh interpreter after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(SOURCE))
)
def test_module_is_one_idea_of_at_most_400_lines(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is"
    is_package_page = path.name == "__init__.py"
    assert is_package_page or len(tree.body) > 1, "no empty modules"


def test_import_of_the_package_is_light():
    assert loaded_by("import meegic; dir(meegic)") == set()


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["check", "--help"], ["demo", "-h"]]
)
def test_help_and_version_import_nothing_heavy(arguments):
    code = (
        "import sys; sys.argv = ['meegic', *" + repr(arguments) + "]\n"
        "from meegic.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    assert loaded_by(code) == set()


def test_every_public_name_is_documented_and_shown():
    page = (ROOT / "docs" / "api.md").read_text()
    examples = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    for name in meegic.__all__:
        thing = getattr(meegic, name)
        assert f"`{name}" in page, f"{name} is not in docs/api.md"
        if inspect.isfunction(thing):
            assert "Examples\n" in inspect.getdoc(thing), f"{name} has no example"
        assert re.search(rf"\b{name}\b", examples), f"docs/api.md does not use {name}"


def test_every_public_function_has_a_runnable_example():
    missing = []
    for path in MODULES:
        if path.parent.name == "cli" or path.name.startswith("__"):
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                doc = ast.get_docstring(node) or ""
                if ">>> " not in doc:
                    missing.append(f"{path.relative_to(SOURCE)}:{node.name}")
    # a step of the demo is shown by the demo itself
    assert [one for one in missing if "pipeline/demo" not in one] == []


def test_every_command_has_help_and_a_section_in_the_docs():
    page = (ROOT / "docs" / "cli.md").read_text()
    for name, command in get_command(meegic_app()).commands.items():
        assert command.help
        assert f"## `meegic {name}`" in page
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
            shown = parameter.metavar or parameter.opts[0]
            assert shown in page


def meegic_app():
    from meegic.cli.main import app

    return app


def test_version_is_the_same_everywhere():
    assert PROJECT["version"] == meegic.__version__
    assert importlib.metadata.version("meegic") == meegic.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {meegic.__version__}\n" in citation
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## (Unreleased|{meegic.__version__})", changelog, re.M)


def test_extras_are_the_promised_ones():
    assert set(PROJECT["optional-dependencies"]) == EXTRAS


def test_constraints_are_names_and_exact_versions_of_every_dependency():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", one) for one in lines)
    pinned = {canonical(one.split("==")[0]) for one in lines}
    wanted = list(PROJECT["dependencies"])
    for name, extra in PROJECT["optional-dependencies"].items():
        if not name.startswith("cuda"):  # what CI cannot install it does not pin
            wanted += extra
    names = {canonical(re.match(r"[\w.-]+", one)[0]) for one in wanted} - {"meegic"}
    assert names - pinned == set()


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def tracked_files():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    names = [one for one in listed.decode().split("\0") if one]
    return [ROOT / one for one in names if (ROOT / one).is_file()]


def test_no_index_host_and_no_machine_path_in_any_file():
    forbidden = re.compile(
        r"index-url|pypi\.org|files\.pythonhosted|/simple/[a-z]"
        r"|(^|[^\w.])/(root|home|work|Users)/\w"
    )
    for path in tracked_files():
        if path.suffix in {".npz", ".png"} or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not forbidden.search(line), f"{path}:{number}: {line}"


def test_nothing_runs_code_from_data():
    """Ruff has the rules S301, S307, S102, S506; this sees what hides from them."""
    forbidden = re.compile(
        r"import (pickle|cPickle|dill|cloudpickle|joblib|marshal|shelve)\b"
        r"|allow_pickle\s*=\s*True|\b(eval|exec)\(|yaml\.load"
    )
    for path in MODULES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = line.split("#")[0]
            assert not forbidden.search(code), f"{path}:{number}: {line}"


def test_library_never_prints():
    """T20 sees `print`; this sees who writes to the streams without it."""
    for path in MODULES:
        if path.parent.name != "cli":
            assert "sys.stdout" not in path.read_text(), path


def test_every_fault_has_a_test_or_stands_on_the_list_of_pending_ones(shared):
    table = (shared / "spec" / "faults.md").read_text()
    rows = {int(one) for one in re.findall(r"^\| (\d+) \|", table, re.M)}
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    tested = {int(x) for x in re.findall(r"row[-_](\d{2})", tests)}
    for first, last in re.findall(r"row[-_](\d{2})[-_](\d{2})\b", tests):
        tested |= {int(first), int(last)}
    for first, last in re.findall(r"row_(\d{2})_(\d{2})_", tests):
        tested |= {int(first), int(last)}
    pending = (ROOT / "tests" / "faults" / "pending.txt").read_text()
    waiting = {int(one) for one in re.findall(r"^(\d+) (?!part:)", pending, re.M)}
    in_part = {int(one) for one in re.findall(r"^(\d+) part:", pending, re.M)}
    assert rows - tested - waiting == set(), "rows without a test"
    assert tested & waiting == set(), "tested rows that still stand as pending"
    assert in_part <= tested, "nothing of these rows is tested"
    assert waiting <= rows


def test_golden_data_are_there_in_ci():
    if os.environ.get("CI"):
        folder = Path(os.environ.get("MEEGIC_SHARED", ROOT.parent / "shared"))
        assert (folder / "golden").is_dir()
