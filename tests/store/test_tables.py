import subprocess
import sys
from itertools import pairwise

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.store.errors import MalformedObjectError, UnsupportedDataError
from sensorloom.store.layout import shard_key
from sensorloom.store.tables import encode_table
from sensorloom.store.transaction import Put

TABLE = pa.table(
    {
        "window_id": ["a@1", "b@2", None],
        "start_ns": pa.array([1, 2, 3], pa.int64()),
        "label_index": pa.array([-1, 0, 1], pa.int16()),
        "coverage": pa.array([[0.5, 1.0], [], None], pa.list_(pa.float32())),
        "numbers": pa.array([[{"name": "gap_ms", "value": 1.5}], [], []]),
    }
)


def test_a_table_survives(repo, work):
    shard = repo.write_table("07", TABLE, work=work)
    assert repo.read_table(shard).equals(TABLE)
    assert (shard.rows, shard.format, shard.key) == (3, "parquet", "07")


def test_zero_rows_and_zero_columns_are_legal(repo, work):
    empty = TABLE.slice(0, 0)
    assert repo.read_table(repo.write_table("07", empty, work=work)).equals(empty)
    nothing = pa.table({})
    assert repo.read_table(repo.write_table("08", nothing, work=work)).num_columns == 0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9) | st.none(), max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_equal_tables_have_equal_bytes_however_chunked_and_annotated(values, cuts):
    column = pa.array(values, pa.int64())
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    pieces = [column.slice(a, b - a) for a, b in pairwise(bounds)]
    chunked = pa.table({"x": pa.chunked_array(pieces, pa.int64())}).replace_schema_metadata(
        {"pandas": "noise"}
    )
    assert encode_table(chunked) == encode_table(pa.table({"x": column}))


def test_field_metadata_does_not_change_the_bytes():
    schema = pa.schema([pa.field("x", pa.int64(), metadata={"unit": "m"})])
    assert encode_table(pa.table({"x": [1]}, schema=schema)) == encode_table(pa.table({"x": [1]}))


def test_scan_reads_all_shards_in_key_order(repo, work, commit, put_table):
    commit(repo, put_table(repo, "10", [3, 4]), put_table(repo, "02", [1, 2]), put_table(repo, "30", []))
    frame = repo.scan(repo.resolve("main"), "takes")
    assert isinstance(frame, pl.LazyFrame)
    assert frame.collect()["value"].to_list() == [1, 2, 3, 4]
    assert frame.filter(pl.col("value") > 2).select(pl.len()).collect().item() == 2


def test_scan_of_a_table_that_is_not_there_is_empty(repo, commit, put_table):
    commit(repo, put_table(repo, "10", [3]))
    frame = repo.scan(repo.resolve("main"), "nothing").collect()
    assert frame.shape == (0, 0)


def test_plain_polars_reads_a_local_shard(local_repo, work):
    shard = local_repo.write_table("07", TABLE, work=work)
    path = f"{local_repo.url}/{shard_key(shard.digest, 'parquet')}"
    frame = pl.scan_parquet(path).collect()
    assert frame["coverage"].to_list() == [[0.5, 1.0], [], None]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_scan_keeps_nested_columns(repo, work, commit):
    commit(repo, Put("windows:har", repo.write_table("07", TABLE, work=work)))
    frame = repo.scan(repo.resolve("main"), "windows:har").collect()
    assert frame["numbers"].to_list()[0] == [{"name": "gap_ms", "value": 1.5}]
    assert frame.schema["label_index"] == pl.Int16


def test_a_broken_file_is_named(repo, work, objects):
    shard = repo.write_table("07", TABLE, work=work)
    objects.put(shard_key(shard.digest, "parquet"), b"PAR1 not really PAR1")
    with pytest.raises(
        MalformedObjectError, match=r"shards/.*\.parquet in store .* is not a readable Parquet file"
    ):
        repo.read_table(shard)


def test_a_truncated_shard_is_written_again(repo, work, objects):
    shard = repo.write_table("07", TABLE, work=work)
    objects.put(shard_key(shard.digest, "parquet"), b"PAR1")
    repo.write_table("07", TABLE, work=work)
    assert repo.read_table(shard).equals(TABLE)


def test_a_type_parquet_lacks_is_refused():
    column = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(UnsupportedDataError, match="Parquet cannot hold this table: "):
        encode_table(pa.table({"x": column}))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
@pytest.mark.parametrize(
    "read", ["decode_table(data, 'x')", "decode_columns(data, ['numbers', 'coverage'], 'x')"]
)
def test_no_thread_of_arrow_is_left_with_bytes_of_python(tmp_path, read):
    """One that lets go of them while the interpreter ends aborts the process."""
    (tmp_path / "table.parquet").write_bytes(encode_table(TABLE))
    code = (
        "import os, sys; from pathlib import Path; "
        "import pyarrow.parquet; from sensorloom.store.tables import decode_columns, decode_table; "
        "data = Path(sys.argv[1]).read_bytes(); before = len(os.listdir('/proc/self/task')); "
        f"assert {read}.num_rows == 3; print(len(os.listdir('/proc/self/task')) - before)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "table.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
