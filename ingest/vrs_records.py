"""The content of a VRS file's IMU records, copied out in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.vrs_container import Container
from sensorloom.ingest.vrs_format import (
    CONFIGURATION,
    DATA,
    decompress,
    gather,
    read_record_header,
)
from sensorloom.ingest.vrs_layout import IMU_PIECES, RATE_PIECE, parse_layout

__all__ = ["nominal_rate_hz", "read_blocks"]

# A block and what is made of it stay in the caches of a core.
_BLOCK_RECORDS = 1 << 14
_SENSORS = {"accelerometer": slice(0, 3), "gyroscope": slice(3, 6)}


def nominal_rate_hz(container: Container, stream_id: str) -> float | None:
    """Return the rate that a stream's first configuration record claims, None where it cannot be read."""
    rows = container.records.of_stream(*_numbers(stream_id), CONFIGURATION)
    if not len(rows):
        return None
    offset = int(container.records.offsets[rows[0]])
    header = read_record_header(container.data, offset, container.header_bytes)
    if header is None:
        return None
    tags = container.streams[_numbers(stream_id)].vrs
    payload = container.data[offset + container.header_bytes : offset + int(header["num_bytes"])].tobytes()
    try:
        layout = parse_layout(tags, "Configuration", int(header["format_version"]), RATE_PIECE)
        if header["compression"]:
            payload = decompress(payload, int(header["compression"]), layout.itemsize)
        rate_hz = float(np.frombuffer(payload, layout, 1)["nominal_rate"][0])
    except ValueError:
        return None
    return rate_hz if np.isfinite(rate_hz) and rate_hz > 0 else None


def read_blocks(
    container: Container, stream_id: str, label: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield capture times in ns int64[n] and raw values float32[n, 6] of an IMU's data records, in file order.

    Values that a record marks as invalid are NaN. Raises `RawFileError` at the first record that is not as the layout
    has it that the file describes.
    """
    records = container.records
    rows = records.of_stream(*_numbers(stream_id), DATA)
    tags = container.streams[_numbers(stream_id)].vrs
    for first in range(0, len(rows), _BLOCK_RECORDS):
        block = rows[first : first + _BLOCK_RECORDS]
        # As a rule one part: records of one version, all compressed or none.
        changes = np.flatnonzero(np.diff(records.formats[block].view(np.uint64))) + 1
        for start, stop in pairwise((0, *changes.tolist(), len(block))):
            yield _decode(_payloads(container, tags, label, block[start:stop]))


def _numbers(stream_id: str) -> tuple[int, int]:
    type_id, instance_id = stream_id.split("-")
    return int(type_id), int(instance_id)


def _payloads(
    container: Container, tags: Mapping[str, str], label: str, rows: NDArray[np.int64]
) -> NDArray[Any]:
    """Return what is in records of one format as an array of `IMU_PIECES`."""
    records, header_bytes = container.records, container.header_bytes
    version, compression = (int(number) for number in records.formats[rows[0]])
    offsets, sizes = records.offsets[rows], records.infos["num_bytes"][rows].astype(np.int64) - header_bytes
    where = f"{container.where}: {label}: the record at byte"
    try:
        layout = parse_layout(tags, "Data", version, IMU_PIECES)
    except ValueError as error:
        raise RawFileError(f"{where} {offsets[0]} cannot be read: {error}") from error
    if compression:
        contents = np.empty(len(rows), layout)
        for row, (offset, size) in enumerate(zip(offsets.tolist(), sizes.tolist(), strict=True)):
            packed = container.data[offset + header_bytes : offset + header_bytes + size].tobytes()
            contents[row] = _unpacked(packed, compression, layout, f"{where} {offset}")
        return contents
    if (sizes != layout.itemsize).any():
        row = int(np.argmax(sizes != layout.itemsize))
        raise RawFileError(
            f"{where} {offsets[row]} has {sizes[row]} bytes of content, where its description (version {version})"
            f" has {layout.itemsize}; such a record cannot be read"
        )
    return gather(container.data, offsets + header_bytes, layout.itemsize).view(layout)


def _unpacked(packed: bytes, compression: int, layout: np.dtype[np.void], where: str) -> Any:
    """Return one compressed record: recorders leave them plain, the `vrs` tool compresses those that it copies."""
    try:
        content = decompress(packed, compression, layout.itemsize + 1)
    except ValueError as error:
        raise RawFileError(f"{where} is compressed and broken: {error}") from error
    if len(content) != layout.itemsize:
        raise RawFileError(
            f"{where} has not the {layout.itemsize} bytes of content that its description has; it cannot be read"
        )
    return np.frombuffer(content, layout)[0]


def _decode(records: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    values = np.empty((len(records), 6), np.float32)
    for sensor, columns in _SENSORS.items():
        values[:, columns] = records[sensor]
        is_valid = records[f"{sensor}_valid"] != 0
        if not is_valid.all():
            values[~is_valid, columns] = np.nan
    return records["capture_timestamp_ns"].astype(np.int64), values
