"""Keep windows that lie close together in one take out of the same batch.

Neighbouring windows are near-duplicates: as negatives of one another they teach a contrastive loss the wrong
thing. The rule changes an epoch's order and is a pure function of it, so it holds on every number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import OrderError

__all__ = ["defer_close"]

_MAX_GAP_NS = 2**62
# How many windows of a batch are asked whether they would trade places.
_ASKED = 16
# Look-ups beyond one for each window; each takes a few microseconds.
_SPARE_EFFORT = 2**20
_WINDOWS_PER_EFFORT = 512


def defer_close(
    order: NDArray[np.int64],
    take: NDArray[np.int64],
    start_ns: NDArray[np.int64],
    batch_size: int,
    min_gap_ns: int,
) -> tuple[NDArray[np.int64], int]:
    """Return a permutation of `order` int64[n] that keeps close windows apart, and the pairs still together.

    `take` and `start_ns` are those of each example. Two windows of one take whose starts differ by less than
    `min_gap_ns` shall not stand in the same `batch_size` consecutive places. From the first place on, a window
    that is close to an earlier one of its batch trades places with one of the next batch (after the last, the
    first) where neither is then close to any other; everything else stays where it is. What finds no partner
    stays too and is counted, as are all pairs once n + 2**20 look-ups were spent. Raises OrderError for an
    empty batch and a gap outside [0, 2**62) ns.
    """
    if batch_size < 1:
        raise OrderError(f"batch_size must be at least 1, got {batch_size}")
    if not 0 <= min_gap_ns < _MAX_GAP_NS:
        raise OrderError(f"min_gap_ns must lie in [0, 2**62), got {min_gap_ns}")
    places = _Places.of(take[order], start_ns[order], batch_size, min_gap_ns)
    by_time = order[places.position]
    pairs = places.count_close()
    if pairs:
        places.separate()
        pairs = places.count_close()
    return by_time[places.rank], pairs


@dataclass(slots=True)
class _Places:
    """Which window stands where. Windows go by their rank in (take, start), so close ones are a range.

    `rank` of the window at each place and `position` of each rank undo each other, `batch` of each rank is that
    of its position; ranks [first[r], stop[r]) are the windows less than the gap from rank r, with itself.
    """

    rank: NDArray[np.int64]
    position: NDArray[np.int64]
    batch: NDArray[np.int64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    batch_size: int
    effort: int

    @classmethod
    def of(
        cls, take: NDArray[np.int64], start_ns: NDArray[np.int64], batch_size: int, gap_ns: int
    ) -> _Places:
        position = np.lexsort((start_ns, take)).astype(np.int64, copy=False)
        rank = np.empty_like(position)
        rank[position] = np.arange(len(position))
        first, stop = np.empty_like(rank), np.empty_like(rank)
        takes = take[position]
        edges = [0, *(np.flatnonzero(takes[1:] != takes[:-1]) + 1).tolist(), len(takes)]
        for begin, end in pairwise(edges):
            starts = start_ns[position[begin:end]]
            first[begin:end] = begin + np.searchsorted(starts, starts - gap_ns, side="right")
            stop[begin:end] = begin + np.searchsorted(starts, starts + gap_ns, side="left")
        return cls(rank, position, position // batch_size, first, stop, batch_size, len(rank) + _SPARE_EFFORT)

    def count_close(self) -> int:
        """Return how many pairs of close windows share a batch."""
        codes, ranks = self._by_batch()
        ends = np.searchsorted(codes, codes - ranks + self.stop[ranks], side="left")
        return int((ends - np.arange(len(codes)) - 1).clip(min=0).sum())

    def separate(self) -> None:
        """Trade away each window that is close to an earlier one of its batch, in the order of places."""
        for place in self._suspects().tolist():
            if self.effort <= 0:
                return
            batch, near = place // self.batch_size, self._near(self.rank[place])
            together = self.position[near][self.batch[near] == batch]
            if not np.any(together < place):
                continue
            for other in self._partners(place, self.batch[near]):
                if not np.any(self.batch[self._near(self.rank[other])] == batch):
                    self._trade(place, other)
                    break

    def _by_batch(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return batch · n + rank of all windows, sorted, and their ranks."""
        count = len(self.rank)
        codes = np.sort(np.arange(count) // self.batch_size * count + self.rank)
        return codes, codes % max(1, count)

    def _suspects(self) -> NDArray[np.int64]:
        """Return the places, rising, of windows that have a close one in their batch."""
        codes, ranks = self._by_batch()
        close = codes[1:] < (codes - ranks + self.stop[ranks])[:-1]
        return np.sort(self.position[ranks[np.append(close, False) | np.append(False, close)]])

    def _near(self, rank: np.int64) -> slice:
        """Return the ranks of the windows close to one, with its own."""
        near = slice(self.first[rank], self.stop[rank])
        self.effort -= 1 + (near.stop - near.start) // _WINDOWS_PER_EFFORT
        return near

    def _partners(self, place: int, avoid: NDArray[np.int64]) -> Iterator[int]:
        """Yield places in batches that are not to `avoid`, the later ones first."""
        batch, offset = divmod(place, self.batch_size)
        free = np.ones(-(-len(self.rank) // self.batch_size), dtype=np.bool_)
        free[avoid] = False
        batches = np.flatnonzero(free)
        for other in np.roll(batches, -np.searchsorted(batches, batch)):
            begin = int(other) * self.batch_size
            length = min(self.batch_size, len(self.rank) - begin)
            for step in range(min(length, _ASKED)):
                if self.effort <= 0:
                    return
                yield begin + (offset + step) % length

    def _trade(self, place: int, other: int) -> None:
        places = np.array([place, other])
        ranks = self.rank[places[::-1]]
        self.rank[places], self.position[ranks], self.batch[ranks] = ranks, places, places // self.batch_size
