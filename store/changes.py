"""From a plan's changes to the next snapshot. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sensorloom.store.errors import PlanError
from sensorloom.store.layout import check_table_name
from sensorloom.store.manifest import Manifest, Shard, Snapshot

__all__ = ["Base", "Change", "Draft", "Drop", "Plan", "Put", "draft_of"]


@dataclass(frozen=True, slots=True)
class Put:
    """Make `shard` the one of its key in `table`, replacing any."""

    table: str
    shard: Shard


@dataclass(frozen=True, slots=True)
class Drop:
    """Take the shard with `key` out of `table`; none there is no error."""

    table: str
    key: str


Change: TypeAlias = Put | Drop


@dataclass(frozen=True, slots=True)
class Base:
    """What a plan is made against: the head's snapshot (None before any), its manifests by table."""

    snapshot: Snapshot | None
    manifest: Callable[[str], Manifest]


Plan: TypeAlias = Callable[[Base], Iterable[Change]]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a plan makes of its base: the snapshot, and the manifests and shards that the base lacks."""

    snapshot: Snapshot
    manifests: Mapping[str, Manifest]
    shards: tuple[Shard, ...]

    def digests(self) -> set[str]:
        """Return the digest of everything a commit of this draft newly names."""
        return {self.snapshot.id, *self.manifests, *(shard.digest for shard in self.shards)}


def draft_of(base: Base, changes: Iterable[Change]) -> Draft:
    """Apply `changes` to the tables they touch; a table left without shards leaves the snapshot.

    Raises `PlanError` if a key of a table is changed twice.
    """
    grouped = _grouped(changes)
    tables = base.snapshot.tables if base.snapshot else {}
    manifests = {table: base.manifest(table).updated(grouped[table]) for table in grouped}
    digests = {table: manifest.digest for table, manifest in manifests.items() if manifest.shards}
    kept = {table: digest for table, digest in tables.items() if table not in grouped}
    written = {digest: manifests[table] for table, digest in digests.items() if digest != tables.get(table)}
    new = (
        shard
        for table, manifest in manifests.items()
        for shard in manifest.shards
        if base.manifest(table).get(shard.key) != shard
    )
    return Draft(Snapshot({**kept, **digests}), written, tuple(new))


def _grouped(changes: Iterable[Change]) -> dict[str, dict[str, Shard | None]]:
    grouped: dict[str, dict[str, Shard | None]] = {}
    for change in changes:
        table = grouped.setdefault(check_table_name(change.table), {})
        key, shard = (change.shard.key, change.shard) if isinstance(change, Put) else (change.key, None)
        if key in table:
            raise PlanError(
                f"the plan changes key {key!r} of table {change.table!r} twice; each key may change once"
            )
        table[key] = shard
    return grouped
