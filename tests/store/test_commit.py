"""Publishing: what every backend does with a plan."""

import json
import threading

import pytest

from sensorloom.store.address import open_objects
from sensorloom.store.errors import (
    ConflictError,
    ContentionError,
    FormatVersionError,
    InvalidNameError,
    MalformedObjectError,
    MissingObjectError,
    NotAStoreError,
    PlanError,
    StoreWriteError,
    UnknownRefError,
    UnknownSnapshotError,
    UnsupportedDataError,
)
from sensorloom.store.layout import shard_marker
from sensorloom.store.manifest import Manifest, WorkRecord
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Drop, Put


class TestOpen:
    def test_a_place_without_a_store_is_refused(self, url):
        with pytest.raises(NotAStoreError, match=r"no sensorloom store at .*create=True"):
            Repository.open(url)

    def test_creating_twice_opens_the_same(self, repo, url, commit, put_table, values_of):
        commit(repo, put_table(repo, "07", [1]))
        assert values_of(Repository.open(url, create=True)) == {"07": [1]}

    def test_a_newer_layout_is_refused(self, repo, url, objects):
        objects.put("format.json", b'{"format":"sensorloom-store","version":2}')
        with pytest.raises(FormatVersionError, match=r"layout version 2, .* up to 1; upgrade sensorloom"):
            Repository.open(url)

    @pytest.mark.parametrize("data", [b"{}", b'{"format":"other","version":1}', b"x"])
    def test_a_foreign_format_is_refused(self, repo, url, objects, data):
        objects.put("format.json", data)
        with pytest.raises(MalformedObjectError, match=r"format.json in store"):
            Repository.open(url, create=True)

    def test_a_new_store_has_no_commit(self, repo):
        assert repo.head() is None
        assert repo.refs() == []
        with pytest.raises(UnknownRefError, match="has no ref 'main'; it has no commit yet"):
            repo.log()


