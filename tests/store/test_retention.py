"""Collection: what must stay stays, also while others commit."""

import threading
from pathlib import Path

import pytest

from sensorloom.store.address import open_objects
from sensorloom.store.errors import (
    ContentionError,
    DamageError,
    InvalidNameError,
    MissingObjectError,
    UsageError,
)
from sensorloom.store.layout import shard_key, shard_marker
from sensorloom.store.leases import HeldLease, Lease, decode_lease, encode_lease
from sensorloom.store.manifest import WorkRecord
from sensorloom.store.retention import RetentionPolicy

NOW = RetentionPolicy(work_age_s=0, grace_s=0)
NO_GRACE = RetentionPolicy(grace_s=0)


def keys_of(repo):
    return {info.key for info in open_objects(repo.url).walk("")}


def removed_by(report):
    return {item.key for item in report.removed}


class TestWhatStays:
    def test_everything_in_any_history_stays(self, repo, commit, put_table, put_arrays, values_of):
        for i in range(3):
            commit(repo, put_table(repo, "01", [i]), put_arrays(repo, "x", rows=i))
        commit(repo, put_table(repo, "09", [9]), ref="trial")
        before = keys_of(repo)
        assert repo.collect_garbage(policy=NOW).removed == ()
        assert keys_of(repo) == before
        assert values_of(repo, "main~2") == {"01": [0]}
        assert repo.verify().ok

    def test_what_nothing_reaches_goes_and_a_dry_run_only_tells(self, repo, commit, put_table, put_arrays):
        commit(repo, put_table(repo, "01", [1]))
        kept = keys_of(repo)
        put_table(repo, "02", [2])
        put_arrays(repo, "x")
        garbage = keys_of(repo) - kept
        told = repo.collect_garbage(dry_run=True, policy=NOW)
        assert removed_by(told) == garbage
        assert told.num_bytes == sum(
            info.num_bytes for info in open_objects(repo.url).walk("") if info.key in garbage
        )
        assert keys_of(repo) == kept | garbage
        report = repo.collect_garbage(policy=NOW)
        assert (told.dry_run, report.dry_run) == (True, False)
        assert report.removed == told.removed
        assert keys_of(repo) == kept

    def test_what_was_just_written_stays(self, repo, put_table):
        put_table(repo, "02", [2])
        assert repo.collect_garbage().removed == ()

    def test_writing_what_is_there_begins_its_grace_anew(self, local_repo, put_table, monkeypatch):
        import os

        put = put_table(local_repo, "02", [2])
        path = Path(local_repo.url, shard_key(put.shard.digest, "parquet"))
        os.utime(path, (1e9, 1e9))
        assert len(local_repo.collect_garbage(dry_run=True).removed) == 1
        put_table(local_repo, "02", [2])
        assert local_repo.collect_garbage().removed == ()

    def test_a_fresh_work_record_keeps_its_shards_and_an_old_one_does_not(self, repo, work, put_table):
        put = put_table(repo, "02", [2])
        record = WorkRecord(work, "align", "t", (put.shard,), {})
        repo.record_work(record)
        assert repo.collect_garbage(policy=NO_GRACE).removed == ()
        assert repo.find_work(work) == record
        assert len(repo.collect_garbage(policy=NOW).removed) == 2
        assert repo.find_work(work) is None

    def test_the_record_of_committed_work_stays_however_old(self, repo, work, commit, put_table):
        put = put_table(repo, "02", [2])
        repo.record_work(WorkRecord(work, "align", "t", (put.shard,), {}))
        commit(repo, put)
        assert repo.collect_garbage(policy=NOW).removed == ()
        assert repo.find_work(work) is not None

    def test_a_live_lease_keeps_what_it_holds(self, repo, put_table):
        first, second = put_table(repo, "01", [1]), put_table(repo, "02", [2])
        with HeldLease(open_objects(repo.url), "run-1", valid_s=60) as lease:
            lease.hold([first.shard.digest])
            lease.hold([second.shard.digest])
            assert repo.collect_garbage(policy=NOW).removed == ()
        assert "leases/run-1.json" not in keys_of(repo)
        assert len(repo.collect_garbage(policy=NOW).removed) == 2

    def test_an_expired_lease_keeps_nothing_and_goes(self, repo, put_table):
        put = put_table(repo, "01", [1])
        HeldLease(open_objects(repo.url), "dead", valid_s=0).hold([put.shard.digest])
        removed = removed_by(repo.collect_garbage(policy=NOW))
        assert removed == {shard_key(put.shard.digest, "parquet"), "leases/dead.json"}

    def test_stray_partial_files_go_after_their_grace(self, local_repo):
        stray = Path(local_repo.url, "partial", "stray")
        stray.write_bytes(b"half")
        assert local_repo.collect_garbage().removed == ()
        assert removed_by(local_repo.collect_garbage(policy=NOW)) == {"partial/stray"}

    def test_objects_of_others_are_never_touched(self, repo, objects):
        foreign = ["notes.txt", "shards/README", "manifests/readme.json", "other/thing"]
        objects.put_all([(key, b"mine") for key in foreign])
        assert repo.collect_garbage(policy=NOW).removed == ()


