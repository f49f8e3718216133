"""The pictures of one take in fixed-size batches that several threads fill, each its camera's share.

Cameras lie one after the other in the take's rows, and batch `b` is the rows from `b * size` on: which pictures share
a batch depends on the take and the batch size alone, whoever decodes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "Batches", "PictureSize"]

PictureSize = tuple[int, int]
"""Height and width in px."""


@dataclass(slots=True)
class Batch:
    """Rows from `first` on: `pixels` uint8[n, H, W, 3], 0 where bool[n] `is_there` is False.

    `pixels` is None where nothing was put. `owed` rows belong to cameras that have not come as far yet.
    """

    first: int
    is_there: NDArray[np.bool_]
    owed: int
    pixels: NDArray[np.uint8] | None = None


class Batches:
    """The open batches of one take of `num_rows` rows. Not locked: who shares it between threads does that."""

    def __init__(self, num_rows: int, batch_size: int) -> None:
        self._num_rows = num_rows
        self._size = batch_size
        self._open: dict[int, Batch] = {}

    def holding(self, row: int, size: PictureSize) -> Batch:
        """Return the batch that holds `row`, ready to be written to."""
        batch = self._at(row // self._size)
        if batch.pixels is None:
            batch.pixels = np.zeros((len(batch.is_there), *size, 3), np.uint8)
        return batch

    def start_of(self, row: int) -> int:
        """Return the first row of the batch that holds `row`."""
        return row // self._size * self._size

    def settle(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches that are complete now that nothing more comes for the rows `[start, stop)`."""
        while start < stop:
            index = start // self._size
            batch = self._at(index)
            end = min(stop, batch.first + len(batch.is_there))
            batch.owed -= end - start
            start = end
            if not batch.owed:
                yield self._open.pop(index)

    def _at(self, index: int) -> Batch:
        if index not in self._open:
            first = index * self._size
            count = min(self._size, self._num_rows - first)
            self._open[index] = Batch(first, np.zeros(count, np.bool_), owed=count)
        return self._open[index]
