"""Aria VRS: the IMU streams of a file, by label, raw or factory-calibrated, gathered in bulk.

IMU data records are small, of one size and not compressed, so they are copied out of a memory map a block at a
time through the file's index; a Python call a record would cost microseconds each. Where records lie is read by
`vrs_container`, what is in them by the layout that the file itself carries.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.vrs_calibration import device_class, parse_calibration
from sensorloom.ingest.vrs_container import Container, parse_container
from sensorloom.ingest.vrs_format import DATA
from sensorloom.ingest.vrs_records import nominal_rate_hz, read_blocks

__all__ = ["ImuStream", "VrsDevice", "VrsFile", "imu_labels", "open_vrs", "read_imu"]

Generation = Literal["gen1", "gen2"]

IMU_TYPE_ID = 1202
_RELEASED_BLOCKS = 16  # of records, some 35 MB of a recording without images
# StreamIdLabelMapper.cpp of projectaria-tools: the two generations number the same IMUs the other way round.
_LABELS: dict[Generation | None, dict[int, str]] = {
    "gen1": {1: "imu-right", 2: "imu-left"},
    "gen2": {1: "imu-left", 2: "imu-right"},
    None: {},
}


@dataclass(frozen=True, slots=True)
class ImuStream:
    """One IMU of a file: `label` (`imu-right`; its id where the device is unknown), id, and records that are there.

    `nominal_rate_hz` is what its configuration record claims, None where there is none.
    """

    label: str
    stream_id: str
    nominal_rate_hz: float | None
    num_records: int


@dataclass(frozen=True, slots=True)
class VrsDevice:
    """The glasses, as the file's tags tell; empty or None where they do not."""

    serial: str
    version: str
    generation: Generation | None


@dataclass(frozen=True, slots=True)
class VrsFile:
    """An Aria recording whose tags and index are read. What is wrong with it stands in the last three fields.

    `has_index` is False where the file's index is missing or broken and its records were found one from the other;
    `num_lost` is how many records of any stream the index lists beyond the end of the file; `truncated_bytes` how many
    bytes at the end make no whole record.
    """

    container: Container
    device: VrsDevice
    imus: tuple[ImuStream, ...]
    has_index: bool
    num_lost: int
    truncated_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether everything is there that the recorder wrote."""
        return self.has_index and not self.num_lost and not self.truncated_bytes

    def read_imu(
        self, label: str, *, calibrated: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Read one IMU's records in file order: see `read_imu`."""
        if calibrated:
            times_ns, _, values = self.read_raw_and_calibrated(label)
            return times_ns, values
        stream = self._stream(label)
        times_ns, raw = _empty(stream.num_records)
        for rows, block_ns, block in self._blocks(stream):
            times_ns[rows], raw[rows] = block_ns, block
        return times_ns, raw

    def read_raw_and_calibrated(
        self, label: str
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Read one IMU's records once: times int64[N], values float32[N, 6] as measured and calibrated.

        The calibration mixes axes, so that only the values as measured show a limit of the sensor or zeros. Raises as
        `read_imu` does.
        """
        stream = self._stream(label)
        calibration = parse_calibration(self._calib_json(), label, self.container.where)
        times_ns, raw = _empty(stream.num_records)
        values = np.empty_like(raw)
        for rows, block_ns, block in self._blocks(stream):
            times_ns[rows], raw[rows], values[rows] = block_ns, block, calibration.rectify(block)
        return times_ns, raw, values

    def _blocks(self, stream: ImuStream) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.float32]]]:
        row = 0
        blocks = read_blocks(self.container, stream.stream_id, stream.label)
        for number, (block_ns, block) in enumerate(blocks, start=1):
            yield slice(row, row + len(block)), block_ns, block
            row += len(block)
            if number % _RELEASED_BLOCKS == 0:
                self.container.release()
        self.container.release()

    def _stream(self, label: str) -> ImuStream:
        for stream in self.imus:
            if stream.label == label:
                return stream
        where, labels = self.container.where, ", ".join(stream.label for stream in self.imus)
        if not self.imus:
            ids = ", ".join(f"{type_id}-{instance}" for type_id, instance in self.container.streams)
            raise RawFileError(f"{where}: no IMU stream, so no {label}; its streams are {ids or 'none'}")
        if self.device.generation is None:
            labels += "; its tags do not tell which Aria made it, and so which of these is which"
        raise RawFileError(f"{where}: no IMU {label!r}; its IMUs are {labels}")

    def _calib_json(self) -> str:
        text = self.container.file_tags.get("calib_json")
        if not text:
            raise RawFileError(
                f"{self.container.where}: no calib_json tag, so no factory calibration; read it uncalibrated"
            )
        return text


def open_vrs(path: str | Path, uri: str = "") -> VrsFile:
    """Open an Aria recording: its device, its IMUs, and whether it is whole; `uri` is its name in messages.

    Raises `RawFileError` where it is no VRS file or nothing of it can be used.
    """
    where = uri or str(path)
    try:
        mapped = _map(Path(path))
    except OSError as error:
        raise RawFileError(f"{where}: cannot be opened: {error.strerror or error}") from error
    data = np.empty(0, np.uint8) if mapped is None else np.frombuffer(mapped, np.uint8)
    container = replace(parse_container(data, where), mapped=mapped)
    container.release()
    device = _device(container)
    labels = _LABELS[device.generation]
    imus = tuple(
        _imu(container, instance, labels.get(instance, f"{IMU_TYPE_ID}-{instance}"))
        for type_id, instance in sorted(container.streams)
        if type_id == IMU_TYPE_ID
    )
    records = container.records
    return VrsFile(container, device, imus, records.has_index, records.num_lost, records.truncated_bytes)


def _map(path: Path) -> mmap.mmap | None:
    """Return a map of a file to read from, None of an empty one, of which there is none."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else None


def imu_labels(path: str | Path) -> tuple[str, ...]:
    """Return the labels of the file's IMUs, `imu-right` and `imu-left` as a rule; raises as `open_vrs`."""
    return tuple(stream.label for stream in open_vrs(path).imus)


def read_imu(
    path: str | Path, label: str, *, calibrated: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read one IMU of an Aria recording: times_ns int64[N], values float32[N, 6].

    Times are the IMU's own, in ns of the device clock, in file order; values are accelerometer xyz in m/s² including
    gravity, then gyroscope xyz in rad/s, NaN where the file marks them invalid. `calibrated` applies the factory's
    calibration of the file. A cut file gives what is left of it; `open_vrs` tells. Raises `RawFileError` naming the
    labels that are there where there is no such IMU, and where its records are not as the file describes them.
    """
    return open_vrs(path).read_imu(label, calibrated=calibrated)


def _empty(num_records: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return np.empty(num_records, np.int64), np.empty((num_records, 6), np.float32)


def _device(container: Container) -> VrsDevice:
    tags = container.file_tags
    name = (device_class(tags.get("calib_json", "")) or tags.get("device_type", "")).lower()
    # DeviceVersion.cpp of projectaria-tools: "Aria…" is the first generation, "oatmeal" the second.
    generation: Generation | None = (
        "gen1" if name.startswith("aria") else "gen2" if name == "oatmeal" else None
    )
    return VrsDevice(tags.get("device_serial", ""), tags.get("device_version", ""), generation)


def _imu(container: Container, instance: int, label: str) -> ImuStream:
    stream_id = f"{IMU_TYPE_ID}-{instance}"
    count = len(container.records.of_stream(IMU_TYPE_ID, instance, DATA))
    return ImuStream(label, stream_id, nominal_rate_hz(container, stream_id), count)
