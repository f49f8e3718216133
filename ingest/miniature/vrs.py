"""Write small Aria recordings: a VRS file of IMU streams, as Ego-Exo4D's `_noimagestreams.vrs` is one.

The container is that of github.com/facebookresearch/vrs; tags, layouts, sizes and the order of records are those of
real Aria files, so `projectaria-tools` and `pyvrs` open what is written here. No clock and no chance go into it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensorloom.ingest.miniature.vrs_tags import (
    DATA_FIELDS,
    VERSION,
    AriaDevice,
    configuration,
    description,
    instance_of,
)
from sensorloom.ingest.take import NS_PER_S
from sensorloom.ingest.vrs_calibration import ImuCalibration
from sensorloom.ingest.vrs_format import (
    CONFIGURATION,
    DATA,
    DESCRIPTION_VERSION,
    FILE_HEADER,
    FILE_MAGIC,
    INDEX_VERSION,
    RECORD_HEADER,
    RECORD_INFO,
    STATE,
)

__all__ = ["AriaDevice", "ImuRecords", "write_vrs"]

_DATA_RECORD = np.dtype([("header", RECORD_HEADER), *DATA_FIELDS])
_BLOCK_RECORDS = 1 << 15
_INDEX_TYPE, _DESCRIPTION_TYPE, _IMU_TYPE = 1, 2, 1202
_ZSTD = 2
# Configuration and state come before all data, index and description after everything: times, not places.
_CONFIGURATION_S, _STATE_S = 5e-324, 1e-323
_LAST_S = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class ImuRecords:
    """One IMU's stream: `times_ns` int64[N] of the device clock, `values` float32[N, 6] in m/s² and rad/s.

    The three values of a sensor are NaN together, and are then marked as invalid. `stream_id` is `1202-1` or `1202-2`;
    which of them a label has depends on the generation of the device.
    """

    label: str
    stream_id: str
    nominal_rate_hz: float
    times_ns: NDArray[np.int64]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.times_ns), 6) or self.values.dtype != np.float32:
            raise ValueError(
                f"{self.label}.values must be float32 [{len(self.times_ns)}, 6], got {self.values.dtype}"
                f" {list(self.values.shape)}"
            )
        missing = np.isnan(self.values).reshape(-1, 2, 3)
        if (missing.any(axis=2) != missing.all(axis=2)).any():
            raise ValueError(
                f"{self.label}.values: the three values of a sensor are NaN together or not at all"
            )


def write_vrs(
    file: BinaryIO,
    imus: Sequence[ImuRecords],
    *,
    calibration: Mapping[str, ImuCalibration],
    device: AriaDevice = AriaDevice(),  # noqa: B008 - frozen
    compress_index: bool = False,
) -> None:
    """Write IMU streams to `file` as an Aria recording, records of all streams merged by time.

    `calibration` by label goes into the `calib_json` tag, which is left out where it is empty. The index lies in front;
    compressed, as in real files, its bytes depend on the release of zstd. Raises `ValueError` where a stream's id is
    not the one that its label has on this device.
    """
    for imu in imus:
        stream_id = f"{_IMU_TYPE}-{instance_of(imu.label, device)}"
        if imu.stream_id != stream_id:
            raise ValueError(f"{imu.label} is stream {stream_id} on {device.generation}, not {imu.stream_id}")
    imus = sorted(imus, key=lambda imu: imu.stream_id)
    text = description([imu.label for imu in imus], device, calibration)
    described = _record(_Head(_DESCRIPTION_TYPE, 0, DATA, DESCRIPTION_VERSION, _LAST_S, text), 0)
    head = _head(imus, device)
    merged = _merge(imus)
    index = _index_record(imus, head, merged, len(described), compress_index)
    file.write(_file_header(len(described), len(index)))
    file.write(described)
    file.write(index)
    previous_bytes = len(index)
    for one in head:
        record = _record(one, previous_bytes)
        previous_bytes = len(record)
        file.write(record)
    for first in range(0, len(merged.order), _BLOCK_RECORDS):
        block = _data_records(imus, merged, slice(first, first + _BLOCK_RECORDS))
        if not first:
            block["header"]["previous_bytes"][:1] = previous_bytes
        file.write(block.tobytes())


@dataclass(frozen=True, slots=True)
class _Head:
    """A record that is written by itself."""

    type_id: int
    instance_id: int
    record_type: int
    format_version: int
    timestamp_s: float
    payload: bytes

    @property
    def num_bytes(self) -> int:
        return RECORD_HEADER.itemsize + len(self.payload)


@dataclass(frozen=True, slots=True)
class _Merged:
    """The data records of all streams in the order of the file.

    `stream` uint8[M] and `row` int64[M] tell where each is from, `order_ns` int64[M] when it is told of: its time, or
    that of the latest record before it in its stream, so that no reader of VRS sorts a stream anew.
    """

    order: NDArray[np.int64]
    stream: NDArray[np.uint8]
    row: NDArray[np.int64]
    order_ns: NDArray[np.int64]


def _merge(imus: Sequence[ImuRecords]) -> _Merged:
    counts = [len(imu.times_ns) for imu in imus]
    keys = np.concatenate([np.empty(0, np.int64), *(np.maximum.accumulate(imu.times_ns) for imu in imus)])
    order = np.argsort(keys, kind="stable")
    stream = np.repeat(np.arange(len(imus), dtype=np.uint8), counts)[order]
    row = np.concatenate([np.empty(0, np.int64), *(np.arange(count) for count in counts)])[order]
    return _Merged(order, stream, row, keys[order])


def _head(imus: Sequence[ImuRecords], device: AriaDevice) -> list[_Head]:
    """Return the configuration of every stream, then the state of every stream, which is empty."""
    instances = [instance_of(imu.label, device) for imu in imus]
    payloads = [configuration(imu.label, imu.nominal_rate_hz, device) for imu in imus]
    return [
        _Head(_IMU_TYPE, instance, CONFIGURATION, VERSION, _CONFIGURATION_S, payload)
        for instance, payload in zip(instances, payloads, strict=True)
    ] + [_Head(_IMU_TYPE, instance, STATE, VERSION, _STATE_S, b"") for instance in instances]


def _record(head: _Head, previous_bytes: int) -> bytes:
    header = np.zeros(1, RECORD_HEADER)
    for field in ("num_bytes", "type_id", "instance_id", "record_type", "format_version", "timestamp_s"):
        header[field] = getattr(head, field)
    header["previous_bytes"] = previous_bytes
    return header.tobytes() + head.payload


def _file_header(described_bytes: int, index_bytes: int) -> bytes:
    header = np.zeros(1, FILE_HEADER)
    header["magic"], header["magic_end"] = FILE_MAGIC
    header["file_header_bytes"], header["record_header_bytes"] = FILE_HEADER.itemsize, RECORD_HEADER.itemsize
    header["description_offset"] = FILE_HEADER.itemsize
    header["index_offset"] = FILE_HEADER.itemsize + described_bytes
    header["first_record_offset"] = FILE_HEADER.itemsize + described_bytes + index_bytes
    header["format_version"] = b"VRS2"
    return header.tobytes()


def _index_record(
    imus: Sequence[ImuRecords], head: Sequence[_Head], merged: _Merged, previous_bytes: int, compress: bool
) -> bytes:
    infos = np.zeros(len(head) + len(merged.order), RECORD_INFO)
    for info, one in zip(infos, head, strict=False):
        for field in RECORD_INFO.names or ():
            info[field] = getattr(one, field)
    data = infos[len(head) :]
    data["timestamp_s"] = merged.order_ns / NS_PER_S
    data["num_bytes"], data["record_type"], data["type_id"] = _DATA_RECORD.itemsize, DATA, _IMU_TYPE
    data["instance_id"] = _instances(imus)[merged.stream]
    ids = b"".join(struct.pack("<iH", _IMU_TYPE, instance) for instance in _instances(imus).tolist())
    prelude = struct.pack("<I", len(imus)) + ids + struct.pack("<I", len(infos))
    body = infos.tobytes()
    packed = pa.compress(body, codec="zstd", asbytes=True) if compress else body
    record = bytearray(
        _record(_Head(_INDEX_TYPE, 0, DATA, INDEX_VERSION, _LAST_S, prelude + packed), previous_bytes)
    )
    if compress:
        header = np.frombuffer(record, RECORD_HEADER, 1)
        header["compression"], header["uncompressed_bytes"] = _ZSTD, len(prelude) + len(body)
    return bytes(record)


def _instances(imus: Sequence[ImuRecords]) -> NDArray[np.uint16]:
    return np.array([int(imu.stream_id.partition("-")[2]) for imu in imus], np.uint16)


def _data_records(imus: Sequence[ImuRecords], merged: _Merged, rows: slice) -> NDArray[Any]:
    """Return a block of data records, headers and all."""
    stream, source = merged.stream[rows], merged.row[rows]
    records = np.zeros(len(stream), _DATA_RECORD)
    header = records["header"]
    header["num_bytes"] = header["previous_bytes"] = _DATA_RECORD.itemsize
    header["type_id"], header["record_type"], header["format_version"] = _IMU_TYPE, DATA, VERSION
    header["instance_id"] = _instances(imus)[stream]
    header["timestamp_s"] = merged.order_ns[rows] / NS_PER_S
    for number, imu in enumerate(imus):
        mine = stream == number
        records["capture_timestamp_ns"][mine] = imu.times_ns[source[mine]]
        values = imu.values[source[mine]]
        is_valid = ~np.isnan(values[:, ::3])
        records["accelerometer_valid"][mine], records["gyroscope_valid"][mine] = is_valid.T
        # A sensor that is marked invalid still has numbers in its place.
        records["accelerometer"][mine] = np.where(is_valid[:, :1], values[:, :3], 0)
        records["gyroscope"][mine] = np.where(is_valid[:, 1:], values[:, 3:], 0)
    records["processing_start_timestamp_ns"] = records["capture_timestamp_ns"]
    records["temperature_deg_c"] = np.nan
    for name in ("capture_timestamp_in_processing_clock_domain_ns", "arrival_timestamp_ns"):
        records[name] = -1
    return records
