"""The page of a sweep: what it says in sentences, a curve and a table a score, and every run."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.pages.curves import Line, Point, curves_svg
from sensorloom.flows.pages.document import document
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count
from sensorloom.flows.sweeps.report import (
    Mean,
    PointResult,
    SweepReport,
    failures,
    means,
    shown_scores,
    verdicts,
)

__all__ = ["render_sweep", "sweep_curve"]

_GENERATED = "generated"


def render_sweep(report: SweepReport, *, style: str, script: str) -> str:
    """Return the page of `report` as one self-contained document; the same arguments give the same text."""
    name = f"Sweep {report.grid.name}"
    head = tag("p", tag("b", "sensorloom"), " sweep ", tag("code", report.grid.name), class_="name")
    found = means(report)
    body = (
        tag("header", head, class_="top"),
        tag(
            "main",
            tag("h1", report.grid.question),
            _said(report),
            *(_score(report, score, found) for score in shown_scores(report)),
            _runs(report),
        ),
        tag("footer", tag("p", "Snapshot ", tag("code", report.snapshot_id), class_="quiet")),
    )
    return document(name, body, style=style, script=script)


def sweep_curve(report: SweepReport, score: str, found: Sequence[Mean]) -> Html:
    """Draw one score over x, a line for each choice of the other settings, with standard errors over seeds."""
    own = [each for each in found if each.score == score]
    names = tuple(dict.fromkeys(variant.line for variant in report.grid.variants))
    lines = [
        Line(
            name,
            [
                Point(report.place(each.x), each.mean, each.standard_error or 0.0)
                for each in own
                if each.line == name
            ],
        )
        for name in names
    ]
    guesses = [each.chance for each in own if each.chance is not None]
    return curves_svg(
        lines,
        title=f"{report.grid.name}: {score}",
        x_label=report.grid.x_label,
        y_label=score,
        log_x=report.is_logarithmic,
        chance=sum(guesses) / len(guesses) if guesses else None,
        x_names=None if report.has_numbers else report.xs,
    )


def _said(report: SweepReport) -> Html:
    said = [tag("li", sentence) for sentence in verdicts(report)]
    said += [tag("li", sentence, class_="no") for sentence in failures(report)]
    warning = (
        "This was measured on generated data; it says nothing about the real data sets."
        if _GENERATED in report.data
        else ""
    )
    done = sum(not point.failure for point in report.points)
    state = f"{count(done, 'point')} of {count(len(report.grid.variants) * len(report.seeds))} are done."
    about = f"{report.data}. Judged by {report.judged_by}. {state}"
    return tag(
        "section",
        tag("p", about, class_="lead"),
        *([tag("p", tag("b", warning), class_="lead")] if warning else []),
        tag("ul", *said, class_="reasons"),
        id="said",
    )


def _score(report: SweepReport, score: str, found: Sequence[Mean]) -> Html:
    columns = (
        Column("", sortable=True),
        Column(report.grid.x_label, sortable=True),
        Column("Mean", numeric=True, sortable=True),
        Column("Standard error", numeric=True, sortable=True),
        Column("Chance", numeric=True, minor=True),
        Column("Seeds", numeric=True, minor=True),
    )
    rows = [_row(each) for each in found if each.score == score]
    caption = f"{score}: means over seeds"
    listed = table(caption, columns, [tag("tbody", *rows, class_="rows")], titled=True)
    return tag("section", tag("h2", score), sweep_curve(report, score, found), listed, class_="narrow")


def _row(each: Mean) -> Html:
    return row(
        cell(each.line, heading=True),
        cell(each.x),
        cell(f"{each.mean:.4f}", numeric=True, value=each.mean),
        cell(_optional(each.standard_error), numeric=True),
        cell(_optional(each.chance), numeric=True, minor=True),
        cell(count(each.seeds), numeric=True, minor=True),
    )


def _optional(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _runs(report: SweepReport) -> Html:
    columns = (Column("Run"), Column("Settings"), Column("What became of it"))
    rows = [_run(point) for point in {point.run: point for point in report.points}.values()]
    settings = ", ".join(f"{key}={value}" for key, value in report.settings.items())
    common = tag(
        "p", f"All with {settings}." if settings else "All else as the recipe has it.", class_="lead"
    )
    listed = table("Runs of the sweep", columns, [tag("tbody", *rows)], titled=True)
    return tag("section", tag("h2", "Runs"), common, listed, id="runs")


def _run(point: PointResult) -> Html:
    settings = ", ".join(f"{key}={value}" for key, value in point.settings.items()) or "as they are"
    fate = point.failure or f"{count(len(point.scores), 'score')}"
    return row(cell(concat([tag("code", point.run)]), heading=True), cell(settings), cell(fate))
