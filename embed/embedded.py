"""An aligned take as its cached vectors show it: cameras without the frames that have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.instants import camera_tracks
from sensorloom.align.timeline import AlignedTake, VideoTrack
from sensorloom.align.view import View
from sensorloom.embed.errors import VectorError
from sensorloom.ingest.take import Finding, counted

__all__ = ["CachedCamera", "CachedVectors", "EmbeddedTake", "narrow", "not_embedded"]


@dataclass(frozen=True, slots=True)
class CachedVectors:
    """The vectors of one take by an encoder of width `dim`: `arrays` by name as they are stored.

    `files` are the digests of the video files that they were made of, by camera.
    """

    encoder: str
    dim: int
    arrays: Mapping[str, NDArray[Any]]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CachedCamera:
    """Unit vectors float16[N, D] of a camera and their norms float32[N] before they were normalised.

    Of the frames that have a sound one, int64[K] `places` are their places in the camera's own track, `rows` those in
    `vectors`.
    """

    vectors: NDArray[np.float16]
    norms: NDArray[np.float32]
    places: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"CachedCamera({list(self.vectors.shape)}, {len(self.rows)} frames)"


@dataclass(frozen=True, slots=True)
class EmbeddedTake:
    """A take whose cameras hold only frames that have a vector; `cameras` are these vectors by the camera's name.

    `lacking` are the cameras of the view that have frames, and no vectors of them; `left_out` counts texts of the
    view's sources that were left out, as the take was never embedded.
    """

    aligned: AlignedTake
    cameras: Mapping[str, CachedCamera]
    lacking: tuple[str, ...] = ()
    left_out: int = 0


def narrow(
    aligned: AlignedTake, view: View, cached: CachedVectors | None, digests: Mapping[str, str]
) -> EmbeddedTake:
    """Return the take with each of the view's cameras narrowed to the frames that have a vector in `cached`.

    So what counts and drops frames takes one that does not decode as missing. A camera whose vectors are not there, or
    were made of another file than the one with the digest that `digests` gives for its uri, has no frame left. Without
    `cached` the take is not embedded, its texts neither: it has no text left of the view's sources.
    Raises `VectorError` where vectors are not as wide as the encoder, or not as many as their frames.
    """
    tracks = {track.name: track for track in camera_tracks(aligned, view) if track is not None}
    cameras = {
        name: _cached_camera(aligned.take_id, track, cached)
        for name, track in tracks.items()
        if cached is not None and _is_of(cached, track, digests)
    }
    lacking = tuple(name for name, track in tracks.items() if name not in cameras and len(track.times_ns))
    videos = tuple(
        _only(video, cameras.get(video.name)) if video.name in tracks else video for video in aligned.videos
    )
    events = tuple(event for event in aligned.events if cached is not None or event.source not in view.texts)
    narrowed = replace(aligned, videos=videos, events=events)
    return EmbeddedTake(narrowed, cameras, lacking, len(aligned.events) - len(events))


def not_embedded(take: EmbeddedTake, view: View, encoder: str) -> list[Finding]:
    """Return the finding that `encoder` has no vectors of cameras or texts of the take; none where it has all."""
    masked = [f"{', '.join(take.lacking)} masked"] if take.lacking else []
    masked += [f"{counted(take.left_out, 'text')} left out"] if take.left_out else []
    if not masked:
        return []
    sentence = (
        f"{view.name}: {' and '.join(masked)}, as {encoder} has no vectors of the take as it is now;"
        " run `sensorloom embed`, then build again"
    )
    numbers = {"cameras": len(take.lacking), "texts": take.left_out}
    return [Finding(take.aligned.take_id, "take-not-embedded", "warning", sentence, numbers)]


def _is_of(cached: CachedVectors, track: VideoTrack, digests: Mapping[str, str]) -> bool:
    digest = digests.get(track.uri)
    return f"video.{track.name}/pts" in cached.arrays and (
        digest is None or cached.files.get(track.name) == digest
    )


def _cached_camera(take_id: str, track: VideoTrack, cached: CachedVectors) -> CachedCamera:
    pts, vectors, norms, valid = (
        cached.arrays[f"video.{track.name}/{name}"] for name in ("pts", "vectors", "norms", "valid")
    )
    if vectors.shape != (len(pts), cached.dim):
        raise VectorError(
            f"{take_id}: vectors of camera {track.name} must be {[len(pts), cached.dim]} by encoder {cached.encoder},"
            f" the store has {list(vectors.shape)}; run `sensorloom embed` again"
        )
    rows = np.searchsorted(pts, track.pts).clip(0, max(0, len(pts) - 1))
    has_vector = np.zeros(len(track.pts), np.bool_)
    if len(pts):
        has_vector = (pts[rows] == track.pts) & valid[rows]
    return CachedCamera(vectors, norms, np.flatnonzero(has_vector), rows[has_vector])


def _only(video: VideoTrack, camera: CachedCamera | None) -> VideoTrack:
    places = np.empty(0, np.int64) if camera is None else camera.places
    return replace(video, times_ns=video.times_ns[places], pts=video.pts[places])
