"""A view of triplets as `build` lays it out, made up: gaps in all of it, any type of IMU, all splits."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from sensorloom.embed.imu_types import convert_imu
from sensorloom.flows.tables import TAKES, WINDOWS
from sensorloom.store.changes import Put
from sensorloom.store.manifest import work_key
from sensorloom.store.repository import Repository

VIEW = "made-up"
SLOTS, SAMPLES, CAMERAS, SOURCES, DIM = 2, 40, ("ego", "exo1"), ("narration", "atomic"), 8
SPLITS = ("train", "val", None, "train", "test")
LENGTH_NS = 200_000_000
WORDS = [f"C lifts the {thing}. “Ça va?”" for thing in ("cup", "pan", "lid", "jar", "box")]


def text_vector(text_id: str) -> np.ndarray:
    """A direction float16[DIM] that the id decides."""
    raw = np.random.default_rng(int(text_id[:8], 16)).normal(size=DIM)
    return (raw / np.linalg.norm(raw)).astype(np.float16)


def write_view(
    url: str, *, rows: tuple[int, ...] = (5, 0, 7), imu_type: Any = "float32", compress: bool = False
) -> Repository:
    """Write and publish the view, a take a bucket; window i of all has split `SPLITS[i % 5]`."""
    repo = Repository.open(url, create=True)
    puts, takes, first = [], [], 0
    for bucket, count in enumerate(rows):
        take_id = f"egoexo4d/take_{bucket}.v{bucket}"
        windows = [_window(take_id, place, first + place) for place in range(count)]
        arrays = _arrays(np.random.default_rng(bucket), windows)
        stored, worst = convert_imu(arrays["imu"], imu_type)
        key, work = f"{bucket:02d}", work_key("test", 1, [bucket, imu_type, compress], None)
        tensors = repo.write_arrays(
            key,
            arrays | stored,
            rows=count,
            attributes=_attributes(imu_type, worst),
            work=work,
            **({"compress": ("imu", "imu_valid")} if compress else {}),
        )
        table = repo.write_table(key, pa.Table.from_pylist(windows, schema=WINDOWS), work=work)
        puts += [Put(f"tensors:{VIEW}", tensors), Put(f"windows:{VIEW}", table)]
        origin = "generated" if bucket else "recorded"
        takes.append({"take_id": take_id, "dataset": "egoexo4d", "origin": origin})
        first += count
    table = repo.write_table(
        "00", pa.Table.from_pylist(takes, schema=TAKES), work=work_key("test", 1, "takes", None)
    )
    repo.commit(lambda base: [*puts, Put("takes", table)], message="made up", provenance={})
    return repo


def _attributes(imu_type: str, worst: np.ndarray) -> dict[str, Any]:
    return {
        "view": {
            "name": VIEW,
            "positions": ["head", "wrist"],
            "classes": ["rest", "walk"],
            "imu_type": imu_type,
        },
        "encoder": "made-up.model",
        "fingerprint": {"weights": "none"},
        "video_slots": list(CAMERAS),
        "text_sources": list(SOURCES),
        "imu_worst_error": {"accelerometer_m_s2": float(worst[0]), "gyroscope_rad_s": float(worst[1])},
    }


def _window(take_id: str, place: int, number: int) -> dict[str, Any]:
    start = place * LENGTH_NS
    return {
        "window_id": f"{take_id}@{start}+{LENGTH_NS}",
        "take_id": take_id,
        "dataset": "egoexo4d",
        "start_ns": start,
        "stop_ns": start + LENGTH_NS,
        "label": ("", "walk")[number % 2],
        "label_index": (-1, 1)[number % 2],
        "split": SPLITS[number % len(SPLITS)],
        "coverage": [1.0, 0.5],
        "video_present": [True, number % 3 == 0],
        # In the order of their times, so not slot by slot; some twice, some windows without.
        "texts": [_text(WORDS[(number + turn) % 5], (number + turn) % 2) for turn in range(number % 4)],
    }


def _text(words: str, slot: int) -> dict[str, Any]:
    text_id = hashlib.sha256(words.encode()).hexdigest()
    return {"slot": slot, "source": SOURCES[slot], "text": words, "text_id": text_id, "offset_ms": 2.5}


def _arrays(rng: np.random.Generator, windows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    n = len(windows)
    valid = rng.random((n, SLOTS, 2, SAMPLES)) > 0.1
    imu = rng.normal(0, 9, (n, SLOTS, 6, SAMPLES)).astype(np.float32) * np.repeat(valid, 3, axis=2)
    present = np.array([window["video_present"] for window in windows], np.bool_).reshape(n, len(CAMERAS))
    video = rng.normal(size=(n, len(CAMERAS), DIM)).astype(np.float16) * present[..., None]
    mocap_valid = rng.random((n, 2, 17)) > 0.3
    return {
        "imu": imu,
        "imu_valid": valid,
        "imu_present": valid.any(axis=3),
        "video": video,
        "video_present": present,
        "mocap": rng.normal(size=(n, 2, 17, 3)).astype(np.float32) * mocap_valid[..., None],
        "mocap_valid": mocap_valid,
        **_texts(windows),
    }


def _texts(windows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    ids = sorted({text["text_id"] for window in windows for text in window["texts"]})
    rows: list[int] = []
    offsets = np.zeros((len(windows), len(SOURCES) + 1), np.int64)
    for place, window in enumerate(windows):
        offsets[place, 0] = len(rows)
        for slot in range(len(SOURCES)):
            rows += [ids.index(text["text_id"]) for text in window["texts"] if text["slot"] == slot]
            offsets[place, slot + 1] = len(rows)
    vectors = [text_vector(text_id) for text_id in ids]
    return {
        "text_ids": np.array([list(bytes.fromhex(text_id)) for text_id in ids], np.uint8).reshape(-1, 32),
        "text_vectors": np.array(vectors, np.float16).reshape(-1, DIM),
        "text_rows": np.array(rows, np.int32),
        "text_offsets": offsets,
    }
