"""Keep windows that lie close together in one take out of the same batch.

Neighbouring windows are near-duplicates: as negatives of one another they teach a contrastive loss the wrong
thing. The rule changes an epoch's order and is a pure function of it, so it holds on every number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import OrderError

__all__ = ["defer_close"]

_MAX_GAP_NS = 2**62
# How often a window asks another one to trade, and how many look-ups all of that may take.
_ROUNDS = 64
_LOOK_UPS_PER_WINDOW = 16
_SPARE_LOOK_UPS = 2**20

_Ints: TypeAlias = NDArray[np.int64]


def defer_close(
    order: _Ints,
    take: _Ints,
    start_ns: _Ints,
    batch_size: int,
    min_gap_ns: int,
    *,
    group: _Ints | None = None,
) -> tuple[_Ints, int]:
    """Return a permutation of `order` int64[n] that keeps close windows apart, and the pairs still together.

    `take` and `start_ns` are those of each example. Two windows of one take whose starts differ by less than
    `min_gap_ns` shall not stand in the same `batch_size` consecutive places. The later of two that do trades
    places with one of the next batch (after the last, the first) where neither is then close to any other, else
    of the batch after that, and so on; everything else stays where it is. `group` int64[n] numbers the places:
    windows trade within a run of places of one number only, and so stay in it.

    What finds no partner in 64 tries, of one batch after the other, stays and is counted, as are all pairs that
    are left after 16 n + 2**20 look-ups; each of those, whether anybody in a batch is close to a window, is one
    binary search. Raises OrderError for an empty batch and a gap outside [0, 2**62) ns.
    """
    if batch_size < 1:
        raise OrderError(f"batch_size must be at least 1, got {batch_size}")
    if not 0 <= min_gap_ns < _MAX_GAP_NS:
        raise OrderError(f"min_gap_ns must lie in [0, 2**62), got {min_gap_ns}")
    seats = _Seats.of(take[order], start_ns[order], batch_size, min_gap_ns)
    by_time = order[seats.place]
    if seats.num_close():
        seats.separate(*_runs(group, len(order)))
    apart = np.empty_like(by_time)
    apart[seats.place] = by_time
    return apart, seats.num_close()


def _runs(group: _Ints | None, count: int) -> tuple[_Ints, _Ints]:
    """Return where the run of each of `count` places begins and ends, half-open."""
    changes = np.empty(0, np.int64) if group is None else np.flatnonzero(group[1:] != group[:-1]) + 1
    edges = np.concatenate([[0], changes, [count]])
    lengths = np.diff(edges)
    return np.repeat(edges[:-1], lengths), np.repeat(edges[1:], lengths)


@dataclass(slots=True)
class _Seats:
    """Which window stands at which place. Windows go by their rank in (take, start), so close ones are a range.

    `place` is that of each rank; ranks [first[r], stop[r]) are the windows less than the gap from rank r, with
    itself. `codes` are batch · n + rank of all windows, sorted, so that close ones of a batch follow each other.
    """

    place: _Ints
    first: _Ints
    stop: _Ints
    codes: _Ints
    batch_size: int

    @classmethod
    def of(cls, take: _Ints, start_ns: _Ints, batch_size: int, gap_ns: int) -> _Seats:
        place = np.lexsort((start_ns, take)).astype(np.int64, copy=False)
        first, stop, takes = np.empty_like(place), np.empty_like(place), take[place]
        edges = [0, *(np.flatnonzero(takes[1:] != takes[:-1]) + 1).tolist(), len(takes)]
        for begin, end in pairwise(edges):
            starts = start_ns[place[begin:end]]
            first[begin:end] = begin + np.searchsorted(starts, starts - gap_ns, side="right")
            stop[begin:end] = begin + np.searchsorted(starts, starts + gap_ns, side="left")
        codes = np.sort(place // batch_size * len(place) + np.arange(len(place)))
        return cls(place, first, stop, codes, batch_size)

    def num_close(self) -> int:
        """Return how many pairs of close windows share a batch."""
        ends = np.searchsorted(self.codes, self._ends(self.codes), side="left")
        return int((ends - np.arange(len(ends)) - 1).clip(min=0).sum())

    def separate(self, begin: _Ints, end: _Ints) -> None:
        """Trade windows that are close to an earlier one of their batch, each within its places [begin, end).

        All of them ask at once, round by round. No trade puts close ones together, so what is apart stays apart.
        """
        rank = np.empty_like(self.place)
        rank[self.place] = np.arange(len(rank))
        together, left = self.codes, _LOOK_UPS_PER_WINDOW * len(rank) + _SPARE_LOOK_UPS
        for number in range(_ROUNDS):
            close = together[1:] < self._ends(together)[:-1]
            together = together[np.append(close, False) | np.append(False, close)]
            asking = self._later(together)[: left // 2]
            if not len(asking):
                return
            left -= 2 * len(asking)
            places, others = self._partners(asking, begin[asking], end[asking], number)
            ranks, partners = self._agreed(rank[places], rank[others])
            rank[self.place[ranks]], rank[self.place[partners]] = partners, ranks
            self._trade(ranks, partners)
            together = together[self._codes(together % len(rank)) == together]

    def _codes(self, ranks: _Ints) -> _Ints:
        return self.place[ranks] // self.batch_size * len(self.place) + ranks

    def _ends(self, codes: _Ints) -> _Ints:
        """Return the code after the last one that each window is close to in its batch."""
        ranks = codes % max(1, len(self.place))
        return codes - ranks + self.stop[ranks]

    def _later(self, together: _Ints) -> _Ints:
        """Return the places, rising, of windows that follow one of their batch that is next to them in time."""
        close = np.flatnonzero(together[1:] < self._ends(together)[:-1])
        places = self.place[together % max(1, len(self.place))]
        later = np.sort(np.maximum(places[close], places[close + 1]))
        return later[np.append(later[1:] != later[:-1], True)] if len(later) else later

    def _partners(self, places: _Ints, begin: _Ints, end: _Ints, number: int) -> tuple[_Ints, _Ints]:
        """Return those of `places` that have a partner in round `number`, and its place in another batch."""
        batch, size = places // self.batch_size, self.batch_size
        first, others = begin // size, (end - 1) // size - begin // size
        places, batch, first, others, begin, end = (
            some[others > 0] for some in (places, batch, first, others, begin, end)
        )
        turn, step = np.divmod(number, others)
        other = first + (batch - first + 1 + step) % (others + 1)
        start = np.maximum(other * size, begin)
        length = np.minimum((other + 1) * size, end) - start
        return places, start + (places - batch * size + turn) % length

    def _agreed(self, ranks: _Ints, partners: _Ints) -> tuple[_Ints, _Ints]:
        """Return the trades after which no window is close to one of its new batch, and that touch no other."""
        count, size = len(self.place), self.batch_size
        floors = [self.place[some] // size * count for some in (partners, ranks)]
        free = self._is_free(ranks, floors[0]) & self._is_free(partners, floors[1])
        pairs = np.stack([ranks[free], partners[free]])
        pairs = pairs[:, _claim_first(pairs, count)]
        # Those that come into a batch together must not be close either: all but the first of such stay away.
        codes = np.stack(
            [self._codes(pairs[1]) - pairs[1] + pairs[0], self._codes(pairs[0]) - pairs[0] + pairs[1]]
        )
        by_code = np.argsort(codes, axis=None)
        coming = codes.reshape(-1)[by_code]
        clash = by_code[1:][coming[1:] < self._ends(coming)[:-1]]
        keep = np.ones(pairs.shape[1], np.bool_)
        keep[clash % max(1, len(keep))] = False
        return pairs[0, keep], pairs[1, keep]

    def _is_free(self, ranks: _Ints, floors: _Ints) -> NDArray[np.bool_]:
        """Return whether nobody is close to each window in the batch whose codes begin at its floor."""
        found = np.searchsorted(self.codes, floors + self.first[ranks], side="left")
        codes = np.append(self.codes, np.iinfo(np.int64).max)
        return codes[found] >= floors + self.stop[ranks]

    def _trade(self, ranks: _Ints, partners: _Ints) -> None:
        moved = np.concatenate([ranks, partners])
        kept = np.delete(self.codes, np.searchsorted(self.codes, self._codes(moved)))
        self.place[moved] = self.place[np.concatenate([partners, ranks])]
        codes = np.sort(self._codes(moved))
        self.codes = np.insert(kept, np.searchsorted(kept, codes), codes)


def _claim_first(pairs: _Ints, count: int) -> NDArray[np.bool_]:
    """Return which trades int64[2, m] of `count` windows are the first to claim both of theirs."""
    number = np.arange(pairs.shape[1])
    owner = np.empty(count, np.int64)
    owner[pairs[:, ::-1].T] = number[::-1, None]  # of equal places the last one written stays
    found: NDArray[np.bool_] = (owner[pairs] == number).all(axis=0)
    return found
