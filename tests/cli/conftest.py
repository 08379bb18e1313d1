"""A runner of the command in this process, with its streams and exit code apart."""

import os
import sys
from typing import NamedTuple

import pytest

from meegic.cli.main import main


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def meegic(capfd, monkeypatch):
    """Run `meegic ARGUMENTS`; warnings and hooks are as in a process of its own."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        hook, debug = sys.excepthook, os.environ.get("MEEGIC_DEBUG")
        monkeypatch.setattr(sys, "argv", ["meegic", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        sys.excepthook = hook
        if debug is None:
            os.environ.pop("MEEGIC_DEBUG", None)
        out, err = capfd.readouterr()
        return Done(end.value.code or 0, out, err)

    return run
