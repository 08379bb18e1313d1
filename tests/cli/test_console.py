"""What is printed is harmless, whole, and fit for whoever reads it."""

import io
import math
import os
import subprocess
import sys
import time

import pytest
from rich.console import Console

from meegic.cli.console import (
    emit,
    emit_json,
    printable,
    show_progress,
    tell,
    tell_error,
    tell_table,
)

EVIL = "[red]\x1b[31m\x07:smile:"
HARMLESS = "[red]?[31m?:smile:"


def test_row_87_control_characters_never_reach_the_terminal():
    assert printable("Fz\x1b[2J\x07") == "Fz?[2J?"
    assert printable("a\tb\nc µ") == "a?b?c µ"


@pytest.mark.parametrize(
    "say",
    [
        lambda: emit([EVIL]),
        lambda: tell(EVIL),
        lambda: tell_error(EVIL),
        lambda: tell_error("It went wrong.", EVIL),
        lambda: tell_table(("", "what"), [("ok", EVIL)], mark=0),
    ],
    ids=["emit", "tell", "error", "hint", "table"],
)
def test_row_87_every_way_out_shows_names_as_they_are_and_harmlessly(capsys, say):
    say()
    said = "".join(capsys.readouterr())
    assert HARMLESS in said
    assert "\x1b" not in said


def test_json_is_ascii_and_has_no_nan(capsys):
    emit_json({"unit": "µV\x1b"})
    assert capsys.readouterr().out == '{\n  "unit": "\\u00b5V\\u001b"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit_json({"rate": math.nan})


@pytest.mark.parametrize("n_lines", [1, 2000], ids=["short", "more-than-64-KiB"])
def test_row_71_reader_that_is_gone_is_no_error(monkeypatch, n_lines):
    code = f"from meegic.cli.console import emit; emit(*[['x' * 99]] * {n_lines})"
    monkeypatch.delenv(
        "PYTHONUNBUFFERED", raising=False
    )  # what is left is flushed late
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("columns", ["1", "40", "200"])
def test_tables_lose_nothing_on_a_narrow_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    tell_table(("", "what"), [("warning", "x" * 100)], mark=0)
    err = capsys.readouterr().err
    assert "warning" in err
    assert err.count("x") == 100


def test_verdicts_have_their_colour_on_a_terminal(capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    tell_table(("", "what"), [("fail", "F4"), ("ok", "F3")], mark=0)
    err = capsys.readouterr().err
    assert "\x1b[1;31mfail" in err
    assert "\x1b[32mok" in err


def test_row_87_progress_on_a_terminal_shows_names_harmlessly(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr("meegic.cli.console._console", lambda: terminal)
    with show_progress() as announce:
        announce("checking \x1b]0;EVIL\x07 [bold]a[/x].fif")
        time.sleep(0.2)
    assert "\x1b]0;EVIL" not in screen.getvalue()
    assert "checking ?]0;EVIL? [bold]a[/x].fif ..." in screen.getvalue()
