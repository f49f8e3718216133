"""Every kind of damage is found and named."""

import json

import pytest

from sensorloom.store.canonical import canonical_json, digest_of
from sensorloom.store.layout import ref_key, shard_key
from sensorloom.store.transaction import Put


@pytest.fixture
def stored(repo, commit, put_table, put_arrays, objects):
    table, arrays = put_table(repo, "01", [1, 2]), put_arrays(repo, "take/1", rows=3)
    commit(repo, table, arrays)
    return table.shard, arrays.shard


def problems_of(repo):
    report = repo.verify()
    assert not report.ok
    return [str(problem) for problem in report.problems]


def test_a_whole_store_is_counted(repo, stored, commit, put_table):
    commit(repo, put_table(repo, "01", [1, 2, 3]))
    report = repo.verify()
    assert report.ok
    assert report.problems == ()
    assert (report.counts["refs"], report.counts["snapshots"], report.counts["manifests"]) == (2, 2, 3)
    assert (report.counts["shards"], report.counts["rows"]) == (3, 2 + 3 + 3)
    assert report.counts["bytes"] > 0


def test_a_store_without_a_commit_is_whole_and_empty(repo, commit, put_table):
    put = put_table(repo, "01", [1])
    report = repo.verify()
    assert (report.ok, report.is_empty, report.counts["refs"]) == (True, True, 0)
    commit(repo, put)
    assert not repo.verify().is_empty


def test_a_store_whose_only_ref_is_broken_is_not_empty(repo, stored, objects):
    objects.put(ref_key("main", 1), b"{}")
    report = repo.verify()
    assert (report.ok, report.is_empty) == (False, False)


def test_progress_is_told(repo, stored):
    told = []
    repo.verify(lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_missing_table_shard(repo, stored, objects):
    key = shard_key(stored[0].digest, "parquet")
    objects.delete([key])
    (problem,) = problems_of(repo)
    assert problem.startswith(f"{key} (table takes, shard 01): {key} in store {repo.url} is missing although")


def test_a_flipped_bit_in_a_table_shard(repo, stored, objects):
    key = shard_key(stored[0].digest, "parquet")
    data = bytearray(bytes(objects.get(key)))
    data[10] ^= 1
    objects.put(key, bytes(data))
    (problem,) = problems_of(repo)
    assert problem.startswith(f"{key} (table takes, shard 01): its sha256 is ")


def test_a_truncated_table_shard(repo, stored, objects):
    key = shard_key(stored[0].digest, "parquet")
    objects.put(key, bytes(objects.get(key))[:-1])
    first, second = problems_of(repo)
    assert f"holds {stored[0].num_bytes - 1} bytes, its manifest says {stored[0].num_bytes}" in first
    assert "its sha256 is" in second


def test_a_flipped_bit_in_an_array_shard(repo, stored, objects):
    key = shard_key(stored[1].digest, "zarr")
    data = bytearray(bytes(objects.get(f"{key}/chest/values/c/0/0")))
    data[0] ^= 1
    objects.put(f"{key}/chest/values/c/0/0", bytes(data))
    (problem,) = problems_of(repo)
    assert problem.startswith(f"{key} (table streams, shard take/1): the digest of its files is ")


def test_missing_truncated_and_foreign_files_of_an_array_shard(repo, stored, objects):
    key = shard_key(stored[1].digest, "zarr")
    objects.delete([f"{key}/chest/zarr.json"])
    objects.put_all([(f"{key}/times_ns/c/0", b"short"), (f"{key}/stray", b"x")])
    text = "\n".join(problems_of(repo))
    assert "file chest/zarr.json is missing" in text
    assert "file times_ns/c/0 holds 5 bytes, must hold 24" in text
    assert "file stray does not belong there" in text
    assert f"bytes, its manifest says {stored[1].num_bytes}" in text


def test_a_missing_marker(repo, stored, objects):
    key = shard_key(stored[1].digest, "zarr")
    objects.delete([f"{key}/zarr.json"])
    (problem,) = problems_of(repo)
    assert f"{key}/zarr.json in store {repo.url} is missing" in problem


def test_row_counts_that_are_not_true(repo, commit, stored):
    from dataclasses import replace

    commit(repo, Put("takes", replace(stored[0], rows=9)), Put("streams", replace(stored[1], rows=9)))
    text = "\n".join(problems_of(repo))
    assert "(table takes, shard 01): holds 2 rows, its manifest says 9" in text
    assert "(table streams, shard take/1): holds 3 rows, its manifest says 9" in text


def test_missing_and_altered_manifests_and_snapshots(repo, stored, objects):
    snapshot = repo.resolve("main")
    objects.delete([f"manifests/{snapshot.tables['takes']}.json"])
    key = f"manifests/{snapshot.tables['streams']}.json"
    objects.put(key, bytes(objects.get(key)) + b" ")
    text = "\n".join(problems_of(repo))
    assert f"manifests/{snapshot.tables['takes']}.json in store {repo.url} is missing" in text
    assert f"{key} in store {repo.url} is not what its name says" in text
    objects.delete([f"snapshots/{snapshot.id}.json"])
    (problem,) = problems_of(repo)
    assert f"snapshots/{snapshot.id}.json in store {repo.url} is missing" in problem


def test_broken_histories(repo, stored, commit, put_table, objects):
    commit(repo, put_table(repo, "01", [5]))
    commit(repo, put_table(repo, "01", [6]))
    key = "refs/main/0000000003.json"
    ref = json.loads(bytes(objects.get(key)))
    objects.put(key, canonical_json(ref | {"parent": digest_of(b"elsewhere")}))
    (problem,) = problems_of(repo)
    assert problem.startswith(
        f"{key}: its parent is {digest_of(b'elsewhere')}, but the commit before it published "
    )
    objects.delete(["refs/main/0000000002.json"])
    (problem,) = problems_of(repo)
    assert problem == "refs/main/0000000002.json: missing, although commit 3 follows it"
    objects.put(key, b"{}")
    (problem,) = problems_of(repo)
    assert f"{key} in store {repo.url} lacks key 'name'" in problem


def test_a_damaged_shard_heals_by_removing_it_and_working_again(repo, stored, objects, put_table):
    key = shard_key(stored[0].digest, "parquet")
    objects.put(key, b"x" * stored[0].num_bytes)
    assert not repo.verify().ok
    objects.delete([key])
    assert put_table(repo, "01", [1, 2]).shard == stored[0]
    assert repo.verify().ok
