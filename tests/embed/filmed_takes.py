"""Small generated takes with true video files, stored as ingest stores them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from sensorloom.align.codec import encode_arrays, encode_attributes
from sensorloom.align.timeline import AlignedTake, Grid, VideoTrack
from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.take import TextEvent
from sensorloom.ingest.video import read_video_table

S = 1_000_000_000
WIDTH_PX, HEIGHT_PX = 64, 48


def write_film(path: Path, seed: int, seconds: float = 2.0) -> None:
    """Write a film of 30 frames/s, a key frame every third of a second; each `seed` shows something else."""
    rng = np.random.default_rng(seed)
    times = np.rint(np.arange(round(seconds * 30)) * S / 30).astype(np.int64)
    still = rng.integers(0, 256, (HEIGHT_PX // 8, WIDTH_PX // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = (np.roll(still, index, axis=1) for index in range(len(times)))
    with path.open("wb") as file:
        write_video(file, frames, times, Encoding(keyframe_every=10, crf=20))


def filmed_take(name: str, raw: Path, files: tuple[str, ...], texts: tuple[str, ...] = ()) -> AlignedTake:
    """Return a generated take whose cameras are `files` under `raw`, the first of them ego."""
    videos = tuple(_track(raw, uri, "exo" if index else "ego") for index, uri in enumerate(files))
    events = tuple(
        TextEvent("atomic", "take", (index + 1) * S, (index + 1) * S, text, "a", 2 * S)
        for index, text in enumerate(texts)
    )
    return AlignedTake(
        f"egoexo4d/{name}", "egoexo4d", "capture", "egoexo4d/1", "train", Grid(0, 400), (), videos=videos,
        events=events,
    )  # fmt: skip


def shifted(take: AlignedTake, by_ns: int) -> AlignedTake:
    """Return the take as other settings of a clock would align it."""
    videos = tuple(replace(video, times_ns=video.times_ns + by_ns) for video in take.videos)
    return replace(take, videos=videos)


def store_take(repo, take, raw, sources=None):
    """Write the stream shard of a take whose files are as they are now."""
    if sources is None:
        sources = [
            {
                "uri": video.uri,
                "sha256": sha256(raw / video.uri),
                "num_bytes": (raw / video.uri).stat().st_size,
            }
            for video in take.videos
        ]
    attributes = {**encode_attributes(take), "sources": sources}
    return repo.write_arrays(
        take.take_id, encode_arrays(take), rows=take.grid.num_samples, attributes=attributes, work="0" * 64
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _track(raw: Path, uri: str, view: str) -> VideoTrack:
    table = read_video_table(raw / uri, uri)
    return VideoTrack(
        Path(uri).stem, view, uri, "448", table.time_base, table.width_px, table.height_px, False,
        table.times_ns, table.pts,
    )  # fmt: skip
