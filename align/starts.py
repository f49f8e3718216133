"""Where the windows of a view begin: every stride, at each text, or with the annotated motion."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.drops import texts_dropped, windows_dropped
from sensorloom.align.pairing import PairedText
from sensorloom.align.runs import find_runs
from sensorloom.align.text import Room, place, room_of
from sensorloom.align.tiles import Run, Tiles, class_runs, tile_runs
from sensorloom.align.timeline import GRID_STEP_NS, SLOW_STEP_NS, AlignedTake, MocapTrack, Quality
from sensorloom.align.view import View
from sensorloom.ingest.take import Finding

__all__ = ["Starts", "find_starts"]

_DROP_WORDS = {
    "text-outside-take": "whose moment lies outside the recording, or which is shorter than a window",
    "text-before-window": "that would look back to before the take",
    "text-too-short": "whose interval holds no whole window",
    "text-repo-dropped": "which the published code of the rule drops",
}


@dataclass(frozen=True, slots=True)
class Starts:
    """The tiles of a view, and by a tile's start in nanoseconds which texts put it there."""

    tiles: Tiles
    anchors: Mapping[int, Sequence[int]] = field(default_factory=dict)


def find_starts(
    aligned: AlignedTake, view: View, texts: Sequence[PairedText], drops: list[Finding]
) -> Starts:
    """Return where windows begin as the view's anchor says, each once; what leads to none becomes a drop.

    Windows at texts and motion lie inside one run, too: they cross no break and, in a view with classes, stay inside
    one label.
    """
    runs = class_runs(aligned, view, drops)
    if view.anchor == "tiles":
        return Starts(tile_runs(aligned, view, runs, drops))
    if not texts if view.anchor == "texts" else aligned.mocap is None:
        wanted = " or ".join(view.texts) if view.anchor == "texts" else "annotated motion"
        sentence = f"{view.name}: the take has no {wanted} for windows to begin at"
        drops.append(Finding(aligned.take_id, "anchor-missing", "note", sentence))
    room = room_of(aligned, view)
    anchors: dict[int, list[int]] = defaultdict(list)
    if view.anchor == "texts":
        anchors = _at_texts(aligned, view, texts, drops)
        starts_ns = sorted(anchors)
    else:
        starts_ns = _at_motion(aligned.mocap, room)
    starts = (np.array(starts_ns, np.int64) - aligned.grid.start_ns) // GRID_STEP_NS
    home = _homes(starts, view.grid_samples, runs)
    inside = home >= 0
    drops += windows_dropped(
        aligned,
        view,
        "window-outside-run",
        int((~inside).sum()),
        "which would cross a break or leave the label or the take",
    )
    labels = np.array([run.label for run in runs] or [-1], np.int64)
    return Starts(Tiles(starts[inside], labels[home[inside]], view.grid_samples), anchors)


def _at_texts(
    aligned: AlignedTake, view: View, texts: Sequence[PairedText], drops: list[Finding]
) -> dict[int, list[int]]:
    """Return the starts that the rule of the view gives, with the places in `texts` of those they come from."""
    room = room_of(aligned, view)
    anchors: dict[int, list[int]] = defaultdict(list)
    lost: Counter[str] = Counter()
    for index, text in enumerate(texts):
        placement = place(text.event, room, view.text_rule)
        for start in placement.starts:
            anchors[start].append(index)
        if placement.drop is not None:
            lost[placement.drop] += 1
    for rule, words in _DROP_WORDS.items():
        drops += texts_dropped(aligned, view, rule, lost[rule], words)
    return anchors


def _at_motion(mocap: MocapTrack | None, room: Room) -> list[int]:
    """Return a start every stride from the first annotated row of each run of rows with a joint.

    A start lies at most a step before its row, so that the row is the window's first.
    """
    if mocap is None:
        return []
    starts: set[int] = set()
    for first, last in zip(*find_runs((mocap.quality != Quality.INVALID).any(axis=1)), strict=True):
        begin = max(room.snap(mocap.start_ns + int(first) * SLOW_STEP_NS), room.start_ns)
        last_row_ns = mocap.start_ns + (int(last) - 1) * SLOW_STEP_NS
        starts.update(range(begin, last_row_ns + 1, room.stride_ns))
    return sorted(starts)


def _homes(starts: NDArray[np.int64], length: int, runs: Sequence[Run]) -> NDArray[np.int64]:
    """Return the run int64[n] that holds each window whole, -1 where none does."""
    if not runs:
        return np.full(len(starts), -1)
    firsts = np.array([run.first for run in runs], np.int64)
    lasts = np.array([run.last for run in runs], np.int64)
    home = np.searchsorted(firsts, starts, "right") - 1
    whole = (home >= 0) & (starts + length <= lasts[home])
    return np.where(whole, home, -1)
