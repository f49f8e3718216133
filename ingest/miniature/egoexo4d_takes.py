"""Which takes a generated Ego-Exo4D tree holds, with the quirks of the real one (formats.md §4). Pure.

The first five are the default, each with quirks of its own. More takes are plain ones, two to a capture.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.egoexo4d_tasks import TASKS, Task
from sensorloom.ingest.miniature.seeding import generator

__all__ = ["DEFAULT_TAKES", "FRAMES_PER_S", "Capture", "Skew", "TakePlan", "absent_take", "catalogue", "uid"]

FRAMES_PER_S = 30
DEFAULT_TAKES = 5

_FIRST_ROW, _ROWS_BETWEEN = 60, 45
_DEFAULT_SECONDS = 8.0
_FAMILIES = (
    ("sfu", "covid", "Health"),
    ("unc", "basketball", "Basketball"),
    ("cmu", "bike", "Bike Repair"),
    ("sfu", "cooking", "Cooking"),
    ("upenn", "Dance", "Dance"),
    ("indiana", "music", "Music"),
)
_SPLITS = ("train", "train", "val", "train", "test")
_STREAMS = ("imu-right", "imu-left", "mocap")

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
        return self.start_row == _FIRST_ROW

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


_BIKE = Capture("cmu_bike01", 0, "cmu", exo=("cam01", "cam02", "cam03", "cam04"))
_COOKING = Capture("sfu_cooking015", 1, "sfu", aria="aria03", has_string_booleans=True)
_DANCE = Capture(
    "upenn_0713_Dance_2", 2, "upenn", exo=("gp01", "gp02", "gp03"), head_gopro="gp05", has_mobile=True
)
_MUSIC = Capture("indiana_music_12", 3, "iu")
_LISTED_ONLY = Capture("unc_basketball_02-24-23_01", 4, "unc")


def catalogue(seed: int, minutes: float | None) -> Iterator[TakePlan]:
    """Yield takes in the order in which more of them add up, without end; each lasts `minutes` (None: 8 to 11 s)."""
    yield from _first_takes(minutes)
    for index in count(DEFAULT_TAKES):
        yield _plain_take(seed, index, _frames(minutes, _DEFAULT_SECONDS))


def absent_take() -> TakePlan:
    """Return the take that the metadata lists and no file is there of."""
    return TakePlan(
        name="unc_basketball_02-24-23_01_10",
        index=-1,
        capture=_LISTED_ONLY,
        task=TASKS["Basketball"],
        split="train",
        num_frames=_frames(None, _DEFAULT_SECONDS),
        start_row=_FIRST_ROW,
        skews={},
    )


def uid(*key: str | int) -> str:
    """Return the UUID that belongs to `key`."""
    return str(uuid.UUID(bytes=hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()[:16], version=4))


def _first_takes(minutes: float | None) -> Iterator[TakePlan]:
    bike_frames = _frames(minutes, 11.0)
    yield TakePlan(
        name="cmu_bike01_2",
        index=0,
        capture=_BIKE,
        task=TASKS["Bike Repair"],
        split="train",
        num_frames=bike_frames,
        start_row=_FIRST_ROW,
        renditions=("448", "full"),
        has_trajectory=True,
        commentary_forms=("list", "folder"),
        skews={"imu-left": Skew(3.0), "mocap": Skew(-20.0), "cam03": Skew(66.7)},
    )
    yield TakePlan(
        name="sfu_cooking015_3",
        index=1,
        capture=_COOKING,
        task=TASKS["Cooking"],
        split="val",
        num_frames=_frames(minutes, 9.0),
        start_row=_FIRST_ROW,
        rule="start+i",
        renditions=("full",),
        vrs_late_s=0.8,
        vrs_early_s=1.3,
        mocap=("automatic",),
        task_start_s=None,
        skews={"aria03": Skew(12.0, 150.0), "imu-right": Skew(-4.0), "cam02": Skew(-33.3)},
    )
    yield TakePlan(
        name="upenn_0713_Dance_2_4",
        index=2,
        capture=_DANCE,
        task=TASKS["Dance"],
        split="train",
        num_frames=_frames(minutes, 8.0),
        start_row=_FIRST_ROW,
        vrs="full",
        best_exo=None,
        commentary_forms=("folder",),
        skews={"imu-left": Skew(0.0, 80.0), "gp02": Skew(133.3)},
    )
    yield TakePlan(
        name="cmu_bike01_4",
        index=3,
        capture=_BIKE,
        task=TASKS["Bike Repair"],
        split="train",
        num_frames=_frames(minutes, 8.0),
        start_row=_FIRST_ROW + bike_frames + _ROWS_BETWEEN,
        rule="start+i",
        mocap=(),
        # As in indiana_bike_01_2 of the real collection: the ego camera is five frames late (Ego4d issue 347).
        skews={"aria01": Skew(-500 / 3)},
    )
    yield TakePlan(
        name="indiana_music_12_5",
        index=4,
        capture=_MUSIC,
        task=TASKS["Music"],
        split="test",
        num_frames=_frames(minutes, 8.0),
        start_row=_FIRST_ROW,
        vrs=None,
    )


def _plain_take(seed: int, index: int, frames: int) -> TakePlan:
    number, second = divmod(index - DEFAULT_TAKES, 2)
    school, word, parent = _FAMILIES[number % len(_FAMILIES)]
    # The first of these captures was downloaded without `--parts captures`: no timesync.csv.
    capture = Capture(f"{school}_{word}_{number + 20}", number + 5, school, has_timesync=number > 0)
    return TakePlan(
        name=f"{capture.name}_{1 + second}",
        index=index,
        capture=capture,
        task=TASKS[parent],
        split=_SPLITS[number % len(_SPLITS)],
        num_frames=frames,
        start_row=_FIRST_ROW + second * (frames + _ROWS_BETWEEN),
        rule="start+i" if number % 3 == 1 else "start+1+i",
        skews=_draw_skews(seed, index, capture),
    )


def _draw_skews(seed: int, index: int, capture: Capture) -> dict[str, Skew]:
    """Draw clock errors as they occur: none in a third of the streams, a few ms else, whole frames for a GoPro."""
    rng = generator("egoexo4d", seed, index, "skews")
    skews = {}
    for stream in (capture.aria, *_STREAMS):
        if rng.random() > 1 / 3:
            skews[stream] = Skew(round(float(rng.normal(0, 8)), 3), round(float(rng.normal(0, 40)), 3))
    for camera in capture.exo:
        if rng.random() > 2 / 3:
            skews[camera] = Skew(round(1000 / FRAMES_PER_S * int(rng.integers(-4, 5)), 1))
    return skews


def _frames(minutes: float | None, default_s: float) -> int:
    return round((default_s if minutes is None else minutes * 60) * FRAMES_PER_S)
