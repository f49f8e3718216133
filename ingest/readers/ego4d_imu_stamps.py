"""Which rows of an Ego4D IMU file have a stamp that makes sense: the wild ones are left out. Pure.

A wild stamp inside the video's span is the worse one: sorted, it makes its component reach over another. Canonical less
component time is one offset for each component, so a row whose two stamps differ by another one is found by that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import Finding, counted

__all__ = ["FIRST_ROW_LINE", "Stamps", "line_of", "rows_in_video", "without_strays"]

FIRST_ROW_LINE = 2
STAMP_MARGIN_S = 60.0
"""A stamp further outside the video than this has no sense: 1e12 ms occurs."""
STRAY_S = 1.0
"""A row whose offset is further from its component's than this has a wild stamp."""
USUAL_OFFSET_S = 0.1
"""Most rows of a component must agree on the offset to within this, else it says nothing of any row."""
_LARGEST_MS = 1e15  # of component time; beyond, differences of stamps come to no number

_Floats = NDArray[np.float64]
_Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Stamps:
    """The stamps of a whole file, row by row: `component` int64[N], the others float64[N] ms, NaN where missing."""

    component: NDArray[np.int64]
    own_ms: _Floats
    canonical_ms: _Floats

    def offsets_ms(self, rows: _Rows) -> _Floats:
        """Return canonical less component time of `rows`; component time is taken as ±1e15 ms at most."""
        own_ms = np.clip(self.own_ms[rows], -_LARGEST_MS, _LARGEST_MS)
        offsets_ms: _Floats = self.canonical_ms[rows] - own_ms
        return offsets_ms


def rows_in_video(stamps: Stamps, duration_s: float, target: str, findings: list[Finding]) -> _Rows:
    """Return the rows with a canonical stamp in or near a video of `duration_s`, in file order."""
    missing = np.isnan(stamps.canonical_ms)
    if missing.any():
        rows = np.flatnonzero(missing)
        parts = len(np.unique(stamps.component[rows]))
        sentence = (
            f"{counted(len(rows), 'row')} of {counted(parts, 'component')} without a canonical stamp, first at line"
            f" {line_of(rows)}: trimmed from the video, left out"
        )
        numbers: dict[str, float] = {"count": len(rows), "components": parts, "first_line": line_of(rows)}
        findings.append(Finding(target, "canonical-missing", "note", sentence, numbers))
    low_ms, high_ms = -STAMP_MARGIN_S * 1e3, (duration_s + STAMP_MARGIN_S) * 1e3
    senseless = (stamps.canonical_ms < low_ms) | (stamps.canonical_ms > high_ms)
    if senseless.any():
        rows = np.flatnonzero(senseless)
        furthest_ms = float(stamps.canonical_ms[rows[np.argmax(np.abs(stamps.canonical_ms[rows]))]])
        sentence = (
            f"{counted(len(rows), 'row')} stamped outside {low_ms / 1e3:g} to {high_ms / 1e3:g} s, up to"
            f" {furthest_ms:g} ms, first at line {line_of(rows)}; left out"
        )
        numbers = {"count": len(rows), "furthest_ms": furthest_ms, "first_line": line_of(rows)}
        findings.append(Finding(target, "stamp-extreme", "warning", sentence, numbers))
    return np.flatnonzero(~(missing | senseless))


def without_strays(stamps: Stamps, rows: _Rows, target: str, findings: list[Finding]) -> _Rows:
    """Return the `rows` of one component without those whose two stamps differ as those of no other row do.

    Where most rows do not agree on one offset, as where component time stands still, nothing is left out.
    """
    offsets_ms = stamps.offsets_ms(rows)
    told_ms = offsets_ms[~np.isnan(offsets_ms)]
    if not len(told_ms) or told_ms.max() - told_ms.min() <= STRAY_S * 1e3:
        return rows
    middle_ms = float(np.median(told_ms))
    usual = np.count_nonzero(np.abs(told_ms - middle_ms) <= USUAL_OFFSET_S * 1e3)
    off_ms = np.abs(offsets_ms - middle_ms)
    is_stray = off_ms > STRAY_S * 1e3  # False where component time is missing
    if 2 * usual <= len(told_ms) or not is_stray.any():
        return rows
    strays, index = rows[is_stray], int(stamps.component[rows[0]])
    largest_ms = float(off_ms[is_stray].max())
    sentence = (
        f"component {index}: canonical less component time is {middle_ms:g} ms as a rule and more than"
        f" {STRAY_S:g} s off in {counted(len(strays), 'row')}, by up to {largest_ms:g} ms, first at line"
        f" {line_of(strays)}; left out"
    )
    numbers = {
        "component": index,
        "count": len(strays),
        "largest_off_ms": largest_ms,
        "first_line": line_of(strays),
    }
    findings.append(Finding(target, "stamp-extreme", "warning", sentence, numbers))
    kept: _Rows = rows[~is_stray]
    return kept


def line_of(rows: _Rows) -> int:
    """Return the line of the file at which the first of `rows` stands."""
    return int(rows.min()) + FIRST_ROW_LINE
