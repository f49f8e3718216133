"""Rows of one array collected from all its shards at once, at memory speed.

The shards lie behind each other in one range of addresses (`store/joined.py`), so a batch is one `np.take`, during
which numpy gives up the interpreter lock: two threads that gather two batches nearly double. Fresh memory costs more
than the copy (a page fault every 4 KiB), so buffers are recycled, but only after the last tensor that shares one is
gone: a batch that somebody still holds is never overwritten.
"""

from __future__ import annotations

import math
import weakref
from collections import deque
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

__all__ = ["BufferPool", "ResidentRows", "Rows"]

# Rows of fewer bytes are quicker copied into memory of numpy's own than a buffer is handed out.
_POOLED_ROW_BYTES = 256
# What a consumer, the prefetch queue and the threads have in hand at one time, with room to spare.
_SPARE_BUFFERS = 8
_UPLOAD_ROWS = 1024


class BufferPool:
    """Hands out arrays of one row shape and takes their memory back when nobody refers to them any more.

    At most eight spare buffers are kept. Handing out and taking back may happen in different threads.
    """

    def __init__(self) -> None:
        self._spare: deque[NDArray[np.uint8]] = deque(maxlen=_SPARE_BUFFERS)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an uninitialised array, in the memory that came back last: it is likeliest in the cache."""
        num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = np.empty(num_bytes, np.uint8)
        if len(memory) < num_bytes:
            memory = np.empty(num_bytes, np.uint8)
        array = memory[:num_bytes].view(dtype).reshape(shape)
        weakref.finalize(array, self._spare.append, memory).atexit = False
        return array


class Rows:
    """Row r of shard s of `joined` [R, …], whose shard s begins at `base[s]`, gathered in any order."""

    def __init__(self, joined: NDArray[Any], base: NDArray[np.int64]) -> None:
        self._joined, self._base = joined, base
        self._row_bytes = math.prod(joined.shape[1:]) * joined.itemsize
        self._pool = BufferPool()

    @property
    def base(self) -> NDArray[np.int64]:
        """First row of each shard in the joined array, int64[num_shards]."""
        return self._base

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self._joined.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values as they are stored."""
        return self._joined.dtype

    def gather(self, shard: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows [B, …] at (shard[i], row[i]), in that order, in memory of their own."""
        return self._gather(self._base[shard] + row)

    def tensor(self, shard: NDArray[np.int64], row: NDArray[np.int64]) -> Tensor:
        """Return the same rows as a tensor that shares their memory."""
        return torch.from_numpy(self.gather(shard, row))

    def at(self, place: NDArray[np.int64]) -> Tensor:
        """Return the rows at these places of the joined array, in the shape of `place`."""
        return torch.from_numpy(self._gather(place))

    def _gather(self, place: NDArray[np.int64]) -> NDArray[Any]:
        if self._row_bytes < _POOLED_ROW_BYTES:
            return self._joined.take(place, axis=0)
        out = self._pool.empty((*place.shape, *self.row_shape), self.dtype)
        # `clip` writes straight into `out`, where `raise` would buffer; the rows are known to be there.
        return self._joined.take(place, axis=0, out=out, mode="clip")


class ResidentRows:
    """Some rows of `rows`, those at (shard[i], row[i]), uploaded to `device` once and gathered there."""

    def __init__(
        self, rows: Rows, shard: NDArray[np.int64], row: NDArray[np.int64], device: torch.device
    ) -> None:
        count = np.zeros(len(rows.base), np.int64)
        np.maximum.at(count, shard, row + 1)
        self.base = count.cumsum() - count
        """Place of the first row of each shard, int64[num_shards]; without the holes between those of `rows`."""
        self._position = np.zeros(count.sum(), np.int64)
        self._position[self.base[shard] + row] = np.arange(len(row))
        empty = rows.tensor(shard[:0], row[:0])
        self._values = torch.empty((len(row), *rows.row_shape), dtype=empty.dtype, device=device)
        for first in range(0, len(row), _UPLOAD_ROWS):
            part = slice(first, first + _UPLOAD_ROWS)
            self._values[part] = rows.tensor(shard[part], row[part])

    def tensor(self, shard: NDArray[np.int64], row: NDArray[np.int64]) -> Tensor:
        """Return the rows [B, …] at (shard[i], row[i]), in that order, on the device."""
        return self.at(self.base[shard] + row)

    def at(self, place: NDArray[np.int64]) -> Tensor:
        """Return the rows at these places, counted from `base`, in the shape of `place`, on the device."""
        index = torch.from_numpy(self._position[place])
        rows = self._values.index_select(0, index.reshape(-1).to(self._values.device))
        return rows.view(*place.shape, *self._values.shape[1:])
