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
from sensorloom.align.extract import WindowArrays, extract
from sensorloom.align.stage import load_aligned
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.view import View
from sensorloom.align.window import Cut, Window, cut_windows
from sensorloom.store.manifest import Shard, WorkRecord, work_key
from sensorloom.store.repository import Repository

__all__ = ["BuildTask", "Built", "build_bucket", "build_key"]

STAGE = "build"
CODE_VERSION = 3


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


def build_key(view: View, streams: tuple[Shard, ...]) -> str:
    """Return the key of the work that builds `view` from `streams`."""
    return work_key(STAGE, CODE_VERSION, [[shard.key, shard.digest] for shard in streams], asdict(view))


def build_bucket(task: BuildTask) -> Built:
    """Cut the windows of every take of the bucket, write their tensors, then the work record.

    Raises `StoreError` where a stream shard cannot be read or the tensors cannot be written.
    """
    key = build_key(task.view, task.streams)
    repo = Repository.open(task.store_url)
    if repo.find_work(key) is not None:
        return Built(task.bucket, key)
    takes = [load_aligned(repo.open_arrays(shard)) for shard in task.streams]
    cuts = [cut_windows(take, task.view) for take in takes]
    parts = [extract(take, task.view, cut.windows) for take, cut in zip(takes, cuts, strict=True)]
    tensors = _stack(parts)
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
            rows=_rows(takes, cuts),
        )
    )
    return Built(task.bucket, key)


def _stack(parts: list[WindowArrays]) -> dict[str, NDArray[Any]]:
    """Join the windows of several takes, array by array: imu, imu_valid, imu_present, and what else the view has."""
    named = [part.named for part in parts]
    if len(named) == 1:
        return named[0]
    return {name: np.concatenate([arrays[name] for arrays in named]) for name in named[0]}


def _rows(takes: list[AlignedTake], cuts: list[Cut]) -> Mapping[str, tuple[dict[str, Any], ...]]:
    windows = [
        _window_row(take, window) for take, cut in zip(takes, cuts, strict=True) for window in cut.windows
    ]
    drops = [
        finding_row(drop, STAGE, take.take_id)
        for take, cut in zip(takes, cuts, strict=True)
        for drop in cut.drops
    ]
    return {"windows": tuple(windows), "findings": tuple(drops)}


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
