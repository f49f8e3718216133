"""Write a store of aligned takes as alignment and embedding leave it: IMU, body joints, facts of frames, one view.

There is no raw tree behind it: whoever audits it can decode nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from harness import emit

from sensorloom.align.codec import encode_arrays, encode_attributes, take_row
from sensorloom.align.timeline import (
    GRID_STEP_NS,
    SLOW_STEP_NS,
    AlignedTake,
    Grid,
    ImuTrack,
    MocapTrack,
    Quality,
    VideoTrack,
)
from sensorloom.embed.facts import FrameFacts
from sensorloom.flows.config import Config, StoreConfig
from sensorloom.flows.runs import build_views
from sensorloom.flows.tables import TAKES
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.skeleton import JOINTS, joints
from sensorloom.ingest.miniature.wearer import Wearer, head, plan_wearer
from sensorloom.store.layout import bucket_of
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

VIEW = "aura-mocap"
WORK, CAMERA, FRAME_STEPS = "0" * 64, "aria01", 3
"""Every third frame of 30 a second has facts, as on the lattice of 100 ms."""
PICTURE_PER_RAD = 0.8
"""Short sides of the picture that it moves by when the head turns by 1 rad."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--takes", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    write(arguments.out / "store", arguments.takes, arguments.minutes)
    emit({})


def write(path: Path, takes: int, minutes: float) -> None:
    """Write a store of `takes` takes of `minutes` each and build its view."""
    repo = Repository.open(str(path), create=True)
    puts = list(_puts(repo, takes, round(60 * minutes)))
    repo.commit(lambda _: puts, message="generated takes", provenance={"command": "bench"})
    build_views([VIEW], config=Config(store=StoreConfig(url=str(path))))


def _puts(repo: Repository, takes: int, seconds: int) -> Iterator[Put]:
    rows: dict[str, list[dict[str, object]]] = {}
    for number in range(takes):
        take, facts = record(number, seconds)
        origin = {"sources": [], "records_sha256": "", "origin": "generated"}
        streams = repo.write_arrays(
            take.take_id,
            encode_arrays(take),
            rows=take.grid.num_samples,
            attributes={**encode_attributes(take), **origin},
            work=WORK,
        )
        pts = take.videos[0].pts[::FRAME_STEPS]
        arrays = {f"video.{CAMERA}/{name}": array for name, array in facts.named.items()}
        arrays[f"video.{CAMERA}/pts"] = np.ascontiguousarray(pts)
        frames = repo.write_arrays(take.take_id, arrays, rows=len(pts), attributes={}, work=WORK)
        yield Put("streams", streams)
        yield Put("frames", frames)
        row = {**take_row(take), **origin, "work": WORK, "stream_digest": streams.digest}
        rows.setdefault(bucket_of(take.take_id), []).append(row)
    for bucket, some in sorted(rows.items()):
        table = pa.Table.from_pylist(some, schema=TAKES)
        yield Put("takes", repo.write_table(bucket, table, work=WORK))


def record(number: int, seconds: int) -> tuple[AlignedTake, FrameFacts]:
    """Return take `number` of a wearer who does what the miniature's wearers do, and the facts of its frames."""
    rng = np.random.default_rng(number)
    kinds = list(MOVEMENTS.values())
    moves = [kinds[place] for place in rng.integers(0, len(kinds), seconds)]
    wearer = plan_wearer(rng, seconds, moves)
    grid = Grid(0, seconds * 200)
    name = f"egoexo4d/generated_{number:03d}_1"
    times_ns = np.round(np.arange(seconds * 30) * 1e9 / 30).astype(np.int64)
    video = VideoTrack(
        CAMERA, "ego", f"{name}.mp4", "448", (1, 30), 448, 448, False, times_ns, np.arange(len(times_ns))
    )
    take = AlignedTake(
        name,
        "egoexo4d",
        f"{name}/session",
        f"egoexo4d/{number}",
        ("train", "val", "test")[number % 3],
        grid,
        (ImuTrack("head", "aria01", _imu(wearer, grid, rng), _valid(grid.num_samples, 2)),),
        videos=(video,),
        mocap=_body(wearer, seconds, rng),
    )
    return take, _facts(wearer, times_ns[::FRAME_STEPS] / 1e9, rng)


def _imu(wearer: Wearer, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    state = head(wearer, np.arange(grid.num_samples) * (GRID_STEP_NS / 1e9))
    values = np.concatenate([state.acceleration_m_s2, state.rotation_rad_s], axis=1)
    return (values + rng.normal(0, (0.05,) * 3 + (0.005,) * 3, values.shape)).astype(np.float32)


def _body(wearer: Wearer, seconds: int, rng: np.random.Generator) -> MocapTrack:
    places = joints(wearer, np.arange(seconds * 10) * (SLOW_STEP_NS / 1e9))
    places = (places + rng.normal(0, 0.003, places.shape)).astype(np.float32)
    return MocapTrack("annotation", JOINTS, 0, places, _valid(*places.shape[:2]))


def _facts(wearer: Wearer, time_s: np.ndarray, rng: np.random.Generator) -> FrameFacts:
    state = head(wearer, time_s)
    yaw, pitch, roll = np.diff(np.unwrap(state.yaw_pitch_roll_rad, axis=0), axis=0, prepend=np.nan).T
    moved = np.stack([PICTURE_PER_RAD * yaw, PICTURE_PER_RAD * -pitch, roll], axis=1)
    moved += rng.normal(0, 0.002, moved.shape)
    there = np.isfinite(moved).all(axis=1)
    facts = FrameFacts.empty(len(time_s))
    return FrameFacts(
        motion=np.where(there[:, None], moved, 0).astype(np.float32),
        motion_valid=there,
        agreement=there.astype(np.float32),
        residual=np.full(len(time_s), 2, np.float32),
        brightness=np.full(len(time_s), 110, np.float32),
        contrast=np.full(len(time_s), 40, np.float32),
        is_black=facts.is_black,
        is_frozen=facts.is_frozen,
        is_decoded=np.ones(len(time_s), np.bool_),
    )


def _valid(*shape: int) -> np.ndarray:
    return np.full(shape, Quality.VALID, np.uint8)


if __name__ == "__main__":
    main()
