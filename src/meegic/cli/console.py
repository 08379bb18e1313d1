"""What the commands print: results to stdout, everything for humans to stderr."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from meegic.base.errors import OutputError
from meegic.cli.interrupt import interrupt

STYLES = {
    "ok": "green",
    "note": "cyan",
    "info": "cyan",
    "warn": "yellow",
    "warning": "yellow",
    "fail": "bold red",
    "error": "bold red",
    "unreadable": "bold red",
    "missed": "bold red",
}


def emit(*lines: Sequence[str]) -> None:
    """Print lines of the result, their cells between tabs."""
    _write("".join("\t".join(map(printable, cells)) + "\n" for cells in lines))


def emit_json(document: dict[str, Any]) -> None:
    """Print the result as one JSON document."""
    _write(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n")


def _write(text: str) -> None:
    """Write to stdout, if there is one; end quietly when nobody reads on."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        raise OutputError(f"stdout cannot be written: {error.strerror}.") from error


def _forget_stdout() -> None:
    """Let what the interpreter flushes at its end not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(text: str, *, style: str = "") -> None:
    """Tell the reader something, on stderr."""
    _console().print(Text(printable(text), style=style), soft_wrap=True)


def tell_error(message: str, hint: str = "") -> None:
    """Tell what went wrong and what to do, on stderr."""
    console = _console()
    console.print(Text("error: ", "bold red") + printable(message), soft_wrap=True)
    if hint:
        console.print(Text("hint: ", "cyan") + printable(hint), soft_wrap=True)


def tell_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, mark: int
) -> None:
    """Show a table on stderr; the cell number `mark` decides the style of its row."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        style = STYLES.get(row[mark], "")
        cells = [Text(printable(cell)) for cell in row]
        cells[mark].stylize(style)
        table.add_row(*cells)
    _console().print(table)


@contextmanager
def show_progress() -> Iterator[Any]:
    """Show what is being done: a spinner on a terminal, plain lines elsewhere."""
    console = _console()

    def say(text: str) -> None:
        interrupt.check()
        if console.is_terminal:
            status.update(Text(printable(f"{text} ...")))
        else:
            tell(f"{text} ...")

    status = console.status("")
    with status if console.is_terminal else nullcontext():
        yield say
    interrupt.check()


def printable(text: str) -> str:
    r"""Give one line without control characters, as a terminal may be shown it.

    Examples
    --------
    >>> printable("Fz\x1b[2J")
    'Fz?[2J'
    """
    return "".join(one if one.isprintable() else "?" for one in text)


def _console() -> Console:
    # a terminal may say that it has no columns at all
    width = max(shutil.get_terminal_size().columns, 40)
    return Console(stderr=True, width=width)
