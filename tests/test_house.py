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
    assert path.name == "__init__.py" or does_something(tree), "no empty modules"


def does_something(tree):
    """Whether a module has more than texts, imports and `pass`."""
    idle = (ast.Import, ast.ImportFrom, ast.Pass)
    return any(
        not isinstance(one, idle)
        and not isinstance(getattr(one, "value", 0), ast.Constant)
        for one in tree.body
    )


@pytest.mark.parametrize(
    ("code", "does"),
    [
        ('"""Text."""', False),
        ('"""Text."""\nimport os\n...\npass', False),
        ('"""Text."""\ndef act(): pass', True),
        ('"""Text."""\nmain()', True),
        ('"""Text."""\nSIZES = {"a": 1}', True),
    ],
)
def test_empty_modules_are_told_from_others(code, does):
    assert does_something(ast.parse(code)) == does


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
        # a dataclass without a text gets its signature for one
        text = thing.__doc__ or f"{name}("
        assert not text.startswith(f"{name}("), f"{name} has no docstring"
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
    # written in pieces, so that this file passes as well
    hosts = (
        "index-" + "url",
        "py" + r"pi\.org",
        "python" + "hosted",
        "/simple/" + "[a-z]",
    )
    forbidden = re.compile(
        "|".join([*hosts, r"(^|[^\w.])/(" + "root|home|work|Users|mnt|opt" + r")/\w"])
    )
    for path in tracked_files():
        if path.suffix in {".npz", ".png"}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not forbidden.search(line), f"{path}:{number}: {line}"


FORBIDDEN = re.compile(
    r"(pickle|cPickle|dill|cloudpickle|joblib|marshal|shelve)(\..*)?"
    r"|eval|exec|yaml\.load|(np|numpy)\.(load|lib\.format\.read_array)|allow_pickle"
    r"|sys\.(__)?std(out|err)(__)?"
)


def find_forbidden(tree):
    """Find what runs code from data or prints, by the names that a module uses."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                found |= {one.name for one in names}
            case ast.ImportFrom(module, names):
                found |= {f"{module}.{one.name}" for one in names}
            case ast.Name() | ast.Attribute():
                found.add(ast.unparse(node))
            case ast.keyword("allow_pickle", value) if ast.unparse(value) != "False":
                found.add("allow_pickle")
    return {name for name in found if FORBIDDEN.fullmatch(name)}


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "import os, joblib as j", "from pickle import loads"),
        *("import dill.source", "def f():\n    from marshal import load"),
        *("np.load(path)", "numpy.load(path, None, True)", "from numpy import load"),
        *("read(path, allow_pickle=flag)", "eval(text)", "exec(text)"),
        *("yaml.load(text)", "sys.stderr.write('x')", "from sys import stdout as out"),
        "np.lib.format.read_array(stream, True)",
    ],
)
def test_planted_fault_is_found(code):
    assert len(find_forbidden(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(SOURCE))
)
def test_nothing_runs_code_from_data_and_only_the_command_line_prints(path):
    """Ruff has S301, S307, S102, S506 and T20; this sees what hides from them."""
    allowed = {"sys.stdout", "sys.stderr"} if path.parent.name == "cli" else set()
    assert find_forbidden(ast.parse(path.read_text())) - allowed == set()


def find_rows(tree):
    """Find the rows of the table of faults in names and ids of test functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            words = [node.name]
            for decorator in node.decorator_list:
                constants = (getattr(one, "value", 0) for one in ast.walk(decorator))
                words += [one for one in constants if isinstance(one, str)]
            for word in words:
                for run in re.findall(r"\brow-(\d\d)\b|_row((?:_\d\d)+)(?=_)", word):
                    yield from (int(one) for one in re.findall(r"\d\d", "".join(run)))


def test_rows_are_found_in_names_and_ids_only():
    code = """
NAMES = ["row-01"]  # row-02
@pytest.mark.parametrize("name", NAMES, ids=["row-03-a", "b"])
def test_row_04_05_and_more(name):
    "row_06_is_only_mentioned, and row-07"
@pytest.mark.parametrize("name", NAMES, ids=lambda one: f"row-08-{one}")
def test_another(name): pass
def helper_row_09_(): pass
"""
    assert sorted(find_rows(ast.parse(code))) == [3, 4, 5, 8]


def test_every_fault_has_a_test_or_stands_on_the_list_of_pending_ones(shared):
    table = (shared / "spec" / "faults.md").read_text()
    rows = {int(one) for one in re.findall(r"^\| (\d+) \|", table, re.M)}
    paths = (ROOT / "tests").rglob("test_*.py")
    tested = {row for one in paths for row in find_rows(ast.parse(one.read_text()))}
    pending = (ROOT / "tests" / "faults" / "pending.txt").read_text()
    waiting = {int(one) for one in re.findall(r"^(\d+) (?!part:)", pending, re.M)}
    in_part = {int(one) for one in re.findall(r"^(\d+) part:", pending, re.M)}
    assert rows - tested - waiting == set(), "rows without a test"
    assert tested & waiting == set(), "tested rows that still stand as pending"
    assert in_part <= tested, "nothing of these rows is tested"
    assert waiting | tested <= rows


def test_golden_data_are_there_in_ci():
    if os.environ.get("CI"):
        folder = Path(os.environ.get("MEEGIC_SHARED", ROOT.parent / "shared"))
        assert (folder / "golden").is_dir()
