"""The build stage: the takes of one bucket in, the triplet shards of one view out.

A bucket's tensors depend on its stream shards, the view, and what an encoder says of its takes' frames and texts.
Splits are a column that the commit writes beside them, so another split policy rewrites no tensor.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.codec import finding_row
from sensorloom.align.extract import extract
from sensorloom.align.stage import load_aligned
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.view import View
from sensorloom.align.window import Window, cut_windows
from sensorloom.embed.embedded import CachedVectors, EmbeddedTake, narrow, not_embedded
from sensorloom.embed.imu_types import check_range, convert_imu
from sensorloom.embed.paired_texts import index_texts, refuse_texts, vectors_of
from sensorloom.embed.triplet import join_video, mean_for_best
from sensorloom.store.layout import bucket_of
from sensorloom.store.manifest import Shard, WorkRecord, work_key
from sensorloom.store.repository import Repository

__all__ = ["BuildEncoder", "BuildTask", "Built", "build_bucket", "build_key"]

STAGE = "build"
CODE_VERSION = 6
# Narrower rows are few bytes anyway, and stay readable in place.
MIN_COMPRESSED_ROW_BYTES = 64


@dataclass(frozen=True, slots=True)
class BuildEncoder:
    """What a store has of one encoder for the takes of a bucket.

    `fingerprint` is all that its vectors depend on, `dim` their width. `vectors` are the shards of the
    table `vectors:<name>` of the bucket's takes, in the order of its streams, None of a take without; `texts` those of
    the table `texts:<name>`, whatever their buckets.
    """

    name: str
    fingerprint: Mapping[str, Any]
    dim: int
    vectors: tuple[Shard | None, ...]
    texts: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class BuildTask:
    """What a worker needs to build one bucket of a view: small, picklable, no data."""

    store_url: str
    view: View
    bucket: str
    streams: tuple[Shard, ...]
    encoder: BuildEncoder | None = None

    @property
    def used_encoder(self) -> BuildEncoder | None:
        """The encoder; none where the view has neither cameras nor texts."""
        return self.encoder if self.view.cameras or self.view.texts else None


@dataclass(frozen=True, slots=True)
class Built:
    """The work record to commit for a bucket."""

    bucket: str
    work: str


def build_key(
    recipe: Mapping[str, Any], streams: tuple[Shard, ...], encoder: BuildEncoder | None = None
) -> str:
    """Return the key of the work that builds a bucket of the view with `recipe`, its fields, from `streams`.

    Of the encoder its fingerprint counts, which takes of the bucket are embedded, and where the view has cameras their
    vectors. The vectors of a text depend on the text and the fingerprint, so shards of texts do not count. A view with
    neither cameras nor texts has the same key with and without an encoder.
    """
    inputs: Any = [[shard.key, shard.digest] for shard in streams]
    if encoder is not None and (recipe.get("cameras") or recipe.get("texts")):
        has_cameras = bool(recipe.get("cameras"))
        inputs = {
            "streams": inputs,
            "encoder": [encoder.name, dict(encoder.fingerprint), encoder.dim],
            "vectors": [
                shard and shard.digest if has_cameras else shard is not None for shard in encoder.vectors
            ],
        }
    return work_key(STAGE, CODE_VERSION, inputs, recipe)


def build_bucket(task: BuildTask) -> Built:
    """Cut the windows of every take of the bucket, write their tensors, then the work record.

    Raises `StoreError` where a shard cannot be read or the tensors cannot be written, `VectorError` where vectors are
    not those of the encoder, `EmbedError` where a text has none.
    """
    key = build_key(asdict(task.view), task.streams, task.encoder)
    repo = Repository.open(task.store_url)
    if repo.find_work(key) is not None:
        return Built(task.bucket, key)
    windows, rows = _cut(repo, task)
    tensors, worst_error = _gather(repo, task, windows)
    tensors |= _gather_texts(repo, task, windows)
    shard = repo.write_arrays(
        task.bucket,
        tensors,
        rows=len(tensors["imu"]),
        attributes=_attributes(task, worst_error),
        work=key,
        compress=_compressed(task.view, tensors),
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


def _compressed(view: View, tensors: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the names of the arrays that the view's layout compresses."""
    if view.layout == "plain":
        return []
    widths = {name: array.dtype.itemsize * math.prod(array.shape[1:]) for name, array in tensors.items()}
    return [name for name, width in widths.items() if width >= MIN_COMPRESSED_ROW_BYTES]


def _attributes(task: BuildTask, worst_error: NDArray[np.float64]) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "view": asdict(task.view),
        "bucket": task.bucket,
        "imu_worst_error": {
            "accelerometer_m_s2": float(worst_error[0]),
            "gyroscope_rad_s": float(worst_error[1]),
        },
    }
    encoder = task.used_encoder
    if encoder is None:
        return attributes
    return {
        **attributes,
        "encoder": encoder.name,
        "fingerprint": dict(encoder.fingerprint),
        "video_slots": list(task.view.video_slots),
        "text_sources": list(task.view.texts),
    }


