"""Which videos a generated Ego4D tree holds: who wears the camera, what they do, and what is wrong with each. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from sensorloom.ingest.miniature.seeding import generator

__all__ = [
    "DEFAULT_TAKES",
    "FRAMES_PER_S",
    "PLANS",
    "Component",
    "Plan",
    "Video",
    "absent_video",
    "catalogue",
]

DEFAULT_TAKES = 8
FRAMES_PER_S = 30

_DEFAULT_SECONDS = 20.0
_RATES_HZ = (198.0, 201.0)
# What the camera's IMU recorded before the first frame of a component: trimmed, so without canonical stamps.
_HEAD_S = 0.4
_OFFSET_MS = (500.0, 1000.0)
_DRIFT_PPM = (20.0, 60.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """One row of the table: the data set's word for the scenario, where it is, what the wearer does, quirks."""

    scenarios: tuple[str, ...]
    place: str
    movements: tuple[str, ...]
    quirks: tuple[str, ...] = ()


# As the data set spells it, line break and all.
_CONSTRUCTION = "\n".join(
    (
        "jobs related to construction/renovation company",
        "(Director of work, tiler, plumber, Electrician, Handyman, etc)",
    )
)

# The words are those of the data set; movements are those of `movements`.
PLANS = (
    Plan(
        ("Cooking",), "kitchen",
        ("works with both hands", "picks up a cup", "turns around", "reaches up", "puts down the cup"),
        ("component-gap", "null-head", "swapped-packets", "unsure", "summary-tag"),
    ),
    Plan(("Walking on street",), "street", ("walks", "looks to the left", "walks", "looks to the right")),
    Plan(
        ("Carpenter",), "workshop",
        ("works with both hands", "bends down", "picks up a cup", "looks up", "works with both hands"),
        ("extreme-stamp", "missing-cells", "other-person"),
    ),
    Plan(
        ("Cleaning / laundry",), "living room",
        ("bends down", "walks", "reaches up", "works with both hands", "turns around"),
        ("component-without-imu", "null-participant"),
    ),
    Plan(
        ("Practicing a musical instrument",), "bedroom",
        ("works with both hands", "looks to the left", "stands still"),
        ("no-imu", "redacted"),
    ),
    Plan(
        ("Eating",), "dining room",
        ("picks up a cup", "puts down the cup", "looks to the right", "works with both hands"),
        ("identical-axes", "one-pass"),
    ),
    Plan(("Farmer",), "field", ("walks", "crouches", "bends down", "looks up", "walks"), ("stereo", "split-multi")),
    Plan(
        ("Crafting/knitting/sewing/drawing/painting",), "studio",
        ("works with both hands", "stands still", "looks up", "reaches up"),
        ("reversed-summary", "late-narration", "disordered-narrations"),
    ),
    Plan(("Household management - caring for kids",), "garden", ("crouches", "picks up a cup", "dances", "runs")),
    Plan(
        (_CONSTRUCTION,),
        "building site", ("works with both hands", "walks", "reaches up", "crouches"),
    ),
    Plan(("Cooking", "Eating"), "kitchen", ("works with both hands", "walks", "picks up a cup")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Component:
    """One of the files that the canonical video was joined from, in canonical seconds.

    `lead_s` of its container come before its video starts; `imu_stop_s` is where its IMU ends, None where it has none.
    """

    index: int
    start_s: float
    stop_s: float
    rate_hz: float
    lead_s: float = 0.0
    imu_stop_s: float | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """One video of the catalogue. The true time of an IMU stamp t is t + `offset_ms` + `drift_ppm` of t."""

    number: int
    uid: str
    plan: Plan
    participant: int | None
    seconds: float
    components: tuple[Component, ...]
    offset_ms: float
    drift_ppm: float

    @property
    def take_id(self) -> str:
        """Id that the reader gives this video."""
        return f"ego4d/{self.uid}"

    @property
    def quirks(self) -> tuple[str, ...]:
        """Names of what is odd about it."""
        return self.plan.quirks

    @property
    def has_imu(self) -> bool:
        """Whether any of its components has an IMU."""
        return any(component.imu_stop_s is not None for component in self.components)

    @property
    def num_frames(self) -> int:
        """Frames of the canonical video, at 30 a second."""
        return round(self.seconds * FRAMES_PER_S)


def catalogue(seed: int, minutes: float | None) -> Iterator[Video]:
    """Yield videos in the order in which more takes add them, without end; every second has a clock offset."""
    for number in count():
        yield _video(seed, number, minutes)


def absent_video(seed: int, minutes: float | None) -> Video:
    """Return a video that the metadata lists and nobody downloaded."""
    return _video(seed, -3, minutes)


def _video(seed: int, number: int, minutes: float | None) -> Video:
    plan = PLANS[number % len(PLANS)]
    seconds = _DEFAULT_SECONDS if minutes is None else round(minutes * 60 * FRAMES_PER_S) / FRAMES_PER_S
    rng = generator("ego4d", seed, number, "clock")
    offset_ms = float(rng.uniform(*_OFFSET_MS) * rng.choice([-1.0, 1.0]))
    drift_ppm = float(rng.uniform(*_DRIFT_PPM) * rng.choice([-1.0, 1.0]))
    is_off = number % 2 == 1 and "no-imu" not in plan.quirks
    return Video(
        number=number,
        uid=_uid(seed, number),
        plan=plan,
        participant=None if "null-participant" in plan.quirks else 100 + number % 6,
        seconds=seconds,
        components=_components(plan.quirks, seconds),
        offset_ms=round(offset_ms, 1) if is_off else 0.0,
        drift_ppm=round(drift_ppm, 1) if is_off else 0.0,
    )


def _components(quirks: tuple[str, ...], seconds: float) -> tuple[Component, ...]:
    slow, fast = _RATES_HZ
    if "no-imu" in quirks:
        return (Component(0, 0.0, seconds, slow),)
    if "component-gap" in quirks:
        seam_s = _whole_frames(0.45 * seconds)
        lead_s = _HEAD_S if "null-head" in quirks else 0.0
        return (
            Component(0, 0.0, seam_s, slow, imu_stop_s=seam_s - 0.05 * seconds),
            Component(1, seam_s, seconds, fast, lead_s=lead_s, imu_stop_s=seconds),
        )
    if "component-without-imu" in quirks:
        first_s, second_s = _whole_frames(0.4 * seconds), _whole_frames(0.6 * seconds)
        return (
            Component(0, 0.0, first_s, fast, imu_stop_s=first_s),
            Component(1, first_s, second_s, fast),
            Component(2, second_s, seconds, slow, imu_stop_s=seconds),
        )
    return (Component(0, 0.0, seconds, fast, imu_stop_s=seconds),)


def _whole_frames(seconds: float) -> float:
    return round(seconds * FRAMES_PER_S) / FRAMES_PER_S


def _uid(seed: int, number: int) -> str:
    digest = hashlib.sha256(f"ego4d video {seed} {number}".encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
