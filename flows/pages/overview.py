"""The first screen: can I train on this?"""

from __future__ import annotations

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.words import VERDICT_WORDS, count, hours
from sensorloom.flows.report import DatasetFacts, Report, Verdict

__all__ = ["overview"]

_SHOWN_REASONS = 7
# A mark beside the word, so that colour is not all that tells.
_MARKS = {"ok": "✓", "care": "!", "no": "✕"}


def overview(report: Report) -> Html:
    """Return one card a data set, each with its verdict and the reasons for it."""
    if not report.datasets:
        empty = tag("p", "The snapshot holds no takes yet. Run ", tag("code", "sensorloom ingest"), " first.")
        return tag("section", tag("h1", "Can I train on this?"), empty, id="verdict")
    cards = tag("div", *(_card(facts) for facts in report.datasets), class_="cards")
    return tag("section", tag("h1", "Can I train on this?", id="verdict-title"), cards, id="verdict")


def _card(facts: DatasetFacts) -> Html:
    badge = tag("span", "generated data", class_="badge") if facts.takes_generated else ""
    title = tag("h2", facts.dataset, " ", badge)
    return tag(
        "article",
        tag("header", title, _answer(facts.verdict)),
        _numbers(facts),
        _reasons(facts.verdict),
        class_="card",
    )


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
    items = [tag("li", reason.sentence, class_=reason.level) for reason in verdict.reasons]
    shown = tag("ul", *items[:_SHOWN_REASONS], class_="reasons")
    rest = items[_SHOWN_REASONS:]
    if not rest:
        return shown
    more = tag("summary", count(len(rest), "more reason"))
    return concat([shown, tag("details", more, tag("ul", *rest, class_="reasons"))])
