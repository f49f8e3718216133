"""Work done ahead of the consumer, in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetched"]

Key = TypeVar("Key")
Value = TypeVar("Value")


def prefetched(make: Callable[[Key], Value], keys: Iterable[Key], *, threads: int) -> Generator[Value]:
    """Yield `make(key)` for each key, in order; as many are made at a time as there are `threads`, and one lies ready.

    One of the threads is the consumer's, which makes a value where it would wait for one: a third one on two cores
    would only get in their way. A single thread is in the background, and the consumer waits for it.

    An error of `make`, or of `keys`, is raised where its value would have come. Closing the generator, or leaving it by
    an error, cancels what has not begun and waits for the threads, so none outlives it.
    """
    pending: deque[tuple[Key, Future[Value]]] = deque()
    remaining = iter(keys)
    failure: Exception | None = None
    # The first value is waited for from the beginning, so the consumer makes it and the threads begin with the second.
    is_left = threads > 1

    with ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="sensorloom-stream") as pool:

        def fill() -> Exception | None:
            """Have the next values made; return the error of the keys, if they end by one."""
            nonlocal is_left
            try:
                while len(pending) <= threads:
                    key = next(remaining)
                    pending.append((key, Future() if is_left else pool.submit(make, key)))
                    is_left = False
            except StopIteration:
                pass
            except Exception as error:
                return error
            return None

        try:
            failure = fill()
            while pending:
                if threads > 1:
                    _help(make, pending)
                value = pending.popleft()[1].result()
                failure = failure or fill()
                yield value
                del value
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
        made.set_result(make(key))
    except Exception as error:
        made.set_exception(error)
    return made
