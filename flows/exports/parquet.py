"""Parquet as Hugging Face datasets and polars read it: tensors as nested lists of fixed size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sensorloom.flows.exports.windows import ROW_SCHEMA, Windows

__all__ = ["ParquetFile"]


class ParquetFile:
    """One Parquet file; equal windows give equal bytes.

    A row has the columns of the window table, every array as a list of fixed shape, and `text_vectors`, a list of
    vectors in the order of its `texts`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, windows: Windows) -> None:
        """Add the windows as one row group."""
        table = _table(windows)
        if self._writer is None:
            words = [field.name for field in ROW_SCHEMA]
            # Tensors hardly repeat: a dictionary of their values would only be thrown away.
            self._writer = pq.ParquetWriter(
                self._path, table.schema, version="2.6", compression="zstd", use_dictionary=words
            )
        self._writer.write_table(table, row_group_size=max(1, len(windows)))

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            self._writer.close()


def _table(windows: Windows) -> pa.Table:
    table = pa.Table.from_pylist(list(windows.rows), schema=ROW_SCHEMA)
    for name, array in windows.arrays.items():
        table = table.append_column(name, _nested(array))
    if windows.text_vectors is None or windows.text_offsets is None:
        return table
    offsets = pa.array(windows.text_offsets.astype(np.int32))
    vectors = pa.ListArray.from_arrays(offsets, _nested(windows.text_vectors))
    return table.append_column("text_vectors", vectors)


def _nested(array: NDArray[np.generic]) -> pa.Array:
    """Return an array [n, a, b, …] as n lists of a lists of b …, each of fixed size."""
    values = pa.array(np.ascontiguousarray(array).reshape(-1))
    for length in reversed(array.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, length)
    return values
