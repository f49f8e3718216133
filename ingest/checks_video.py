"""What is doubtful about a video file as recorded, as `Finding` rows. Pure.

video-cut            warning   the file ends early: frames that its index names are not in it
undecodable-frames   warning   frames at the start that no decoder yields: their references were cut away
repeated-frames      warning   frames shown at the time of another one: only the first of them is kept
"""

from __future__ import annotations

from sensorloom.ingest.take import Finding
from sensorloom.ingest.video_table import VideoTable

__all__ = ["video_findings"]


def video_findings(table: VideoTable, target: str) -> tuple[Finding, ...]:
    """Return the doubts that a table tells of, each finding about `target`, `take#camera`."""
    of_all = f"of the {table.expected_frames} frames that {table.uri} names"
    doubts = (
        (
            "video-cut",
            bool(table.lost_frames or table.missing_bytes),
            f"{table.lost_frames} {of_all} are not in the file, which lacks {table.missing_bytes} bytes at its end",
            {"lost_frames": table.lost_frames, "missing_bytes": table.missing_bytes},
        ),
        (
            "undecodable-frames",
            bool(table.undecodable_frames),
            f"the first {table.undecodable_frames} {of_all} cannot be decoded: what they are built on was cut away",
            {"frames": table.undecodable_frames},
        ),
        (
            "repeated-frames",
            bool(table.repeated_frames),
            f"{table.repeated_frames} {of_all} are shown at the time of another one and left out",
            {"frames": table.repeated_frames},
        ),
    )
    return tuple(
        Finding(target, rule, "warning", sentence, numbers)
        for rule, is_there, sentence, numbers in doubts
        if is_there
    )
