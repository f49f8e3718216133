"""The findings of one take, the most severe first, each with what its rule means and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.audit.report import SEVERITIES
from sensorloom.flows.audit.report_takes import TakeDetail, TakeFinding
from sensorloom.flows.pages.filters import boxes, filter_form, search
from sensorloom.flows.pages.findings import measures, rule_words
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.prose import prose
from sensorloom.flows.pages.tables import Column, cell, table
from sensorloom.flows.pages.words import count

__all__ = ["take_findings"]

_COLUMNS = (
    Column("Severity", sortable=True),
    Column("Rule", sortable=True),
    Column("Found in", sortable=True, minor=True),
    Column("What was found"),
)
_FEW = 8
"""Up to so many findings need no filter."""


def take_findings(detail: TakeDetail) -> Html:
    """Return the section of the take's findings."""
    title = tag("h2", "Findings")
    if not detail.findings:
        return tag("section", title, tag("p", "No finding at all.", class_="lead"), id="findings")
    first = {finding.rule: finding for finding in reversed(detail.findings)}
    rows = [_row(item, detail.facts.take_id, first[item.rule] is item) for item in detail.findings]
    shown = table(
        "Findings", _COLUMNS, [tag("tbody", *rows, class_="rows")], name="take-findings", titled=True
    )
    return tag("section", title, _filter(detail.findings), shown, id="findings")


def _filter(findings: Sequence[TakeFinding]) -> Html:
    if len(findings) <= _FEW:
        return tag("p", f"{count(len(findings), 'finding')}.", class_="lead")
    there = [severity for severity in SEVERITIES if any(item.severity == severity for item in findings)]
    controls = (search("rule, stream …"), boxes("severity", "Severity", there, off=there[1:] and ["note"]))
    return filter_form("take-findings", controls, count(len(findings), "finding"), noun="findings")


def _row(finding: TakeFinding, take_id: str, is_first: bool) -> Html:
    """Return one finding; what its rule means stands with the first one of the rule only."""
    words = rule_words(finding.rule) if is_first else ""
    target = finding.target.removeprefix(take_id)
    cells = (
        cell(
            tag("span", finding.severity, class_=finding.severity),
            value=float(SEVERITIES.index(finding.severity)),
        ),
        cell(tag("code", finding.rule), heading=True),
        cell(finding.view or finding.stage, minor=True),
        tag(
            "td",
            tag("code", target) if target else "",
            " ",
            finding.sentence,
            " ",
            measures(finding.numbers),
            tag("p", prose(words), class_="meaning") if words else "",
        ),
    )
    return tag("tr", *cells, data_severity=finding.severity)
