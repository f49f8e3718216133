"""A generated store of triplets with every modality and gap a view may have, and beside it what each window holds.

Buckets hold windows of several takes and splits, or none at all; neighbours of a take overlap. Sensors, cameras, poses
and texts come and go; one take has no text whatever; equal texts lie in several shards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.align.view import View
from sensorloom.flows.tables import TAKES, WINDOWS
from sensorloom.store.changes import Put
from sensorloom.store.manifest import work_key
from sensorloom.store.repository import Repository

__all__ = ["TRAIN", "VIEW", "WIDTH", "GeneratedWindow", "Triplets", "text_key", "vector_of", "write_triplets"]

WIDTH = 8
STRIDE_NS = 250_000_000
SENTENCES = tuple(
    f"C {verb} the {thing}" for verb in ("lifts", "drops", "cuts") for thing in ["cup", "rope", "dough"]
)
# Takes of each bucket: how many windows, of which split.
BUCKETS = (
    ((9, "train"), (7, "val"), (5, "train")),
    ((6, "val"),),
    (),
    ((11, "train"), (8, "train"), (4, "test")),
    ((5, "train"), (2, "val")),
    ((10, "train"),),
)
TRAIN = 48
WORDLESS = "pamap2/protocol/subject41"
VIEW = View(
    "tiny",
    ("pamap2",),
    ("wrist", "chest"),
    ("rest", "walk", "run"),
    length_s=0.5,
    stride_s=0.25,
    rate_hz=20,
    requires=(),
    cameras=("ego", "exo1"),
    texts=("narration", "atomic"),
    mocap="world",
)


@dataclass(frozen=True, slots=True)
class GeneratedWindow:
    """One window: its row of the window table, its row of every array, and the sentences of each text slot."""

    row: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    texts: tuple[tuple[str, ...], ...]


class Triplets:
    """A store, and what each of its windows holds, by id; no dataclass, of which Hypothesis prints every field."""

    def __init__(self, repo: Repository, windows: Mapping[str, GeneratedWindow]) -> None:
        self.repo, self.windows = repo, windows


def vector_of(sentence: str) -> NDArray[np.float16]:
    """The unit vector float16[D] that stands for a sentence."""
    digest = hashlib.sha256(sentence.encode()).digest()
    vector = np.random.default_rng(list(digest)).standard_normal(WIDTH)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def text_key(sentence: str) -> int:
    """The first eight bytes of a sentence's sha256 as int64, as batches name it."""
    return int.from_bytes(hashlib.sha256(sentence.encode()).digest()[:8], "little", signed=True)


def write_triplets(
    url: str, *, view: str = "tiny", seed: int = 0, compress: tuple[str, ...] = ()
) -> Triplets:
    """Write and publish the view."""
    repo = Repository.open(url, create=True)
    puts: list[Put] = []
    everything: dict[str, GeneratedWindow] = {}
    for bucket, takes in enumerate(BUCKETS):
        rng = np.random.default_rng((seed, bucket))
        windows = [
            _window(rng, f"pamap2/protocol/subject{bucket}{take}", number, split)
            for take, (count, split) in enumerate(takes)
            for number in range(count)
        ]
        everything |= {window.row["window_id"]: window for window in windows}
        key, work = f"{bucket:02d}", work_key("test", 1, [view, seed, bucket, list(compress)], None)
        attributes = {
            "view": asdict(VIEW), "bucket": key, "encoder": "generated", "fingerprint": {"dim": WIDTH},
            "video_slots": list(VIEW.video_slots), "text_sources": list(VIEW.texts),
        }  # fmt: skip
        tensors = repo.write_arrays(
            key, _tensors(windows), rows=len(windows), attributes=attributes, work=work, compress=compress
        )
        table = pa.Table.from_pylist([dict(window.row) for window in windows], schema=WINDOWS)
        puts += [
            Put(f"tensors:{view}", tensors),
            Put(f"windows:{view}", repo.write_table(key, table, work=work)),
        ]
    puts.append(Put("takes", _takes(repo, everything)))
    repo.commit(lambda base: puts, message="generated", provenance={})
    return Triplets(repo, everything)


