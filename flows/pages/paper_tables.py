"""Runs in the tables of the papers, as HTML: our rows marked, every row with what it was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.tables import Column, cell, row, table

if TYPE_CHECKING:
    from sensorloom.training.evaluation.paper_tables import PaperRow, PaperTable

__all__ = ["paper_table"]


def paper_table(shown: PaperTable) -> Html:
    """Return one table with its notes; rows of one task stand under its name."""
    columns = [
        Column(""),
        *(Column(name, numeric=True) for name in shown.columns),
        Column("Measured on"),
    ]
    bodies = [
        tag("tbody", *_task(task, list(rows), len(columns)))
        for task, rows in groupby(shown.rows, key=lambda each: each.task)
    ]
    caption = f"{shown.source}: {shown.title}"
    notes = [tag("li", note) for note in shown.notes]
    return concat(
        [
            tag("h3", shown.source, tag("small", shown.title)),
            table(caption, columns, bodies, titled=True),
            tag("ul", *notes, class_="quiet") if notes else "",
        ]
    )


def score_words(value: float | None) -> str:
    """Return a count whole, another number with three digits after the point, `-` where there is none."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _task(task: str, rows: Sequence[PaperRow], width: int) -> list[Html]:
    head = [tag("tr", tag("th", tag("b", task), colspan=width, scope="rowgroup"))] if task else []
    return [*head, *(_row(each) for each in rows)]


def _row(shown: PaperRow) -> Html:
    is_ours = shown.whose == "run"
    name = tag("b", shown.name) if is_ours else shown.name
    doubt = tag("span", shown.doubt, class_="warning") if shown.doubt else ""
    return row(
        cell(name, heading=True),
        *(cell(score_words(number), numeric=True) for number in shown.numbers),
        cell(concat([shown.measured_on, " " if doubt else "", doubt])),
    )
