"""Findings by rule, most severe first, each with examples to unfold."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.rules import RULE_WORDS
from sensorloom.flows.pages.tables import Column, cell, table
from sensorloom.flows.pages.words import count, number
from sensorloom.flows.report import SEVERITIES, Example, Report, RuleFacts

__all__ = ["findings"]

_COLUMNS = (
    Column("Severity", sortable=True),
    Column("Rule", sortable=True),
    Column("Data set", sortable=True),
    Column("Found in", sortable=True),
    Column("Findings", numeric=True, sortable=True),
    Column("Takes", numeric=True, sortable=True),
)


def findings(report: Report) -> Html:
    """Return the section of all findings, with a filter that the script brings to life."""
    title = tag("h2", "Findings by rule")
    if not report.rules:
        return tag("section", title, tag("p", "No finding at all.", class_="lead"), id="findings")
    rules = table(
        "Findings by rule", _COLUMNS, [_body(rule) for rule in report.rules], name="rules", titled=True
    )
    return tag(
        "section",
        title,
        tag("p", _summary(report.rules), class_="lead"),
        _filter(report.rules),
        rules,
        id="findings",
    )


def _summary(rules: Sequence[RuleFacts]) -> str:
    totals = {
        severity: sum(rule.findings for rule in rules if rule.severity == severity) for severity in SEVERITIES
    }
    return ", ".join(count(total, severity) for severity, total in totals.items() if total) + "."


def _filter(rules: Sequence[RuleFacts]) -> Html:
    """Return the filter, hidden until the script shows it: without the script it would do nothing."""
    there = [severity for severity in SEVERITIES if any(rule.severity == severity for rule in rules)]
    boxes = [
        tag(
            "label",
            tag("input", type="checkbox", name="severity", value=severity, checked=True),
            " ",
            severity,
        )
        for severity in there
    ]
    words = tag(
        "label", "Filter ", tag("input", type="search", name="words", placeholder="rule, data set, take …")
    )
    said = tag("output", count(len(rules), "rule"), aria_live="polite")
    return tag(
        "form",
        words,
        tag("fieldset", tag("legend", "Severity", class_="unseen"), *boxes),
        said,
        class_="filter",
        hidden=True,
    )


def _body(rule: RuleFacts) -> Html:
    """Return two rows that stay together: the counts, and below them what the rule means, with its examples.

    No example's numbers stand beside the counts, where they would read as their sum.
    """
    counts = tag(
        "tr",
        cell(tag("span", rule.severity, class_=rule.severity), value=float(SEVERITIES.index(rule.severity))),
        cell(tag("code", rule.rule), heading=True),
        cell(rule.dataset),
        cell(rule.view or rule.stage),
        cell(count(rule.findings), numeric=True, value=rule.findings),
        cell(count(rule.takes), numeric=True, value=rule.takes),
    )
    meaning = tag("p", RULE_WORDS.get(rule.rule, ""), class_="meaning")
    more = tag("tr", tag("td", meaning, _examples(rule), colspan=len(_COLUMNS)), class_="more")
    return tag("tbody", counts, more, data_severity=rule.severity)


def _examples(rule: RuleFacts) -> Html:
    beyond = f" of {count(rule.findings)}" if rule.findings > len(rule.examples) else ""
    summary = tag("summary", f"{count(len(rule.examples), 'example')}{beyond}")
    return tag(
        "details", summary, tag("ul", *(_example(example) for example in rule.examples), class_="plain")
    )


def _example(example: Example) -> Html:
    numbers = [concat([tag("span", name), " ", number(value)]) for name, value in example.numbers.items()]
    shown = tag(
        "small", *(concat([part, " "]) for part in (tag("span", item) for item in numbers)), class_="measures"
    )
    return tag("li", tag("code", example.target), " ", example.sentence, " ", shown if numbers else "")
