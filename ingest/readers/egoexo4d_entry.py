"""One entry of Ego-Exo4D's `takes.json`: who, which cameras, where files are said to be, which rows of `timesync.csv`.

Layout from docs.ego-exo4d-data.org (metadata). What is said of files are JSON nodes, so that refusing a path names
where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sensorloom.ingest.frames import FRAMES_PER_S
from sensorloom.ingest.jsonfile import Node
from sensorloom.ingest.take import Finding

__all__ = ["Camera", "TakeEntry", "identify", "parse_entry"]

_PSEUDO = ("collage", "best_exo")
# Walk-around phones, which have no frame-aligned video; the second is the data set's own slip.
_WALKAROUND = ("mobile", "moblie")
_COLOUR = "rgb"
_NAME = re.compile(r"(?!\.)[\w\-. ]{1,200}", re.ASCII)
# Names of cameras stand in paths, in columns of timesync.csv and in the targets of findings.
_CAMERA = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_MOST_ROWS = 24 * 3600 * FRAMES_PER_S
_LONGEST_S = 24 * 3600.0
_FACTS = (
    "take_uid", "task_id", "task_name", "parent_task_name", "best_exo", "university_name", "task_start_sec",
    "task_end_sec", "duration_sec", "is_narrated",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that is read, with the path that its frame-aligned video is said to have below the take's folder."""

    name: str
    view: Literal["ego", "exo"]
    relative_path: Node


@dataclass(frozen=True, slots=True)
class TakeEntry:
    """What one take's entry says. `aria` is the ego camera, None where none is named; `row_range` as given."""

    take_name: str
    take_uid: str
    root_dir: Node
    capture_name: Node
    participant: str | None
    aria: str | None
    cameras: tuple[Camera, ...]
    vrs_paths: tuple[Node, ...]
    row_range: tuple[int, int] | None
    duration_s: float | None
    facts: dict[str, str]
    findings: tuple[Finding, ...]


def identify(entry: Node) -> tuple[str, str]:
    """Return name and uid of a take, which stand in paths and ids; raises `RawFileError` where they cannot."""
    nodes = (entry.get("take_name"), entry.get("take_uid"))
    for node in nodes:
        if not _NAME.fullmatch(node.text()):
            node.fail("a name of letters, digits, '_', '-', '.' and blanks")
    return nodes[0].text(), nodes[1].text()


def parse_entry(entry: Node, target: str) -> TakeEntry:
    """Read one take's entry; findings are about `target`.

    Raises `RawFileError` with the JSON path of what is missing or of another type than documented.
    """
    take_name, take_uid = identify(entry)
    capture = entry.get("capture")
    flags = {
        _camera_id(camera.get("cam_id")): _flag(camera, "is_ego") for camera in capture.get("cameras").items()
    }
    arias = sorted(name for name, is_ego in flags.items() if is_ego and name.startswith("aria"))
    aria = arias[0] if arias else None
    listed = entry.optional("frame_aligned_videos")
    named = listed.members() if listed else ()
    videos = {_camera_id(Node(key, node.where)): node for key, node in named if not node.is_null}
    duration = entry.optional("duration_sec")
    participant = entry.optional("participant_uid")
    paths = (entry.optional(key) for key in ("vrs_relative_path", "vrs_all_streams_relative_path"))
    return TakeEntry(
        take_name=take_name,
        take_uid=take_uid,
        root_dir=entry.get("root_dir"),
        capture_name=capture.get("capture_name"),
        participant=None if participant is None else str(participant.integer()),
        aria=aria,
        cameras=tuple(_cameras(videos, flags, aria)),
        vrs_paths=tuple(path for path in paths if path is not None),
        row_range=_row_range(entry),
        duration_s=None if duration is None else duration.seconds(1 / FRAMES_PER_S, _LONGEST_S),
        facts=dict(_facts(entry)),
        findings=(
            *_gate_findings(entry, capture, target),
            *_camera_findings(flags, arias, videos, target),
        ),
    )


