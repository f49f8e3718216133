"""Which example of which source stands at each position of a mixture.

Positions of the mixture are counted over all its epochs, those of a source over all of that source's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.streaming.apportion import SourceSchedule

__all__ = ["Interleave", "Piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Examples of one epoch of source number `source`.

    `index` int64[r] are the examples, `position` int64[r] their places in the order of that epoch, `rows` int64[r]
    those in what was asked for.
    """

    source: int
    epoch: int
    index: NDArray[np.int64]
    position: NDArray[np.int64]
    rows: NDArray[np.int64]


class Interleave:
    """Sources of `sizes` examples each that take turns by `schedule`; `orders[s](e)` is epoch e of source number s.

    Each source goes through its own epochs one after the other, so it repeats nothing before it has given everything.
    """

    def __init__(
        self,
        schedule: SourceSchedule,
        sizes: Sequence[int],
        orders: Sequence[Callable[[int], NDArray[np.int64]]],
    ) -> None:
        self._schedule, self._sizes, self._orders = schedule, tuple(sizes), tuple(orders)

    def pieces(self, at: NDArray[np.int64]) -> list[Piece]:
        """Return the examples at positions int64[B] of the mixture, by source and epoch of the source.

        It is cheapest where positions follow each other without a hole.
        """
        source, nth = self._find(at)
        found = []
        for number in np.unique(source).tolist():
            rows = np.flatnonzero(source == number)
            epoch, position = np.divmod(nth[rows], self._sizes[number])
            for one in np.unique(epoch).tolist():
                inside = epoch == one
                index = self._orders[number](one)[position[inside]]
                found.append(Piece(number, one, index, position[inside], rows[inside]))
        return found

    def _find(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the source int64[B] at each position, and how many examples it gave before that."""
        source, nth = np.empty(len(at), np.int64), np.empty(len(at), np.int64)
        for run in np.split(np.arange(len(at)), np.flatnonzero(np.diff(at) != 1) + 1):
            if not len(run):
                continue
            first = int(at[run[0]])
            source[run] = self._schedule.sources(first, first + len(run))
            before = self._schedule.counts(first)
            for number in np.unique(source[run]).tolist():
                turns = run[source[run] == number]
                nth[turns] = before[number] + np.arange(len(turns))
        return source, nth
