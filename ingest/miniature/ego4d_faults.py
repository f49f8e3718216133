"""Faults that can be planted in a generated Ego4D video: in its picture, its IMU file or its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sensorloom.ingest.miniature.spec import FINDING, UNREADABLE, Truth

__all__ = ["FAULTS", "FAULT_TRUTH", "spoil_entry", "spoil_imu", "spoil_video"]

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "ego4d-cut-video": "the MP4, its index first, ends after half of its bytes",
        "ego4d-headless-video": "the MP4 ends before its index",
        "ego4d-empty-video": "the MP4 has a video track without a frame",
        "ego4d-bad-imu-row": "a row in the middle of the IMU file has lost its last column",
        "ego4d-missing-imu": "has_imu is true and there is no IMU file",
        "ego4d-bad-json": 'duration_sec of the video is the text "abc"',
    }
)

_EGO: Truth = {"outcome": FINDING, "rule": "unreadable-file", "streams": ["ego"]}
_IMU_STREAMS = ["head/accelerometer", "head/gyroscope"]

FAULT_TRUTH: Mapping[str, Truth] = MappingProxyType(
    {
        "ego4d-cut-video": {"outcome": FINDING, "rule": "video-cut", "streams": ["ego"]},
        "ego4d-headless-video": _EGO,
        "ego4d-empty-video": _EGO,
        "ego4d-bad-imu-row": {"outcome": FINDING, "rule": "unreadable-file", "streams": _IMU_STREAMS},
        "ego4d-missing-imu": {"outcome": FINDING, "rule": "imu-absent", "streams": _IMU_STREAMS},
        "ego4d-bad-json": {"outcome": UNREADABLE, "json_path": "duration_sec"},
    }
)


def spoil_video(fault: str | None, data: bytes) -> bytes:
    """Return the MP4 `data` with `fault` planted in it; an empty track is made by writing no frames."""
    return data[: len(data) // 2] if fault in ("ego4d-cut-video", "ego4d-headless-video") else data


def spoil_imu(fault: str | None, data: bytes) -> bytes | None:
    """Return the IMU file `data` with `fault` planted in it, None when there is to be none."""
    if fault == "ego4d-missing-imu":
        return None
    if fault == "ego4d-bad-imu-row":
        lines = data.split(b"\n")
        lines[len(lines) // 2] = lines[len(lines) // 2].rpartition(b",")[0]
        return b"\n".join(lines)
    return data


def spoil_entry(fault: str | None, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the video's entry of `ego4d.json` with `fault` planted in it."""
    return entry | {"duration_sec": "abc"} if fault == "ego4d-bad-json" else entry
