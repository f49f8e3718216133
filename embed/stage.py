"""The embed stage: aligned takes in; the vectors of their frames, facts of the frames, texts and findings out.

Two pieces of work for each take, the vectors (of one encoder) and the facts (of none), are made in one pass over its
videos. Each is filed under two keys: one that a plan computes from digests alone, and one of what truly matters, the
very frames of the very files, so that a take aligned anew with the same frames costs no decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sensorloom.align.codec import finding_row
from sensorloom.align.stage import Failed, load_aligned
from sensorloom.embed.checked import ready_encoder
from sensorloom.embed.cores import num_cores
from sensorloom.embed.encoder import Identity
from sensorloom.embed.frames import CameraFrames, lattice_frames
from sensorloom.embed.keys import (
    FACTS_STAGE,
    STAGE,
    check_planned,
    facts_key,
    full_fingerprint,
    same_facts_key,
    same_vectors_key,
    vectors_key,
)
from sensorloom.embed.pipeline import Pipeline
from sensorloom.embed.preprocess import ResizeBackend
from sensorloom.embed.records import (
    camera_records,
    facts_arrays,
    frame_records,
    text_rows,
    undecodable,
    vector_arrays,
)
from sensorloom.embed.sources import check_still_unchanged, source_digests
from sensorloom.embed.works import CameraVectors, CameraWork, TakeWork
from sensorloom.ingest.digest import FileDigest
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.video import decoder_version
from sensorloom.store.manifest import JSON, Shard, WorkRecord
from sensorloom.store.repository import Repository

__all__ = ["EmbedTask", "Embedded", "Failed", "TakeToEmbed", "embed_takes"]

Cameras = tuple[CameraFrames, ...]
Rows = Mapping[str, tuple[Mapping[str, JSON], ...]]


@dataclass(frozen=True, slots=True)
class TakeToEmbed:
    """A take by its stream shard, and the data set's folder. `digests` are those remembered of its files, by URI."""

    take_id: str
    streams: Shard
    raw_root: str
    digests: tuple[tuple[str, FileDigest], ...] = ()


@dataclass(frozen=True, slots=True)
class EmbedTask:
    """What a worker needs to embed a batch of takes: small, picklable, no data.

    `fingerprint` is the full one that the run was planned with; `golden` has the encoder's vectors of the golden
    pictures where the store has them already.
    """

    store_url: str
    identity: Identity
    backend: ResizeBackend
    fingerprint: Mapping[str, Any]
    device: str
    batch_size: int | None
    takes: tuple[TakeToEmbed, ...]
    golden: Shard | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """The work records to commit for a take, and how many frames were dealt with; `reused` where nothing was decoded.

    `digests` are those of the files that were read, to be remembered.
    """

    take_id: str
    vectors: str
    facts: str
    frames: int
    reused: bool
    digests: tuple[tuple[Path, FileDigest], ...] = ()


def embed_takes(
    task: EmbedTask, on_frames: Callable[[int], None] | None = None
) -> tuple[Embedded | Failed, ...]:
    """Embed the takes of a task, in its order: vectors and frame facts, or what is there of them already.

    Each take is written when it is complete. `on_frames` hears how many frames were dealt with since it last did. A
    take whose files are gone or changed is `Failed`. Raises `EncoderError` for an encoder that is not the store's, or
    for libraries that prepare pictures otherwise than was planned, `VectorError` for vectors that may not be kept, and
    `StoreError`: those would befall every other take too.
    """
    desk = _Desk(task)
    pending = [take for asked in task.takes if (take := desk.look(asked)) is not None]
    if pending:
        wants_vectors = any(take.work.wants_vectors for take in pending)
        encoder = ready_encoder(desk.repo, task, task.backend) if wants_vectors else None
        num_cameras = sum(len(take.work.cameras) for take in pending)
        num_threads = max(1, min(num_cores(), num_cameras))
        pipeline = Pipeline(desk.unchanged(pending), encoder, task.backend, num_threads=num_threads)
        _run(pipeline, desk, on_frames)
    return tuple(desk.results[asked.take_id] for asked in task.takes)


@dataclass(frozen=True, slots=True)
class _Product:
    """One of the two things made of a take. `same_key` is of what truly matters, `key` of what a plan knows."""

    stage: str
    key: str
    same_key: str
    attributes: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class _Pending:
    """A take of which something is to be made; `sources` are the digests of its files as they were ingested."""

    asked: TakeToEmbed
    work: TakeWork
    sources: Mapping[str, str]
    texts: Rows
    vectors: _Product
    facts: _Product


