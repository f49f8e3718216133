"""A small Ego-Exo4D tree written by hand: one take of 30 frames, soundly recorded, to be spoiled by a test."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.miniature.vrs import ImuRecords, write_vrs
from sensorloom.ingest.readers.egoexo4d import EgoExo4dReader
from sensorloom.ingest.take import Finding, Take
from sensorloom.ingest.vrs_calibration import ImuCalibration, Rectification

FRAMES = 30
START, END = 2, 33  # one row more than frames: frame i is row 3 + i
DEVICE_NS = 284_324_000_000_123
ROW_NS = 33_333_400
GRAVITY = 9.81
BIAS = 0.25

Json = dict[str, Any]


def entry(name: str = "cmu_bike01_2", aria: str = "aria01", exo: Sequence[str] = ("cam01", "cam02")) -> Json:
    """One entry of takes.json, as the docs show it."""
    videos: Json = {
        aria: {
            key: {
                "cam_id": aria,
                "stream_id": stream,
                "relative_path": f"frame_aligned_videos/{aria}_{stream}.mp4",
            }
            for key, stream in (("rgb", "214-1"), ("slam-left", "1201-1"), ("et", "211-1"))
        }
    }
    videos |= {
        camera: {"0": {"cam_id": camera, "relative_path": f"frame_aligned_videos/{camera}.mp4"}}
        for camera in exo
    }
    videos |= {
        "collage": {"0": {"relative_path": "ego_preview.mp4"}},
        "best_exo": {"0": {"relative_path": None}},
    }
    capture = name.rpartition("_")[0]
    return {
        "take_name": name,
        "take_uid": f"uid-{name}",
        "root_dir": f"takes/{name}",
        "capture_uid": f"uid-{capture}",
        "participant_uid": 7,
        "is_dropped": False,
        "best_exo": None,
        "task_start_sec": None,
        "task_id": 4001,
        "task_name": "Remove a Wheel",
        "parent_task_name": "Bike Repair",
        "duration_sec": 1.0,
        "timesync_start_idx": START,
        "timesync_end_idx": END,
        "validated": True,
        "frame_aligned_videos": videos,
        "capture": {
            "capture_name": capture,
            "timesync_validated": True,
            "cameras": [{"cam_id": camera, "is_ego": camera == aria} for camera in (aria, *exo)],
        },
        "university_name": "CMU",
        "vrs_relative_path": f"{aria}_noimagestreams.vrs",
    }


@cache
def mp4(frames: int = FRAMES, rate_hz: float = 30.0, slow_from: int | None = None) -> bytes:
    """A tiny video; from frame `slow_from` on everything is shown 100 ms later."""
    times_ns = np.round(np.arange(frames) * 1e9 / rate_hz).astype(np.int64)
    if slow_from is not None:
        times_ns[slow_from:] += 100_000_000
    pictures = [np.full((16, 16, 3), 8 * (number % 30), np.uint8) for number in range(frames)]
    file = io.BytesIO()
    write_video(file, pictures, times_ns, Encoding(index_first=True))
    return file.getvalue()


@cache
def vrs(
    start_s: float = -0.05,
    stop_s: float = 1.05,
    calibrated: bool = True,
    labels: str = "right left",
    scale: float = 1.0,
) -> bytes:
    """A VRS file of `imus`."""
    return vrs_of(imus(start_s, stop_s, labels, scale), 0.0 if calibrated else None)


def vrs_of(records: Sequence[ImuRecords], mixing: float | None) -> bytes:
    """A VRS file whose calibration removes the bias and has `mixing` between axes; None leaves it out."""
    biased = Rectification(np.eye(3) + (mixing or 0.0) * (1 - np.eye(3)), np.full(3, BIAS))
    calibration = {} if mixing is None else {imu.label: ImuCalibration(biased, biased) for imu in records}
    file = io.BytesIO()
    write_vrs(file, records, calibration=calibration)
    return file.getvalue()


def imus(
    start_s: float = -0.05, stop_s: float = 1.05, labels: str = "right left", scale: float = 1.0
) -> list[ImuRecords]:
    """IMUs over take seconds [start_s, stop_s): right 1000 Hz with gravity on x, left 800 Hz on y, both biased."""
    first_ns = device_ns(START + 1)
    records = []
    for label, stream, rate_hz, axis in (
        ("imu-right", "1202-1", 1000.0, 0),
        ("imu-left", "1202-2", 800.0, 1),
    ):
        if label.removeprefix("imu-") not in labels:
            continue
        times_ns = first_ns + np.round(np.arange(start_s, stop_s, 1 / rate_hz) * 1e9).astype(np.int64)
        noise = np.random.default_rng(1).normal(0, 0.05, (len(times_ns), 6))
        noise[:, axis] -= GRAVITY
        noise[:, :3] *= scale
        records.append(ImuRecords(label, stream, rate_hz, times_ns, (noise + BIAS).astype(np.float32)))
    return records


def device_ns(row: int) -> int:
    """The Aria's clock at a row of timesync.csv."""
    return DEVICE_NS + row * ROW_NS


def timesync(aria: str = "aria01", rows: int = 40, cells: Mapping[int, str] | None = None) -> str:
    """A capture's table; `cells` replaces the Aria's cell in single rows."""
    lines = [f"cam01_pts,cam01_frame_number,{aria}_214-1_capture_timestamp_ns,cam01_global_time"]
    for row in range(rows):
        cell = (cells or {}).get(row, str(device_ns(row)))
        lines.append(f"{row * 1001},{row},{cell},{1.6e9 + row / 30:.3f}")
    return "\n".join(lines) + "\n"


def body(z_m: float | None = None, **joints: Any) -> Json:
    """One body with a nose and a left eye, or with `joints`."""
    places = joints or {"nose": (1.0, 2.0, 1.5), "left-eye": (1.1, 2.1, 1.6)}
    return {
        "annotation3D": {
            name.replace("_", "-"): {"x": xyz[0], "y": xyz[1], "z": xyz[2] if z_m is None else z_m}
            for name, xyz in places.items()
        }
    }


class Tree:
    """A folder to fill; paths are relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, uri: str, content: Any) -> None:
        path = self.root / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")

    def take(
        self, said: Json, *, videos: bool = True, with_vrs: bool = True, with_timesync: bool = True
    ) -> None:
        """Write takes.json with one entry, and the files that it names."""
        self.write("takes.json", [said])
        name, capture = said["take_name"], said["capture"]["capture_name"]
        for camera, streams in said["frame_aligned_videos"].items() if videos else ():
            stream = streams.get("rgb") or streams.get("0")
            if camera not in ("collage", "best_exo") and stream:
                self.write(f"takes/{name}/{stream['relative_path']}", mp4())
        aria = next(
            (camera for camera in said["frame_aligned_videos"] if camera.startswith("aria")), "aria01"
        )
        if with_vrs:
            self.write(f"takes/{name}/{aria}_noimagestreams.vrs", vrs())
        if with_timesync:
            self.write(f"captures/{capture}/timesync.csv", timesync(aria))

    def read(self) -> Take:
        """Read the one take that is there."""
        reader = EgoExo4dReader()
        (source,) = reader.index(self.root)
        return reader.read(self.root, source)


def found(take: Take, rule: str) -> list[Finding]:
    """The findings of one rule."""
    return [finding for finding in take.findings if finding.rule == rule]
