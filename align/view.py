"""Views: named recipes of windows. A new one costs no decoding, only an index into the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sensorloom.align.errors import SettingsError
from sensorloom.align.timeline import GRID_RATE_HZ, GRID_STEP_NS, SLOW_RATE_HZ

__all__ = ["CAMERA_SLOTS", "TEXT_SOURCES", "ImuType", "Modality", "Pooling", "TextRule", "View"]

Modality = Literal["imu", "video", "mocap", "text"]
TextRule = Literal["own", "imu2clip", "aura"]
Pooling = Literal["mean-then-normalise", "normalise-mean-normalise", "middle", "first-middle-last"]
Exo = Literal["separate", "best", "mean"]
ImuType = Literal["float32", "float16", "int16"]
Layout = Literal["plain", "compressed"]
CAMERA_SLOTS = ("ego", "exo1", "exo2", "exo3", "exo4")
"""The ego camera, and the exo cameras of a take in the order of their names."""
TEXT_SOURCES = ("narration", "summary", "atomic", "commentary")


@dataclass(frozen=True, slots=True)
class View:
    """A recipe of windows over takes of `datasets`.

    `positions` are the sensor slots S, in order. With `classes` the windows are label-pure: each lies inside one label
    interval of a class, tiled from the interval's start; without, the whole take is tiled, from the 0 of its clock on.
    `label_source` is the vocabulary of the labels; with `class_words` a label's class is that of the first pair
    (word, class) whose word stands in its text, case aside; without, the text is the class. Lengths, strides and rates
    must fit the 200 Hz grid.

    `anchor` says where windows begin: `tiles` every stride, `texts` where the rule of a text's source puts the window
    (`text_rule`: each source's `own`, or the published code of `imu2clip` or `aura`), `mocap` every stride from the
    first annotated row of each run. `cameras` are those shown, `texts` the text sources K, one slot each.
    `leak_free` leaves out the task's name that AURA-MFM puts before each commentary.

    `pooling` makes one vector of a window's frames, of all or of `num_frames` spread evenly. With `exo` `separate`
    each camera is a video slot of its own; else the exo cameras share one: `best` shows the one that annotators chose,
    and their mean where they chose none that is there, `mean` always the mean.

    A window that lacks a modality of `requires` is dropped, one that lacks another is masked; with nothing required a
    window is kept where any of IMU, video and mocap is there. Each is there where `min_coverage` of the window is
    usable: in every slot of each sensor that the take has, of at least one camera's instants, of the instants that have
    a joint. `max_flat_s` drops windows whose accelerometer stands still or moves on a straight line that long, which no
    worn sensor does.

    `imu_type` is how the shards hold the IMU: exact, in half the bytes as float16, or as int16 with a scale for each
    window and channel. `layout` `plain` is read in place, `compressed` has fewer bytes to fetch and is decoded first.
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
    text_rule: TextRule = "own"
    leak_free: bool = True
    mocap: Literal["none", "world", "root-centred"] = "none"
    label_source: str = "activity"
    class_words: tuple[tuple[str, str], ...] = ()
    pooling: Pooling = "mean-then-normalise"
    num_frames: int | None = None
    exo: Exo = "separate"
    imu_type: ImuType = "float32"
    layout: Layout = "plain"

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
        for name, chosen, known in (
            ("cameras", self.cameras, CAMERA_SLOTS),
            ("texts", self.texts, TEXT_SOURCES),
            ("class_words", tuple({name for _, name in self.class_words}), self.classes),
        ):
            if len(set(chosen)) < len(chosen) or not set(chosen) <= set(known):
                raise SettingsError(
                    f"view {self.name}: {name} must differ and be among {', '.join(known) or 'no classes'},"
                    f" got {', '.join(sorted(chosen))}"
                )
        for setting, value, options in (
            ("pooling", self.pooling, get_args(Pooling)),
            ("exo", self.exo, get_args(Exo)),
            ("imu_type", self.imu_type, get_args(ImuType)),
            ("layout", self.layout, get_args(Layout)),
        ):
            if value not in options:
                raise SettingsError(
                    f"view {self.name}: {setting} must be one of {', '.join(options)}, got {value!r}"
                )
        self._check_modalities()
        self._check_frames()

    def _check_modalities(self) -> None:
        there = {"imu": True, "video": self.cameras, "text": self.texts, "mocap": self.mocap != "none"}
        setting = {"video": "cameras", "text": "texts", "mocap": "mocap"}
        for modality in self.requires:
            if not there[modality]:
                raise SettingsError(
                    f"view {self.name}: requires {modality}, so {setting[modality]} must be set"
                )
        anchored = {"texts": "text", "mocap": "mocap"}.get(self.anchor, "imu")
        if not there[anchored]:
            raise SettingsError(
                f"view {self.name}: anchor is {self.anchor}, so {setting[anchored]} must be set"
            )
        if self.text_rule != "own" and self.length_s != round(self.length_s):
            raise SettingsError(
                f"view {self.name}: text_rule {self.text_rule} puts windows on whole seconds, so length_s must be whole"
                f" seconds, got {self.length_s:g} s"
            )
        if self.slow_samples < 1 and (self.cameras or self.mocap != "none"):
            raise SettingsError(
                f"view {self.name}: with video or mocap length_s must be at least {1 / SLOW_RATE_HZ:g} s,"
                f" got {self.length_s:g} s"
            )

    def _check_frames(self) -> None:
        if self.num_frames is not None and not (self.cameras and 1 <= self.num_frames <= self.slow_samples):
            limit = (
                f"1 … {self.slow_samples}, the instants of a window"
                if self.cameras
                else "unset without cameras"
            )
            raise SettingsError(f"view {self.name}: num_frames must be {limit}, got {self.num_frames}")
        if self.exo != "separate" and self.cameras in ((), ("ego",)):
            raise SettingsError(
                f"view {self.name}: exo is {self.exo}, so cameras must have an exo camera,"
                f" got {', '.join(self.cameras) or 'none'}"
            )

    @property
    def video_slots(self) -> tuple[str, ...]:
        """Names of the video slots V: those of the cameras, or `exo` once in the place of all exo cameras."""
        if self.exo == "separate":
            return self.cameras
        return tuple(dict.fromkeys("ego" if camera == "ego" else "exo" for camera in self.cameras))

    @property
    def samples(self) -> int:
        """Samples T of one window at `rate_hz`."""
        return round(self.length_s * self.rate_hz)

    @property
    def slow_samples(self) -> int:
        """Video frames and mocap rows of one window, 10 every second."""
        return self.samples * SLOW_RATE_HZ // self.rate_hz

    @property
    def decimation(self) -> int:
        """Grid samples per sample of the view."""
        return GRID_RATE_HZ // self.rate_hz

    @property
    def step_ns(self) -> int:
        """Time from one sample of the view to the next; windows start on multiples of it."""
        return self.decimation * GRID_STEP_NS

    @property
    def length_ns(self) -> int:
        """Length of one window in nanoseconds."""
        return self.samples * self.step_ns

    @property
    def grid_samples(self) -> int:
        """Samples of one window on the 200 Hz grid."""
        return self.samples * self.decimation

    @property
    def grid_stride(self) -> int:
        """Grid samples from one window's start to the next."""
        return round(self.stride_s * self.rate_hz) * self.decimation
