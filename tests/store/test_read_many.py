"""Columns of many table shards and roots of many array shards, as a stream opens them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorloom.store.address import open_objects
from sensorloom.store.errors import MalformedObjectError, MissingObjectError
from sensorloom.store.layout import shard_key, shard_marker
from sensorloom.store.manifest import Shard
from sensorloom.store.zarr_metadata import ArraySpec


def table(rows, start=0):
    return pa.table(
        {
            "window_id": [f"take@{start + row}" for row in range(rows)],
            "start_ns": pa.array(range(start, start + rows), pa.int64()),
            "label_index": pa.array([None if row % 3 else row for row in range(rows)], pa.int16()),
            "texts": pa.array([[{"text": "a", "slot": row}] for row in range(rows)]),
        }
    )


@pytest.fixture
def tables(repo, work):
    """Three table shards, one of them empty."""
    return [
        repo.write_table(f"{at:02d}", table(rows, 10 * at), work=work) for at, rows in enumerate((3, 0, 5))
    ]


@pytest.fixture
def roots(repo, work):
    """Two array shards of different shapes."""
    return [
        repo.write_arrays(
            f"{rows:02d}",
            {"imu": np.ones((rows, 6, 10), np.float32), "deep/er": np.zeros((0, 2), np.bool_)},
            rows=rows,
            attributes={"rows": rows, "view": {"name": "primus"}},
            work=work,
        )
        for rows in (2, 4)
    ]


class TestTables:
    def test_columns_come_in_the_order_asked_for(self, repo, tables):
        columns = ["texts", "window_id", "label_index"]
        read = repo.read_tables(tables, columns)
        assert [part.schema.names for part in read] == [columns] * 3
        for part, shard in zip(read, tables, strict=True):
            assert part.equals(repo.read_table(shard).select(columns))

    def test_shards_come_in_the_order_asked_for(self, repo, tables):
        read = repo.read_tables([tables[2], tables[0], tables[2]], ["start_ns"])
        starts = [part["start_ns"].to_pylist() for part in read]
        assert starts == [[20, 21, 22, 23, 24], [0, 1, 2], [20, 21, 22, 23, 24]]

    def test_no_shard_and_no_column_are_legal(self, repo, tables):
        assert repo.read_tables([], ["start_ns"]) == []
        assert [part.shape for part in repo.read_tables(tables, [])] == [(3, 0), (0, 0), (5, 0)]

    def test_a_column_that_a_shard_lacks_is_named_with_the_shard(self, repo, tables, work):
        older = repo.write_table("99", table(2).drop_columns(["label_index"]), work=work)
        with pytest.raises(
            MalformedObjectError,
            match=r"shard 99, shards/.*\.parquet in store .* lacks the columns label_index; it has window_id, "
            r"start_ns, texts\. Another version wrote it: write its table again with this one",
        ):
            repo.read_tables([*tables, older], ["window_id", "label_index"])

    def test_a_part_of_a_column_is_no_column(self, repo, tables):
        with pytest.raises(
            MalformedObjectError, match=r"lacks the columns texts\.list, take_id; it has window"
        ):
            repo.read_tables(tables, ["texts.list", "window_id", "take_id"])

    def test_another_count_of_rows_is_refused(self, repo, tables):
        stated = Shard(**{**fields(tables[0]), "rows": 4})
        with pytest.raises(
            MalformedObjectError,
            match=r"shard 00, .* holds 3 rows, its manifest says 4; run `sensorloom verify`",
        ):
            repo.read_tables([stated], ["window_id"])

    def test_what_is_no_parquet_is_named(self, repo, tables, objects):
        objects.put(shard_key(tables[2].digest, "parquet"), b"PAR1 not really PAR1")
        with pytest.raises(
            MalformedObjectError, match=r"shard 02, shards/.* is not a readable Parquet file: "
        ):
            repo.read_tables(tables, ["window_id"])

    def test_damage_inside_a_column_is_named(self, repo, tables, objects):
        key = shard_key(tables[2].digest, "parquet")
        data = bytearray(objects.get(key))
        chunk = pq.read_metadata(pa.BufferReader(data)).row_group(0).column(0)
        data[chunk.dictionary_page_offset : chunk.dictionary_page_offset + chunk.total_compressed_size] = (
            bytes(chunk.total_compressed_size)
        )
        objects.put(key, bytes(data))
        with pytest.raises(
            MalformedObjectError, match=r"shard 02, shards/.* is not a readable Parquet file: "
        ):
            repo.read_tables(tables, ["window_id"])
        assert repo.read_tables(tables, ["start_ns"])[2].num_rows == 5

    def test_a_shard_that_is_gone_is_named(self, repo, tables, objects):
        key = shard_key(tables[0].digest, "parquet")
        objects.delete([key])
        with pytest.raises(MissingObjectError, match=f"{key} in store .* is missing although it is named"):
            repo.read_tables(tables, ["window_id"])


class TestRoots:
    def test_roots_tell_arrays_rows_and_attributes(self, repo, roots):
        read = repo.array_roots(roots[::-1])
        assert [root.rows for root in read] == [4, 2]
        assert [root.attributes for root in read] == [
            {"rows": 4, "view": {"name": "primus"}},
            {"rows": 2, "view": {"name": "primus"}},
        ]
        assert read[0].arrays == {
            "imu": ArraySpec((4, 6, 10), "float32"),
            "deep/er": ArraySpec((0, 2), "bool"),
        }
        assert repo.array_roots([]) == []

    def test_another_count_of_rows_is_refused(self, repo, roots):
        stated = Shard(**{**fields(roots[1]), "rows": 5})
        with pytest.raises(
            MalformedObjectError,
            match=r"shard 04, .*zarr\.json in store .* holds 4 rows, its manifest says 5; run `sensorloom ver",
        ):
            repo.array_roots([roots[0], stated])

    def test_a_root_that_is_not_canonical_is_refused(self, repo, roots, objects):
        key = shard_marker(roots[1].digest, "zarr")
        objects.put(key, bytes(objects.get(key)).replace(b'"zarr_format":3', b'"zarr_format": 3', 1))
        with pytest.raises(
            MalformedObjectError, match=r"shard 04, .* is not the root of a shard as sensorloom writes it"
        ):
            repo.array_roots(roots)

    def test_a_root_that_is_gone_is_named(self, repo, roots, objects):
        key = shard_marker(roots[0].digest, "zarr")
        objects.delete([key])
        with pytest.raises(MissingObjectError, match=f"{key} in store .* is missing although it is named"):
            repo.array_roots(roots)


def test_all_are_fetched_by_one_call(repo, tables, roots, hooked, monkeypatch):
    asked = []
    inner = open_objects(repo.url)
    watched = hooked(repo)
    objects_of = type(watched._objects)
    monkeypatch.setattr(
        objects_of, "get_all", lambda _, keys: asked.append(len(keys)) or inner.get_all(keys), raising=False
    )
    watched.read_tables(tables, ["window_id"])
    watched.array_roots(roots)
    assert asked == [3, 2]


def fields(shard):
    return {name: getattr(shard, name) for name in Shard.__slots__}
