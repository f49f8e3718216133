"""Contender: Hugging Face `datasets`, map-style, a batch of random rows at a time as raw Arrow.

It takes a list of places sooner than an array of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value
from epochs import BATCH, Rows, measure, parse_peer
from harness import emit
from numpy.typing import NDArray

WRITE_ROWS = 1000


def main() -> None:
    arguments = parse_peer(__doc__, _write)
    dataset = Dataset.load_from_disk(str(arguments.data)).with_format("arrow")
    seeds = iter(range(1_000))

    def batches() -> Iterator[list[int]]:
        order = np.random.default_rng(next(seeds)).permutation(len(dataset)).tolist()
        return (order[start : start + BATCH] for start in range(0, len(order), BATCH))

    emit(measure(lambda: (_rows(dataset[batch]) for batch in batches()), len(dataset)))


def _write(rows: Rows, folder: Path) -> None:
    kinds = {"imu": "float32", "video": "float16", "text": "float16"}
    lists = {name: List(Value(kinds[name]), getattr(rows, name).shape[1]) for name in kinds}
    features = Features({**lists, "number": Value("int64")})

    def parts() -> Iterator[pa.Table]:
        for start in range(0, len(rows.number), WRITE_ROWS):
            yield _table(Rows(*(array[start : start + WRITE_ROWS] for array in rows)), features)

    Dataset(pa.concat_tables(parts())).save_to_disk(str(folder), num_proc=1)


def _table(rows: Rows, features: Features) -> pa.Table:
    lists = [
        pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).reshape(-1)), array.shape[1])
        for array in rows[:3]
    ]
    return pa.table([*lists, pa.array(rows.number)], schema=features.arrow_schema)


def _rows(table: pa.Table) -> Rows:
    return Rows(*(_flat(table[name]) for name in Rows._fields))


def _flat(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return numbers [n] or lists of equal length [n, m] as numpy, without a detour by Python objects."""
    array = column.combine_chunks()
    if not pa.types.is_fixed_size_list(array.type):
        return array.to_numpy(zero_copy_only=False)
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), -1)


if __name__ == "__main__":
    main()
