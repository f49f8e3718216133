"""Contender: this project's stream from files that are not in the page cache, opening included.

A store of plain arrays is read where it lies; a compressed one comes through a new and empty shard cache.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from epochs import BATCH, Rows, cold, measure, parse
from harness import emit
from stream_ours import open_stream, rows_of

from sensorloom.store.cache import ShardCache
from sensorloom.training.stream import TripletStream

CACHE_BYTES = 8_000_000_000


def main() -> None:
    arguments = parse(__doc__, "--store")
    next(iter(open_stream(str(arguments.data / "store"), seed=2)))
    store = arguments.data / arguments.store
    for path in store.rglob("*"):
        if path.is_file():
            _drop(path)
    cache = ShardCache(arguments.work / "cache", CACHE_BYTES)
    opened: list[TripletStream] = []

    def epoch() -> Iterator[Rows]:
        if not opened:
            opened.append(
                TripletStream(
                    str(store),
                    view="generated",
                    split="train",
                    batch_size=BATCH,
                    columns=("imu", "video", "text"),
                    last="keep",
                    cache=cache,
                    threads=arguments.threads,
                )
            )
        for batch in opened[0]:
            yield rows_of(batch)

    first = cold(epoch, arguments.windows)
    warm = measure(epoch, arguments.windows, later=2)
    emit({**warm, **first, "misplaced": first["misplaced"] + warm["misplaced"]})


def _drop(path: Path) -> None:
    """Have the system forget its copy of a file, which must not be dirty."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
