"""Small stores with built views, and what one of their views looks like with something else in its shards."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.align.rules import RULES
from sensorloom.flows.audit.vectors import ViewTask
from sensorloom.flows.config import load_config
from sensorloom.flows.embedding import embed_store
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.flows.tables import WINDOWS
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository
from tests.faults.trees import ShortTrees

__all__ = ["STORES", "Bucket", "BuiltStore", "BuiltStores"]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a store is made of: takes and minutes of a data set, with or without vectors, and its views.

    With 0 takes it is made of the tree of short takes that is there.
    """

    dataset: str
    takes: int
    minutes: float
    is_embedded: bool
    views: tuple[str, ...]


STORES: Mapping[str, _Recipe] = {
    "pamap2": _Recipe("pamap2", 6, 3.0, False, ("har-pamap2",)),
    "realworld": _Recipe("realworld", 9, 0.6, False, ("har-realworld",)),
    "ego4d": _Recipe("ego4d", 6, 1.2, True, ("all-modalities",)),
    "egoexo4d": _Recipe("egoexo4d", 0, 0.0, False, ("aura-aad",)),
}
"""Pictures cost most, so only Ego4D's, one camera a take, are embedded; Ego-Exo4D is the tree of short takes without
its videos."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The windows of one bucket: their rows, and the arrays whose first axis goes with them or with their texts."""

    rows: list[dict[str, Any]]
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class BuiltStore:
    """A store with its built views."""

    repo: Repository

    def task(self, view: str, plant: Callable[[list[Bucket]], None] | None = None) -> ViewTask:
        """Return the check of a view, with `plant` done to copies of its shards."""
        snapshot = self.repo.resolve("main")
        windows, tensors = (
            self.repo.manifest(snapshot, f"{table}:{view}").shards for table in ("windows", "tensors")
        )
        rules = tuple(RULES.values())
        if plant is None:
            return ViewTask(self.repo.url, view, windows, tensors, rules)
        buckets = [self._copy(*shards) for shards in zip(windows, tensors, strict=True)]
        plant(buckets)
        written = [self._write(bucket, shard) for bucket, shard in zip(buckets, tensors, strict=True)]
        rows, arrays = zip(*written, strict=True)
        return ViewTask(self.repo.url, view, rows, arrays, rules)

    def _copy(self, windows: Shard, tensors: Shard) -> Bucket:
        arrays = self.repo.open_arrays(tensors)
        return Bucket(
            self.repo.read_table(windows).to_pylist(), {name: np.array(arrays[name]) for name in arrays}
        )

    def _write(self, bucket: Bucket, like: Shard) -> tuple[Shard, Shard]:
        attributes = dict(self.repo.open_arrays(like).attributes)
        rows, table = len(bucket.rows), pa.Table.from_pylist(bucket.rows, schema=WINDOWS)
        arrays = self.repo.write_arrays(
            like.key, bucket.arrays, rows=rows, attributes=attributes, work=like.work
        )
        return self.repo.write_table(like.key, table, work=like.work), arrays


@dataclass(frozen=True)
class BuiltStores:
    """The stores of `STORES` under `folder`, each made once by ingest, embed and build."""

    folder: Path
    short: ShortTrees

    def store(self, name: str) -> BuiltStore:
        """Return a store by its name."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    @cached_property
    def _made(self) -> dict[str, BuiltStore]:
        return {}

    def _make(self, name: str) -> BuiltStore:
        recipe, raw = STORES[name], self.folder / name / "raw"
        config = load_config(None, {"store.url": str(self.folder / name / "store")})
        if recipe.takes:
            write_sample(raw, SampleSpec((recipe.dataset,), takes=recipe.takes, minutes=recipe.minutes))
        else:
            without = shutil.ignore_patterns("frame_aligned_videos")
            shutil.copytree(self.short.tree(name, faulty=False), raw, ignore=without)
        ingest_dataset(recipe.dataset, str(raw / recipe.dataset), config=config)
        if recipe.is_embedded:
            embed_store(config)
        build_views(list(recipe.views), config=config)
        return BuiltStore(Repository.open(config.store.url))
