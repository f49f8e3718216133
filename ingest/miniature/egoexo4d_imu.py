"""What the Aria of a generated Ego-Exo4D take records: its two IMUs, and the trajectory that was made of it. Pure.

The IMUs differ in axes, rate and calibration, as the real ones do (formats.md §4.6): the right one at 1000 Hz with
jitter and gravity on -x, the left one near 800 Hz with gravity on -y. Files hold raw values; the calibration beside
them takes them back to the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.egoexo4d_clock import CaptureClock
from sensorloom.ingest.miniature.egoexo4d_takes import Capture, TakePlan
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.vrs import ImuRecords
from sensorloom.ingest.miniature.wearer import HeadState, Wearer, head, rotation_matrices
from sensorloom.ingest.take import NS_PER_S
from sensorloom.ingest.vrs_calibration import ImuCalibration, Rectification

__all__ = ["LABELS", "calibrations", "imu_records", "trajectory_csv"]

Floats = NDArray[np.float64]

_CHUNK = 20_000
_TRAJECTORY_HZ = 100


@dataclass(frozen=True, slots=True)
class _Unit:
    """One IMU's make: `axes` takes the head's axes to its own."""

    stream_id: str
    nominal_rate_hz: float
    rate_hz: float
    jitter_ns: float
    late_s: float
    axes: tuple[tuple[int, int, int], ...]


_UNITS = {
    "imu-right": _Unit("1202-1", 1000.0, 1000.6, 20_000, 0.0, ((0, 0, -1), (0, 1, 0), (1, 0, 0))),
    "imu-left": _Unit("1202-2", 800.0, 798.4, 2_000, 0.002, ((0, 1, 0), (0, 0, -1), (-1, 0, 0))),
}
_MOST_JITTER_NS = 30_000
_ACC_NOISE_M_S2, _GYRO_NOISE_RAD_S = 0.03, 0.002

LABELS = tuple(_UNITS)


def calibrations(seed: int, capture: Capture) -> dict[str, ImuCalibration]:
    """Draw the factory calibration of the capture's Aria, by IMU label."""
    found = {}
    for label in LABELS:
        rng = generator("egoexo4d", seed, capture.name, label, "calibration")
        accelerometer = _draw_rectification(rng, bias=0.1)
        found[label] = ImuCalibration(accelerometer, _draw_rectification(rng, bias=0.01))
    return found


def imu_records(seed: int, plan: TakePlan, wearer: Wearer, clock: CaptureClock) -> list[ImuRecords]:
    """Return what both IMUs record of a take: raw values on the Aria's device clock."""
    calibration = calibrations(seed, plan.capture)
    records = []
    for label, unit in _UNITS.items():
        rng = generator("egoexo4d", seed, plan.name, label)
        times_ns = _stamps(rng, plan, clock, unit)
        true_s = plan.skew(label).true_s(clock.take_s(plan, times_ns))
        mount = np.array(unit.axes) @ _tilt(generator("egoexo4d", seed, plan.capture.name, label, "mount"))
        blocks = [
            _raw(rng, _head_in(mount, state), calibration[label]) for state in _head_by_chunks(wearer, true_s)
        ]
        records.append(
            ImuRecords(label, unit.stream_id, unit.nominal_rate_hz, times_ns, np.concatenate(blocks))
        )
    return records


def trajectory_csv(plan: TakePlan, wearer: Wearer, clock: CaptureClock) -> bytes:
    """Return `closed_loop_trajectory.csv`: the head in the world, at 100 Hz (the real one: 1 kHz).

    The device's axes are taken to be the head's.
    """
    take_s = np.arange(0.05, plan.seconds, 1 / _TRAJECTORY_HZ)
    stamps_us = clock.device_ns(plan, take_s) // 1000
    rows = []
    for begin in range(0, len(take_s), _CHUNK):
        state = head(wearer, take_s[begin : begin + _CHUNK])
        velocity = _numeric_velocity(wearer, take_s[begin : begin + _CHUNK], state)
        numbers = np.hstack(
            [state.position_m, _quaternions(state.yaw_pitch_roll_rad), velocity, state.rotation_rad_s]
        )
        for stamp, values in zip(
            stamps_us[begin : begin + _CHUNK].tolist(), np.round(numbers, 6).tolist(), strict=True
        ):
            told = ",".join(f"{value:.6f}" for value in values)
            rows.append(f"generated,{stamp},-1,{told},0,0,-9.81,1.0")
    return ("\n".join([_TRAJECTORY_HEADER, *rows]) + "\n").encode()


