"""Offsets and drifts of stream pairs, measured from the signals alone: the worst takes named, all takes drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensorloom.align.rules import RULES
from sensorloom.flows.audit.report import Report
from sensorloom.flows.audit.report_takes import PairFacts, PairPoint
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.links import take_link
from sensorloom.flows.pages.pairs import pair_table
from sensorloom.flows.pages.scale import Scale, symmetric
from sensorloom.flows.pages.syncs import mark, measured, pair_sentence
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.whiskers import axis, lane, whisker
from sensorloom.flows.pages.words import count

__all__ = ["clocks"]

_SHOWN = 6
"""So many takes of a pair stand in rows of their own, the worst first; the rest is drawn in one lane."""
_LEAST_PPM = 100.0
_COLUMNS = (
    Column("Take"),
    Column("Offset"),
    Column("± 95%", numeric=True),
    Column("Drift", minor=True),
    Column("± 95%", numeric=True, minor=True),
    Column("Verdict"),
)


def clocks(report: Report) -> Html:
    """Return the section of all pairs of streams, by data set."""
    title = tag("h2", "Clocks")
    lead = tag(
        "p",
        "What the signals themselves say of the clocks: where the same motion shows in two streams, the second is "
        "stamped late (above 0) or early by so much. Whiskers are 95% intervals; the band is what counts as aligned.",
        class_="lead",
    )
    if not report.pairs:
        nothing = tag("p", "No two streams of any take could be compared.", class_="lead")
        return tag("section", title, nothing, id="clocks")
    pages = {take.take_id: take.page for take in report.takes}
    names = dict.fromkeys(pair.dataset for pair in report.pairs)
    limit = _limit(report)
    groups = (
        _group(name, [pair for pair in report.pairs if pair.dataset == name], pages, limit) for name in names
    )
    return tag("section", title, lead, *groups, id="clocks")


def _limit(report: Report) -> float | None:
    """Return the offset from which takes count as shifted: as it held for this report, where a finding tells."""
    held = (rule.threshold for rule in report.rules if rule.rule == "sync-shifted")
    return next((limit for limit in held if limit is not None), RULES["sync-shifted"].threshold)


def _group(
    dataset: str, pairs: Sequence[PairFacts], pages: Mapping[str, str | None], limit: float | None
) -> Html:
    """Return all pairs of a data set on one axis, then the ones with takes to look at, then the rest folded."""
    amiss = [pair for pair in pairs if pair.shifted or pair.drifting]
    sound = [pair for pair in pairs if pair not in amiss and pair.takes > pair.unknown]
    parts = [tag("h3", dataset), pair_table(dataset, pairs, limit)]
    parts += [_pair(pair, pages, limit) for pair in amiss]
    if sound:
        summary = tag("summary", f"Takes of {count(len(sound), 'aligned pair')}")
        parts.append(tag("details", summary, *(_pair(pair, pages, limit) for pair in sound)))
    return tag("article", *parts, class_="view")


def _pair(pair: PairFacts, pages: Mapping[str, str | None], limit: float | None) -> Html:
    heading = tag("h4", pair.second, " against ", pair.first, " ", tag("small", f"by {pair.method}"))
    told = [point for point in pair.points if point.verdict != "unknown"]
    told.sort(key=lambda point: point.verdict == "aligned")
    said = tag("p", pair_sentence(pair), class_="said")
    return tag("div", heading, said, _plots(pair, told, pages, limit), class_="pair")


def _plots(
    pair: PairFacts, told: list[PairPoint], pages: Mapping[str, str | None], limit: float | None
) -> Html:
    """Return a table of the worst takes with their offset and drift drawn and in numbers, and all in one lane."""
    offsets = symmetric([_reach(point.offset_ms, point.offset_ci_ms) for point in told], limit or 1.0)
    # Takes too short to tell a drift leave its columns out.
    has_drift = any(point.drift_ppm is not None for point in told)
    ppm = [_reach(point.drift_ppm, point.drift_ci_ppm) for point in told]
    scales = (offsets, symmetric(ppm, _LEAST_PPM) if has_drift else None)
    rows = [_row(point, _name(point, pair, pages), scales, limit) for point in told[:_SHOWN]]
    foot = [*_all(told, scales, limit), _axes(*scales)]
    caption = f"{pair.second} against {pair.first}: the {count(len(rows), 'take')} furthest off"
    bodies = [tag("tbody", *rows), tag("tbody", *foot, class_="foot")]
    columns = [column for column in _COLUMNS if has_drift or not column.minor]
    return tag("div", table(caption, columns, bodies, titled=True), class_="whisker-table")


def _name(point: PairPoint, pair: PairFacts, pages: Mapping[str, str | None]) -> Html:
    """Return a link to the point's take, with the stream where the pair is of several, as of four exo cameras."""
    link = take_link(point.take_id, pages)
    several = point.second not in ("", pair.second)
    return concat([link, " ", tag("span", point.second, class_="quiet")]) if several else link


def _row(
    point: PairPoint,
    name: Html,
    scales: tuple[Scale, Scale | None],
    limit: float | None,
) -> Html:
    offsets, drifts = scales
    offset = whisker(offsets, point.offset_ms or 0.0, point.offset_ci_ms, point.verdict, limit)
    return row(
        cell(name, heading=True),
        cell(offset),
        cell(measured(point.offset_ms, point.offset_ci_ms, "ms"), numeric=True),
        *(_drift(point, drifts) if drifts else ()),
        cell(mark(point.verdict)),
    )


def _drift(point: PairPoint, drifts: Scale) -> tuple[Html, Html]:
    drawn: str = ""
    if point.drift_ppm is not None:
        drawn = whisker(drifts, point.drift_ppm, point.drift_ci_ppm, point.verdict, None)
    said = measured(point.drift_ppm, point.drift_ci_ppm, "ppm")
    return cell(drawn, minor=True), cell(said, numeric=True, minor=True)


def _all(told: list[PairPoint], scales: tuple[Scale, Scale | None], limit: float | None) -> list[Html]:
    """Return one row that draws every take, where more are known than stand in rows of their own."""
    if len(told) <= _SHOWN:
        return []
    offsets, drifts = scales
    shown = [(point.verdict, point.offset_ms) for point in told if point.offset_ms is not None]
    drifting = [(point.verdict, point.drift_ppm) for point in told if point.drift_ppm is not None]
    said = count(len(shown), "comparison")
    cells = [
        cell(tag("b", f"all {said}"), heading=True),
        cell(lane(offsets, shown, limit, f"Offsets of {said}")),
        cell(""),
    ]
    if drifts:
        drawn = lane(drifts, drifting, None, f"Drifts of {count(len(drifting), 'take')}")
        cells += [cell(drawn, minor=True), cell("", minor=True)]
    return [row(*cells, cell(""))]


def _axes(offsets: Scale, drifts: Scale | None) -> Html:
    cells = [cell(""), cell(axis(offsets, "ms")), cell("ms", numeric=True)]
    if drifts:
        cells += [cell(axis(drifts, "ppm"), minor=True), cell("ppm", numeric=True, minor=True)]
    return row(*cells, cell(""))


def _reach(value: float | None, half_width: float | None) -> float:
    """Return how far from 0 a point needs the axis; a whisker longer than its value may leave it."""
    if value is None:
        return 0.0
    return abs(value) + min(half_width or 0.0, abs(value))