class TestCommit:
    def test_what_is_put_is_read(self, repo, commit, put_table, put_arrays, values_of):
        outcome = commit(repo, put_table(repo, "07", [1, 2]), put_arrays(repo, "a/b"))
        assert outcome.created
        assert outcome.parent_id is None
        assert values_of(repo) == {"07": [1, 2]}
        snapshot = repo.resolve("main")
        assert snapshot.id == outcome.snapshot_id
        assert sorted(snapshot.tables) == ["streams", "takes"]
        assert repo.manifest(snapshot, "takes").rows == 2
        assert repo.manifest(snapshot, "nothing") == Manifest()

    def test_the_ref_tells_who_when_and_why(self, repo, put_table):
        put = put_table(repo, "07", [1])
        repo.commit(lambda _: [put], message="first", provenance={"run": "r", "raw": ["a"]})
        ref = repo.head()
        assert (ref.name, ref.sequence, ref.message, ref.parent) == ("main", 1, "first", None)
        assert ref.provenance == {"run": "r", "raw": ["a"]}
        assert ref.time.endswith("+00:00")

    def test_nothing_changed_writes_no_ref(self, repo, commit, put_table):
        put = put_table(repo, "07", [1])
        first, second = commit(repo, put), commit(repo, put, message="again")
        assert (first.created, second.created) == (True, False)
        assert second.ref == first.ref
        assert len(repo.log()) == 1

    def test_a_put_replaces_its_key_and_a_drop_removes_it(self, repo, commit, put_table, values_of):
        commit(repo, put_table(repo, "01", [1]), put_table(repo, "02", [2]), put_table(repo, "03", [3]))
        commit(
            repo, put_table(repo, "02", [20]), Drop("takes", "03"), Drop("takes", "99"), Drop("other", "x")
        )
        assert values_of(repo) == {"01": [1], "02": [20]}
        assert values_of(repo, "main~1") == {"01": [1], "02": [2], "03": [3]}

    def test_a_table_left_empty_leaves_no_trace(self, repo, commit, put_table):
        kept = put_table(repo, "01", [1])
        first = commit(repo, kept)
        commit(repo, put_table(repo, "09", [9], table="extra"))
        assert commit(repo, Drop("extra", "09")).snapshot_id == first.snapshot_id
        assert len(repo.log()) == 3

    def test_log_is_newest_first_and_chained(self, repo, commit, put_table):
        ids = [commit(repo, put_table(repo, "01", [i]), message=f"m{i}").snapshot_id for i in range(3)]
        log = repo.log()
        assert [ref.message for ref in log] == ["m2", "m1", "m0"]
        assert [ref.snapshot for ref in log] == ids[::-1]
        assert [ref.parent for ref in log] == [ids[1], ids[0], None]

    def test_refs_are_independent(self, repo, commit, put_table, values_of):
        commit(repo, put_table(repo, "01", [1]))
        commit(repo, put_table(repo, "01", [2]), ref="trial")
        assert repo.refs() == ["main", "trial"]
        assert (values_of(repo, "main"), values_of(repo, "trial")) == ({"01": [1]}, {"01": [2]})

    def test_the_plan_sees_the_head(self, repo, commit, put_table):
        put = put_table(repo, "01", [1])
        seen = []

        def plan(base):
            seen.append((base.snapshot, base.manifest("takes"), base.manifest("none")))
            return [put]

        repo.commit(plan, message="m", provenance={})
        repo.commit(plan, message="m", provenance={})
        assert seen[0] == (None, Manifest(), Manifest())
        assert seen[1] == (repo.resolve("main"), Manifest((put.shard,)), Manifest())

    def test_a_plan_that_changes_a_key_twice_is_refused(self, repo, commit, put_table):
        with pytest.raises(PlanError, match="the plan changes key '01' of table 'takes' twice"):
            commit(repo, put_table(repo, "01", [1]), Drop("takes", "01"))
        assert repo.head() is None

    def test_a_shard_that_is_missing_or_incomplete_stops_the_commit(
        self, repo, commit, put_table, put_arrays, objects
    ):
        table, arrays = put_table(repo, "01", [1]), put_arrays(repo, "02")
        objects.delete([shard_marker(table.shard.digest, "parquet")])
        with pytest.raises(
            MissingObjectError, match=r"shard '01', shards/.* is missing or incomplete, .* run its stage"
        ):
            commit(repo, table)
        prefix = shard_marker(arrays.shard.digest, "zarr").removesuffix("/zarr.json")
        objects.delete([f"{prefix}/times_ns/c/0"])
        with pytest.raises(MissingObjectError, match=r"shard '02', .* is missing or incomplete"):
            commit(repo, arrays)
        assert repo.head() is None

    def test_bad_names_and_provenance_are_refused_before_anything_is_written(
        self, repo, commit, put_table, objects
    ):
        put = put_table(repo, "01", [1])
        with pytest.raises(InvalidNameError, match=r"ref name '../x'"):
            commit(repo, put, ref="../x")
        with pytest.raises(InvalidNameError, match=r"table name '../x'"):
            commit(repo, Put("../x", put.shard))
        with pytest.raises(UnsupportedDataError, match=r"value.provenance.x is a set"):
            repo.commit(lambda _: [put], message="m", provenance={"x": {1}})
        assert not list(objects.walk("refs"))


class TestHistoryDoesNotMatter:
    def test_200_keys_and_then_20_equal_220_at_once(self, memory_repo, commit, put_table):
        puts = [put_table(memory_repo, f"take/{i}", [i, i * i]) for i in range(220)]
        commit(memory_repo, *puts[:200], ref="grown")
        grown = commit(memory_repo, *puts[200:], ref="grown")
        backwards = commit(memory_repo, *puts[::-1], ref="backwards")
        for start in range(0, 220, 50):
            batches = commit(memory_repo, *puts[start : start + 50], ref="batches")
        assert grown.snapshot_id == backwards.snapshot_id == batches.snapshot_id

    def test_backends_agree(self, local_repo, memory_repo, commit, put_table, put_arrays):
        ids = {
            commit(r, put_table(r, "01", [1]), put_arrays(r, "x")).snapshot_id
            for r in (local_repo, memory_repo)
        }
        assert len(ids) == 1


