"""Which windows belong to a split, and where each lies: selection over a view's window tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sensorloom.training.errors import StreamError

__all__ = ["SPLIT_COLUMNS", "SplitRows", "select_split"]

NO_LABEL = -1
SPLIT_COLUMNS = ("split", "label_index")
"""The columns of a window table that `select_split` reads."""


@dataclass(frozen=True, slots=True)
class SplitRows:
    """The n windows of one split in storage order (shard by shard, row by row).

    `shard` int64[n] counts the shards of the view, `row` int64[n] the rows within one; `label` int64[n] holds
    class indices, -1 where a window has none, and is None if no window has one.
    """

    shard: NDArray[np.int64]
    row: NDArray[np.int64]
    label: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.row)

    def pick(self, tables: Sequence[pa.Table], column: str) -> pa.Array:
        """Return a column of the window tables, an array of n."""
        values = pa.chunked_array(chunk for table in tables for chunk in table[column].chunks)
        first = np.cumsum([0, *map(len, tables)])
        return values.take(pa.array(first[self.shard] + self.row)).combine_chunks()


def select_split(tables: Sequence[pa.Table], split: str, view: str) -> SplitRows:
    """Select the windows of `split` from the window tables of all shards, in the order of `tables`.

    Raises StreamError if the split is empty, naming the splits that are not.
    """
    chosen = [np.flatnonzero(pc.equal(table["split"], split).fill_null(False).to_numpy()) for table in tables]
    if not sum(map(len, chosen)):
        raise StreamError(f"split {split!r} of view {view!r} has no windows; {_describe_splits(tables)}")
    shard = np.repeat(np.arange(len(tables)), [len(rows) for rows in chosen])
    rows = SplitRows(shard, np.concatenate(chosen).astype(np.int64), None)
    label = rows.pick(tables, "label_index").fill_null(NO_LABEL).to_numpy(zero_copy_only=False)
    label = label.astype(np.int64)
    return SplitRows(rows.shard, rows.row, label if (label != NO_LABEL).any() else None)


def _describe_splits(tables: Sequence[pa.Table]) -> str:
    counts = Counter(name for table in tables for name in table["split"].to_pylist())
    shown = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items(), key=str))
    return f"it has windows in: {shown}" if shown else "the view has no windows at all"
