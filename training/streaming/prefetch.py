"""Work done ahead of the consumer, in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetched"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_DEPTH = 2


def prefetched(make: Callable[[Key], Value], keys: Iterable[Key], *, threads: int) -> Generator[Value]:
    """Yield `make(key)` for each key, in order, with some values made ahead by `threads` threads.

    As many values are made ahead as there are threads, and at least two. An error of `make`, or of `keys`, is raised
    where its value would have come. Closing the generator, or leaving it by an error, cancels what has not begun and
    waits for the threads, so none outlives it.
    """
    pending: deque[Future[Value]] = deque()
    remaining, depth = iter(keys), max(_DEPTH, threads)
    failure: Exception | None = None
    with ThreadPoolExecutor(threads, thread_name_prefix="sensorloom-stream") as pool:
        try:
            while True:
                try:
                    key = next(remaining)
                except StopIteration:
                    break
                except Exception as error:
                    failure = error
                    break
                pending.append(pool.submit(make, key))
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
    if failure is not None:
        raise failure
