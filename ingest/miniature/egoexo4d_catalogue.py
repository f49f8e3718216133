"""Which takes a generated Ego-Exo4D tree holds, with the quirks of the real one (formats.md §4). Pure.

The first five are the default, each with quirks of its own. More takes are plain ones, two to a capture.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from sensorloom.ingest.miniature.egoexo4d_takes import FIRST_ROW, FRAMES_PER_S, Capture, Skew, TakePlan
from sensorloom.ingest.miniature.egoexo4d_tasks import TASKS
from sensorloom.ingest.miniature.seeding import generator

__all__ = ["DEFAULT_TAKES", "absent_take", "catalogue"]

DEFAULT_TAKES = 5

_ROWS_BETWEEN = 45
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
        start_row=FIRST_ROW,
    )


def _first_takes(minutes: float | None) -> Iterator[TakePlan]:
    bike_frames = _frames(minutes, 11.0)
    yield TakePlan(
        name="cmu_bike01_2",
        index=0,
        capture=_BIKE,
        task=TASKS["Bike Repair"],
        split="train",
        num_frames=bike_frames,
        start_row=FIRST_ROW,
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
        start_row=FIRST_ROW,
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
        start_row=FIRST_ROW,
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
        start_row=FIRST_ROW + bike_frames + _ROWS_BETWEEN,
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
        start_row=FIRST_ROW,
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
        start_row=FIRST_ROW + second * (frames + _ROWS_BETWEEN),
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
