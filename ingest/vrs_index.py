"""Where the records of a VRS file lie: by its index, or by walking from record to record.

Nothing here believes a size or a count before it has compared it with the length of the file.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.ingest.vrs_format import (
    COMPRESSIONS,
    INDEX_VERSION,
    RECORD_FORMAT,
    RECORD_HEADER,
    RECORD_INFO,
    Bytes,
    gather,
    read_record_header,
)

__all__ = ["Records", "locate_records"]

_LAST_RECORD_TYPE = 4
_BLOCK_ENTRIES = 1 << 14
_COUNT, _STREAM_ID = struct.Struct("<I"), struct.Struct("<iH")
_HEADER = struct.Struct("<II18xBB4x")
"""Of a record's header: its size, that of the record before, its type and compression."""


@dataclass(frozen=True, slots=True)
class Records:
    """The records that lie whole in a file: `infos` `RECORD_INFO`[N] at `offsets` int64[N] bytes, in file order.

    What the infos say of a record is what its own header says.
    """

    infos: NDArray[Any]
    offsets: NDArray[np.int64]
    formats: NDArray[Any]
    """`RECORD_FORMAT`[N]: the version of each record's content, and how it is compressed."""
    has_index: bool
    """Whether the file's own index was used; without it, what is missing at the end cannot be told."""
    num_lost: int
    """How many more records the index lists, whose end the file does not hold."""
    truncated_bytes: int
    """Bytes at the end of a cut file that make no whole record."""

    def of_stream(self, type_id: int, instance_id: int, record_type: int) -> NDArray[np.int64]:
        """Return the rows int64[M] of one stream's records of one type."""
        infos = self.infos
        mine = (infos["record_type"] == record_type) & (infos["instance_id"] == instance_id)
        return np.flatnonzero(mine & (infos["type_id"] == type_id))


def locate_records(data: Bytes, index_offset: int, first_offset: int, header_bytes: int) -> Records:
    """Find every whole record of a file of bytes uint8[L], the first of which begins at `first_offset`.

    Where the index is missing, out of bounds, broken, or tells of a record what its header does not, the headers are
    followed, about a microsecond each, to the first that does not hold: what VRS itself does without an index.
    """
    header = read_record_header(data, index_offset, header_bytes)
    if header is not None and header["format_version"] == INDEX_VERSION:
        payload = data[index_offset + header_bytes : index_offset + int(header["num_bytes"])]
        try:
            return _listed(data, payload.tobytes(), int(header["compression"]), first_offset)
        except (ValueError, OSError, struct.error):
            pass  # not silent: `has_index` of what follows is False
    return _walk(data, first_offset, header_bytes)


def _listed(data: Bytes, payload: bytes, compression: int, first: int) -> Records:
    """Give each index entry its offset, up to the end of the file, so that no claim makes a large array."""
    (num_streams,) = _COUNT.unpack_from(payload, 0)
    body = _COUNT.size + _STREAM_ID.size * num_streams
    (count,) = _COUNT.unpack_from(payload, body)
    infos, offsets = [np.empty(0, RECORD_INFO)], [np.empty(0, np.int64)]
    formats, place, kept, end = [np.empty(0, RECORD_FORMAT)], first, 0, len(data)
    for block in _entries(payload[body + _COUNT.size :], count, compression):
        sizes = block["num_bytes"].astype(np.int64)
        if int(sizes.min(initial=RECORD_HEADER.itemsize)) < RECORD_HEADER.itemsize:
            raise ValueError("a record smaller than its header")
        stops = place + np.cumsum(sizes)
        inside = int(np.searchsorted(stops, end, side="right"))
        infos.append(block[:inside])
        offsets.append((stops - sizes)[:inside])
        headers = gather(data, offsets[-1], RECORD_HEADER.itemsize).view(RECORD_HEADER)
        _check(infos[-1], headers)
        formats.append(_formats(headers))
        kept += inside
        place = int(stops[inside - 1]) if inside else place
        if inside < len(block):
            break
    truncated_bytes = end - place if kept < count else 0
    arrays = np.concatenate(infos), np.concatenate(offsets), np.concatenate(formats)
    return Records(*arrays, True, count - kept, truncated_bytes)


def _entries(body: bytes, count: int, compression: int) -> Iterator[NDArray[Any]]:
    """Yield `count` index entries in blocks; raises `ValueError` or `OSError` where there are fewer."""
    if compression and compression not in COMPRESSIONS:
        raise ValueError(f"compression {compression} is unknown")
    with pa.input_stream(pa.BufferReader(body), compression=COMPRESSIONS.get(compression)) as stream:
        for done in range(0, count, _BLOCK_ENTRIES):
            wanted = min(_BLOCK_ENTRIES, count - done)
            yield np.frombuffer(stream.read(wanted * RECORD_INFO.itemsize), RECORD_INFO, wanted)


def _check(infos: NDArray[Any], headers: NDArray[Any]) -> None:
    """Raise `ValueError` where index entries and the headers at their places differ."""
    for field in ("num_bytes", "type_id", "instance_id", "record_type"):
        if (headers[field] != infos[field]).any():
            raise ValueError("the index tells of another record")


def _formats(headers: NDArray[Any]) -> NDArray[Any]:
    formats = np.empty(len(headers), RECORD_FORMAT)
    formats["version"], formats["compression"] = headers["format_version"], headers["compression"]
    return formats


def _walk(data: Bytes, first: int, header_bytes: int) -> Records:
    """Follow the sizes in the headers from record to record; each also tells the size of the one before."""
    raw, end = data.data, len(data)
    offsets = array("q")
    place, previous = first, None
    while place <= end - header_bytes:
        size, before, record_type, compression = _HEADER.unpack_from(raw, place)
        sound = record_type <= _LAST_RECORD_TYPE and compression <= max(COMPRESSIONS)
        if not (sound and previous in (None, before) and header_bytes <= size <= end - place):
            break
        offsets.append(place)
        place, previous = place + size, size
    places = np.array(offsets, np.int64)
    infos = np.empty(len(places), RECORD_INFO)
    formats = np.empty(len(places), RECORD_FORMAT)
    for start in range(0, len(places), _BLOCK_ENTRIES):
        rows = slice(start, start + _BLOCK_ENTRIES)
        headers = gather(data, places[rows], RECORD_HEADER.itemsize).view(RECORD_HEADER)
        for field in RECORD_INFO.names or ():
            infos[field][rows] = headers[field]
        formats[rows] = _formats(headers)
    return Records(infos, places, formats, False, 0, end - place)
