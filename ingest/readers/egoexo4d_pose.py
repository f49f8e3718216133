"""Ego-Exo4D's body pose: `ego_pose/<split>/body/{annotation,automatic}/<take_uid>.json` (docs: annotations/ego_pose).

`{"<frame>": [{"annotation3D": {joint: {x, y, z, …}}}]}`: keys are frame numbers of the frame-aligned videos as text, in
no order and with uneven steps; joints that were not seen are absent. Metres in the fixed world frame of the Aria's
trajectory, z up. Published code kept (x, y, flag) for want of a key (methods.md §0): here xyz are xyz.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.frames import frame_times_ns
from sensorloom.ingest.jsonfile import Node, read_json
from sensorloom.ingest.take import Finding, MocapStream, Severity, counted

__all__ = ["JOINTS", "read_pose", "read_poses"]

JOINTS = (
    "nose", "left-eye", "right-eye", "left-ear", "right-ear", "left-shoulder", "right-shoulder", "left-elbow",
    "right-elbow", "left-wrist", "right-wrist", "left-hip", "right-hip", "left-knee", "right-knee", "left-ankle",
    "right-ankle",
)  # fmt: skip
"""The 17 joints of COCO in its order, left before right."""

_SOURCES: tuple[Literal["annotation", "automatic"], ...] = ("annotation", "automatic")
_FRAME_KEY = re.compile(r"[0-9]{1,9}")
# No room is that large: a coordinate beyond is a failed triangulation.
_FARTHEST_M = 1000.0


@dataclass(slots=True)
class _Doubts:
    """What was odd, counted, with where it first was."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, rule: str, what: str, count: int = 1) -> None:
        self.counts[rule] = self.counts.get(rule, 0) + count
        self.first.setdefault(rule, what)


# Rule: its severity, and what the counted things are, as a sentence needs it.
_RULES: dict[str, tuple[Severity, str]] = {
    "mocap-frame-key": ("warning", "key that is no frame number or repeats one"),
    "mocap-beyond-take": ("warning", "frame beyond the take's last"),
    "mocap-empty-frame": ("note", "frame without a body"),
    "mocap-malformed-frame": ("warning", "frame left out, not as the data set documents it"),
    "mocap-several-bodies": ("warning", "frame with several bodies, the first of which is read"),
    "mocap-extra-joint": ("note", "joint that is none of the 17"),
    "mocap-bad-joint": ("warning", f"joint left out, its xyz not three numbers within {_FARTHEST_M:g} m"),
}


def read_poses(
    root: Path, uris: Mapping[str, str], num_frames: int | None, target: str
) -> tuple[tuple[MocapStream, ...], list[Finding]]:
    """Read a take's pose files by source; one that cannot be read is an error finding."""
    streams: list[MocapStream] = []
    findings: list[Finding] = []
    for source in _SOURCES:
        uri = uris.get(source)
        if uri is None:
            continue
        try:
            stream, doubts = read_pose(root / uri, uri, source, num_frames, target)
        except RawFileError as error:
            findings.append(Finding(target, "unreadable-file", "error", str(error)))
        else:
            streams.append(stream)
            findings += doubts
    return tuple(streams), findings


def read_pose(
    path: Path, uri: str, source: Literal["annotation", "automatic"], num_frames: int | None, target: str
) -> tuple[MocapStream, tuple[Finding, ...]]:
    """Read one body pose file: N frames by number, at frame/30 s on the clock `pose-frames`, with findings.

    Frames at or beyond `num_frames` of the take are left out. Raises `RawFileError` where the file is no JSON object or
    holds no body.
    """
    doubts = _Doubts()
    bodies = dict(_bodies(read_json(path, uri), num_frames, doubts))
    if not bodies:
        raise RawFileError(f"{uri}: $: no frame of the take has a body in it")
    frames = np.array(sorted(bodies), np.int64)
    values = np.full((len(frames), len(JOINTS), 3), np.nan, np.float32)
    for row, frame in enumerate(frames.tolist()):
        _place_joints(bodies[frame], values[row], doubts)
    present = ~np.isnan(values[:, :, 0])
    stream = MocapStream(source, "pose-frames", JOINTS, frame_times_ns(frames), values, present)
    return stream, (*_doubt_findings(doubts, source, target), *_flat_findings(stream, target))


def _bodies(document: Node, num_frames: int | None, doubts: _Doubts) -> Iterator[tuple[int, Node]]:
    """Yield the frame number and the joints of each frame that has a body."""
    seen: set[int] = set()
    for key, entries in document.members():
        frame = int(key) if _FRAME_KEY.fullmatch(key) else None
        if frame is None or frame in seen:
            doubts.add("mocap-frame-key", entries.where)
            continue
        seen.add(frame)
        if num_frames is not None and frame >= num_frames:
            doubts.add("mocap-beyond-take", entries.where)
            continue
        try:
            joints = _first_body(entries, doubts)
        except RawFileError as error:
            doubts.add("mocap-malformed-frame", str(error))
            continue
        if joints is None:
            doubts.add("mocap-empty-frame", entries.where)
        else:
            yield frame, joints


def _first_body(entries: Node, doubts: _Doubts) -> Node | None:
    """Return the joints of a frame's first body, an object of one or more; None where it has none or they are null."""
    bodies = [] if entries.is_null else list(entries.items())
    if len(bodies) > 1:
        doubts.add("mocap-several-bodies", entries.where)
    if not bodies or bodies[0].is_null:
        return None
    joints = bodies[0].optional("annotation3D")
    return joints if joints is not None and list(joints.members()) else None


def _place_joints(joints: Node, row: NDArray[np.float32], doubts: _Doubts) -> None:
    """Fill `row` float32[17, 3] with the joints that are there."""
    for name, joint in joints.members():
        if name not in JOINTS:
            doubts.add("mocap-extra-joint", joint.where)
            continue
        xyz = [joint.value.get(axis) for axis in "xyz"] if isinstance(joint.value, dict) else [None]
        if all(_is_coordinate(value) for value in xyz):
            row[JOINTS.index(name)] = xyz
        else:
            doubts.add("mocap-bad-joint", f"{joint.where} = {joint.value!r}"[:200])


def _is_coordinate(value: Any) -> bool:
    """Tell whether a value is a number of metres; NaN compares false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FARTHEST_M


def _doubt_findings(doubts: _Doubts, source: str, target: str) -> Iterator[Finding]:
    for rule, (severity, what) in _RULES.items():
        count = doubts.counts.get(rule, 0)
        if count:
            noun, _, rest = what.partition(" ")
            sentence = f"{source} pose: {counted(count, noun)} {rest}, first {doubts.first[rule]}"
            yield Finding(target, rule, severity, sentence, {"count": count})


def _flat_findings(stream: MocapStream, target: str) -> Iterator[Finding]:
    """Tell of an axis on which no joint ever differs: no body is flat, a flag was stored for a coordinate."""
    points = stream.values[stream.present]
    for place, axis in enumerate("xyz"):
        along = points[:, place]
        if len(along) > 1 and np.ptp(along) == 0:
            sentence = f"{stream.source} pose: {axis} is {along[0]:g} m for every joint of every frame: never measured"
            yield Finding(
                target,
                "mocap-constant-axis",
                "error",
                sentence,
                {"value_m": float(along[0]), "count": len(along)},
            )
