"""A store to ask: one filmed take with windows whose cameras and texts have vectors, and answers made by hand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sensorloom.align.timeline import AlignedTake
from sensorloom.flows.audit.report_windows import TextShown
from sensorloom.flows.config import load_config
from sensorloom.flows.queries.facts import Answer, Asked, Hit, HitPicture, Motion
from sensorloom.flows.queries.query import Searcher, open_store
from sensorloom.flows.tables import WINDOWS
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put
from tests.flows.aligned_store import VIEW, WORK, aligned_take, publish, write_take
from tests.flows.pictured import JOINTS, picture

__all__ = ["EVIL", "answer", "hit", "motion", "searcher", "vector_of", "write_queried"]

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
SAID = ("C climbs a wall", "C stirs the soup", "C rides a bicycle", EVIL)
WIDTH = 16


def vector_of(words: str) -> np.ndarray:
    """The unit vector float32[D] that stands for words; no words are near others."""
    raw = np.random.default_rng(list(hashlib.sha256(words.encode()).digest())).standard_normal(WIDTH)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def write_queried(url: str) -> Repository:
    """Write a take of 40 s: windows end to end, of which every one says one of four things and shows it."""
    repo = Repository.open(url, create=True)
    take = aligned_take(start_s=100.0)
    rows = [_row(take, number) for number in range(8)]
    said = np.array([vector_of(words) for words in sorted(SAID)], np.float16)
    at = [sorted(SAID).index(SAID[number % len(SAID)]) for number in range(8)]
    count = np.arange(8)
    tensors = {
        "imu": np.stack([take.imu[0].values[number * 1000 :][:1000].T[None] for number in range(8)]),
        "imu_present": np.ones((8, 1, 2), np.bool_),
        "video": said[at][:, None],
        "video_present": (count != 7)[:, None],
        "text_ids": np.zeros((len(SAID), 32), np.uint8),
        "text_vectors": said,
        "text_rows": np.array(at, np.int32),
        "text_offsets": np.stack((count, count + 1), axis=1),
    }
    attributes: dict[str, Any] = {
        "view": VIEW | {"texts": ["atomic"]}, "encoder": "generated", "fingerprint": {"weights": "ab"},
        "video_slots": ["ego"], "text_sources": ["atomic"],
    }  # fmt: skip
    shard = repo.write_arrays("00", tensors, rows=8, attributes=attributes, work=WORK)
    table = repo.write_table("00", pa.Table.from_pylist(rows, schema=WINDOWS), work=WORK)
    publish(repo, [*write_take(repo, take, None), Put("tensors:walk", shard), Put("windows:walk", table)])
    return repo


def _row(take: AlignedTake, number: int) -> dict[str, Any]:
    start_ns = take.grid.start_ns + number * 5_000_000_000
    words = SAID[number % len(SAID)]
    text = {
        "slot": 0,
        "source": "atomic",
        "text": words,
        "text_id": "0" * 64,
        "annotator": "a",
        "offset_ms": 120.0,
    }
    return {
        "window_id": f"{take.take_id}@{start_ns}+5000000000", "take_id": take.take_id, "dataset": take.dataset,
        "participant_id": "p", "capture_id": "c", "start_ns": start_ns, "stop_ns": start_ns + 5_000_000_000,
        "label": "", "label_index": -1, "split": "train" if number < 6 else "test", "coverage": [1.0, 1.0],
        "valid_share": 1.0, "retimed_share": 0.0, "interpolated_share": 0.0, "video_present": [number != 7],
        "mocap_share": 1.0, "texts": [text],
    }  # fmt: skip


def searcher(url: str) -> Searcher:
    """Open the store without an encoder: a text is found by the vector that stands for it."""
    opened = open_store(load_config(None, {"store.url": url}))
    opened.__dict__["_encoder"] = vector_of
    return opened


def motion(frames: int = 50, seen: slice = slice(None)) -> Motion:
    """A body that sways; its joints are those of the pictures of takes."""
    standing = picture().skeleton
    assert standing is not None
    there = set(range(frames)[seen])
    return Motion(
        JOINTS,
        0.1,
        tuple(
            tuple(
                None if point is None or at not in there else (point[0] + 0.01 * at, point[1], point[2])
                for point in standing.points
            )
            for at in range(frames)
        ),
    )


def hit(rank: int = 1, **changes: Any) -> Hit:
    facts = Hit(
        rank=rank,
        score=0.31,
        window_id=f"egoexo4d/a@{rank}000000000+5000000000",
        take_id="egoexo4d/a",
        dataset="egoexo4d",
        split="test",
        label="",
        start_s=40.0,
        stop_s=45.0,
        matched="ego",
        texts=(TextShown("atomic", "C climbs a wall", -300.0),),
        is_generated=True,
    )
    return replace(facts, **changes)


def answer(*hits: Hit, **changes: Any) -> tuple[Answer, dict[str, HitPicture]]:
    """An answer, and all its windows drawn."""
    facts = Answer(
        asked=Asked("video", text="a person climbs a wall"),
        view="all-modalities",
        snapshot_id="5" * 64,
        run="",
        encoder="generated",
        windows=250_000,
        search_ms=12.3456,
        hits=hits,
    )
    drawn = {one.window_id: HitPicture(picture(one.window_id, texts=one.texts), motion()) for one in hits}
    return replace(facts, **changes), drawn


def store_of(folder: Path) -> str:
    url = str(folder / "store")
    write_queried(url)
    return url
