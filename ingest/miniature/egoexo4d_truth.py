"""What is true of a generated Ego-Exo4D take: rows, frames, texts, intervals, planted clock errors. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sensorloom.ingest.miniature.egoexo4d_clock import CaptureClock, repeated_frame
from sensorloom.ingest.miniature.egoexo4d_faults import FAULT_TRUTH, fault_truth
from sensorloom.ingest.miniature.egoexo4d_pose import BodyFile
from sensorloom.ingest.miniature.egoexo4d_takes import FRAMES_PER_S, Skew, TakePlan
from sensorloom.ingest.miniature.egoexo4d_text import Annotations
from sensorloom.ingest.miniature.egoexo4d_videos import CameraFile
from sensorloom.ingest.miniature.spec import UNREADABLE, Truth
from sensorloom.ingest.miniature.vrs import ImuRecords
from sensorloom.ingest.take import NS_PER_S

__all__ = ["Written", "take_truth"]

_POSITIONS = {"imu-right": "head", "imu-left": "head-left"}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of one take."""

    imus: list[ImuRecords]
    cameras: list[CameraFile]
    bodies: list[BodyFile]
    annotations: Annotations


def take_truth(plan: TakePlan, written: Written, clock: CaptureClock, fault: str | None) -> Truth:
    """Return the truth of one take. Planted errors are true time minus what the metadata claims."""
    facts: Truth = {
        "dataset": "egoexo4d",
        "participant_id": f"egoexo4d/{plan.capture.participant_uid}",
        "capture_id": f"egoexo4d/{plan.capture.name}",
        "official_split": plan.split,
        "files": _files(plan, written),
        "faults": [fault_truth(fault, plan)] if fault else [],
    }
    if fault and FAULT_TRUTH[fault]["outcome"] == UNREADABLE:
        return facts
    stop_ns = round(plan.num_frames * NS_PER_S / FRAMES_PER_S)
    texts = written.annotations.texts
    return facts | {
        "start_ns": 0,
        "stop_ns": stop_ns,
        "seconds": plan.seconds,
        "num_frames": plan.num_frames,
        "rows": {
            "rule": plan.rule,
            "first_row": plan.first_row,
            "start_idx": plan.start_row,
            "end_idx": plan.end_row,
            "repeated_frame": repeated_frame(plan),
        },
        "streams": _streams(plan, written.imus, clock),
        "videos": _videos(plan, written.cameras),
        "mocap": {body.source: _body(plan, body) for body in written.bodies},
        "texts": texts,
        "texts_kept": dict(Counter(text["source"] for text in texts)),
        "texts_dropped": written.annotations.dropped,
        "labels": _labels(plan, written.annotations, stop_ns),
        "findings": sorted(_findings(plan, written)),
    }


def _findings(plan: TakePlan, written: Written) -> set[str]:
    """Return the rules that must fire on a take for what is planted in every such take; others may."""
    capture = plan.capture
    rules = {"stream-left-out"} | {rule for rule, count in written.annotations.dropped.items() if count}
    if capture.head_gopro or capture.has_mobile:
        rules.add("camera-left-out")
    if capture.has_timesync:
        rules |= {"take-rows"} | ({"timesync-cells"} if plan.is_first_of_capture else set())
    elif written.imus:
        rules.add("clock-assumed")
    if written.imus and max(plan.vrs_late_s, plan.vrs_early_s) > 0:
        rules.add("imu-shorter-than-take")
    if any(not people for body in written.bodies for people in body.frames.values()):
        rules.add("mocap-empty-frame")
    return rules


def _files(plan: TakePlan, written: Written) -> list[str]:
    """Return the files that a reader of this take needs; of two renditions, and of a worn GoPro, one is not."""
    pose = f"annotations/ego_pose/{plan.split}/body"
    uris = [video["uri"] for video in _videos(plan, written.cameras).values()]
    uris += [f"{pose}/{body.source}/{plan.uid}.json" for body in written.bodies]
    if "folder" in plan.commentary_forms:
        folders = [
            f"annotations/expert_commentary/{it['commentary']}" for it in written.annotations.commentary
        ]
        uris += [f"{folder}/{name}.json" for folder in folders for name in ("data", "transcriptions")]
    if plan.vrs_uri:
        uris.append(plan.vrs_uri)
    if plan.capture.has_timesync:
        uris.append(plan.capture.timesync_uri)
    return sorted(uris)


def _streams(plan: TakePlan, imus: Sequence[ImuRecords], clock: CaptureClock) -> Truth:
    """Return the IMU streams; `first_s` and `last_s` are take time as frames have it, whatever can be claimed of it."""
    if not imus:
        return {}
    assumed = Skew()
    if not plan.capture.has_timesync:
        assumed = clock.unclaimed(plan, min(int(imu.times_ns[0]) for imu in imus))
    streams = {}
    for imu in imus:
        first_s, last_s = clock.take_s(plan, imu.times_ns[[0, -1]]).tolist()
        planted = plan.skew(imu.label)
        for kind in ("accelerometer", "gyroscope"):
            streams[f"{_POSITIONS[imu.label]}/{kind}"] = {
                "rows": len(imu.times_ns),
                "device_label": imu.label,
                "first_s": round(first_s, 6),
                "last_s": round(last_s, 6),
                "covered_s": round(min(last_s, plan.seconds) - max(first_s, 0.0), 6),
                "largest_step_ms": float(np.diff(imu.times_ns).max()) / 1e6,
                "offset_ms": round(planted.offset_ms + assumed.offset_ms, 6),
                "drift_ppm": round(planted.drift_ppm + assumed.drift_ppm, 6),
            }
    return streams


def _videos(plan: TakePlan, cameras: Sequence[CameraFile]) -> Truth:
    """Return the cameras by id, each in the rendition that is to be read: 448 where there is one.

    A GoPro on the head is neither the ego camera, which is the Aria's, nor one that looks on.
    """
    return {
        camera.camera: {
            "view": camera.view,
            "uri": camera.uri,
            "rendition": camera.rendition,
            "frames": plan.num_frames,
            **_skew(plan, camera.camera),
        }
        for camera in reversed(cameras)
        if camera.view != "head-gopro"
    }


def _body(plan: TakePlan, body: BodyFile) -> Truth:
    return {
        "rows": body.rows,
        "missing_joints": body.missing_joints,
        "gaps_over_5_s": body.gaps_over_5_s,
        **_skew(plan, "mocap"),
    }


def _skew(plan: TakePlan, stream: str) -> Truth:
    skew = plan.skew(stream)
    return {"offset_ms": round(skew.offset_ms, 6), "drift_ppm": skew.drift_ppm}


def _labels(plan: TakePlan, annotations: Annotations, stop_ns: int) -> list[Truth]:
    whole = {"start_ns": 0, "stop_ns": stop_ns}
    labels = [
        {"source": "task", "text": plan.task.parent_name, **whole},
        {"source": "take-name", "text": plan.name, **whole},
    ]
    segments = annotations.keystep["segments"] if annotations.keystep else []
    return labels + [
        {
            "source": "keystep",
            "text": segment["step_name"],
            "start_ns": round(segment["start_time"] * NS_PER_S),
            "stop_ns": round(segment["end_time"] * NS_PER_S),
        }
        for segment in segments
    ]
