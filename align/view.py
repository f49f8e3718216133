"""Views: named recipes of windows. A new one costs no decoding, only an index into the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sensorloom.align.errors import SettingsError
from sensorloom.align.timeline import GRID_RATE_HZ

__all__ = ["CAMERA_SLOTS", "VIEWS", "Modality", "View"]

Modality = Literal["imu", "video", "mocap", "text"]
CAMERA_SLOTS = ("ego", "exo1", "exo2", "exo3", "exo4")
"""The ego camera, and the exo cameras of a take in the order of their names."""


@dataclass(frozen=True, slots=True)
class View:
    """A recipe of windows over takes of `datasets`.

    `positions` are the sensor slots S, in order. With `classes` the windows are label-pure: each lies
    inside one label interval whose text is one of them, tiled from the interval's start; without, the whole
    take is tiled. A window is kept when in every slot each sensor that the take has covers at least
    `min_coverage` of it with usable samples. `max_flat_s` drops windows whose accelerometer stands still or
    moves on a straight line that long, which no worn sensor does. Lengths, strides and rates must fit the
    200 Hz grid.

    `anchor` says where windows begin: `tiles` every stride, `texts` where the rule of a text's source puts the window
    (`text_rule`: each source's `own`, or the published code of `imu2clip` or `aura`), `mocap` every stride from the
    first annotated row of each run. `cameras` are the video slots V, `texts` the text sources K, one slot each; a
    window that lacks a modality of `requires` is dropped, one that lacks another is masked. `label_source` is the
    vocabulary of the labels; with `class_words` a label's class is that of the first pair (word, class) whose word
    stands in its text, case aside; without, the text is the class. `leak_free` leaves out the task's name that
    AURA-MFM puts before each commentary.
    """

    name: str
    datasets: tuple[str, ...]
    positions: tuple[str, ...]
    classes: tuple[str, ...]
    length_s: float = 5.0
    stride_s: float = 5.0
    rate_hz: int = 200
    min_coverage: float = 0.9
    max_flat_s: float = 1.0
    retimed_is_valid: bool = True
    interpolated_is_valid: bool = True
    anchor: Literal["tiles", "texts", "mocap"] = "tiles"
    requires: tuple[Modality, ...] = ("imu",)
    cameras: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    text_rule: Literal["own", "imu2clip", "aura"] = "own"
    leak_free: bool = True
    mocap: Literal["none", "world", "root-centred"] = "none"
    label_source: str = "activity"
    class_words: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz <= GRID_RATE_HZ or GRID_RATE_HZ % self.rate_hz:
            raise SettingsError(
                f"view {self.name}: rate_hz must divide {GRID_RATE_HZ} Hz, got {self.rate_hz} Hz"
            )
        for name, seconds in (("length_s", self.length_s), ("stride_s", self.stride_s)):
            samples = seconds * self.rate_hz
            if samples < 1 or abs(samples - round(samples)) > 1e-6:
                raise SettingsError(
                    f"view {self.name}: {name} must be whole samples at {self.rate_hz} Hz, got {seconds:g} s"
                )
        if not self.positions or len(set(self.positions)) < len(self.positions):
            raise SettingsError(f"view {self.name}: positions must be there and differ, got {self.positions}")
        if not 0 <= self.min_coverage <= 1:
            raise SettingsError(
                f"view {self.name}: min_coverage must lie in 0 … 1, got {self.min_coverage:g}"
            )

    @property
    def samples(self) -> int:
        """Samples T of one window at `rate_hz`."""
        return round(self.length_s * self.rate_hz)

    @property
    def decimation(self) -> int:
        """Grid samples per sample of the view; windows start on multiples of it."""
        return GRID_RATE_HZ // self.rate_hz

    @property
    def grid_samples(self) -> int:
        """Samples of one window on the 200 Hz grid."""
        return self.samples * self.decimation

    @property
    def grid_stride(self) -> int:
        """Grid samples from one window's start to the next."""
        return round(self.stride_s * self.rate_hz) * self.decimation


# AURA-MFM's 18 PAMAP2 classes: 12 protocol and 6 optional activities, in the order of the data set's ids.
PAMAP2_CLASSES = (
    "lying", "sitting", "standing", "walking", "running", "cycling", "Nordic walking",
    "watching TV", "computer work", "car driving", "ascending stairs", "descending stairs", "vacuum cleaning",
    "ironing", "folding laundry", "house cleaning", "playing soccer", "rope jumping",
)  # fmt: skip

REALWORLD_CLASSES = (
    "climbingdown",
    "climbingup",
    "jumping",
    "lying",
    "running",
    "sitting",
    "standing",
    "walking",
)

# CroSSL's 12: the protocol's activities only.
PAMAP2_PROTOCOL_CLASSES = (
    "lying", "sitting", "standing", "walking", "running", "cycling", "Nordic walking",
    "ascending stairs", "descending stairs", "vacuum cleaning", "ironing", "rope jumping",
)  # fmt: skip

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        view.name: view
        for view in (
            View("har-pamap2", ("pamap2",), ("chest",), PAMAP2_CLASSES),
            View("har-realworld", ("realworld",), ("head",), REALWORLD_CLASSES, stride_s=2.5),
            View(
                "crossl-pamap2",
                ("pamap2",),
                ("hand", "ankle", "chest"),
                PAMAP2_PROTOCOL_CLASSES,
                length_s=5.12,
                stride_s=5.12,
                rate_hz=100,
            ),
        )
    }
)
