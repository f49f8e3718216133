"""Shards of elsewhere as plain files on this machine, bounded and shared by its processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sensorloom.store.errors import StorageError
from sensorloom.store.held import HeldArrays
from sensorloom.store.manifest import Shard
from sensorloom.store.objects import Objects

__all__ = ["ShardCache", "default_cache"]

DEFAULT_BYTES = 50_000_000_000


@dataclass(frozen=True, slots=True)
class ShardCache:
    """Copies of array shards below `folder`, at most `max_bytes` of them at any time."""

    folder: Path | str
    max_bytes: int

    def hold(self, objects: Objects, shard: Shard) -> HeldArrays:
        """Return the files of `shard`, fetched if they are not here yet."""
        raise StorageError(f"cannot fetch {shard.key} of {objects.url} yet")


def default_cache() -> ShardCache:
    """Return the cache of this user: `~/.cache/sensorloom/shards`, 50 GB.

    `XDG_CACHE_HOME` moves it, `SENSORLOOM_CACHE_BYTES` bounds it.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return ShardCache(
        base / "sensorloom" / "shards", int(os.environ.get("SENSORLOOM_CACHE_BYTES") or DEFAULT_BYTES)
    )
