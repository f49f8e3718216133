"""One embed run at work: batches of takes on the engine, then the texts that are new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from sensorloom.align.stage import Failed
from sensorloom.embed.checked import golden_key
from sensorloom.embed.stage import Embedded, EmbedTask, TakeToEmbed, embed_takes
from sensorloom.embed.texts import TextTask, embed_texts
from sensorloom.flows.config import Config
from sensorloom.flows.embed_plan import EmbedPlan, PlannedEmbedding
from sensorloom.flows.engine import parse_engine
from sensorloom.flows.pages.words import duration
from sensorloom.flows.publish_vectors import PublishVectors
from sensorloom.flows.work import Listeners, Progress, find_records, run_tasks
from sensorloom.ingest.digest import DigestCache
from sensorloom.store.manifest import Shard, WorkRecord
from sensorloom.store.repository import Repository

__all__ = ["EmbedJob"]

TAKES_A_TASK = 8
TEXTS_A_TASK = 4096

T = TypeVar("T")
Results = tuple[Embedded | Failed, ...]


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """One run: where it works, as it is configured, what it was planned to do, and the digests it remembers."""

    repo: Repository
    config: Config
    plan: EmbedPlan
    cache: DigestCache

    def embed(self, on_progress: Progress | None) -> tuple[list[Embedded], list[Failed]]:
        """Embed the takes of the plan; return what was done, and what could not be."""
        failed = [_nowhere(take) for take in self.plan.takes if self._root(take) is None]
        takes = [take for take in self.plan.takes if self._root(take) is not None]
        told = _FrameProgress(self.plan.frames, on_progress)
        frames = {take.take_id: take.size.frames for take in takes}
        is_here = parse_engine(self.config.engine.spec).kind == "serial"

        def on_result(results: Results) -> None:
            self.cache.remember(
                {path: digest for done in _embedded(results) for path, digest in done.digests}
            )
            if not is_here:  # frames are told by the worker itself where it is this process
                told.add(sum(frames[result.take_id] for result in results))

        tasks = [self._task(batch) for batch in _batches(takes, TAKES_A_TASK)]
        work: Callable[[EmbedTask], Results] = (
            partial(embed_takes, on_frames=told.add) if is_here else embed_takes
        )
        results = run_tasks(
            work,
            tasks,
            self.config,
            Listeners(on_result=on_result),
            name=lambda task: ", ".join(take.take_id for take in task.takes),
            on_gpus=self._on_gpus,
        )
        failed += [result for batch in results for result in batch if isinstance(result, Failed)]
        return [done for batch in results for done in _embedded(batch)], failed

    def publisher(self, done: Sequence[Embedded]) -> PublishVectors:
        """Encode the texts that the store lacks, and return what to commit."""
        vectors = _by_take(find_records(self.repo, [result.vectors for result in done]))
        facts = _by_take(find_records(self.repo, [result.facts for result in done]))
        lacking = self._lacking(vectors.values())
        tasks = [self._text_task(batch) for batch in _batches(sorted(lacking.items()), TEXTS_A_TASK)]
        works = run_tasks(
            embed_texts,
            tasks,
            self.config,
            Listeners(),
            name=lambda task: f"{len(task.texts)} texts",
            on_gpus=self._on_gpus,
        )
        new_texts = tuple(record.shards[0] for record in find_records(self.repo, works))
        return PublishVectors(self.repo, self.plan.wanted, self._golden(), vectors, facts, new_texts)

    def _golden(self) -> Shard | None:
        """Return the encoder's golden vectors; none where it was never loaded, as no take could be embedded."""
        record = self.repo.find_work(golden_key(self.plan.wanted.identity))
        return self.plan.golden if record is None else self.plan.golden or record.shards[0]

    @property
    def _on_gpus(self) -> bool:
        is_dask = parse_engine(self.config.engine.spec).kind == "dask"
        return is_dask and self.config.embed.device.startswith("cuda")

    def _root(self, take: PlannedEmbedding) -> Path | None:
        return self.plan.roots.get(take.take_id.partition("/")[0])

    def _task(self, takes: Sequence[PlannedEmbedding]) -> EmbedTask:
        wanted, embed = self.plan.wanted, self.config.embed
        return EmbedTask(
            store_url=self.repo.url,
            identity=wanted.identity,
            backend=wanted.backend,
            device=embed.device,
            batch_size=embed.batch_size or None,
            takes=tuple(self._take(take) for take in takes),
            golden=self.plan.golden,
        )

    def _take(self, take: PlannedEmbedding) -> TakeToEmbed:
        root = (self._root(take) or Path()).absolute()
        videos = cast("list[dict[str, Any]]", self.repo.open_arrays(take.streams).attributes["videos"])
        uris = [str(video["uri"]) for video in videos]
        known = self.cache.find(tuple(root / uri for uri in uris))
        digests = tuple((uri, known[root / uri]) for uri in uris if root / uri in known)
        return TakeToEmbed(take.take_id, take.streams, str(root), digests)

    def _text_task(self, texts: Sequence[tuple[str, str]]) -> TextTask:
        embed = self.config.embed
        return TextTask(
            store_url=self.repo.url,
            identity=self.plan.wanted.identity,
            device=embed.device,
            batch_size=embed.batch_size or None,
            texts=tuple(texts),
            golden=self.plan.golden,
        )

    def _lacking(self, vectors: Iterable[WorkRecord]) -> dict[str, str]:
        """Return, by id, the texts of takes embedded now that the encoder has no vector of yet."""
        texts = {str(row["text_id"]): str(row["text"]) for record in vectors for row in record.rows["texts"]}
        for shard in self.plan.text_vectors:
            for digest in self.repo.open_arrays(shard)["ids"]:
                texts.pop(digest.tobytes().hex(), None)
        return texts


class _FrameProgress:
    """Tells how many frames are done, of about how many, how fast, and how long the rest will take."""

    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self._done, self._total = 0, total
        self._started_s = time.monotonic()
        self._tell = on_progress

    def add(self, frames: int) -> None:
        """Tell of `frames` more."""
        self._done += frames
        rate = self._done / max(time.monotonic() - self._started_s, 1e-9)
        if self._tell is not None and rate:
            left = duration(max(0, self._total - self._done) / rate)
            # The total was estimated from seconds of film.
            total = max(self._total, self._done)
            self._tell(f"frames, {rate:.1f} frames/s, {left} left", self._done, total)


def _nowhere(take: PlannedEmbedding) -> Failed:
    dataset = take.take_id.partition("/")[0]
    return Failed(
        take.take_id,
        f"nothing tells where the raw files of {dataset} are; give the parent of its folder with --raw",
    )


def _embedded(results: Results) -> list[Embedded]:
    return [result for result in results if isinstance(result, Embedded)]


def _by_take(records: Iterable[WorkRecord]) -> dict[str, WorkRecord]:
    return {record.target: record for record in records}


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
