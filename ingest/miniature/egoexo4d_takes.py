"""What is planned of one take of a generated Ego-Exo4D tree, and of the capture that it is from. Pure."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.egoexo4d_tasks import Task

__all__ = ["FIRST_ROW", "FRAMES_PER_S", "Capture", "Skew", "TakePlan", "uid"]

FRAMES_PER_S = 30
FIRST_ROW = 60
"""Row of `timesync.csv` where the first take of a capture begins."""

RowRule = Literal["start+i", "start+1+i"]


@dataclass(frozen=True, slots=True)
class Skew:
    """A planted clock error: what a stream's metadata puts at t s happened at t + offset + drift × t."""

    offset_ms: float = 0.0
    drift_ppm: float = 0.0

    def true_s(self, claimed_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return when that happened which the metadata puts at `claimed_s`, both in take seconds."""
        return claimed_s * (1 + self.drift_ppm * 1e-6) + self.offset_ms * 1e-3


@dataclass(frozen=True, slots=True)
class Capture:
    """Takes recorded in one go: one wearer, one set of cameras, one `timesync.csv`."""

    name: str
    index: int
    university: str
    aria: str = "aria01"
    exo: tuple[str, ...] = ("cam01", "cam02")
    head_gopro: str | None = None
    has_mobile: bool = False
    has_string_booleans: bool = False
    has_timesync: bool = True

    @property
    def participant_uid(self) -> int:
        """Id of its wearer."""
        return 300 + self.index

    @property
    def timesync_uri(self) -> str:
        """Path of its `timesync.csv` below the data set's folder."""
        return f"captures/{self.name}/timesync.csv"


@dataclass(frozen=True, slots=True)
class TakePlan:
    """One take. `index` counts takes over the data set; `seconds` are those of its `num_frames` frames.

    `rule` says which row of `timesync.csv` is frame i: the metadata's range has one row more than frames under
    `start+1+i`. `vrs` names the file, None where there is none; it starts `vrs_late_s` after the first frame and ends
    `vrs_early_s` before the last. `commentary_forms` tells where the experts' comments are: in the split's `list`, in
    a `folder` of the take, or in both. `skews` are by camera id, IMU label or "mocap".
    """

    name: str
    index: int
    capture: Capture
    task: Task
    split: str
    num_frames: int
    start_row: int
    rule: RowRule = "start+1+i"
    renditions: tuple[str, ...] = ("448",)
    vrs: str | None = "noimagestreams"
    vrs_late_s: float = -0.25
    vrs_early_s: float = -0.25
    mocap: tuple[str, ...] = ("annotation", "automatic")
    has_trajectory: bool = False
    commentary_forms: tuple[str, ...] = ("list",)
    best_exo: str | None = "cam02"
    task_start_s: float | None = 0.4
    skews: Mapping[str, Skew] = field(default_factory=dict)

    @property
    def take_id(self) -> str:
        """Id that the reader gives this take."""
        return f"egoexo4d/{self.name}"

    @property
    def uid(self) -> str:
        """The take's own id in the metadata."""
        return uid("take", self.name)

    @property
    def root_dir(self) -> str:
        """Folder of the take below the data set's."""
        return f"takes/{self.name}"

    @property
    def seconds(self) -> float:
        """Length of the videos."""
        return self.num_frames / FRAMES_PER_S

    @property
    def end_row(self) -> int:
        """Row that the metadata gives as the range's end."""
        return self.start_row + self.num_frames + (1 if self.rule == "start+1+i" else 0)

    @property
    def first_row(self) -> int:
        """Row of `timesync.csv` that frame 0 belongs to."""
        return self.start_row + (1 if self.rule == "start+1+i" else 0)

    @property
    def is_first_of_capture(self) -> bool:
        """Whether no take of its capture comes before it."""
        return self.start_row == FIRST_ROW

    @property
    def has_annotations(self) -> bool:
        """Whether texts and poses of it are published: those of the test split are withheld."""
        return self.split != "test"

    @property
    def vrs_uri(self) -> str | None:
        """Path of its VRS file below the data set's folder."""
        names = {
            "noimagestreams": f"{self.capture.aria}_noimagestreams.vrs",
            "full": f"{self.capture.aria}.vrs",
        }
        return None if self.vrs is None else f"{self.root_dir}/{names[self.vrs]}"

    @property
    def trajectory_uri(self) -> str:
        """Path of its trajectory below the data set's folder."""
        return f"{self.root_dir}/trajectory/closed_loop_trajectory.csv"

    def skew(self, stream: str) -> Skew:
        """Return the planted clock error of a camera, an IMU or "mocap"; none unless planted."""
        return self.skews.get(stream, Skew())


def uid(*key: str | int) -> str:
    """Return the UUID that belongs to `key`."""
    return str(uuid.UUID(bytes=hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()[:16], version=4))
