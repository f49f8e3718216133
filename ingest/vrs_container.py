"""A VRS file opened: its tags, its streams and where its records lie; no record's content.

Read with numpy and pyarrow alone: see docs/decisions/008-reading-vrs.md for why no VRS library does it.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.vrs_format import (
    DESCRIPTION_VERSION,
    FILE_HEADER,
    FILE_MAGIC,
    RECORD_HEADER,
    Bytes,
    read_record_header,
)
from sensorloom.ingest.vrs_index import Records, locate_records

__all__ = ["Container", "StreamTags", "parse_container"]

_LARGEST_HEADER_BYTES = 4096
_FORMAT_VERSIONS = (b"VRS1", b"VRS2")

StreamId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class StreamTags:
    """What the file says of one stream: `user` the recorder's words, `vrs` the layouts of its records."""

    user: Mapping[str, str]
    vrs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Container:
    """A file's bytes (a memory map), tags, streams by (type, instance), and the places of its records."""

    where: str
    data: Bytes
    header_bytes: int
    file_tags: Mapping[str, str]
    streams: Mapping[StreamId, StreamTags]
    records: Records
    mapped: mmap.mmap | None = None
    """What `data` is a view of, where it is a file's map."""

    def release(self) -> None:
        """Let the system take back the pages of the map that were read: a file need not fit into memory."""
        if self.mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)


def parse_container(data: Bytes, where: str) -> Container:
    """Read header, tags and index of a VRS file from its bytes uint8[L].

    Raises `RawFileError` where this is no VRS file, its description is broken, or it is cut before its first record.
    """
    header = _read_file_header(data, where)
    header_bytes = int(header["record_header_bytes"])
    place = int(header["description_offset"])
    described_bytes, file_tags, streams = _read_description(data, place, header_bytes, where)
    first = int(header["first_record_offset"]) or place + described_bytes
    if not FILE_HEADER.itemsize <= first < len(data):
        raise RawFileError(
            f"{where}: cut before its first record: it has {len(data)} bytes and its records begin at byte"
            f" {first}; download it again"
        )
    records = locate_records(data, int(header["index_offset"]), first, header_bytes)
    return Container(where, data, header_bytes, file_tags, streams, records)


def _read_file_header(data: Bytes, where: str) -> Any:
    if len(data) < FILE_HEADER.itemsize:
        raise RawFileError(
            f"{where}: {len(data)} bytes are too few for a VRS file, whose header alone has"
            f" {FILE_HEADER.itemsize}; download it again"
        )
    header = np.array(data[: FILE_HEADER.itemsize]).view(FILE_HEADER)[0]
    if (header["magic"], header["magic_end"]) != FILE_MAGIC:
        raise RawFileError(
            f"{where}: not a VRS file: it begins with {data[:8].tobytes()!r}, not {FILE_MAGIC[0]!r}"
        )
    if header["format_version"] not in _FORMAT_VERSIONS:
        raise RawFileError(
            f"{where}: VRS format {bytes(header['format_version'])!r} is unknown here, VRS1 and VRS2 are read"
        )
    header_bytes = int(header["record_header_bytes"])
    if not RECORD_HEADER.itemsize <= header_bytes <= _LARGEST_HEADER_BYTES:
        raise RawFileError(
            f"{where}: its header claims record headers of {header_bytes} bytes, where they have"
            f" {RECORD_HEADER.itemsize} to {_LARGEST_HEADER_BYTES}; download it again"
        )
    return header


class _Cursor:
    """Reads counted strings from a payload; raises `ValueError` rather than read past its end."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._place = 0

    def take(self, size: int) -> bytes:
        if size > len(self._payload) - self._place:
            raise ValueError(f"its {len(self._payload)} bytes end within an entry of {size} bytes")
        self._place += size
        return self._payload[self._place - size : self._place]

    def count(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def text(self) -> str:
        return self.take(self.count()).decode("utf-8", "replace")

    def tags(self) -> dict[str, str]:
        return {self.text(): self.text() for _ in range(self.count())}


def _read_description(
    data: Bytes, offset: int, header_bytes: int, where: str
) -> tuple[int, Mapping[str, str], Mapping[StreamId, StreamTags]]:
    """Return the size of the description record in bytes, the file's tags, and each stream's by its id."""
    header = read_record_header(data, offset, header_bytes)
    if header is None:
        raise RawFileError(
            f"{where}: no whole description record at byte {offset} of {len(data)}, so its streams have no"
            " names; download it again"
        )
    version, compression, size = (
        int(header[name]) for name in ("format_version", "compression", "num_bytes")
    )
    if version != DESCRIPTION_VERSION or compression:
        raise RawFileError(
            f"{where}: its description record has version {version} and compression {compression};"
            f" version {DESCRIPTION_VERSION}, uncompressed, is read; copy it with a current `vrs` tool"
        )
    cursor = _Cursor(data[offset + header_bytes : offset + size].tobytes())
    streams: dict[StreamId, StreamTags] = {}
    try:
        for _ in range(cursor.count()):
            type_id, instance_id = struct.unpack("<iH", cursor.take(6))
            streams[type_id, instance_id] = StreamTags(cursor.tags(), cursor.tags())
        return size, cursor.tags(), streams
    except ValueError as error:
        raise RawFileError(
            f"{where}: the description record at byte {offset} is broken: {error}; download it again"
        ) from error
