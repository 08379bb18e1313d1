"""The published tutorial of source estimation with nothing but its import changed.

Its text is read from the shared folder, where indentation is lost.
"""

import ast
import re
import runpy
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal

from meegic.base.errors import DataWarning

LONGEST = 60  # lines of a statement
HEAD = re.compile(r"for .*:$")
# What stands in each of the tutorial's loops, by its first words.
LOOPED = re.compile(
    r"(estimator|solver_outputs\[|free_solver_outputs\[|print\(f|print\(\n"
    r"|axes\[[01]\]\.plot|est_norm)"
)
RUNS = {
    "gamma_map_sflex_oracle": "gamma_map_sflex_oracle",
    "gamma_map_sflex_baseline": "gamma_map_sflex_baseline",
    "gamma_lambda_map_sflex_adaptive_joint_learning": "gamma_lambda_map_sflex_joint",
    "BMN_oracle": "BMN_oracle",
    "BMN_baseline": "BMN_baseline",
    "BMN_joint_adaptive_joint_learning": "BMN_joint",
}


def is_code(source):
    """Whether this is one statement, and neither prose nor output."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    kinds = (ast.Import, ast.ImportFrom, ast.Assign, ast.AugAssign)
    if len(body) != 1:
        return False
    return isinstance(body[0], kinds) or (
        isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Call)
    )


def rebuild(text):
    """Join the statements; what belongs to a loop follows it without a gap."""
    lines, code, inside = text.splitlines(), [], False
    while lines:
        if HEAD.match(lines[0]):
            code.append(lines.pop(0))
            inside = True
            continue
        sizes = (n for n in range(1, LONGEST) if is_code("\n".join(lines[:n])))
        n = next(sizes, 0)
        if not n:
            lines, inside = lines[1:], False
            continue
        statement = "\n".join(lines[:n])
        lines = lines[n:]
        inside = inside and bool(LOOPED.match(statement))
        if inside:
            statement = "    " + statement.replace("\n", "\n    ")
        code.append(statement)
    return "\n".join(code)


@pytest.fixture(scope="module")
def code(shared):
    path = shared / "seeds" / "004_source_estimation_tutorial.txt"
    code = rebuild(path.read_text())
    assert code.count("from calibrain import") == 1
    return code.replace("from calibrain import", "from meegic import")


def run(code, folder):
    path = folder / "tutorial.py"
    path.write_text(code)
    with redirect_stdout(StringIO()) as printed:
        names = runpy.run_path(str(path))
    plt.close("all")
    return names, printed.getvalue()


@pytest.fixture(scope="module")
def tutorial(code, tmp_path_factory):
    # In the free example 96 coefficients explain 16 sensors without any noise.
    with pytest.warns(DataWarning, match="do not tell the noise from the sources"):
        return run(code, tmp_path_factory.mktemp("tutorial"))


@pytest.fixture(scope="module")
def fixed(shared):
    with np.load(shared / "golden/sources/fixed.npz") as file:
        return {key: one if one.ndim else one.item() for key, one in file.items()}


def read_number(printed, label):
    return float(re.search(rf"^{re.escape(label)}: (\S+)$", printed, re.M)[1])


@pytest.mark.parametrize(
    ("label", "number"),
    [
        ("fixed eta", 1.82281324753165),
        ("oracle noise variance", 0.1397447217185092),
        ("baseline noise variance", 0.11194502692152937),
        ("free EEG eta", 8.548177454900985),
        ("free EEG oracle noise variance", 0.1779559447265109),
        ("free EEG baseline noise variance", 0.1256751978489976),
    ],
)
def test_it_prints_the_published_numbers(tutorial, label, number):
    assert_allclose(read_number(tutorial[1], label), number, rtol=1e-8)


def test_all_that_it_prints_is_published_but_learned_noise(tutorial, shared):
    """Compare lines, without numbers that differ in the last digits or are learned."""
    text = (shared / "seeds" / "004_source_estimation_tutorial.txt").read_text()
    lines = tutorial[1].splitlines()
    assert len(lines) == 42
    for line in lines:
        label, _, value = line.rpartition(": ")
        if re.search(r"eta$|noise variance$|noise_var$", label) and value != "None":
            assert f"\n{label}: " in text
        else:
            assert f"\n{line}\n" in text
    assert "[11 31 10 24]" in tutorial[1]


def test_it_simulates_the_published_data(tutorial, fixed):
    names = tutorial[0]
    assert_array_equal(names["times"], fixed["times"])
    for name, key in (("x_true_fixed", "x_true"), ("y_fixed_noisy", "y")):
        wanted = fixed[key]
        assert_allclose(names[name], wanted, atol=1e-8 * np.abs(wanted).max())


def test_bayesian_minimum_norm_knows_how_far_it_is_off(tutorial):
    names, printed = tutorial
    for noise in ("oracle", "baseline"):
        found = names["solver_outputs"][f"BMN_{noise}"]
        error = ((found["posterior_mean"] - names["x_true_fixed"]) ** 2).mean()
        ratio = np.diag(found["posterior_cov"]).mean() / error
        assert 1 / 1.3 < ratio < 1.3
    label = "BMN_joint_adaptive_joint_learning learned or used noise_var"
    oracle = read_number(printed, "oracle noise variance")
    assert_allclose(read_number(printed, label), oracle, rtol=0.1)


def test_all_searches_converge_and_doubtful_noise_is_told(tutorial):
    for found in tutorial[0]["solver_outputs"].values():
        assert found.converged
        assert found.noise_identifiable
    told = [
        one.noise_identifiable for one in tutorial[0]["free_solver_outputs"].values()
    ]
    assert told == [True, True, False]


@pytest.mark.filterwarnings("ignore:.*gives the numbers of CaliBrain")
def test_in_compat_mode_it_prints_the_numbers_of_the_reference(code, fixed, tmp_path):
    start = code.index("fixed_source_idx =")  # the solvers of the fixed example
    part = code[:start].replace(
        "solver_params=solver_params",
        'solver_params=solver_params | {"compat": "calibrain"}',
    )
    names, printed = run(part, tmp_path)
    for run_name, golden in RUNS.items():
        found = names["solver_outputs"][run_name]
        tolerance = 1e-6 if golden == "BMN_joint" else 1e-8
        for key in ("posterior_mean", "posterior_cov"):
            wanted = fixed[f"{golden}__{key}"]
            assert_allclose(found[key], wanted, atol=tolerance * np.abs(wanted).max())
    for label, number in (
        ("gamma_lambda_map_sflex_adaptive_joint_learning", 0.11186522283608982),
        ("BMN_joint_adaptive_joint_learning", 2.904477730519163e-13),
    ):
        value = read_number(printed, f"{label} learned or used noise_var")
        assert_allclose(value, number, rtol=1e-8)
