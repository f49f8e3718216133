"""A store with takes, their streams, facts of their frames and one view, all made by hand, for tests of the audit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from sensorloom.align.clock import ClockMap
from sensorloom.align.codec import encode_arrays, encode_attributes, take_row
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, MocapTrack, Quality, VideoTrack
from sensorloom.embed.facts import FrameFacts
from sensorloom.flows.tables import TAKES, WINDOWS
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

WORK = "0" * 64
SECONDS = 40.0
JOINTS = ("nose", "left-wrist", "right-wrist")
VIEW = {
    "name": "walk",
    "datasets": ["egoexo4d"],
    "positions": ["head"],
    "classes": ["walking"],
    "length_s": 5.0,
    "stride_s": 5.0,
    "rate_hz": 200,
    "min_coverage": 0.9,
    "cameras": ["ego"],
}


def aligned_take(
    take_id: str = "egoexo4d/a", *, seconds: float = SECONDS, start_s: float = 0.0
) -> AlignedTake:
    """Return a take that moves without repeating itself: an IMU on the head, mocap, and an ego camera at 10 Hz."""
    rng = np.random.default_rng(len(take_id))
    count, start_ns = round(seconds * 200), round(start_s * 1e9)
    walk = np.cumsum(rng.normal(0, 0.1, (count, 6)), axis=0)
    values = (walk - walk.mean(axis=0)).astype(np.float32)
    values[:, 2] += 9.81
    quality = np.full((count, 2), Quality.VALID, np.uint8)
    rows = round(seconds * 10)
    times = start_ns + np.arange(rows) * 100_000_000
    poses = rng.normal(0, 0.3, (rows, len(JOINTS), 3)).astype(np.float32)
    video = VideoTrack("aria01", "ego", "a.mp4", "full", (1, 10), 64, 48, False, times, np.arange(rows))
    return AlignedTake(
        take_id=take_id,
        dataset=take_id.partition("/")[0],
        capture_id=f"{take_id}-capture",
        participant_id=f"{take_id}-person",
        official_split="train",
        grid=Grid(start_ns, count),
        imu=(ImuTrack("head", "aria", values, quality),),
        videos=(video,),
        mocap=MocapTrack("annotation", JOINTS, start_ns, poses, np.full((rows, 3), Quality.VALID, np.uint8)),
        clock_maps=(ClockMap("camera", "take", 5_000_000, 12.0, 0, 0.5, 30, "timesync"),),
    )


def frame_facts(rows: int) -> FrameFacts:
    """Return facts of frames that all decode and of which no motion is told."""
    facts = FrameFacts.empty(rows)
    facts.is_decoded[:] = True
    facts.brightness[:], facts.contrast[:] = 100, 20
    return facts


def write_take(
    repo: Repository, take: AlignedTake, facts: FrameFacts | None, *, sha256: str = "1" * 64
) -> list[Put]:
    """Write the shards of a take; `sha256` is that of the file whose frames `facts` are of."""
    sources = [{"uri": "a.mp4", "sha256": "1" * 64, "num_bytes": 1}]
    attributes = {**encode_attributes(take), "sources": sources, "origin": "generated"}
    puts = [Put("streams", _arrays(repo, take.take_id, encode_arrays(take), attributes))]
    row = {**take_row(take), "origin": "generated", "sources": sources, "work": WORK}
    puts.append(
        Put("takes", repo.write_table(_key(take), pa.Table.from_pylist([row], schema=TAKES), work=WORK))
    )
    if facts is not None:
        arrays = {f"video.aria01/{name}": array for name, array in facts.named.items()}
        arrays["video.aria01/pts"] = take.videos[0].pts
        told = {"cameras": [{"name": "aria01", "view": "ego", "rendition": "full", "sha256": sha256}]}
        puts.append(Put("frames", _arrays(repo, take.take_id, arrays, told)))
    return puts


def write_view(repo: Repository, takes: list[AlignedTake], **changes: Any) -> list[Put]:
    """Write 5 s tiles of the takes, in one bucket, as the view `walk`; every other window carries a text."""
    rows, imu = [], []
    for take in takes:
        for tile in range(take.grid.num_samples // 1000):
            start_ns = take.grid.start_ns + tile * 5_000_000_000
            rows.append(_window_row(take, start_ns, with_text=tile % 2 == 0) | changes)
            samples = slice(tile * 1000, tile * 1000 + 1000)
            imu.append(take.imu[0].values[samples].T[None])
    tensors = {"imu": np.stack(imu), "imu_present": np.ones((len(rows), 1, 2), np.bool_)}
    shard = _arrays(repo, "00", tensors, {"view": VIEW})
    windows = pa.Table.from_pylist(rows, schema=WINDOWS)
    return [
        Put("tensors:walk", shard),
        Put("windows:walk", repo.write_table("00", windows, work=WORK)),
    ]


def publish(repo: Repository, puts: list[Put]) -> None:
    """Commit what was written."""
    repo.commit(lambda _: puts, message="test", provenance={})


def _window_row(take: AlignedTake, start_ns: int, *, with_text: bool) -> dict[str, Any]:
    text = {
        "slot": 0,
        "source": "atomic",
        "text": f"turns the wheel <b>{start_ns}</b>",
        "text_id": f"{start_ns:064x}",
        "annotator": "a",
        "offset_ms": 120.0,
        "uncertainty_ms": 1000.0,
    }
    return {
        "window_id": f"{take.take_id}@{start_ns}+5000000000",
        "take_id": take.take_id,
        "dataset": take.dataset,
        "participant_id": take.participant_id,
        "capture_id": take.capture_id,
        "start_ns": start_ns,
        "stop_ns": start_ns + 5_000_000_000,
        "label": "walking",
        "label_index": 0,
        "split": "train",
        "coverage": [1.0, 1.0],
        "valid_share": 1.0,
        "retimed_share": 0.0,
        "interpolated_share": 0.0,
        "video_present": [True],
        "mocap_share": 1.0,
        "texts": [text] if with_text else [],
    }


def _key(take: AlignedTake) -> str:
    return take.take_id.partition("/")[2]


def _arrays(repo: Repository, key: str, arrays: dict[str, Any], attributes: dict[str, Any]) -> Shard:
    rows = len(next(iter(arrays.values())))
    return repo.write_arrays(key, arrays, rows=rows, attributes=attributes, work=WORK)
