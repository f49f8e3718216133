"""The audit: gather the facts of a committed snapshot, judge them, write the report.

Everything comes from the tables of one snapshot; no raw file and no tensor is read. `audit.json` is described in
`sensorloom.flows.report`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import polars as pl

from sensorloom.flows.audit_findings import load_findings, rule_facts
from sensorloom.flows.audit_takes import dataset_facts, load_takes
from sensorloom.flows.audit_views import view_facts
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.freshness import outdated_views
from sensorloom.flows.pages.report import render
from sensorloom.flows.report import Report, RuleFacts, ViewFacts, to_json
from sensorloom.flows.verdict import fails, judge
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["ReportPaths", "fails", "gather", "to_json", "write_report"]


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the report lies."""

    page: Path
    facts: Path


def gather(repo: Repository, snapshot: Snapshot, *, view: str | None = None) -> Report:
    """Gather the facts of `snapshot`, of all its views or only of `view` and the data sets in it.

    Raises `ConfigError` where the snapshot lacks the view.
    """
    names = _views(snapshot, view)
    findings = load_findings(repo, snapshot)
    takes = load_takes(repo, snapshot)
    outdated = outdated_views(repo, snapshot)
    views = tuple(
        replace(view_facts(repo, snapshot, name, takes, findings), outdated=name in outdated)
        for name in names
    )
    if view is not None:
        wanted = pl.col("dataset").is_in(sorted(views[0].datasets))
        takes, findings = takes.filter(wanted), findings.filter(wanted)
        findings = findings.filter(pl.col("view").is_null() | (pl.col("view") == view))
    rules = rule_facts(findings)
    datasets = tuple(
        replace(facts, verdict=judge(facts, _views_of(views, facts.dataset), _rules_of(rules, facts.dataset)))
        for facts in dataset_facts(takes, findings, views)
    )
    return Report(snapshot.id, datasets, rules, views)


def write_report(report: Report, directory: Path) -> ReportPaths:
    """Write `index.html` and `audit.json` into `directory`, each whole or not at all; raises `RunError`."""
    paths = ReportPaths(directory / "index.html", directory / "audit.json")
    resources = files("sensorloom.flows.pages")
    style, script = (
        resources.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js")
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _replace(
            paths.facts, json.dumps(to_json(report), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        )
        _replace(paths.page, render(report, style=style, script=script))
    except OSError as error:
        raise RunError(f"cannot write the report to {directory}: {error.strerror or error}") from error
    return paths


def _replace(path: Path, text: str) -> None:
    """Write beside `path`, then move over it, so that nobody ever reads half a report."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _views(snapshot: Snapshot, view: str | None) -> list[str]:
    there = sorted(name.removeprefix("windows:") for name in snapshot.tables if name.startswith("windows:"))
    if view is None:
        return there
    if view not in there:
        known = f"it holds {', '.join(there)}" if there else "it holds none"
        raise ConfigError(f"snapshot {snapshot.id[:12]} has no view {view!r}; {known}; build it first")
    return [view]


def _views_of(views: tuple[ViewFacts, ...], dataset: str) -> list[ViewFacts]:
    return [view for view in views if dataset in view.datasets]


def _rules_of(rules: tuple[RuleFacts, ...], dataset: str) -> list[RuleFacts]:
    return [rule for rule in rules if rule.dataset == dataset]
