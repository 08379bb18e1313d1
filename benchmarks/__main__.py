"""Run the benchmarks: every module of this package whose name ends in `_bench`."""

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from benchmarks.harness import describe, save


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, print its tables, keep its numbers.

    Parameters
    ----------
    arguments : sequence of str | None
        The command line; ``None`` is that of this process.
    """
    modules = [one.name for one in iter_modules([str(Path(__file__).parent)])]
    known = [one.removesuffix("_bench") for one in modules if one.endswith("_bench")]
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"among {', '.join(known)}; or all")
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--no-save", action="store_true", help="write no results")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(known):
        parser.error(f"{sorted(unknown)} must be among {known}")

    for name in options.names or known:
        comparisons = import_module(f"benchmarks.{name}_bench").run(options.quick)
        print(*(one.table() for one in comparisons), sep="\n")
        if not options.no_save:
            save(describe(name, comparisons, quick=options.quick))


if __name__ == "__main__":
    main()
