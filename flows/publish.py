"""What a run puts into the next snapshot, as a pure plan against whatever the head is by then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from sensorloom.align.split import SplitPolicy, assign
from sensorloom.align.stage import STAGE as INGEST
from sensorloom.align.stage import Failed, finding_row
from sensorloom.flows.tables import FINDINGS, WINDOWS, merge_rows
from sensorloom.ingest.take import Finding
from sensorloom.store.layout import bucket_of
from sensorloom.store.manifest import Shard, WorkRecord, work_key
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Base, Drop, Put

__all__ = ["FAILED_RULE", "PublishTakes", "PublishView", "take_rows"]

FAILED_RULE = "take-unreadable"


def take_rows(repo: Repository, tables: Mapping[str, Iterable[Shard]]) -> dict[str, dict[str, Any]]:
    """Return the rows of the `takes` table by take id."""
    rows = [row for shard in tables["takes"] for row in repo.read_table(shard).to_pylist()]
    return {row["take_id"]: row for row in rows}


@dataclass(frozen=True, slots=True)
class PublishTakes:
    """Put ingested takes, their labels and findings into the snapshot; record failed ones as findings.

    `planned` is what the head held of each take when the run was planned (None: nothing). A take that another run has changed since,
    to something else than ours, is a conflict; anything else merges.
    """

    repo: Repository
    records: tuple[WorkRecord, ...]
    failures: tuple[Failed, ...]
    planned: Mapping[str, str | None]

    def __call__(self, base: Base) -> Iterator[Put | Drop]:
        """Plan against `base`. Raises `ConflictError` when another run published a different version of a take."""
        buckets: dict[str, list[WorkRecord]] = defaultdict(list)
        failed: dict[str, list[Failed]] = defaultdict(list)
        for record in self.records:
            buckets[bucket_of(record.target)].append(record)
            yield Put("streams", record.shards[0])
        for failure in self.failures:
            failed[bucket_of(failure.take_id)].append(failure)
        for bucket in sorted({*buckets, *failed}):
            yield from self._bucket(base, bucket, buckets[bucket], failed[bucket])

    def _bucket(self, base: Base, bucket: str, records: list[WorkRecord], failures: list[Failed]) -> Iterator[Put]:
        ours = {record.target for record in records}
        old = self._old(base, "takes", bucket)
        self._check(base, old, records)
        for table in ("takes", "labels"):
            rows = [row for record in records for row in record.rows[table]]
            previous = old if table == "takes" else self._old(base, table, bucket)
            yield self._put(table, bucket, merge_rows(table, previous, ours, rows))
        findings = [row for record in records for row in record.rows["findings"]]
        findings += [_failure_row(failure) for failure in failures]
        previous = self._old(base, "findings", f"{INGEST}.{bucket}")
        settled = ours | {failure.take_id for failure in failures}
        kept = _without_failures(previous, settled - ours)
        yield self._put("findings", f"{INGEST}.{bucket}", merge_rows("findings", kept, ours, findings))

    def _old(self, base: Base, table: str, key: str) -> pa.Table | None:
        shard = base.manifest(table).get(key)
        return None if shard is None else self.repo.read_table(shard)

    def _put(self, table: str, key: str, rows: pa.Table) -> Put:
        return Put(table, self.repo.write_table(key, rows, work=work_key("publish", 1, table, None)))

    def _check(self, base: Base, takes: pa.Table | None, records: list[WorkRecord]) -> None:
        now = {} if takes is None else dict(zip(takes["take_id"].to_pylist(), takes["work"].to_pylist(), strict=True))
        for record in records:
            theirs = now.get(record.target)
            if theirs not in (None, record.key, self.planned.get(record.target)):
                raise base.conflict(f"take {record.target}", ours=record.key, theirs=theirs)


def _failure_row(failure: Failed) -> dict[str, Any]:
    finding = Finding(failure.take_id, FAILED_RULE, "error", failure.message)
    return finding_row(finding, INGEST, failure.take_id)


def _without_failures(findings: pa.Table | None, take_ids: set[str]) -> pa.Table | None:
    """Drop the earlier failure rows of takes that failed again; what a sound earlier version said of them stands."""
    if findings is None:
        return None
    rows = [row for row in findings.to_pylist() if not (row["rule"] == FAILED_RULE and row["take_id"] in take_ids)]
    return pa.Table.from_pylist(rows, schema=FINDINGS)


@dataclass(frozen=True, slots=True)
class PublishView:
    """Put a view's tensors, its windows with their splits and the findings of its cuts into the snapshot."""

    repo: Repository
    view: str
    records: Mapping[str, WorkRecord]
    policy: SplitPolicy

    def __call__(self, base: Base) -> Iterator[Put | Drop]:
        """Plan against `base`; buckets that hold no take any more are dropped."""
        splits = iter(assign(self.policy, [row for _, record in sorted(self.records.items()) for row in record.rows["windows"]]))
        for bucket, record in sorted(self.records.items()):
            rows = [{**row, "split": next(splits)} for row in record.rows["windows"]]
            work = work_key("split", 1, record.key, asdict(self.policy))
            yield Put(f"tensors:{self.view}", record.shards[0])
            yield self._put(f"windows:{self.view}", bucket, pa.Table.from_pylist(rows, schema=WINDOWS), work)
            findings = merge_rows("findings", None, (), record.rows["findings"])
            yield self._put("findings", f"{self.view}.{bucket}", findings, work_key("publish", 1, "findings", None))
        yield from self._stale(base)

    def _put(self, table: str, key: str, rows: pa.Table, work: str) -> Put:
        return Put(table, self.repo.write_table(key, rows, work=work))

    def _stale(self, base: Base) -> Iterator[Drop]:
        for table, prefix in ((f"tensors:{self.view}", ""), (f"windows:{self.view}", ""), ("findings", f"{self.view}.")):
            for shard in base.manifest(table).shards:
                if shard.key.startswith(prefix) and shard.key.removeprefix(prefix) not in self.records and (prefix or "." not in shard.key):
                    yield Drop(table, shard.key)