def _load(repo: Repository, task: BuildTask, place: int) -> EmbeddedTake:
    """Open a take of the bucket, where there is an encoder narrowed to what it has vectors of."""
    streams, encoder = repo.open_arrays(task.streams[place]), task.used_encoder
    aligned = load_aligned(streams)
    if encoder is None:
        return EmbeddedTake(aligned, {})
    digests = {source["uri"]: source["sha256"] for source in _records(streams.attributes.get("sources"))}
    shard, cached = encoder.vectors[place], None
    if shard is not None:
        arrays = repo.open_arrays(shard)
        files = {camera["name"]: camera["sha256"] for camera in _records(arrays.attributes["cameras"])}
        cached = CachedVectors(encoder.name, encoder.dim, arrays, files)
    return narrow(aligned, task.view, cached, digests)


def _records(attribute: Any) -> Iterable[Mapping[str, str]]:
    return attribute or ()


def _cut(
    repo: Repository, task: BuildTask
) -> tuple[list[tuple[Window, ...]], Mapping[str, tuple[dict[str, Any], ...]]]:
    """Return the windows of each take of the bucket, and the rows that tell of them and of what was dropped."""
    windows: list[tuple[Window, ...]] = []
    window_rows: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    encoder = task.used_encoder
    for place in range(len(task.streams)):
        take = _load(repo, task, place)
        cut = cut_windows(take.aligned, task.view)
        told = [*cut.drops]
        if encoder is not None:
            told += not_embedded(take, task.view, encoder.name)
            told += mean_for_best(take, task.view, cut.windows)
        windows.append(cut.windows)
        window_rows += (_window_row(take.aligned, window) for window in cut.windows)
        findings += (finding_row(finding, STAGE, take.aligned.take_id) for finding in told)
    return windows, {"windows": tuple(window_rows), "findings": tuple(findings)}


def _gather(
    repo: Repository, task: BuildTask, windows: list[tuple[Window, ...]]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """Return the tensors of all windows, imu, imu_valid, imu_present and what else the view has; and the worst error.

    Memory holds them once, and one take beside them, whatever the number of takes.
    """
    tensors: dict[str, NDArray[Any]] = {}
    first, total, worst_error = 0, sum(map(len, windows)), np.zeros(2)
    for place, inside in enumerate(windows):
        if tensors and not inside:
            continue
        part, error = _of_take(_load(repo, task, place), task, inside)
        worst_error = np.maximum(worst_error, error)
        if len(inside) == total:
            return part, worst_error
        for name, array in part.items():
            if name not in tensors:
                tensors[name] = np.empty((total, *array.shape[1:]), array.dtype)
            tensors[name][first : first + len(inside)] = array
        first += len(inside)
    return tensors, worst_error


def _of_take(
    take: EmbeddedTake, task: BuildTask, windows: tuple[Window, ...]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """Return the tensors of one take's windows, and what storing their IMU errs at most: m/s² and rad/s."""
    part = extract(take.aligned, task.view, windows).named
    check_range(part["imu"], task.view, windows)
    imu, error = convert_imu(part["imu"], task.view.imu_type)
    part |= imu
    if task.used_encoder is not None and task.view.cameras:
        part |= join_video(take, task.view, windows, part["frames"], task.used_encoder.dim)
    return part, error


def _gather_texts(
    repo: Repository, task: BuildTask, windows: list[tuple[Window, ...]]
) -> dict[str, NDArray[Any]]:
    """Return `text_ids` uint8[m, 32], `text_vectors` float16[m, D], `text_rows` int32[r], `text_offsets` int64[n, K+1].

    A view without texts, or without an encoder, has none.
    """
    encoder = task.used_encoder
    if encoder is None or not task.view.texts:
        return {}
    everything = tuple(chain.from_iterable(windows))
    index = index_texts(everything, len(task.view.texts))
    vectors = np.zeros((len(index.ids), encoder.dim), np.float16)
    places = {text_id: place for place, text_id in enumerate(index.ids)}
    wanted: dict[str, list[str]] = defaultdict(list)
    for text_id in index.ids:
        wanted[bucket_of(text_id)].append(text_id)
    # One shard at a time: in memory stand the vectors of these texts, not of all.
    for shard in encoder.texts:
        if shard.key in wanted:
            found = vectors_of(repo.open_arrays(shard), wanted[shard.key], encoder.dim)
            for text_id, vector in found.items():
                vectors[places.pop(text_id)] = vector
    if places:
        refuse_texts(places.keys(), everything, encoder.name)
    return {
        "text_ids": index.digests,
        "text_vectors": vectors,
        "text_rows": index.rows,
        "text_offsets": index.offsets,
    }


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
