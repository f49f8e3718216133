"""Takes whose video was recorded once and is there twice, as their windows' vectors tell.

Vectors of different takes may be near one another because they show the same kitchen. A copy is nearer: nearer by far
than a window is to the other windows of its own take, and it comes with its neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.leakage import Row
from sensorloom.embed.near_duplicates import find_twins

__all__ = ["find_copied_video"]

_NEARER = 0.5
"""A copy is at most this part of the way off to the nearest other window of its own take [ratio test, Lowe 2004]."""
_FEWEST = 2


def find_copied_video(
    video: NDArray[np.float16], present: NDArray[np.bool_], rows: Sequence[Row], least_cosine: float
) -> NDArray[np.int64]:
    """Return pairs int64[p, 2] of windows of different takes that show the same video, of unit vectors [n, D].

    Two takes count where two of their windows are found again, or half of those of the shorter. A window that its own
    take shows as well elsewhere (a black picture, a still camera) cannot be told from a copy, and one that is
    all that its take has has nothing to be held against: neither counts.
    """
    names = {name: number for number, name in enumerate(sorted({row["take_id"] for row in rows}))}
    take = np.array([names[row["take_id"]] for row in rows], np.int64)
    within = float(np.sqrt(2 - 2 * least_cosine))
    pairs = find_twins(video, present, take, within, inside=False).pairs
    if not len(pairs):
        return pairs
    own = _nearest_of_own(video, present, take, rows, np.unique(pairs))
    apart = np.linalg.norm(
        video[pairs[:, 0]].astype(np.float32) - video[pairs[:, 1]].astype(np.float32), axis=1
    )
    nearest = own[pairs].min(axis=1)
    pairs = pairs[np.isfinite(nearest) & (nearest > 0) & (apart <= _NEARER * nearest)]
    return _enough(pairs, take, np.bincount(take[present], minlength=len(names)))


def _nearest_of_own(
    video: NDArray[np.float16],
    present: NDArray[np.bool_],
    take: NDArray[np.int64],
    rows: Sequence[Row],
    wanted: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return how far off the nearest window of a window's own take is, of those that do not overlap it, float32[n].

    Infinite where there is none, and of windows that are not `wanted`.
    """
    found = np.full(len(rows), np.inf, np.float32)
    is_wanted = np.zeros(len(rows), np.bool_)
    is_wanted[wanted] = True
    order = np.argsort(take, kind="stable")
    takes = np.unique(take[wanted])
    first = np.searchsorted(take[order], takes, "left")
    stop = np.searchsorted(take[order], takes, "right")
    for begin, end in zip(first.tolist(), stop.tolist(), strict=True):
        places = order[begin:end][present[order[begin:end]]]
        vectors = video[places].astype(np.float32)
        squares = np.einsum("nd,nd->n", vectors, vectors)
        starts = np.array([rows[place]["start_ns"] for place in places.tolist()], np.int64)
        stops = np.array([rows[place]["stop_ns"] for place in places.tolist()], np.int64)
        for number in np.flatnonzero(is_wanted[places]).tolist():
            apart = squares + squares[number] - 2 * (vectors @ vectors[number])
            apart[(starts < stops[number]) & (starts[number] < stops)] = np.inf
            found[places[number]] = np.sqrt(max(0.0, float(apart.min())))
    return found


def _enough(
    pairs: NDArray[np.int64], take: NDArray[np.int64], windows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return those `pairs` whose takes, with so many `windows` each, are found again often enough."""
    matched: dict[tuple[int, int], tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    keys = [tuple(sorted(both)) for both in take[pairs].tolist()]
    for key, pair in zip(keys, pairs.tolist(), strict=True):
        for place in pair:
            matched[key][int(take[place] != key[0])].add(place)
    enough = {
        key
        for key, sides in matched.items()
        if min(map(len, sides)) >= min(_FEWEST, max(1, -(-int(windows[list(key)].min()) // 2)))
    }
    return pairs[np.array([key in enough for key in keys], np.bool_)]
