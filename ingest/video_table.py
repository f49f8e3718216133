"""When each frame of a video file is shown, in whole numbers throughout. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.take import NS_PER_S, check_array

__all__ = ["VideoTable", "exact_times_ns"]

# A century and a quarter; twice that still fits 64 bits of nanoseconds.
_LATEST_S = 4_000_000_000


@dataclass(frozen=True, slots=True)
class VideoTable:
    """The frames of one video stream in the order in which they are shown.

    `pts` int64[F] strictly increases, in ticks of `time_base` (numerator, denominator) seconds; `times_ns` int64[F]
    is the same in nanoseconds, rounded, halves up. A start other than 0 is kept. `width_px`, `height_px` are those of
    the upright picture, as `decode_frames` gives it.

    Doubts: `lost_frames`, named by the index but not in the file, which lacks `missing_bytes` at its end;
    `undecodable_frames` before the first that decodes; `repeated_frames` with the stamp of another. None of the
    three is counted in F. `expected_frames` is F and all of them.
    """

    uri: str
    codec: str
    width_px: int
    height_px: int
    time_base: tuple[int, int]
    pts: NDArray[np.int64]
    times_ns: NDArray[np.int64]
    lost_frames: int
    missing_bytes: int
    undecodable_frames: int
    repeated_frames: int

    def __post_init__(self) -> None:
        check_array(f"{self.uri}.pts", self.pts, np.int64, (None,))
        check_array(f"{self.uri}.times_ns", self.times_ns, np.int64, (len(self.pts),))

    @property
    def num_frames(self) -> int:
        """Number of frames that can be decoded, F."""
        return len(self.pts)

    @property
    def expected_frames(self) -> int:
        """Number of frames that the container claims to show."""
        return self.num_frames + self.lost_frames + self.undecodable_frames + self.repeated_frames

    def __repr__(self) -> str:
        size = f"{self.width_px} by {self.height_px} px"
        return f"VideoTable({self.uri}, {self.num_frames} of {self.expected_frames} frames, {self.codec}, {size})"


def exact_times_ns(pts: NDArray[np.int64], time_base: tuple[int, int], uri: str) -> NDArray[np.int64]:
    """Return `pts` int64[F], sorted, of `time_base` seconds each in nanoseconds int64[F], rounded, halves up.

    Raises `RawFileError` about `uri` for times that do not fit.
    """
    num, den = time_base
    beyond = [int(end) for end in (pts[0], pts[-1]) if abs(int(end)) * num > _LATEST_S * den]
    if beyond:
        raise RawFileError(
            f"{uri}: a frame at pts {beyond[0]} of {num}/{den} s each lies beyond {_LATEST_S} s; the index is damaged"
        )
    # Seconds and remainder apart: pts × 10⁹ would overflow; both products here are below 2⁶².
    seconds, ticks = np.divmod(pts * num, den)
    times_ns: NDArray[np.int64] = seconds * NS_PER_S + (ticks * NS_PER_S + den // 2) // den
    return times_ns
