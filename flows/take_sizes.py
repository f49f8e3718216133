"""The takes of a snapshot that have a video or a text, and about how much there is of each."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from sensorloom.align.timeline import SLOW_RATE_HZ
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["TakeSize", "with_pictures_or_texts"]


@dataclass(frozen=True, slots=True)
class TakeSize:
    """Where a take came from (`recorded`, `generated`), its cameras, seconds of film, and its video files."""

    origin: str
    cameras: int
    video_s: float
    raw_bytes: int
    uris: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Frames to embed, about: 10 for each second of film, and one more for each camera."""
        return round(self.video_s * SLOW_RATE_HZ) + self.cameras


def with_pictures_or_texts(repo: Repository, snapshot: Snapshot) -> dict[str, TakeSize]:
    """Return every take that has a video or a text, and about how much there is of it."""
    if not repo.manifest(snapshot, "takes").shards:
        return {}
    film = pl.element().struct.field("kind") == "video"
    file = pl.element().struct.field("uri").str.to_lowercase().str.ends_with(".mp4")
    seconds = pl.element().struct.field("usable_s")
    size, uri = (pl.element().struct.field(field) for field in ("num_bytes", "uri"))
    files = pl.col("sources").list.filter(file)
    takes = repo.scan(snapshot, "takes").select(
        "take_id",
        "origin",
        video_s=pl.col("streams").list.filter(film).list.eval(seconds).list.sum(),
        raw_bytes=files.list.eval(size).list.sum(),
        uris=files.list.eval(uri),
        cameras=pl.col("streams").list.filter(film).list.len(),
    )
    texts: set[str] = set()
    if repo.manifest(snapshot, "events").shards:
        texts = set(repo.scan(snapshot, "events").select(pl.col("take_id").unique()).collect()["take_id"])
    return {
        row["take_id"]: TakeSize(
            row["origin"], row["cameras"], row["video_s"], row["raw_bytes"], tuple(row["uris"])
        )
        for row in takes.collect().iter_rows(named=True)
        if row["cameras"] or row["take_id"] in texts
    }
