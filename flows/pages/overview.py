"""The first screen: can I train on this?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sensorloom.flows.audit.report import DatasetFacts, Report, Verdict
from sensorloom.flows.audit.report_takes import TakeFacts
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.prose import prose
from sensorloom.flows.pages.syncs import SYNC_WORDS
from sensorloom.flows.pages.words import VERDICT_WORDS, count, hours

__all__ = ["overview"]

_SHOWN_REASONS = 7
# A mark beside the word, so that colour is not all that tells.
_MARKS = {"ok": "✓", "care": "!", "no": "✕"}

_CLOCKS = SYNC_WORDS | {
    "unknown": "where nothing can be told between devices",
    "none": "with nothing to compare",
}


def overview(report: Report) -> Html:
    """Return one card a data set, each with its verdict and the reasons for it."""
    if not report.datasets:
        empty = tag("p", "The snapshot holds no takes yet. Run ", tag("code", "sensorloom ingest"), " first.")
        return tag("section", tag("h1", "Can I train on this?"), empty, id="verdict")
    cards = tag("div", *(_card(facts, report) for facts in report.datasets), class_="cards")
    return tag("section", tag("h1", "Can I train on this?", id="verdict-title"), cards, id="verdict")


def _card(facts: DatasetFacts, report: Report) -> Html:
    title = tag("h2", facts.dataset, " ", _badge(facts))
    return tag(
        "article",
        tag("header", title, _answer(facts.verdict)),
        _numbers(facts),
        _reasons(facts.verdict),
        _tally([take for take in report.takes if take.dataset == facts.dataset]),
        class_="card",
    )


def _badge(facts: DatasetFacts) -> Html | str:
    if not facts.takes_generated:
        return ""
    said = "generated data" if facts.takes_generated == facts.takes else "in part generated data"
    return tag("span", said, class_="badge")


def _answer(verdict: Verdict) -> Html:
    mark = tag("span", _MARKS[verdict.level], aria_hidden="true")
    return tag("p", mark, " ", VERDICT_WORDS[verdict.level], class_=f"answer {verdict.level}")


def _numbers(facts: DatasetFacts) -> Html:
    pairs = (
        (hours(facts.hours), "timeline"),
        (count(facts.takes), "take" if facts.takes == 1 else "takes"),
        (count(facts.participants), "participant" if facts.participants == 1 else "participants"),
    )
    return tag(
        "dl", *(tag("div", tag("dt", noun), tag("dd", value)) for value, noun in pairs), class_="numbers"
    )


def _reasons(verdict: Verdict) -> Html:
    if not verdict.reasons:
        return tag("p", "Nothing stands against it.", class_="quiet")
    items = [tag("li", prose(reason.sentence), class_=reason.level) for reason in verdict.reasons]
    shown = tag("ul", *items[:_SHOWN_REASONS], class_="reasons")
    rest = items[_SHOWN_REASONS:]
    if not rest:
        return shown
    more = tag("summary", count(len(rest), "more reason"))
    return concat([shown, tag("details", more, tag("ul", *rest, class_="reasons"))])


def _tally(shown: Sequence[TakeFacts]) -> Html:
    """Return how many takes carry what, and how their clocks stand, with links to where that is told."""
    if not shown:
        return concat([])
    worst = (
        (sum(take.errors > 0 for take in shown), "with errors"),
        (sum(take.warnings > 0 and not take.errors for take in shown), "with warnings"),
        (sum(not take.warnings and not take.errors for take in shown), "without either"),
    )
    clocks = ((sum(take.sync == verdict for take in shown), word) for verdict, word in _CLOCKS.items())
    lines = (("Takes", "takes", worst), ("Clocks", "clocks", clocks))
    return tag("dl", *(_line(name, anchor, counts) for name, anchor, counts in lines), class_="tally")


def _line(name: str, anchor: str, counts: Iterable[tuple[int, str]]) -> Html:
    said = ", ".join(f"{count(number)} {word}" for number, word in counts if number)
    return tag("div", tag("dt", tag("a", name, href=f"#{anchor}")), tag("dd", said))
