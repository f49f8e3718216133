"""The order of a split's windows in each epoch: shuffled as asked, windows of one take kept apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.training.rules import BatchRules, Shuffle
from sensorloom.training.streaming.order import block_order, curriculum_order, epoch_order
from sensorloom.training.streaming.rows import SplitRows
from sensorloom.training.streaming.spacing import defer_close

__all__ = ["Ordering"]

_KEPT_ORDERS = 2


class Ordering:
    """Orders of the windows of `split` by epoch; the latest two are kept.

    `read` reads columns of the windows, arrays of n by name; it is asked only for what the rules need.
    """

    def __init__(
        self,
        split: SplitRows,
        read: Callable[..., Mapping[str, pa.Array]],
        *,
        seed: int,
        shuffle: Shuffle,
        rules: BatchRules,
        batch_size: int,
    ) -> None:
        self._split, self._read = split, read
        self._seed, self._shuffle, self._rules, self._batch_size = seed, shuffle, rules, batch_size
        self._kept: dict[int, tuple[NDArray[np.int64], int]] = {}

    def __call__(self, epoch: int) -> tuple[NDArray[np.int64], int]:
        """Return a permutation int64[n], and how many pairs of windows nearer than allowed share a batch after all."""
        if epoch not in self._kept:
            while len(self._kept) >= _KEPT_ORDERS:
                self._kept.pop(next(iter(self._kept)))
            order, num_close = self._spaced(self._shuffled(epoch))
            order.flags.writeable = False
            self._kept[epoch] = order, num_close
        return self._kept[epoch]

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        rules, seed = self._rules, self._seed
        if self._shuffle == "none":
            return np.arange(len(self._split))
        if self._shuffle == "block":
            return block_order(self._split.shard, seed, epoch, rules.block_shards)
        if epoch < rules.curriculum_epochs:
            return curriculum_order(self._quality, seed, epoch, rules.curriculum_epochs)
        return epoch_order(len(self._split), seed, epoch)

    def _spaced(self, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        if not self._rules.min_gap_s:
            return order, 0
        take, start_ns = self._starts
        gap_ns, group = round(1e9 * self._rules.min_gap_s), self._blocks(order)
        return defer_close(order, take, start_ns, self._batch_size, gap_ns, group=group)

    def _blocks(self, order: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the block of shards int64[n] at each place of an order that finishes one before it begins the next.

        A bounded cache holds few blocks at once, so windows are spaced within theirs. Storage order is read in blocks
        of as many shards too. None where the split is shuffled as a whole.
        """
        if self._shuffle == "global":
            return None
        _, first, number = np.unique(self._split.shard[order], return_index=True, return_inverse=True)
        turn = np.argsort(np.argsort(first))
        return turn[number] // self._rules.block_shards

    @cached_property
    def _quality(self) -> NDArray[np.float64]:
        share = self._read("valid_share")["valid_share"]
        return np.asarray(share.to_numpy(zero_copy_only=False), np.float64)

    @cached_property
    def _starts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        columns = self._read("take_id", "start_ns")
        take = columns["take_id"].dictionary_encode().indices.to_numpy(zero_copy_only=False)
        return take.astype(np.int64), columns["start_ns"].to_numpy(zero_copy_only=False).astype(np.int64)
