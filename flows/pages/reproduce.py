"""The page of a table or figure made anew: its curves, its tables beside the paper's, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sensorloom.flows.pages.curves import Line, Point, curves_svg
from sensorloom.flows.pages.document import document
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.paper_tables import paper_table

if TYPE_CHECKING:
    from sensorloom.flows.reproduction.reproduce import Reproduced
    from sensorloom.flows.reproduction.tables import FewShot, RunTables

__all__ = ["render_reproduced", "reproduced_curves"]

_BY_SHARE = "PRIMUS Figure 6"


def render_reproduced(report: Reproduced, *, style: str, script: str) -> str:
    """Return the page of `report` as one self-contained document; the same arguments give the same text."""
    badge = tag("span", "generated data", class_="badge") if "generated" in report.data else ""
    name = tag("p", tag("b", "sensorloom"), " reproduce ", tag("code", report.plan.name), class_="name")
    tables = [paper_table(table) for table in report.tables]
    body = (
        tag("header", name, class_="top"),
        tag(
            "main",
            tag("h1", report.plan.title, " ", badge),
            _about(report),
            *([tag("section", *reproduced_curves(report).values(), id="curves")] if report.points else []),
            tag("section", *tables, id="tables") if tables else tag("p", "No run has a score yet."),
            _runs(report.runs),
        ),
        tag("footer", tag("p", "Snapshot ", tag("code", report.snapshot_id), class_="quiet")),
    )
    return document(f"Reproduction of {report.plan.name}", body, style=style, script=script)


def reproduced_curves(report: Reproduced) -> Mapping[str, Html]:
    """Draw accuracy by labels a class, or by the share with video and text, for each view and head, by its name."""
    drawn = {}
    for view, head in report.curves:
        points = [point for point in report.points if (point.view, point.head) == (view, head)]
        draw = _by_share if report.plan.layout == _BY_SHARE else _by_shots
        drawn[f"{view} {head}"] = draw(f"{view}, head {head}", points)
    return drawn


def _by_shots(title: str, points: Sequence[FewShot]) -> Html:
    lines = [
        Line(
            name,
            [Point(each.shots, each.accuracy, each.error or 0.0) for each in points if each.run == name],
        )
        for name in dict.fromkeys(each.run for each in points)
    ]
    return curves_svg(
        lines,
        title=title,
        x_label="labels a class",
        y_label="accuracy",
        log_x=True,
        chance=points[0].chance,
    )


def _by_share(title: str, points: Sequence[FewShot]) -> Html:
    """Draw the accuracy with the most labels; what stands before the comma of a run's name is the line it is of."""
    shots = max(each.shots for each in points)
    most = [each for each in points if each.shots == shots]
    names = dict.fromkeys(each.run.partition(",")[0] for each in most)
    lines = [
        Line(
            name,
            [
                Point(each.share, each.accuracy, each.error or 0.0)
                for each in most
                if each.run.partition(",")[0] == name
            ],
        )
        for name in names
    ]
    return curves_svg(
        lines,
        title=f"{title}, {shots} labels a class",
        x_label="share of windows that keep their video and text",
        y_label="accuracy",
        chance=points[0].chance,
    )


def _about(report: Reproduced) -> Html:
    settings = ", ".join(f"{key}={value}" for key, value in report.settings.items())
    told = [report.data + ".", *report.plan.notes]
    told += [f"All runs with {settings}."] if settings else []
    if "generated" in report.data:
        told.append("This was measured on generated data; it says nothing about the real data sets.")
    items = [tag("li", sentence) for sentence in told]
    items += [tag("li", f"Left out of the data: {sentence}", class_="care") for sentence in report.trouble]
    return tag("section", tag("ul", *items, class_="reasons"), id="about")


def _runs(runs: Sequence[RunTables]) -> Html:
    items = []
    for run in runs:
        why = [tag("li", tag("b", name), f": {reason}") for name, reason in run.left_out.items()]
        failed = tag("p", f"failed: {run.failure}", class_="said") if run.failure else ""
        left_out = concat([tag("p", "Not judged:"), tag("ul", *why)]) if why else ""
        items.append(tag("li", tag("b", run.name), " in ", tag("code", run.run), failed, left_out))
    return tag("section", tag("h2", "Runs"), tag("ul", *items), id="runs")
