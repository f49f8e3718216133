"""Work done in a forked child, where a crash of the process is a failure of the test and not of all tests."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

__all__ = ["forks", "in_fork"]

WAIT_S = 120
Answer = TypeVar("Answer")

# Python 3.12 and later warn of a fork beside threads.
forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def in_fork(work: Callable[[], Answer]) -> Answer:
    """Return what `work` returns, or raise what it raises, in a forked child; one that hangs or dies is a failure."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def answer() -> None:
        try:
            sender.send((work(), None))
        except Exception as error:
            sender.send((None, error))

    child = context.Process(target=answer, daemon=True)
    child.start()
    sender.close()
    assert receiver.poll(WAIT_S), "the child hangs"
    found: Any = None
    try:
        found, error = receiver.recv()
    except EOFError:
        error = None
    child.join(WAIT_S)
    assert child.exitcode == 0, f"the child died, exit code {child.exitcode}"
    if error is not None:
        raise error
    return found
