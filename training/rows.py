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

__all__ = ["SplitRows", "select_split"]

NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class SplitRows:
    """The n windows of one split in storage order (shard by shard, row by row).

    `shard` int64[n] counts the shards of the view, `row` int64[n] the rows within one; `label` int64[n] holds
    class indices, -1 where a window has none, and is None if no window has one; `window_id` is a string array
    of n.
    """

    shard: NDArray[np.int64]
    row: NDArray[np.int64]
    label: NDArray[np.int64] | None
    window_id: pa.Array

    def __len__(self) -> int:
        return len(self.row)


def select_split(tables: Sequence[pa.Table], split: str, view: str) -> SplitRows:
    """Select the windows of `split` from the window tables of all shards, in the order of `tables`.

    Raises StreamError if the split is empty, naming the splits that are not.
    """
    chosen = [np.flatnonzero(pc.equal(table["split"], split).fill_null(False).to_numpy()) for table in tables]
    if not sum(map(len, chosen)):
        raise StreamError(f"split {split!r} of view {view!r} has no windows; {_describe_splits(tables)}")
    parts = [table.take(pa.array(rows)) for table, rows in zip(tables, chosen, strict=True)]
    picked = pa.concat_tables(part.select(["window_id", "label_index"]) for part in parts)
    label = picked["label_index"].fill_null(NO_LABEL).to_numpy().astype(np.int64)
    return SplitRows(
        shard=np.repeat(np.arange(len(tables)), [len(rows) for rows in chosen]),
        row=np.concatenate(chosen).astype(np.int64),
        label=label if (label != NO_LABEL).any() else None,
        window_id=picked["window_id"].combine_chunks(),
    )


def _describe_splits(tables: Sequence[pa.Table]) -> str:
    counts = Counter(name for table in tables for name in table["split"].to_pylist())
    shown = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items(), key=str))
    return f"it has windows in: {shown}" if shown else "the view has no windows at all"
