"""The clocks of one take: what the signals say of them, and how stamps were carried to the take's clock."""

from __future__ import annotations

from sensorloom.flows.audit.report_takes import ClockFacts, SyncFacts, TakeDetail
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.lags import lag_plot
from sensorloom.flows.pages.syncs import mark, measured, sync_sentence
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count, number

__all__ = ["clock_maps", "measured_clocks"]

_ORDER = ("drifting", "shifted", "aligned")
_FEWEST = 3
"""With fewer segments there is no course to draw."""
_SEGMENTS = (
    Column("Time", numeric=True),
    Column("Lag", numeric=True),
    Column("Strength", numeric=True),
)
_MAPS = (
    Column("Clock"),
    Column("To"),
    Column("By"),
    Column("Offset", numeric=True),
    Column("Drift", numeric=True),
    Column("Residual", numeric=True),
    Column("Anchors", numeric=True),
)


def measured_clocks(detail: TakeDetail) -> Html:
    """Return offset and drift of each pair of streams of the take, segment by segment."""
    title = tag("h2", "Clocks, as the signals tell")
    if not detail.syncs:
        none = tag("p", "It has no two streams to compare.", class_="lead")
        return tag("section", title, none, id="sync")
    lead = (
        "Each dot is one piece of the take, faint where the two streams have little in common. The line is the fit, "
        "the band its 95% interval."
    )
    told = [sync for sync in detail.syncs if sync.verdict != "unknown"]
    told.sort(key=lambda sync: _ORDER.index(sync.verdict))
    unknown = [_pair(sync, detail.start_s) for sync in detail.syncs if sync.verdict == "unknown"]
    if not told:
        return tag("section", title, tag("p", lead, class_="lead"), *unknown, id="sync")
    shown = [_pair(sync, detail.start_s) for sync in told]
    summary = tag("summary", f"{count(len(unknown), 'pair')} of which nothing can be told")
    folded = tag("details", summary, *unknown) if unknown else ""
    return tag("section", title, tag("p", lead, class_="lead"), *shown, folded, id="sync")


def _pair(sync: SyncFacts, start_s: float) -> Html:
    name = f"{sync.second} against {sync.first}"
    heading = tag("h3", name, " ", mark(sync.verdict), " ", tag("small", f"by {sync.method}"))
    sentence = sync_sentence(sync)
    if len(sync.segments) < _FEWEST:
        return tag("div", heading, tag("p", sentence, class_="said"), class_="pair")
    said = f"Lag of {name} over {count(len(sync.segments), 'segment')}: {sentence}"
    figure = tag("figure", lag_plot(sync, start_s, said), tag("figcaption", _residual(sync)))
    return tag(
        "div", heading, tag("p", sentence, class_="said"), figure, _table(sync, start_s, name), class_="pair"
    )


def _residual(sync: SyncFacts) -> str:
    """Return what stands below a plot."""
    left = "" if sync.residual_ms is None else f" Segments lie {number(sync.residual_ms)} ms off the line."
    return f"Lag over seconds since the take's start.{left}"


def _table(sync: SyncFacts, start_s: float, name: str) -> Html:
    """Return the plot's numbers, folded."""
    rows = (
        row(
            cell(f"{segment.time_s - start_s:.1f} s", numeric=True),
            cell(measured(segment.lag_ms, 1.96 * segment.sigma_ms, "ms"), numeric=True),
            cell(f"{segment.strength:.2f}", numeric=True),
        )
        for segment in sync.segments
    )
    shown = table(f"Lags of {name}", _SEGMENTS, [tag("tbody", *rows)], titled=True)
    summary = tag("summary", f"{count(len(sync.segments), 'segment')} in numbers")
    return tag("details", summary, tag("div", shown, class_="narrow"))


def clock_maps(detail: TakeDetail) -> Html:
    """Return how the stamps of every clock were carried to the take's clock, and by what rule."""
    title = tag("h2", "Clock maps")
    if not detail.clocks:
        none = tag("p", "Every stream is stamped on one clock.", class_="lead")
        return tag("section", title, none, id="maps")
    lead = "What was added to stamps before anything was measured. Residual is what the anchors are off the line."
    maps = table("Clock maps", _MAPS, [tag("tbody", *(_map(clock) for clock in detail.clocks))], titled=True)
    return tag("section", title, tag("p", lead, class_="lead"), maps, id="maps")


def _map(clock: ClockFacts) -> Html:
    return row(
        cell(clock.source, heading=True),
        cell(clock.target),
        cell(clock.rule),
        cell(measured(clock.offset_ms, None, "ms"), numeric=True),
        cell(measured(clock.drift_ppm, None, "ppm"), numeric=True),
        cell(f"{number(clock.residual_ms)} ms", numeric=True),
        cell(count(clock.anchors), numeric=True),
    )
