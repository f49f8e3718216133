"""The one door to a store: open it, write shards and records, publish, read, compare, check, clean."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sensorloom.store.address import open_objects
from sensorloom.store.arrays import ArrayShard, open_array_shard
from sensorloom.store.cache import ShardCache
from sensorloom.store.canonical import JSON, Fields, canonical_json, decode
from sensorloom.store.catalog import Catalog
from sensorloom.store.difference import Diff, diff_manifests
from sensorloom.store.errors import FormatVersionError, MalformedObjectError, NotAStoreError
from sensorloom.store.held import HeldArrays, hold_in_store, no_cache
from sensorloom.store.layout import FORMAT_KEY, ShardFormat, shard_key, shard_marker, work_record_key
from sensorloom.store.manifest import Manifest, Ref, Shard, Snapshot, WorkRecord, encode_work
from sensorloom.store.objects import Buffer, Objects
from sensorloom.store.retention import GcReport, RetentionPolicy, collect_garbage
from sensorloom.store.shards import is_whole, write_array_shard, write_table_shard
from sensorloom.store.tables import decode_columns, decode_table, frame_of_tables
from sensorloom.store.transaction import Commit, Committer, Plan, Request
from sensorloom.store.verify import Progress, VerifyReport, verify_store
from sensorloom.store.zarr_metadata import ShardRoot, read_root

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["Repository"]

FORMAT_VERSION = 1
_FORMAT_NAME = "sensorloom-store"


class Repository:
    """A store at one address; cheap to open, and pickled as its address.

    Objects are immutable and named by content, so any number of processes may read and write at the same
    time.
    """

    def __init__(self, objects: Objects) -> None:
        """Use objects that hold a store already; `Repository.open` checks or creates one."""
        self._objects = objects
        self._catalog = Catalog(objects)

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Repository:
        """Open the store at `url`: a directory, `file:///…`, `memory://name` or `s3://bucket/prefix`.

        With `create`, an address without a store becomes an empty one. Raises `UrlError` for an address of
        unknown kind, `NotAStoreError` where no store is, `FormatVersionError` for one of a newer layout.
        """
        objects = open_objects(str(url))
        data = objects.find(FORMAT_KEY)
        if data is None and create:
            objects.create(FORMAT_KEY, canonical_json({"format": _FORMAT_NAME, "version": FORMAT_VERSION}))
            data = objects.find(FORMAT_KEY)
        if data is None:
            raise NotAStoreError(
                f"no sensorloom store at {objects.url}: it has no {FORMAT_KEY}. Correct the address, or "
                "create one: any command that writes does, and so does Repository.open(url, create=True)"
            )
        _check_format(data, objects)
        return cls(objects)

    def __reduce__(self) -> tuple[Callable[[str], Repository], tuple[str]]:
        return Repository.open, (self.url,)

    def __repr__(self) -> str:
        return f"Repository({self.url!r})"

    @property
    def url(self) -> str:
        """The address that opens the same store in another process."""
        return self._objects.url

    @property
    def is_local(self) -> bool:
        """Tell whether the store is a directory of this machine, whose files can be mapped where they lie."""
        return self._objects.path(FORMAT_KEY) is not None

    # What is published

    def head(self, ref: str = "main") -> Ref | None:
        """Return the latest commit of a ref, or None before the first."""
        return self._catalog.head(ref)

    def log(self, ref: str = "main") -> list[Ref]:
        """Return every commit of a ref, newest first."""
        return self._catalog.log(ref)

    def refs(self) -> list[str]:
        """Return the names of all refs."""
        return self._catalog.ref_names()

    def resolve(self, revision: str) -> Snapshot:
        """Return the snapshot that a ref (`main`), an ancestor (`main~2`), an id or 6 of its digits names."""
        return self._catalog.resolve(revision)

    def manifest(self, snapshot: Snapshot, table: str) -> Manifest:
        """Return the shards of one table, none if the snapshot lacks it."""
        return self._catalog.table(snapshot, table)

    def diff(self, before: Snapshot, after: Snapshot) -> Diff:
        """Return, per table, which shards came, went or changed between two snapshots."""
        tables = sorted({*before.tables, *after.tables})
        return diff_manifests(
            {table: (self.manifest(before, table), self.manifest(after, table)) for table in tables}
        )

    # Shards

    def write_table(self, key: str, table: pa.Table, *, work: str) -> Shard:
        """Write `table` as a Parquet shard for partition `key`, made by the work of key `work`."""
        return write_table_shard(self._objects, key, table, work)

    def read_table(self, shard: Shard) -> pa.Table:
        """Read a Parquet shard whole."""
        key = shard_key(shard.digest, "parquet")
        return decode_table(self._objects.get(key), self._objects.describe(key))

    def read_tables(self, shards: Sequence[Shard], columns: Sequence[str]) -> list[pa.Table]:
        """Read `columns` of Parquet shards, one table a shard, all fetched at the same time.

        Raises `MalformedObjectError` for a shard that lacks a column or holds other than its count of rows.
        """
        tables = []
        for shard, where, data in self._fetch(shards, "parquet"):
            table = decode_columns(data, columns, where)
            _check_rows(table.num_rows, shard, where)
            tables.append(table)
        return tables

    def scan(self, snapshot: Snapshot, table: str) -> pl.LazyFrame:
        """Return all Parquet shards of a table as one frame in key order, without columns if none.

        Lazy on a local store (polars reads only the columns and rows asked for); elsewhere the shards are
        fetched now.
        """
        import polars as pl

        shards = self.manifest(snapshot, table).shards
        if not shards:
            return pl.LazyFrame()
        keys = [shard_key(shard.digest, "parquet") for shard in shards]
        paths = [path for key in keys if (path := self._objects.path(key))]
        if paths:
            return pl.scan_parquet(paths)
        contents = zip(keys, self._objects.get_all(keys), strict=True)
        return frame_of_tables([decode_table(data, self._objects.describe(key)) for key, data in contents])

    def write_arrays(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        *,
        rows: int,
        attributes: Mapping[str, JSON],
        work: str,
        compress: Collection[str] = (),
    ) -> Shard:
        """Write `arrays` (name, nested by `/`, to array of any shape) as a Zarr shard of partition `key`.

        Those that `compress` names are written in compressed blocks of rows: fewer bytes, and no file to map.
        """
        return write_array_shard(
            self._objects, key, arrays, rows=rows, attributes=attributes, work=work, compress=compress
        )

    def open_arrays(self, shard: Shard) -> ArrayShard:
        """Open a Zarr shard: read-only memory maps on a local store, one request per array elsewhere."""
        return open_array_shard(self._objects, shard)

    def hold_arrays(
        self, shard: Shard, cache: ShardCache | None, *, root: ShardRoot | None = None
    ) -> HeldArrays:
        """Return a Zarr shard as plain files to map, until it is closed; several threads may call at once.

        Plain arrays of a local store are its own files. What lies elsewhere or is compressed comes into
        `cache`; without one that is a `StorageError`. `root` is the shard's, where `array_roots` read it before:
        a local store is then not read at all.
        """
        held = hold_in_store(self._objects, shard, root)
        if held is not None:
            return held
        if cache is None:
            raise no_cache(self._objects, shard)
        return cache.hold(self._objects, shard)

    def array_roots(self, shards: Sequence[Shard]) -> list[ShardRoot]:
        """Read what the roots of Zarr shards tell of their arrays, all fetched at the same time.

        Raises `MalformedObjectError` for a root of other than its shard's count of rows.
        """
        roots = []
        for shard, where, data in self._fetch(shards, "zarr"):
            root = read_root(data, where)
            _check_rows(root.rows, shard, where)
            roots.append(root)
        return roots

    # Work

    def find_work(self, key: str) -> WorkRecord | None:
        """Return what this work produced, or None if it must be done: no record, or a shard not whole."""
        record = self._catalog.work(key)
        if record is None or not all(is_whole(self._objects, shard) for shard in record.shards):
            return None
        return record

    def record_work(self, record: WorkRecord) -> None:
        """Write a work record; its shards must be written before."""
        self._objects.put(work_record_key(record.key), encode_work(record))

    # Publish, check, clean

    def commit(
        self,
        plan: Plan,
        *,
        message: str,
        provenance: Mapping[str, JSON],
        ref: str = "main",
        pause: Callable[[float], None] = time.sleep,
    ) -> Commit:
        """Publish the changes that `plan` makes of the head; see `transaction` for the protocol.

        `plan` must be pure: it is called again on the new head when a race was lost, and may raise
        `ConflictError(reason)`. Where the outcome equals the head, nothing is written and `created` is False.
        `pause` waits between tries.
        """
        return Committer(self._objects, pause).commit(plan, Request(ref, message, provenance))

    def draft(self, plan: Plan, *, ref: str = "main") -> Snapshot:
        """Return the snapshot that committing `plan` would publish now, to be read before it is, or never.

        Its manifests are written, and no ref reaches them: garbage collection takes those that are not published.
        """
        return Committer(self._objects).draft(plan, Request(ref, "draft", {}))

    def verify(self, on_progress: Progress | None = None) -> VerifyReport:
        """Recompute every digest, size and row count that a ref reaches."""
        return verify_store(self._objects, on_progress)

    def collect_garbage(self, *, dry_run: bool = False, policy: RetentionPolicy | None = None) -> GcReport:
        """Remove what no ref, fresh work record or live lease reaches; with `dry_run`, only list it."""
        return collect_garbage(self._objects, policy or RetentionPolicy(), dry_run=dry_run)

    def _fetch(self, shards: Sequence[Shard], kind: ShardFormat) -> Iterator[tuple[Shard, str, Buffer]]:
        """Yield each shard with what messages call it and the content of its file or root."""
        keys = [shard_marker(shard.digest, kind) for shard in shards]
        for shard, key, data in zip(shards, keys, self._objects.get_all(keys), strict=True):
            yield shard, f"shard {shard.key}, {self._objects.describe(key)}", data


def _check_rows(found: int, shard: Shard, where: str) -> None:
    if found != shard.rows:
        raise MalformedObjectError(
            f"{where} holds {found} rows, its manifest says {shard.rows}; run `sensorloom verify`"
        )


def _check_format(data: bytes | memoryview, objects: Objects) -> None:
    where = objects.describe(FORMAT_KEY)
    version = decode(data, where, _version)
    if version > FORMAT_VERSION:
        raise FormatVersionError(
            f"{where} says layout version {version}, this sensorloom knows versions up to {FORMAT_VERSION}; "
            "upgrade sensorloom"
        )


def _version(fields: Fields) -> int:
    fields.choice("format", (_FORMAT_NAME,))
    return fields.count("version")
