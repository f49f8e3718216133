"""The bytes of a generated REALWORLD recording: CSV text, readmes, zips and zips of zips. Pure."""

from __future__ import annotations

import io
from collections.abc import Iterable

import polars as pl

from sensorloom.ingest.miniature.realworld_schedule import Part
from sensorloom.ingest.miniature.realworld_streams import Stream

__all__ = ["csv_bytes", "csv_name", "inner_zip_name", "part_members"]

_PREFIXES = {"acc": "acc", "gyr": "Gyroscope", "mag": "MagneticField"}
_README = "readMe.txt"
_CLAIMED_HZ = 50.0  # nominal; the local rate differs


def csv_name(part: Part, sensor: str, position: str) -> str:
    """Return the member name; `Gyroscope_walking_2_chest.csv` lies in `gyr_walking_csv.zip`."""
    return f"{_PREFIXES[sensor]}_{part.stem}_{position}.csv"


def inner_zip_name(part: Part, sensor: str) -> str:
    """Return the name of a part's zip inside the outer one; the first part carries `_1` for acc alone."""
    numbered = f"{part.recording.activity}_1" if part.number is None and sensor == "acc" else part.stem
    return f"{sensor}_{numbered}_csv.zip"


def csv_bytes(stream: Stream) -> bytes:
    """Return the CSV of `stream`: LF, shortest float32 decimals, no newline at the end."""
    columns = {
        "id": range(1, len(stream.stamps_ms) + 1),
        "attr_time": stream.stamps_ms,
        **{f"attr_{axis}": stream.values[:, i] for i, axis in enumerate("xyz")},
    }
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_csv(buffer)
    return buffer.getvalue().removesuffix(b"\n")


def part_members(part: Part, files: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return the members of a zip that holds the CSVs `files` of one part, a readme last."""
    members = list(files)
    names = [name for name, _ in members]
    entries = (f"{name}\n frequency: {_CLAIMED_HZ} Hz\n" for name in names)
    title = f"{part.recording.activity}, proband {part.recording.proband}: generated data\n"
    return [*members, (_README, "\n".join([title, *entries]).encode())]
