import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.store import layout
from sensorloom.store.errors import InvalidNameError

DIGEST = hashlib.sha256(b"x").hexdigest()


def test_bucket_is_the_sha256_of_the_unit_modulo_the_number_of_buckets():
    expected = int(hashlib.sha256(b"pamap2/protocol/subject101").hexdigest(), 16) % 64
    assert layout.bucket_of("pamap2/protocol/subject101") == f"{expected:02d}"


@given(st.text(), st.integers(1, 5000))
def test_buckets_lie_in_range_and_have_one_width(unit, num_buckets):
    bucket = layout.bucket_of(unit, num_buckets)
    assert 0 <= int(bucket) < num_buckets
    assert len(bucket) == max(2, len(str(num_buckets - 1)))


def test_buckets_below_one_are_refused():
    with pytest.raises(InvalidNameError, match="num_buckets must be at least 1, got 0"):
        layout.bucket_of("x", 0)


def test_keys_follow_the_documented_layout():
    assert layout.shard_key(DIGEST, "zarr") == f"shards/{DIGEST[:2]}/{DIGEST}.zarr"
    assert layout.shard_key(DIGEST, "parquet") == f"shards/{DIGEST[:2]}/{DIGEST}.parquet"
    assert layout.shard_marker(DIGEST, "zarr") == f"shards/{DIGEST[:2]}/{DIGEST}.zarr/zarr.json"
    assert layout.work_record_key(DIGEST) == f"work/{DIGEST[:2]}/{DIGEST}.json"
    assert layout.manifest_key(DIGEST) == f"manifests/{DIGEST}.json"
    assert layout.snapshot_key(DIGEST) == f"snapshots/{DIGEST}.json"
    assert layout.lease_key("run-1") == "leases/run-1.json"
    assert layout.ref_key("main", 12) == "refs/main/0000000012.json"


@given(st.integers(1, 10**10 - 1), st.integers(1, 10**10 - 1))
def test_ref_keys_sort_as_their_numbers_and_read_back(left, right):
    keys = [layout.ref_key("main", left), layout.ref_key("main", right)]
    assert (keys[0] < keys[1]) == (left < right)
    assert [layout.ref_sequence(key) for key in keys] == [left, right]


def test_foreign_objects_are_recognised():
    assert layout.ref_sequence("refs/main/notes.txt") is None
    assert layout.shard_of_object("shards/README") is None
    assert layout.shard_of_object(f"shards/zz/{DIGEST}.parquet") is None
    assert layout.shard_of_object(f"shards/{DIGEST[:2]}/{DIGEST}.parquet.bak") is None
    assert layout.record_digest("manifests/notes.json") is None
    assert layout.record_digest(f"work/{DIGEST[:2]}/{DIGEST}.json") == DIGEST


@pytest.mark.parametrize("name", ["", "Main", "-x", "a/b", "..", ".x", "a b", "main\n"])
def test_ref_names_that_could_escape_are_refused(name):
    with pytest.raises(InvalidNameError, match=r"ref name .* must be a lower-case letter or digit"):
        layout.check_ref_name(name)


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/../b", ".", "a\\b", "a\nb", "x" * 513])
def test_shard_keys_that_could_escape_are_refused(key):
    with pytest.raises(InvalidNameError, match="must be printable segments joined by '/'"):
        layout.check_shard_key(key)


@pytest.mark.parametrize("key", ["07", "realworld/proband4/climbingup/2", "har-pamap2.07", "Übung (1)"])
def test_shard_keys_of_every_data_set_pass(key):
    assert layout.check_shard_key(key) == key


@pytest.mark.parametrize(
    "name", ["", "../x", "a/../b", "/a", "a/", "zarr.json", "a/zarr.json", "__x", ".x", "a b"]
)
def test_array_names_that_could_escape_are_refused(name):
    with pytest.raises(InvalidNameError, match=r"array name .* must be segments"):
        layout.check_array_name(name)


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n"])
def test_digests_that_are_none_are_refused(digest):
    with pytest.raises(InvalidNameError, match=r"shard digest .* must be 64 lower-case hex digits"):
        layout.shard_key(digest, "zarr")


def test_unknown_shard_format_lists_the_known():
    with pytest.raises(InvalidNameError, match="shard format 'csv' must be one of zarr, parquet"):
        layout.shard_key(DIGEST, "csv")


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_table_and_run_names_are_checked(name):
    with pytest.raises(InvalidNameError, match=r"table name .* must be a letter or digit"):
        layout.check_table_name(name)
    with pytest.raises(InvalidNameError, match=r"run id .* must be a letter or digit"):
        layout.check_run_id(name)


@pytest.mark.parametrize("sequence", [0, -1, 10**10])
def test_sequences_out_of_range_are_refused(sequence):
    with pytest.raises(InvalidNameError, match=r"sequence -?\d+ of ref main must lie in"):
        layout.ref_key("main", sequence)
