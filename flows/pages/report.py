"""The report as one self-contained page: a pure function from its facts, style sheet and script to text."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

from sensorloom.flows.pages.datasets import sensor_hours
from sensorloom.flows.pages.findings import findings
from sensorloom.flows.pages.html import Html, concat, tag, verbatim
from sensorloom.flows.pages.overview import overview
from sensorloom.flows.pages.views import views
from sensorloom.flows.report import Report

__all__ = ["render"]

SECTIONS: tuple[tuple[str, str, Callable[[Report], Html]], ...] = (
    ("verdict", "Verdict", overview),
    ("hours", "Hours", sensor_hours),
    ("views", "Views", views),
    ("findings", "Findings", findings),
)
"""Anchor, name in the navigation and function of each section, in the order of the page."""


def render(report: Report, *, style: str, script: str) -> str:
    """Return the page of `report` as HTML with `style` and `script` inlined.

    Nothing on it is fetched, and its policy forbids it to; the only script that may run is the one whose digest the
    policy names. The same arguments give the same text.
    """
    body = tag(
        "body",
        tag("a", "Skip to the verdict", href="#verdict", class_="skip"),
        _header(report),
        tag("main", *(section(report) for _, _, section in SECTIONS)),
        tag("footer", tag("p", "Snapshot ", tag("code", report.snapshot_id), class_="quiet")),
        tag("script", verbatim(script)),
    )
    return concat(
        [verbatim("<!doctype html>\n"), tag("html", _head(report, style, script), body, lang="en"), "\n"]
    )


def _head(report: Report, style: str, script: str) -> Html:
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"Audit of snapshot {report.snapshot_id[:12]}"),
        tag("style", verbatim(style)),
    )


def _header(report: Report) -> Html:
    name = tag("p", tag("b", "sensorloom"), " audit ", tag("code", report.snapshot_id[:12]), class_="name")
    links = (tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title, _ in SECTIONS)
    return tag("header", name, tag("nav", tag("ul", *links), aria_label="Sections"), class_="top")
