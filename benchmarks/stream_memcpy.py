"""Contender: memcpy of the same bytes in storage order, into reused and into fresh memory."""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from epochs import BATCH, Rows, load, measure, parse
from harness import emit
from numpy.typing import NDArray

Copy = Callable[[int, Rows], Rows]


def main() -> None:
    arguments = parse(__doc__)
    numbers: dict[str, float] = {}
    for name in ("reused", "fresh"):
        # Mapped anew for each, so that each pays for its own first touch of the pages.
        source = load(arguments.data)
        with ThreadPoolExecutor(arguments.threads) as pool:
            copy = _reused(source, arguments.threads + 1) if name == "reused" else _fresh
            found = measure(
                lambda source=source, pool=pool, copy=copy: _epoch(source, pool, copy, arguments.threads),
                len(source.number),
            )
        numbers |= {f"{name}_first": found.pop("first"), f"{name}_later": found.pop("later")}
        numbers |= {**found, "misplaced": numbers.get("misplaced", 0) + found["misplaced"]}
    emit(numbers)


def _epoch(source: Rows, pool: ThreadPoolExecutor, copy: Copy, threads: int) -> Iterator[Rows]:
    """Yield copies of consecutive batches, `threads` of them being made at a time."""
    starts = range(0, len(source.number), BATCH)
    batches = enumerate(Rows(*(array[start : start + BATCH] for array in source)) for start in starts)
    pending = deque(pool.submit(copy, *item) for item in islice(batches, threads))
    while pending:
        done = pending.popleft().result()
        pending += [pool.submit(copy, *item) for item in islice(batches, 1)]
        yield done


def _reused(source: Rows, count: int) -> Copy:
    """Return a copy into one of `count` buffers in turn: those being filled and the one being looked at."""
    buffers = [[np.empty((BATCH, *array.shape[1:]), array.dtype) for array in source] for _ in range(count)]

    def copy(number: int, batch: Rows) -> Rows:
        rows = Rows(*(buffer[: len(batch.number)] for buffer in buffers[number % count]))
        for buffer, array in zip(rows, batch, strict=True):
            np.copyto(buffer, array)
        return rows

    return copy


def _fresh(_: int, batch: Rows) -> Rows:
    """Copy into pages that the system has only just handed out; numpy's allocator would reuse old ones."""
    return Rows(*(_into_fresh(array) for array in batch))


def _into_fresh(array: NDArray[Any]) -> NDArray[Any]:
    buffer = np.frombuffer(mmap.mmap(-1, array.nbytes), array.dtype).reshape(array.shape)
    np.copyto(buffer, array)
    return buffer


if __name__ == "__main__":
    main()
