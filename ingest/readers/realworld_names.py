"""What the names of REALWORLD's files say. Pure.

Names are read from both ends, since they disagree in the middle: `acc_walking_chest.csv`,
`Gyroscope_climbingup_2_chest.csv`, `acc_climbingup_1_csv.zip` beside `gyr_climbingup_csv.zip`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "RawName", "capture_of_container", "may_hold_takes", "parse_name"]

Kind = Literal["accelerometer", "gyroscope"]

# The zips say acc_ and gyr_, the CSVs inside acc_ and Gyroscope_.
_KINDS: dict[str, Kind] = {
    "acc": "accelerometer",
    "accelerometer": "accelerometer",
    "gyr": "gyroscope",
    "gyroscope": "gyroscope",
}
_PREFIX = rf"({'|'.join(_KINDS)})_([a-z]+)(?:_(\d{{1,3}}))?"
_CSV = re.compile(rf"{_PREFIX}_([a-z]+)\.csv", re.IGNORECASE | re.ASCII)
_CONTAINER = re.compile(rf"{_PREFIX}_csv(?:\.zip)?", re.IGNORECASE | re.ASCII)
_SENSOR_ZIP = re.compile(r"[a-z]+_.+_(csv|sqlite)\.zip", re.IGNORECASE)
_PROBAND = re.compile(r"proband(\d{1,4})(?:\.zip)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class RawName:
    """What the address of a CSV says; `part` is None where it carries no number.

    The first part is unnumbered, but for the zip around it, which in the download says `_1` for one sensor and
    nothing for the other: a 1 there counts as no number, so both come out alike whatever else is present.
    """

    proband: int
    activity: str
    part: int | None
    position: str
    kind: Kind

    @property
    def capture_id(self) -> str:
        """Id of the recording session, which all parts share."""
        return f"realworld/proband{self.proband}/{self.activity}"

    @property
    def take_id(self) -> str:
        """Id of the recording session, and the part's number where it has one."""
        return self.capture_id if self.part is None else f"{self.capture_id}/{self.part}"


def parse_name(uri: str, root_name: str) -> RawName | None:
    """Return what the address of a sensor CSV below a root of that name says, or None for any other file.

    Sensor first, position last, activity second, between them an optional part number, which may stand in the
    name of the containing folder or zip instead.
    """
    *folders, name = re.split("[/!]", uri)
    match, proband = _CSV.fullmatch(name), _proband(folders, root_name)
    if match is None or proband is None:
        return None
    part = _container_part(folders) if match[3] is None else int(match[3])
    return RawName(proband, match[2].lower(), part, match[4].lower(), _KINDS[match[1].lower()])


def _container_part(folders: list[str]) -> int | None:
    containers = (_CONTAINER.fullmatch(folder) for folder in reversed(folders))
    part = next((int(found[3]) for found in containers if found and found[3]), None)
    return None if part == 1 else part


def _proband(folders: list[str], root_name: str) -> int | None:
    for folder in (*reversed(folders), root_name):
        if match := _PROBAND.fullmatch(folder):
            return int(match[1])
    return None


def capture_of_container(uri: str, root_name: str) -> str | None:
    """Return the capture id that a sensor zip's address tells, or None for any other file."""
    *folders, name = re.split("[/!]", uri)
    match, proband = _CONTAINER.fullmatch(name), _proband(folders, root_name)
    return None if match is None or proband is None else f"realworld/proband{proband}/{match[2].lower()}"


def may_hold_takes(uri: str) -> bool:
    """Tell whether a zip is worth opening: any but those of other sensors and of SQLite."""
    name = re.split("[/!]", uri)[-1]
    return _CONTAINER.fullmatch(name) is not None or _SENSOR_ZIP.fullmatch(name) is None
