"""Who does what and when in a generated PAMAP2 file: subjects, activities, stretches, heart rate. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.seeding import generator

__all__ = [
    "ACTIVITY_IDS",
    "RATE_HZ",
    "Recording",
    "Stretch",
    "heart_rate",
    "num_rows",
    "plan_stretches",
    "subject_facts",
]

RATE_HZ = 100

ACTIVITY_IDS: Mapping[int, str] = MappingProxyType(
    {
        1: "lying", 2: "sitting", 3: "standing", 4: "walking", 5: "running", 6: "cycling",
        7: "Nordic walking", 9: "watching TV", 10: "computer work", 11: "car driving", 12: "ascending stairs",
        13: "descending stairs", 16: "vacuum cleaning", 17: "ironing", 18: "folding laundry",
        19: "house cleaning", 20: "playing soccer", 24: "rope jumping",
    }
)  # fmt: skip

_PROTOCOL = (1, 2, 3, 17, 16, 12, 13, 4, 7, 6, 5, 24)
_OPTIONAL = (9, 10, 11, 18, 19, 20)
_NOT_DONE: Mapping[int, frozenset[int]] = MappingProxyType(
    {
        103: frozenset({5, 6, 7, 24}),
        104: frozenset({5, 24}),
        107: frozenset({24}),
        109: frozenset(_PROTOCOL) - {24},
    }
)
_SHORT_RUN_SUBJECT, _SHORT_RUN_ID, _SHORT_RUN_ROWS = 106, 24, 255

# Resting and maximal heart rate (bpm) of the subjects; those beyond 109 are invented and get the last entry.
_HEART: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        101: (75, 193), 102: (74, 195), 103: (68, 189), 104: (58, 196), 105: (70, 194), 106: (60, 194),
        107: (60, 197), 108: (66, 188), 109: (54, 189), 0: (62, 191),
    }
)  # fmt: skip
_EFFORT: Mapping[int, float] = MappingProxyType(
    {
        0: 0.25, 1: 0.05, 2: 0.08, 3: 0.14, 4: 0.32, 5: 0.78, 6: 0.5, 7: 0.45, 9: 0.06, 10: 0.07, 11: 0.1,
        12: 0.6, 13: 0.45, 16: 0.3, 17: 0.2, 18: 0.2, 19: 0.32, 20: 0.7, 24: 0.8,
    }
)  # fmt: skip
_HEART_TAU_S = 25.0
_TRANSIENT_SHARE = 0.12
_SECONDS_PER_ACTIVITY = 24.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One `.dat` file: `part` is `Protocol` or `Optional`."""

    part: str
    subject: int

    @property
    def uri(self) -> str:
        """Path below the data set's folder."""
        return f"PAMAP2_Dataset/{self.part}/subject{self.subject}.dat"

    @property
    def take_id(self) -> str:
        """Id that the reader gives this file."""
        return f"pamap2/{self.part.lower()}/subject{self.subject}"

    @property
    def activities(self) -> tuple[int, ...]:
        """Ids of what the subject does here, in order."""
        if self.part == "Optional":
            return _OPTIONAL
        return tuple(i for i in _PROTOCOL if i not in _NOT_DONE.get(self.subject, ()))

    @property
    def left_handed(self) -> bool:
        """Whether hand and ankle sensors sit on the left side."""
        return self.subject == 108


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows `[start_row, stop_row)` of one activity; `resumed`: the session broke off and resumed in it."""

    activity: int
    start_row: int
    stop_row: int
    resumed: bool = False

    @property
    def middle_row(self) -> int:
        """Where a resumed stretch jumps."""
        return (self.start_row + self.stop_row) // 2


def subject_facts(subject: int) -> tuple[int, int]:
    """Return resting and maximal heart rate in bpm."""
    return _HEART.get(subject, _HEART[0])


def num_rows(recording: Recording, minutes: float | None) -> int:
    """Return the rows of a file of `minutes`; without them 24 s for each activity."""
    seconds = _SECONDS_PER_ACTIVITY * max(2, len(recording.activities)) if minutes is None else minutes * 60
    return round(seconds * RATE_HZ)


def plan_stretches(rng: np.random.Generator, recording: Recording, rows: int) -> tuple[Stretch, ...]:
    """Divide `rows` among the activities, with a stretch of activity 0 before, between and after them."""
    activities = recording.activities
    share = (1 - _TRANSIENT_SHARE) * rows / len(activities)
    lengths = [round(share * jitter) for jitter in rng.uniform(0.96, 1.04, len(activities))]
    if recording.subject == _SHORT_RUN_SUBJECT and _SHORT_RUN_ID in activities:
        index = activities.index(_SHORT_RUN_ID)
        lengths[index] = min(lengths[index], _SHORT_RUN_ROWS)
    resumed = len(activities) // 2
    weights = np.where(
        np.arange(len(activities) + 1) == resumed, 3.0, rng.uniform(0.7, 1.3, len(activities) + 1)
    )
    cuts = np.rint(np.cumsum(weights) / np.sum(weights) * (rows - sum(lengths))).astype(int)
    transients = np.diff(cuts, prepend=0).tolist()
    ids = [*chain.from_iterable((0, activity) for activity in activities), 0]
    sizes = [*chain.from_iterable(zip(transients, lengths, strict=False)), transients[-1]]
    stops = np.cumsum(sizes).tolist()
    return tuple(
        Stretch(activity, stop - size, stop, resumed=index == 2 * resumed)
        for index, (activity, size, stop) in enumerate(zip(ids, sizes, stops, strict=True))
    )


def heart_rate(
    key: tuple[str | int, ...], subject: int, stretches: tuple[Stretch, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows int64[H] that carry a heart rate, about every 11th, and the whole bpm float64[H] there.

    It approaches each activity's level with a time constant of 25 s and falls back to rest where a session
    was resumed.
    """
    rng = generator(*key, "heart_rate")
    steps = rng.choice([10, 11, 11, 11, 12], size=stretches[-1].stop_row // 10 + 1)
    rows = np.concatenate([[0], np.cumsum(steps)])
    rows = rows[rows < stretches[-1].stop_row]
    rest, peak = subject_facts(subject)
    bpm = np.empty(len(rows))
    level = rest + 30.0
    for start, stop, activity, jump in _heart_pieces(stretches):
        level = rest + 4.0 if jump else level
        target = rest + _EFFORT[activity] * (peak - rest)
        inside = (rows >= start) & (rows < stop)
        bpm[inside] = target + (level - target) * np.exp(-(rows[inside] - start) / RATE_HZ / _HEART_TAU_S)
        level = target + (level - target) * np.exp(-(stop - start) / RATE_HZ / _HEART_TAU_S)
    return rows, np.rint(bpm + rng.normal(0, 0.7, len(bpm)))


def _heart_pieces(stretches: tuple[Stretch, ...]) -> list[tuple[int, int, int, bool]]:
    """Stretches as (start, stop, activity, falls back to rest), the resumed one cut in two."""
    pieces = []
    for stretch in stretches:
        if stretch.resumed:
            pieces.append((stretch.start_row, stretch.middle_row, stretch.activity, False))
            pieces.append((stretch.middle_row, stretch.stop_row, stretch.activity, True))
        else:
            pieces.append((stretch.start_row, stretch.stop_row, stretch.activity, False))
    return pieces
