"""Streams, exit codes and messages of the command line."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from meegic.base import errors
from meegic.cli import main as module
from meegic.cli.interrupt import Interrupt


def run_process(*arguments, **options):
    command = [sys.executable, "-m", "meegic", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_version_goes_to_stdout(meegic):
    assert meegic("--version") == (0, "meegic 0.1.0\n", "")


def test_without_arguments_help_is_shown_as_a_usage_error(meegic):
    code, out, err = meegic()
    assert code == 2
    assert "Usage: meegic" in out
    assert err == ""


def test_figures_need_no_display_unless_the_user_says_so(meegic, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "svg")
    meegic("--version")
    assert os.environ["MPLBACKEND"] == "svg"
    monkeypatch.delenv("MPLBACKEND")
    meegic("--version")
    assert os.environ["MPLBACKEND"] == "agg"


def test_row_83_unknown_command_and_option_are_usage_errors_with_a_suggestion(meegic):
    code, out, err = meegic("chek")
    assert (code, out) == (2, "")
    assert "Did you mean 'check'?" in err
    code, out, err = meegic("simulate", "--sede", "3", "-o", "x.fif")
    assert (code, out) == (2, "")
    assert "--seed" in err


def test_row_83_wrong_type_and_range_of_an_option_are_usage_errors(meegic, tmp_path):
    out = tmp_path / "x_raw.fif"
    assert meegic("simulate", "-o", out, "--duration", "long").code == 2
    code, _, err = meegic("simulate", "-o", out, "--duration", "2")
    assert code == 2
    assert "error: --duration must be a number at least 5 s" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.OptionError, 2),
        (errors.ConfigError, 2),
        (errors.RankError, 2),
        (errors.MissingDependencyError, 2),
        (errors.IntegrityError, 2),
        (errors.WorkerLostError, 3),
        (errors.ConvergenceError, 3),
        (errors.InputError, 4),
        (errors.PlausibilityError, 4),
        (errors.FileFormatError, 4),
        (errors.OutputError, 5),
        (errors.MeegicError, 1),
    ],
)
def test_every_error_has_its_exit_code_and_two_lines(
    meegic, monkeypatch, tmp_path, kind, code
):
    def fail(*_args, **_options):
        raise kind("It went wrong.", hint="Do it right.")

    monkeypatch.setattr("meegic.pipeline.demo.run.run_demo", fail)
    done = meegic("demo", "--out", tmp_path)
    assert done.code == code
    assert done.out == ""
    assert done.err.endswith("error: It went wrong.\nhint: Do it right.\n")


def test_debug_shows_the_traceback_of_an_error(meegic, tmp_path):
    quiet = meegic("simulate", "-o", tmp_path / "x.edf")
    loud = meegic("--debug", "simulate", "-o", tmp_path / "x.edf")
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err
    assert quiet.code == loud.code == 2


def test_a_bug_names_its_log_and_exits_with_one(tmp_path):
    code = (
        "import meegic.pipeline.demo.run as run\n"
        "def fail(*a, **k): raise KeyError('lost')\n"
        "run.run_demo = fail\n"
        "import sys; sys.argv = ['meegic', 'demo']\n"
        "from meegic.cli.main import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "500"},
    )
    (log,) = tmp_path.glob("meegic-*.log")
    assert done.returncode == 1
    assert "error: internal error (KeyError): 'lost'" in done.stderr
    assert str(log) in done.stderr
    assert "Traceback" not in done.stderr
    assert "KeyError: 'lost'" in log.read_text()


@pytest.mark.parametrize("asked", [True, False])
def test_debug_shows_the_traceback_of_a_bug(capsys, monkeypatch, tmp_path, asked):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["meegic", *["--debug"] * asked])
    module._report_bug(KeyError, KeyError("lost"), None)
    lines = capsys.readouterr().err.splitlines()
    assert ("KeyError: 'lost'" in lines) == asked


def test_debug_shows_why_a_recording_was_refused(tmp_path):
    done = run_process("--debug", "check", tmp_path / "none.fif")
    assert done.returncode == 4
    assert "DEBUG:meegic.check:" in done.stderr
    assert "Traceback" in done.stderr


def test_interrupt_that_a_library_swallows_still_ends_with_130(
    meegic, monkeypatch, tmp_path
):
    def swallow(_out, *, announce):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        announce("the next step")
        pytest.fail("it went on")

    monkeypatch.setattr("meegic.pipeline.demo.run.run_demo", swallow)
    assert meegic("demo", "--out", tmp_path).code == 130


def test_second_interrupt_ends_at_once(monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    one = Interrupt()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            one._hear(signal.SIGINT, None)
    assert ended == [130]


def test_row_71_closed_streams_are_no_bug():
    for redirect, code in (
        (">&-", 0),
        ("2>&-", 0),
        (">/dev/full", 5),
    ):
        done = subprocess.run(
            f"{sys.executable} -m meegic --version {redirect}",
            shell=True,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, (redirect, done.stderr)
        assert "bug" not in done.stderr


def test_interrupt_ends_with_130(meegic, monkeypatch, tmp_path):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("meegic.pipeline.demo.run.run_demo", interrupt)
    assert meegic("demo", "--out", tmp_path).code == 130


@pytest.mark.parametrize(
    "extra",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "0"},
        {"TERM": "dumb", "NO_COLOR": "1"},
    ],
    ids=["ascii", "width-0", "dumb"],
)
def test_row_71_plain_text_where_the_terminal_can_do_no_more(extra, tmp_path):
    done = run_process(
        "check", tmp_path / "µ.fif", env={**os.environ, "COLUMNS": "80"} | extra
    )
    assert done.returncode == 4
    assert "error: no such file" in done.stderr.replace("\n", " ")
    assert "\x1b" not in done.stderr
    shown = "?" if "PYTHONIOENCODING" in extra else "µ"
    assert done.stdout == f"unreadable\t{tmp_path}/{shown}.fif\n"


def test_row_71_read_only_home_is_not_needed(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    env.pop("MPLCONFIGDIR", None)
    out = tmp_path / "simulated_raw.fif"
    done = run_process("simulate", "-o", out, "--duration", "5", env=env)
    assert done.returncode == 0, done.stderr
    assert out.is_file()
    done = run_process("demo", "--out", tmp_path / "demo", env=env)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


def test_exit_codes_are_ordered_from_special_to_general():
    kinds = [kind for kind, _ in module.EXIT_CODES]
    for index, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[index + 1 :])
