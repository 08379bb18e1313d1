"""Progress of a fit, as a bar on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from meegic.components.callbacks import Callback, FitProgress


class _Bar:
    """A callback for fits that moves a bar."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=None, told="")
        self._last: float | None = None

    def __call__(self, told: FitProgress) -> None:
        """Show where the fit is."""
        gain = "" if self._last is None or told.iteration == 1 else (
            f"  gain {told.log_likelihood - self._last:+.1e}"
        )  # fmt: skip
        self._last = told.log_likelihood
        left_out = f"  {told.n_rejected} left out" if told.n_rejected else ""
        self._progress.update(
            self._task,
            total=told.max_iter,
            completed=min(told.spent, told.max_iter),
            told=f"iteration {told.iteration}, pass {told.n_evals} of at most "
            f"{told.max_iter}  LL {told.log_likelihood:.5f}{gain}{left_out}",
        )


@contextmanager
def show_progress(
    label: str = "AMICA", *, console: Console | None = None
) -> Iterator[Callback]:
    """Show the progress of a fit while the block lasts.

    A fit mostly ends long before its limit, so that the bar seldom gets to its end.

    Parameters
    ----------
    label : str
        What stands before the bar.
    console : rich.console.Console | None
        Where; stderr for None. Where that is no terminal, nothing is shown.

    Yields
    ------
    callable
        The ``callback`` of `fit_amica`; it never ends a fit.

    Examples
    --------
    >>> import numpy as np
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 500))
    >>> with show_progress() as callback:
    ...     fit_amica(data, callback=callback).converged
    True
    """
    console = Console(stderr=True) if console is None else console
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[told]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        yield _Bar(progress, label)
