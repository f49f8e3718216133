"""A body that moves: joints and bones over a window, seen from its front and from its side, round and round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.scale import coordinate
from sensorloom.flows.pages.skeletons import BONES, ROOM, SIDE, facing, half
from sensorloom.flows.queries.facts import Motion

__all__ = ["moving_skeleton"]

Point = tuple[float, float, float]
Plane = Mapping[str, tuple[float, float]]
_HALVES = ("left", "right", "middle")
_NOTHING = "M0 0"
"""A path that draws nothing: an empty one would end the animation."""


def moving_skeleton(motion: Motion) -> Html:
    """Draw the joints that were seen at each instant; metres, z up.

    It is drawn from the first instant with a joint to the last, the body in the middle of each view and as high as it
    stood. Without a script it moves for good; the page's script adds a button that stops it, and begins with it stopped
    for who prefers less motion.
    """
    everything = [_there(motion.joints, frame) for frame in motion.frames]
    there = [place for place, joints in enumerate(everything) if joints]
    if not there:
        return tag("p", "No joint was seen.", class_="quiet")
    first, stop = there[0], there[-1] + 1
    seen = everything[first:stop]
    fronts, sides = _views(seen)
    scale, middle = _scale((*fronts, *sides))
    drawn = (
        tag("g", *_figure(view, motion.step_s, scale, middle), transform=f"translate({place * SIDE} 0)")
        for place, view in enumerate((fronts, sides))
    )
    seconds = len(seen) * motion.step_s
    lacking = f" of {len(everything) * motion.step_s:.1f} s" if len(seen) < len(everything) else ""
    said = f"Body over {seconds:.1f}{lacking or ' s'}, from the front and the side."
    picture = tag(
        "svg",
        *drawn,
        class_="skeleton moving",
        viewBox=f"0 0 {2 * SIDE} {SIDE}",
        role="img",
        aria_label=said,
        data_middle_s=f"{seconds / 2:.2f}",
    )
    return tag("figure", picture, tag("figcaption", said))


def _there(joints: Sequence[str], frame: Sequence[Point | None]) -> dict[str, Point]:
    return {joint: point for joint, point in zip(joints, frame, strict=True) if point is not None}


def _views(seen: Sequence[Mapping[str, Point]]) -> tuple[list[Plane], list[Plane]]:
    """Return the joints of each instant (to the right of the body's middle, up), from its front and from its side.

    Which side is its front is told once, by the instant in the middle of those that have joints: one that is told anew
    each time would hide that the body turns.
    """
    there = [joints for joints in seen if joints]
    across, along = facing(there[len(there) // 2])
    return [_plane(joints, across) for joints in seen], [_plane(joints, along) for joints in seen]


def _plane(joints: Mapping[str, Point], way: tuple[float, float]) -> Plane:
    flat = {name: (x * way[0] + y * way[1], z) for name, (x, y, z) in joints.items()}
    middle = sum(right for right, _ in flat.values()) / max(1, len(flat))
    return {name: (right - middle, up) for name, (right, up) in flat.items()}


def _scale(planes: Sequence[Plane]) -> tuple[float, float]:
    """Return units of the drawing per metre, and the height in metres that stands in its middle."""
    rights = [abs(right) for plane in planes for right, _ in plane.values()]
    ups = [up for plane in planes for _, up in plane.values()]
    reach = max(2 * max(rights), max(ups) - min(ups)) or 1.0
    return (SIDE - 2 * ROOM) / reach, (max(ups) + min(ups)) / 2


def _figure(planes: Sequence[Plane], step_s: float, scale: float, middle: float) -> list[Html]:
    """Draw one view: a path of bones for each half of the body, then one of all joints."""
    places = [
        {
            name: f"{coordinate(SIDE / 2 + scale * right)} {coordinate(SIDE / 2 - scale * (up - middle))}"
            for name, (right, up) in plane.items()
        }
        for plane in planes
    ]
    seconds = len(places) * step_s
    bones = [_path([_bones(place, name) for place in places], seconds, f"bone {name}") for name in _HALVES]
    return [*bones, _path([_joints(place.values()) for place in places], seconds, "joints")]


def _bones(places: Mapping[str, str], name: str) -> str:
    drawn = (
        f"M{places[first]}L{places[second]}"
        for first, second in BONES
        if half(first, second) == name and first in places and second in places
    )
    return "".join(drawn) or _NOTHING


def _joints(places: Iterable[str]) -> str:
    """Return points as lines without length, which round ends make dots."""
    return "".join(f"M{place}h0" for place in places) or _NOTHING


def _path(instants: Sequence[str], seconds: float, kind: str) -> Html:
    """Return a path that is each of `instants` in turn; where nothing moves, that of the middle."""
    turn = tag(
        "animate",
        attributeName="d",
        values=";".join(instants),
        dur=f"{seconds:.2f}s",
        calcMode="discrete",
        repeatCount="indefinite",
    )
    return tag("path", turn, d=instants[len(instants) // 2], class_=kind)
