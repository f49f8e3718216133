import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.store.errors import InvalidNameError, MalformedObjectError
from sensorloom.store.manifest import (
    Manifest,
    Ref,
    Shard,
    Snapshot,
    WorkRecord,
    decode_manifest,
    decode_ref,
    decode_snapshot,
    decode_work,
    encode_manifest,
    encode_ref,
    encode_snapshot,
    encode_work,
    work_key,
)

DIGEST = "ab" * 32
SHARD = Shard("07", "zarr", DIGEST, 3, 120, "cd" * 32)
REF = Ref("main", 2, DIGEST, None, {"run": "r", "numbers": [1, 2.5]}, "2026-01-01T00:00:00+00:00", "first")
RECORD = WorkRecord("ef" * 32, "align", "pamap2/x", (SHARD,), {"findings": ({"rule": "gap", "ms": 1.5},)})

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
keys = st.from_regex(r"[a-z0-9]{1,6}(/[a-z0-9]{1,6})?", fullmatch=True)
shards = st.builds(
    Shard,
    keys,
    st.sampled_from(["zarr", "parquet"]),
    digests,
    st.integers(0, 2**60),
    st.integers(0, 2**60),
    digests,
)
manifests = st.lists(shards, unique_by=lambda shard: shard.key).map(Manifest.of)


@given(manifests)
def test_manifests_survive_and_equal_ones_have_equal_digests(manifest):
    again = decode_manifest(encode_manifest(manifest), "m.json")
    assert again == manifest
    assert again.digest == manifest.digest


@given(manifests, manifests)
def test_updates_do_what_a_dict_does(manifest, other):
    changes = {shard.key: shard for shard in other.shards} | {
        shard.key: None for shard in manifest.shards[::3]
    }
    model = {shard.key: shard for shard in manifest.shards} | changes
    updated = manifest.updated(changes)
    assert {shard.key: shard for shard in updated.shards} == {k: v for k, v in model.items() if v is not None}
    assert all(updated.get(key) == shard for key, shard in model.items())
    assert updated.rows == sum(shard.rows for shard in model.values() if shard)


def test_every_record_survives_and_pickles():
    snapshot = Snapshot({"takes": DIGEST, "windows:har-pamap2": DIGEST})
    assert decode_snapshot(encode_snapshot(snapshot), "s") == snapshot
    assert decode_ref(encode_ref(REF), "r") == REF
    assert decode_work(encode_work(RECORD), "w") == RECORD
    for record in (SHARD, REF, RECORD, snapshot, Manifest((SHARD,))):
        assert pickle.loads(pickle.dumps(record)) == record


def test_a_snapshot_holds_its_tables_and_nothing_else():
    assert json.loads(encode_snapshot(Snapshot({"takes": DIGEST}))) == {"tables": {"takes": DIGEST}}
    assert Snapshot({"a": DIGEST, "b": DIGEST}).id == Snapshot({"b": DIGEST, "a": DIGEST}).id


def test_the_work_key_depends_on_everything_that_goes_in():
    base = work_key("align", 1, {"a": 1, "b": 2}, {"rate": 200})
    assert base == work_key("align", 1, {"b": 2, "a": 1}, {"rate": 200})
    others = {
        work_key("embed", 1, {"a": 1, "b": 2}, {"rate": 200}),
        work_key("align", 2, {"a": 1, "b": 2}, {"rate": 200}),
        work_key("align", 1, {"a": 1, "b": 3}, {"rate": 200}),
        work_key("align", 1, {"a": 1, "b": 2}, {"rate": 100}),
    }
    assert len(others | {base}) == 5
    assert len(base) == 64


def test_manifests_out_of_order_or_with_doubled_keys_are_refused():
    other = Shard("06", "zarr", DIGEST, 3, 120, "cd" * 32)
    with pytest.raises(InvalidNameError, match="manifest keys must rise and be unique, got '07' before '06'"):
        Manifest((SHARD, other))
    with pytest.raises(InvalidNameError, match="got '07' before '07'"):
        Manifest.of([SHARD, SHARD])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "../../etc"}, "shard key '../../etc' must be printable segments"),
        ({"digest": "../" + "a" * 61}, "shard digest .* must be 64 lower-case hex digits"),
        ({"work": "x"}, "work key 'x' must be 64 lower-case hex digits"),
        ({"format": "exe"}, "format must be one of zarr, parquet, got str 'exe'"),
        ({"rows": -1}, "rows must be an integer of at least 0, got int -1"),
        ({"rows": True}, "rows must be an integer of at least 0, got bool True"),
        ({"extra": 1}, r"shards\[0\] has unknown key 'extra'"),
    ],
)
def test_a_hostile_manifest_is_refused(change, message):
    row = json.loads(encode_manifest(Manifest((SHARD,))))["shards"][0]
    data = json.dumps({"shards": [row | change]}).encode()
    with pytest.raises(MalformedObjectError, match=f"^m.json.*{message}"):
        decode_manifest(data, "m.json")


@pytest.mark.parametrize("tables", [{"../x": DIGEST}, {"takes": "../../secret"}])
def test_a_hostile_snapshot_is_refused(tables):
    with pytest.raises(MalformedObjectError, match=r"s.json: (table name|manifest digest)"):
        decode_snapshot(json.dumps({"tables": tables}).encode(), "s.json")


def test_impossible_shards_refs_and_records_are_refused():
    with pytest.raises(InvalidNameError, match="shard '07' has -1 rows and 0 bytes; both must be at least 0"):
        Shard("07", "zarr", DIGEST, -1, 0, DIGEST)
    with pytest.raises(InvalidNameError, match="sequence of ref main must be at least 1, got 0"):
        Ref("main", 0, DIGEST, None, {}, "", "")
    with pytest.raises(InvalidNameError, match="parent snapshot id 'x' must be 64"):
        Ref("main", 1, DIGEST, "x", {}, "", "")
    with pytest.raises(InvalidNameError, match="work key 'x' must be 64"):
        WorkRecord("x", "align", "t", (), {})
