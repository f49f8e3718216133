"""Remove what no ref in all its history, no fresh work record and no live lease needs.

A collection surveys the store, announces what it condemns (a lease of kind `condemn`), surveys again and
removes only what was condemned and is still unneeded; `transaction` tells why no commit can lose a shard to
this. Referrers go before what they name (work records, snapshots, manifests, shards), and of a Zarr shard its
marker goes first, so a crash in between leaves nothing that looks whole and is not.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sensorloom.store.catalog import Catalog
from sensorloom.store.errors import UsageError
from sensorloom.store.layout import (
    PARTIAL_PREFIX,
    lease_key,
    record_digest,
    shard_marker,
    shard_of_object,
)
from sensorloom.store.leases import Lease, encode_lease, read_leases
from sensorloom.store.objects import ObjectInfo, Objects

__all__ = ["GcReport", "RemovedObject", "RetentionPolicy", "collect_garbage"]

CONDEMN_S = 900
"""A collection that died blocks commits that need what it condemned for at most this long."""
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long what no ref reaches is kept.

    `work_age_s`: a work record younger than this keeps its shards, for a run that was killed and comes back.
    `grace_s`: nothing written within this time is removed, for a writer between its shard and its work record or
    commit.
    """

    work_age_s: float = 14 * 24 * 3600
    grace_s: float = 3600

    def __post_init__(self) -> None:
        if self.work_age_s < 0 or self.grace_s < 0:
            raise UsageError(
                f"work_age_s and grace_s must be at least 0 s, got {self.work_age_s} s and {self.grace_s} s"
            )


@dataclass(frozen=True, slots=True)
class RemovedObject:
    """An object that was removed, or would be."""

    key: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a collection removed; with `dry_run`, what it would remove."""

    dry_run: bool
    removed: tuple[RemovedObject, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of all removed objects."""
        return sum(item.num_bytes for item in self.removed)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Objects that go together, in the order they go; `digest` is empty for leases, partial files."""

    digest: str
    objects: tuple[ObjectInfo, ...]

    @property
    def modified_s(self) -> float:
        return max(info.modified_s for info in self.objects)


def collect_garbage(objects: Objects, policy: RetentionPolicy, *, dry_run: bool) -> GcReport:
    """Remove what nothing needs, or with `dry_run` only list it. Objects of other programs are never touched.

    Raises `DamageError` and removes nothing where a ref, or what it reaches, cannot be read.
    """
    if dry_run:
        return _report(_doomed(objects, policy, time.time()), dry_run=True)
    own_key = lease_key(f"gc-{uuid.uuid4().hex}")
    now_s = _announce(objects, own_key, ())
    try:
        condemned = {unit.digest for unit in _doomed(objects, policy, now_s)}
        _announce(objects, own_key, condemned)
        doomed = [unit for unit in _doomed(objects, policy, now_s) if unit.digest in condemned]
        _remove(objects, own_key, doomed)
    finally:
        objects.delete([own_key])
    return _report(doomed, dry_run=False)


def _announce(objects: Objects, own_key: str, digests: Iterable[str]) -> float:
    """Write the condemnation and return the time of the storage, in seconds since 1970."""
    lease = Lease("condemn", tuple(sorted(filter(None, digests))), CONDEMN_S)
    objects.put(own_key, encode_lease(lease))
    info = objects.head(own_key)
    return info.modified_s if info else time.time()


def _remove(objects: Objects, own_key: str, doomed: Sequence[_Unit]) -> None:
    keys = [info.key for unit in doomed for info in unit.objects]
    digests = [unit.digest for unit in doomed]
    for start in range(0, len(keys), _BATCH):
        # Announcing again both renews the condemnation and lets go of what the second survey spared.
        _announce(objects, own_key, digests)
        objects.delete(keys[start : start + _BATCH])


def _doomed(objects: Objects, policy: RetentionPolicy, now_s: float) -> list[_Unit]:
    needed_digests, needed_work = _needed(objects, policy, now_s)
    before_s = now_s - policy.grace_s
    records = [unit for unit in _records(objects, "work") if unit.digest not in needed_work]
    named = [
        unit
        for units in (_records(objects, "snapshots"), _records(objects, "manifests"), _shards(objects))
        for unit in units
        if unit.digest not in needed_digests
    ]
    strays = [_Unit("", (info,)) for info in objects.walk(PARTIAL_PREFIX)]
    old = [unit for unit in [*records, *named, *strays] if unit.modified_s <= before_s]
    return [*old, *_expired_leases(objects, now_s)]


def _needed(objects: Objects, policy: RetentionPolicy, now_s: float) -> tuple[set[str], set[str]]:
    """Return the digests and the work keys that refs, fresh work records and live leases reach."""
    catalog = Catalog(objects)
    snapshots = {ref.snapshot for ref in catalog.all_refs()}
    manifests = {digest for id_ in snapshots for digest in catalog.snapshot(id_).tables.values()}
    shards = [shard for digest in manifests for shard in catalog.manifest(digest).shards]
    fresh = {unit.digest for unit in _records(objects, "work") if unit.modified_s > now_s - policy.work_age_s}
    work = fresh | {shard.work for shard in shards}
    for key in work:
        if (record := catalog.work(key)) is not None:
            shards.extend(record.shards)
    held = {
        digest
        for info, lease in read_leases(objects)
        if lease.kind == "hold" and lease.live_at(now_s, info.modified_s)
        for digest in lease.digests
    }
    return snapshots | manifests | held | {shard.digest for shard in shards}, work


def _records(objects: Objects, folder: str) -> Iterator[_Unit]:
    for info in objects.walk(folder):
        if digest := record_digest(info.key):
            yield _Unit(digest, (info,))


def _shards(objects: Objects) -> Iterator[_Unit]:
    files: defaultdict[tuple[str, str], list[ObjectInfo]] = defaultdict(list)
    for info in objects.walk("shards"):
        if shard := shard_of_object(info.key):
            files[(shard_marker(*shard), shard[0])].append(info)
    for (marker, digest), infos in files.items():
        yield _Unit(digest, tuple(sorted(infos, key=lambda info: info.key != marker)))


def _expired_leases(objects: Objects, now_s: float) -> Iterator[_Unit]:
    for info, lease in read_leases(objects):
        if not lease.live_at(now_s, info.modified_s):
            yield _Unit("", (info,))


def _report(doomed: Iterable[_Unit], *, dry_run: bool) -> GcReport:
    removed = (RemovedObject(info.key, info.num_bytes) for unit in doomed for info in unit.objects)
    return GcReport(dry_run, tuple(removed))
