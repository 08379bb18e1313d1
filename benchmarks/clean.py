"""Run the benchmarks of cleaning: python benchmarks/clean.py [--quick] [--no-save]."""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    # In this folder, which stands first in the path, a peer of the same name is hidden.
    sys.path[0] = str(Path(__file__).parents[1])
    import_module("benchmarks.__main__").main(["clean", "clean_quality", *sys.argv[1:]])
