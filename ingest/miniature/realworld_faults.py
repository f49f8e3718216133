"""Faults that can be planted in a generated REALWORLD recording: in a stream, in a CSV, or in a zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from sensorloom.ingest.miniature.realworld_streams import Stream
from sensorloom.ingest.miniature.spec import FINDING, UNREADABLE, Truth
from sensorloom.ingest.miniature.tree import member_info

__all__ = ["FAULTS", "FAULT_TRUTH", "is_lost", "spoil_csv", "spoil_stream", "spoil_zip"]

_FAULTY_POSITION = "chest"

_REPEATED_ROWS = 50
_BOMB_BYTES = 256 << 20
_CHEST_ACC = {"streams": ["chest/accelerometer"]}

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "missing-column": "the chest accelerometer's CSV has no attr_z",
        "empty-csv": "the chest accelerometer's CSV has no bytes",
        "escaping-zip": "the accelerometer zip's chest member is named ../../../…",
        "zip-bomb": "the accelerometer zip's chest member unpacks to 256 MiB of nothing",
        "truncated-zip": "the accelerometer zip ends after two thirds",
        "missing-gyr": "there is no gyroscope zip",
        "duplicate-stamps": "50 rows of the chest accelerometer carry one time stamp",
        "wrong-rate": "the chest sensors keep every second sample, half the rate that the readme claims",
    }
)

FAULT_TRUTH: Mapping[str, Truth] = MappingProxyType(
    {
        "missing-column": {"outcome": FINDING, "rule": "unreadable-file", **_CHEST_ACC, "column": "attr_z"},
        "empty-csv": {"outcome": FINDING, "rule": "unreadable-file", **_CHEST_ACC},
        "escaping-zip": {"outcome": UNREADABLE, **_CHEST_ACC},
        "zip-bomb": {"outcome": UNREADABLE, **_CHEST_ACC, "unpacked_bytes": _BOMB_BYTES},
        "truncated-zip": {"outcome": UNREADABLE},
        "missing-gyr": {"outcome": FINDING, "rule": "missing-sensor"},
        "duplicate-stamps": {
            "outcome": FINDING,
            "rule": "duplicate-stamps",
            **_CHEST_ACC,
            "duplicates": _REPEATED_ROWS - 1,
        },
        "wrong-rate": {
            "outcome": FINDING,
            "rule": "rate-off-claim",
            "streams": ["chest/accelerometer", "chest/gyroscope"],
        },
    }
)


def spoil_stream(fault: str | None, stream: Stream) -> Stream:
    """Return `stream` with `fault` planted in its rows."""
    if stream.position != _FAULTY_POSITION:
        return stream
    if fault == "wrong-rate":
        return stream.every_second()
    if fault == "duplicate-stamps" and stream.sensor == "acc":
        index = np.arange(len(stream.stamps_ms))
        middle = len(index) // 2
        repeated = (index >= middle) & (index < middle + _REPEATED_ROWS)
        return replace(stream, stamps_ms=stream.stamps_ms[np.where(repeated, middle, index)])
    return stream


def is_lost(fault: str | None, stream: Stream) -> bool:
    """Tell whether `fault` leaves nothing of `stream` to read, though the rest of its take can be."""
    if fault == "missing-gyr":
        return stream.sensor == "gyr"
    return fault in ("missing-column", "empty-csv") and _carries(stream)


def spoil_csv(fault: str | None, stream: Stream, member: tuple[str, bytes]) -> tuple[str, bytes]:
    """Return the CSV member `(name, data)` of `stream` with `fault` planted in it."""
    name, data = member
    if not _carries(stream):
        return member
    if fault == "missing-column":
        return name, b"\n".join(line.rpartition(b",")[0] for line in data.split(b"\n"))
    if fault == "empty-csv":
        return name, b""
    if fault == "escaping-zip":
        return f"../../../{name}", data
    return member


def spoil_zip(fault: str | None, sensor: str, data: bytes) -> bytes | None:
    """Return the zip `data` of `sensor` with `fault` planted in it, None when there is to be none."""
    if fault == "missing-gyr" and sensor == "gyr":
        return None
    if fault == "truncated-zip" and sensor == "acc":
        return data[: len(data) * 2 // 3]
    if fault == "zip-bomb" and sensor == "acc":
        return _with_bomb(data)
    return data


def _carries(stream: Stream) -> bool:
    return stream.position == _FAULTY_POSITION and stream.sensor == "acc"


def _with_bomb(data: bytes) -> bytes:
    """Replace the chest member by zeros that deflate a thousand times, without ever holding them."""
    buffer, zeros = io.BytesIO(), bytes(1 << 20)
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            if not name.endswith(f"_{_FAULTY_POSITION}.csv"):
                target.writestr(member_info(name), source.read(name))
                continue
            with target.open(member_info(name), "w") as bomb:
                for _ in range(_BOMB_BYTES // len(zeros)):
                    bomb.write(zeros)
    return buffer.getvalue()
