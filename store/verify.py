"""Read back everything a ref reaches and say what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sensorloom.store.arrays import tree_digest
from sensorloom.store.catalog import Catalog
from sensorloom.store.errors import DamageError, StoreReadError
from sensorloom.store.layout import (
    is_lease,
    manifest_key,
    record_digest,
    ref_key,
    shard_key,
    shard_marker,
    snapshot_key,
)
from sensorloom.store.leases import decode_lease
from sensorloom.store.manifest import Manifest, Ref, Shard, Snapshot
from sensorloom.store.objects import Objects
from sensorloom.store.tables import table_rows
from sensorloom.store.zarr_metadata import member_files, read_root

__all__ = ["Problem", "Progress", "VerifyReport", "verify_store"]

Record = TypeVar("Record")
Progress = Callable[[int, int], None]
"""Called with (shards done, shards in all)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken object: its key in the store, the table and shard key that name it, and its fault."""

    object_key: str
    table: str
    shard_key: str
    reason: str

    def __str__(self) -> str:
        place = f" (table {self.table}, shard {self.shard_key})" if self.shard_key else ""
        return f"{self.object_key}{place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How much was read (`refs`, `snapshots`, `manifests`, `shards`, `rows`, `bytes`), and every problem."""

    counts: Mapping[str, int]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Tell whether nothing is broken."""
        return not self.problems

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was ever committed and nothing is broken, so that there is nothing to judge."""
        return self.ok and self.counts["refs"] == 0


def verify_store(objects: Objects, on_progress: Progress | None = None) -> VerifyReport:
    """Recompute every digest, size and row count that any ref, in all its history, reaches.

    Work records and leases are read too: a broken one keeps runs or collections from going on. A broken object
    is a `Problem`, never an exception. To repair a shard: remove its object, then run the stage that made it
    again; equal inputs write equal bytes.
    """
    reader = _Reader(objects)
    refs = reader.refs()
    snapshots = reader.snapshots({ref.snapshot for ref in refs})
    manifests = reader.manifests(snapshots.values())
    named = {(table, shard) for table, manifest in manifests for shard in manifest.shards}
    shards = sorted(named, key=lambda item: (item[0], item[1].key, item[1].digest))
    for done, (table, shard) in enumerate(shards, start=1):
        reader.check_shard(table, shard)
        if on_progress:
            on_progress(done, len(shards))
    reader.check_work()
    reader.check_leases()
    counts = {
        "refs": len(refs),
        "snapshots": len(snapshots),
        "manifests": len(manifests),
        "shards": len(shards),
        "rows": sum(shard.rows for _, shard in shards),
        "bytes": sum(shard.num_bytes for _, shard in shards),
    }
    return VerifyReport(counts, tuple(reader.problems))


