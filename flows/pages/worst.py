"""The windows to look at first, by data set: the worst ones as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensorloom.flows.audit.report import Report
from sensorloom.flows.audit.report_windows import WindowPicture
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.links import take_link
from sensorloom.flows.pages.pictures import picture
from sensorloom.flows.pages.words import count

__all__ = ["worst"]

_OPEN = 2
"""So many windows of a data set are open; the rest unfolds."""


def worst(report: Report) -> Html:
    """Return the section of the worst windows."""
    title = tag("h2", "Worst windows")
    if not report.worst:
        none = tag("p", "No window was found wanting.", class_="lead")
        return tag("section", title, none, id="worst")
    lead = tag(
        "p",
        "Windows beyond the threshold of a rule, where a score of 1 stands; 0 is sound.",
        class_="lead",
    )
    pages = {take.take_id: take.page for take in report.takes}
    names = dict.fromkeys(window.dataset for window in report.worst)
    groups = (_group(name, [item for item in report.worst if item.dataset == name], pages) for name in names)
    sound = [facts.dataset for facts in report.datasets if facts.dataset not in names]
    rest = tag("p", f"No window of {', '.join(sound)} was found wanting.", class_="lead") if sound else ""
    return tag("section", title, lead, *groups, rest, id="worst")


def _group(dataset: str, windows: Sequence[WindowPicture], pages: Mapping[str, str | None]) -> Html:
    drawn = [picture(window, take_link(window.take_id, pages)) for window in windows]
    rest = drawn[_OPEN:]
    folded = (
        tag("details", tag("summary", f"{count(len(rest), 'more window')} of {dataset}"), *rest)
        if rest
        else concat([])
    )
    return tag("article", tag("h3", dataset), *drawn[:_OPEN], folded, class_="view")
