"""Shards fetched ahead of the batches that need them, and let go behind: for splits larger than their cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition

import numpy as np
from numpy.typing import NDArray

__all__ = ["FETCHES_AT_ONCE", "Lookahead"]

FETCHES_AT_ONCE = 8


class Lookahead:
    """The shards of a sequence of steps: `needs[i]` are those of step i, each an array of int64.

    A step is reached in the consumer's thread, which waits for its shards, and finished in whichever thread worked on
    it; a shard is let go with the last step that needs it. The `ahead` shards that later steps need first are fetched
    meanwhile. `fetch` and `release` are given one shard, in any thread. Close it when all steps that were reached are
    finished, to let everything go.
    """

    def __init__(
        self,
        needs: Sequence[NDArray[np.int64]],
        fetch: Callable[[int], None],
        release: Callable[[int], None],
        *,
        ahead: int,
    ) -> None:
        self._needs, self._fetch, self._release, self._ahead = needs, fetch, release, ahead
        self._first: dict[int, int] = {}
        self._steps_left: dict[int, int] = {}
        for step, shards in enumerate(needs):
            for shard in shards.tolist():
                self._first.setdefault(shard, step)
                self._steps_left[shard] = self._steps_left.get(shard, 0) + 1
        self._coming = deque(self._first)
        self._fetched: dict[int, Future[None]] = {}
        self._in_hand = 0
        self._changed = Condition()
        self._pool = ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="sensorloom-fetch")

    def reach(self, step: int) -> None:
        """Wait for the shards of `step`, and start fetching those after it. Steps are reached one after the other.

        A shard that had no room is tried again when the steps in hand are finished and what was fetched ahead is let
        go. Raises what `fetch` raises then.
        """
        while self._coming and self._first[self._coming[0]] <= step:
            self._start(self._coming.popleft())
        for shard in self._needs[step].tolist():
            if self._fetched[shard].exception() is not None:
                self._make_room(step)
                self._start(shard)
                self._fetched[shard].result()
        with self._changed:
            self._in_hand += 1
            later = sum(self._first[shard] > step for shard in self._fetched)
        for _ in range(min(self._ahead - later, len(self._coming))):
            self._start(self._coming.popleft())

    def finish(self, step: int) -> None:
        """Say that nobody works on `step` any more."""
        with self._changed:
            for shard in self._needs[step].tolist():
                self._steps_left[shard] -= 1
                if not self._steps_left[shard]:
                    self._let_go(shard)
            self._in_hand -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Wait for what is under way and let every shard go; the error of a fetch that no step waited for is lost."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for shard in list(self._fetched):
            self._let_go(shard)

    def _make_room(self, step: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._in_hand)
            later = [shard for shard in self._fetched if self._first[shard] > step]
        for shard in later:
            self._let_go(shard)
        self._coming.extendleft(reversed(later))

    def _start(self, shard: int) -> None:
        self._fetched[shard] = self._pool.submit(self._fetch, shard)

    def _let_go(self, shard: int) -> None:
        future = self._fetched.pop(shard)
        if not future.cancel() and future.exception() is None:
            self._release(shard)
