"""Shards as objects: write one idempotently, tell whether it is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sensorloom.store.arrays import encode_arrays
from sensorloom.store.canonical import JSON
from sensorloom.store.layout import shard_key, shard_marker
from sensorloom.store.manifest import Shard
from sensorloom.store.objects import Objects
from sensorloom.store.tables import encode_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_whole", "write_array_shard", "write_table_shard"]


def write_table_shard(objects: Objects, key: str, table: pa.Table, work: str) -> Shard:
    """Write `table` as a Parquet shard; what is there already is only marked as fresh."""
    data = encode_table(table)
    shard = Shard(key, "parquet", hashlib.sha256(data).hexdigest(), table.num_rows, len(data), work)
    if is_whole(objects, shard):
        objects.refresh(shard_key(shard.digest, "parquet"), data)
    else:
        objects.put(shard_key(shard.digest, "parquet"), data)
    return shard


def write_array_shard(
    objects: Objects,
    key: str,
    arrays: Mapping[str, NDArray[Any]],
    *,
    rows: int,
    attributes: Mapping[str, JSON],
    work: str,
    compress: Collection[str] = (),
) -> Shard:
    """Write `arrays` as a Zarr shard, its root last; what a crash left of it is completed."""
    image = encode_arrays(arrays, rows=rows, attributes=attributes, compress=compress)
    shard = Shard(key, "zarr", image.digest, rows, image.num_bytes, work)
    marker = shard_marker(image.digest, "zarr")
    if is_whole(objects, shard):
        objects.refresh(marker, image.root)
        return shard
    prefix = shard_key(image.digest, "zarr")
    present = {info.key: info.num_bytes for info in objects.walk(prefix)}
    files = [(f"{prefix}/{path}", data) for path, data in image.files.items()]
    objects.put_all([(path, data) for path, data in files if present.get(path) != len(data)])
    objects.put(marker, image.root)
    return shard


def is_whole(objects: Objects, shard: Shard) -> bool:
    """Tell whether the marker of `shard` and all its bytes are there, without reading them.

    Files appear whole under their final name, so sizes suffice to find what a crash or a removal left out;
    damage inside a file is what `verify` looks for.
    """
    marker = shard_marker(shard.digest, shard.format)
    if shard.format == "parquet":
        info = objects.head(marker)
        return info is not None and info.num_bytes == shard.num_bytes
    found = {info.key: info.num_bytes for info in objects.walk(shard_key(shard.digest, "zarr"))}
    return marker in found and sum(found.values()) == shard.num_bytes
