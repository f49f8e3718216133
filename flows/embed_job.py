"""One embed run at work: batches of takes on the engine, then the texts that are new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl

from sensorloom.align.stage import Failed
from sensorloom.embed.checked import golden_key
from sensorloom.embed.stage import Embedded, EmbedTask, TakeToEmbed, embed_takes
from sensorloom.embed.texts import TextTask, embed_golden, embed_texts
from sensorloom.flows.config import Config
from sensorloom.flows.embed_plan import EmbedPlan, PlannedEmbedding
from sensorloom.flows.engine import Workers, open_engine, parse_engine
from sensorloom.flows.pages.words import duration
from sensorloom.flows.publish_vectors import PublishVectors
from sensorloom.flows.work import Listeners, Progress, find_records, run_tasks
from sensorloom.ingest.digest import DigestCache
from sensorloom.ingest.take import counted
from sensorloom.store.manifest import Shard, WorkRecord
from sensorloom.store.repository import Repository

__all__ = ["EmbedJob"]

TAKES_A_TASK = 8
TEXTS_A_TASK = 4096
_SHORTEST_PACE_S = 2.0

T = TypeVar("T")
Results = tuple[Embedded | Failed, ...]


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """One run: where it works, as it is configured, what it was planned to do, and the digests it remembers."""

    repo: Repository
    config: Config
    plan: EmbedPlan
    cache: DigestCache

    @contextmanager
    def workers(self) -> Iterator[Workers]:
        """Start the configured engine once for all that the run does: each worker loads the encoder once."""
        engine = parse_engine(self.config.engine.spec)
        with open_engine(
            engine, on_gpus=engine.kind == "dask" and self.config.embed.device.startswith("cuda")
        ) as workers:
            yield workers

    def embed(self, workers: Workers, on_progress: Progress | None) -> tuple[list[Embedded], list[Failed]]:
        """Embed the takes of the plan; return what was done, and what could not be."""
        failed = [self._nowhere(take) for take in self.plan.takes if not self._is_there(take)]
        takes = [take for take in self.plan.takes if self._is_there(take)]
        told = _FrameProgress(sum(take.frames for take in takes), on_progress)
        is_here = parse_engine(self.config.engine.spec).kind == "serial"

        def on_result(results: Results) -> None:
            self.cache.remember(
                {path: digest for done in _embedded(results) for path, digest in done.digests}
            )
            if not is_here:  # frames are told by the worker itself where it is this process
                told.add(sum(done.frames for done in _embedded(results)))

        # Small enough that no worker has a long task left when the others are done.
        size = max(1, min(TAKES_A_TASK, len(takes) // (4 * workers.num_workers)))
        work: Callable[[EmbedTask], Results] = (
            partial(embed_takes, on_frames=told.add) if is_here else embed_takes
        )
        results = run_tasks(
            work,
            [self._task(batch) for batch in _batches(takes, TAKES_A_TASK if is_here else size)],
            self.config,
            Listeners(on_result=on_result),
            name=_takes_of,
            workers=workers,
        )
        failed += [result for batch in results for result in batch if isinstance(result, Failed)]
        return [done for batch in results for done in _embedded(batch)], failed

    def publisher(self, workers: Workers, done: Sequence[Embedded]) -> PublishVectors:
        """Encode the texts that the store lacks, and return what to commit."""
        vectors = _by_take(find_records(self.repo, [result.vectors for result in done]))
        facts = _by_take(find_records(self.repo, [result.facts for result in done]))
        lacking = self._lacking(vectors.values())
        works = run_tasks(
            embed_texts,
            [self._text_task(batch) for batch in _batches(sorted(lacking.items()), TEXTS_A_TASK)],
            self.config,
            Listeners(),
            name=lambda task: counted(len(task.texts), "text"),
            workers=workers,
        )
        new_texts = tuple(record.shards[0] for record in find_records(self.repo, works))
        golden = self._golden(workers) if done or self.plan.unchanged else None
        return PublishVectors(self.repo, self.plan.wanted, golden, vectors, facts, new_texts)

    def _golden(self, workers: Workers) -> Shard:
        """Return the encoder's golden vectors, made now where nobody has any of the pictures of today."""
        key, held = golden_key(self.plan.wanted.identity), self.plan.golden
        if held is not None and held.work == key:
            return held
        if self.repo.find_work(key) is None:
            run_tasks(
                embed_golden,
                [self._text_task(())],
                self.config,
                Listeners(),
                name=lambda _: "golden pictures",
                workers=workers,
            )
        (record,) = find_records(self.repo, [key])
        return record.shards[0]

    def _is_there(self, take: PlannedEmbedding) -> bool:
        """Tell whether a take can be embedded: it was already, has no film, or its data set's folder is there."""
        is_done = take.reason == "done, not published" or not take.size.cameras
        return is_done or self.plan.root_of(take.take_id) is not None

    def _nowhere(self, take: PlannedEmbedding) -> Failed:
        dataset = take.take_id.partition("/")[0]
        told = self.plan.roots.get(dataset)
        where = (
            f"nothing tells where the raw files of {dataset} are"
            if told is None
            else f"the raw files of {dataset} are not at {told} any more"
        )
        return Failed(take.take_id, f"{where}; give the parent of a folder named {dataset} with --raw")

    def _task(self, takes: Sequence[PlannedEmbedding]) -> EmbedTask:
        wanted, embed = self.plan.wanted, self.config.embed
        return EmbedTask(
            store_url=self.repo.url,
            identity=wanted.identity,
            backend=wanted.backend,
            fingerprint=dict(wanted.fingerprint),
            device=embed.device,
            batch_size=embed.batch_size or None,
            takes=tuple(self._take(take) for take in takes),
            golden=self.plan.golden,
        )

    def _take(self, take: PlannedEmbedding) -> TakeToEmbed:
        root = (self.plan.root_of(take.take_id) or Path()).absolute()
        known = self.cache.find(tuple(root / uri for uri in take.size.uris))
        digests = tuple((uri, known[root / uri]) for uri in take.size.uris if root / uri in known)
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
        """Return, by id, the texts of the encoder's takes that it has no vector of yet."""
        texts = {str(row["text_id"]): str(row["text"]) for record in vectors for row in record.rows["texts"]}
        if self.plan.golden is None and self.plan.unchanged:  # what is there of texts is another encoder's
            rows = self.repo.scan(self.plan.snapshot, "texts").filter(
                pl.col("take_id").is_in(list(self.plan.unchanged))
            )
            texts |= dict(rows.select("text_id", "text").unique().collect().iter_rows())
        for shard in self.plan.text_vectors:
            for digest in self.repo.open_arrays(shard)["ids"]:
                texts.pop(digest.tobytes().hex(), None)
        return texts


