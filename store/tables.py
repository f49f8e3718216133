"""Table shards: one Parquet file each, the same bytes for equal tables.

pyarrow and polars are imported where they are used: a process that only plans or lists starts half a second
sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensorloom.store.errors import MalformedObjectError, UnsupportedDataError
from sensorloom.store.objects import Buffer, reason_of

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["decode_columns", "decode_table", "encode_table", "frame_of_tables", "table_rows"]

# A row group is what readers fetch at once: 65,536 rows of the tables here are 5 to 30 MB.
_ROWS_PER_GROUP = 1 << 16


def encode_table(table: pa.Table) -> bytes:
    """Return `table` as Parquet; equal columns give equal bytes, however chunked and whatever the metadata.

    Raises `UnsupportedDataError` for column types Parquet cannot hold.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    bare = pa.schema([field.remove_metadata() for field in table.schema])
    plain = pa.table(table.combine_chunks().columns, schema=bare)
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(
            plain,
            sink,
            version="2.6",
            compression="zstd",
            compression_level=3,
            row_group_size=_ROWS_PER_GROUP,
            write_page_index=True,
            # Arrow's own schema names list items as the table in memory happened to: not content.
            store_schema=False,
        )
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UnsupportedDataError(f"Parquet cannot hold this table: {reason_of(error)}") from error
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode_table(data: Buffer, where: str) -> pa.Table:
    """Read a whole Parquet file.

    On one thread: Arrow's own may let go of `data` a moment later, and need the interpreter's lock for that. Where the
    interpreter is just ending, the process is then aborted after all its work (exit code 134).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not pq.read_table: it brings in the machinery of datasets, at its first use a quarter of a second.
        return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise MalformedObjectError(f"{where} is not a readable Parquet file: {reason_of(error)}") from error


def decode_columns(data: Buffer, columns: Sequence[str], where: str) -> pa.Table:
    """Read some columns of a Parquet file, in the order asked for; one that it lacks is refused.

    On one thread, as `decode_table`; files of a few thousand rows are read sooner than threads are woken.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = file.schema_arrow.names
        lacking = [name for name in columns if name not in names]
        if not lacking:
            return file.read(columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise MalformedObjectError(f"{where} is not a readable Parquet file: {reason_of(error)}") from error
    raise MalformedObjectError(
        f"{where} lacks the columns {', '.join(lacking)}; it has {', '.join(names) or 'none'}. "
        "Another version wrote it: write its table again with this one"
    )


def table_rows(data: Buffer, where: str) -> int:
    """Return the row count from the footer of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(pa.BufferReader(data)).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise MalformedObjectError(f"{where} is not a readable Parquet file: {reason_of(error)}") from error


def frame_of_tables(tables: Sequence[pa.Table]) -> pl.LazyFrame:
    """Return tables of one schema, one below the other."""
    import polars as pl

    frames = [pl.DataFrame(pl.from_arrow(table)) for table in tables]
    return pl.concat(frames).lazy()
