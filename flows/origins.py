"""Which commit put a shard into the store: the one whose provenance tells the settings that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensorloom.store.manifest import Ref, Shard
from sensorloom.store.repository import Repository

__all__ = ["CommitFacts", "Origins"]


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """One commit in plain values; `provenance` is what the command that made it wrote of itself."""

    ref: str
    sequence: int
    time: str
    message: str
    provenance: Mapping[str, Any]


class Origins:
    """Finds the first commit of any ref that published a shard as it is; each manifest is read once."""

    def __init__(self, repo: Repository, ref: str) -> None:
        self._repo = repo
        others = sorted(name for name in repo.refs() if name != ref)
        self._commits = [entry for name in (ref, *others) for entry in reversed(repo.log(name))]
        self._first: dict[str, dict[Shard, Ref]] = {}

    def find(self, table: str, shard: Shard) -> CommitFacts | None:
        """Return the commit that brought `shard` into `table`; None where no ref that there still is did."""
        if table not in self._first:
            self._first[table] = self._firsts(table)
        entry = self._first[table].get(shard)
        return None if entry is None else _facts(entry)

    def _firsts(self, table: str) -> dict[Shard, Ref]:
        """Return by shard of a table, its bytes and the work that made them, the commit that brought it."""
        first: dict[Shard, Ref] = {}
        seen: set[str] = set()
        for entry in self._commits:
            snapshot = self._repo.resolve(entry.snapshot)
            digest = snapshot.tables.get(table)
            if digest is None or digest in seen:
                continue
            seen.add(digest)
            for shard in self._repo.manifest(snapshot, table).shards:
                first.setdefault(shard, entry)
        return first


def _facts(entry: Ref) -> CommitFacts:
    return CommitFacts(entry.name, entry.sequence, entry.time, entry.message, dict(entry.provenance))