class _Desk:
    """What is known of the takes of one task: what the store has of them, their files, and what became of them."""

    def __init__(self, task: EmbedTask) -> None:
        self.repo = Repository.open(task.store_url)
        self.results: dict[str, Embedded | Failed] = {}
        self._encoder = task.identity.name
        self._fingerprint = full_fingerprint(task.identity, task.backend)
        check_planned(task.fingerprint, self._fingerprint)
        self._pending: dict[str, _Pending] = {}
        self._digests: dict[str, dict[Path, FileDigest]] = {}

    def look(self, asked: TakeToEmbed) -> _Pending | None:
        """File what the store has of a take under its keys; return what is to be made, None where nothing is."""
        shard = self.repo.open_arrays(asked.streams)
        take = load_aligned(shard)
        sources = _sources(shard.attributes)
        cameras = tuple(lattice_frames(video) for video in take.videos)
        texts: Rows = {"texts": text_rows(take)}
        vectors = self._vectors(asked, cameras, sources)
        facts = self._facts(asked, cameras, sources)
        root = Path(asked.raw_root)
        work = TakeWork(
            asked.take_id,
            tuple(CameraWork(camera, root / camera.uri) for camera in cameras),
            wants_vectors=not self._find(asked, vectors, texts),
            wants_facts=not self._find(asked, facts, None),
        )
        if not work.wants_vectors and not work.wants_facts:
            self.results[asked.take_id] = Embedded(asked.take_id, vectors.key, facts.key, 0, reused=True)
            return None
        pending = self._pending[asked.take_id] = _Pending(asked, work, sources, texts, vectors, facts)
        return pending

    def unchanged(self, pending: list[_Pending]) -> Iterator[TakeWork]:
        """Yield the work of each take whose files are as they were ingested; the others fail."""
        for take in pending:
            asked, uris = take.asked, (camera.frames.uri for camera in take.work.cameras)
            try:
                digests = source_digests(Path(asked.raw_root), uris, take.sources, dict(asked.digests))
            except RawFileError as error:
                self.results[asked.take_id] = Failed(asked.take_id, str(error))
            else:
                self._digests[asked.take_id] = digests
                yield take.work

    def keep(self, work: TakeWork, cameras: tuple[CameraVectors, ...]) -> None:
        """Write what was made of a take, then its work records."""
        take_id, take, digests = work.take_id, self._pending[work.take_id], self._digests[work.take_id]
        try:
            check_still_unchanged(digests)  # else the records would file other frames under these digests
        except RawFileError as error:
            self.results[take_id] = Failed(take_id, str(error))
            return
        if work.wants_vectors:
            self._write(take_id, take.vectors, vector_arrays(cameras), take.texts)
        if work.wants_facts:
            found = (undecodable(take_id, camera) for camera in cameras)
            rows = tuple(finding_row(finding, STAGE, take_id) for finding in found if finding is not None)
            self._write(take_id, take.facts, facts_arrays(cameras), {"findings": rows})
        frames, keys = sum(len(camera.valid) for camera in cameras), (take.vectors.key, take.facts.key)
        self.results[take_id] = Embedded(take_id, *keys, frames, reused=False, digests=tuple(digests.items()))

    def _vectors(self, asked: TakeToEmbed, cameras: Cameras, sources: Mapping[str, str]) -> _Product:
        return _Product(
            STAGE,
            vectors_key(asked.streams.digest, self._fingerprint),
            same_vectors_key(asked.take_id, frame_records(cameras, sources), self._fingerprint),
            {
                "take_id": asked.take_id,
                "encoder": self._encoder,
                "fingerprint": self._fingerprint,
                "cameras": camera_records(cameras, sources),
            },
        )

    def _facts(self, asked: TakeToEmbed, cameras: Cameras, sources: Mapping[str, str]) -> _Product:
        decoder = decoder_version()
        return _Product(
            FACTS_STAGE,
            facts_key(asked.streams.digest, decoder),
            same_facts_key(asked.take_id, frame_records(cameras, sources), decoder),
            {"take_id": asked.take_id, "decoder": decoder, "cameras": camera_records(cameras, sources)},
        )

    def _find(self, asked: TakeToEmbed, product: _Product, rows: Rows | None) -> bool:
        """Tell whether the store has `product`, and file it under the plan's key where it lay under the other.

        `rows` None are those of the record found.
        """
        held = self.repo.find_work(product.key)
        found = held or self.repo.find_work(product.same_key)
        if found is None:
            return False
        (shard,), rows = found.shards, found.rows if rows is None else rows
        arrays = self.repo.open_arrays(shard)
        if arrays.attributes != product.attributes:
            self._write(asked.take_id, product, arrays, rows)  # under another encoder's name
        elif held is None:
            self._record(product.key, product, replace(shard, work=product.key), rows)
        return True

    def _write(self, take_id: str, product: _Product, arrays: Mapping[str, NDArray[Any]], rows: Rows) -> None:
        count = sum(len(array) for name, array in arrays.items() if name.endswith("/pts"))
        shard = self.repo.write_arrays(
            take_id, arrays, rows=count, attributes=product.attributes, work=product.key
        )
        for key in (product.same_key, product.key):
            self._record(key, product, shard, rows)

    def _record(self, key: str, product: _Product, shard: Shard, rows: Rows) -> None:
        self.repo.record_work(WorkRecord(key, product.stage, shard.key, (shard,), rows))


def _sources(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the sha256 by URI of the files that a take was ingested from."""
    return {source["uri"]: source["sha256"] for source in attributes["sources"]}


def _run(pipeline: Pipeline, desk: _Desk, on_frames: Callable[[int], None] | None) -> None:
    """Write each take in a thread of its own, so that the encoder need not wait for the store."""
    writing: list[Future[None]] = []

    def on_take(work: TakeWork, cameras: tuple[CameraVectors, ...]) -> None:
        if writing:
            writing.pop().result()
        writing.append(writer.submit(desk.keep, work, cameras))

    with ThreadPoolExecutor(1, "write") as writer:
        pipeline.run(on_take, on_frames)
        for last in writing:
            last.result()
