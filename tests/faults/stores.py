"""Small stores with built views, and what one of their views looks like with something else in its shards."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.flows.config import Config, load_config
from sensorloom.flows.embedding import embed_store
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.flows.tables import WINDOWS
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.changes import Base, Change, Put
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["STORES", "Bucket", "BuiltStore", "BuiltStores"]

_WORK = "0" * 64


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a store is made of: takes and minutes of a data set, with or without vectors, and its views."""

    dataset: str
    takes: int
    minutes: float
    is_embedded: bool
    views: tuple[str, ...]


STORES: Mapping[str, _Recipe] = {
    "pamap2": _Recipe("pamap2", 6, 3.0, False, ("har-pamap2",)),
    "realworld": _Recipe("realworld", 9, 0.6, False, ("har-realworld",)),
    "ego4d": _Recipe("ego4d", 5, 0.6, True, ("all-modalities",)),
    "egoexo4d": _Recipe("egoexo4d", 6, 0.3, False, ("aura-aad", "aura-commentary")),
}
"""Pictures cost most, so only Ego4D's, one camera a take, are embedded; Ego-Exo4D goes without its videos."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The windows of one bucket: their rows, and the arrays whose first axis goes with them or with their texts."""

    rows: list[dict[str, Any]]
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class BuiltStore:
    """A store with its built views."""

    repo: Repository

    @property
    def clean(self) -> Snapshot:
        """What was built."""
        return self.repo.resolve("main")

    def spoiled(self, view: str, name: str, plant: Callable[[list[Bucket]], None]) -> Snapshot:
        """Publish, under the name of a fault, the store with `plant` done to copies of the shards of a view."""
        tensors, windows = f"tensors:{view}", f"windows:{view}"
        shards = self.repo.manifest(self.clean, tensors).shards
        buckets = list(self._buckets(view))
        plant(buckets)
        changed: list[Change] = []
        for shard, bucket in zip(shards, buckets, strict=True):
            attributes = dict(self.repo.open_arrays(shard).attributes)
            made = self.repo.write_arrays(
                shard.key, bucket.arrays, rows=len(bucket.rows), attributes=attributes, work=shard.work
            )
            table = pa.Table.from_pylist(bucket.rows, schema=WINDOWS)
            changed += [Put(tensors, made), Put(windows, self.repo.write_table(shard.key, table, work=_WORK))]
        rest = [
            Put(table, shard)
            for table in self.clean.tables
            if table not in (tensors, windows)
            for shard in self.repo.manifest(self.clean, table).shards
        ]
        commit = self.repo.commit(_plan([*rest, *changed]), message=name, provenance={}, ref=name)
        return self.repo.resolve(commit.snapshot_id)

    def _buckets(self, view: str) -> Iterator[Bucket]:
        rows = {shard.key: shard for shard in self.repo.manifest(self.clean, f"windows:{view}").shards}
        for shard in self.repo.manifest(self.clean, f"tensors:{view}").shards:
            arrays = self.repo.open_arrays(shard)
            copies = {name: np.array(arrays[name]) for name in arrays}
            yield Bucket(self.repo.read_table(rows[shard.key]).to_pylist(), copies)


def _plan(changes: list[Change]) -> Callable[[Base], list[Change]]:
    return lambda _: changes


@dataclass(frozen=True)
class BuiltStores:
    """The stores of `STORES` under `folder`, each made once by ingest, embed and build."""

    folder: Path

    def store(self, name: str) -> BuiltStore:
        """Return a store by its name."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def config(self, name: str) -> Config:
        """Return the configuration that a store was made with."""
        return load_config(None, {"store.url": str(self.folder / name / "store")})

    @cached_property
    def _made(self) -> dict[str, BuiltStore]:
        return {}

    def _make(self, name: str) -> BuiltStore:
        recipe, raw, config = STORES[name], self.folder / name / "raw", self.config(name)
        write_sample(raw, SampleSpec((recipe.dataset,), takes=recipe.takes, minutes=recipe.minutes))
        if recipe.dataset == "egoexo4d":
            for folder in raw.rglob("frame_aligned_videos"):
                shutil.rmtree(folder)
        ingest_dataset(recipe.dataset, str(raw / recipe.dataset), config=config)
        if recipe.is_embedded:
            embed_store(config)
        build_views(list(recipe.views), config=config)
        return BuiltStore(Repository.open(config.store.url))
