"""Which exo camera shows a window best, as the annotators of Ego-Exo4D say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.instants import camera_tracks
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.view import View
from sensorloom.align.window import Window

__all__ = ["best_exo", "choose_exo"]


def best_exo(aligned: AlignedTake, starts_ns: NDArray[np.int64], length_ns: int) -> Sequence[str | None]:
    """Return the name of the exo camera that shows each window [start, start + length) best, None where nobody says.

    Texts whose moment lies in the window vote by their `best_exo`, as atomic descriptions have; where they name none of
    the take's exo cameras, the take's `best_exo` (`takes.json`) counts, which may be null. Of cameras with equal votes
    it is the take's, else the first by name.
    """
    cameras = {video.name for video in aligned.videos if video.view == "exo"}
    votes = [event for event in aligned.events if event.tags.get("best_exo") in cameras]
    moments = np.array([event.start_ns for event in votes], np.int64)
    first = np.searchsorted(moments, starts_ns).tolist()
    stop = np.searchsorted(moments, starts_ns + length_ns).tolist()
    said = aligned.facts.get("best_exo")
    of_take = said if said in cameras else None
    return [
        _most_named([event.tags["best_exo"] for event in votes[start:end]], of_take)
        for start, end in zip(first, stop, strict=True)
    ]


def choose_exo(aligned: AlignedTake, view: View, windows: Sequence[Window]) -> NDArray[np.int64]:
    """Return int64[n], the place in `view.cameras` of the exo camera that shows each window best.

    It is -1 where nobody says which that is, or where it is not among the view's cameras or not there: to mask the
    slot would lose what the other cameras show, so their mean stands in.
    """
    tracks = camera_tracks(aligned, view)
    places = {
        track.name: place for place, track in enumerate(tracks) if track is not None and track.view == "exo"
    }
    starts_ns = np.array([window.start_ns for window in windows], np.int64)
    names = best_exo(aligned, starts_ns, view.length_ns)
    chosen = [-1 if name is None else places.get(name, -1) for name in names]
    there = [
        place if place >= 0 and window.video_present[place] else -1
        for place, window in zip(chosen, windows, strict=True)
    ]
    return np.array(there, np.int64)


def _most_named(names: Sequence[str], of_take: str | None) -> str | None:
    if not names:
        return of_take
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name != of_take, name))
