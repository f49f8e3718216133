"""Which recordings a generated REALWORLD tree holds, with the naming quirks of the real one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, product

__all__ = ["DEFAULT_TAKES", "Part", "Recording", "catalogue"]

_ACTIVITIES = ("walking", "climbingup", "standing", "sitting", "running", "lying", "climbingdown", "jumping")
_FIRST_PROBANDS = (1, 4, 2, 6, 3, 5)
DEFAULT_TAKES = len(_ACTIVITIES) * len(_FIRST_PROBANDS)

_ALL = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")
_USUAL = ("chest", "head", "shin")
_POSITIONS = {1: _ALL, 2: ("chest", "forearm", "head", "shin"), 6: ("chest", "head", "shin", "thigh")}
_MISSING = {(2, "climbingup"): {("forearm", "acc")}, (6, "jumping"): {("thigh", "acc"), ("thigh", "gyr")}}
_NESTED_PROBANDS, _NESTED_ACTIVITIES = (4, 7, 14), ("climbingup", "climbingdown")
_ONLY_PART_2 = {(4, "walking"), (6, "sitting"), (7, "sitting"), (8, "standing"), (13, "walking")}

_DEFAULT_SECONDS = 30.0
# Real recordings last about 10 minutes, jumping under two.
_JUMPING_SHARE = 0.6
_PART_SHARES = (0.45, 0.35, 0.2)
# Start of the first real recording; a day for each proband, 20 minutes for each activity.
_FIRST_START_S, _DAY_S, _ACTIVITY_S, _PART_S = 1_435_993_159, 86_400, 1_200, 400


@dataclass(frozen=True, slots=True)
class Part:
    """One take. `number` is what its file names carry, None where they carry none."""

    recording: Recording
    number: int | None
    start_ns: int
    seconds: float

    @property
    def take_id(self) -> str:
        """Id that the reader gives this part."""
        name = f"realworld/proband{self.recording.proband}/{self.recording.activity}"
        return name if self.number is None else f"{name}/{self.number}"

    @property
    def stem(self) -> str:
        """Activity and number as file names spell them: `climbingup`, `climbingup_2`."""
        return self.recording.activity if self.number is None else f"{self.recording.activity}_{self.number}"


@dataclass(frozen=True, slots=True)
class Recording:
    """One proband doing one activity: one zip per sensor, of one or three parts."""

    proband: int
    activity: str

    @property
    def nested(self) -> bool:
        """Whether its zips hold zips, one for each of three parts."""
        return self.proband in _NESTED_PROBANDS and self.activity in _NESTED_ACTIVITIES

    @property
    def is_first(self) -> bool:
        """Whether this is the first recording of the collection, which carries the extras that occur once."""
        return (self.proband, self.activity) == (_FIRST_PROBANDS[0], _ACTIVITIES[0])

    def uri(self, sensor: str) -> str:
        """Path of the zip of `sensor` (acc, gyr, mag) below the data set's folder."""
        return f"realworld2016_dataset/proband{self.proband}/data/{sensor}_{self.activity}_csv.zip"

    def positions(self, sensor: str) -> tuple[str, ...]:
        """Positions that `sensor` was recorded at."""
        missing = _MISSING.get((self.proband, self.activity), set())
        return tuple(p for p in _POSITIONS.get(self.proband, _USUAL) if (p, sensor) not in missing)

    def parts(self, minutes: float | None) -> tuple[Part, ...]:
        """Return the parts of a recording that lasts `minutes` (None: 30 s; jumping always 0.6 of it)."""
        seconds = _DEFAULT_SECONDS if minutes is None else minutes * 60
        seconds *= _JUMPING_SHARE if self.activity == "jumping" else 1.0
        start_s = (
            _FIRST_START_S + (self.proband - 1) * _DAY_S + _ACTIVITIES.index(self.activity) * _ACTIVITY_S
        )
        if not self.nested:
            number = 2 if (self.proband, self.activity) in _ONLY_PART_2 else None
            return (Part(self, number, start_s * 10**9, seconds),)
        return tuple(
            Part(self, number, (start_s + index * _PART_S) * 10**9, seconds * share)
            for index, (number, share) in enumerate(zip((None, 2, 3), _PART_SHARES, strict=True))
        )


def catalogue() -> Iterator[Recording]:
    """Yield recordings in the order in which more takes add them, without end.

    The first 48 go round six probands and eight activities together, so that a few takes already differ in
    both; then come the other probands one by one, from 16 on invented ones.
    """
    for turn, index in product(range(len(_ACTIVITIES)), range(len(_FIRST_PROBANDS))):
        yield Recording(_FIRST_PROBANDS[index], _ACTIVITIES[(turn + index) % len(_ACTIVITIES)])
    for proband in count(max(_FIRST_PROBANDS) + 1):
        for activity in _ACTIVITIES:
            yield Recording(proband, activity)
