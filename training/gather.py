"""Collect the rows of a batch from memory-mapped shards at memory speed.

Each row of a large array is one contiguous copy, during which numpy releases the interpreter lock, so two
threads that gather two batches nearly double. Fresh memory costs more than the copy (a page fault every 4
KiB), so buffers are recycled, but only after the last tensor that shares one is gone: a batch that somebody
still holds is never overwritten.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import StreamError

__all__ = ["BufferPool", "Column"]

# Rows below this are collected once for the whole split; at 1 KiB a million of them take 1 GB.
_RESIDENT_ROW_BYTES = 256
# What a consumer, the prefetch queue and the threads have in hand at one time, with room to spare.
_SPARE_BUFFERS = 8


class BufferPool:
    """Hands out arrays of one row shape and takes their memory back when nobody refers to them any more.

    At most eight spare buffers are kept. Handing out and taking back may happen in different threads.
    """

    def __init__(self) -> None:
        self._spare: deque[NDArray[np.uint8]] = deque(maxlen=_SPARE_BUFFERS)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an uninitialised array, in the memory that came back last: it is likeliest in the cache."""
        num_bytes = int(np.prod(shape)) * dtype.itemsize
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = np.empty(num_bytes, np.uint8)
        if len(memory) < num_bytes:
            memory = np.empty(num_bytes, np.uint8)
        array = memory[:num_bytes].view(dtype).reshape(shape)
        weakref.finalize(array, self._spare.append, memory).atexit = False
        return array


class Column:
    """One array of a view over all its shards: row r of shard s, gathered in any order.

    `shards` are arrays [n_s, …] of equal dtype and row shape, None for a shard that the split does not touch.
    Raises StreamError if two differ, naming both.
    """

    def __init__(self, name: str, shards: Sequence[NDArray[Any] | None]) -> None:
        present = [array for array in shards if array is not None]
        first = present[0]
        for array in present:
            if array.dtype != first.dtype or array.shape[1:] != first.shape[1:]:
                raise StreamError(
                    f"the shards of column {name!r} do not fit together: rows of "
                    f"{first.dtype}{list(first.shape[1:])} and of "
                    f"{array.dtype}{list(array.shape[1:])}; build the view again"
                )
        self.name = name
        self.dtype, self.row_shape = first.dtype, first.shape[1:]
        self._row_size = int(np.prod(self.row_shape))
        self._rows = [
            None if array is None else array.reshape(len(array), self._row_size) for array in shards
        ]
        self._pool = BufferPool()

    @property
    def is_small(self) -> bool:
        """Tell whether a whole split of rows belongs in memory."""
        return self._row_size * self.dtype.itemsize <= _RESIDENT_ROW_BYTES

    def gather(self, shard: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows [B, …] at (shard[i], row[i]), in that order, in memory of their own."""
        batch = self._pool.empty((len(row), *self.row_shape), self.dtype)
        out = batch.reshape(len(row), self._row_size)
        for position, (at_shard, at_row) in enumerate(zip(shard.tolist(), row.tolist(), strict=True)):
            out[position] = self._rows[at_shard][at_row]
        return batch
