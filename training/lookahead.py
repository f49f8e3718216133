"""Shards fetched ahead of the batches that need them, and let go behind: for splits larger than their cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lookahead"]

_FETCHES_AT_ONCE = 4


class Lookahead:
    """The shards of a sequence of steps: `needs[i]` are those of step i, each an array of int64.

    Before step i the shards of no step are let go that may still be worked on, the last `behind` steps; then those of
    step i are there, and the `ahead` shards that later steps need first are under way. `fetch` and `release` are given
    one shard; `fetch` runs in threads. Close it to wait for the threads and let everything go.
    """

    def __init__(
        self,
        needs: Sequence[NDArray[np.int64]],
        fetch: Callable[[int], None],
        release: Callable[[int], None],
        *,
        ahead: int,
        behind: int,
    ) -> None:
        self._needs, self._fetch, self._release = needs, fetch, release
        self._ahead, self._behind = ahead, behind
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        for step, shards in enumerate(needs):
            for shard in shards.tolist():
                self._first.setdefault(shard, step)
                self._last[shard] = step
        self._coming = deque(self._first)
        self._leaving = deque(sorted(self._last, key=lambda shard: self._last[shard]))
        self._fetched: dict[int, Future[None]] = {}
        self._pool = ThreadPoolExecutor(_FETCHES_AT_ONCE, thread_name_prefix="sensorloom-fetch")

    def reach(self, step: int) -> None:
        """Let go what lies behind, wait for the shards of `step`, and start fetching those after it.

        Steps are reached one after the other. Raises what `fetch` raises for a shard of this step, after a second try.
        """
        while self._leaving and self._last[self._leaving[0]] < step - self._behind:
            shard = self._leaving.popleft()
            del self._fetched[shard]
            self._release(shard)
        while self._coming and self._first[self._coming[0]] <= step:
            self._start()
        for shard in self._needs[step].tolist():
            # What was fetched too early for a full cache may have room now.
            if self._fetched[shard].exception() is not None:
                self._fetch(shard)
        later = sum(self._first[shard] > step for shard in self._fetched)
        for _ in range(min(self._ahead - later, len(self._coming))):
            self._start()

    def close(self) -> None:
        """Wait for what is under way and let every shard go; the error of a fetch that no step waited for is lost."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for shard in self._fetched:
            self._release(shard)
        self._fetched.clear()

    def _start(self) -> None:
        shard = self._coming.popleft()
        self._fetched[shard] = self._pool.submit(self._fetch, shard)
