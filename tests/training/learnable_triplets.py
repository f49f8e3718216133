"""A generated store whose modalities tell of the same motion, so that a model can learn to find one by another.

A window is a motion of two numbers in [0, 1): how fast it is and where it goes. The sensor of the `chest` swings so, at
a random phase and with noise, the `head` likewise at its own; poses swing as fast along the same way; the vectors of
texts and of both cameras are smooth functions of both numbers. Some modalities are missing in some windows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.align.view import View
from sensorloom.flows.tables import TAKES, WINDOWS
from sensorloom.store.changes import Put
from sensorloom.store.manifest import work_key
from sensorloom.store.repository import Repository

__all__ = ["LEARNABLE", "write_learnable"]

LEARNABLE = View(
    "learnable",
    ("pamap2",),
    ("chest", "head"),
    ("slow", "fast"),
    length_s=2.5,
    stride_s=2.5,
    rate_hz=50,
    requires=(),
    cameras=("ego", "exo1"),
    texts=("atomic",),
    mocap="world",
)
_WIDTH, _JOINTS = 16, 17
_MAPS = np.random.default_rng(7).standard_normal((3, 8, _WIDTH))


def write_learnable(
    url: str,
    *,
    train: int = 32,
    val: int = 16,
    test: int = 0,
    takes: int = 4,
    share_there: float = 0.9,
    only: Mapping[str, str] | None = None,
) -> Repository:
    """Write and publish the view, of `train`, `val` and `test` windows of so many takes each, no take in two splits.

    `only` names the class that all windows of a split are of.
    """
    repo = Repository.open(url, create=True)
    puts, told = [], []
    counts = (("train", train), ("val", val), *([("test", test)] if test else []))
    for bucket, (split, count) in enumerate(counts):
        rng = np.random.default_rng((bucket, count))
        work, key = work_key("test", 1, [split, count, share_there], None), f"{bucket:02d}"
        attributes = {
            "view": asdict(LEARNABLE), "encoder": "generated", "fingerprint": {"weights": "ab"},
            "video_slots": list(LEARNABLE.video_slots), "text_sources": list(LEARNABLE.texts),
        }  # fmt: skip
        motions = rng.random((count, 2))
        if only and split in only:
            motions[:, 0] = (motions[:, 0] + LEARNABLE.classes.index(only[split])) / 2
        arrays = _arrays(rng, motions, share_there)
        puts.append(
            Put(
                "tensors:learnable",
                repo.write_arrays(key, arrays, rows=count, attributes=attributes, work=work),
            )
        )
        names = [f"pamap2/protocol/{split}{number * takes // count}" for number in range(count)]
        rows = [_row(name, number, split, motions[number]) for number, name in enumerate(names)]
        table = repo.write_table(key, pa.Table.from_pylist(rows, schema=WINDOWS), work=work)
        puts.append(Put("windows:learnable", table))
        told += [
            {"take_id": name, "dataset": "pamap2", "participant_id": name, "origin": "generated"}
            for name in sorted(set(names))
        ]
    table = pa.Table.from_pylist(told, schema=TAKES)
    puts.append(Put("takes", repo.write_table("00", table, work=work_key("test", 1, "takes", None))))
    repo.commit(lambda base: puts, message="generated", provenance={})
    return repo


def _arrays(rng: np.random.Generator, motions: NDArray[Any], share_there: float) -> dict[str, NDArray[Any]]:
    count, slots = len(motions), len(LEARNABLE.positions)
    there = {name: rng.random((count, many)) < share_there for name, many in (("imu", slots), ("video", 2))}
    mocap_there, told = rng.random(count) < share_there, rng.random(count) < share_there
    present = np.repeat(there["imu"][:, :, None], 2, axis=2)
    valid = np.repeat(present[..., None], LEARNABLE.samples, axis=3)
    imu = np.stack([_swing(rng, motions, LEARNABLE.samples, 50, 6) for _ in range(slots)], axis=1)
    poses = _swing(rng, motions, LEARNABLE.slow_samples, 10, 3 * _JOINTS)
    texts = _vectors(motions, 0)[told]
    digests = [list(hashlib.sha256(row.tobytes()).digest()) for row in texts]
    video = np.stack([_vectors(motions, camera) for camera in (1, 2)], axis=1)
    ends = told.cumsum()
    return {
        "imu": (imu * there["imu"][:, :, None, None]).astype(np.float32),
        "imu_valid": valid,
        "imu_present": present,
        "video": (video * there["video"][..., None]).astype(np.float16),
        "video_present": there["video"],
        "mocap": (poses.transpose(0, 2, 1) * mocap_there[:, None, None])
        .reshape(count, -1, _JOINTS, 3)
        .astype(np.float32),
        "mocap_valid": np.repeat(mocap_there, LEARNABLE.slow_samples * _JOINTS).reshape(count, -1, _JOINTS),
        "text_ids": np.array(digests, np.uint8).reshape(-1, 32),
        "text_vectors": texts.astype(np.float16),
        "text_rows": np.arange(told.sum(), dtype=np.int32),
        "text_offsets": np.stack((ends - told, ends), axis=1).astype(np.int64),
    }


def _swing(
    rng: np.random.Generator, motions: NDArray[Any], samples: int, rate_hz: int, channels: int
) -> NDArray[Any]:
    """Swings [n, channels, T] of 0.5 to 3 Hz whose first axis is the larger the smaller the second, with noise."""
    time_s = np.arange(samples) / rate_hz
    fast, way = motions.T
    phase = rng.uniform(0, 2 * np.pi, len(motions))
    wave = np.sin(2 * np.pi * (0.5 + 2.5 * fast)[:, None] * time_s + phase[:, None])
    angle = way * np.pi / 2
    axes = np.stack((np.cos(angle), np.sin(angle), 0.5 * np.ones_like(angle)), axis=1)
    along = np.tile(axes, channels // 3)
    swung: NDArray[Any] = along[:, :, None] * wave[:, None]
    return swung + 0.05 * rng.standard_normal(swung.shape)


def _vectors(motions: NDArray[Any], of: int) -> NDArray[Any]:
    """Unit vectors [n, D], a smooth function of both numbers."""
    turns = np.pi * np.concatenate((motions, motions / 2), axis=1)
    rows = np.concatenate((np.cos(turns), np.sin(turns)), axis=1) @ _MAPS[of]
    unit: NDArray[Any] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _row(take: str, number: int, split: str, motion: NDArray[Any]) -> dict[str, Any]:
    start_ns = number * LEARNABLE.length_ns
    label = int(motion[0] > 0.5)
    return {
        "window_id": f"{take}@{start_ns}+{LEARNABLE.length_ns}",
        "take_id": take,
        "dataset": "pamap2",
        "participant_id": take,
        "start_ns": start_ns,
        "stop_ns": start_ns + LEARNABLE.length_ns,
        "label": LEARNABLE.classes[label],
        "label_index": label,
        "split": split,
        "coverage": [1.0, 1.0],
        "valid_share": 1.0,
        "retimed_share": 0.0,
        "interpolated_share": 0.0,
        "video_present": [True, True],
        "mocap_share": 1.0,
        "texts": [],
    }
