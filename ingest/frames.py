"""When the frames of a video of constant rate are, by their number. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_S

__all__ = ["FRAMES_PER_S", "frame_times_ns"]

FRAMES_PER_S = 30
"""Of canonical and of frame-aligned videos, and of what is annotated by their frame numbers."""


def frame_times_ns(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return round(frame × 10⁹ / 30) int64[N] of frame numbers int64[N], in whole numbers throughout."""
    times_ns: NDArray[np.int64] = (frames * NS_PER_S + FRAMES_PER_S // 2) // FRAMES_PER_S
    return times_ns
