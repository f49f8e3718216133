"""The gate before a build is published: what it would publish is audited, and nothing goes out where that fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from sensorloom.align.rules import Rule
from sensorloom.flows.audit.asked import Asked
from sensorloom.flows.audit.audit import open_audit, write_audit
from sensorloom.flows.audit.concern import concerning
from sensorloom.flows.audit.findings import rule_facts
from sensorloom.flows.audit.gather import Gathered
from sensorloom.flows.audit.report import Report
from sensorloom.flows.audit.verdict import fails
from sensorloom.flows.config import Config, audit_rules
from sensorloom.flows.errors import GateError, GateFacts
from sensorloom.flows.publish import PublishView
from sensorloom.store.changes import Base, Change
from sensorloom.store.repository import Repository

__all__ = ["check_gate"]

_NAMED = 3
"""Views that a reason names before it counts the rest."""


def check_gate(repo: Repository, views: Sequence[PublishView], config: Config) -> None:
    """Audit the snapshot that publishing `views` would make, as far as these views and their data sets go.

    Raises `GateError` with all reasons where something as severe as `audit.gate_build` says concerns one of them: a
    finding about the view, a leak of it, or a finding about a stream that it cuts of a take that it has windows of. The
    report of the audit is written all the same, to `audit.out`.
    """

    def plan(base: Base) -> Iterator[Change]:
        return chain.from_iterable(view(base) for view in views)

    level, names = config.audit.gate_build, tuple(view.view.name for view in views)
    draft, asked = repo.draft(plan, ref=config.store.ref), Asked(names)
    with open_audit(repo, draft, config) as audit:
        gathered = audit.gather(asked)
        reasons = _reasons(gathered, level, audit_rules(config))
        if reasons:
            _, paths = write_audit(audit, gathered, asked, Path(config.audit.out))
            raise GateError(GateFacts(level, names, reasons, str(paths.page)))


def _reasons(gathered: Gathered, level: str, rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """Return a sentence for each rule and leak that stops a view, with the views that it stops."""
    stopped: dict[str, list[str]] = defaultdict(list)
    for view, report in _by_view(gathered, rules):
        for sentence in fails(report, level):
            stopped[sentence].append(view)
    return tuple(f"{sentence}{_which(sentence, views)}" for sentence, views in stopped.items())


def _by_view(gathered: Gathered, rules: Mapping[str, Rule]) -> Iterator[tuple[str, Report]]:
    """Yield for each view the report of what concerns it."""
    report = gathered.report
    for table in gathered.tables:
        found = concerning(gathered.findings, table.view, table.recipe, gathered.takes, table.windows)
        own = tuple(view for view in report.views if view.view == table.view)
        yield table.view, replace(report, rules=rule_facts(found, rules), views=own)


def _which(sentence: str, views: Sequence[str]) -> str:
    """Return which views a reason is of, where it is of more than the one it names."""
    if len(views) == 1 and views[0] in sentence:
        return ""
    rest = len(views) - _NAMED
    return f", of {', '.join(views[:_NAMED])}" + (f" and {rest} more" if rest > 0 else "")
