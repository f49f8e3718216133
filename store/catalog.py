"""Read what is published: refs, and the snapshots and manifests they reach."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sensorloom.store.canonical import digest_of
from sensorloom.store.errors import MalformedObjectError, UnknownRefError, UnknownSnapshotError
from sensorloom.store.layout import (
    manifest_key,
    ref_key,
    ref_name,
    ref_prefix,
    ref_sequence,
    snapshot_key,
    work_record_key,
)
from sensorloom.store.manifest import (
    Manifest,
    Ref,
    Snapshot,
    WorkRecord,
    decode_manifest,
    decode_ref,
    decode_snapshot,
    decode_work,
)
from sensorloom.store.objects import Buffer, Objects

__all__ = ["Catalog"]

MIN_PREFIX = 6
_ID_PREFIX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},64}}")
_REVISION = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)(?:~(?P<back>[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The published content of one store."""

    objects: Objects

    def ref_names(self) -> list[str]:
        """Return the names of all refs, sorted."""
        found = (ref_name(info.key) for info in self.objects.walk("refs"))
        return sorted({name for name in found if name is not None})

    def sequences(self, name: str) -> Sequence[int]:
        """Return the commit numbers of a ref, rising; empty if it has none."""
        found = (ref_sequence(info.key) for info in self.objects.walk(ref_prefix(name)))
        return sorted(sequence for sequence in found if sequence is not None)

    def head(self, name: str) -> Ref | None:
        """Return the latest commit of a ref, or None if it has none."""
        sequences = self.sequences(name)
        return self.ref(name, sequences[-1]) if sequences else None

    def log(self, name: str) -> list[Ref]:
        """Return every commit of a ref, newest first; raise `UnknownRefError` listing the known refs."""
        sequences = self.sequences(name)
        if not sequences:
            raise UnknownRefError(f"store {self.objects.url} has no ref {name!r}; {self._known_refs()}")
        contents = self.objects.get_all([ref_key(name, sequence) for sequence in sequences])
        refs = [
            self._decode_ref(name, sequence, data) for sequence, data in zip(sequences, contents, strict=True)
        ]
        return refs[::-1]

    def ref(self, name: str, sequence: int) -> Ref:
        """Return one commit of a ref."""
        return self._decode_ref(name, sequence, self.objects.get(ref_key(name, sequence)))

    def all_refs(self) -> list[Ref]:
        """Return every commit of every ref, oldest first within each."""
        return [ref for name in self.ref_names() for ref in reversed(self.log(name))]

    def snapshot(self, digest: str) -> Snapshot:
        """Return the snapshot with this id, its content checked against it."""
        key = snapshot_key(digest)
        return decode_snapshot(self._checked(key, digest), self.objects.describe(key))

    def manifest(self, digest: str) -> Manifest:
        """Return the manifest with this digest, its content checked against it."""
        key = manifest_key(digest)
        return decode_manifest(self._checked(key, digest), self.objects.describe(key))

    def table(self, snapshot: Snapshot | None, table: str) -> Manifest:
        """Return the manifest of one table, empty where the snapshot lacks it."""
        digest = snapshot.tables.get(table) if snapshot else None
        return self.manifest(digest) if digest else Manifest()

    def work(self, key: str) -> WorkRecord | None:
        """Return the record of the work with this key, or None if there is none."""
        object_key = work_record_key(key)
        data = self.objects.find(object_key)
        if data is None:
            return None
        record = decode_work(data, self.objects.describe(object_key))
        if record.key != key:
            raise MalformedObjectError(
                f"{self.objects.describe(object_key)} is the record of other work, {record.key}"
            )
        return record

    def resolve(self, revision: str) -> Snapshot:
        """Return the snapshot that `main`, `main~2`, an id or an id prefix of 6 or more digits names.

        Only what a ref has published is found. A ref wins over an id prefix of the same spelling. Raises
        `UnknownRefError` listing the refs there are, `UnknownSnapshotError` listing the candidates.
        """
        match = _REVISION.fullmatch(revision)
        if match and (refs := self.sequences(match["name"])):
            back = int(match["back"] or 0)
            if back >= len(refs):
                raise UnknownRefError(
                    f"{revision!r} lies before the first of {len(refs)} commits of ref {match['name']!r}"
                )
            return self.snapshot(self.ref(match["name"], refs[-1 - back]).snapshot)
        if _ID_PREFIX.fullmatch(revision):
            return self.snapshot(self._published(revision))
        raise UnknownRefError(
            f"{revision!r} names neither a ref nor a snapshot id of {MIN_PREFIX} or more hex digits in store "
            f"{self.objects.url}; {self._known_refs()}"
        )

    def _published(self, prefix: str) -> str:
        refs = {ref.snapshot: ref for ref in self.all_refs()}
        found = [digest for digest in refs if digest.startswith(prefix)]
        if not found:
            raise UnknownSnapshotError(
                f"no published snapshot of store {self.objects.url} has an id that begins with {prefix!r}; "
                f"`sensorloom log` lists the {len(refs)} there are; {self._known_refs()}"
            )
        if len(found) > 1:
            candidates = "; ".join(str(refs[digest]) for digest in sorted(found))
            raise UnknownSnapshotError(
                f"snapshot id prefix {prefix!r} is ambiguous, give more digits: {candidates}"
            )
        return found[0]

    def _decode_ref(self, name: str, sequence: int, data: Buffer) -> Ref:
        where = self.objects.describe(ref_key(name, sequence))
        ref = decode_ref(data, where)
        if (ref.name, ref.sequence) != (name, sequence):
            raise MalformedObjectError(f"{where} holds commit {ref.sequence} of ref {ref.name!r}")
        return ref

    def _checked(self, key: str, digest: str) -> bytes:
        data = bytes(self.objects.get(key))
        if digest_of(data) != digest:
            raise MalformedObjectError(
                f"{self.objects.describe(key)} is not what its name says: its sha256 is {digest_of(data)}"
            )
        return data

    def _known_refs(self) -> str:
        names = self.ref_names()
        return f"known refs: {', '.join(names)}" if names else "it has no commit yet"
