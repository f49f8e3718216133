"""The encoders whose vectors a snapshot has. Reads a few attributes, and needs no decoder to do so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sensorloom.store.manifest import Manifest, Shard, Snapshot
from sensorloom.store.repository import Repository
from sensorloom.store.zarr_metadata import ShardRoot

__all__ = ["ENCODERS", "StoredEncoder", "fingerprint_of", "stored_encoder", "stored_encoders"]

ENCODERS = "encoders"
"""The table with one shard for each encoder: its fingerprint and its golden vectors."""


@dataclass(frozen=True, slots=True)
class StoredEncoder:
    """An encoder whose vectors a snapshot has; `fingerprint` is all that those of its frames depend on."""

    name: str
    dim: int
    fingerprint: Mapping[str, Any]


def stored_encoders(repo: Repository, snapshot: Snapshot | None) -> dict[str, StoredEncoder]:
    """Return the encoders whose vectors `snapshot` has, by name."""
    if snapshot is None:
        return {}
    names = {shard.key: shard for shard in repo.manifest(snapshot, ENCODERS).shards}
    vectors = {name: repo.manifest(snapshot, f"vectors:{name}") for name in names}
    return {
        name: stored_encoder(repo, shard, vectors[name])
        for name, shard in names.items()
        if vectors[name].shards
    }


def stored_encoder(repo: Repository, row: Shard, vectors: Manifest) -> StoredEncoder:
    """Return the encoder that a row of the table `encoders` tells of, and that gave `vectors`, which are some."""
    # All shards of the table are of one fingerprint: the commit sees to it.
    fingerprint = cast("Mapping[str, Any]", repo.open_arrays(vectors.shards[0]).attributes["fingerprint"])
    return StoredEncoder(row.key, cast("int", repo.open_arrays(row).attributes["dim"]), fingerprint)


def fingerprint_of(root: ShardRoot) -> Mapping[str, Any]:
    """Return the fingerprint of the encoder whose vectors a view's tensors carry, empty where they carry none."""
    told = root.attributes.get("fingerprint") or {}
    # Builds of before kept its digest alone.
    return cast("Mapping[str, Any]", {"digest": told} if isinstance(told, str) else told)
