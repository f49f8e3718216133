"""Copy one array shard from a store into a folder, every byte checked against the shard's name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sensorloom.store.arrays import tree_digest
from sensorloom.store.blocks import MAX_RATIO, decode_blocks
from sensorloom.store.errors import MalformedObjectError, MissingObjectError
from sensorloom.store.held import vanished
from sensorloom.store.joined import LARGE_PAGE
from sensorloom.store.layout import ZARR_MARKER, shard_key
from sensorloom.store.manifest import Shard
from sensorloom.store.objects import Buffer, Objects
from sensorloom.store.zarr_metadata import ArraySpec, ShardRoot, member_files, read_root

__all__ = ["ShardFetch"]

_FILES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ShardFetch:
    """What the root of a shard told, with its bytes; `open` reads it, `copy` brings the arrays."""

    objects: Objects
    shard: Shard
    root_data: bytes
    root: ShardRoot

    @classmethod
    def open(cls, objects: Objects, shard: Shard) -> ShardFetch:
        """Read the root of `shard`.

        Raises `MissingObjectError` where the store has it no more, `MalformedObjectError` for one that is none or
        speaks of more bytes than the shard can hold: nothing is moved out of the way for what is not there.
        """
        key = f"{shard_key(shard.digest, 'zarr')}/{ZARR_MARKER}"
        data = b"".join(_Counted(_pieces(objects, shard, key), shard.num_bytes, ZARR_MARKER))
        root = read_root(data, objects.describe(key))
        _check_sizes(root, len(data), shard)
        return cls(objects, shard, data, root)

    @property
    def num_bytes(self) -> int:
        """Bytes of the copy: the root, and every array as plain bytes."""
        return len(self.root_data) + sum(spec.num_bytes for spec in self.root.arrays.values())

    def copy(self, folder: Path) -> None:
        """Write the shard into `folder`, made here, with every array as one plain file.

        No file grows beyond what the root says. The small metadata files follow from the root, so they are
        neither fetched nor written, only counted in the digest. Raises `MalformedObjectError` where the bytes
        that came are not those of the shard, `StoreReadError` and `MissingObjectError` where they did not come.
        """
        files = {name: spec for name, spec in self.root.arrays.items() if spec.chunk}
        for name, spec in files.items():
            (folder / name / str(spec.chunk)).parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ZARR_MARKER).write_bytes(self.root_data)
        found = self._copy_arrays(folder, files)
        found |= {path: _size_and_digest(data) for path, data in member_files(self.root).items()}
        found[ZARR_MARKER] = _size_and_digest(self.root_data)
        if (digest := tree_digest(found)) != self.shard.digest:
            raise MalformedObjectError(f"the digest of its files is {digest}")

    def _copy_arrays(self, folder: Path, files: Mapping[str, ArraySpec]) -> dict[str, tuple[int, str]]:
        # A block in memory is up to 32 MiB, and several shards are fetched at once: compressed arrays come one by one.
        with ThreadPoolExecutor(_FILES_AT_ONCE) as plain, ThreadPoolExecutor(1) as compressed:
            copies = [
                (compressed if spec.blocks else plain).submit(self._copy_array, folder, name, spec)
                for name, spec in files.items()
            ]
            try:
                return dict(copy.result() for copy in copies)
            except BaseException:
                for copy in copies:
                    copy.cancel()
                raise

    def _copy_array(self, folder: Path, name: str, spec: ArraySpec) -> tuple[str, tuple[int, str]]:
        path = f"{name}/{spec.chunk}"
        limit = self.shard.num_bytes if spec.blocks else spec.num_bytes
        pieces = _Counted(self._pieces(path), limit, path)
        # What is written in pieces of a large page Linux caches in such: `JoinedArray` maps it by them.
        at_once = max(1 << 12, min(spec.num_bytes, LARGE_PAGE))
        with (folder / path).open("wb", buffering=at_once) as file:
            if spec.blocks:
                file.writelines(decode_blocks(spec, pieces, path))
            else:
                file.writelines(pieces)
        return path, (pieces.num_bytes, pieces.digest.hexdigest())

    def _pieces(self, path: str) -> Iterator[Buffer]:
        return _pieces(self.objects, self.shard, f"{shard_key(self.shard.digest, 'zarr')}/{path}")


class _Counted:
    """The pieces of a file as they come, with their digest; refuses more bytes than the file may hold."""

    def __init__(self, pieces: Iterator[Buffer], limit: int, path: str) -> None:
        self.num_bytes = 0
        self.digest = hashlib.sha256()
        self._pieces, self._limit, self._path = pieces, limit, path

    def __iter__(self) -> Iterator[Buffer]:
        for piece in self._pieces:
            self.num_bytes += len(piece)
            if self.num_bytes > self._limit:
                raise MalformedObjectError(f"{self._path} holds more than {self._limit} bytes")
            self.digest.update(piece)
            yield piece


def _check_sizes(root: ShardRoot, root_bytes: int, shard: Shard) -> None:
    """Refuse a root whose arrays cannot be what the manifest's count of bytes says of all files together."""
    small = root_bytes + sum(map(len, member_files(root).values()))
    plain = sum(spec.num_bytes for spec in root.arrays.values() if spec.blocks is None)
    blocks = sum(spec.num_bytes for spec in root.arrays.values() if spec.blocks)
    left = shard.num_bytes - small - plain
    if left < 0 or blocks > MAX_RATIO * left or (left and not blocks):
        raise MalformedObjectError(
            f"{ZARR_MARKER} speaks of {plain} bytes of plain and {blocks} bytes of compressed arrays, and its manifest "
            f"of {shard.num_bytes} bytes with {small} bytes of metadata"
        )


def _pieces(objects: Objects, shard: Shard, key: str) -> Iterator[Buffer]:
    try:
        yield from objects.chunks(key)
    except MissingObjectError as error:
        raise vanished(shard, error) from error


def _size_and_digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()
