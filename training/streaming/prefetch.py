"""Work done ahead of the consumer, in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetched"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_AHEAD = 2


def prefetched(
    make: Callable[[Key], Value], keys: Iterable[Key], *, threads: int, helping: bool = False
) -> Generator[Value]:
    """Yield `make(key)` for each key, in order, with some values made ahead by `threads` threads.

    As many are made ahead as there are threads, and at least two; nothing before the first is there, which would only
    come later. With `helping` the consumer makes a value itself where it would wait for one: where there is no core for
    another thread, one would get in its way.

    An error of `make`, or of `keys`, is raised where its value would have come. Closing the generator, or leaving it by
    an error, cancels what has not begun and waits for the threads, so none outlives it. `keys` may wait for values of
    keys that they gave: a thread has each of them, or will.
    """
    pending: deque[tuple[Key, Future[Value]]] = deque()
    remaining: Iterator[Key] | None = iter(keys)
    failure: Exception | None = None
    ahead = 0
    with ThreadPoolExecutor(threads, thread_name_prefix="sensorloom-stream") as pool:
        try:
            while True:
                while remaining is not None and len(pending) <= ahead:
                    try:
                        key = next(remaining)
                    except StopIteration:
                        remaining = None
                    except Exception as error:
                        remaining, failure = None, error
                    else:
                        pending.append((key, pool.submit(make, key)))
                if not pending:
                    break
                if helping:
                    _help(make, pending)
                yield pending.popleft()[1].result()
                ahead = max(_AHEAD, threads)
        finally:
            for _, future in pending:
                future.cancel()
    if failure is not None:
        raise failure


def _help(make: Callable[[Key], Value], pending: deque[tuple[Key, Future[Value]]]) -> None:
    """Make values that no thread has begun, the first of them first, until the very first of all is there."""
    for place, (key, begun) in enumerate(pending):
        if pending[0][1].done():
            return
        if begun.cancel():  # which fails where a thread was quicker
            pending[place] = key, _made(make, key)


def _made(make: Callable[[Key], Value], key: Key) -> Future[Value]:
    """Return what a thread would have: the value or the error, which is for whoever asks for it."""
    made: Future[Value] = Future()
    try:
        try:
            made.set_result(make(key))
        except Exception as error:
            made.set_exception(error)
        return made
    finally:
        del made  # or an error, which keeps this frame, would keep itself and all values beside it
