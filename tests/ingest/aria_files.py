"""Aria recordings for tests: generated ones, and the same with something done to their bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow as pa

from sensorloom.ingest.miniature.vrs import AriaDevice, ImuRecords, write_vrs
from sensorloom.ingest.vrs_calibration import ImuCalibration, Rectification

HEADER_BYTES, RECORD_BYTES = 32, 111
START_NS = 284_324_000_123


def calibration(seed: int = 5) -> dict[str, ImuCalibration]:
    rng = np.random.default_rng(seed)

    def model(bias: float) -> Rectification:
        return Rectification(np.eye(3) + rng.normal(0, 0.01, (3, 3)), rng.normal(0, bias, 3))

    return {label: ImuCalibration(model(0.1), model(0.003)) for label in ("imu-right", "imu-left")}


def imu(label: str = "imu-right", instance: int = 1, rate_hz: float = 1000.0, count: int = 50) -> ImuRecords:
    rng = np.random.default_rng([instance, count])
    steps = np.rint(1e9 / rate_hz + rng.uniform(-6e4, 6e4, count)).astype(np.int64)
    values = rng.normal(0, 3, (count, 6)).astype(np.float32)
    return ImuRecords(
        label, f"1202-{instance}", rate_hz, START_NS + 317 * instance + np.cumsum(steps), values
    )


def pair(generation: Literal["gen1", "gen2"] = "gen1", count: int = 50) -> list[ImuRecords]:
    right, left = (1, 2) if generation == "gen1" else (2, 1)
    return [imu("imu-right", right, 1000.0, count), imu("imu-left", left, 800.0, count * 4 // 5)]


def vrs_bytes(
    imus: list[ImuRecords] | None = None,
    *,
    models: Mapping[str, ImuCalibration] | None = None,
    generation: Literal["gen1", "gen2"] = "gen1",
    compress_index: bool = False,
) -> bytes:
    file = io.BytesIO()
    write_vrs(
        file,
        pair(generation) if imus is None else imus,
        calibration=calibration() if models is None else models,
        device=AriaDevice(generation=generation),
        compress_index=compress_index,
    )
    return file.getvalue()


def patched(data: bytes, offset: int, pattern: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(pattern, changed, offset, *values)
    return bytes(changed)


def index_offset(data: bytes) -> int:
    return int(struct.unpack_from("<q", data, 24)[0])


def first_record(data: bytes) -> int:
    return int(struct.unpack_from("<q", data, 40)[0])


def first_data_record(data: bytes) -> int:
    place = first_record(data)
    while data[place + 26] != 3:
        place += struct.unpack_from("<I", data, place)[0]
    return place


def retagged(data: bytes, old: str, new: str) -> bytes:
    """Replace text in the tags by text of the same length, which leaves every size as it is."""
    assert len(old) == len(new)
    assert old.encode() in data
    return data.replace(old.encode(), new.encode())


def records(data: bytes) -> list[tuple[tuple[int | float, ...], bytes]]:
    """Walk over all records, the slow way: header fields and payload of each."""
    place, found = first_record(data), []
    while place < len(data):
        header = struct.unpack_from("<IIiIdHBBI", data, place)
        found.append((header, data[place + HEADER_BYTES : place + header[0]]))
        place += header[0]
    return found


def recompressed(data: bytes, codec: Literal["lz4", "zstd"]) -> bytes:
    """Compress every data record by itself, as `vrs copy` does, and drop the index, whose sizes no longer hold."""
    parts, previous = [patched(data, 24, "<q", 0)[: first_record(data)]], 0
    for (_, _, type_id, version, time_s, instance, kind, _, _), payload in records(data):
        packed = pa.compress(payload, codec=codec, asbytes=True) if kind == 3 else payload
        compression = {"lz4": 1, "zstd": 2}[codec] if kind == 3 else 0
        size = HEADER_BYTES + len(packed)
        plain = len(payload) if kind == 3 else 0
        header = (size, previous, type_id, version, time_s, instance, kind, compression, plain)
        parts.append(struct.pack("<IIiIdHBBI", *header) + packed)
        previous = size
    return b"".join(parts)
