"""The aligned take: one clock, one 200 Hz grid, a quality code for every sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, LabelInterval, TextEvent, check_array

__all__ = [
    "GRID_RATE_HZ",
    "GRID_STEP_NS",
    "SLOW_RATE_HZ",
    "SLOW_STEP_NS",
    "AlignedTake",
    "Grid",
    "ImuTrack",
    "MocapTrack",
    "Quality",
    "ScalarTrack",
    "VideoTrack",
]

GRID_RATE_HZ = 200
GRID_STEP_NS = NS_PER_S // GRID_RATE_HZ
SLOW_RATE_HZ = 10
"""Of video frames and mocap rows."""
SLOW_STEP_NS = NS_PER_S // SLOW_RATE_HZ


class Quality(IntEnum):
    """What stands behind one sample of a track. Everything but INVALID carries a usable value."""

    INVALID = 0
    """No value: outside the recording, in a break, or in a gap longer than the limit. Stored as 0.0."""
    VALID = 1
    """Resampled from recorded samples at their recorded times."""
    INTERPOLATED = 2
    """Bridges missing samples, over less than the gap limit."""
    RETIMED = 3
    """Resampled from recorded samples whose stall-and-burst stamps were spread back."""


@dataclass(frozen=True, slots=True)
class Grid:
    """`num_samples` instants `start_ns + i * 5 ms`; `start_ns` is a multiple of the step, on the take clock."""

    start_ns: int
    num_samples: int

    def __post_init__(self) -> None:
        if self.start_ns % GRID_STEP_NS:
            raise ValueError(f"a grid starts on a multiple of {GRID_STEP_NS} ns, got {self.start_ns} ns")
        if self.num_samples < 0:
            raise ValueError(f"a grid cannot have {self.num_samples} samples")

    @property
    def stop_ns(self) -> int:
        """End of the last sample's step, so that `[start_ns, stop_ns)` covers the grid."""
        return self.start_ns + self.num_samples * GRID_STEP_NS

    def index(self, time_ns: int) -> int:
        """Return the index of the first sample at or after `time_ns` (may lie outside the grid)."""
        return -((self.start_ns - time_ns) // GRID_STEP_NS)

    @classmethod
    def covering(cls, first_ns: int, last_ns: int) -> Grid:
        """Return the grid of all instants in `[first_ns, last_ns]`."""
        start = -(-first_ns // GRID_STEP_NS) * GRID_STEP_NS
        return cls(start, max(0, (last_ns - start) // GRID_STEP_NS + 1))


@dataclass(frozen=True, slots=True)
class ImuTrack:
    """One position on the grid: `values` float32[T, 6] (accelerometer xyz in m/s² with gravity, gyroscope
    xyz in rad/s), `quality` uint8[T, 2] (accelerometer, gyroscope) of `Quality` codes. A sensor that was never there
    is INVALID throughout.
    """  # noqa: D205

    position: str
    device: str
    values: NDArray[np.float32]
    quality: NDArray[np.uint8]

    def __post_init__(self) -> None:
        check_array(f"{self.position}.values", self.values, np.float32, (None, 6))
        check_array(f"{self.position}.quality", self.quality, np.uint8, (len(self.values), 2))

    def __repr__(self) -> str:
        return f"ImuTrack({self.position}, {list(self.values.shape)})"


@dataclass(frozen=True, slots=True)
class ScalarTrack:
    """A slow stream kept at its own times on the take clock: `times_ns` int64[N], `values` float32[N], no NaN."""

    kind: str
    position: str
    unit: str
    times_ns: NDArray[np.int64]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        check_array(f"{self.kind}.times_ns", self.times_ns, np.int64, (None,))
        check_array(f"{self.kind}.values", self.values, np.float32, (len(self.times_ns),))

    def __repr__(self) -> str:
        return f"ScalarTrack({self.position}/{self.kind}, [{len(self.values)}] {self.unit})"


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """One camera on the take clock: `times_ns` int64[F] when each frame is shown, strictly increasing.

    `pts` int64[F] are the same frames in the file's own ticks of `time_base` seconds, by which a decoder finds them in
    `uri` (relative to the raw root).
    """

    name: str
    view: str
    uri: str
    rendition: str
    time_base: tuple[int, int]
    width_px: int
    height_px: int
    is_stereo: bool
    times_ns: NDArray[np.int64]
    pts: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_array(f"{self.name}.times_ns", self.times_ns, np.int64, (None,))
        check_array(f"{self.name}.pts", self.pts, np.int64, (len(self.times_ns),))

    def __repr__(self) -> str:
        return f"VideoTrack({self.name}, {self.view}, {len(self.times_ns)} frames)"


@dataclass(frozen=True, slots=True)
class MocapTrack:
    """Body joints every 100 ms from `start_ns`: `values` float32[M, J, 3] metres, `quality` uint8[M, J].

    `start_ns` is the first annotated instant, whatever its phase, so that annotated rows stand as they were recorded
    (VALID); rows between them are linear in time (INTERPOLATED) where the joint's gap is at most 5 s, else 0.0.
    """

    source: str
    joints: tuple[str, ...]
    start_ns: int
    values: NDArray[np.float32]
    quality: NDArray[np.uint8]

    def __post_init__(self) -> None:
        joints = len(self.joints)
        check_array(f"mocap {self.source}.values", self.values, np.float32, (None, joints, 3))
        check_array(f"mocap {self.source}.quality", self.quality, np.uint8, (len(self.values), joints))

    def __repr__(self) -> str:
        return f"MocapTrack({self.source}, {list(self.values.shape)} m)"


@dataclass(frozen=True, slots=True)
class AlignedTake:
    """A take on its one clock: every IMU track shares `grid`; all other times are on the same clock.

    `videos` stand ego first, then the exo cameras by name. `events` are in time order.
    """

    take_id: str
    dataset: str
    capture_id: str
    participant_id: str
    official_split: str | None
    grid: Grid
    imu: tuple[ImuTrack, ...]
    scalars: tuple[ScalarTrack, ...] = ()
    videos: tuple[VideoTrack, ...] = ()
    mocap: MocapTrack | None = None
    events: tuple[TextEvent, ...] = ()
    labels: tuple[LabelInterval, ...] = ()
    breaks: tuple[Interval, ...] = ()
    clock_maps: tuple[ClockMap, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        for track in self.imu:
            if len(track.values) != self.grid.num_samples:
                raise ValueError(
                    f"{self.take_id}: track {track.position} has {len(track.values)} samples,"
                    f" the grid {self.grid.num_samples}"
                )

    def __repr__(self) -> str:
        seconds = self.grid.num_samples / GRID_RATE_HZ
        positions = ", ".join(track.position for track in self.imu)
        return f"AlignedTake({self.take_id}, {seconds:.1f} s, imu: {positions})"
