"""Digests of raw files remembered while a run goes on, so that one that is killed hashes next to nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sensorloom.align.stage import Failed, Ingested
from sensorloom.flows.plan import IngestPlan
from sensorloom.ingest.digest import DigestCache, FileDigest, on_disk

__all__ = ["Remember", "remembering"]

BATCH_S = 2.0
"""A write to the cache waits for the disk: at most one in this time, so that many small takes cost nothing."""

Remember = Callable[[Ingested | Failed], None]
"""Called with each outcome as it arrives; keeps the digests of the files it was made from."""


@contextmanager
def remembering(plan: IngestPlan, cache: DigestCache) -> Iterator[Remember]:
    """Yield what keeps the digests of each take of `plan` in `cache`, at the latest when the block is left.

    The first take's are written at once, later ones with the first take that arrives 2 s after the last writing.
    Raises `CacheError` where the cache cannot be written.
    """
    sources = {take.source.take_id: take.source for take in plan.pending}
    waiting: dict[Path, FileDigest] = {}
    written_s = time.monotonic() - BATCH_S

    def write() -> None:
        nonlocal written_s
        cache.remember(waiting)
        waiting.clear()
        written_s = time.monotonic()

    def remember(result: Ingested | Failed) -> None:
        if isinstance(result, Failed):
            return
        files = on_disk(plan.root, sources[result.take_id].files)
        waiting.update(zip(files, result.digests, strict=True))
        if time.monotonic() - written_s >= BATCH_S:
            write()

    try:
        yield remember
    finally:
        if waiting:
            write()
