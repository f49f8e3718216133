"""What others leave in a store's folders, and records that no longer read."""

import pytest

from sensorloom.store.errors import MalformedObjectError
from sensorloom.store.layout import lease_key, work_record_key

KEY = "ab" * 32


def test_files_of_other_programs_are_no_refs_and_no_leases(repo, objects, commit, put_table):
    head = commit(repo, put_table(repo, "01", [1]))
    for key in (
        "refs/.DS_Store",
        "refs/main/.DS_Store",
        "refs/.x/y",
        "leases/.DS_Store",
        "work/ab/.DS_Store",
    ):
        objects.put(key, b"junk")
    assert repo.refs() == ["main"]
    assert repo.resolve(head.snapshot_id[:8]).id == head.snapshot_id
    assert repo.verify().ok
    assert repo.collect_garbage().removed == ()
    assert commit(repo, put_table(repo, "01", [2])).created


def test_a_broken_work_record_is_named_with_what_to_do(repo, objects):
    objects.put(work_record_key(KEY), b"")
    with pytest.raises(MalformedObjectError, match="is not strict JSON"):
        repo.find_work(KEY)
    (problem,) = repo.verify().problems
    assert problem.object_key == work_record_key(KEY)
    assert problem.reason.endswith("; remove it to have its work done again")


def test_a_broken_lease_is_named_with_what_to_do(repo, objects):
    objects.put(lease_key("run"), b"{")
    (problem,) = repo.verify().problems
    assert problem.object_key == "leases/run.json"
    assert problem.reason.endswith("; remove it when no run is going on")
