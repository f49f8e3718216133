"""Contender: memcpy of the same bytes in storage order, into reused and into fresh memory."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from epochs import BATCH, CHANNELS, SAMPLES, measure, parse
from harness import emit
from numpy.typing import NDArray

Array = NDArray[np.float32]


def main() -> None:
    arguments = parse(__doc__)
    numbers: dict[str, float] = {}
    for name in ("reused", "fresh"):
        # Mapped anew for each, so that each pays for its own first touch of the pages.
        source = np.load(arguments.data / "windows.npy", mmap_mode="r")
        with ThreadPoolExecutor(arguments.threads) as pool:
            copy = _reused(arguments.threads + 1) if name == "reused" else _fresh
            found = measure(
                lambda source=source, pool=pool, copy=copy: _epoch(source, pool, copy, arguments.threads),
                len(source),
            )
        numbers |= {f"{name}_first": found["first"], f"{name}_later": found["later"]}
        numbers |= {"bits": found["bits"], "misplaced": numbers.get("misplaced", 0) + found["misplaced"]}
    emit(numbers)


def _epoch(
    source: Array, pool: ThreadPoolExecutor, copy: Callable[[int, Array], Array], threads: int
) -> Iterator[Array]:
    """Yield copies of consecutive batches, `threads` of them being made at a time."""
    batches = enumerate(source[start : start + BATCH] for start in range(0, len(source), BATCH))
    pending = [pool.submit(copy, *item) for item in islice(batches, threads)]
    while pending:
        done = pending.pop(0).result()
        pending += [pool.submit(copy, *item) for item in islice(batches, 1)]
        yield done


def _reused(count: int) -> Callable[[int, Array], Array]:
    """Return a copy into one of `count` buffers in turn: those being filled and the one being looked at."""
    buffers = [np.empty((BATCH, 1, CHANNELS, SAMPLES), np.float32) for _ in range(count)]

    def copy(number: int, batch: Array) -> Array:
        buffer = buffers[number % count][: len(batch)]
        np.copyto(buffer, batch)
        return buffer

    return copy


def _fresh(_: int, batch: Array) -> Array:
    """Copy into pages that the system has only just handed out; numpy's allocator would reuse old ones."""
    buffer = np.frombuffer(mmap.mmap(-1, batch.nbytes), batch.dtype).reshape(batch.shape)
    np.copyto(buffer, batch)
    return buffer


if __name__ == "__main__":
    main()
