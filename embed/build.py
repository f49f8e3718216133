"""The build stage: the takes of one bucket in, the window shards of one view out.

A bucket's tensors depend on its stream shards and the view alone. Splits are a column that the commit writes
beside them, so another split policy rewrites no tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.codec import finding_row
from sensorloom.align.extract import extract
from sensorloom.align.stage import load_aligned
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.view import View
from sensorloom.align.window import Window, cut_windows
from sensorloom.store.manifest import Shard, WorkRecord, work_key
from sensorloom.store.repository import Repository

__all__ = ["BuildTask", "Built", "build_bucket", "build_key"]

STAGE = "build"
CODE_VERSION = 4


@dataclass(frozen=True, slots=True)
class BuildTask:
    """What a worker needs to build one bucket of a view: small, picklable, no data."""

    store_url: str
    view: View
    bucket: str
    streams: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """The work record to commit for a bucket."""

    bucket: str
    work: str


def build_key(recipe: Mapping[str, Any], streams: tuple[Shard, ...]) -> str:
    """Return the key of the work that builds a bucket of the view with `recipe`, its fields, from `streams`."""
    return work_key(STAGE, CODE_VERSION, [[shard.key, shard.digest] for shard in streams], recipe)


def build_bucket(task: BuildTask) -> Built:
    """Cut the windows of every take of the bucket, write their tensors, then the work record.

    Raises `StoreError` where a stream shard cannot be read or the tensors cannot be written.
    """
    key = build_key(asdict(task.view), task.streams)
    repo = Repository.open(task.store_url)
    if repo.find_work(key) is not None:
        return Built(task.bucket, key)
    windows, rows = _cut(repo, task)
    tensors = _gather(repo, task, windows)
    shard = repo.write_arrays(
        task.bucket,
        tensors,
        rows=len(tensors["imu"]),
        attributes={"view": asdict(task.view), "bucket": task.bucket},
        work=key,
    )
    repo.record_work(
        WorkRecord(
            key=key,
            stage=STAGE,
            target=f"{task.view.name}.{task.bucket}",
            shards=(shard,),
            rows=rows,
        )
    )
    return Built(task.bucket, key)


def _cut(
    repo: Repository, task: BuildTask
) -> tuple[list[tuple[Window, ...]], Mapping[str, tuple[dict[str, Any], ...]]]:
    """Return the windows of each take of the bucket, and the rows that tell of them and of what was dropped."""
    windows: list[tuple[Window, ...]] = []
    window_rows: list[dict[str, Any]] = []
    drops: list[dict[str, Any]] = []
    for shard in task.streams:
        take = load_aligned(repo.open_arrays(shard))
        cut = cut_windows(take, task.view)
        windows.append(cut.windows)
        window_rows += (_window_row(take, window) for window in cut.windows)
        drops += (finding_row(drop, STAGE, take.take_id) for drop in cut.drops)
    return windows, {"windows": tuple(window_rows), "findings": tuple(drops)}


def _gather(repo: Repository, task: BuildTask, windows: list[tuple[Window, ...]]) -> dict[str, NDArray[Any]]:
    """Return the tensors of all windows: imu, imu_valid, imu_present, and what else the view has.

    Memory holds them once, and one take beside them, whatever the number of takes.
    """
    tensors: dict[str, NDArray[Any]] = {}
    first, total = 0, sum(map(len, windows))
    for shard, inside in zip(task.streams, windows, strict=True):
        if tensors and not inside:
            continue
        part = extract(load_aligned(repo.open_arrays(shard)), task.view, inside).named
        if len(inside) == total:
            return part
        for name, array in part.items():
            if name not in tensors:
                tensors[name] = np.empty((total, *array.shape[1:]), array.dtype)
            tensors[name][first : first + len(inside)] = array
        first += len(inside)
    return tensors


def _window_row(take: AlignedTake, window: Window) -> dict[str, Any]:
    return {
        "window_id": window.window_id,
        "take_id": take.take_id,
        "dataset": take.dataset,
        "participant_id": take.participant_id,
        "capture_id": take.capture_id,
        "official_split": take.official_split,
        "start_ns": window.start_ns,
        "stop_ns": window.stop_ns,
        "label": window.label,
        "label_index": window.label_index,
        "coverage": list(window.coverage),
        "valid_share": window.valid_share,
        "retimed_share": window.retimed_share,
        "interpolated_share": window.interpolated_share,
        "video_present": list(window.video_present),
        "mocap_share": window.mocap_share,
        "texts": [asdict(text) for text in window.texts],
    }
