"""Which exo camera shows a window best, as the annotators of Ego-Exo4D say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.timeline import AlignedTake

__all__ = ["best_exo"]


def best_exo(aligned: AlignedTake, starts_ns: NDArray[np.int64], length_ns: int) -> Sequence[str | None]:
    """Return the name of the exo camera that shows each window [start, start + length) best, None where nobody says.

    The atomic descriptions whose moment lies in the window vote by their own `best_exo`; where they name none of the
    take's exo cameras, the take's `best_exo` (`takes.json`) counts, which may be null. Of cameras with equal votes it
    is the take's, else the first by name.
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


def _most_named(names: Sequence[str], of_take: str | None) -> str | None:
    if not names:
        return of_take
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name != of_take, name))
