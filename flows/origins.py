"""Which commit put a shard into the store: the one whose provenance tells the settings that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sensorloom.store.manifest import Ref, Shard, Snapshot
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
    """Finds the first commit of any ref that published a shard as it is; reads each ref's log once."""

    def __init__(self, repo: Repository, ref: str) -> None:
        self._repo = repo
        others = sorted(name for name in repo.refs() if name != ref)
        self._commits = [entry for name in (ref, *others) for entry in reversed(repo.log(name))]

    def find(self, table: str, shard: Shard) -> CommitFacts | None:
        """Return the commit that brought `shard` into `table`; None where no ref that there still is did."""
        for entry, snapshot in self._snapshots():
            # Work and bytes: other settings may give the same bytes.
            if shard in self._repo.manifest(snapshot, table).shards:
                return _facts(entry)
        return None

    def _snapshots(self) -> Iterator[tuple[Ref, Snapshot]]:
        for entry in self._commits:
            yield entry, self._repo.resolve(entry.snapshot)


def _facts(entry: Ref) -> CommitFacts:
    return CommitFacts(entry.name, entry.sequence, entry.time, entry.message, dict(entry.provenance))
