"""The page of one take: a pure function from its facts, style sheet and script to text."""

from __future__ import annotations

from collections.abc import Callable

from sensorloom.flows.audit.report_takes import StreamFacts, TakeDetail
from sensorloom.flows.pages.document import document
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.pictures import picture
from sensorloom.flows.pages.strips import strips
from sensorloom.flows.pages.syncs import mark
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.take_clocks import clock_maps, measured_clocks
from sensorloom.flows.pages.take_findings import take_findings
from sensorloom.flows.pages.words import count, duration, percent

__all__ = ["render_take"]


def render_take(detail: TakeDetail, report_id: str, *, style: str, script: str) -> str:
    """Return the page of one take of the snapshot `report_id`, which lies in a folder beside the index."""
    body = (
        tag("a", "Skip to the take", href="#take", class_="skip"),
        _header(report_id),
        tag("main", _title(detail), *(section(detail) for _, _, section in SECTIONS)),
        tag("footer", tag("p", "Snapshot ", tag("code", report_id), class_="quiet")),
    )
    return document(f"{detail.facts.take_id}, audit of {report_id[:12]}", body, style=style, script=script)


def _header(report_id: str) -> Html:
    back = tag("a", "← All takes", href="../index.html#takes")
    name = tag("p", tag("b", "sensorloom"), " audit ", tag("code", report_id[:12]), " ", back, class_="name")
    links = (tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title, _ in SECTIONS)
    return tag("header", name, tag("nav", tag("ul", *links), aria_label="Sections"), class_="top")


def _title(detail: TakeDetail) -> Html:
    """Return the first screen: which take, how it stands, what it is part of."""
    facts = detail.facts
    badge = tag("span", "generated data", class_="badge") if detail.origin == "generated" else ""
    counted = (
        (duration(facts.seconds), "length"),
        (count(facts.windows), "windows in all views"),
        (count(facts.errors), "error" if facts.errors == 1 else "errors"),
        (count(facts.warnings), "warning" if facts.warnings == 1 else "warnings"),
        (mark(facts.sync), _clocks(detail)),
    )
    numbers = (tag("div", tag("dt", noun), tag("dd", value)) for value, noun in counted)
    about = [facts.dataset, f"participant {detail.participant_id}", f"capture {detail.capture_id}"]
    about += [f"official split {detail.official_split}"] if detail.official_split else []
    return tag(
        "section",
        tag("h1", facts.take_id, " ", badge),
        tag("p", " · ".join(about), class_="lead"),
        tag("dl", *numbers, class_="numbers"),
        id="take",
        class_="take",
    )


def _clocks(detail: TakeDetail) -> str:
    """Return what the verdict on the clocks rests on: how many of the pairs between devices could be told."""
    between = [sync for sync in detail.syncs if not sync.is_within]
    told = sum(sync.verdict != "unknown" for sync in between)
    return (
        "clocks" if told == len(between) else f"clocks, by {told} of {count(len(between), 'pair')} of devices"
    )


def _windows(detail: TakeDetail) -> Html:
    """Return the windows of the take by view and split."""
    title = tag("h2", "Windows")
    if not detail.views:
        return tag("section", title, tag("p", "No view has a window of it.", class_="lead"), id="windows")
    columns = (
        Column("View", sortable=True),
        Column("Split", sortable=True),
        Column("Windows", numeric=True, sortable=True),
    )
    rows = (
        row(cell(item.view, heading=True), cell(item.split or "-"), cell(count(item.windows), numeric=True))
        for item in detail.views
    )
    shown = table("Windows by view and split", columns, [tag("tbody", *rows, class_="rows")], titled=True)
    return tag("section", title, tag("div", shown, class_="narrow"), id="windows")


def _quality(detail: TakeDetail) -> Html:
    """Return the quality of every stream along the take, and how long each is usable."""
    title = tag("h2", "Quality along the take")
    parts = [title]
    if detail.strips:
        parts.append(strips(detail.strips, f"{detail.facts.take_id}: quality of every stream"))
    if detail.streams:
        parts.append(_streams(detail))
    if len(parts) == 1:
        parts.append(tag("p", "It has no stream.", class_="lead"))
    return tag("section", *parts, id="quality")


def _streams(detail: TakeDetail) -> Html:
    columns = (
        Column("Position", sortable=True),
        Column("Stream", sortable=True),
        Column("Usable", numeric=True, sortable=True),
        Column("Share", numeric=True, sortable=True),
    )
    rows = (_stream(stream, detail.facts.seconds) for stream in detail.streams)
    usable = table("Usable time of every stream", columns, [tag("tbody", *rows, class_="rows")])
    summary = tag("summary", f"Usable time of {count(len(detail.streams), 'stream')}")
    return tag("details", summary, tag("div", usable, class_="narrow"))


def _stream(stream: StreamFacts, seconds: float) -> Html:
    share = stream.usable_s / seconds if seconds > 0 else 0.0
    return row(
        cell(stream.position, heading=True),
        cell(stream.kind.replace("_", " ")),
        cell(duration(stream.usable_s), numeric=True, value=stream.usable_s),
        cell(percent(stream.usable_s, seconds), numeric=True, value=share),
    )


def _pictures(detail: TakeDetail) -> Html:
    title = tag("h2", "Worst windows")
    if not detail.pictures:
        none = tag("p", "No window of it was found wanting.", class_="lead")
        return tag("section", title, none, id="worst")
    drawn = (picture(window, concat([detail.facts.take_id])) for window in detail.pictures)
    return tag("section", title, *drawn, id="worst")


SECTIONS: tuple[tuple[str, str, Callable[[TakeDetail], Html]], ...] = (
    ("quality", "Quality", _quality),
    ("sync", "Clocks", measured_clocks),
    ("worst", "Worst windows", _pictures),
    ("findings", "Findings", take_findings),
    ("maps", "Clock maps", clock_maps),
    ("windows", "Windows", _windows),
)
"""Anchor, name in the navigation and function of each section, in the order of the page."""
