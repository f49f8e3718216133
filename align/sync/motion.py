"""What cameras and mocap show of motion: signals that an estimate of offset and drift compares with an IMU.

A value stands for the middle of the time that it is a mean over, so that nothing here moves anything in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.sync.signal import MotionSignal
from sensorloom.align.timeline import SLOW_STEP_NS, MocapTrack, Quality, VideoTrack
from sensorloom.ingest.take import NS_PER_S, check_array

__all__ = [
    "HEAD_JOINTS",
    "MOCAP_REACH_NS",
    "CameraMotion",
    "camera_energy",
    "camera_rotation",
    "head_acceleration",
]

Floats = NDArray[np.float64]

HEAD_JOINTS = ("nose", "left-eye", "right-eye", "left-ear", "right-ear")
"""One rigid body: each of them accelerates as the head does, but for its turning."""
_MOCAP_REACH = 2
MOCAP_REACH_NS = _MOCAP_REACH * SLOW_STEP_NS
"""Between the places of a second difference: noise of 15 mm makes 0.9 m/s² of 200 ms, and 3.7 m/s² of 100 ms."""

_ROUNDING = 0.01  # share of a value's 100 ms that may lie outside what was seen


@dataclass(frozen=True, slots=True)
class CameraMotion:
    """What the embedding pass kept of one camera, F frames at `times_ns` int64[F] of the take clock.

    `motion` float32[F, 3] is how the content moved from the frame before: right and down in parts of the picture's
    short side, turn in rad; it holds only where `motion_valid`. `residual` is the mean grey difference left after it.
    All of it is told with `embed.facts.FrameFacts`.
    """

    name: str
    view: str
    times_ns: NDArray[np.int64]
    motion: NDArray[np.float32]
    motion_valid: NDArray[np.bool_]
    residual: NDArray[np.float32]
    brightness: NDArray[np.float32]
    contrast: NDArray[np.float32]
    is_black: NDArray[np.bool_]
    is_frozen: NDArray[np.bool_]
    is_decoded: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.times_ns)
        check_array(f"{self.name}.times_ns", self.times_ns, np.int64, (None,))
        check_array(f"{self.name}.motion", self.motion, np.float32, (count, 3))
        for name in ("residual", "brightness", "contrast"):
            check_array(f"{self.name}.{name}", getattr(self, name), np.float32, (count,))
        for name in ("motion_valid", "is_black", "is_frozen", "is_decoded"):
            check_array(f"{self.name}.{name}", getattr(self, name), np.bool_, (count,))

    @classmethod
    def of(
        cls, video: VideoTrack, pts: NDArray[np.int64], facts: Mapping[str, NDArray[np.generic]]
    ) -> CameraMotion:
        """Return the motion of `video` from its frames `pts` int64[F] and their facts by name, as the store has them.

        Raises `ValueError` for a frame that the video does not have.
        """
        rows = np.searchsorted(video.pts, pts)
        known = rows < len(video.pts)
        known[known] = video.pts[rows[known]] == pts[known]
        if not known.all():
            raise ValueError(
                f"{video.name}: frame facts tell of pts {int(pts[~known][0])}, which the video does not have;"
                " embed the take again"
            )
        arrays = [one.name for one in fields(cls)][3:]
        return cls(
            video.name, video.view, video.times_ns[rows], *(np.asarray(facts[name]) for name in arrays)
        )

    @property
    def tells(self) -> NDArray[np.bool_]:
        """Return bool[F], frames whose change from the one before is what happened between them.

        The first picture after one that stood still catches up with all that was missed.
        """
        lost = self.is_frozen | self.is_black
        told: NDArray[np.bool_] = self.motion_valid & self.is_decoded & ~lost
        told[1:] &= ~lost[:-1]
        return told

    def __repr__(self) -> str:
        return f"CameraMotion({self.name}, {self.view}, {len(self.times_ns)} frames)"


def camera_rotation(camera: CameraMotion) -> MotionSignal:
    """Return how fast the picture moves [N, 3] every 100 ms: right and down in short sides a second, turn in rad/s."""
    return _rates(camera, camera.motion.astype(np.float64))


def camera_energy(camera: CameraMotion) -> MotionSignal:
    """Return how much moves before a camera that stands [N, 1], in grey levels a second, every 100 ms."""
    return _rates(camera, camera.residual.astype(np.float64)[:, None])


def head_acceleration(mocap: MocapTrack) -> MotionSignal | None:
    """Return how the head accelerates [M, 3] in m/s², in the axes of the mocap, every 100 ms.

    Each joint of the head gives the second difference of three places that were all annotated; the mean of what they
    give stands. None where the mocap has no joint of the head.
    """
    columns = [column for column, joint in enumerate(mocap.joints) if joint in HEAD_JOINTS]
    reach = _MOCAP_REACH
    if not columns or len(mocap.values) <= 2 * reach:
        return None
    places = mocap.values[:, columns].astype(np.float64)
    known = mocap.quality[:, columns] == Quality.VALID
    bend = places[2 * reach :] - 2 * places[reach:-reach] + places[: -2 * reach]
    whole = known[2 * reach :] & known[reach:-reach] & known[: -2 * reach]
    count = whole.sum(axis=1)
    mean = (bend * whole[:, :, None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    values = (mean / (MOCAP_REACH_NS / NS_PER_S) ** 2).astype(np.float32)
    start_ns = mocap.start_ns + MOCAP_REACH_NS
    return MotionSignal(f"mocap/{mocap.source}/head", start_ns, SLOW_STEP_NS, values, count > 0)


def _rates(camera: CameraMotion, change: Floats) -> MotionSignal:
    """Return changes [F, C] from the frame before as mean rates over each 100 ms from the first frame on.

    Frames stand up to half a frame beside multiples of 100 ms: what they add up to is read off between them.
    """
    told, times_ns = camera.tells, camera.times_ns
    if len(times_ns) == 0:
        return MotionSignal(camera.name, 0, SLOW_STEP_NS, np.zeros((0, change.shape[1]), np.float32), told)
    since_s, step_s = (times_ns - times_ns[0]) / NS_PER_S, SLOW_STEP_NS / NS_PER_S
    edges_s = np.arange(int(since_s[-1] / step_s + _ROUNDING) + 1) * step_s
    missing_s = np.diff(since_s, prepend=0.0) * ~told
    added = np.cumsum(np.column_stack((np.where(told[:, None], change, 0.0), missing_s)), axis=0)
    steps = np.diff(np.stack([np.interp(edges_s, since_s, column) for column in added.T], axis=1), axis=0)
    rates, valid = (steps[:, :-1] / step_s).astype(np.float32), steps[:, -1] <= _ROUNDING * step_s
    return MotionSignal(camera.name, int(times_ns[0]) + SLOW_STEP_NS // 2, SLOW_STEP_NS, rates, valid)
