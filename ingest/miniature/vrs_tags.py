"""What an Aria file says of itself: tags, the layouts of its IMU records, and its factory calibration. Pure.

Names, types and offsets are those of real files (Gen 1, firmware 3.23 and 3.26).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sensorloom.ingest.vrs_calibration import ImuCalibration, Rectification

__all__ = ["DATA_FIELDS", "VERSION", "AriaDevice", "configuration", "description", "instance_of"]

VERSION = 2
"""Format version of IMU records."""
DATA_FIELDS = (
    ("accelerometer_valid", "u1"),
    ("gyroscope_valid", "u1"),
    ("magnetometer_valid", "u1"),
    ("temperature_deg_c", "<f8"),
    ("capture_timestamp_ns", "<i8"),
    ("capture_timestamp_in_processing_clock_domain_ns", "<i8"),
    ("arrival_timestamp_ns", "<i8"),
    ("processing_start_timestamp_ns", "<i8"),
    ("accelerometer", "<f4", (3,)),
    ("gyroscope", "<f4", (3,)),
    ("magnetometer", "<f4", (3,)),
)
_CONFIGURATION_FIELDS = (
    ("stream_index", "<u4"),
    ("device_id", "<u8"),
    ("nominal_rate", "<f8"),
    ("has_accelerometer", "u1"),
    ("has_gyroscope", "u1"),
    ("has_magnetometer", "u1"),
)
_CONFIGURATION_TEXTS = (
    "device_type",
    "device_version",
    "device_serial",
    "sensor_model",
    "factory_calibration",
    "online_calibration",
    "description",
)
_VRS_TYPES = {
    "u1": "Bool",
    "<f8": "double",
    "<i8": "int64_t",
    "<f4": "float",
    "<u4": "uint32_t",
    "<u8": "uint64_t",
}
_SENSOR_MODELS = {"imu-right": "BMI085", "imu-left": "BMI263"}

_Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AriaDevice:
    """The glasses that a generated file claims to come from. Generation 2 numbers the IMUs the other way round."""

    serial: str = "1WM000000G0000"
    version: str = "29828000000000000"
    generation: Literal["gen1", "gen2"] = "gen1"


@dataclass(frozen=True, slots=True)
class _Generation:
    device_class: str
    build: str
    flavor: str
    origin: str
    instances: Mapping[str, int]


_GENERATIONS = {
    "gen1": _Generation("Aria", "DVT-S", "device/aria", "camera-slam-left", {"imu-right": 1, "imu-left": 2}),
    "gen2": _Generation(
        "oatmeal", "DVT_SS", "device/oatmeal", "slam-front-left", {"imu-left": 1, "imu-right": 2}
    ),
}


def instance_of(label: str, device: AriaDevice) -> int:
    """Return the instance number that the device's IMU `label` has as a stream of type 1202."""
    return _GENERATIONS[device.generation].instances[label]


def description(
    labels: Sequence[str], device: AriaDevice, calibration: Mapping[str, ImuCalibration]
) -> bytes:
    """Return the payload of the description record: the tags of each IMU of type 1202, then those of the file."""
    parts = [struct.pack("<I", len(labels))]
    for instance in sorted(instance_of(label, device) for label in labels):
        user, vrs = _stream_tags(instance, device)
        parts += [struct.pack("<iH", 1202, instance), _packed(user), _packed(vrs)]
    file_tags = _device_tags(device) | {"metadata": "{}"}
    if calibration:
        file_tags["calib_json"] = _calib_json(device, calibration)
    return b"".join([*parts, _packed(file_tags)])


def configuration(label: str, rate_hz: float, device: AriaDevice) -> bytes:
    """Return the payload of an IMU's configuration record: its fixed pieces, then its texts behind their places."""
    instance = instance_of(label, device)
    fixed = np.array([(instance - 1, instance - 1, rate_hz, 1, 1, 0)], list(_CONFIGURATION_FIELDS)).tobytes()
    kind, model = _GENERATIONS[device.generation].device_class, _SENSOR_MODELS[label]
    texts = [text.encode() for text in (kind, device.version, device.serial, model, "", "", "")]
    starts = np.cumsum([0, *map(len, texts[:-1])]).tolist()
    places = [struct.pack("<II", start, len(text)) for start, text in zip(starts, texts, strict=True)]
    return b"".join([fixed, *places, *texts])


