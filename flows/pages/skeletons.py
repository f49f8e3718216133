"""A body as joints and bones, seen from its front and from its side."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot

from sensorloom.flows.audit.report_windows import Skeleton
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.scale import coordinate

__all__ = ["BONES", "ROOM", "SIDE", "facing", "half", "skeleton"]

BONES = (
    ("left-ear", "left-eye"), ("left-eye", "nose"), ("nose", "right-eye"), ("right-eye", "right-ear"),
    ("left-ear", "left-shoulder"), ("right-ear", "right-shoulder"), ("left-shoulder", "right-shoulder"),
    ("left-shoulder", "left-elbow"), ("left-elbow", "left-wrist"),
    ("right-shoulder", "right-elbow"), ("right-elbow", "right-wrist"),
    ("left-shoulder", "left-hip"), ("right-shoulder", "right-hip"), ("left-hip", "right-hip"),
    ("left-hip", "left-knee"), ("left-knee", "left-ankle"), ("right-hip", "right-knee"),
    ("right-knee", "right-ankle"),
)  # fmt: skip
"""Bones between the 17 joints of COCO, as its own drawings have them."""

SIDE, ROOM = 160, 12
"""A view is a square of so many units, with so much left free along its edges."""
_ACROSS = (("left-shoulder", "right-shoulder"), ("left-hip", "right-hip"))

Point = tuple[float, float, float]
Plane = Mapping[str, tuple[float, float]]


def skeleton(body: Skeleton) -> Html:
    """Draw the joints that were seen in two views side by side, at one scale; metres, z up."""
    there = {joint: point for joint, point in zip(body.joints, body.points, strict=True) if point is not None}
    said = f"Body pose: {len(there)} of {len(body.joints)} joints, seen from the front and from the side"
    if not there:
        return tag("p", "No joint was seen.", class_="quiet")
    views = _views(there)
    reach = max(_reach(view) for view in views) or 1.0
    drawn = (
        tag(
            "g",
            concat(_figure(view, (SIDE - 2 * ROOM) / reach)),
            transform=f"translate({place * SIDE} 0)",
        )
        for place, view in enumerate(views)
    )
    return tag(
        "svg",
        *drawn,
        class_="skeleton",
        viewBox=f"0 0 {2 * SIDE} {SIDE}",
        role="img",
        aria_label=said,
    )


def _views(joints: Mapping[str, Point]) -> tuple[Plane, Plane]:
    """Return the joints (to the right, up) as a camera before the body sees them, and one at its side."""
    across, along = facing(joints)
    front = {name: (x * across[0] + y * across[1], z) for name, (x, y, z) in joints.items()}
    side = {name: (x * along[0] + y * along[1], z) for name, (x, y, z) in joints.items()}
    return front, side


def facing(joints: Mapping[str, Point]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return level unit vectors across the body, from its right to its left, and along its view."""
    for left, right in _ACROSS:
        if left in joints and right in joints:
            x, y = (joints[left][axis] - joints[right][axis] for axis in (0, 1))
            if (length := hypot(x, y)) > 0:
                return (x / length, y / length), (y / length, -x / length)
    return (1.0, 0.0), (0.0, -1.0)


def _reach(view: Plane) -> float:
    across = [place[0] for place in view.values()]
    up = [place[1] for place in view.values()]
    return max(max(across) - min(across), max(up) - min(up))


def _figure(view: Plane, scale: float) -> list[Html]:
    """Draw one view with its middle in the middle of a square: bones, then joints over them."""
    across = [place[0] for place in view.values()]
    up = [place[1] for place in view.values()]
    middle = ((max(across) + min(across)) / 2, (max(up) + min(up)) / 2)
    places = {
        name: (
            coordinate(SIDE / 2 + scale * (x - middle[0])),
            coordinate(SIDE / 2 - scale * (y - middle[1])),
        )
        for name, (x, y) in view.items()
    }
    bones = [
        tag(
            "line",
            x1=places[first][0],
            y1=places[first][1],
            x2=places[second][0],
            y2=places[second][1],
            class_=f"bone {half(first, second)}",
        )
        for first, second in BONES
        if first in places and second in places
    ]
    dots = [tag("circle", cx=x, cy=y, r="2.4", class_="joint") for x, y in places.values()]
    return [*bones, *dots]


def half(first: str, second: str) -> str:
    """Return which half of the body a bone is of: left and right are told apart, and never by colour alone."""
    sides = {name.partition("-")[0] for name in (first, second) if "-" in name}
    return sides.pop() if len(sides) == 1 else "middle"
