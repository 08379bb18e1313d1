"""Work spread over the processors, where it does not hold Python's lock."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

_Item = TypeVar("_Item")


@cache
def count_threads() -> int:
    """Count the processors that this process may use; OMP_NUM_THREADS lowers it.

    Examples
    --------
    >>> count_threads() >= 1
    True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    available = allowed or os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    limit = int(wanted) if wanted.isdigit() else 0
    return min(available, limit) if limit else available


def spread_over_threads(
    function: Callable[[_Item], object], items: Iterable[_Item]
) -> None:
    """Call a function for every item, as many at a time as there are processors.

    Parameters
    ----------
    function : callable
        What it gives back is dropped, so it writes where no other item does; what it
        raises is raised. It must not spread work itself.
    items : iterable
        What it is called with.

    Examples
    --------
    >>> squares = {}
    >>> spread_over_threads(lambda one: squares.update({one: one**2}), range(4))
    >>> sorted(squares.values())
    [0, 1, 4, 9]
    """
    items = list(items)
    if len(items) < 2 or count_threads() < 2:
        for item in items:
            function(item)
        return
    for future in [_pool(os.getpid()).submit(function, item) for item in items]:
        future.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Keep threads between calls; a forked process needs its own."""
    return ThreadPoolExecutor(count_threads(), "meegic")
