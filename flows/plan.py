"""What an ingest run would do and why, before it does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sensorloom.align.alignment import AlignSettings
from sensorloom.align.stage import ingest_key, origin_of
from sensorloom.flows.config import Config
from sensorloom.flows.publish import read_failures, read_takes
from sensorloom.ingest.digest import DigestCache, FileDigest, on_disk
from sensorloom.ingest.errors import LayoutError
from sensorloom.ingest.reader import get_reader
from sensorloom.ingest.source import TakeSource
from sensorloom.ingest.take import counted
from sensorloom.store.errors import NotAStoreError
from sensorloom.store.repository import Repository

__all__ = ["IngestPlan", "PlannedTake", "Reason", "open_if_there", "plan_ingest"]

Reason = Literal[
    "new", "raw files changed", "settings or code changed", "to be hashed", "failed before", "unchanged"
]


_NO_RECORDS = TakeSource("", "", ()).records_sha256


@dataclass(frozen=True, slots=True)
class PlannedTake:
    """One take under the raw root, and why it would be read again or not.

    `to be hashed` means that the files' sizes or times differ from what is remembered: the run hashes them and
    then reads only those takes whose bytes did change.
    """

    source: TakeSource
    digests: tuple[FileDigest | None, ...]
    reason: Reason


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """All takes of a data set under `root`, with what the head of the store holds of it."""

    dataset: str
    root: Path
    settings: AlignSettings
    takes: tuple[PlannedTake, ...]
    head_work: Mapping[str, str]
    absent: tuple[str, ...]
    """Takes that the store holds but the raw tree does not; they stay in the store."""
    listed: tuple[str, ...]
    """Takes that the raw tree's metadata lists without a file of theirs: not downloaded, or moved away."""
    forgotten: tuple[str, ...]
    """Takes that once failed, of which neither store nor raw tree holds anything any more."""
    stored_bytes_per_raw_byte: float | None

    def not_downloaded(self, dropped: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Takes that are `listed` and that the store does not hold either, once it has `dropped` some."""
        return tuple(take for take in self.listed if take not in self.head_work or take in dropped)

    @property
    def pending(self) -> tuple[PlannedTake, ...]:
        """Takes that a run would submit."""
        return tuple(take for take in self.takes if take.reason != "unchanged")

    @property
    def unchanged(self) -> tuple[PlannedTake, ...]:
        """Takes that a run would leave alone."""
        return tuple(take for take in self.takes if take.reason == "unchanged")


@dataclass(frozen=True, slots=True)
class _Held:
    """What the head holds of a data set: its takes' rows, the ids that failed, stream bytes per raw byte."""

    rows: Mapping[str, Mapping[str, Any]]
    failed: frozenset[str]
    stored_bytes_per_raw_byte: float | None


def open_if_there(url: str) -> Repository | None:
    """Open the store at `url`, or return None where there is none: a plan must not create one."""
    try:
        return Repository.open(url)
    except NotAStoreError:
        return None


def plan_ingest(
    dataset: str, root: Path, repo: Repository | None, config: Config, cache: DigestCache
) -> IngestPlan:
    """Compare the takes under `root` with the head of `repo` (None where there is no store yet). Reads no raw data.

    Raises `LayoutError` when nothing of the data set is under `root`.
    """
    settings = AlignSettings(max_gap_ms=config.align.max_gap_ms, upsampling=config.align.upsampling)
    sources = get_reader(dataset).index(root)
    held = _head(repo, config.store.ref, dataset)
    known = cache.find(tuple({path for source in sources for path in on_disk(root, source.files)}))
    takes, origin = [], origin_of(root)
    for source in sources:
        digests = tuple(known.get(path) for path in on_disk(root, source.files))
        complete = tuple(digest.sha256 for digest in digests if digest is not None)
        key = ingest_key(source, complete, origin, settings) if len(complete) == len(digests) else None
        takes.append(PlannedTake(source, digests, _reason(source, key, complete, held)))
    listed = get_reader(dataset).absent(root)
    if listed and not sources:
        raise LayoutError(
            f"{root}: its metadata lists {counted(len(listed), 'take')} and there is no file of any;"
            " download videos or sensors of some, or point to where they are"
        )
    not_downloaded = [take_id for take_id in listed if take_id not in held.rows]
    # What the head says of the data set as a whole stands while there are absent takes to tell of.
    present = {source.take_id for source in sources} | ({dataset} if not_downloaded else set())
    return IngestPlan(
        dataset=dataset,
        root=root,
        settings=settings,
        takes=tuple(takes),
        head_work={take_id: row["work"] for take_id, row in held.rows.items()},
        absent=tuple(sorted(held.rows.keys() - present)),
        listed=listed,
        forgotten=tuple(sorted(held.failed - held.rows.keys() - present)),
        stored_bytes_per_raw_byte=held.stored_bytes_per_raw_byte,
    )


def _head(repo: Repository | None, ref: str, dataset: str) -> _Held:
    head = None if repo is None else repo.head(ref)
    if repo is None or head is None:
        return _Held({}, frozenset(), None)
    snapshot = repo.resolve(head.snapshot)
    rows = {key: row for key, row in read_takes(repo, snapshot).items() if row["dataset"] == dataset}
    stored = sum(shard.num_bytes for shard in repo.manifest(snapshot, "streams").shards if shard.key in rows)
    files = {source["uri"]: source["num_bytes"] for row in rows.values() for source in row["sources"]}
    ratio = stored / sum(files.values()) if files else None
    return _Held(rows, read_failures(repo, snapshot, dataset), ratio)


def _reason(source: TakeSource, key: str | None, digests: tuple[str, ...], held: _Held) -> Reason:
    row = held.rows.get(source.take_id)
    if row is None:
        return "failed before" if source.take_id in held.failed else "new"
    if key is None:
        return "to be hashed"
    if key == row["work"]:
        return "failed before" if source.take_id in held.failed else "unchanged"
    same_bytes = [entry["sha256"] for entry in row["sources"]] == list(digests)
    # A row that an older version wrote tells of no records.
    same_bytes &= (row.get("records_sha256") or _NO_RECORDS) == source.records_sha256
    return "settings or code changed" if same_bytes else "raw files changed"
