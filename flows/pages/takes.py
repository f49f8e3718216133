"""All takes in one table to sort and to filter, each with a link to its page."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.audit.report import Report
from sensorloom.flows.audit.report_takes import TakeFacts
from sensorloom.flows.audit.worst_first import worst_first
from sensorloom.flows.pages.filters import choice, filter_form, search
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.links import take_link
from sensorloom.flows.pages.syncs import SYNC_WORDS
from sensorloom.flows.pages.tables import Column, cell, table
from sensorloom.flows.pages.words import count, duration

__all__ = ["takes"]

_COLUMNS = (
    Column("Take", sortable=True),
    Column("Data set", sortable=True, minor=True),
    Column("Length", numeric=True, sortable=True),
    Column("Windows in all views", numeric=True, sortable=True),
    Column("Errors", numeric=True, sortable=True),
    Column("Warnings", numeric=True, sortable=True),
    Column("Notes", numeric=True, sortable=True, minor=True),
    Column("Clocks", sortable=True),
    Column("Worst rule", sortable=True, minor=True),
)
_PAGE = 100
"""So many rows are shown at a time where the script runs; without it, all are."""
_WORST = {
    "error": "with errors",
    "warning": "warnings at most",
    "note": "notes at most",
    "none": "without findings",
}


def takes(report: Report) -> Html:
    """Return the section of all takes, the worst first."""
    title = tag("h2", "Takes")
    if not report.takes:
        return tag("section", title, tag("p", "There is no take.", class_="lead"), id="takes")
    ordered = sorted(report.takes, key=worst_first)
    paged = sum(take.page is not None for take in ordered)
    lead = f"{count(len(ordered), 'take')}, {count(paged)} with a page of their own."
    if paged < len(ordered):
        lead += " Any other: "
    command = tag("code", "sensorloom audit --take TAKE_ID") if paged < len(ordered) else ""
    pages = {take.take_id: take.page for take in ordered}
    body = tag("tbody", *(_row(take, pages) for take in ordered), class_="rows")
    return tag(
        "section",
        title,
        tag("p", lead, command, class_="lead"),
        _filter(ordered),
        table("All takes", _COLUMNS, [body], name="take-table", titled=True),
        id="takes",
    )


def _filter(shown: Sequence[TakeFacts]) -> Html:
    datasets = sorted({take.dataset for take in shown})
    verdicts = [word for word in SYNC_WORDS if any(take.sync == word for take in shown)]
    controls = [
        search("take, rule …"),
        choice("of", "Data set", {name: name for name in datasets}),
        choice(
            "worst",
            "Findings",
            {word: said for word, said in _WORST.items() if any(_worst(take) == word for take in shown)},
        ),
        choice("sync", "Clocks", {word: SYNC_WORDS[word] for word in verdicts}),
    ]
    return filter_form("take-table", controls, count(len(shown), "take"), noun="takes", page=_PAGE)


def _row(take: TakeFacts, pages: dict[str, str | None]) -> Html:
    """Return one take in a row that the filter knows by its data set, its worst finding and its clocks."""
    cells = (
        cell(take_link(take.take_id, pages), heading=True),
        cell(take.dataset, minor=True),
        cell(duration(take.seconds), numeric=True, value=round(take.seconds, 1)),
        cell(count(take.windows), numeric=True),
        cell(_found(take.errors, "error"), numeric=True),
        cell(_found(take.warnings, "warning"), numeric=True),
        cell(_found(take.notes, ""), numeric=True, minor=True),
        cell(SYNC_WORDS[take.sync]),
        cell(tag("code", take.worst_rule) if take.worst_rule else "", minor=True),
    )
    return tag("tr", *cells, data_of=take.dataset, data_worst=_worst(take), data_sync=take.sync)


def _found(number: int, kind: str) -> str:
    if not number:
        return "0"
    return tag("span", count(number), class_=kind) if kind else count(number)


def _worst(take: TakeFacts) -> str:
    if take.errors:
        return "error"
    if take.warnings:
        return "warning"
    return "note" if take.notes else "none"
