"""A lock, so that two who change the same files do it one after another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def lock_folder(path: Path | str) -> Iterator[None]:
    """Let one process or thread at a time read and change files of a folder.

    It waits for others that lock it; a killed one lets go. Nothing is left behind.
    Windows, and disks that know no locks, go on without.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, lock_folder(folder):
    ...     _ = Path(folder, "a.txt").write_text("abc")
    """
    if os.name == "nt":  # a folder cannot be opened there
        yield
        return
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
