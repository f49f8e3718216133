"""Texts and windows: where the rule of a source puts a window for a text, and which windows a text belongs to.

Own rules. Narrations and atomic descriptions tell of a moment (to 1 or 2 s): the window is centred on it, pushed
into the take at its ends. An expert's comment tells of what came before the video was stopped: its window ends
there. A summary tells of an interval: its windows are tiles inside it.
Published rules put windows on whole seconds, as IMU2CLIP and PRIMUS (`imu2clip`) and AURA-MFM (`aura`) do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sensorloom.align.timeline import GRID_STEP_NS, SLOW_STEP_NS, AlignedTake
from sensorloom.align.view import View
from sensorloom.ingest.take import NS_PER_S, TextEvent

__all__ = ["Drop", "Placement", "Room", "place", "room_of", "span_of_starts"]

Drop = Literal["text-outside-take", "text-before-window", "text-too-short", "text-repo-dropped"]


@dataclass(frozen=True, slots=True)
class Room:
    """Where windows may lie: inside `[start_ns, stop_ns)`, beginning on multiples of `step_ns`, as do its ends."""

    start_ns: int
    stop_ns: int
    length_ns: int
    stride_ns: int
    step_ns: int

    def snap(self, time_ns: int) -> int:
        """Return the last multiple of the step at or before `time_ns`."""
        return time_ns // self.step_ns * self.step_ns


@dataclass(frozen=True, slots=True)
class Placement:
    """The starts of a text's windows in nanoseconds; without any, `drop` is the reason."""

    starts: tuple[int, ...] = ()
    drop: Drop | None = None


def room_of(aligned: AlignedTake, view: View) -> Room:
    """Return where the windows of `view` may lie in a take: its grid from 0 on, narrowed to the view's own instants."""
    step, grid = view.step_ns, aligned.grid
    return Room(
        start_ns=-(-max(0, grid.start_ns) // step) * step,
        stop_ns=grid.stop_ns // step * step,
        length_ns=view.length_ns,
        stride_ns=view.grid_stride * GRID_STEP_NS,
        step_ns=step,
    )


def place(event: TextEvent, room: Room, rule: Literal["own", "imu2clip", "aura"] = "own") -> Placement:
    """Return where the windows of a text begin, all of them inside `room`, or why there is none.

    A text may lie outside the take by its uncertainty, or by the 100 ms for which the last frame is shown.
    """
    reach = max(event.uncertainty_ns, SLOW_STEP_NS)
    if room.stop_ns - room.start_ns < room.length_ns:
        return Placement(drop="text-outside-take")
    if event.stop_ns < room.start_ns - reach or event.start_ns > room.stop_ns + reach:
        return Placement(drop="text-outside-take")
    return _RULES[rule, event.source](event, room)


def span_of_starts(event: TextEvent, length_ns: int) -> tuple[int, int]:
    """Return (first, last), both inclusive: a text belongs to the windows that begin in between.

    A moment belongs to the windows [start, stop) that hold it; a comment to those that end at it or less than half
    their length before it, so that they show at least half of what it looks back on and nothing after it; a summary
    to those inside it.
    """
    if event.source == "summary":
        return event.start_ns, event.stop_ns - length_ns
    if event.source == "commentary":
        last = event.start_ns - length_ns
        return last - length_ns // 2 + 1, last
    return event.start_ns - length_ns + 1, event.start_ns


def _centred(event: TextEvent, room: Room) -> Placement:
    start = room.snap(event.start_ns - room.length_ns // 2 + room.step_ns // 2)
    return Placement((min(max(start, room.start_ns), room.stop_ns - room.length_ns),))


def _looking_back(event: TextEvent, room: Room) -> Placement:
    """End at the moment, or up to a step before it: nothing after it may be seen [methods §2.4]."""
    start = room.snap(min(event.start_ns, room.stop_ns)) - room.length_ns
    return Placement((start,)) if start >= room.start_ns else Placement(drop="text-before-window")


def _inside(event: TextEvent, room: Room) -> Placement:
    first = max(room.start_ns, -(-event.start_ns // room.step_ns) * room.step_ns)
    last = min(room.stop_ns, event.stop_ns) - room.length_ns
    starts = tuple(range(first, last + 1, room.stride_ns))
    return Placement(starts) if starts else Placement(drop="text-too-short")


def _imu2clip(event: TextEvent, room: Room) -> Placement:
    """Centre, with a whole window's length of room on either side or none at all [methods §6, I2C and PRIMUS]."""
    end = room.stop_ns
    if event.start_ns <= room.length_ns:
        return _on_whole_seconds(0, end, room)
    if event.start_ns + room.length_ns >= end:
        return _on_whole_seconds(end - room.length_ns, end, room)
    return _on_whole_seconds(event.start_ns - room.length_ns // 2, end, room)


def _imu2clip_wearer(event: TextEvent, room: Room) -> Placement:
    """Only narrations of the camera wearer are used [formats §3.5]."""
    if "#c" not in event.text.lower():
        return Placement(drop="text-repo-dropped")
    return _imu2clip(event, room)


def _aura(event: TextEvent, room: Room) -> Placement:
    """Centre in a take held to be 1 s shorter than it is [methods §6, AURA]."""
    end, half = room.stop_ns - NS_PER_S, room.length_ns // 2
    if event.start_ns <= half:
        return _on_whole_seconds(0, end, room)
    if event.start_ns + half >= end:
        return _on_whole_seconds(end - room.length_ns, end, room)
    return _on_whole_seconds(event.start_ns - half, end, room)


def _on_whole_seconds(start_ns: int, end_ns: int, room: Room) -> Placement:
    """Floor both ends to whole seconds; what has lost its length by it, or leaves the take, is dropped."""
    start, stop = (time // NS_PER_S * NS_PER_S for time in (start_ns, start_ns + room.length_ns))
    inside = room.start_ns <= start and stop <= end_ns
    if stop - start != room.length_ns or not inside:
        return Placement(drop="text-repo-dropped")
    return Placement((start,))


_RULES: Mapping[tuple[str, str], Callable[[TextEvent, Room], Placement]] = MappingProxyType(
    {
        (rule, source): function
        for rule, sources in {
            "own": {"narration": _centred, "atomic": _centred},
            "imu2clip": {"narration": _imu2clip_wearer, "atomic": _imu2clip},
            "aura": {"narration": _aura, "atomic": _aura},
        }.items()
        for source, function in {**sources, "commentary": _looking_back, "summary": _inside}.items()
    }
)
