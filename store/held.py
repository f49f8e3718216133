"""One array shard as plain files that nobody takes away until it is given back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from sensorloom.store.errors import MissingObjectError, StorageError
from sensorloom.store.layout import shard_key, shard_marker
from sensorloom.store.manifest import Shard
from sensorloom.store.objects import Objects
from sensorloom.store.zarr_metadata import ShardRoot, read_root

__all__ = ["HeldArrays", "hold_in_store", "no_cache", "vanished"]


class HeldArrays:
    """The arrays of one shard, each in a file of its own: C order, little endian, nothing before or behind.

    What a cache lent stays where it is until `close`, so map the files before. A map outlives it.
    """

    def __init__(self, root: ShardRoot, folder: Path, give_back: Callable[[], None] | None = None) -> None:
        """Hold what lies in `folder`; `give_back` is called once, at the first `close`."""
        self.root = root
        self._folder = folder
        self._give_back = give_back

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HeldArrays({self.root.rows} rows, {str(self._folder)!r})"

    def file(self, name: str) -> Path | None:
        """Return the file of an array, None where it has no element; `KeyError` lists the arrays there are."""
        spec = self.root.arrays.get(name)
        if spec is None:
            raise KeyError(
                f"no array {name!r} in {self._folder}; there are {', '.join(self.root.arrays) or 'none'}"
            )
        return Path(f"{self._folder}/{name}/{spec.chunk}") if spec.chunk else None

    def close(self) -> None:
        """Let the files go; calling again does nothing."""
        give_back, self._give_back = self._give_back, None
        if give_back:
            give_back()


def hold_in_store(objects: Objects, shard: Shard, root: ShardRoot | None) -> HeldArrays | None:
    """Return the files of a shard where they lie in the store, None unless they are local and plain.

    `root` is what `Repository.array_roots` read of it before; None reads it.
    """
    folder = objects.path(shard_key(shard.digest, "zarr"))
    if folder is None:
        return None
    root = root or _read_root(objects, shard)
    if any(spec.blocks for spec in root.arrays.values()):
        return None
    return HeldArrays(root, folder)


def _read_root(objects: Objects, shard: Shard) -> ShardRoot:
    marker = shard_marker(shard.digest, "zarr")
    try:
        return read_root(objects.get(marker), objects.describe(marker))
    except MissingObjectError as error:
        raise vanished(shard, error) from error


def vanished(shard: Shard, error: MissingObjectError) -> MissingObjectError:
    """Return the error for a shard of which an object is gone, naming both."""
    return MissingObjectError(f"shard {shard.key} cannot be read: {error}")


def no_cache(objects: Objects, shard: Shard) -> StorageError:
    """Return the error for a shard that can only be read through a cache."""
    return StorageError(
        f"shard {shard.key} ({shard.digest[:12]}) of store {objects.url} can only be read from a copy on this "
        "machine: give a cache, as in cache=default_cache() of sensorloom.store.cache"
    )
