"""A store against a dict: any order of writing, committing, racing, collecting and reopening."""

import uuid

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from sensorloom.store.address import open_objects
from sensorloom.store.errors import ConflictError, MissingObjectError
from sensorloom.store.leases import HeldLease
from sensorloom.store.manifest import WorkRecord, work_key
from sensorloom.store.repository import Repository
from sensorloom.store.retention import RetentionPolicy
from sensorloom.store.transaction import Drop, Put

TABLES = st.sampled_from(["takes", "labels"])
KEYS = st.sampled_from(["00", "01", "a/b"])
VALUES = st.lists(st.integers(0, 3), max_size=3)


class StoreMachine(RuleBasedStateMachine):
    """`history` is what each commit of main must hold: (table, key) → values."""

    puts = Bundle("puts")
    url = ""

    def __init__(self):
        super().__init__()
        self.address = self.url or f"memory://{uuid.uuid4().hex}"
        self.repo = Repository.open(self.address, create=True)
        self.history: list[dict[tuple[str, str], tuple[int, ...]]] = []
        self.ids: dict[frozenset, str] = {}

    @property
    def now(self):
        return self.history[-1] if self.history else {}

    @rule(target=puts, table=TABLES, key=KEYS, values=VALUES)
    def write(self, table, key, values):
        work = work_key("test", 1, [table, key, values], {})
        shard = self.repo.write_table(key, pa.table({"value": pa.array(values, pa.int64())}), work=work)
        return multiple((Put(table, shard), tuple(values)))

    @rule(put=puts)
    def record(self, put):
        shard = put[0].shard
        self.repo.record_work(WorkRecord(shard.work, "test", shard.key, (shard,), {}))
        found = self.repo.find_work(shard.work)
        assert found is None or found.shards == (shard,)

    def expect(self, changes):
        after = dict(self.now)
        for change, values in changes:
            if isinstance(change, Put):
                after[change.table, change.shard.key] = values
            else:
                after.pop((change.table, change.key), None)
        return after

    def commit(self, changes):
        """Commit through a plan; tell the model unless a shard was collected before."""
        plan = [change for change, _ in changes]
        expected = self.expect(changes)
        try:
            outcome = self.repo.commit(lambda _: plan, message="m", provenance={}, pause=lambda _: None)
        except MissingObjectError:
            assert any(isinstance(change, Put) and not self.is_there(change) for change in plan)
            return
        assert outcome.created == (not self.history or expected != self.now)
        if outcome.created:
            self.history.append(expected)
        # Equal content, equal id, whatever came before.
        content = frozenset(expected.items())
        assert self.ids.setdefault(content, outcome.snapshot_id) == outcome.snapshot_id

    def is_there(self, put):
        return put.shard.digest in self.stored()

    def stored(self):
        return {info.key.split("/")[2].split(".")[0] for info in open_objects(self.address).walk("shards")}

    @rule(changes=st.lists(puts, max_size=3, unique_by=lambda item: (item[0].table, item[0].shard.key)))
    def put(self, changes):
        self.commit(changes)

    @rule(table=TABLES, key=KEYS)
    def drop(self, table, key):
        self.commit([(Drop(table, key), None)])

    @rule(ours=puts, theirs=puts)
    def race(self, ours, theirs):
        """Another commit lands between our plan and our ref."""
        interfered = []

        def plan(_):
            if not interfered:
                interfered.append(True)
                self.commit([theirs])
            return [ours[0]]

        nothing_to_do = bool(self.history) and self.expect([ours]) == self.now
        try:
            outcome = self.repo.commit(plan, message="ours", provenance={}, pause=lambda _: None)
        except MissingObjectError:
            return
        expected = self.expect([ours])
        # Where our plan changed nothing on the head it saw, it was done before theirs.
        assert outcome.created == (not nothing_to_do and (not self.history or expected != self.now))
        if outcome.created:
            self.history.append(expected)

    @rule()
    def contradict(self):
        def plan(_):
            raise ConflictError("no")

        with pytest.raises(ConflictError, match=r"no. Ours: "):
            self.repo.commit(plan, message="m", provenance={})

    @rule(put=puts, keep=st.booleans())
    def collect(self, put, keep):
        """Collect everything nothing reaches; what a lease holds stays."""
        there = self.is_there(put[0])
        with HeldLease(open_objects(self.address), "machine", valid_s=60) as lease:
            if keep:
                lease.hold([put[0].shard.digest])
            dry = self.repo.collect_garbage(dry_run=True, policy=RetentionPolicy(0, 0))
            wet = self.repo.collect_garbage(policy=RetentionPolicy(0, 0))
        assert {item.key for item in wet.removed} == {item.key for item in dry.removed}
        assert not (keep and there) or self.is_there(put[0])

    @rule()
    def reopen(self):
        self.repo = Repository.open(self.address)

    @invariant()
    def reads_what_was_committed(self):
        refs = self.repo.log() if self.history else []
        assert len(refs) == len(self.history)
        for back, expected in enumerate(reversed(self.history[-3:])):
            snapshot = self.repo.resolve(f"main~{back}")
            found = {
                (table, shard.key): tuple(self.repo.read_table(shard)["value"].to_pylist())
                for table in snapshot.tables
                for shard in self.repo.manifest(snapshot, table).shards
            }
            assert found == expected

    def teardown(self):
        assert self.repo.verify().ok


def test_in_memory():
    run_state_machine_as_test(
        StoreMachine, settings=settings(max_examples=40, stateful_step_count=20, deadline=None)
    )


def test_in_a_directory(tmp_path_factory):
    class InDirectory(StoreMachine):
        @property
        def url(self):
            return str(tmp_path_factory.mktemp("machine") / "store")

    run_state_machine_as_test(
        InDirectory, settings=settings(max_examples=8, stateful_step_count=15, deadline=None)
    )


@pytest.mark.slow
def test_in_memory_for_longer():
    run_state_machine_as_test(
        StoreMachine, settings=settings(max_examples=150, stateful_step_count=30, deadline=None)
    )
