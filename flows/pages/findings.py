"""Findings by rule, most severe first, each with what it means, what to do, and examples to unfold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensorloom.align.rules import RULES
from sensorloom.flows.audit.report import SEVERITIES, Example, Report, RuleFacts
from sensorloom.flows.pages.filters import boxes, filter_form, search
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.links import take_link
from sensorloom.flows.pages.prose import prose
from sensorloom.flows.pages.rules import RULE_WORDS
from sensorloom.flows.pages.tables import Column, cell, table
from sensorloom.flows.pages.words import count, number

__all__ = ["findings", "measures", "rule_words"]

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
    pages = {take.take_id: take.page for take in report.takes}
    rules = table(
        "Findings by rule", _COLUMNS, [_body(rule, pages) for rule in report.rules], name="rules", titled=True
    )
    return tag(
        "section",
        title,
        tag("p", _summary(report.rules), class_="lead"),
        _filter(report.rules),
        rules,
        id="findings",
    )


def rule_words(rule: str) -> str:
    """Return what a rule means and what to do, as the tables of rules have it; "" for one that is in none."""
    if rule in RULES:
        return _words(RULES[rule].meaning, RULES[rule].advice)
    return RULE_WORDS.get(rule, "")


def measures(numbers: Mapping[str, float]) -> Html:
    """Return the numbers of one finding behind its sentence."""
    if not numbers:
        return concat([])
    parts = [tag("span", concat([tag("span", name), " ", number(value)])) for name, value in numbers.items()]
    return tag("small", *(concat([part, " "]) for part in parts), class_="measures")


def _words(meaning: str, advice: str) -> str:
    return " ".join(part for part in (meaning, advice) if part)


def _summary(rules: Sequence[RuleFacts]) -> str:
    totals = {
        severity: sum(rule.findings for rule in rules if rule.severity == severity) for severity in SEVERITIES
    }
    return ", ".join(count(total, severity) for severity, total in totals.items() if total) + "."


def _filter(rules: Sequence[RuleFacts]) -> Html:
    there = [severity for severity in SEVERITIES if any(rule.severity == severity for rule in rules)]
    controls = (
        search("rule, data set, take …"),
        boxes("severity", "Severity", there, off=there[1:] and ["note"]),
    )
    return filter_form("rules", controls, count(len(rules), "rule"), noun="rules")


def _body(rule: RuleFacts, pages: Mapping[str, str | None]) -> Html:
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
    more = tag("tr", tag("td", *_meaning(rule), _examples(rule, pages), colspan=len(_COLUMNS)), class_="more")
    return tag("tbody", counts, more, data_severity=rule.severity)


def _meaning(rule: RuleFacts) -> list[Html]:
    """Return what the rule means and what to do; where it draws a line, also which, and by what source."""
    words = _words(rule.meaning, rule.advice) or rule_words(rule.rule)
    parts = [tag("p", prose(words), class_="meaning")]
    line = [f"Limit {number(rule.threshold)} {rule.unit}".strip()] if rule.threshold is not None else []
    line += [f"source: {rule.source}"] if rule.source else []
    if line:
        parts.append(tag("p", ", ".join(line), ".", class_="meaning source"))
    return parts


def _examples(rule: RuleFacts, pages: Mapping[str, str | None]) -> Html:
    beyond = f" of {count(rule.findings)}" if rule.findings > len(rule.examples) else ""
    summary = tag("summary", f"{count(len(rule.examples), 'example')}{beyond}")
    items = (_example(example, pages) for example in rule.examples)
    return tag("details", summary, tag("ul", *items, class_="plain"))


def _example(example: Example, pages: Mapping[str, str | None]) -> Html:
    """Return one finding; its target leads to the page of its take, where it has one."""
    target = tag("code", example.target)
    if pages.get(example.take_id):
        target = take_link(example.take_id, pages, shown=example.target)
    return tag("li", target, " ", example.sentence, " ", measures(example.numbers))
