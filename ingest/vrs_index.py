"""Where the records of a VRS file lie: by its index, or by walking from record to record.

Nothing here believes a size or a count before it has compared it with the length of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.ingest.vrs_format import (
    COMPRESSIONS,
    INDEX_VERSION,
    RECORD_HEADER,
    RECORD_INFO,
    Bytes,
    read_record_header,
)

__all__ = ["Records", "locate_records"]

_LAST_RECORD_TYPE = 4
_BLOCK_ENTRIES = 1 << 16
_COUNT, _STREAM_ID = struct.Struct("<I"), struct.Struct("<iH")
_HEADER = struct.Struct("<IIiIdHBBI")


@dataclass(frozen=True, slots=True)
class Records:
    """The records that lie whole in a file: `infos` `RECORD_INFO`[N] at `offsets` int64[N] bytes, in file order."""

    infos: NDArray[Any]
    offsets: NDArray[np.int64]
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

    Where the index is missing, out of bounds or broken, the headers are followed, about a microsecond each, to the
    first that does not hold: what VRS itself does when it opens such a file.
    """
    header = read_record_header(data, index_offset, header_bytes)
    if header is not None and header["format_version"] == INDEX_VERSION:
        payload = data[index_offset + header_bytes : index_offset + int(header["num_bytes"])]
        try:
            return _listed(payload.tobytes(), int(header["compression"]), len(data), first_offset)
        except (ValueError, OSError, struct.error):
            pass  # not silent: `has_index` of what follows is False
    return _walk(data, first_offset, header_bytes)


def _listed(payload: bytes, compression: int, end: int, first: int) -> Records:
    """Give each index entry its offset, up to the end of the file, so that no claim makes a large array."""
    (num_streams,) = _COUNT.unpack_from(payload, 0)
    body = _COUNT.size + _STREAM_ID.size * num_streams
    (count,) = _COUNT.unpack_from(payload, body)
    infos, offsets, place, kept = [np.empty(0, RECORD_INFO)], [np.empty(0, np.int64)], first, 0
    for block in _entries(payload[body + _COUNT.size :], count, compression):
        sizes = block["num_bytes"].astype(np.int64)
        if int(sizes.min(initial=RECORD_HEADER.itemsize)) < RECORD_HEADER.itemsize:
            raise ValueError("a record smaller than its header")
        stops = place + np.cumsum(sizes)
        inside = int(np.searchsorted(stops, end, side="right"))
        infos.append(block[:inside])
        offsets.append(stops[:inside] - sizes[:inside])
        kept += inside
        place = int(stops[inside - 1]) if inside else place
        if inside < len(block):
            break
    truncated_bytes = end - place if kept < count else 0
    return Records(np.concatenate(infos), np.concatenate(offsets), True, count - kept, truncated_bytes)


def _entries(body: bytes, count: int, compression: int) -> Iterator[NDArray[Any]]:
    """Yield `count` index entries in blocks; raises `ValueError` or `OSError` where there are fewer."""
    if compression and compression not in COMPRESSIONS:
        raise ValueError(f"compression {compression} is unknown")
    with pa.input_stream(pa.BufferReader(body), compression=COMPRESSIONS.get(compression)) as stream:
        for done in range(0, count, _BLOCK_ENTRIES):
            wanted = min(_BLOCK_ENTRIES, count - done)
            yield np.frombuffer(stream.read(wanted * RECORD_INFO.itemsize), RECORD_INFO, wanted)


def _walk(data: Bytes, first: int, header_bytes: int) -> Records:
    raw = data.data
    rows: list[tuple[float, int, int, int, int]] = []
    offsets: list[int] = []
    place, previous, end = first, None, len(data)
    while place <= end - header_bytes:
        size, before, type_id, _, time_s, instance_id, record_type, compression, _ = _HEADER.unpack_from(
            raw, place
        )
        sound = record_type <= _LAST_RECORD_TYPE and compression <= max(COMPRESSIONS)
        if not (sound and previous in (None, before) and header_bytes <= size <= end - place):
            break
        rows.append((time_s, size, record_type, type_id, instance_id))
        offsets.append(place)
        place, previous = place + size, size
    return Records(np.array(rows, RECORD_INFO), np.array(offsets, np.int64), False, 0, end - place)
