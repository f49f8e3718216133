"""Work done ahead of the consumer, in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetched"]

Key = TypeVar("Key")
Value = TypeVar("Value")

THREADS = 2
DEPTH = 2


def prefetched(
    make: Callable[[Key], Value], keys: Iterable[Key], *, threads: int = THREADS, depth: int = DEPTH
) -> Generator[Value]:
    """Yield `make(key)` for each key, in order, with up to `depth` values made ahead by `threads` threads.

    A key is taken from `keys`, in the caller's thread, when at most `depth` values before it are not made yet.

    An error of `make` is raised where its value would have come. Closing the generator, or leaving it by an
    error, cancels what has not begun and waits for the threads, so none outlives it.
    """
    pending: deque[Future[Value]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="sensorloom-stream") as pool:
        try:
            for key in keys:
                pending.append(pool.submit(make, key))
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
