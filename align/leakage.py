"""Leakage: what two splits share that they must not, as counts and examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.rules import Rule
from sensorloom.ingest.take import Finding, counted

__all__ = ["Leak", "LeakKind", "Row", "find_leakage", "find_shared_texts", "find_twin_windows", "tell_leaks"]

_NUM_EXAMPLES = 5

LeakKind = Literal["participant", "capture", "overlap", "signal", "vector", "text"]

Row = Mapping[str, Any]
"""A row of a window table: ids, `split`, and `[start_ns, stop_ns)` of its take it was made from."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What the splits `first` and `second` share.

    `count` is of participants, captures, pairs of overlapping windows, distinct texts; of the kinds signal and vector
    it is of windows of either split that the other has too. `examples` names up to five: ids, texts, or
    `window & window`.
    """

    kind: LeakKind
    first: str
    second: str
    count: int
    examples: tuple[str, ...]


def find_leakage(rows: Sequence[Row]) -> tuple[Leak, ...]:
    """Return what splits share by ids and times, between every two splits, sorted; an empty tuple means nothing."""
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


def find_twin_windows(
    kind: Literal["signal", "vector"], rows: Sequence[Row], pairs: NDArray[np.int64]
) -> tuple[Leak, ...]:
    """Return what `pairs` int64[p, 2] of places in `rows`, windows that are all but equal, say of splits.

    Windows of one take that overlap are left out: the kind overlap tells of them already.
    """
    windows: dict[tuple[str, str], set[int]] = defaultdict(set)
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one, other in pairs.tolist():
        if rows[one]["split"] > rows[other]["split"]:
            one, other = other, one
        between = (rows[one]["split"], rows[other]["split"])
        if between[0] == between[1] or _overlap(rows[one], rows[other]):
            continue
        windows[between] |= {one, other}
        if len(examples[between]) < _NUM_EXAMPLES:
            examples[between].append(f"{rows[one]['window_id']} & {rows[other]['window_id']}")
    return tuple(
        Leak(kind, *between, len(windows[between]), tuple(examples[between])) for between in sorted(windows)
    )


def find_shared_texts(rows: Iterable[Row]) -> tuple[Leak, ...]:
    """Return which texts are paired with windows of two splits; each row's `texts` have `text_id` and `text`."""
    ids: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        for text in row.get("texts") or ():
            ids[row["split"]].setdefault(text["text_id"], text["text"])
    leaks = []
    for first, second in combinations(sorted(ids), 2):
        both = sorted(ids[first][text_id] for text_id in ids[first].keys() & ids[second].keys())
        if both:
            leaks.append(Leak("text", first, second, len(both), tuple(both[:_NUM_EXAMPLES])))
    return tuple(leaks)


_WORDS: Mapping[LeakKind, str] = {
    "participant": "participant",
    "capture": "capture",
    "overlap": "pair of windows that overlap",
    "signal": "window with the same signal",
    "vector": "window with all but the same video vector",
    "text": "text",
}


def tell_leaks(view: str, leaks: Iterable[Leak], rules: Mapping[str, Rule]) -> tuple[Finding, ...]:
    """Return a finding on `view` for each leak whose rule, `leak-<kind>`, is among `rules`."""
    return tuple(
        rules[f"leak-{leak.kind}"].finding(
            view,
            f"{leak.first} and {leak.second} share {_counted(leak)}, as {leak.examples[0]}",
            {"shared": leak.count},
        )
        for leak in leaks
        if f"leak-{leak.kind}" in rules
    )


def _counted(leak: Leak) -> str:
    noun, _, rest = _WORDS[leak.kind].partition(" ")
    return f"{counted(leak.count, noun)} {rest}".rstrip()


def _overlap(one: Row, other: Row) -> bool:
    is_same: bool = one["take_id"] == other["take_id"]
    return is_same and one["start_ns"] < other["stop_ns"] and other["start_ns"] < one["stop_ns"]