_TRAJECTORY_HEADER = ",".join(
    ["graph_uid", "tracking_timestamp_us", "utc_timestamp_ns"]
    + [f"t{axis}_world_device" for axis in "xyz"]
    + [f"q{axis}_world_device" for axis in "xyzw"]
    + [f"device_linear_velocity_{axis}_device" for axis in "xyz"]
    + [f"angular_velocity_{axis}_device" for axis in "xyz"]
    + [f"gravity_{axis}_world" for axis in "xyz"]
    + ["quality_score"]
)


def _stamps(rng: np.random.Generator, plan: TakePlan, clock: CaptureClock, unit: _Unit) -> NDArray[np.int64]:
    """Draw device times int64[N]: evenly spaced within jitter, over what the VRS covers of the take."""
    ends_s = np.array([plan.vrs_late_s + unit.late_s, plan.seconds - plan.vrs_early_s])
    first_ns, last_ns = clock.device_ns(plan, ends_s).tolist()
    step_ns = NS_PER_S / unit.rate_hz
    count = int((last_ns - first_ns) / step_ns)
    jitter_ns = np.clip(rng.normal(0, unit.jitter_ns, count), -_MOST_JITTER_NS, _MOST_JITTER_NS)
    stamps: NDArray[np.int64] = first_ns + np.round(np.arange(count) * step_ns + jitter_ns).astype(np.int64)
    return stamps


def _head_by_chunks(wearer: Wearer, time_s: Floats) -> Iterator[HeadState]:
    for begin in range(0, len(time_s), _CHUNK):
        yield head(wearer, time_s[begin : begin + _CHUNK])


def _head_in(mount: Floats, state: HeadState) -> tuple[Floats, Floats]:
    """Return specific force and rotation [n, 3] in the axes of an IMU that sits on the head as `mount` [3, 3] says."""
    force, rotation = (
        np.einsum("ij,nj->ni", mount, vectors) for vectors in (state.acceleration_m_s2, state.rotation_rad_s)
    )
    return force, rotation


def _raw(
    rng: np.random.Generator, truth: tuple[Floats, Floats], model: ImuCalibration
) -> NDArray[np.float32]:
    """Return what an IMU writes float32[n, 6] of the true signals: noise, then the errors that `model` undoes."""
    columns = []
    for values, part, noise in (
        (truth[0], model.accelerometer, _ACC_NOISE_M_S2),
        (truth[1], model.gyroscope, _GYRO_NOISE_RAD_S),
    ):
        noisy = values + noise * rng.standard_normal(values.shape)
        columns.append(np.einsum("ij,nj->ni", part.matrix, noisy) + part.bias)
    return np.hstack(columns).astype(np.float32)


def _draw_rectification(rng: np.random.Generator, bias: float) -> Rectification:
    matrix = np.eye(3) + np.triu(rng.normal(0, 0.004, (3, 3)))
    return Rectification(np.round(matrix, 9), np.round(rng.normal(0, bias, 3), 9))


def _tilt(rng: np.random.Generator) -> Floats:
    """Draw the few degrees [3, 3] by which glasses sit askew."""
    tilt: Floats = rotation_matrices(np.deg2rad(rng.normal(0, 4.0, (1, 3))))[0]
    return tilt


def _numeric_velocity(wearer: Wearer, time_s: Floats, state: HeadState) -> Floats:
    """Return the velocity [n, 3] in m/s in the head's axes."""
    half_s = 1e-3
    ahead, behind = (head(wearer, time_s + sign * half_s).position_m for sign in (1, -1))
    velocity = (ahead - behind) / (2 * half_s)
    turned: Floats = np.einsum("nij,ni->nj", rotation_matrices(state.yaw_pitch_roll_rad), velocity)
    return turned


def _quaternions(yaw_pitch_roll_rad: Floats) -> Floats:
    """Return x, y, z, w [n, 4] of the turn from the head's axes to the world."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(yaw_pitch_roll_rad.T / 2), np.sin(yaw_pitch_roll_rad.T / 2)
    parts = [
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    ]
    return np.stack(parts, axis=1)