def _packed(tags: _Tags) -> bytes:
    texts = [text.encode() for item in sorted(tags.items()) for text in item]
    return struct.pack("<I", len(tags)) + b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _device_tags(device: AriaDevice) -> dict[str, str]:
    return {
        "device_serial": device.serial,
        "device_type": _GENERATIONS[device.generation].device_class,
        "device_version": device.version,
        "session_id": "generated",
    }


def _stream_tags(instance: int, device: AriaDevice) -> tuple[_Tags, _Tags]:
    data_bytes = np.dtype(list(DATA_FIELDS)).itemsize
    user = {**_device_tags(device), "device_id": str(instance - 1)}
    vrs = {
        f"DL:Configuration:{VERSION}:0": _layout(_CONFIGURATION_FIELDS, _CONFIGURATION_TEXTS),
        f"DL:Data:{VERSION}:0": _layout(DATA_FIELDS),
        f"RF:Configuration:{VERSION}": "data_layout",
        f"RF:Data:{VERSION}": f"data_layout/size={data_bytes}",
        "VRS_Original_Recordable_Name": "IMU Data (SLAM)",
        "VRS_Recordable_Flavor": _GENERATIONS[device.generation].flavor,
        "VRS_Serial_Number": f"{instance:016x}",
    }
    return user, vrs


def _layout(fields: Sequence[tuple[Any, ...]], texts: Iterable[str] = ()) -> str:
    """Describe a record as VRS does: pieces of a fixed size by their byte offset, texts by their number."""
    entries: list[dict[str, Any]] = []
    offset = 0
    for name, kind, *shape in fields:
        piece = "DataPieceArray" if shape else "DataPieceValue"
        entry = {"name": name, "type": f"{piece}<{_VRS_TYPES[kind]}>", "offset": offset}
        entries.append(entry | ({"size": shape[0][0]} if shape else {}))
        offset += np.dtype([(name, kind, *shape)]).itemsize
    entries += [{"name": name, "type": "DataPieceString", "index": row} for row, name in enumerate(texts)]
    return json.dumps({"data_layout": entries}, separators=(",", ":"))


def _calib_json(device: AriaDevice, calibration: Mapping[str, ImuCalibration]) -> str:
    generation = _GENERATIONS[device.generation]
    document = {
        "CalibrationSource": "Factory",
        "DeviceClassInfo": {"BuildVersion": generation.build, "DeviceClass": generation.device_class},
        "ImuCalibrations": [_imu_calibration(label, calibration[label]) for label in sorted(calibration)],
        "OriginSpecification": {"ChildLabel": generation.origin, "Type": "Custom"},
        "Serial": device.serial,
    }
    return json.dumps(document, separators=(",", ":"))


def _imu_calibration(label: str, model: ImuCalibration) -> Mapping[str, Any]:
    return {
        "Accelerometer": {**_rectification(model.accelerometer), "TimeOffsetSec_Device_Accel": 0.0},
        "Calibrated": True,
        "Gyroscope": {**_rectification(model.gyroscope), "TimeOffsetSec_Device_Gyro": 0.0},
        "Label": label,
        "SerialNumber": "generated",
        "T_Device_Imu": {"Translation": [0.0, 0.0, 0.0], "UnitQuaternion": [1.0, [0.0, 0.0, 0.0]]},
    }


def _rectification(model: Rectification) -> Mapping[str, Any]:
    return {
        "Bias": {"Name": "Constant", "Offset": model.bias.tolist()},
        "Model": {"Name": "Linear", "RectificationMatrix": model.matrix.tolist()},
    }
