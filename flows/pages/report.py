"""The report's index: a pure function from its facts, style sheet and script to text."""

from __future__ import annotations

from collections.abc import Callable

from sensorloom.flows.audit.report import Report
from sensorloom.flows.pages.clocks import clocks
from sensorloom.flows.pages.datasets import sensor_hours
from sensorloom.flows.pages.document import document
from sensorloom.flows.pages.findings import findings
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.overview import overview
from sensorloom.flows.pages.takes import takes
from sensorloom.flows.pages.views import views
from sensorloom.flows.pages.worst import worst

__all__ = ["render"]

SECTIONS: tuple[tuple[str, str, Callable[[Report], Html]], ...] = (
    ("verdict", "Verdict", overview),
    ("hours", "Hours", sensor_hours),
    ("clocks", "Clocks", clocks),
    ("views", "Views", views),
    ("worst", "Worst windows", worst),
    ("findings", "Findings", findings),
    ("takes", "Takes", takes),
)
"""Anchor, name in the navigation and function of each section, in the order of the page."""


def render(report: Report, *, style: str, script: str) -> str:
    """Return the index of `report` as one self-contained page; the same arguments give the same text."""
    body = (
        tag("a", "Skip to the verdict", href="#verdict", class_="skip"),
        _header(report),
        tag("main", *(section(report) for _, _, section in SECTIONS)),
        tag("footer", tag("p", "Snapshot ", tag("code", report.snapshot_id), class_="quiet")),
    )
    return document(f"Audit of snapshot {report.snapshot_id[:12]}", body, style=style, script=script)


def _header(report: Report) -> Html:
    name = tag("p", tag("b", "sensorloom"), " audit ", tag("code", report.snapshot_id[:12]), class_="name")
    links = (tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title, _ in SECTIONS)
    return tag("header", name, tag("nav", tag("ul", *links), aria_label="Sections"), class_="top")
