"""Contender: Lance (pylance) with its own sampler for torch, which shuffles whole batches of neighbouring rows.

Row by row (`take` of 256 random rows) it is many times slower, so this is its best, with a shuffle that is weaker than
that of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
from epochs import BATCH, Rows, measure, parse_peer
from harness import emit
from lance.sampler import ShardedBatchSampler
from lance.torch.data import LanceDataset

WRITE_ROWS = 4096
# Of 1, 2, 4, 8, 16 (its default) and 32 batches, 4 and 8 were fastest on two cores.
READAHEAD = 8


def main() -> None:
    arguments = parse_peer(__doc__, _write)
    dataset = lance.dataset(str(arguments.data))
    seeds = iter(range(1_000))

    def epoch() -> Iterator[Rows]:
        sampler = ShardedBatchSampler(0, 1, randomize=True, seed=next(seeds))
        for batch in LanceDataset(dataset, BATCH, batch_readahead=READAHEAD, sampler=sampler):
            yield Rows(*(batch[name].numpy() for name in Rows._fields))

    emit(measure(epoch, dataset.count_rows()))


def _write(rows: Rows, folder: Path) -> None:
    starts = range(0, len(rows.number), WRITE_ROWS)
    batches = [_batch(Rows(*(array[start : start + WRITE_ROWS] for array in rows))) for start in starts]
    lance.write_dataset(iter(batches), str(folder), schema=batches[0].schema)


def _batch(rows: Rows) -> pa.RecordBatch:
    lists = [
        pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).reshape(-1)), array.shape[1])
        for array in rows[:3]
    ]
    return pa.RecordBatch.from_arrays([*lists, pa.array(rows.number)], names=list(Rows._fields))


if __name__ == "__main__":
    main()