class TestRefusals:
    def test_negative_ages_are_refused(self):
        with pytest.raises(UsageError, match="work_age_s and grace_s must be at least 0 s, got 0 s and -1 s"):
            RetentionPolicy(work_age_s=0, grace_s=-1)

    def test_a_damaged_history_removes_nothing(self, repo, commit, put_table, objects):
        commit(repo, put_table(repo, "01", [1]))
        put_table(repo, "02", [2])
        objects.delete([f"snapshots/{repo.head().snapshot}.json"])
        before = keys_of(repo)
        with pytest.raises(DamageError, match=r"snapshots/.* is missing although it is named"):
            repo.collect_garbage(policy=NOW)
        assert keys_of(repo) == before

    def test_hostile_leases_are_refused(self, repo, objects):
        objects.put("leases/x.json", b'{"kind":"hold","digests":["../x"],"valid_s":1}')
        with pytest.raises(DamageError, match=r"leases/x.json in store .*: leased digest '../x' must be 64"):
            repo.collect_garbage(policy=NOW)

    def test_run_ids_that_could_escape_are_refused(self, objects):
        with pytest.raises(InvalidNameError, match=r"run id '../x' must be"):
            HeldLease(objects, "../x", valid_s=1)

    def test_leases_survive(self):
        lease = Lease("condemn", ("ab" * 32,), 5)
        assert decode_lease(encode_lease(lease), "x") == lease
        assert (lease.live_at(4.9, 0), lease.live_at(5.0, 0)) == (True, False)


class TestOrder:
    def test_a_crash_at_any_deletion_leaves_nothing_that_looks_whole(
        self, memory_repo, hooked, put_arrays, put_table, work
    ):
        class Crash(Exception):
            pass

        for fail_at in range(1, 40):
            arrays, table = put_arrays(memory_repo, "x"), put_table(memory_repo, "01", [1])
            memory_repo.record_work(WorkRecord(work, "align", "t", (arrays.shard, table.shard), {}))
            made = iter(range(1, 100))

            def crash(operation, key, made=made, fail_at=fail_at):
                if operation == "delete" and next(made) >= fail_at:
                    raise Crash

            try:
                hooked(memory_repo, before=crash).collect_garbage(policy=NOW)
            except Crash:
                record = memory_repo.find_work(work)
                marker = shard_marker(arrays.shard.digest, "zarr") in keys_of(memory_repo)
                assert (record is None) == (fail_at > 1)
                if marker:
                    assert memory_repo.open_arrays(arrays.shard)["times_ns"].shape == (3,)
            else:
                break
        assert fail_at > 8


class TestAgainstACommit:
    """A collector and a committer that meet at a chosen moment, each in its own thread."""

    def commit_in_thread(self, repo, put, waits, goes_on):
        """Start a commit that, at its first pause, tells `waits` and then waits for `goes_on`."""
        outcome = []

        def pause(_):
            waits.set()
            assert goes_on.wait(20)

        def run():
            try:
                outcome.append(repo.commit(lambda _: [put], message="m", provenance={}, pause=pause))
            except Exception as error:
                outcome.append(error)
            waits.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread, outcome

    def collect(self, repo, hooked, put, meet_before):
        """Collect; once something is condemned, at the first step `meet_before` matches, let a commit begin."""
        waits, goes_on, started = threading.Event(), threading.Event(), []
        announced = []

        def meet(operation, key):
            if key.startswith("leases/gc-"):
                announced.append(key)
            if not started and meet_before(operation, key, len(announced)):
                started.append(self.commit_in_thread(repo, put, waits, goes_on))
                assert waits.wait(20)

        report = hooked(repo, before=meet).collect_garbage(policy=NOW)
        goes_on.set()
        thread, outcome = started[0]
        thread.join(20)
        return report, outcome[0]

    def test_a_commit_about_to_publish_loses_nothing(self, repo, hooked, put_table, commit, values_of):
        put = put_table(repo, "01", [1])

        def collect(operation, key):
            if operation == "create":
                assert repo.collect_garbage(policy=NOW).removed == ()

        assert commit(hooked(repo, before=collect), put).created
        assert values_of(repo) == {"01": [1]}
        assert repo.verify().ok

    def test_a_commit_that_begins_before_the_condemnation_is_spared(self, repo, hooked, put_table, values_of):
        put = put_table(repo, "01", [1])
        report, outcome = self.collect(repo, hooked, put, lambda op, key, n: n == 2)
        assert outcome.created
        assert report.removed == ()
        assert values_of(repo) == {"01": [1]}
        assert repo.verify().ok

    def test_a_commit_that_meets_the_removal_waits_and_then_fails_cleanly(self, repo, hooked, put_table):
        put = put_table(repo, "01", [1])
        report, outcome = self.collect(
            repo, hooked, put, lambda op, key, n: op == "delete" and key.startswith("shards")
        )
        assert isinstance(outcome, MissingObjectError)
        assert len(report.removed) == 1
        assert repo.head() is None
        assert not any(key.startswith("leases/") for key in keys_of(repo))

    def test_a_commit_that_meets_a_removal_of_other_things_does_not_wait(
        self, repo, hooked, put_table, put_arrays
    ):
        put_arrays(repo, "garbage")
        waited = []

        def meet(operation, key):
            if operation == "delete" and key.startswith("shards") and not waited:
                put = put_table(repo, "01", [1])
                waited.append(repo.commit(lambda _: [put], message="m", provenance={}, pause=pytest.fail))

        hooked(repo, before=meet).collect_garbage(policy=NOW)
        assert waited[0].created
        assert repo.verify().ok

    def test_a_commit_gives_up_on_a_collection_that_does_not_end(self, repo, commit, put_table, objects):
        put = put_table(repo, "01", [1])
        objects.put("leases/gc-stuck.json", encode_lease(Lease("condemn", (put.shard.digest,), 1000)))
        with pytest.raises(
            ContentionError, match=r"a garbage collection of store .* does not end; run again"
        ):
            commit(repo, put)
        assert repo.head() is None

    def test_a_condemnation_whose_collector_died_expires(self, repo, commit, put_table, objects):
        put = put_table(repo, "01", [1])
        objects.put("leases/gc-dead.json", encode_lease(Lease("condemn", (put.shard.digest,), 0)))
        assert commit(repo, put).created
