"""Array shards: a directory that any Zarr v3 reader opens, and that a local reader maps into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.store.blocks import compressed_spec, decode_array, encode_array
from sensorloom.store.canonical import JSON
from sensorloom.store.errors import InvalidNameError, MalformedObjectError, StoreReadError
from sensorloom.store.layout import shard_key, shard_marker
from sensorloom.store.manifest import Shard
from sensorloom.store.objects import Buffer, Objects
from sensorloom.store.zarr_metadata import ArraySpec, ShardRoot, member_files, read_root, root_file

__all__ = ["ArrayShard", "ZarrImage", "encode_arrays", "open_array_shard", "tree_digest"]


@dataclass(frozen=True, slots=True)
class ZarrImage:
    """The files of an array shard before they are written: content by path, and the root's."""

    files: Mapping[str, Buffer]
    root: bytes
    digest: str

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(len(data) for data in self.files.values()) + len(self.root)


def encode_arrays(
    arrays: Mapping[str, NDArray[Any]],
    *,
    rows: int,
    attributes: Mapping[str, JSON],
    compress: Collection[str] = (),
) -> ZarrImage:
    """Lay out `arrays` (name, nested by `/`, to an array of any shape) as the files of one shard.

    Those that `compress` names become blocks of rows, compressed. The others, where contiguous and little-endian, are
    not copied: the image holds views, so do not change them before it is written. Raises `UnsupportedDataError` for
    a dtype no shard holds and `InvalidNameError` for a name.
    """
    if strangers := sorted(set(compress) - arrays.keys()):
        raise InvalidNameError(
            f"compress names {', '.join(strangers)}, the arrays are {', '.join(arrays) or 'none'}"
        )
    specs = {
        name: compressed_spec(array) if name in compress else ArraySpec(array.shape, array.dtype.name)
        for name, array in arrays.items()
    }
    root = ShardRoot(rows, attributes, specs)
    files: dict[str, Buffer] = dict(member_files(root))
    files |= {
        f"{name}/{spec.chunk}": _chunk_of(spec, arrays[name]) for name, spec in specs.items() if spec.chunk
    }
    root_data = root_file(root)
    sizes_and_digests = {path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
    sizes_and_digests["zarr.json"] = (len(root_data), hashlib.sha256(root_data).hexdigest())
    return ZarrImage(files, root_data, tree_digest(sizes_and_digests))


def tree_digest(files: Mapping[str, tuple[int, str]]) -> str:
    """Return the digest of a shard from path → (size in bytes, sha256).

    It is the sha256 of one line `path size sha256` per file, sorted by path.
    """
    lines = (f"{path} {size} {digest}\n" for path, (size, digest) in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class ArrayShard(Mapping[str, NDArray[Any]]):
    """The arrays of one shard by name, read-only, each opened at its first use.

    On a local store a plain array is a memory map of its chunk file: no copy, pages load as they are touched.
    Elsewhere it is fetched whole, in one request. A compressed array is decoded into memory, all of it.
    """

    def __init__(self, objects: Objects, prefix: str, root: ShardRoot) -> None:
        self._objects = objects
        self._prefix = prefix
        self._root = root
        self._opened: dict[str, NDArray[Any]] = {}

    @property
    def rows(self) -> int:
        """Row count as its writer stated it."""
        return self._root.rows

    @property
    def attributes(self) -> Mapping[str, JSON]:
        """The writer's attributes."""
        return self._root.attributes

    def path(self, name: str) -> Path | None:
        """Return the file that holds just the elements; None off a local store, of an empty or a compressed array."""
        spec = self._spec(name)
        plain = spec.chunk is not None and spec.blocks is None
        return self._objects.path(f"{self._prefix}/{name}/{spec.chunk}") if plain else None

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._root.arrays)

    def __len__(self) -> int:
        return len(self._root.arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._root.arrays

    def __repr__(self) -> str:
        arrays = ", ".join(
            f"{name}: {spec.dtype}{list(spec.shape)}" for name, spec in self._root.arrays.items()
        )
        return f"ArrayShard({self.rows} rows, {arrays})"

    def _spec(self, name: str) -> ArraySpec:
        spec = self._root.arrays.get(name)
        if spec is None:
            raise KeyError(
                f"no array {name!r} in {self._prefix}; there are {', '.join(self._root.arrays) or 'none'}"
            )
        return spec

    def _open(self, name: str) -> NDArray[Any]:
        spec = self._spec(name)
        if spec.chunk is None:
            empty = np.empty(spec.shape, spec.dtype)
            empty.flags.writeable = False
            return empty
        key = f"{self._prefix}/{name}/{spec.chunk}"
        path = self._objects.path(key)
        data = self._objects.get(key) if path is None else self._map(path, key)
        if spec.blocks is not None:
            data = decode_array(spec, data, self._objects.describe(key))
        if len(data) != spec.num_bytes:
            raise MalformedObjectError(
                f"{self._objects.describe(key)} must hold {spec.num_bytes} bytes, holds {len(data)}; "
                "run `sensorloom verify`"
            )
        return np.frombuffer(data, np.dtype(spec.dtype).newbyteorder("<")).reshape(spec.shape)

    def _map(self, path: Path, key: str) -> memoryview:
        try:
            return np.memmap(path, np.uint8, mode="r").data
        except FileNotFoundError:
            return memoryview(self._objects.get(key))
        except (OSError, ValueError) as error:
            raise StoreReadError(f"cannot map {self._objects.describe(key)}: {error}") from error


def open_array_shard(objects: Objects, shard: Shard) -> ArrayShard:
    """Open the arrays of `shard` by one read of its root."""
    marker = shard_marker(shard.digest, "zarr")
    root = read_root(objects.get(marker), objects.describe(marker))
    return ArrayShard(objects, shard_key(shard.digest, "zarr"), root)


def _chunk_of(spec: ArraySpec, array: NDArray[Any]) -> Buffer:
    return _bytes_of(array) if spec.blocks is None else encode_array(spec, array)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data
