"""A runner of the command in this process, with its streams and exit code apart."""

import signal
import sys
from typing import NamedTuple

import pytest

from meegic.cli.interrupt import interrupt
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
        hook, handler = sys.excepthook, signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(sys, "argv", ["meegic", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        sys.excepthook = hook
        signal.signal(signal.SIGINT, handler)
        interrupt.asked = False
        out, err = capfd.readouterr()
        return Done(end.value.code or 0, out, err)

    return run
