"""Ctrl-C between two steps: what is under way is finished, so that a checkpoint can be written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["held_interrupts"]


@contextmanager
def held_interrupts(*, wanted: bool = True) -> Generator[Callable[[], bool]]:
    """Hold the first interrupt, of which the yielded function tells; a second one stops at once, as ever.

    Nothing is held unless `wanted`, outside of the main thread, and where the program has a handler of its own.
    """
    asked = threading.Event()
    usual = signal.default_int_handler
    is_main = threading.current_thread() is threading.main_thread()
    if not (wanted and is_main and signal.getsignal(signal.SIGINT) is usual):
        yield asked.is_set
        return

    def hold(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            usual(number, frame)
        asked.set()

    signal.signal(signal.SIGINT, hold)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
