"""The IMU file of a generated Ego4D video: rows as sampled, stamps as written, and what is wrong with them. Pure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorloom.ingest.miniature.ego4d_schedule import Component, Video
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.spec import Truth
from sensorloom.ingest.miniature.wearer import Wearer, head

__all__ = ["LEAD_S", "ImuRows", "csv_bytes", "imu_truth", "plan_imu"]

LEAD_S = 2.0
"""The wearer starts to move this long before the video, so that a stamp off by a second still meets motion."""

EXTREME_MS = 1e12
_ACC_NOISE_M_S2, _GYR_NOISE_RAD_S = 0.03, 0.005
_PACKET_S = 1.0
_MISSING_ROWS, _MISSING_CELLS = 40, 5
_COPIED_M_S2 = 2.7  # |a| of the docs' own sample, which has one axis twice

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImuRows:
    """Rows in file order: `canonical_ms` is NaN where the cell is empty, so are cells of `accelerometer`."""

    component: NDArray[np.int64]
    own_ms: _Floats
    canonical_ms: _Floats
    gyroscope: NDArray[np.float32]
    accelerometer: NDArray[np.float32]


def plan_imu(seed: int, video: Video, wearer: Wearer) -> ImuRows:
    """Sample the wearer's head where the video's components have an IMU, and plant the video's quirks."""
    rng = generator("ego4d", seed, video.number, "imu")
    rows = _joined([_component(rng, video, part, wearer) for part in video.components if part.imu_stop_s])
    if "swapped-packets" in video.quirks:
        rows = _swap_packets(rows, round(_PACKET_S * video.components[0].rate_hz))
    if "extreme-stamp" in video.quirks:
        rows.canonical_ms[len(rows.canonical_ms) // 3] = EXTREME_MS
    if "missing-cells" in video.quirks:
        start = len(rows.component) // 2
        rows.accelerometer[start : start + _MISSING_ROWS] = np.nan
        rows.accelerometer[start + 2 * _MISSING_ROWS : start + 2 * _MISSING_ROWS + _MISSING_CELLS, 1] = np.nan
    if "identical-axes" in video.quirks:
        rows.accelerometer[:, 2] = rows.accelerometer[:, 1]
        norm = np.median(np.linalg.norm(rows.accelerometer, axis=1))
        rows.accelerometer[:] *= np.float32(_COPIED_M_S2 / norm)
    return rows


def _component(rng: np.random.Generator, video: Video, part: Component, wearer: Wearer) -> ImuRows:
    """Stamp one component from the start of its container on; sample it when that was in truth."""
    stop_s = part.imu_stop_s if part.imu_stop_s is not None else part.stop_s
    own_s = np.arange(0.0, stop_s - part.start_s + part.lead_s, 1 / part.rate_hz)
    claimed_s = own_s - part.lead_s + part.start_s
    true_s = claimed_s * (1 + video.drift_ppm * 1e-6) + video.offset_ms * 1e-3
    state = head(wearer, true_s + LEAD_S)
    shape = (len(own_s), 3)
    return ImuRows(
        component=np.full(len(own_s), part.index, np.int64),
        own_ms=own_s * 1e3,
        canonical_ms=np.where(own_s < part.lead_s, np.nan, claimed_s * 1e3),
        gyroscope=(state.rotation_rad_s + rng.normal(0, _GYR_NOISE_RAD_S, shape)).astype(np.float32),
        accelerometer=(state.acceleration_m_s2 + rng.normal(0, _ACC_NOISE_M_S2, shape)).astype(np.float32),
    )


def _joined(parts: Sequence[ImuRows]) -> ImuRows:
    return ImuRows(
        component=np.concatenate([part.component for part in parts]),
        own_ms=np.concatenate([part.own_ms for part in parts]),
        canonical_ms=np.concatenate([part.canonical_ms for part in parts]),
        gyroscope=np.concatenate([part.gyroscope for part in parts]),
        accelerometer=np.concatenate([part.accelerometer for part in parts]),
    )


def _swap_packets(rows: ImuRows, packet: int) -> ImuRows:
    """Write the second packet of the file after the third: whole rows, with their stamps."""
    order = np.arange(len(rows.component))
    order[packet : 3 * packet] = np.r_[order[2 * packet : 3 * packet], order[packet : 2 * packet]]
    return ImuRows(
        rows.component[order],
        rows.own_ms[order],
        rows.canonical_ms[order],
        rows.gyroscope[order],
        rows.accelerometer[order],
    )


def csv_bytes(rows: ImuRows) -> bytes:
    """Return the file with its documented header; an empty cell where there is no value."""
    columns = {
        "component_idx": rows.component,
        "component_timestamp_ms": rows.own_ms,
        "canonical_timestamp_ms": rows.canonical_ms,
        **{f"gyro_{axis}": rows.gyroscope[:, place] for place, axis in enumerate("xyz")},
        **{f"accl_{axis}": rows.accelerometer[:, place] for place, axis in enumerate("xyz")},
    }
    buffer = io.BytesIO()
    pl.DataFrame(columns).fill_nan(None).write_csv(buffer)
    return buffer.getvalue()


def imu_truth(rows: ImuRows, video: Video) -> Truth:
    """Return what is known of the two streams, counts taken from the rows."""
    usable = np.isfinite(rows.canonical_ms) & (rows.canonical_ms < EXTREME_MS)
    stamps_ms = np.sort(rows.canonical_ms[usable])
    shared: Truth = {
        "rows": int(usable.sum()),
        "first_stamp_ms": float(stamps_ms[0]),
        "last_stamp_ms": float(stamps_ms[-1]),
        "offset_ms": video.offset_ms,
        "drift_ppm": video.drift_ppm,
    }
    missing = np.isnan(rows.accelerometer).any(axis=1) & usable
    is_masked = "identical-axes" in video.quirks
    return {
        "head/accelerometer": shared | {"missing_rows": int(usable.sum() if is_masked else missing.sum())},
        "head/gyroscope": shared | {"missing_rows": 0},
    }
