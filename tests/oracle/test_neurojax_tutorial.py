"""The published preprocessing tutorial of neurojax, with other imports.

Its text is read from the shared folder, where indentation is lost and prose goes over
into code without a line's end. The numbers are those of section 3.2 of the
specification, measured with the tutorial's own keys.
"""

import ast
import re
import runpy
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter

pytestmark = pytest.mark.filterwarnings("ignore:cutoff is")  # its cutoffs are 3

LONGEST = 9  # lines of a statement
SEAM = re.compile(r"(?<=[)\"\w])(?=[A-Z]|for )")  # where prose or a loop may follow


def is_code(source):
    """Whether this is one statement, and not prose that happens to be one."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return False
    match tree.body:
        case []:
            return source.startswith("# ")
        case [ast.Import() | ast.ImportFrom() | ast.Assign() | ast.Assert()]:
            return True
        case [ast.Return() | ast.Expr(ast.Call() | ast.Constant())]:
            return True
    return False


def take_statement(lines):
    """Split a statement off, perhaps amid a line; None where prose begins."""
    if lines[0].endswith(":") and lines[0].startswith(("def ", "for ", "if ")):
        return lines[0], lines[1:]
    for n in range(1, LONGEST + 1):
        *first, last = lines[:n]
        for end in (len(last), *(seam.start() for seam in SEAM.finditer(last))):
            statement = "\n".join([*first, last[:end]])
            if is_code(statement):
                rest = [last[end:]] if last[end:] else []
                return statement, [*rest, *lines[n:]]
    return None


def extract_blocks(text):
    """List the blocks of code between the paragraphs, with their indentation.

    A return ends its function, and a print its loop.
    """
    lines = text.replace("syncimport", "sync\nimport").splitlines()
    blocks, depth, is_new = [], 0, True
    while lines:
        taken = take_statement(lines)
        if taken is None:
            lines, is_new = lines[1:], True
            continue
        statement, lines = taken
        if is_new:
            blocks.append("")
            depth, is_new = 0, False
        if statement.startswith("return"):
            depth = 1
        blocks[-1] += "    " * depth + statement + "\n"
        depth += statement.endswith(":")
        if statement.startswith(("return", "print(")):
            depth = 0
    return blocks


@dataclass(frozen=True)
class Ran:
    """A block of code, the names after it, and what it printed."""

    block: str
    names: dict
    printed: str


@pytest.fixture(scope="module")
def text(shared):
    return (shared / "seeds" / "003_preprocessing_tutorial.txt").read_text()


@pytest.fixture(scope="module")
def tutorial(text, tmp_path_factory):
    """Run the blocks one after the other, each with the names of the one before.

    The metrics mean the block artifact, whose names are used anew before them; the
    whole chain at the end imports everything again, and so starts from nothing.
    """
    path = tmp_path_factory.mktemp("tutorial") / "block.py"
    ran = []
    names = {}
    for block in extract_blocks(text):
        if "def compute_rms" in block:
            names = find(ran, "rms_cleaned <").names
        if block.startswith("import jax"):
            names = {}
        path.write_text(block.replace("from neurojax.", "from meegic."))
        with redirect_stdout(StringIO()) as printed:
            names = names | runpy.run_path(str(path), init_globals=names)
        ran.append(Ran(block, names, printed.getvalue()))
    return ran


def find(ran, mark):
    """Find the first block with this text."""
    return next(one for one in ran if mark in one.block)


def rms(data):
    return np.sqrt(np.mean(np.square(data), axis=-1))


def snr_db(signal, noise):
    return 10 * np.log10(np.mean(np.square(signal)) / np.mean(np.square(noise)))


def test_all_code_of_the_text_is_run(text):
    script = "".join(extract_blocks(text))
    for word in ("assert ", "print(", "import ", " = ", "def ", "for ch in "):
        assert script.count(word) == text.count(word) > 0


def test_filters_of_the_tutorial(tutorial):
    assert "allclose: True" in find(tutorial, "filter_data(data").printed
    assert find(tutorial, "fft_out").names["ratio"] < 0.5
    assert find(tutorial, "data_4ch").names["out"].shape == (4, 100)


def test_calibration_of_the_tutorial(tutorial):
    state = find(tutorial, "component_stdevs > 0").names["state"]
    assert state.mixing_matrix.shape == (4, 4)
    assert state.component_stdevs.shape == (4,)
    assert np.all(np.diff(state.component_stdevs) <= 0)
    assert "Cutoff: 3.0" in find(tutorial, "state.cutoff").printed


def test_block_of_the_tutorial_goes(tutorial):
    names = find(tutorial, "rms_cleaned <").names
    assert names["cleaned"].dtype == jnp.float32
    clean, corrupted, cleaned = (
        np.asarray(names[one], float) for one in ("clean", "corrupted", "cleaned")
    )
    assert rms(corrupted)[0] == pytest.approx(28.87, abs=0.005)
    assert rms(clean)[0] == pytest.approx(0.096, abs=5e-4)
    assert rms(cleaned)[0] <= 0.10
    assert abs(cleaned[0, 200:400].mean()) < 0.01
    assert snr_db(clean, cleaned - clean) >= 6
    assert np.corrcoef(clean[0], cleaned[0])[0, 1] >= 0.7
    error = np.linalg.norm((cleaned - clean)[1:]) / np.linalg.norm(clean[1:])
    assert error <= 0.2
    assert not (cleaned == 0).any()
    metrics = find(tutorial, "snr_before")
    assert "SNR: before=-43.6 dB" in metrics.printed
    assert metrics.names["snr_after"] >= 6


def test_clean_data_of_the_tutorial_stay(tutorial):
    assert find(tutorial, "cutoff=10.0").names["corr"] >= 0.98


def test_sources_of_the_tutorial_are_found(tutorial):
    names = find(tutorial, "s_artifact").names
    assert names["components"].shape == (3, 2000)
    both = np.corrcoef(np.vstack([names["components"], names["sources"]]))
    similar = np.abs(both[:3, 3:])
    assert set(similar.argmax(axis=0)) == {0, 1, 2}
    assert (similar.max(axis=0) >= 0.985).all()


def test_chain_of_the_tutorial_gains_thirty_decibels(tutorial):
    ran = tutorial[-1]
    assert "pipeline complete." in ran.printed
    # The truth is what it was before the artifacts, through the same filter.
    truth = jnp.tile(0.5 * jnp.sin(2 * jnp.pi * 10 * jnp.linspace(0, 2, 2000)), (4, 1))
    truth = truth + 0.05 * jax.random.normal(jax.random.PRNGKey(0), (4, 2000))
    truth = lfilter(np.ones(5) / 5, [1.0], np.asarray(truth, float))
    before, cleaned = (
        np.asarray(ran.names[one], float) for one in ("data_filtered", "data_asr")
    )
    assert snr_db(truth, before - truth) == pytest.approx(-19.0, abs=0.05)
    assert snr_db(truth, cleaned - truth) >= 12
    assert_allclose(rms(truth), [0.353, 0.353, 0.353, 0.351], atol=5e-4)
    assert_allclose(rms(cleaned), rms(truth), rtol=0.02)
    assert not (cleaned == 0).any()
    assert ran.names["components"].shape == (3, 2000)
