"""How long a user waits before anything happens; every case is a fresh interpreter."""

from benchmarks.harness import Case, Comparison, compare

VERSION = """
import sys
from meegic.cli.main import main
sys.argv = ["meegic", "--version"]
main()
"""


def run(quick: bool) -> list[Comparison]:
    cases = [
        Case("python -c pass", "pass"),
        Case("import meegic", "import meegic"),
        Case("meegic --version", VERSION, peer="meegic.cli.main"),
        Case("import mne", "import mne"),
    ]
    repeats = 5 if quick else 20
    return [compare("Start-up", cases, repeats=repeats, baseline="python -c pass")]
