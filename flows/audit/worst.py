"""The windows that the index shows: of each data set the worst, gathered one take at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import polars as pl

from sensorloom.flows.audit.pictures import ToDraw
from sensorloom.flows.audit.report_windows import MAX_PICTURES
from sensorloom.flows.audit.tables import ViewTable
from sensorloom.flows.audit.windows import WorstWindow, apart
from sensorloom.flows.take_ids import dataset_of

__all__ = ["MAX_WORST", "Worst", "distinct", "to_draw"]

MAX_WORST = 12
"""At most so many windows of a data set stand on the index."""


class Worst:
    """The worst windows of each data set; a stretch of time that several windows show counts once."""

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[str, WorstWindow]]] = defaultdict(list)

    def add(self, take_id: str, windows: Iterable[WorstWindow]) -> None:
        """Add the worst windows of one take, of which at most three are shown."""
        kept = self._kept[dataset_of(take_id)]
        kept += ((take_id, window) for window in distinct(windows))
        kept.sort(key=lambda item: (-item[1].score, item[0], item[1].start_ns))
        del kept[MAX_WORST:]

    def by_take(self) -> Iterator[tuple[str, list[WorstWindow]]]:
        """Yield the windows to draw of each take."""
        takes: dict[str, list[WorstWindow]] = defaultdict(list)
        for kept in self._kept.values():
            for take_id, window in kept:
                takes[take_id].append(window)
        yield from sorted(takes.items())


def distinct(windows: Iterable[WorstWindow]) -> list[WorstWindow]:
    """Return at most three windows of a take, the worst first, no stretch of time twice."""
    ordered = sorted(windows, key=lambda window: (-window.score, window.start_ns, window.view))
    ranks = apart((window.start_ns, window.length_ns) for window in ordered)
    return [ordered[rank] for rank in islice(ranks, MAX_PICTURES)]


def to_draw(
    windows: Mapping[str, Sequence[WorstWindow]], tables: Sequence[ViewTable]
) -> dict[str, tuple[ToDraw, ...]]:
    """Return, by take, each window with its row of the view's table; of one cut twice at a time the first row."""
    by_view = {table.view: table for table in tables}
    wanted: dict[str, set[str]] = defaultdict(set)
    for take_id, some in windows.items():
        for window in some:
            wanted[window.view].add(_window_id(take_id, window))
    rows = {
        view: {
            row["window_id"]: row
            for row in by_view[view].windows.filter(pl.col("window_id").is_in(sorted(ids))).to_dicts()[::-1]
        }
        for view, ids in wanted.items()
    }
    return {
        take_id: tuple(
            ToDraw(
                window,
                rows[window.view][_window_id(take_id, window)],
                by_view[window.view].recipe.positions,
                bool(by_view[window.view].recipe.cameras),
            )
            for window in some
        )
        for take_id, some in windows.items()
    }


def _window_id(take_id: str, window: WorstWindow) -> str:
    return f"{take_id}@{window.start_ns}+{window.length_ns}"
