"""The content of a VRS file's IMU records, copied out in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.vrs_container import Container
from sensorloom.ingest.vrs_format import (
    CONFIGURATION,
    DATA,
    RECORD_HEADER,
    decompress,
    gather,
    read_record_header,
)
from sensorloom.ingest.vrs_layout import IMU_PIECES, RATE_PIECE, parse_layout

__all__ = ["nominal_rate_hz", "read_blocks"]

# A block and what is made of it stay in the caches of a core.
_BLOCK_RECORDS = 1 << 14
_SENSORS = {"accelerometer": slice(0, 3), "gyroscope": slice(3, 6)}
_FIELDS = ("num_bytes", "type_id", "instance_id", "record_type")


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

    Values that a record marks as invalid are NaN. Raises `RawFileError` at the first record that is not as the index,
    or the layout that the file describes, has it.
    """
    records = container.records
    rows = records.of_stream(*_numbers(stream_id), DATA)
    for first in range(0, len(rows), _BLOCK_RECORDS):
        block = rows[first : first + _BLOCK_RECORDS]
        offsets = records.offsets[block]
        headers = gather(container.data, offsets, RECORD_HEADER.itemsize).view(RECORD_HEADER)
        _check_headers(container, headers, records.infos[block], offsets, label)
        # As a rule one part: records of one format version, and compressed or not.
        kinds = headers["format_version"].astype(np.int64) << 8 | headers["compression"]
        edges = (0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(block))
        for start, stop in pairwise(edges):
            yield _decode(_payloads(container, label, headers[start:stop], offsets[start:stop]))


def _numbers(stream_id: str) -> tuple[int, int]:
    type_id, instance_id = stream_id.split("-")
    return int(type_id), int(instance_id)


def _check_headers(
    container: Container,
    headers: NDArray[Any],
    infos: NDArray[Any],
    offsets: NDArray[np.int64],
    label: str,
) -> None:
    differ = np.zeros(len(headers), bool)
    for field in _FIELDS:
        differ |= headers[field] != infos[field]
    if differ.any():
        row = int(np.argmax(differ))
        raise RawFileError(
            f"{container.where}: {label}: the index tells of a record of {infos['num_bytes'][row]} bytes at byte"
            f" {offsets[row]}, where the file has something else; it is damaged, download it again"
        )


def _payloads(
    container: Container, label: str, headers: NDArray[Any], offsets: NDArray[np.int64]
) -> NDArray[Any]:
    """Return what is in records of one format version, all compressed or none, as an array of `IMU_PIECES`."""
    version, compression = int(headers["format_version"][0]), int(headers["compression"][0])
    where = f"{container.where}: {label}: the record at byte"
    type_id, instance_id = int(headers["type_id"][0]), int(headers["instance_id"][0])
    try:
        layout = parse_layout(container.streams[type_id, instance_id].vrs, "Data", version, IMU_PIECES)
    except ValueError as error:
        raise RawFileError(f"{where} {offsets[0]} cannot be read: {error}") from error
    sizes = headers["uncompressed_bytes" if compression else "num_bytes"].astype(np.int64)
    sizes -= 0 if compression else container.header_bytes
    if (sizes != layout.itemsize).any():
        row = int(np.argmax(sizes != layout.itemsize))
        raise RawFileError(
            f"{where} {offsets[row]} has {sizes[row]} bytes of content, where its description (version {version})"
            f" has {layout.itemsize}; such a record cannot be read"
        )
    if not compression:
        return gather(container.data, offsets + container.header_bytes, layout.itemsize).view(layout)
    # Recorders leave IMU records uncompressed; the `vrs` tool compresses those that it copies, each by itself.
    contents = np.empty(len(offsets), layout)
    for row, (offset, num_bytes) in enumerate(
        zip(offsets.tolist(), headers["num_bytes"].tolist(), strict=True)
    ):
        packed = container.data[offset + container.header_bytes : offset + num_bytes].tobytes()
        try:
            contents[row] = np.frombuffer(decompress(packed, compression, layout.itemsize), layout, 1)[0]
        except ValueError as error:
            raise RawFileError(f"{where} {offset} is compressed and broken: {error}") from error
    return contents


def _decode(records: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    values = np.empty((len(records), 6), np.float32)
    for sensor, columns in _SENSORS.items():
        values[:, columns] = records[sensor]
        is_valid = records[f"{sensor}_valid"] != 0
        if not is_valid.all():
            values[~is_valid, columns] = np.nan
    return records["capture_timestamp_ns"].astype(np.int64), values