class _FrameProgress:
    """Tells how many frames are done, of about how many, how fast, and how long the rest will take."""

    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self._done, self._total = 0, total
        self._first: tuple[float, int] | None = None
        self._tell = on_progress

    def add(self, frames: int) -> None:
        """Tell of `frames` more, of nothing before there is a frame to tell of.

        The pace counts from the first ones: loading the encoder is none of it.
        """
        self._done += frames
        now_s = time.monotonic()
        if self._first is None:
            self._first = (now_s, self._done)
        since_s, before = now_s - self._first[0], self._first[1]
        pace = ""
        if since_s > _SHORTEST_PACE_S and self._done > before:
            rate = (self._done - before) / since_s
            left_s = max(0, self._total - self._done) / rate
            pace = f", {rate:.1f} frames/s, {duration(left_s)} left"
        total = max(self._total, self._done)  # it was estimated from seconds of film
        if self._tell is not None and total:  # none where the vectors of every take lie ready
            self._tell(f"frames{pace}", self._done, total)


def _takes_of(task: EmbedTask) -> str:
    more = f" and {len(task.takes) - 1} more" if len(task.takes) > 1 else ""
    return f"{task.takes[0].take_id}{more}"


def _embedded(results: Results) -> list[Embedded]:
    return [result for result in results if isinstance(result, Embedded)]


def _by_take(records: Iterable[WorkRecord]) -> dict[str, WorkRecord]:
    return {record.target: record for record in records}


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
