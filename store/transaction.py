"""Publish changes: plan against the head, write what is new, create one ref exclusively.

Order of a commit, each step durable before the next: shards (by their writers) → work records → lease →
manifests → snapshot → `refs/<name>/<sequence>.json`. Readers begin at a ref, so a crash at any step leaves
the last snapshot readable and the new one invisible; a rerun finds what was written by its content and goes
on.

Why no garbage collection removes what a commit names. Committer and collector each announce before they look:
the committer writes its lease (hold) and then reads the collector's (condemn), the collector writes `condemn`
and then reads leases and refs again. Storage is linearizable, so whichever announced second sees the other.
If that is the collector, it spares what the lease holds. If it is the committer, it waits until the collector
has finished with those digests, and only then checks that every shard it newly names is whole: one that is
gone ends the commit with `MissingObjectError` and nothing published. Manifests and snapshot are written after
that wait. Shards the head already names are reached by its ref, which is never removed. No step compares
clocks of two machines.
"""

from __future__ import annotations

import functools
import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sensorloom.store.canonical import JSON
from sensorloom.store.catalog import Catalog
from sensorloom.store.changes import Base, Change, Draft, Drop, Plan, Put, draft_of
from sensorloom.store.errors import ConflictError, ContentionError, MissingObjectError, StoreWriteError
from sensorloom.store.layout import (
    check_ref_name,
    lease_key,
    manifest_key,
    ref_key,
    shard_key,
    snapshot_key,
)
from sensorloom.store.leases import HeldLease, read_leases
from sensorloom.store.manifest import (
    Manifest,
    Ref,
    Shard,
    Snapshot,
    encode_manifest,
    encode_ref,
    encode_snapshot,
)
from sensorloom.store.objects import Objects
from sensorloom.store.shards import is_whole

__all__ = ["Base", "Change", "Commit", "Committer", "Drop", "Plan", "Put", "Request"]

MAX_TRIES = 30
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 5.0
COMMIT_LEASE_S = 3600


@dataclass(frozen=True, slots=True)
class Commit:
    """The outcome of a commit: the ref that now stands, and whether this commit made it."""

    ref: Ref
    created: bool

    @property
    def snapshot_id(self) -> str:
        """Id of the snapshot that is now the head."""
        return self.ref.snapshot

    @property
    def parent_id(self) -> str | None:
        """Id of the snapshot before it."""
        return self.ref.parent


@dataclass(frozen=True, slots=True)
class Request:
    """Who publishes what under which name; `provenance` may name its `run`."""

    ref: str
    message: str
    provenance: Mapping[str, JSON]

    def __post_init__(self) -> None:
        check_ref_name(self.ref)

    def describe(self, planned: str | None) -> str:
        """Return how a conflict names our side."""
        snapshot = f"snapshot {planned[:12]}" if planned else "no snapshot yet"
        return f"run {self.provenance.get('run', 'without name')}, {self.message!r}, {snapshot}"