class TestResolve:
    def test_refs_ancestors_ids_and_prefixes(self, repo, commit, put_table):
        ids = [commit(repo, put_table(repo, "01", [i])).snapshot_id for i in range(3)]
        assert [repo.resolve(name).id for name in ("main", "main~0", "main~1", "main~2")] == [
            ids[2], ids[2], ids[1], ids[0],
        ]  # fmt: skip
        assert repo.resolve(ids[1]).id == ids[1]
        assert repo.resolve(ids[1][:10]).id == ids[1]

    def test_unknown_names_list_what_there_is(self, repo, commit, put_table):
        commit(repo, put_table(repo, "01", [1]))
        with pytest.raises(UnknownRefError, match=r"'trial' names neither a ref nor .*; known refs: main"):
            repo.resolve("trial")
        with pytest.raises(
            UnknownRefError, match="'main~1' lies before the first of 1 commits of ref 'main'"
        ):
            repo.resolve("main~1")
        with pytest.raises(UnknownRefError, match=r"'../x' names neither"):
            repo.resolve("../x")
        with pytest.raises(
            UnknownSnapshotError, match=r"no published snapshot .* begins with '000000'; .*known refs: main"
        ):
            repo.resolve("000000")

    def test_an_ambiguous_prefix_lists_the_candidates(self, memory_repo, commit, put_table):
        from sensorloom.store import catalog

        ids = [
            commit(memory_repo, put_table(memory_repo, "01", [i]), message=f"m{i}").snapshot_id
            for i in range(40)
        ]
        firsts = [id_[0] for id_ in ids]
        first = next(char for char in firsts if firsts.count(char) > 1)
        # Six equal digits cannot be made to order; one is ambiguous among forty.
        patterns = pytest.MonkeyPatch()
        patterns.setattr(catalog, "_ID_PREFIX", catalog.re.compile("[0-9a-f]+"))
        with (
            patterns.context(),
            pytest.raises(UnknownSnapshotError, match=rf"'{first}' is ambiguous.*main #\d+ .*; main #"),
        ):
            memory_repo.resolve(first)
        patterns.undo()

    def test_what_was_never_published_is_not_found(self, repo, commit, put_table, hooked):
        def fail(operation, key):
            if key.startswith("refs/"):
                raise StoreWriteError("lost")

        with pytest.raises(StoreWriteError, match="lost"):
            commit(hooked(repo, before=fail), put_table(repo, "01", [1]))
        (orphan,) = [info.key for info in open_objects(repo.url).walk("snapshots")]
        commit(repo, put_table(repo, "01", [2]))
        with pytest.raises(UnknownSnapshotError, match="no published snapshot"):
            repo.resolve(orphan.removeprefix("snapshots/").removesuffix(".json"))


class TestRaces:
    def test_the_loser_plans_again_on_the_new_head(self, repo, commit, put_table, hooked, values_of):
        ours, theirs = put_table(repo, "01", [1]), put_table(repo, "02", [2])
        pauses = []

        def interfere(operation, key):
            if key == "refs/main/0000000001.json":
                commit(repo, theirs, message="theirs")

        racing = hooked(repo, before=interfere)
        outcome = racing.commit(lambda _: [ours], message="ours", provenance={}, pause=pauses.append)
        assert outcome.created
        assert outcome.ref.sequence == 2
        assert len(pauses) == 1
        assert values_of(repo) == {"01": [1], "02": [2]}

    def test_the_same_snapshot_by_someone_else_is_done_too(self, repo, commit, put_table, hooked):
        put = put_table(repo, "01", [1])

        def interfere(operation, key):
            if key.startswith("refs/"):
                commit(repo, put, message="theirs")

        outcome = commit(hooked(repo, before=interfere), put, message="ours")
        assert not outcome.created
        assert outcome.ref.message == "theirs"
        assert len(repo.log()) == 1

    def test_a_true_contradiction_names_both_sides(self, repo, commit, put_table, hooked):
        ours, theirs = put_table(repo, "01", [1]), put_table(repo, "01", [2])

        def plan(base):
            if base.manifest("takes").get("01") is not None:
                raise ConflictError("bucket 01 was made by a newer run")
            return [ours]

        def interfere(operation, key):
            if key == "refs/main/0000000001.json":
                commit(repo, theirs, message="their work")

        with pytest.raises(ConflictError) as caught:
            hooked(repo, before=interfere).commit(
                plan, message="our work", provenance={"run": "run-7"}, pause=lambda _: None
            )
        text = str(caught.value)
        head = repo.head()
        assert "bucket 01 was made by a newer run. Ours: run run-7, 'our work', snapshot " in text
        assert f"Theirs: main #1 of {head.time}, 'their work', snapshot {head.snapshot[:12]}" in text
        assert "Nothing was committed" in text

    def test_a_contradiction_without_a_head_says_so(self, repo):
        def plan(base):
            raise ConflictError("never")

        with pytest.raises(
            ConflictError, match=r"never. Ours: run without name, 'm', no snapshot yet. Theirs: nothing on"
        ):
            repo.commit(plan, message="m", provenance={})
        assert str(ConflictError("alone")) == "alone"

    def test_a_committer_that_always_loses_gives_up(self, memory_repo, commit, put_table, hooked):
        pauses, counter = [], iter(range(1000))
        ours = put_table(memory_repo, "01", [1])

        def interfere(operation, key):
            if key.startswith("refs/"):
                commit(memory_repo, put_table(memory_repo, "02", [next(counter)]))

        with pytest.raises(
            ContentionError, match=r"each of 30 tries to commit 'ours' on ref 'main' .* run again"
        ):
            hooked(memory_repo, before=interfere).commit(
                lambda _: [ours], message="ours", provenance={}, pause=pauses.append
            )
        assert len(pauses) == 30
        assert max(pauses) <= 5.0

    @pytest.mark.parametrize("backend", ["memory", "s3", "local"])
    def test_threads_that_race_all_land(self, request, backend, put_table, values_of, tmp_path):
        url = str(tmp_path / "s") if backend == "local" else request.getfixturevalue(f"{backend}_url")
        repo, failures = Repository.open(url, create=True), []

        def write(name):
            try:
                mine = Repository.open(url)
                for i in range(4):
                    put = put_table(mine, f"{name}/{i}", [i])
                    mine.commit(lambda _, put=put: [put], message=f"{name} {i}", provenance={})
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(repo.log()) == 8
        assert set(values_of(repo)) == {f"{name}/{i}" for name in "ab" for i in range(4)}
        assert repo.verify().ok


