"""A take as the audit looks at it: its aligned tracks, and what the embedding pass kept of its cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from sensorloom.align.stage import load_aligned
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import AlignedTake, VideoTrack
from sensorloom.store.arrays import ArrayShard
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository

__all__ = ["load_take"]


def load_take(
    repo: Repository, streams: Shard, frames: Shard | None
) -> tuple[AlignedTake, tuple[CameraMotion, ...]]:
    """Open a take and the motion of its cameras; arrays are memory maps on a local store.

    A camera without facts of its frames is left out, and so is one whose facts are of another file or of frames that
    it no longer has: they are of an earlier version of the take.
    """
    shard = repo.open_arrays(streams)
    aligned = load_aligned(shard)
    if frames is None:
        return aligned, ()
    facts, files = repo.open_arrays(frames), _digests(shard.attributes, "sources", "uri")
    filmed = _digests(facts.attributes, "cameras", "name")
    cameras = (
        _camera(video, facts)
        for video in aligned.videos
        if files.get(video.uri) in (None, filmed.get(video.name))
    )
    return aligned, tuple(camera for camera in cameras if camera is not None)


def _digests(attributes: Mapping[str, Any], records: str, name: str) -> dict[str, str]:
    found = cast("list[Mapping[str, str]]", attributes.get(records) or [])
    return {record[name]: record["sha256"] for record in found}


def _camera(video: VideoTrack, facts: ArrayShard) -> CameraMotion | None:
    prefix = f"video.{video.name}/"
    if f"{prefix}pts" not in facts:
        return None
    pts = np.asarray(facts[f"{prefix}pts"])
    if not np.isin(pts, video.pts).all():
        return None
    named = {name.removeprefix(prefix): facts[name] for name in facts if name.startswith(prefix)}
    return CameraMotion.of(video, pts, named)