def _camera_id(node: Node) -> str:
    if not _CAMERA.fullmatch(node.text()):
        node.fail("a camera's name of letters, digits, '_', '-' and '.', a letter or digit first")
    return node.text()


def _flag(node: Node, key: str) -> bool:
    """Return a member that may be absent, null or spelled as a string."""
    member = node.optional(key)
    return member is not None and member.spelled_flag()


def _cameras(videos: dict[str, Node], flags: dict[str, bool], aria: str | None) -> Iterator[Camera]:
    """Yield the ego camera and the fixed ones. A head-mounted GoPro (UPenn's gp05) is neither; other Arias neither."""
    for name, streams in sorted(videos.items()):
        if name in (*_PSEUDO, *_WALKAROUND):
            continue
        is_ego = name == aria
        if not is_ego and (name.startswith("aria") or flags.get(name, False)):
            continue
        stream = streams.optional(_COLOUR if is_ego else "0")
        path = None if stream is None else stream.optional("relative_path")
        if path is not None:
            yield Camera(name, "ego" if is_ego else "exo", path)


def _row_range(entry: Node) -> tuple[int, int] | None:
    start, end = entry.optional("timesync_start_idx"), entry.optional("timesync_end_idx")
    if start is None or end is None:
        return None
    if start.integer() < 0:
        start.fail("a row of timesync.csv, 0 or more")
    if end.integer() <= start.integer():
        end.fail(f"a row of timesync.csv behind timesync_start_idx, {start.integer()}")
    if end.integer() >= _MOST_ROWS:
        end.fail(f"a row of a day's table, below {_MOST_ROWS}")
    return start.integer(), end.integer()


def _facts(entry: Node) -> Iterator[tuple[str, str]]:
    for key in _FACTS:
        node = entry.optional(key)
        if node is None:
            continue
        if isinstance(node.value, bool):
            yield key, str(node.value).lower()
        elif isinstance(node.value, int | float):
            yield key, f"{node.number():.15g}"
        else:
            yield key, node.text().strip()


def _gate_findings(entry: Node, capture: Node, target: str) -> Iterator[Finding]:
    """Tell what the data set's authors themselves hold against the take (lessons.md 0.6)."""
    if _flag(entry, "is_dropped"):
        sentence = "takes.json marks the take as dropped: its authors do not count it to the data set"
        yield Finding(target, "take-dropped", "error", sentence)
    for node, key, what in (
        (entry, "validated", "this take's synchronisation"),
        (capture, "timesync_validated", "the capture's timesync.csv"),
    ):
        if node.optional(key) is not None and not _flag(node, key):
            sentence = f"{key} is false: nobody has checked {what} by hand; frames may be off"
            yield Finding(target, "timesync-unvalidated", "warning", sentence)


def _camera_findings(
    flags: dict[str, bool], arias: list[str], videos: dict[str, Node], target: str
) -> Iterator[Finding]:
    if not arias:
        sentence = "no camera is an Aria flagged is_ego: no ego video and no IMU is read"
        yield Finding(target, "ego-camera", "error", sentence, {"count": 0})
    elif len(arias) > 1:
        named = f"{len(arias)} cameras are Aria glasses flagged is_ego: {', '.join(arias)}"
        yield Finding(target, "ego-camera", "warning", f"{named}; {arias[0]} is read", {"count": len(arias)})
    names = set(flags) | set(videos)
    walkaround = sorted(names & set(_WALKAROUND))
    worn = sorted(name for name in names if flags.get(name) and not name.startswith("aria"))
    for left, why in ((walkaround, "has no frame-aligned video"), (worn, "is worn, but is not the Aria")):
        if left:
            sentence = f"not read: {', '.join(left)} {why}"
            yield Finding(target, "camera-left-out", "note", sentence, {"count": len(left)})
    streams = sorted(key for name in arias[:1] if name in videos for key, _ in videos[name].members())
    others = [key for key in streams if key != _COLOUR]
    if others:
        sentence = f"of {arias[0]} only the colour camera is read, not {', '.join(others)}"
        yield Finding(target, "stream-left-out", "note", sentence, {"count": len(others)})