class TestWork:
    def test_a_record_is_found_again(self, repo, work, put_table):
        put = put_table(repo, "01", [1])
        record = WorkRecord(work, "align", "take/1", (put.shard,), {"findings": ({"rule": "gap"},)})
        assert repo.find_work(work) is None
        repo.record_work(record)
        assert repo.find_work(work) == record

    def test_work_whose_shard_is_gone_must_be_done_again(self, repo, work, put_table, objects):
        put = put_table(repo, "01", [1])
        repo.record_work(WorkRecord(work, "align", "take/1", (put.shard,), {}))
        objects.delete([shard_marker(put.shard.digest, "parquet")])
        assert repo.find_work(work) is None

    def test_a_record_in_the_wrong_place_is_refused(self, repo, work, objects):
        other = "ab" * 32
        repo.record_work(WorkRecord(other, "align", "t", (), {}))
        objects.put(f"work/{work[:2]}/{work}.json", bytes(objects.get(f"work/ab/{other}.json")))
        with pytest.raises(MalformedObjectError, match=f"is the record of other work, {other}"):
            repo.find_work(work)


class TestDamageIsNoticed:
    def test_a_ref_in_the_wrong_place_is_refused(self, repo, commit, put_table, objects):
        commit(repo, put_table(repo, "01", [1]))
        objects.put("refs/main/0000000002.json", bytes(objects.get("refs/main/0000000001.json")))
        with pytest.raises(
            MalformedObjectError, match=r"0000000002.json in store .* holds commit 1 of ref 'main'"
        ):
            repo.head()

    def test_an_altered_manifest_is_refused(self, repo, commit, put_table, objects):
        commit(repo, put_table(repo, "01", [1]))
        snapshot = repo.resolve("main")
        key = f"manifests/{snapshot.tables['takes']}.json"
        content = json.loads(bytes(objects.get(key)))
        objects.put(key, json.dumps(content).encode())
        with pytest.raises(
            MalformedObjectError, match=r"manifests/.* is not what its name says: its sha256 is"
        ):
            repo.manifest(snapshot, "takes")


class TestDiff:
    def test_each_table_tells_what_came_went_and_changed(self, repo, commit, put_table):
        commit(
            repo,
            put_table(repo, "01", [1]),
            put_table(repo, "02", [2]),
            put_table(repo, "07", [7], table="same"),
        )
        commit(repo, put_table(repo, "02", [2, 2]), put_table(repo, "03", [3]), Drop("takes", "01"))
        before, after = repo.resolve("main~1"), repo.resolve("main")
        diff = repo.diff(before, after)
        assert set(diff.tables) == {"takes"}
        takes = diff.tables["takes"]
        assert (takes.added, takes.removed, takes.changed, takes.rows_delta) == (("03",), ("01",), ("02",), 1)
        back = repo.diff(after, before).tables["takes"]
        assert (back.added, back.removed, back.changed, back.rows_delta) == (("01",), ("03",), ("02",), -1)
        assert not repo.diff(after, after)

    def test_a_whole_table_may_come(self, repo, commit, put_table):
        commit(repo, put_table(repo, "01", [1]))
        commit(repo, put_table(repo, "01", [1], table="new"))
        assert repo.diff(repo.resolve("main~1"), repo.resolve("main")).tables["new"].added == ("01",)
