"""A tiny store by the schema of the window and tensor tables, with classes that a model can tell apart."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from sensorloom.store.changes import Put
from sensorloom.store.manifest import work_key
from sensorloom.store.repository import Repository

SAMPLES = 150
CLASSES = ("rest", "slow", "fast", "never")
RATES_HZ = (2, 10, 40)
SPLITS = ("train", "train", "train", "train", "val", "test")

MakeStore = Callable[..., Repository]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def window(rng: np.random.Generator, label: int, slots: int, samples: int) -> np.ndarray:
    """A noisy oscillation float32[S, 6, T] whose frequency is the class."""
    time = np.arange(samples) / 200
    phase = rng.uniform(0, 2 * np.pi, (slots, 6, 1))
    return (
        np.sin(2 * np.pi * RATES_HZ[label] * time + phase) + 0.1 * rng.standard_normal((slots, 6, samples))
    ).astype(np.float32)


def shard_parts(
    bucket: int, rows: int, slots: int, samples: int
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """The arrays and the window rows of one bucket, one take each."""
    rng = np.random.default_rng(bucket)
    labels = rng.integers(0, 3, rows)
    imu = (
        np.stack([window(rng, int(label), slots, samples) for label in labels])
        if rows
        else np.empty((0, slots, 6, samples), np.float32)
    )
    arrays = {
        "imu": imu,
        "imu_valid": np.ones((rows, slots, 2, samples), np.bool_),
        "imu_present": np.ones((rows, slots, 2), np.bool_),
    }
    take = f"pamap2/protocol/subject{bucket}"
    windows = [
        {
            "window_id": f"{take}@{row}+{samples}",
            "take_id": take,
            "label": CLASSES[label],
            "label_index": int(label),
            "split": SPLITS[bucket % len(SPLITS)],
        }
        for row, label in enumerate(labels)
    ]
    return arrays, windows


WINDOWS = pa.schema(
    {
        "window_id": pa.string(),
        "take_id": pa.string(),
        "label": pa.string(),
        "label_index": pa.int16(),
        "split": pa.string(),
    }
)
TAKES = pa.schema({name: pa.string() for name in ("take_id", "dataset", "participant_id", "origin")})


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Return a function that writes a store, by default in the test's own folder."""
    return functools.partial(write_store, url=str(tmp_path / "store"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The default store, written once, for tests that only read it."""
    return write_store(url=str(tmp_path_factory.mktemp("tiny") / "store"))


def write_store(
    *,
    url: str,
    rows: tuple[int, ...] = (20, 13, 0, 17, 24, 22),
    view: str = "tiny",
    slots: int = 1,
    samples: int = SAMPLES,
    origin: str = "generated",
    edit: Callable[[dict[str, Any], list[dict[str, Any]]], None] = lambda arrays, windows: None,
) -> Repository:
    """Write and publish a view of `rows` windows a bucket, and the takes they come from."""
    repo = Repository.open(url, create=True)
    puts: list[Put] = []
    takes = []
    for bucket, count in enumerate(rows):
        arrays, windows = shard_parts(bucket, count, slots, samples)
        edit(arrays, windows)
        work, key = work_key("test", 1, [view, bucket], None), f"{bucket:02d}"
        attributes = {"view": {"name": view, "classes": list(CLASSES)}}
        tensors = repo.write_arrays(
            key, arrays, rows=len(arrays.get("imu", [])), attributes=attributes, work=work
        )
        table = repo.write_table(key, pa.Table.from_pylist(windows, schema=WINDOWS), work=work)
        puts += [Put(f"tensors:{view}", tensors), Put(f"windows:{view}", table)]
        take = {"take_id": f"pamap2/protocol/subject{bucket}", "dataset": "pamap2", "origin": origin}
        takes.append({**take, "participant_id": f"pamap2/{bucket}"})
    table = repo.write_table(
        "00", pa.Table.from_pylist(takes, schema=TAKES), work=work_key("test", 1, "takes", None)
    )
    repo.commit(lambda base: [*puts, Put("takes", table)], message="tiny", provenance={})
    return repo