@dataclass(frozen=True, slots=True)
class Committer:
    """Publishes plans to one store; `pause` waits the given seconds between tries."""

    objects: Objects
    pause: Callable[[float], None] = time.sleep

    def commit(self, plan: Plan, request: Request) -> Commit:
        """Publish `plan` on the head of the ref, planning again on each new head until one try lands.

        Raises `ConflictError` with both sides named where the plan raises it, `MissingObjectError` if a shard
        is not whole, `PlanError` for a plan that changes a key twice, `ContentionError` after 30 lost races.
        """
        catalog, planned = Catalog(self.objects), None
        for attempt in range(MAX_TRIES):
            head = catalog.head(request.ref)
            draft = self._draft(plan, request, head, planned)
            if head is not None and draft.snapshot.id == head.snapshot:
                return Commit(head, created=False)
            planned = draft.snapshot.id
            if outcome := self._publish(draft, _successor(head, request, planned)):
                return outcome
            self.pause(_backoff_s(attempt))
        raise ContentionError(
            f"each of {MAX_TRIES} tries to commit {request.message!r} on ref {request.ref!r} of store "
            f"{self.objects.url} met a newer commit; run again when fewer writers are active"
        )

    def draft(self, plan: Plan, request: Request) -> Snapshot:
        """Return the snapshot that `plan` makes of the head; its manifests are written, nothing is published."""
        draft = self._draft(plan, request, Catalog(self.objects).head(request.ref), None)
        self.objects.put_all(
            [(manifest_key(digest), encode_manifest(m)) for digest, m in draft.manifests.items()]
        )
        return draft.snapshot

    def _draft(self, plan: Plan, request: Request, head: Ref | None, planned: str | None) -> Draft:
        catalog = Catalog(self.objects)
        snapshot = catalog.snapshot(head.snapshot) if head else None

        @functools.cache
        def manifest(table: str) -> Manifest:
            return catalog.table(snapshot, table)

        base = Base(snapshot, manifest)
        try:
            return draft_of(base, plan(base))
        except ConflictError as error:
            theirs = str(head) if head else f"nothing on ref {request.ref} yet"
            raise ConflictError(error.reason, request.describe(planned), theirs) from error

    def _publish(self, draft: Draft, ref: Ref) -> Commit | None:
        run_id = f"commit-{uuid.uuid4().hex}"
        with HeldLease(self.objects, run_id, COMMIT_LEASE_S) as lease:
            lease.hold(draft.digests())
            self._wait_for_collector(draft.digests(), lease_key(run_id))
            self._check_whole(draft.shards)
            self.objects.put_all(
                [(manifest_key(digest), encode_manifest(m)) for digest, m in draft.manifests.items()]
            )
            self.objects.put(snapshot_key(draft.snapshot.id), encode_snapshot(draft.snapshot))
            return self._create_ref(ref)

    def _create_ref(self, ref: Ref) -> Commit | None:
        """Create the ref, or tell by what stands there: our own (a reply was lost), an equal one, another."""
        key, data = ref_key(ref.name, ref.sequence), encode_ref(ref)
        try:
            if self.objects.create(key, data):
                return Commit(ref, created=True)
        except StoreWriteError:
            # The reply may be what was lost: only what stands there now tells.
            if self.objects.find(key) is None:
                raise
        standing = Catalog(self.objects).ref(ref.name, ref.sequence)
        if standing.snapshot != ref.snapshot:
            return None
        return Commit(standing, created=encode_ref(standing) == data)

    def _wait_for_collector(self, digests: set[str], own_lease: str) -> None:
        for attempt in range(MAX_TRIES):
            own = self.objects.head(own_lease)
            now_s = own.modified_s if own else time.time()
            if not any(
                lease.kind == "condemn"
                and lease.live_at(now_s, info.modified_s)
                and digests.intersection(lease.digests)
                for info, lease in read_leases(self.objects)
            ):
                return
            self.pause(_backoff_s(attempt))
        raise ContentionError(
            f"a garbage collection of store {self.objects.url} is removing objects this commit counts on "
            "and does not end; run again when it has"
        )

    def _check_whole(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            if not is_whole(self.objects, shard):
                where = self.objects.describe(shard_key(shard.digest, shard.format))
                raise MissingObjectError(
                    f"shard {shard.key!r}, {where}, is missing or incomplete, so nothing was committed; "
                    "run its stage again to write it"
                )


def _successor(head: Ref | None, request: Request, snapshot_id: str) -> Ref:
    return Ref(
        name=request.ref,
        sequence=head.sequence + 1 if head else 1,
        snapshot=snapshot_id,
        parent=head.snapshot if head else None,
        provenance=request.provenance,
        time=datetime.now(UTC).isoformat(timespec="microseconds"),
        message=request.message,
    )


def _backoff_s(attempt: int) -> float:
    """Return a pause drawn from [0, limit): full jitter keeps losers of one race from meeting in the next."""
    return random.SystemRandom().uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))
