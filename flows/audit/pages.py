"""Pages of takes, made on the engine, and the windows that the index shows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sensorloom.align.clock import ClockMap
from sensorloom.flows.audit.load import load_take
from sensorloom.flows.audit.pictures import ToDraw, draw
from sensorloom.flows.audit.report_takes import (
    ClockFacts,
    StreamFacts,
    SyncFacts,
    TakeDetail,
    TakeFacts,
    TakeFinding,
    ViewWindows,
)
from sensorloom.flows.audit.report_windows import WindowPicture
from sensorloom.flows.audit.strips import strips_of
from sensorloom.flows.config import Config
from sensorloom.flows.engine import Workers
from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.take import render_take
from sensorloom.flows.work import Listeners, Progress, run_tasks
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository

__all__ = ["DrawTask", "PageTask", "draw_windows", "make_pages"]

_AT_A_TIME = 64
"""Pages of so many takes are in memory at once."""


@dataclass(frozen=True, slots=True)
class DrawTask:
    """Windows of one take to draw; `raw` is the parent of the data sets' folders, where frames are asked for."""

    store_url: str
    take_id: str
    streams: Shard
    frames: Shard | None
    windows: tuple[ToDraw, ...]
    raw: str | None


@dataclass(frozen=True, slots=True)
class PageTask:
    """All that the page of a take tells beside what its shards do."""

    drawn: DrawTask
    report_id: str
    facts: TakeFacts
    origin: str
    streams: tuple[StreamFacts, ...]
    syncs: tuple[SyncFacts, ...]
    findings: tuple[TakeFinding, ...]
    views: tuple[ViewWindows, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    place: str
    data: bytes


def draw_windows(
    tasks: Sequence[DrawTask], config: Config, workers: Workers, on_progress: Progress | None
) -> list[WindowPicture]:
    """Draw the windows of every task."""
    drawn: list[WindowPicture] = []
    listeners = Listeners(on_progress, drawn.extend)
    run_tasks(_draw, list(tasks), config, listeners, name=lambda task: task.take_id, workers=workers)
    return drawn


def make_pages(
    tasks: tuple[int, Iterator[PageTask]], config: Config, workers: Workers, on_progress: Progress | None
) -> Iterator[tuple[str, str]]:
    """Yield where each page lies from the report's folder and its text; `tasks` come with how many there are."""
    (total, queue), done = tasks, 0

    def tell(name: str, count: int, _: int) -> None:
        if on_progress is not None:
            on_progress(name, done + count, total)

    while some := list(islice(queue, _AT_A_TIME)):
        made = run_tasks(
            _make, some, config, Listeners(tell), name=lambda task: task.facts.take_id, workers=workers
        )
        done += len(some)
        for page in sorted(made, key=lambda page: page.place):
            yield page.place, zlib.decompress(page.data).decode()


def _draw(task: DrawTask) -> tuple[WindowPicture, ...]:
    aligned, _ = load_take(Repository.open(task.store_url), task.streams, None)
    return draw(aligned, task.windows, None if task.raw is None else Path(task.raw))


def _make(task: PageTask) -> _Page:
    style, script = resources()
    text = render_take(_detail(task), task.report_id, style=style, script=script)
    return _Page(task.facts.page or "", zlib.compress(text.encode()))


def _detail(task: PageTask) -> TakeDetail:
    drawn = task.drawn
    aligned, cameras = load_take(Repository.open(drawn.store_url), drawn.streams, drawn.frames)
    return TakeDetail(
        facts=task.facts,
        participant_id=aligned.participant_id,
        capture_id=aligned.capture_id,
        official_split=aligned.official_split,
        origin=task.origin,
        start_s=aligned.grid.start_ns / NS_PER_S,
        streams=task.streams,
        clocks=tuple(_clock(clock) for clock in aligned.clock_maps),
        strips=strips_of(aligned, cameras),
        syncs=task.syncs,
        findings=task.findings,
        views=task.views,
        pictures=draw(aligned, drawn.windows, None if drawn.raw is None else Path(drawn.raw)),
    )


def _clock(clock: ClockMap) -> ClockFacts:
    return ClockFacts(
        source=clock.source,
        target=clock.target,
        rule=clock.rule,
        offset_ms=clock.offset_ns / NS_PER_MS,
        drift_ppm=clock.drift_ppm,
        residual_ms=clock.residual_rms_ms,
        anchors=clock.num_anchors,
    )
