"""A generated Ego4D tree: `ego4d.json` and `v2/{ego4d.json,imu,video_540ss,annotations}`, as its own tool writes it.

The first 8 videos are the default: 20 s each of as many scenarios, with quirks of their own (`ego4d_schedule`). One
more video is listed and not there. Every second video's IMU clock is 0.5 to 1 s off and drifts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.ego4d_faults import (
    FAULT_TRUTH,
    FAULTS,
    spoil_entry,
    spoil_imu,
    spoil_video,
)
from sensorloom.ingest.miniature.ego4d_imu import LEAD_S, csv_bytes, imu_truth, plan_imu
from sensorloom.ingest.miniature.ego4d_metadata import ego4d_json, redacted_frames, redacted_span_s
from sensorloom.ingest.miniature.ego4d_schedule import (
    DEFAULT_TAKES,
    FRAMES_PER_S,
    Video,
    absent_video,
    catalogue,
)
from sensorloom.ingest.miniature.ego4d_text import narration_entry, text_truth
from sensorloom.ingest.miniature.ego4d_truth import expected_findings
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.scene import Camera, redact, render_view
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.shown import show_phases, shown_truth
from sensorloom.ingest.miniature.spec import UNREADABLE, MiniatureDataset, Order, Truth, assign_faults
from sensorloom.ingest.miniature.tints import TINTS
from sensorloom.ingest.miniature.tree import Tree
from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.miniature.wearer import Wearer, head, plan_wearer
from sensorloom.ingest.take import NS_PER_S

__all__ = ["DATASET"]

_WIDTH_PX, _HEIGHT_PX, _FOCAL_PX = 256, 192, 200.0
_VERSION = "v2"


def _write(tree: Tree, order: Order) -> dict[str, Truth]:
    videos = list(islice(catalogue(order.seed, order.minutes), order.takes or DEFAULT_TAKES))
    carriers = [video.take_id for video in videos if video.has_imu and "identical-axes" not in video.quirks]
    faults = assign_faults(order.faults, carriers)
    truths: dict[str, Truth] = {}
    narrations: dict[str, Any] = {}
    for video in videos:
        wearer = _wearer(order.seed, video)
        narrations[video.uid] = narration_entry(order.seed, video, wearer)
        fault = faults.get(video.take_id)
        streams = _write_files(tree, order.seed, video, wearer, fault)
        truth = _truth(video, streams, narrations[video.uid], fault)
        if "seconds" in truth:
            truth["shown"] = shown_truth(wearer.phases, LEAD_S, video.seconds)
        truths[video.take_id] = truth
        order.progress(video.take_id)
    missing = absent_video(order.seed, order.minutes)
    document = ego4d_json([*videos, missing])
    fault_of = {video.uid: faults.get(video.take_id) for video in videos}
    document["videos"] = [
        spoil_entry(fault_of.get(entry["video_uid"]), entry) for entry in document["videos"]
    ]
    for uri in ("ego4d.json", f"{_VERSION}/ego4d.json"):
        tree.write(uri, _json_bytes(document))
    tree.write(f"{_VERSION}/annotations/narration.json", _json_bytes(narrations))
    _write_manifests(tree, videos)
    return truths | {missing.take_id: {"dataset": "ego4d", "absent": True, "files": [], "faults": []}}


def _json_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def _write_manifests(tree: Tree, videos: list[Video]) -> None:
    """Write the list of files that each folder has; the one among the IMU files is no IMU file."""
    for folder in ("imu", "video_540ss"):
        lines = [f"{video.uid},s3://generated/{folder}/{video.uid}" for video in videos]
        text = "\n".join(["video_uid,canonical_s3_location", *lines]) + "\n"
        tree.write(f"{_VERSION}/{folder}/manifest.csv", text.encode())


def _wearer(seed: int, video: Video) -> Wearer:
    movements = [MOVEMENTS[name] for name in video.plan.movements]
    return plan_wearer(
        generator("ego4d", seed, video.number, "wearer"), video.seconds + 2 * LEAD_S, movements
    )


def _write_files(tree: Tree, seed: int, video: Video, wearer: Wearer, fault: str | None) -> Truth:
    """Write the video and, where it has one, its IMU file; return the truth about the streams."""
    blank = redacted_frames(video)
    streams: Truth = {
        "ego": {
            "frames": video.num_frames - len(blank),
            "redacted_frames": len(blank),
            "offset_ms": 0.0,
            "drift_ppm": 0.0,
        }
    }
    times_ns = np.rint(np.arange(video.num_frames) * (NS_PER_S / FRAMES_PER_S)).astype(np.int64)
    file, frames = io.BytesIO(), _pictures(seed, video, wearer)
    if fault == "ego4d-empty-video":
        times_ns, frames = times_ns[:0], iter(())
    write_video(file, frames, times_ns, Encoding(index_first=fault == "ego4d-cut-video"))
    tree.write(f"{_VERSION}/video_540ss/{video.uid}.mp4", spoil_video(fault, file.getvalue()))
    if video.has_imu:
        rows = plan_imu(seed, video, wearer)
        streams |= imu_truth(rows, video)
        data = spoil_imu(fault, csv_bytes(rows))
        if data is not None:
            tree.write(f"{_VERSION}/imu/{video.uid}.csv", data)
    return streams


def _pictures(seed: int, video: Video, wearer: Wearer) -> Iterator[NDArray[np.uint8]]:
    """Yield what the camera sees; two such pictures side by side where it is stereo, black where redacted."""
    time_s = np.arange(video.num_frames) / FRAMES_PER_S
    yaw, pitch, roll = head(wearer, time_s + LEAD_S).yaw_pitch_roll_rad.T
    is_stereo = "stereo" in video.quirks
    camera = Camera(_WIDTH_PX // 2 if is_stereo else _WIDTH_PX, _HEIGHT_PX, _FOCAL_PX)
    # The head's axes are forward, left, up; the camera's right, down, forward, and it looks up for positive pitch.
    scenery = f"ego4d {seed} {video.number}"
    pictures = render_view(camera, -yaw, -pitch, roll, scenery, tint=TINTS[video.plan.place])
    pictures = show_phases(pictures, wearer.phases, time_s + LEAD_S, "hands")
    if is_stereo:
        pictures = (np.concatenate([picture, picture], axis=1) for picture in pictures)
    blank = redacted_frames(video)
    return redact(pictures, np.isin(np.arange(video.num_frames), blank)) if blank else pictures


def _truth(video: Video, streams: Truth, narrations: dict[str, Any], fault: str | None) -> Truth:
    participant = f"unknown-{video.uid}" if video.participant is None else str(video.participant)
    files = [f"{_VERSION}/video_540ss/{video.uid}.mp4"]
    if video.has_imu and fault != "ego4d-missing-imu":
        files.insert(0, f"{_VERSION}/imu/{video.uid}.csv")
    facts: Truth = {
        "dataset": "ego4d",
        "participant_id": f"ego4d/{participant}",
        "files": files,
        "faults": [{"fault": fault, **FAULT_TRUTH[fault]}] if fault else [],
        "absent": False,
    }
    if fault and FAULT_TRUTH[fault]["outcome"] == UNREADABLE:
        return facts
    lost = FAULT_TRUTH[fault]["streams"] if fault and fault != "ego4d-cut-video" else []
    stop_ns = round(video.seconds * NS_PER_S)
    labels = [{"text": scenario, "start_ns": 0, "stop_ns": stop_ns} for scenario in video.plan.scenarios]
    return facts | {
        "seconds": video.seconds,
        "streams": {name: told for name, told in streams.items() if name not in lost},
        "gaps": [] if "head/gyroscope" in lost else _gaps(video),
        "labels": labels if len(labels) == 1 else [],
        "texts": text_truth(narrations, video.seconds),
        "redacted_s": redacted_span_s(video),
        "is_stereo": "stereo" in video.quirks,
        "expected_findings": None if fault else expected_findings(video),
    }


def _gaps(video: Video) -> list[Truth]:
    """Return what lies between components with an IMU, to within a sample."""
    parts = [part for part in video.components if part.imu_stop_s is not None]
    return [{"start_s": before.imu_stop_s, "stop_s": after.start_s} for before, after in pairwise(parts)]


DATASET = MiniatureDataset("ego4d", FAULTS, _write)
