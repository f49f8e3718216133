"""`takes.json`, `captures.json`, `participants.json` and `splits.json` of a generated Ego-Exo4D tree. Pure.

Entries have the keys of the real ones (formats.md §4.2, §4.3), what nobody reads of them left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sensorloom.ingest.miniature.egoexo4d_takes import FRAMES_PER_S, Capture, TakePlan, uid

__all__ = ["ARIA_EGO_STREAM", "captures_json", "json_bytes", "participants_json", "splits_json", "takes_json"]

ARIA_EGO_STREAM = "214-1"
"""Number of the Aria's colour camera, as its file is named: `aria01_214-1.mp4`."""

_ARIA_STREAMS = {"rgb": ARIA_EGO_STREAM, "slam-left": "1201-1", "slam-right": "1201-2", "et": "211-1"}
_UNIVERSITIES = {
    "cmu": "Carnegie Mellon University",
    "sfu": "Simon Fraser University",
    "upenn": "University of Pennsylvania",
    "iu": "Indiana University",
    "indiana": "Indiana University",
    "unc": "University of North Carolina, Chapel Hill",
}
_RECORDED_S, _DAY_S = 1_676_000_000, 86_400

Json = dict[str, Any]


def json_bytes(value: Any) -> bytes:
    """Return `value` as the files of the download have it: one line, keys in the order written."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def takes_json(plans: Sequence[TakePlan]) -> list[Json]:
    """Return `takes.json`: one entry of each take."""
    return [_take_entry(plan) for plan in plans]


def captures_json(plans: Sequence[TakePlan]) -> list[Json]:
    """Return `captures.json`: one entry of each capture, in the order in which takes name them."""
    return [_capture_entry(capture) for capture in _captures(plans)]


def participants_json(plans: Sequence[TakePlan]) -> list[Json]:
    """Return `participants.json`: one entry of each wearer; what is told of them is JSON inside a string."""
    return [
        {
            "participant_uid": capture.participant_uid,
            "university_name": _UNIVERSITIES[capture.university],
            "collection_date": "2023-02-10",
            "metadata": json.dumps(
                {
                    "recording_location": "generated",
                    "experience_level": str(1 + capture.index % 5),
                    "years_of_practice": str(2 * capture.index),
                }
            ),
        }
        for capture in _captures(plans)
    ]


def splits_json(plans: Sequence[TakePlan]) -> Json:
    """Return `annotations/splits.json`: the split of each take, both ways round."""
    return {
        "take_uid_to_split": {plan.uid: plan.split for plan in plans},
        "split_to_take_uids": {
            split: [plan.uid for plan in plans if plan.split == split] for split in ("train", "val", "test")
        },
        "take_uid_to_benchmark": {plan.uid: ["keystep_recognition", "ego_pose"] for plan in plans},
    }


def _captures(plans: Sequence[TakePlan]) -> list[Capture]:
    return list({plan.capture.name: plan.capture for plan in plans}.values())


def _take_entry(plan: TakePlan) -> Json:
    vrs = {
        kind: f"{plan.capture.aria}{suffix}.vrs" if plan.vrs is not None else None
        for kind, suffix in (("imu", "_noimagestreams"), ("all", ""))
    }
    return {
        "root_dir": plan.root_dir,
        "take_name": plan.name,
        "take_uid": plan.uid,
        "capture_uid": uid("capture", plan.capture.name),
        "participant_uid": plan.capture.participant_uid,
        "is_dropped": False,
        "objects": [],
        "best_exo": plan.best_exo,
        "task_start_sec": plan.task_start_s,
        "task_end_sec": None if plan.task_start_s is None else round(plan.seconds - 0.4, 3),
        "task_id": plan.task.task_id,
        "task_name": plan.task.name,
        "parent_task_id": plan.task.parent_id,
        "parent_task_name": plan.task.parent_name,
        "take_idx": int(plan.name.rpartition("_")[2]),
        "duration_sec": round(plan.num_frames / FRAMES_PER_S, 6),
        "is_narrated": plan.has_annotations,
        "physical_setting_uid": None,
        "timesync_start_idx": plan.start_row,
        "timesync_end_idx": plan.end_row,
        "capture": _capture_entry(plan.capture),
        "validated": True,
        "frame_aligned_videos": _frame_aligned_videos(plan),
        "university_name": _UNIVERSITIES[plan.capture.university],
        "university_id": plan.capture.university,
        "take_timing_uid": uid("timing", plan.name),
        "timesync_uid": uid("timesync", plan.capture.name),
        "has_trimmed_vrs": plan.vrs is not None,
        "has_trimmed_trajectory": plan.has_trajectory,
        "has_trimmed_eye_gaze": False,
        "vrs_relative_path": vrs["imu"],
        "vrs_all_streams_relative_path": vrs["all"],
        "trimmed_trajectory_relative_path": "trajectory" if plan.has_trajectory else None,
    }


def _frame_aligned_videos(plan: TakePlan) -> Json:
    """Return the files of each camera; `collage` and `best_exo` are no cameras, and the latter may have no file."""
    capture = plan.capture
    gopros = (*capture.exo, *((capture.head_gopro,) if capture.head_gopro else ()))
    videos: Json = {
        capture.aria: {
            key: _video_entry(capture.aria, stream, key, f"{capture.aria}_{stream}.mp4", plan)
            for key, stream in _ARIA_STREAMS.items()
        }
    }
    videos |= {camera: {"0": _video_entry(camera, "0", "0", f"{camera}.mp4", plan)} for camera in gopros}
    best = None if plan.best_exo is None else f"frame_aligned_videos/{plan.best_exo}.mp4"
    videos["collage"] = {"0": _pseudo_entry("collage", "ego_preview.mp4", plan)}
    videos["best_exo"] = {"0": _pseudo_entry("best_exo", best, plan)}
    return videos


def _video_entry(camera: str, stream: str, readable: str, name: str, plan: TakePlan) -> Json:
    return {
        "cam_id": camera,
        "stream_id": stream,
        "readable_stream_id": readable,
        "clip_uid": uid("clip", plan.name, name),
        "relative_path": f"frame_aligned_videos/{name}",
    }


def _pseudo_entry(kind: str, relative_path: str | None, plan: TakePlan) -> Json:
    return {
        "stream_id": "0",
        "readable_stream_id": "0",
        "clip_uid": uid("clip", plan.name, kind),
        "relative_path": relative_path,
    }


def _capture_entry(capture: Capture) -> Json:
    cameras = [(capture.aria, True, "aria"), *((camera, False, "gopro") for camera in capture.exo)]
    if capture.head_gopro:
        cameras.append((capture.head_gopro, True, "gopro"))
    if capture.has_mobile:
        cameras.append(("mobile", False, "mobile"))
    return {
        "root_dir": f"captures/{capture.name}",
        "capture_name": capture.name,
        "capture_uid": uid("capture", capture.name),
        "university_id": capture.university,
        "ds_recorded": _RECORDED_S + capture.index * _DAY_S,
        "has_trajectory": True,
        "has_gaze": False,
        "timesync_validated": True,
        "cameras": [_camera_entry(capture, *camera) for camera in cameras],
    }


def _camera_entry(capture: Capture, camera: str, is_ego: bool, device_type: str) -> Json:
    return {
        "cam_id": camera,
        "is_ego": str(is_ego) if capture.has_string_booleans else is_ego,
        "has_walkaround": camera == "mobile",
        "includes_audio": device_type != "mobile",
        "device_type": device_type,
        "relative_path": f"videos/{camera}.{'vrs' if device_type == 'aria' else 'mp4'}",
        "video_artifact_uid": uid("artifact", capture.name, camera),
    }
