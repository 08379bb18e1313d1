"""Progress is shown on a terminal, and nowhere else."""

import io
from dataclasses import fields

import numpy as np
import pytest
from rich.console import Console

from meegic.components.amica import fit_amica
from meegic.components.callbacks import FitProgress
from meegic.pipeline.progress import show_progress


def make_console(*, terminal):
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=160, color_system=None
    )


def make_step(iteration, n_evals, value, n_rejected=0):
    told = {one.name: 0 for one in fields(FitProgress)}
    told.update(iteration=iteration, n_evals=n_evals, max_iter=50, rejected=False)
    return FitProgress(**told | {"log_likelihood": value, "n_rejected": n_rejected})


def shown(console):
    return console.file.getvalue()


def test_terminal_shows_iteration_passes_likelihood_and_gain():
    console = make_console(terminal=True)
    with show_progress("AMICA [2]", console=console) as callback:
        assert not callback(make_step(1, 2, -3.5))
        assert not callback(make_step(2, 4, -3.25, n_rejected=7))
    text = shown(console)
    assert "AMICA [2]" in text  # no markup
    assert "iteration 2, pass 4 of at most 50" in text
    assert "LL -3.25000  gain +2.5e-01" in text
    assert "7 left out" in text


def test_first_iteration_of_another_fit_has_no_gain():
    console = make_console(terminal=True)
    with show_progress(console=console) as callback:
        callback(make_step(1, 2, -3.5))
        callback(make_step(1, 2, -9.5))
    assert "gain" not in shown(console)


def test_more_passes_than_the_limit_do_not_overflow_the_bar():
    console = make_console(terminal=True)
    with show_progress(console=console) as callback:
        callback(make_step(60, 70, -3.5))
    assert "pass 70 of at most 50" in shown(console)


def test_without_a_terminal_nothing_is_shown():
    console = make_console(terminal=False)
    with show_progress(console=console) as callback:
        callback(make_step(1, 2, -3.5))
    assert shown(console) == ""


def test_default_is_quiet_where_stderr_is_no_terminal(capfd):
    with show_progress() as callback:
        callback(make_step(1, 2, -3.5))
    assert capfd.readouterr() == ("", "")


def test_fit_is_the_same_with_a_bar_and_tells_it_all_iterations():
    data = np.random.default_rng(0).laplace(size=(2, 500))
    console = make_console(terminal=True)
    with show_progress(console=console) as callback:
        model = fit_amica(data, callback=callback)
    plain = fit_amica(data)
    assert model.log_likelihood == plain.log_likelihood
    assert f"iteration {len(model.history.seconds)}, pass" in shown(console)
    assert f"LL {model.history.log_likelihood[-1]:.5f}" in shown(console)


def test_errors_pass_through_and_the_bar_goes_away():
    def refuse(told):
        callback(told)
        raise OSError

    console = make_console(terminal=True)
    data = np.random.default_rng(0).laplace(size=(2, 500))
    with pytest.raises(OSError), show_progress(console=console) as callback:  # noqa: PT011
        fit_amica(data, callback=refuse)
    assert shown(console).endswith("\x1b[2K")  # the line is erased
