"""The factory calibration of an Aria's IMUs, from the `calib_json` tag of its file.

Model of projectaria-tools (ImuMagnetometerCalibration.cpp): raw = M · rectified + b, so rectified = M⁻¹ (raw - b),
for the accelerometer and the gyroscope of each IMU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError

__all__ = ["ImuCalibration", "Rectification", "device_class", "parse_calibration"]

_Json = Any


@dataclass(frozen=True, slots=True)
class Rectification:
    """One sensor's linear model: `matrix` float64[3, 3], `bias` float64[3] in the sensor's unit."""

    matrix: NDArray[np.float64]
    bias: NDArray[np.float64]

    def rectify(self, raw: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return M⁻¹ (raw - b) of raw float32[N, 3] as float64[N, 3]."""
        # The sums are taken in the order in which Eigen takes them, so that they round as projectaria-tools' do.
        x, y, z = (raw.astype(np.float64) - self.bias).T
        return np.stack([row[0] * x + (row[1] * y + row[2] * z) for row in _inverse(self.matrix)], axis=1)


@dataclass(frozen=True, slots=True)
class ImuCalibration:
    """The factory's model of one IMU: of its accelerometer in m/s² and its gyroscope in rad/s."""

    accelerometer: Rectification
    gyroscope: Rectification

    def rectify(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return rectified float32[N, 6] of raw float32[N, 6], computed in float64."""
        # Garbage that a damaged file marks as valid stays garbage; checks of the values find it.
        with np.errstate(invalid="ignore", over="ignore"):
            both = (self.accelerometer.rectify(raw[:, :3]), self.gyroscope.rectify(raw[:, 3:]))
            return np.concatenate(both, axis=1).astype(np.float32)


def device_class(text: str) -> str | None:
    """Return the device class that a `calib_json` tag names (`Aria`, `oatmeal`), None where it names none."""
    try:
        name = json.loads(text)["DeviceClassInfo"]["DeviceClass"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def parse_calibration(text: str, label: str, where: str) -> ImuCalibration:
    """Read the calibration of the IMU `label` from a `calib_json` tag.

    Raises `RawFileError` with the JSON path of what is missing or wrong.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RawFileError(f"{where}: calib_json is not JSON: {error}; download the file again") from error
    imus = _member(document, "ImuCalibrations", list, "$", where)
    labels = [_member(imu, "Label", str, f"$.ImuCalibrations[{row}]", where) for row, imu in enumerate(imus)]
    if label not in labels:
        raise RawFileError(
            f"{where}: calib_json calibrates {', '.join(labels) or 'no IMU'}, not {label}; read it uncalibrated"
        )
    row = labels.index(label)
    path = f"$.ImuCalibrations[{row}]"
    return ImuCalibration(
        _rectification(
            _member(imus[row], "Accelerometer", dict, path, where), f"{path}.Accelerometer", where
        ),
        _rectification(_member(imus[row], "Gyroscope", dict, path, where), f"{path}.Gyroscope", where),
    )


def _member(parent: _Json, name: str, kind: type, path: str, where: str) -> _Json:
    value = parent.get(name) if isinstance(parent, Mapping) else None
    if not isinstance(value, kind):
        raise RawFileError(
            f"{where}: calib_json: {path}.{name} is {type(value).__name__}, {kind.__name__} is expected"
        )
    return value


def _rectification(model: _Json, path: str, where: str) -> Rectification:
    linear, constant = _member(model, "Model", dict, path, where), _member(model, "Bias", dict, path, where)
    matrix = _numbers(linear, "RectificationMatrix", (3, 3), f"{path}.Model", where)
    bias = _numbers(constant, "Offset", (3,), f"{path}.Bias", where)
    if not np.isfinite(_inverse(matrix)).all():
        raise RawFileError(f"{where}: calib_json: {path}.Model.RectificationMatrix cannot be inverted")
    return Rectification(matrix, bias)


def _numbers(parent: _Json, name: str, shape: tuple[int, ...], path: str, where: str) -> NDArray[np.float64]:
    value = _member(parent, name, list, path, where)
    try:
        array = np.array(value)
    except ValueError:  # lists of unequal lengths
        array = np.empty(0)
    if array.shape != shape or array.dtype.kind not in "if" or not np.isfinite(array).all():
        raise RawFileError(f"{where}: calib_json: {path}.{name} is not {list(shape)} finite numbers")
    return array.astype(np.float64)


def _inverse(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert [3, 3] by cofactors, as Eigen does for this size; not finite where there is no inverse."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        cofactors = np.array(
            [
                [
                    m[(j + 1) % 3, (i + 1) % 3] * m[(j + 2) % 3, (i + 2) % 3]
                    - m[(j + 1) % 3, (i + 2) % 3] * m[(j + 2) % 3, (i + 1) % 3]
                    for j in range(3)
                ]
                for i in range(3)
            ]
        )
        determinant = cofactors[0, 0] * m[0, 0] + (cofactors[0, 1] * m[1, 0] + cofactors[0, 2] * m[2, 0])
        inverse: NDArray[np.float64] = cofactors * (1.0 / determinant)
    return inverse
