"""Work on all processors at once, and who shares them with BLAS."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import OpenBLASController, threadpool_limits

from meegic.base.threads import count_threads


def run_on_threads(work: Callable[[], None]) -> None:
    """Do the work in as many threads as there are processors, this one included.

    Examples
    --------
    >>> done = []
    >>> run_on_threads(lambda: done.append(1))
    >>> len(done) == count_threads()
    True
    """
    pool = _pool(os.getpid())
    futures = [pool.submit(work) for _ in range(count_threads() - 1)]
    try:
        work()
    finally:
        for future in futures:
            future.result()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS in the thread that calls it, for ours share the processors already.

    The limit holds for the whole process: of several fits at a time the first sets it
    and the last takes it back.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass  # threads of our own
    """
    with _LIMIT.lock:
        _LIMIT.users += 1
        if _LIMIT.users == 1:
            _LIMIT.limiter = threadpool_limits(1, user_api="blas")
    try:
        yield
    finally:
        with _LIMIT.lock:
            _LIMIT.users -= 1
            if _LIMIT.users == 0 and _LIMIT.limiter is not None:
                _free_blas()  # or only the thread that set the limit could end it
                _LIMIT.limiter.restore_original_limits()
                _free_blas()
                _LIMIT.limiter = None


def _free_blas() -> None:
    """Let any thread set limits; newer versions of threadpoolctl bind them to one."""
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


class _Limit:
    """Who needs BLAS in one thread at present."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0
        self.limiter: threadpool_limits | None = None


_LIMIT = _Limit()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Keep threads between passes; a forked process needs its own."""
    return ThreadPoolExecutor(max(1, count_threads() - 1), "meegic")
