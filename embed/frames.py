"""Which frames of a camera are embedded: those that stand for the multiples of 100 ms on the take clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.timeline import SLOW_STEP_NS, VideoTrack
from sensorloom.align.video import select_frames
from sensorloom.ingest.take import check_array

__all__ = ["FRAME_RULE", "CameraFrames", "lattice_frames"]

FRAME_RULE = "nearest frame to each 100 ms of the take clock, at most 50 ms away"


@dataclass(frozen=True, slots=True)
class CameraFrames:
    """The frames of one camera to embed, by their stamps: `pts` int64[N], rising, in ticks of `time_base` seconds."""

    name: str
    view: str
    uri: str
    rendition: str
    time_base: tuple[int, int]
    pts: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_array(f"{self.name}.pts", self.pts, np.int64, (None,))

    def __repr__(self) -> str:
        return f"CameraFrames({self.name}, {self.view}, {len(self.pts)} frames)"

    def seconds(self, row: int) -> float:
        """Return when frame `row` is shown, in seconds of its file."""
        num, den = self.time_base
        return int(self.pts[row]) * num / den


def lattice_frames(video: VideoTrack) -> CameraFrames:
    """Return every frame of `video` that a window may ask for at its 10 instants a second, each once.

    An instant is asked for where a frame lies at most 50 ms away, so the two multiples of 100 ms around each frame are
    all that count: the cost depends on the number of frames, not on the span of their times.
    """
    before = np.unique(video.times_ns // SLOW_STEP_NS)
    instants = np.union1d(before, before + 1) * SLOW_STEP_NS
    chosen = np.unique(select_frames(video.times_ns, instants))
    return CameraFrames(
        name=video.name,
        view=video.view,
        uri=video.uri,
        rendition=video.rendition,
        time_base=video.time_base,
        pts=np.array(video.pts[chosen[chosen >= 0]], np.int64),
    )
