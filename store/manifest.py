"""The records of a store: shards, manifests, snapshots, work, refs. Pure values with one byte form.

Frozen, checked, never coerced; `encode_*` gives canonical JSON, `decode_*` reads it strictly and names the
object it came from in every error.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of

from sensorloom.store.canonical import JSON, Fields, canonical_json, decode, digest_of
from sensorloom.store.errors import InvalidNameError
from sensorloom.store.layout import (
    ShardFormat,
    check_digest,
    check_ref_name,
    check_shard_key,
    check_table_name,
    shard_key,
)

__all__ = [
    "JSON",
    "Manifest",
    "Ref",
    "Shard",
    "Snapshot",
    "WorkRecord",
    "decode_manifest",
    "decode_ref",
    "decode_snapshot",
    "decode_work",
    "encode_manifest",
    "encode_ref",
    "encode_snapshot",
    "encode_work",
    "work_key",
]


@dataclass(frozen=True, slots=True)
class Shard:
    """One immutable piece of a table.

    `key` is its partition within the table (`07`, or a take id), `digest` the sha256 that names its content,
    `rows` its row count, `num_bytes` the size of all its files, `work` the key of the work that made it.
    """

    key: str
    format: ShardFormat
    digest: str
    rows: int
    num_bytes: int
    work: str

    def __post_init__(self) -> None:
        check_shard_key(self.key)
        shard_key(self.digest, self.format)
        check_digest(self.work, "work key")
        if self.rows < 0 or self.num_bytes < 0:
            raise InvalidNameError(
                f"shard {self.key!r} has {self.rows} rows and {self.num_bytes} bytes; both must be at least 0"
            )


@dataclass(frozen=True, slots=True)
class Manifest:
    """The shards of one table, sorted by key, keys unique; `Manifest.of` sorts."""

    shards: tuple[Shard, ...] = ()

    def __post_init__(self) -> None:
        for left, right in zip(self.shards, self.shards[1:], strict=False):
            if left.key >= right.key:
                raise InvalidNameError(
                    f"manifest keys must rise and be unique, got {left.key!r} before {right.key!r}"
                )

    @classmethod
    def of(cls, shards: Iterable[Shard]) -> Manifest:
        """Build a manifest of shards in any order."""
        return cls(tuple(sorted(shards, key=lambda shard: shard.key)))

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.num_bytes for shard in self.shards)

    @property
    def digest(self) -> str:
        """The sha256 of its canonical JSON."""
        return digest_of(encode_manifest(self))

    def get(self, key: str) -> Shard | None:
        """Return the shard with this key, or None."""
        at = bisect_left(self.shards, key, key=lambda shard: shard.key)
        return self.shards[at] if at < len(self.shards) and self.shards[at].key == key else None

    def updated(self, changes: Mapping[str, Shard | None]) -> Manifest:
        """Return the manifest with each key set to its shard, or removed where that is None."""
        merged: dict[str, Shard | None] = {shard.key: shard for shard in self.shards}
        merged.update(changes)
        return Manifest.of(shard for shard in merged.values() if shard is not None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole content of the store at one time: table name to manifest digest, and nothing else."""

    tables: Mapping[str, str]

    def __post_init__(self) -> None:
        for table, digest in self.tables.items():
            check_table_name(table)
            check_digest(digest, f"manifest digest of table {table}")

    @property
    def id(self) -> str:
        """The sha256 of its canonical JSON: equal content, equal id, whatever the history."""
        return digest_of(encode_snapshot(self))


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """What one piece of work produced: its shards, and small rows by table name. Written after the shards."""

    key: str
    stage: str
    target: str
    shards: tuple[Shard, ...]
    rows: Mapping[str, tuple[Mapping[str, JSON], ...]]

    def __post_init__(self) -> None:
        check_digest(self.key, "work key")
        for table in self.rows:
            check_table_name(table)


@dataclass(frozen=True, slots=True)
class Ref:
    """One commit: the `sequence`-th snapshot (from 1) published under `name`. `time` is ISO 8601 in UTC."""

    name: str
    sequence: int
    snapshot: str
    parent: str | None
    provenance: Mapping[str, JSON]
    time: str
    message: str

    def __post_init__(self) -> None:
        check_ref_name(self.name)
        check_digest(self.snapshot, "snapshot id")
        if self.parent is not None:
            check_digest(self.parent, "parent snapshot id")
        if self.sequence < 1:
            raise InvalidNameError(f"sequence of ref {self.name} must be at least 1, got {self.sequence}")

    def __str__(self) -> str:
        return f"{self.name} #{self.sequence} of {self.time}, {self.message!r}, snapshot {self.snapshot[:12]}"


def work_key(stage: str, code_version: int, inputs: JSON, settings: JSON) -> str:
    """Return the key of a piece of work: the sha256 of the canonical JSON of all it depends on."""
    return digest_of(
        canonical_json({"stage": stage, "code_version": code_version, "inputs": inputs, "settings": settings})
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the canonical JSON of a manifest."""
    return canonical_json({"shards": [_json(shard) for shard in manifest.shards]})


def decode_manifest(data: bytes | memoryview, where: str) -> Manifest:
    """Read a manifest strictly."""
    return decode(data, where, lambda fields: Manifest(fields.records("shards", _shard)))


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the canonical JSON of a snapshot."""
    return canonical_json({"tables": dict(snapshot.tables)})


def decode_snapshot(data: bytes | memoryview, where: str) -> Snapshot:
    """Read a snapshot strictly."""
    return decode(data, where, lambda fields: Snapshot(fields.text_map("tables")))


def encode_work(record: WorkRecord) -> bytes:
    """Return the canonical JSON of a work record."""
    return canonical_json({**_json(record), "shards": [_json(shard) for shard in record.shards]})


def decode_work(data: bytes | memoryview, where: str) -> WorkRecord:
    """Read a work record strictly."""
    return decode(data, where, _work)


def encode_ref(ref: Ref) -> bytes:
    """Return the canonical JSON of a ref."""
    return canonical_json(_json(ref))


def decode_ref(data: bytes | memoryview, where: str) -> Ref:
    """Read a ref strictly."""
    return decode(
        data,
        where,
        lambda fields: Ref(
            name=fields.text("name"),
            sequence=fields.count("sequence"),
            snapshot=fields.text("snapshot"),
            parent=fields.text_or_none("parent"),
            provenance=fields.mapping("provenance"),
            time=fields.text("time"),
            message=fields.text("message"),
        ),
    )


def _json(record: Shard | Ref | WorkRecord) -> dict[str, JSON]:
    return {field.name: getattr(record, field.name) for field in fields_of(record)}


def _shard(fields: Fields) -> Shard:
    return Shard(
        key=fields.text("key"),
        format=fields.choice("format", ("zarr", "parquet")),
        digest=fields.text("digest"),
        rows=fields.count("rows"),
        num_bytes=fields.count("num_bytes"),
        work=fields.text("work"),
    )


def _work(fields: Fields) -> WorkRecord:
    return WorkRecord(
        key=fields.text("key"),
        stage=fields.text("stage"),
        target=fields.text("target"),
        shards=fields.records("shards", _shard),
        rows=fields.tables_of_rows("rows"),
    )
