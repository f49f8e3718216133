"""Write small Ego4D trees by hand: metadata entries, IMU rows, videos, narrations."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.readers.ego4d import Ego4dReader
from sensorloom.ingest.take import Finding, Take

HEADER = (
    "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z"
)
Row = list[Any]
"""component, own ms, canonical ms, three of the gyroscope, three of the accelerometer; None is an empty cell."""


def entry(uid: str = "a", duration_s: float = 4.0, **changes: Any) -> dict[str, Any]:
    """Return an entry of `videos` as the documentation has it, one component, nothing odd."""
    return {
        "video_uid": uid,
        "duration_sec": duration_s,
        "scenarios": ["Cooking"],
        "video_metadata": {"fps": 30.0, "num_frames": round(duration_s * 30), "audio_start_sec": None},
        "split_em": "train",
        "split_av": None,
        "split_fho": None,
        "video_source": "unict",
        "device": "GoPro Hero 4",
        "physical_setting_name": None,
        "fb_participant_id": 17,
        "is_stereo": False,
        "has_imu": True,
        "video_components": [component(0, 0.0, duration_s)],
        "concurrent_sets": None,
        "has_redacted_regions": False,
        "redacted_intervals": [],
    } | changes


def component(index: int, start_s: float, stop_s: float) -> dict[str, Any]:
    return {
        "component_idx": index,
        "canonical_video_start_sec": start_s,
        "canonical_video_end_sec": stop_s,
        "video_metadata": {"video_start_sec": None},
    }


def imu_rows(
    index: int = 0, start_s: float = 0.0, stop_s: float = 4.0, rate_hz: float = 200.0, lead_s: float = 0.0
) -> list[Row]:
    """Return rows of one component: noise about gravity on y, all values different."""
    rng = np.random.default_rng(index)
    own_ms = np.arange(0.0, stop_s - start_s + lead_s, 1 / rate_hz) * 1e3
    gyroscope = rng.normal(0, 0.2, (len(own_ms), 3))
    accelerometer = rng.normal([0, 9.8, 0], 0.5, (len(own_ms), 3))
    canonical_ms = own_ms + (start_s - lead_s) * 1e3
    return [
        [index, own, None if own < lead_s * 1e3 else canonical, *map(float, turned), *map(float, pushed)]
        for own, canonical, turned, pushed in zip(
            own_ms.tolist(), canonical_ms.tolist(), gyroscope, accelerometer, strict=True
        )
    ]


def csv(rows: Sequence[Row], header: str = HEADER) -> bytes:
    lines = (",".join("" if cell is None else str(cell) for cell in row) for row in rows)
    return "\n".join([header, *lines, ""]).encode()


@lru_cache
def mp4(
    seconds: float = 4.0,
    fps: float = 30.0,
    start_s: float = 0.0,
    *,
    index_first: bool = False,
    keyframe_every: int = 60,
) -> bytes:
    """Return a video of 32 by 32 px whose frames differ."""
    count = round(seconds * fps)
    times_ns = np.rint((start_s + np.arange(count) / fps) * 1e9).astype(np.int64)
    rng = np.random.default_rng(0)
    pictures = (rng.integers(0, 255, (32, 32, 3), np.uint8) for _ in range(count))
    file = io.BytesIO()
    write_video(file, pictures, times_ns, Encoding(keyframe_every=keyframe_every, index_first=index_first))
    return file.getvalue()


def narration(time_s: Any, text: Any = "#C C picks up a cup") -> dict[str, Any]:
    return {"timestamp_sec": time_s, "timestamp_frame": 0, "narration_text": text, "annotation_uid": "job"}


def summary(start_s: Any, end_s: Any, text: Any = "#C C was at home") -> dict[str, Any]:
    return {"start_sec": start_s, "end_sec": end_s, "summary_text": text, "annotation_uid": "job"}


def told(narrations: Sequence[Any] = (), summaries: Sequence[Any] = ()) -> dict[str, Any]:
    return {"narrations": list(narrations), "summaries": list(summaries)}


def write(path: Path, data: Any) -> None:
    """Write bytes as they are, anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())


def write_tree(
    root: Path,
    video_entry: dict[str, Any] | None = None,
    rows: Sequence[Row] | bytes | None = None,
    video: bytes | None = None,
    narrations: Any = None,
) -> Path:
    """Write one video under `root/v2`: None leaves a part out."""
    shown = entry() if video_entry is None else video_entry
    write(root / "v2/ego4d.json", {"version": "v2", "videos": [shown]})
    if rows is not None:
        write(root / f"v2/imu/{shown['video_uid']}.csv", rows if isinstance(rows, bytes) else csv(rows))
    if video is not None:
        write(root / f"v2/video_540ss/{shown['video_uid']}.mp4", video)
    if narrations is not None:
        write(root / "v2/annotations/narration.json", narrations)
    return root


def read_one(root: Path) -> Take:
    (source,) = Ego4dReader().index(root)
    return Ego4dReader().read(root, source)


def found(take: Take, rule: str) -> Finding:
    """Return the one finding of `rule`."""
    (finding,) = (finding for finding in take.findings if finding.rule == rule)
    return finding


def rules(take: Take) -> set[str]:
    return {finding.rule for finding in take.findings}
