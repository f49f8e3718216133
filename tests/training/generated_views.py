"""Generated stores whose views differ in slots, cameras, texts and length, and what each of their windows holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.align.view import View
from sensorloom.flows.tables import WINDOWS
from sensorloom.store.changes import Put
from sensorloom.store.manifest import work_key
from sensorloom.store.repository import Repository
from tests.training.generated_triplets import vector_of

__all__ = ["KnownWindow", "write_view"]


@dataclass(frozen=True, slots=True)
class KnownWindow:
    """A window's label (-1 for none), and its arrays and sentences by the name of their slot."""

    label: int
    imu: Mapping[str, NDArray[np.float32]]
    imu_valid: Mapping[str, NDArray[np.bool_]]
    video: Mapping[str, NDArray[np.float16] | None]
    texts: Mapping[str, tuple[str, ...]]
    mocap: NDArray[np.float32] | None


def write_view(
    url: str, view: View, rows: tuple[int, ...] = (5, 0, 4), *, fingerprint: str = "ab12", width: int = 8
) -> tuple[Repository, dict[str, KnownWindow]]:
    """Write and publish a view of `rows` windows a bucket, all of the split train, and return its windows by id."""
    repo = Repository.open(url, create=True)
    puts, everything = [], {}
    for bucket, count in enumerate(rows):
        rng = np.random.default_rng([bucket, *view.name.encode()])
        windows = {f"{view.name}/{bucket}@{row}": _window(rng, view, width) for row in range(count)}
        everything |= windows
        key, work = f"{bucket:02d}", work_key("test", 1, [asdict(view), bucket, fingerprint, width], None)
        attributes = {
            "view": asdict(view), "video_slots": list(view.video_slots), "text_sources": list(view.texts),
        }  # fmt: skip
        if view.cameras or view.texts:
            attributes |= {"encoder": "generated", "fingerprint": {"weights": fingerprint}}
        tensors = repo.write_arrays(
            key, _arrays(list(windows.values()), view, width), rows=count, attributes=attributes, work=work
        )
        told = [_row(name, window, view) for name, window in windows.items()]
        table = repo.write_table(key, pa.Table.from_pylist(told, schema=WINDOWS), work=work)
        puts += [Put(f"tensors:{view.name}", tensors), Put(f"windows:{view.name}", table)]
    repo.commit(lambda base: puts, message="generated", provenance={})
    return repo, everything


def _window(rng: np.random.Generator, view: View, width: int) -> KnownWindow:
    valid = {slot: rng.random((2, view.samples)) < rng.choice([0, 0.8]) for slot in view.positions}
    imu = {
        slot: (rng.uniform(1, 2, (2, 3, view.samples)) * mask[:, None]).reshape(6, -1).astype(np.float32)
        for slot, mask in valid.items()
    }
    video = {
        slot: rng.uniform(1, 2, width).astype(np.float16) if rng.random() < 0.6 else None
        for slot in view.video_slots
    }
    texts = {
        source: tuple(f"C {source} {rng.integers(9)}" for _ in range(rng.integers(3)))
        for source in view.texts
    }
    mocap = None
    if view.mocap != "none":
        mocap = rng.uniform(1, 2, (view.slow_samples, 17, 3)).astype(np.float32)
    return KnownWindow(int(rng.integers(-1, max(len(view.classes), 0))), imu, valid, video, texts, mocap)


def _row(window_id: str, window: KnownWindow, view: View) -> dict[str, Any]:
    return {
        "window_id": window_id,
        "take_id": window_id.partition("@")[0],
        "dataset": "pamap2",
        "participant_id": "1",
        "start_ns": int(window_id.partition("@")[2]) * view.length_ns,
        "stop_ns": (int(window_id.partition("@")[2]) + 1) * view.length_ns,
        "label": None if window.label < 0 else view.classes[window.label],
        "label_index": None if window.label < 0 else window.label,
        "split": "train",
        "coverage": [1.0, 1.0],
        "valid_share": 1.0,
        "retimed_share": 0.0,
        "interpolated_share": 0.0,
        "video_present": [vector is not None for vector in window.video.values()],
        "mocap_share": 0.0 if window.mocap is None else 1.0,
        "texts": [],
    }


def _arrays(windows: list[KnownWindow], view: View, width: int) -> dict[str, NDArray[Any]]:
    count, slots = len(windows), len(view.positions)
    arrays: dict[str, NDArray[Any]] = {
        "imu": np.zeros((count, slots, 6, view.samples), np.float32),
        "imu_valid": np.zeros((count, slots, 2, view.samples), np.bool_),
    }
    for row, window in enumerate(windows):
        for slot, name in enumerate(view.positions):
            arrays["imu"][row, slot], arrays["imu_valid"][row, slot] = (
                window.imu[name],
                window.imu_valid[name],
            )
    arrays["imu_present"] = arrays["imu_valid"].any(-1)
    if view.cameras:
        vectors = [[window.video[name] for name in view.video_slots] for window in windows]
        filled = [[np.zeros(width) if one is None else one for one in some] for some in vectors]
        arrays["video"] = np.array(filled, np.float16).reshape(count, len(view.video_slots), width)
        there = [[one is not None for one in some] for some in vectors]
        arrays["video_present"] = np.array(there, np.bool_).reshape(count, len(view.video_slots))
    if view.mocap != "none":
        arrays["mocap"] = np.array([window.mocap for window in windows], np.float32).reshape(
            count, view.slow_samples, 17, 3
        )
        arrays["mocap_valid"] = np.ones((count, view.slow_samples, 17), np.bool_)
    return arrays | (_texts(windows, view, width) if view.texts else {})


def _texts(windows: list[KnownWindow], view: View, width: int) -> dict[str, NDArray[Any]]:
    sentences = sorted({text for window in windows for some in window.texts.values() for text in some})
    told = [sentences.index(text) for window in windows for some in window.texts.values() for text in some]
    offsets, end = np.zeros((len(windows), len(view.texts) + 1), np.int64), 0
    for row, window in enumerate(windows):
        offsets[row] = end + np.cumsum([0, *(len(some) for some in window.texts.values())])
        end = int(offsets[row, -1])
    vectors = [np.resize(vector_of(text), width) for text in sentences]
    digests = [list(hashlib.sha256(text.encode()).digest()) for text in sentences]
    return {
        "text_ids": np.array(digests, np.uint8).reshape(-1, 32),
        "text_vectors": np.array(vectors, np.float16).reshape(-1, width),
        "text_rows": np.array(told, np.int32),
        "text_offsets": offsets,
    }
