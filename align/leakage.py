"""Leakage: what two splits share that they must not, as counts and examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import Any, Literal

__all__ = ["Leak", "Row", "find_leakage"]

_NUM_EXAMPLES = 5


Row = Mapping[str, Any]
"""A row of a window table: ids, `split`, and `[start_ns, stop_ns)` of its take it was made from."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What the splits `first` and `second` share: participants, captures or pairs of overlapping windows.

    `examples` names up to five: ids, or `window & window`.
    """

    kind: Literal["participant", "capture", "overlap"]
    first: str
    second: str
    count: int
    examples: tuple[str, ...]


def find_leakage(rows: Sequence[Row]) -> tuple[Leak, ...]:
    """Return every kind of leak between every two splits, sorted; an empty tuple means none."""
    leaks = [*_shared("participant", rows), *_shared("capture", rows), *_overlapping(rows)]
    return tuple(sorted(leaks, key=lambda leak: (leak.kind, leak.first, leak.second)))


def _shared(kind: Literal["participant", "capture"], rows: Sequence[Row]) -> Iterator[Leak]:
    unit: Callable[[Row], str] = itemgetter(f"{kind}_id")
    units: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        units[row["split"]].add(unit(row))
    for first, second in combinations(sorted(units), 2):
        both = sorted(units[first] & units[second])
        if both:
            yield Leak(kind, first, second, len(both), tuple(both[:_NUM_EXAMPLES]))


def _overlapping(rows: Sequence[Row]) -> Iterator[Leak]:
    takes: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        takes[row["take_id"]].append(row)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, windows in sorted(takes.items()):
        for earlier, later in _pairs(windows):
            first, second = sorted((earlier["split"], later["split"]))
            counts[first, second] += 1
            if len(examples[first, second]) < _NUM_EXAMPLES:
                examples[first, second].append(f"{earlier['window_id']} & {later['window_id']}")
    for (first, second), count in counts.items():
        yield Leak("overlap", first, second, count, tuple(examples[first, second]))


def _pairs(windows: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """Yield the pairs of one take's windows that overlap in time and lie in different splits."""
    open_: list[Row] = []
    for window in sorted(windows, key=itemgetter("start_ns", "window_id")):
        open_ = [earlier for earlier in open_ if earlier["stop_ns"] > window["start_ns"]]
        for earlier in open_:
            if earlier["split"] != window["split"]:
                yield earlier, window
        open_.append(window)