class _Reader:
    """Reads from the refs down and collects what is broken."""

    def __init__(self, objects: Objects) -> None:
        self.problems: list[Problem] = []
        self._objects = objects
        self._catalog = Catalog(objects)

    def refs(self) -> list[Ref]:
        refs = []
        for name in self._catalog.ref_names():
            previous: Ref | None = None
            for sequence in self._catalog.sequences(name):
                key = ref_key(name, sequence)
                ref = self._read(key, "", partial(self._catalog.ref, name, sequence))
                if ref is not None:
                    self._check_chain(key, previous, ref)
                    refs.append(ref)
                previous = ref
        return refs

    def snapshots(self, ids: Iterable[str]) -> dict[str, Snapshot]:
        read = {
            id_: self._read(snapshot_key(id_), "", partial(self._catalog.snapshot, id_))
            for id_ in sorted(ids)
        }
        return {id_: snapshot for id_, snapshot in read.items() if snapshot is not None}

    def manifests(self, snapshots: Iterable[Snapshot]) -> list[tuple[str, Manifest]]:
        named = {(table, digest) for snapshot in snapshots for table, digest in snapshot.tables.items()}
        read = [
            (table, self._read(manifest_key(digest), table, partial(self._catalog.manifest, digest)))
            for table, digest in sorted(named)
        ]
        return [(table, manifest) for table, manifest in read if manifest is not None]

    def check_shard(self, table: str, shard: Shard) -> None:
        """Recompute digest, size and rows of one shard."""
        key = shard_key(shard.digest, shard.format)
        try:
            reasons = list(_shard_faults(self._objects, shard))
        except (DamageError, StoreReadError) as error:
            reasons = [str(error)]
        self.problems.extend(Problem(key, table, shard.key, reason) for reason in reasons)

    def check_work(self) -> None:
        """Read every work record."""
        for info in self._objects.walk("work"):
            if key := record_digest(info.key):
                self._read(
                    info.key, "", partial(self._catalog.work, key), "; remove it to have its work done again"
                )

    def check_leases(self) -> None:
        """Read every lease."""
        for info in self._objects.walk("leases"):
            data = self._objects.find(info.key) if is_lease(info.key) else None
            if data is not None:
                where = self._objects.describe(info.key)
                self._read(
                    info.key, "", partial(decode_lease, data, where), "; remove it when no run is going on"
                )

    def _check_chain(self, key: str, previous: Ref | None, ref: Ref) -> None:
        if previous is None:
            return
        if ref.sequence != previous.sequence + 1:
            missing = ref_key(ref.name, previous.sequence + 1)
            self.problems.append(
                Problem(missing, "", "", f"missing, although commit {ref.sequence} follows it")
            )
        elif ref.parent != previous.snapshot:
            reason = f"its parent is {ref.parent}, but the commit before it published {previous.snapshot}"
            self.problems.append(Problem(key, "", "", reason))

    def _read(self, key: str, table: str, load: Callable[[], Record], remedy: str = "") -> Record | None:
        try:
            return load()
        except (DamageError, StoreReadError) as error:
            self.problems.append(Problem(key, table, "", f"{error}{remedy}"))
            return None


def _shard_faults(objects: Objects, shard: Shard) -> Iterator[str]:
    faults = _table_faults if shard.format == "parquet" else _array_faults
    return faults(objects, shard)


def _table_faults(objects: Objects, shard: Shard) -> Iterator[str]:
    key = shard_key(shard.digest, "parquet")
    data = objects.get(key)
    if len(data) != shard.num_bytes:
        yield f"holds {len(data)} bytes, its manifest says {shard.num_bytes}"
    digest = hashlib.sha256(data).hexdigest()
    if digest != shard.digest:
        yield f"its sha256 is {digest}"
        return
    rows = table_rows(data, objects.describe(key))
    if rows != shard.rows:
        yield f"holds {rows} rows, its manifest says {shard.rows}"


def _array_faults(objects: Objects, shard: Shard) -> Iterator[str]:
    prefix, marker = shard_key(shard.digest, "zarr"), shard_marker(shard.digest, "zarr")
    root = read_root(objects.get(marker), objects.describe(marker))
    if root.rows != shard.rows:
        yield f"holds {root.rows} rows, its manifest says {shard.rows}"
    found = {info.key.removeprefix(f"{prefix}/"): info.num_bytes for info in objects.walk(prefix)}
    expected = {**{path: len(data) for path, data in member_files(root).items()}, **root.chunk_paths()}
    for path in sorted(expected.keys() - found.keys()):
        yield f"file {path} is missing"
    for path in sorted(found.keys() - expected.keys() - {"zarr.json"}):
        yield f"file {path} does not belong there"
    for path in sorted(expected.keys() & found.keys()):
        if expected[path] is not None and found[path] != expected[path]:
            yield f"file {path} holds {found[path]} bytes, must hold {expected[path]}"
    if sum(found.values()) != shard.num_bytes:
        yield f"holds {sum(found.values())} bytes, its manifest says {shard.num_bytes}"
    digest = tree_digest({path: objects.digest(f"{prefix}/{path}") for path in found})
    if digest != shard.digest:
        yield f"the digest of its files is {digest}"
