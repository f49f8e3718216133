"""Faults that can be planted in a generated PAMAP2 file: some in its numbers, some in its bytes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.motion import GRAVITY_M_S2
from sensorloom.ingest.miniature.pamap2_rows import ACC16, GYRO, Chunk, Floats, Session
from sensorloom.ingest.miniature.spec import FINDING, UNREADABLE, Truth

__all__ = ["FAULTS", "FAULT_TRUTH", "spoil_bytes", "spoil_rows"]

UNKNOWN_ACTIVITY = 8
WRONG_COLUMNS_LINE = 101

_LONG_GAP_ROWS, _BACKWARDS_ROWS, _BACKWARDS_CENTIS, _UNKNOWN_ROWS = 200, 20, 100, 100
_ACC6 = slice(4, 7)

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "truncated-line": "the last line of the file is cut in the middle",
        "wrong-columns": f"line {WRONG_COLUMNS_LINE} has 53 columns",
        "empty-file": "the file has no bytes",
        "stuck-axis": "the chest accelerometer's x axis repeats one value throughout",
        "identical-axes": "the chest accelerometer's y and z axes are the same numbers",
        "all-zero": "the ankle's accelerometers and gyroscope read zero throughout",
        "degrees": "all gyroscopes are in degrees per second",
        "in-g": "all accelerometers are in multiples of gravity",
        "long-gap": "2 s of rows are missing inside an activity",
        "backwards": "20 rows carry time stamps 1 s too early",
        "unknown-activity": f"1 s of the first activity is labelled {UNKNOWN_ACTIVITY}, which never occurs",
    }
)

FAULT_TRUTH: Mapping[str, Truth] = MappingProxyType(
    {
        "truncated-line": {"outcome": UNREADABLE},
        "wrong-columns": {"outcome": UNREADABLE, "line": WRONG_COLUMNS_LINE, "columns": 53},
        "empty-file": {"outcome": UNREADABLE},
        "stuck-axis": {
            "outcome": FINDING,
            "rule": "stuck-axis",
            "streams": ["chest/accelerometer"],
            "axis": "x",
        },
        "identical-axes": {
            "outcome": FINDING,
            "rule": "identical-axes",
            "streams": ["chest/accelerometer"],
            "axes": ["y", "z"],
        },
        "all-zero": {
            "outcome": FINDING,
            "rule": "all-zero",
            "streams": ["ankle/accelerometer", "ankle/gyroscope"],
        },
        "degrees": {
            "outcome": FINDING,
            "rule": "gyroscope-in-degrees",
            "streams": ["hand/gyroscope", "chest/gyroscope", "ankle/gyroscope"],
        },
        "in-g": {
            "outcome": FINDING,
            "rule": "accelerometer-in-g",
            "streams": ["hand/accelerometer", "chest/accelerometer", "ankle/accelerometer"],
        },
        "long-gap": {"outcome": FINDING, "rule": "gaps", "missing_rows": _LONG_GAP_ROWS},
        "backwards": {
            "outcome": FINDING,
            "rule": "non-monotonic-stamps",
            "early_rows": _BACKWARDS_ROWS,
            "early_ms": _BACKWARDS_CENTIS * 10,
        },
        "unknown-activity": {
            "outcome": FINDING,
            "rule": "unknown-activity",
            "activity": UNKNOWN_ACTIVITY,
            "rows": _UNKNOWN_ROWS,
        },
    }
)


def spoil_rows(fault: str | None, session: Session, chunk: Chunk) -> Chunk:
    """Return `chunk` of `session` with `fault` planted in its numbers (unchanged for faults of bytes)."""
    return _ROW_FAULTS[fault](session, chunk) if fault in _ROW_FAULTS else chunk


def spoil_bytes(fault: str | None, data: bytes, *, first: bool, last: bool) -> bytes:
    """Return the text of a chunk, the `first` or `last` of its file or neither, with `fault` in it."""
    if fault == "empty-file":
        return b""
    if fault == "wrong-columns" and first:
        lines = data.split(b"\n", WRONG_COLUMNS_LINE)
        lines[WRONG_COLUMNS_LINE - 1] = lines[WRONG_COLUMNS_LINE - 1].rpartition(b" ")[0]
        return b"\n".join(lines)
    if fault == "truncated-line" and last:
        start = data.rindex(b"\n", 0, len(data) - 1) + 1
        return data[: (start + len(data)) // 2]
    return data


def _edit(chunk: Chunk, positions: tuple[str, ...], change: Callable[[Floats], None]) -> Chunk:
    blocks = {position: block.copy() for position, block in chunk.blocks.items()}
    for position in positions:
        change(blocks[position])
    return replace(chunk, blocks=blocks)


def _keep_missing(block: Floats, columns: slice | int, values: Floats | float) -> None:
    """Set columns to `values` where the row is there; a lost row stays lost."""
    block[:, columns] = np.where(np.isnan(block[:, columns]), np.nan, values)


def _stuck(_: Session, chunk: Chunk) -> Chunk:
    return _edit(chunk, ("chest",), lambda block: _keep_missing(block, ACC16.start, 1.23456))


def _identical(_: Session, chunk: Chunk) -> Chunk:
    return _edit(
        chunk, ("chest",), lambda block: _keep_missing(block, ACC16.start + 2, block[:, ACC16.start + 1])
    )


def _zero(_: Session, chunk: Chunk) -> Chunk:
    return _edit(chunk, ("ankle",), lambda block: _keep_missing(block, slice(ACC16.start, GYRO.stop), 0.0))


def _degrees(_: Session, chunk: Chunk) -> Chunk:
    return _edit(
        chunk, tuple(chunk.blocks), lambda block: _keep_missing(block, GYRO, np.rad2deg(block[:, GYRO]))
    )


def _in_g(_: Session, chunk: Chunk) -> Chunk:
    columns = slice(ACC16.start, _ACC6.stop)
    return _edit(
        chunk,
        tuple(chunk.blocks),
        lambda block: _keep_missing(block, columns, block[:, columns] / GRAVITY_M_S2),
    )


def _long_gap(session: Session, chunk: Chunk) -> Chunk:
    keep = ~_inside_activity(session, chunk, _LONG_GAP_ROWS)
    blocks = {position: block[keep] for position, block in chunk.blocks.items()}
    return Chunk(chunk.centis[keep], chunk.activity[keep], chunk.heart_rate[keep], blocks)


def _backwards(session: Session, chunk: Chunk) -> Chunk:
    early = _inside_activity(session, chunk, _BACKWARDS_ROWS)
    return replace(chunk, centis=chunk.centis - _BACKWARDS_CENTIS * early)


def _unknown(session: Session, chunk: Chunk) -> Chunk:
    relabelled = _inside_activity(session, chunk, _UNKNOWN_ROWS)
    return replace(chunk, activity=np.where(relabelled, UNKNOWN_ACTIVITY, chunk.activity))


def _inside_activity(session: Session, chunk: Chunk, rows: int) -> NDArray[np.bool_]:
    """Mark `rows` rows in the middle of the first activity."""
    activity = session.stretches[1]
    start = activity.middle_row - rows // 2
    row = chunk.centis - session.first_centis
    return (row >= start) & (row < start + rows)


_ROW_FAULTS: Mapping[str | None, Callable[[Session, Chunk], Chunk]] = MappingProxyType(
    {
        "stuck-axis": _stuck,
        "identical-axes": _identical,
        "all-zero": _zero,
        "degrees": _degrees,
        "in-g": _in_g,
        "long-gap": _long_gap,
        "backwards": _backwards,
        "unknown-activity": _unknown,
    }
)
