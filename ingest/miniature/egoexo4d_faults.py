"""Faults that can be planted in a generated Ego-Exo4D take: in its metadata, its VRS, its videos, its body joints."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from sensorloom.ingest.miniature.egoexo4d_takes import TakePlan
from sensorloom.ingest.miniature.spec import FINDING, UNREADABLE, SampleError, Truth
from sensorloom.ingest.miniature.vrs import ImuRecords

__all__ = [
    "EMPTY_VIDEO",
    "FAULTS",
    "FAULT_TRUTH",
    "NO_IMU",
    "fault_truth",
    "hide_imus",
    "place_faults",
    "spoil_body",
    "spoil_entry",
    "spoil_file",
    "spoil_imu",
]

CUT_VIDEO, EMPTY_VIDEO, CUT_VRS = "egoexo4d-cut-video", "egoexo4d-empty-video", "egoexo4d-truncated-vrs"
NO_IMU, ZERO_IMU, FLAT_BODY = "egoexo4d-no-imu-vrs", "egoexo4d-all-zero-imu", "egoexo4d-mocap-z-constant"
ESCAPE, WRONG_TYPE = "egoexo4d-escaping-path", "egoexo4d-wrong-type"

_KEPT_SHARE = 0.6
_ESCAPE_PATH = "../../etc"
_IMU_TYPE, _MAGNETOMETER_TYPE = 1202, 1203

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        FLAT_BODY: "every z of the body joints is 1",
        CUT_VRS: "the VRS file ends after 60 % of its bytes",
        NO_IMU: "the streams of the VRS file are not IMUs",
        ZERO_IMU: "the left IMU writes zeros only",
        CUT_VIDEO: "the ego video ends after 60 % of its bytes",
        EMPTY_VIDEO: "the first exo video has no frames",
        ESCAPE: "the relative_path of the first exo video is ../../etc",
        WRONG_TYPE: "timesync_start_idx of the take is a text",
    }
)

FAULT_TRUTH: Mapping[str, Truth] = MappingProxyType(
    {
        CUT_VRS: {"outcome": FINDING, "rule": "vrs-cut", "streams": ["head"], "kept_share": _KEPT_SHARE},
        NO_IMU: {"outcome": FINDING, "rule": "unreadable-file", "streams": ["head", "head-left"]},
        ZERO_IMU: {
            "outcome": FINDING,
            "rule": "all-zero",
            "streams": ["head-left/accelerometer", "head-left/gyroscope"],
        },
        CUT_VIDEO: {"outcome": FINDING, "rule": "video-cut", "kept_share": _KEPT_SHARE},
        EMPTY_VIDEO: {"outcome": FINDING, "rule": "unreadable-file"},
        ESCAPE: {"outcome": UNREADABLE, "path": _ESCAPE_PATH},
        WRONG_TYPE: {"outcome": UNREADABLE, "path": "timesync_start_idx"},
        FLAT_BODY: {"outcome": FINDING, "rule": "mocap-constant-axis", "streams": ["mocap"]},
    }
)


def place_faults(faults: Sequence[str], plans: Sequence[TakePlan]) -> dict[str, str]:
    """Give each fault a take of its own that can carry it, in order: `{take name: fault}`.

    Raises `SampleError` when there is none left.
    """
    placed: dict[str, str] = {}
    for fault in faults:
        free = [plan for plan in plans if plan.name not in placed and _can_carry(fault, plan)]
        if not free:
            raise SampleError(
                f"{len(faults)} faults ({', '.join(faults)}) need a take each, but none of the {len(plans)} takes is"
                f" left for {fault}; raise takes or ask for fewer faults"
            )
        placed[free[0].name] = fault
    return placed


def fault_truth(fault: str, plan: TakePlan) -> Truth:
    """Return what must come of `fault` in a take: `streams` are those that findings of the rule are about."""
    cameras = {CUT_VIDEO: [plan.capture.aria], EMPTY_VIDEO: [plan.capture.exo[0]]}
    streams = {"streams": cameras[fault]} if fault in cameras else {}
    return {"fault": fault, **FAULT_TRUTH[fault], **streams}


def spoil_entry(fault: str | None, plan: TakePlan, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the take's entry of `takes.json` with `fault` planted in it."""
    if fault == WRONG_TYPE:
        return entry | {"timesync_start_idx": "sixty"}
    if fault == ESCAPE:
        entry["frame_aligned_videos"][plan.capture.exo[0]]["0"]["relative_path"] = _ESCAPE_PATH
    return entry


def spoil_imu(fault: str | None, records: list[ImuRecords]) -> list[ImuRecords]:
    """Return the IMU streams with `fault` planted in them."""
    if fault != ZERO_IMU:
        return records
    return [
        replace(imu, values=np.zeros_like(imu.values)) if imu.label == "imu-left" else imu for imu in records
    ]


def spoil_file(fault: str | None, kind: str, file: BinaryIO) -> None:
    """Plant `fault` in a file just written, `kind` being vrs, ego, exo or head-gopro."""
    if (fault, kind) in {(CUT_VRS, "vrs"), (CUT_VIDEO, "ego")}:
        file.truncate(int(file.seek(0, 2) * _KEPT_SHARE))


def hide_imus(vrs: bytes) -> bytes:
    """Return a VRS file with every stream id, in tags, index and records, made that of a magnetometer."""
    return vrs.replace(struct.pack("<i", _IMU_TYPE), struct.pack("<i", _MAGNETOMETER_TYPE))


def spoil_body(fault: str | None, frames: dict[str, Any]) -> dict[str, Any]:
    """Return a body JSON with `fault` planted in it."""
    if fault == FLAT_BODY:
        for people in frames.values():
            for person in people:
                for joint in person["annotation3D"].values():
                    joint["z"] = 1.0
    return frames


def _can_carry(fault: str, plan: TakePlan) -> bool:
    if fault in (CUT_VRS, NO_IMU, ZERO_IMU):
        return plan.vrs is not None
    return fault != FLAT_BODY or bool(plan.mocap and plan.has_annotations)
