"""The command `meegic`: its options, its exit codes, what it says on a failure."""

import logging
import os
import sys
import tempfile
import traceback
from types import TracebackType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

import meegic
from meegic.base import errors
from meegic.cli import commands
from meegic.cli.console import emit, tell_error
from meegic.cli.interrupt import interrupt

EXIT_CODES: tuple[tuple[type[errors.MeegicError], int], ...] = (
    (errors.OutputError, 5),
    (errors.OptionError, 2),
    (errors.ConfigError, 2),
    (errors.RankError, 2),
    (errors.MissingDependencyError, 2),
    (errors.IntegrityError, 2),
    (errors.InputError, 4),
    (errors.WorkerLostError, 3),
    (errors.ConvergenceError, 3),
)
"""The first class that fits decides; anything else is a bug of ours and gives 1."""


class _Group(TyperGroup):
    """The group of commands; its help starts without pydantic.

    typer converts an option that was not given through pydantic unless the option has a
    value; 50 ms for every `meegic COMMAND --help`.
    """

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


app = typer.Typer(
    name="meegic",
    cls=_Group,
    help="From raw M/EEG to clean, to named components, to calibrated sources.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (commands.demo, commands.check, commands.simulate, commands.doctor):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        emit([f"meegic {meegic.__version__}"])
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show it."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """From raw M/EEG to clean, to named components, to calibrated sources."""
    if debug:
        logging.basicConfig()
        logging.getLogger("meegic").setLevel(logging.DEBUG)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    sys.excepthook = _report_bug
    interrupt.listen()
    os.environ.setdefault("MPLBACKEND", "agg")
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        code = get_command(app)(prog_name="meegic", standalone_mode=False)
    except errors.MeegicError as error:
        tell_error(error.message, error.hint)
        if "--debug" in sys.argv:
            traceback.print_exc()
        sys.exit(_exit_code(error))
    except TyperException as error:
        if error.format_message():  # empty where help was shown instead
            tell_error(error.format_message(), "See meegic --help.")
        sys.exit(error.exit_code)
    sys.exit(code or 0)


def _exit_code(error: errors.MeegicError) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def _report_bug(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say that it is our fault, and keep what a report needs."""
    text = "".join(traceback.format_exception(kind, error, trace))
    with tempfile.NamedTemporaryFile(
        "w", prefix="meegic-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(f"meegic {meegic.__version__}\n{text}")
    tell_error(
        f"internal error ({kind.__name__}): {error}",
        f"This is a bug of meegic; please report it with {log.name}.",
    )
    if "--debug" in sys.argv:
        sys.stderr.write(text)
