"""Parts of a take that a wrong clock put far from the rest: left out, for they would stretch the grid over nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sensorloom.ingest.take import NS_PER_S, Finding

__all__ = ["ISLAND_NS", "Extent", "find_islands"]

ISLAND_NS = 3600 * NS_PER_S
"""A part this far from the rest was stamped by a wrong clock."""


@dataclass(frozen=True, slots=True)
class Extent:
    """From its first to its last instant, what a part of a take covers."""

    name: str
    first_ns: int
    last_ns: int
    num_samples: int
    is_imu: bool


def find_islands(extents: Sequence[Extent], take_id: str) -> tuple[frozenset[str], tuple[Finding, ...]]:
    """Return the names of parts over an hour away from the body of the take, and a finding for each.

    The body is where most IMU samples are, or most samples where there is no IMU.
    """
    groups: list[list[Extent]] = []
    for extent in sorted(extents, key=lambda extent: extent.first_ns):
        if not groups or extent.first_ns > max(other.last_ns for other in groups[-1]) + ISLAND_NS:
            groups.append([])
        groups[-1].append(extent)
    if len(groups) < 2:
        return frozenset(), ()
    body = max(groups, key=_num_samples)
    start = min(extent.first_ns for extent in body)
    kept = {extent.name for extent in body}
    left = [extent for extent in extents if extent.name not in kept]
    return frozenset(extent.name for extent in left), tuple(
        Finding(
            f"{take_id}#{extent.name}",
            "clock-island",
            "error",
            "This stream lies over an hour from the rest of the take: its clock was wrong. Left out.",
            {"offset_s": (extent.first_ns - start) / NS_PER_S, "samples": extent.num_samples},
        )
        for extent in left
    )


def _num_samples(group: Sequence[Extent]) -> tuple[int, int]:
    """Return the samples of a group's IMU streams, which decide, and those of all its parts."""
    return (
        sum(extent.num_samples for extent in group if extent.is_imu),
        sum(extent.num_samples for extent in group),
    )
