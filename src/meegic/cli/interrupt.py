"""Ctrl-C ends a command, even where a callback of a library swallows the exception."""

import os
import signal
from types import FrameType
from typing import NoReturn

EXIT_CODE = 130


class Interrupt:
    """Remembers that the user interrupted; a second time ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Take over SIGINT."""
        signal.signal(signal.SIGINT, self._hear)

    def check(self) -> None:
        """Raise `KeyboardInterrupt` when the user has interrupted."""
        if self.asked:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> NoReturn:
        if self.asked:
            os._exit(EXIT_CODE)
        self.asked = True
        raise KeyboardInterrupt


interrupt = Interrupt()
