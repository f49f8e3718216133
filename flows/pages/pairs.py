"""All pairs of streams of a data set in one table: every take's offset drawn, on one axis."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.audit.report_takes import PairFacts
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.scale import Scale, symmetric
from sensorloom.flows.pages.syncs import SYNC_WORDS, measured
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.whiskers import axis, lane
from sensorloom.flows.pages.words import count

__all__ = ["pair_table"]

_COLUMNS = (
    Column("Pair"),
    Column("Offsets of all takes"),
    Column("Median ± spread", numeric=True),
    Column("Aligned", numeric=True),
    Column("Shifted", numeric=True),
    Column("Drifting", numeric=True),
    Column("Cannot tell", numeric=True, minor=True),
)


def pair_table(dataset: str, pairs: Sequence[PairFacts], limit: float | None) -> Html:
    """Return one row a pair: its takes as ticks on the axis that all pairs share, and how many stand how."""
    offsets = [offset for pair in pairs for _, offset in _told(pair)]
    scale = symmetric(offsets, limit or 1.0)
    rows = [_row(pair, scale, limit) for pair in pairs]
    foot = row(cell(""), cell(axis(scale, "ms")), *(cell("") for _ in _COLUMNS[2:-1]), cell("", minor=True))
    bodies = [tag("tbody", *rows), tag("tbody", foot, class_="foot")]
    shown = table(f"{dataset}: offsets of all pairs of streams", _COLUMNS, bodies, titled=True)
    return tag("div", shown, class_="whisker-table pairs")


def _row(pair: PairFacts, scale: Scale, limit: float | None) -> Html:
    points = _told(pair)
    said = ", ".join(
        f"{count(number)} {SYNC_WORDS[verdict]}"
        for verdict, number in (
            ("aligned", pair.aligned),
            ("shifted", pair.shifted),
            ("drifting", pair.drifting),
            ("unknown", pair.unknown),
        )
        if number
    )
    drawn = lane(scale, points, limit, f"Offsets of {pair.second} against {pair.first}: {said}")
    return row(
        cell(
            tag("span", pair.second, tag("small", f" against {pair.first}, by {pair.method}")), heading=True
        ),
        cell(drawn),
        cell(measured(pair.median_offset_ms, pair.spread_ms, "ms"), numeric=True),
        cell(count(pair.aligned), numeric=True),
        cell(_found(pair.shifted, "warning"), numeric=True),
        cell(_found(pair.drifting, "error"), numeric=True),
        cell(count(pair.unknown), numeric=True, minor=True),
    )


def _found(number: int, kind: str) -> str:
    return tag("span", count(number), class_=kind) if number else "0"


def _told(pair: PairFacts) -> list[tuple[str, float]]:
    """Return verdict and offset of every take of which something can be told."""
    return [
        (point.verdict, point.offset_ms)
        for point in pair.points
        if point.offset_ms is not None and point.verdict != "unknown"
    ]