def _takes(repo: Repository, windows: Mapping[str, GeneratedWindow]) -> Any:
    names = sorted({window.row["take_id"] for window in windows.values()})
    rows = [
        {"take_id": name, "dataset": "pamap2", "participant_id": "1", "origin": "generated"} for name in names
    ]
    return repo.write_table(
        "00", pa.Table.from_pylist(rows, schema=TAKES), work=work_key("test", 1, "t", None)
    )


def _window(rng: np.random.Generator, take: str, number: int, split: str) -> GeneratedWindow:
    arrays = _rows(rng)
    texts: tuple[tuple[str, ...], ...] = ((), ())
    if take != WORDLESS:
        texts = tuple(tuple(rng.permutation(SENTENCES)[: rng.integers(0, 4)].tolist()) for _ in VIEW.texts)
    label = int(rng.integers(-1, len(VIEW.classes)))
    start_ns = number * STRIDE_NS
    row = {
        "window_id": f"{take}@{start_ns}+{VIEW.length_ns}",
        "take_id": take,
        "dataset": "pamap2",
        "participant_id": "1",
        "start_ns": start_ns,
        "stop_ns": start_ns + VIEW.length_ns,
        "label": None if label < 0 else VIEW.classes[label],
        "label_index": None if label < 0 else label,
        "split": split,
        "coverage": [1.0, 1.0],
        "valid_share": float(arrays["imu_valid"].mean()),
        "retimed_share": float(rng.uniform(0, 0.2)),
        "interpolated_share": float(rng.uniform(0, 0.2)),
        "video_present": arrays["video_present"].tolist(),
        "mocap_share": float(arrays["mocap_valid"].any(-1).mean()),
        "texts": [
            {"slot": slot, "source": VIEW.texts[slot], "text": text, "text_id": _digest(text).hex()}
            for slot, of_slot in enumerate(texts)
            for text in of_slot
        ],
    }  # fmt: skip
    return GeneratedWindow(row, arrays, texts)


def _rows(rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """One window's row of each array; 0 wherever nothing was measured."""
    slots, samples, frames = len(VIEW.positions), VIEW.samples, VIEW.slow_samples
    present = rng.random((slots, 2)) < 0.8
    valid = (rng.random((slots, 2, samples)) < 0.9) & present[..., None]
    imu = rng.standard_normal((slots, 2, 3, samples)) * valid[:, :, None]
    shown = rng.random(len(VIEW.cameras)) < 0.6
    video = rng.standard_normal((len(VIEW.cameras), WIDTH))
    video *= shown[:, None] / np.linalg.norm(video, axis=1, keepdims=True)
    seen = (rng.random((frames, 17)) < 0.8) & (rng.random() < 0.7)
    return {
        "imu": imu.reshape(slots, 6, samples).astype(np.float32),
        "imu_valid": valid,
        "imu_present": present,
        "video": video.astype(np.float16),
        "video_present": shown,
        "mocap": (rng.standard_normal((frames, 17, 3)) * seen[..., None]).astype(np.float32),
        "mocap_valid": seen,
    }


def _tensors(windows: list[GeneratedWindow]) -> dict[str, NDArray[Any]]:
    """The arrays of a bucket: its windows' rows behind each other, and every distinct text once."""
    blank = _rows(np.random.default_rng(0))
    arrays = {
        name: np.array([window.arrays[name] for window in windows], row.dtype).reshape(-1, *row.shape)
        for name, row in blank.items()
    }
    sentences = sorted({text for window in windows for slot in window.texts for text in slot}, key=_digest)
    counts = np.array([[len(slot) for slot in window.texts] for window in windows], np.int64)
    ends = counts.reshape(-1, len(VIEW.texts)).cumsum().reshape(-1, len(VIEW.texts))
    begins = ends[:, :1] - counts.reshape(ends.shape)[:, :1]
    told = [sentences.index(text) for window in windows for slot in window.texts for text in slot]
    return arrays | {
        "text_ids": np.array([list(_digest(text)) for text in sentences], np.uint8).reshape(-1, 32),
        "text_vectors": np.array([vector_of(text) for text in sentences], np.float16).reshape(-1, WIDTH),
        "text_rows": np.array(told, np.int32),
        "text_offsets": np.concatenate((begins, ends), axis=1),
    }


def _digest(sentence: str) -> bytes:
    return hashlib.sha256(sentence.encode()).digest()
