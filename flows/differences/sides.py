"""The two snapshots that are compared, and the rows in which their tables differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sensorloom.flows.origins import CommitFacts, Origins
from sensorloom.store.manifest import Shard, Snapshot
from sensorloom.store.repository import Repository

__all__ = ["Side", "changed_rows", "differing"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two snapshots, with the commits that made it."""

    repo: Repository
    snapshot: Snapshot
    origins: Origins
    _shards: dict[str, Mapping[str, Shard]] = field(default_factory=dict, init=False, repr=False)

    def shards(self, table: str) -> Mapping[str, Shard]:
        """Return the shards of a table by their keys."""
        if table not in self._shards:
            held = self.repo.manifest(self.snapshot, table).shards
            self._shards[table] = {shard.key: shard for shard in held}
        return self._shards[table]

    def origin(self, table: str, key: str) -> CommitFacts | None:
        """Return the commit that brought a shard of this side's snapshot, where a ref still tells of it."""
        shard = self.shards(table).get(key)
        return None if shard is None else self.origins.find(table, shard)


def changed_rows(
    before: Side, after: Side, table: str, key: Callable[[Mapping[str, Any]], str]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return by key the rows that one side has and the other has not, or not so; only shards that differ are read."""
    old, new = before.shards(table), after.shards(table)
    names = differing(old, new)
    rows = []
    for side, shards in ((before, old), (after, new)):
        held = [
            row for name in names if name in shards for row in side.repo.read_table(shards[name]).to_pylist()
        ]
        rows.append({key(row): row for row in held})
    same = [name for name, row in rows[0].items() if rows[1].get(name) == row]
    for name in same:
        del rows[0][name], rows[1][name]
    return rows[0], rows[1]


def differing(old: Mapping[str, Shard], new: Mapping[str, Shard]) -> list[str]:
    """Return the keys whose shards hold other bytes, or that one side alone has."""

    def digests(shards: Mapping[str, Shard]) -> dict[str, str]:
        return {key: shard.digest for key, shard in shards.items()}

    was, now = digests(old), digests(new)
    return [key for key in {**was, **now} if was.get(key) != now.get(key)]
