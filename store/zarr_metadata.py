"""The metadata files of a Zarr v3 shard, written and read canonically. Pure.

C order, little endian, one chunk file per array: its plain bytes, or compressed blocks of rows (`blocks.py`).
The root repeats the metadata of every member (`consolidated_metadata`, which plain `zarr.open` uses too), so
one read of the root tells all shapes; it cannot go stale, for a shard never changes. What `zarr` itself would
write depends on its version, so it is not asked.

Layout and names: Zarr core specification 3.1, https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sensorloom.store.canonical import JSON, Fields, canonical_json, decode
from sensorloom.store.errors import InvalidNameError, MalformedObjectError, UnsupportedDataError
from sensorloom.store.layout import check_array_name

__all__ = ["ArraySpec", "ShardRoot", "member_files", "read_root", "root_file"]

ROWS_ATTRIBUTE = "sensorloom_rows"
DTYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
)
BLOSC_LEVEL = 5


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Shape and NumPy dtype name of one array, and rows of a block where it is compressed, None where it is plain."""

    shape: tuple[int, ...]
    dtype: str
    blocks: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UnsupportedDataError(f"dtype {self.dtype} cannot be stored; known are {', '.join(DTYPES)}")
        if self.blocks is not None and not (self.num_bytes and 1 <= self.blocks <= self.shape[0]):
            raise UnsupportedDataError(
                f"an array of shape {list(self.shape)} cannot be compressed in blocks of {self.blocks} rows"
            )

    @property
    def num_bytes(self) -> int:
        """Bytes of its elements; a plain array's chunk file is of that size."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def num_blocks(self) -> int:
        """Blocks of a compressed array, the last filled up with zero rows; 0 of a plain one."""
        return 0 if self.blocks is None else -(-self.shape[0] // self.blocks)

    @property
    def block_bytes(self) -> int:
        """Bytes of a block's elements; 0 of a plain array."""
        return 0 if self.blocks is None else self.blocks * (self.num_bytes // self.shape[0])

    @property
    def chunk(self) -> str | None:
        """Path of the chunk file below the array; an array without elements has none."""
        return "/".join(["c", *("0" for _ in self.shape)]) if self.num_bytes else None

    def metadata(self) -> dict[str, JSON]:
        """Return the content of its `zarr.json`."""
        fill: JSON = False if self.dtype == "bool" else 0.0 if self.dtype.startswith("float") else 0
        # A chunk must be at least one long in each dimension, also where the array is empty.
        chunk_shape = [max(1, length) for length in self.shape]
        if self.blocks is not None:
            chunk_shape[0] = self.num_blocks * self.blocks
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk_shape}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill,
            "codecs": _plain_codecs(self) if self.blocks is None else [_block_codec(self)],
            "attributes": {},
            "storage_transformers": [],
        }


@dataclass(frozen=True, slots=True)
class ShardRoot:
    """What the root of a Zarr shard tells: its rows, the writer's attributes, its arrays by name."""

    rows: int
    attributes: Mapping[str, JSON]
    arrays: Mapping[str, ArraySpec]

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise UnsupportedDataError(f"rows must be at least 0, got {self.rows}")
        if ROWS_ATTRIBUTE in self.attributes:
            raise InvalidNameError(
                f"attribute {ROWS_ATTRIBUTE!r} is reserved for the row count; choose another name"
            )
        groups = _groups(self.arrays)
        for name in self.arrays:
            check_array_name(name)
            if name in groups:
                raise InvalidNameError(f"array name {name!r} is also the group of another array; rename one")

    def chunk_paths(self) -> dict[str, int | None]:
        """Return each chunk file below the root and its size in bytes, None of a compressed one."""
        return {
            f"{name}/{spec.chunk}": spec.num_bytes if spec.blocks is None else None
            for name, spec in self.arrays.items()
            if spec.chunk
        }


def member_files(root: ShardRoot) -> dict[str, bytes]:
    """Return the `zarr.json` of every array and group below the root, by path."""
    return {f"{name}/zarr.json": canonical_json(metadata) for name, metadata in _members(root).items()}


def root_file(root: ShardRoot) -> bytes:
    """Return the root's own `zarr.json`, which is written last."""
    consolidated: JSON = {"kind": "inline", "must_understand": False, "metadata": _members(root)}
    attributes = {**root.attributes, ROWS_ATTRIBUTE: root.rows}
    return canonical_json({**_group(attributes), "consolidated_metadata": consolidated})


def read_root(data: bytes | memoryview, where: str) -> ShardRoot:
    """Read the root's `zarr.json`; anything but the exact bytes `root_file` writes is refused.

    So names, shapes and types need no further check: an array cannot lie outside the shard nor have a
    negative length.
    """
    try:
        root = decode(data, where, _root)
    except UnsupportedDataError as error:
        raise MalformedObjectError(f"{where}: {error}") from error
    if root_file(root) != bytes(data):
        raise MalformedObjectError(f"{where} is not the root of a shard as sensorloom writes it")
    return root


def _root(fields: Fields) -> ShardRoot:
    attributes = fields.mapping("attributes")
    fields.choice("node_type", ("group",))
    fields.count("zarr_format")
    consolidated = Fields(fields.mapping("consolidated_metadata"), f"{fields.where}: consolidated_metadata")
    nodes = consolidated.mapping("metadata")
    arrays = {}
    for name in nodes:
        node = Fields(nodes[name], f"{fields.where}: {name}")
        if node.choice("node_type", ("array", "group")) == "array":
            arrays[name] = ArraySpec(node.counts("shape"), node.text("data_type"), _block_rows(node))
    rows = Fields(attributes, f"{fields.where}: attributes").count(ROWS_ATTRIBUTE)
    return ShardRoot(rows, {key: value for key, value in attributes.items() if key != ROWS_ATTRIBUTE}, arrays)


def _block_rows(node: Fields) -> int | None:
    """Return the rows of a block, None of a plain array; that all else is as written, `read_root` checks."""
    codecs = node.array("codecs")
    if not codecs or not isinstance(codecs[0], dict) or codecs[0].get("name") != "sharding_indexed":
        return None
    configuration = Fields(codecs[0].get("configuration"), f"{node.where}: sharding_indexed")
    return next(iter(configuration.counts("chunk_shape")), None)


def _plain_codecs(spec: ArraySpec) -> list[JSON]:
    if np.dtype(spec.dtype).itemsize == 1:
        return [{"name": "bytes"}]
    return [{"name": "bytes", "configuration": {"endian": "little"}}]


def _block_codec(spec: ArraySpec) -> JSON:
    blosc: JSON = {
        "name": "blosc",
        "configuration": {
            "cname": "lz4",
            "clevel": BLOSC_LEVEL,
            "shuffle": "bitshuffle",
            "typesize": np.dtype(spec.dtype).itemsize,
            "blocksize": 0,
        },
    }
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [spec.blocks, *spec.shape[1:]],
            "codecs": [*_plain_codecs(spec), blosc],
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "end",
        },
    }


def _members(root: ShardRoot) -> dict[str, dict[str, JSON]]:
    groups = {name: _group({}) for name in _groups(root.arrays)}
    return groups | {name: spec.metadata() for name, spec in root.arrays.items()}


def _group(attributes: Mapping[str, JSON]) -> dict[str, JSON]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _groups(names: Iterable[str]) -> set[str]:
    parts = [name.split("/") for name in names]
    return {"/".join(segments[:depth]) for segments in parts for depth in range(1, len(segments))}
