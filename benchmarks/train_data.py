"""Write generated windows of one view as a store, with every array that the build of that view would write.

Signals, poses and vectors are noise: what a step costs does not depend on them, and nothing is learned here.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from harness import emit
from numpy.typing import NDArray

from sensorloom.align.named_views import VIEWS
from sensorloom.align.view import View
from sensorloom.flows.tables import WINDOWS
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

BUCKETS, WORK, JOINTS, DIM, VAL_WINDOWS, PER_TAKE = 16, "0" * 64, 17, 512, 16, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--view", choices=list(VIEWS), required=True)
    parser.add_argument("--windows", type=int, required=True, help="of the training split")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    view = VIEWS[arguments.view]
    repo = Repository.open(str(arguments.work / "store"), create=True)
    total = arguments.windows + VAL_WINDOWS
    puts: list[Put] = []
    for bucket, numbers in enumerate(np.array_split(np.arange(total), BUCKETS)):
        puts += put(repo, view, f"{bucket:02d}", numbers)
    repo.commit(lambda _: puts, message="generated windows", provenance={"command": "bench"})
    emit({"windows": arguments.windows})


def put(repo: Repository, view: View, bucket: str, numbers: NDArray[np.int64]) -> Iterator[Put]:
    attributes: dict[str, Any] = {
        "view": asdict(view),
        "bucket": bucket,
        "encoder": "generated",
        "fingerprint": {"model": "generated"},
        "video_slots": list(view.video_slots),
        "text_sources": list(view.texts),
    }
    arrays = generate(view, numbers)
    tensors = repo.write_arrays(bucket, arrays, rows=len(numbers), attributes=attributes, work=WORK)
    table = pa.Table.from_pylist([row(view, number) for number in numbers.tolist()], schema=WINDOWS)
    yield Put(f"tensors:{view.name}", tensors)
    yield Put(f"windows:{view.name}", repo.write_table(bucket, table, work=WORK))


def generate(view: View, numbers: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return all arrays of these windows; nothing is missing."""
    random, count = np.random.default_rng(int(numbers[0])), len(numbers)
    slots = len(view.positions)
    arrays: dict[str, NDArray[Any]] = {
        "imu": random.standard_normal((count, slots, 6, view.samples), np.float32),
        "imu_valid": np.ones((count, slots, 2, view.samples), np.bool_),
        "imu_present": np.ones((count, slots, 2), np.bool_),
    }
    if view.video_slots:
        cameras = len(view.video_slots)
        arrays["video"] = vectors(random, (count, cameras))
        arrays["video_present"] = np.ones((count, cameras), np.bool_)
    if view.mocap:
        poses = (count, view.slow_samples, JOINTS)
        arrays["mocap"] = random.standard_normal((*poses, 3), np.float32)
        arrays["mocap_valid"] = np.ones(poses, np.bool_)
    if view.texts:
        ids = np.frombuffer(b"".join(map(digest, numbers.tolist())), np.uint8).reshape(-1, 32)
        order = np.lexsort(ids.T[::-1])
        arrays["text_ids"] = ids[order]
        arrays["text_vectors"] = vectors(random, (count,))
        arrays["text_rows"] = np.argsort(order).astype(np.int32)
        arrays["text_offsets"] = offsets(count, len(view.texts))
    return arrays


def vectors(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float16]:
    rows = random.standard_normal((*shape, DIM), np.float32)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float16)


def offsets(count: int, sources: int) -> NDArray[np.int64]:
    """Return [count, sources + 1]: every window has one text, of the source with its number modulo the sources."""
    first = np.arange(count)[:, None]
    return first + (np.arange(sources + 1)[None, :] > first % sources)


def digest(number: int) -> bytes:
    return hashlib.sha256(f"The wearer does thing {number} (generated).".encode()).digest()


def row(view: View, number: int) -> dict[str, Any]:
    split = "val" if number < VAL_WINDOWS else "train"
    take, at = f"generated/{split}{number // PER_TAKE}", number % PER_TAKE
    label = number % len(view.classes) if view.classes else None
    return {
        "window_id": f"{take}@{at * view.length_ns}",
        "take_id": take,
        "dataset": "generated",
        "participant_id": take,
        "capture_id": take,
        "start_ns": at * view.length_ns,
        "stop_ns": (at + 1) * view.length_ns,
        "label": None if label is None else view.classes[label],
        "label_index": label,
        "split": split,
        "coverage": [1.0, 1.0],
        "valid_share": 1.0,
        "retimed_share": 0.0,
        "interpolated_share": 0.0,
        "video_present": [True] * len(view.video_slots),
        "mocap_share": None,
        "texts": [],
    }


if __name__ == "__main__":
    main()
