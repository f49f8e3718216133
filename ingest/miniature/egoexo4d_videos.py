"""The videos of a generated Ego-Exo4D take: the ego camera turns with the head, the others see hands that move as much.

Both show the emblem of what the wearer does, in the hands or beside the person; the colours are the task's.
All files of a take have the same number of frames, frame i shown at i/30 s. A planted clock error shifts what a frame
shows, never when it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.egoexo4d_clock import repeated_frame
from sensorloom.ingest.miniature.egoexo4d_metadata import ARIA_EGO_STREAM
from sensorloom.ingest.miniature.egoexo4d_takes import FRAMES_PER_S, TakePlan
from sensorloom.ingest.miniature.scene import Camera, render_person, render_view
from sensorloom.ingest.miniature.shown import show_phases
from sensorloom.ingest.miniature.tints import TINTS
from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.miniature.wearer import Wearer, head
from sensorloom.ingest.take import NS_PER_S

__all__ = ["CameraFile", "camera_files", "write_camera"]

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]

_FOLDERS = {"448": "frame_aligned_videos/downscaled/448", "full": "frame_aligned_videos"}
_EGO = {"448": Camera(160, 160, 150.0), "full": Camera(224, 224, 210.0)}
_EXO_PX = {"448": (128, 96), "full": (160, 120)}
_EXO_TURNED_PX = (96, 128)  # bouldering GoPros stand on end; here the second of a dance does
_STEP_PX_PER_RAD_S = 2.5
_MOST_STEP_PX = 7.0
_CRF = 32
_CHUNK = 3_000


@dataclass(frozen=True, slots=True)
class CameraFile:
    """One video file: `camera` is the data set's id, `view` what kind of picture, `uri` below the data set's folder."""

    camera: str
    view: str
    rendition: str
    uri: str


def camera_files(plan: TakePlan) -> list[CameraFile]:
    """List the video files of a take. Where there are two renditions, only the ego camera has both."""
    capture = plan.capture
    cameras = [(capture.aria, "ego", f"{capture.aria}_{ARIA_EGO_STREAM}.mp4")]
    cameras += [(camera, "exo", f"{camera}.mp4") for camera in capture.exo]
    if capture.head_gopro:
        cameras.append((capture.head_gopro, "head-gopro", f"{capture.head_gopro}.mp4"))
    return [
        CameraFile(camera, view, rendition, f"{plan.root_dir}/{_FOLDERS[rendition]}/{name}")
        for rendition in plan.renditions
        for camera, view, name in cameras
        if view == "ego" or rendition == plan.renditions[0]
    ]


def write_camera(out: BinaryIO, plan: TakePlan, wearer: Wearer, file: CameraFile, *, num_frames: int) -> None:
    """Render and encode one camera of a take to `out`, frame by frame, up to `num_frames`."""
    claimed_s = np.arange(plan.num_frames) / FRAMES_PER_S
    repeated = repeated_frame(plan)
    if file.view == "ego" and repeated is not None:
        claimed_s[repeated] = claimed_s[repeated - 1]
    true_s = plan.skew(file.camera).true_s(claimed_s)[:num_frames]
    times_ns = np.round(np.arange(num_frames) * (NS_PER_S / FRAMES_PER_S)).astype(np.int64)
    # The index in front, as in files that are made to be streamed: what is cut off is lost, the rest is not.
    encoding = Encoding(crf=_CRF, index_first=True)
    write_video(out, _pictures(plan, wearer, file, true_s) if num_frames else (), times_ns, encoding)


def _pictures(plan: TakePlan, wearer: Wearer, file: CameraFile, true_s: Floats) -> Iterator[Picture]:
    seed, tint = f"egoexo4d/{plan.capture.name}", TINTS[plan.task.parent_name]
    if file.view == "exo":
        steps_px = _hand_steps(wearer, true_s)
        pictures = render_person(*_exo_size(plan, file), steps_px, seed, tint=tint)
        return show_phases(pictures, wearer.phases, true_s, "beside")
    camera = _EGO[file.rendition]
    angles = np.concatenate(list(_angles(wearer, true_s)))
    # The head's y is left and z up, the camera's x is right and y down.
    pictures = render_view(camera, -angles[:, 0], -angles[:, 1], angles[:, 2], seed, tint=tint)
    return show_phases(pictures, wearer.phases, true_s, "hands")


def _exo_size(plan: TakePlan, file: CameraFile) -> tuple[int, int]:
    if plan.capture.head_gopro and file.camera == plan.capture.exo[1]:
        return _EXO_TURNED_PX
    return _EXO_PX[file.rendition]


def _angles(wearer: Wearer, true_s: Floats) -> Iterator[Floats]:
    for begin in range(0, len(true_s), _CHUNK):
        yield head(wearer, true_s[begin : begin + _CHUNK]).yaw_pitch_roll_rad


def _hand_steps(wearer: Wearer, true_s: Floats) -> Floats:
    """Return by how many px the hands move before each frame: as fast as the head turns midway since the one before."""
    midway_s = true_s - 0.5 / FRAMES_PER_S
    rates = [
        np.linalg.norm(head(wearer, midway_s[begin : begin + _CHUNK]).rotation_rad_s, axis=1)
        for begin in range(0, len(true_s), _CHUNK)
    ]
    return np.minimum(_STEP_PX_PER_RAD_S * np.concatenate(rates), _MOST_STEP_PX)
