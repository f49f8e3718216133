"""What `ego4d.json` of a generated tree says, with the fields and the nulls of the real one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sensorloom.ingest.miniature.ego4d_schedule import FRAMES_PER_S, Component, Video

__all__ = ["ego4d_json", "redacted_frames", "redacted_span_s"]

_SOURCES = ("unict", "fair", "iiith")
_SPLITS = ("train", "train", "val", "train", "test", "train", "train", None)
_TICKS_PER_S = 30_000

Entry = dict[str, Any]


def ego4d_json(videos: Sequence[Video]) -> Entry:
    """Return the whole document for `videos`, on disk or not."""
    return {
        "date": "260101",
        "version": "v2",
        "description": "Generated metadata. No person was recorded.",
        "videos": [_video(video) for video in videos],
        "concurrent_video_sets": [],
        "physical_settings": [],
        "clips": [],
    }


def redacted_frames(video: Video) -> range:
    """Return which frames are blank."""
    if "redacted" not in video.quirks:
        return range(0)
    start = round(0.5 * video.num_frames)
    return range(start, start + round(0.1 * video.num_frames))


def redacted_span_s(video: Video) -> tuple[float, float] | None:
    """Return from when to when the picture is blank, in whole frames; None where it never is."""
    blank = redacted_frames(video)
    return (blank.start / FRAMES_PER_S, blank.stop / FRAMES_PER_S) if blank else None


def _video(video: Video) -> Entry:
    is_stereo, redacted = "stereo" in video.quirks, redacted_span_s(video)
    split = _SPLITS[video.number % len(_SPLITS)]
    return {
        "video_uid": video.uid,
        "duration_sec": video.seconds,
        "scenarios": list(video.plan.scenarios),
        "video_metadata": _video_metadata(video.seconds, start_s=0.0, is_stereo=is_stereo),
        "split_em": "multi" if "split-multi" in video.quirks else split,
        "split_av": None,
        "split_fho": split,
        "s3_path": f"s3://generated/{video.uid}",
        "origin_video_id": f"generated-{video.number:04d}",
        "video_source": _SOURCES[video.number % len(_SOURCES)],
        "device": None if video.number % 4 == 3 else "GoPro Hero Black 7",
        "physical_setting_name": None,
        "fb_participant_id": video.participant,
        "is_stereo": is_stereo,
        "has_imu": video.has_imu,
        "has_gaze": False,
        "imu_s3_path": f"s3://generated/imu/{video.uid}" if video.has_imu else None,
        "imu_manifold_path": None,
        "video_components": [_component(video.uid, part) for part in video.components],
        "concurrent_sets": None,
        "has_redacted_regions": redacted is not None,
        "redacted_intervals": [_interval(*redacted)] if redacted else [],
        "gaps": [],
    }


def _video_metadata(seconds: float, start_s: float | None, *, is_stereo: bool = False) -> Entry:
    width = 1920 if is_stereo else 1440
    return {
        "fps": float(FRAMES_PER_S),
        "num_frames": round(seconds * FRAMES_PER_S),
        "video_codec": "vp9",
        "audio_codec": None,
        "display_resolution_width": width,
        "display_resolution_height": 1080,
        "sample_resolution_width": None,
        "sample_resolution_height": None,
        "mp4_duration_sec": seconds,
        "video_start_sec": start_s,
        "video_duration_sec": seconds,
        "audio_start_sec": None,
        "audio_duration_sec": None,
        "video_start_pts": 0,
        "video_duration_pts": round(seconds * _TICKS_PER_S),
        "video_base_numerator": 1,
        "video_base_denominator": _TICKS_PER_S,
    }


def _component(uid: str, part: Component) -> Entry:
    return {
        "video_component_uid": f"{uid[:8]}-component-{part.index}",
        "video_uid": uid,
        "component_idx": part.index,
        "redacted": False,
        "canonical_video_start_sec": part.start_s,
        "canonical_video_end_sec": part.stop_s,
        "canonical_video_start_frame": round(part.start_s * FRAMES_PER_S),
        "canonical_video_end_frame": round(part.stop_s * FRAMES_PER_S),
        "video_metadata": _video_metadata(part.stop_s - part.start_s, part.lead_s or None),
    }


def _interval(start_s: float, stop_s: float) -> Entry:
    return {
        "start_sec": start_s,
        "end_sec": stop_s,
        "start_frame": round(start_s * FRAMES_PER_S),
        "end_frame": round(stop_s * FRAMES_PER_S),
    }
