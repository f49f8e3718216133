"""Takes in a line each, and those with a page of their own: which, and what a worker needs to make it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal

import polars as pl

from sensorloom.flows.audit_findings import numbers_of
from sensorloom.flows.audit_tables import ViewTable
from sensorloom.flows.report import SEVERITIES
from sensorloom.flows.report_takes import TakeFacts, TakeFinding, TakeSync, ViewWindows

__all__ = ["findings_of", "page_of", "take_facts", "windows_of"]

_SYNC_RANKS: Mapping[TakeSync, int] = {"drifting": 0, "shifted": 1, "unknown": 2, "aligned": 3, "none": 4}


def page_of(take_id: str) -> str:
    """Return where the page of a take lies from the report's folder: its id as a file's name, and never another's."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", take_id).strip("-.")[:80]
    return f"takes/{readable}-{sha256(take_id.encode()).hexdigest()[:8]}.html"


def take_facts(
    takes: pl.DataFrame,
    findings: pl.DataFrame,
    tables: Sequence[ViewTable],
    syncs: Mapping[str, TakeSync],
    pages: int | Literal["all"],
) -> tuple[TakeFacts, ...]:
    """Return the facts of every take in the order of `takes`; the `pages` worst of them have a page."""
    counts, worst = _counts(findings), _worst_rules(findings)
    windows: Counter[str] = Counter()
    for table in tables:
        windows.update(dict(table.windows.group_by("take_id").len().iter_rows()))
    facts = [
        TakeFacts(
            take_id=row["take_id"],
            dataset=row["dataset"],
            seconds=row["seconds"],
            errors=counts[row["take_id"], "error"],
            warnings=counts[row["take_id"], "warning"],
            notes=counts[row["take_id"], "note"],
            windows=windows[row["take_id"]],
            worst_rule=worst.get(row["take_id"], ""),
            sync=syncs.get(row["take_id"], "none"),
        )
        for row in takes.select("take_id", "dataset", "seconds").iter_rows(named=True)
    ]
    ordered = sorted(facts, key=_worst_first)
    shown = {take.take_id for take in (ordered if pages == "all" else ordered[:pages])}
    return tuple(_with_page(take) if take.take_id in shown else take for take in facts)


def _worst_first(take: TakeFacts) -> tuple[int, int, int, int, str]:
    return -take.errors, _SYNC_RANKS[take.sync], -take.warnings, -take.notes, take.take_id


def _with_page(take: TakeFacts) -> TakeFacts:
    return replace(take, page=page_of(take.take_id))


def _counts(findings: pl.DataFrame) -> Counter[tuple[str, str]]:
    counted = findings.group_by("take_id", "severity").len()
    return Counter({(take_id, severity): count for take_id, severity, count in counted.iter_rows()})


def _worst_rules(findings: pl.DataFrame) -> dict[str, str]:
    """Return the most severe rule of each take, the more frequent of equals, then the first by name."""
    counted = findings.group_by("take_id", "severity", "rule").len()
    rows = sorted(counted.iter_rows(), key=lambda row: (row[0], SEVERITIES.index(row[1]), -row[3], row[2]))
    worst: dict[str, str] = {}
    for take_id, _, rule, _ in rows:
        worst.setdefault(take_id, rule)
    return worst


def findings_of(findings: pl.DataFrame, take_ids: Iterable[str]) -> dict[str, tuple[TakeFinding, ...]]:
    """Return the findings of each take in full, the most severe first."""
    chosen = findings.filter(pl.col("take_id").is_in(sorted(take_ids)))
    found: dict[str, list[TakeFinding]] = defaultdict(list)
    for row in chosen.iter_rows(named=True):
        found[row["take_id"]].append(_finding(row))
    return {
        take_id: tuple(sorted(told, key=lambda one: SEVERITIES.index(one.severity)))
        for take_id, told in found.items()
    }


def _finding(row: Mapping[str, Any]) -> TakeFinding:
    return TakeFinding(
        rule=row["rule"],
        severity=row["severity"],
        stage=row["stage"],
        view=row["view"],
        target=row["target"],
        sentence=row["sentence"],
        numbers=numbers_of(row),
    )


def windows_of(tables: Sequence[ViewTable]) -> dict[str, tuple[ViewWindows, ...]]:
    """Return by take how many windows each view has of it, by split."""
    found: dict[str, list[ViewWindows]] = defaultdict(list)
    for table in tables:
        counted = table.windows.group_by("take_id", "split").len().sort("take_id", "split")
        for take_id, split, count in counted.iter_rows():
            found[take_id].append(ViewWindows(table.view, split or "", count))
    return {take_id: tuple(views) for take_id, views in found.items()}
