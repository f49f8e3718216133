"""Compare two snapshots shard by shard. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sensorloom.store.manifest import Manifest

__all__ = ["Diff", "TableDiff", "diff_manifests"]


@dataclass(frozen=True, slots=True)
class TableDiff:
    """Keys of shards that came, went or changed in one table, and by how many rows it grew."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    rows_delta: int


@dataclass(frozen=True, slots=True)
class Diff:
    """The tables in which two snapshots differ, by name."""

    tables: Mapping[str, TableDiff]

    def __bool__(self) -> bool:
        return bool(self.tables)


def diff_manifests(tables: Mapping[str, tuple[Manifest, Manifest]]) -> Diff:
    """Compare each table's manifest before and after; equal tables are left out."""
    return Diff({table: _diff(before, after) for table, (before, after) in tables.items() if before != after})


def _diff(before: Manifest, after: Manifest) -> TableDiff:
    old = {shard.key: shard for shard in before.shards}
    new = {shard.key: shard for shard in after.shards}
    return TableDiff(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(key for key in old.keys() & new.keys() if old[key] != new[key])),
        rows_delta=after.rows - before.rows,
    )
