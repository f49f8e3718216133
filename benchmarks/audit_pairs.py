"""Contender: one pair of streams of one long take at a time, on one core."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from audit_sample import CAMERA, FRAME_STEPS, record
from harness import emit

from sensorloom.align.sync.estimate import SyncEstimate
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.sync.pairs import estimate_take
from sensorloom.align.timeline import AlignedTake, ImuTrack

TURNS, LATE_STEPS = 5, 8
"""The second IMU is the first one 40 ms later, and noisier."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    take, facts = record(0, round(60 * arguments.minutes))
    camera = CameraMotion.of(
        take.videos[0], np.ascontiguousarray(take.videos[0].pts[::FRAME_STEPS]), facts.named
    )
    alone = replace(take, mocap=None, videos=())
    cases = {
        "own": (lambda: estimate_take(alone, ())),
        "video": (lambda: estimate_take(replace(take, mocap=None), (camera,))),
        "mocap": (lambda: estimate_take(take, ())),
        "imu": (lambda: estimate_take(_twice(alone), ())),
    }
    own_ms, _ = _time(cases["own"])
    numbers = {"own_ms": own_ms}
    for name, again in (("video", 1), ("mocap", 1), ("imu", 2)):
        whole_ms, estimates = _time(cases[name])
        numbers[f"{name}_ms"] = whole_ms - again * own_ms
        numbers[f"{name}_offset_ms"] = _offset(estimates, name)
    emit(numbers)


def _time(run: Callable[[], tuple[SyncEstimate, ...]]) -> tuple[float, tuple[SyncEstimate, ...]]:
    """Return the median of the ms of a core that `run` takes, and what it returns; the first turn does not count."""
    estimates, took = run(), []
    for _ in range(TURNS):
        started = time.process_time()
        run()
        took.append(1000 * (time.process_time() - started))
    return statistics.median(took), estimates


def _offset(estimates: tuple[SyncEstimate, ...], name: str) -> float:
    """Return the offset of the pair with the camera, the joints or the second IMU; far off where none was told."""
    part = {"video": CAMERA, "mocap": "mocap", "imu": "head-left/gyroscope"}[name]
    (found,) = (one for one in estimates if part in one.second and one.method != "gravity")
    return 1e6 if found.offset_ms is None else found.offset_ms


def _twice(take: AlignedTake) -> AlignedTake:
    (track,) = take.imu
    values = np.roll(track.values, LATE_STEPS, axis=0)
    values = values + np.random.default_rng(1).normal(0, 0.01, values.shape).astype(np.float32)
    return replace(take, imu=(track, ImuTrack("head-left", track.device, values, track.quality)))


if __name__ == "__main__":
    main()
