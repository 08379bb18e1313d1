"""The commands: each parses, calls one function, prints."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from meegic.base.errors import OptionError
from meegic.cli.console import (
    emit,
    emit_json,
    show_progress,
    tell,
    tell_error,
    tell_table,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path(
        "meegic-demo"
    ),
    open_page: Annotated[
        bool, typer.Option("--open", help="Show the report in the browser.")
    ] = False,
) -> None:
    """Run every stage on a simulated recording and compare with its truth.

    Takes less than a minute and needs no network. Writes the recording, its truth
    and `report.html`. Exits with 1 when a comparison misses its bound.
    """
    with _no_home_for_matplotlib(), show_progress() as announce:
        from meegic.pipeline.demo.run import run_demo

        done = run_demo(out, announce=announce)
    rows = [
        (x.what, x.truth, x.found, x.bound, "ok" if x.good else "missed")
        for x in done.comparisons
    ]
    tell_table(("what", "truth", "found", "counts as found", ""), rows, mark=4)
    emit([str(out / "report.html")])
    if open_page:
        typer.launch(str(out / "report.html"))
    raise typer.Exit(1 if done.missed else 0)


def check(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Recordings or BIDS folders."),
    ],
    json: Json = False,
) -> None:
    """Say what is implausible about recordings; compute and change nothing.

    Looks for NaN and infinite samples, flat, duplicate and bridged channels, a
    wrong unit, impossible values, lost rank, missing positions, damaged files.

    Exits with 0 when the recording can be used, 4 when it cannot, and 3 when one
    of several cannot.
    """
    from meegic.pipeline.check import check_paths, exit_code, to_document

    with show_progress() as announce:
        checked = check_paths(paths, announce=announce)
    if json:
        emit_json(to_document(checked))
    else:
        _show_checked(checked)
    raise typer.Exit(exit_code(checked))


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Recording to write, .fif.")],
    truth: Annotated[
        Path | None, typer.Option(help="Truth to write, .npz.", show_default=False)
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="eeg19, eeg32, eeg64, neuromag306, ctf151 or ctf275.",
        ),
    ] = "eeg32",
    duration: Annotated[float, typer.Option(help="Length in s.")] = 120.0,
    sfreq: Annotated[float, typer.Option(help="Sampling rate in Hz.")] = 250.0,
    n_models: Annotated[int, typer.Option(help="Mixing conditions.")] = 1,
    artifacts: Annotated[
        str, typer.Option(help="Which artifacts, separated by commas; 'none' for none.")
    ] = "blink,saccade,ecg,muscle,line,pop",
    bad_channels: Annotated[int, typer.Option(help="Channels of mere noise.")] = 1,
    line_freq: Annotated[float, typer.Option(help="Mains frequency in Hz.")] = 50.0,
    seed: Annotated[int, typer.Option(help="Same seed, same recording.")] = 0,
) -> None:
    """Simulate a recording whose truth is known.

    The truth goes to the file given by `--truth`, else beside the recording. The
    same seed gives the same recording.
    """
    from meegic.bids.export import write_recording
    from meegic.simulation.edge.recording import simulate_recording

    truth = truth or out.with_name(f"{out.stem}_truth.npz")
    _check_target("--out", out, ".fif")
    _check_target("--truth", truth, ".npz")
    with show_progress() as announce, _in_words_of_options():
        announce("simulating")
        raw, known = simulate_recording(
            layout,
            duration_s=duration,
            sfreq=sfreq,
            n_models=n_models,
            artifacts=_split(artifacts),
            n_bad_channels=bad_channels,
            line_freq_hz=line_freq,
            random_state=seed,
        )
    write_recording(out, raw)
    known.save(truth)
    emit([str(out)], [str(truth)])


def doctor(
    out: Annotated[
        Path | None, typer.Option(help="Where results will go.", show_default="here")
    ] = None,
    json: Json = False,
) -> None:
    """Look at versions, devices, memory, disk, weights and optional packages.

    One line each: ok, info, warn or fail, and what to do. Exits with 2 on a fail.
    """
    from meegic.pipeline.doctor import examine, exit_code, to_document

    with show_progress() as announce:
        announce("looking")
        rows = examine(out)
    if json:
        emit_json(to_document(rows))
    else:
        table = [(row.verdict, row.name, row.found, row.advice) for row in rows]
        tell_table(("", "what", "found", "what to do"), table, mark=0)
    raise typer.Exit(exit_code(rows))


@contextmanager
def _no_home_for_matplotlib() -> Iterator[None]:
    """Keep matplotlib's list of fonts out of the home folder."""
    with TemporaryDirectory(prefix="meegic-") as folder:
        os.environ.setdefault("MPLCONFIGDIR", folder)
        yield


OPTION_NAMES = {
    "layout": "--layout",
    "sfreq": "--sfreq",
    "duration_s": "--duration",
    "n_models": "--n-models",
    "n_bad_channels": "--bad-channels",
    "line_freq_hz": "--line-freq",
    "random_state": "--seed",
}
"""What the command line calls the arguments of `simulate_recording`."""


@contextmanager
def _in_words_of_options() -> Iterator[None]:
    """Let a refusal name the option that was typed, not the argument behind it."""
    try:
        yield
    except OptionError as error:
        pattern = rf"\b({'|'.join(OPTION_NAMES)})\b"
        texts = (error.message, error.hint)
        said = [
            re.sub(pattern, lambda one: OPTION_NAMES[one[0]], text) for text in texts
        ]
        raise OptionError(*said) from error


def _split(words: str) -> list[str]:
    return [] if words == "none" else [one.strip() for one in words.split(",")]


def _check_target(option: str, path: Path, suffix: str) -> None:
    from meegic.base.files import check_target

    if path.suffix != suffix:
        raise OptionError(
            f"{option} must end in {suffix}, but got {path.name!r}.",
            hint=f"Use {path.name.split('.')[0] + suffix!r}.",
        )
    check_target(path)


def _show_checked(checked: tuple) -> None:
    """Show findings to the reader, and a line per recording to the next program."""
    for one in checked:
        tell(one.path, style="bold")
        if one.error:
            tell_error(one.error.message, one.error.hint)
        elif one.findings.found:
            rows = [(x.level, x.message, x.hint) for x in one.findings.found]
            tell_table(("", "what was found", "what to do"), rows, mark=0)
        else:
            tell("ok: nothing implausible", style="green")
    emit(*((one.verdict, one.path) for one in checked))
