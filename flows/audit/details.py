"""Takes in a line each, those with a page of their own, and what such a page tells."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import polars as pl

from sensorloom.flows.audit.findings import numbers_of
from sensorloom.flows.audit.report import SEVERITIES
from sensorloom.flows.audit.report_takes import TakeFacts, TakeFinding, TakeSync, ViewWindows
from sensorloom.flows.audit.tables import ViewTable

__all__ = ["findings_of", "page_of", "take_facts", "windows_of", "with_pages"]


def page_of(take_id: str) -> str:
    """Return where the page of a take lies from the report's folder: its id as a file's name, and never another's."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", take_id).strip("-.")[:80]
    return f"takes/{readable}-{sha256(take_id.encode()).hexdigest()[:8]}.html"


def take_facts(
    takes: pl.DataFrame,
    findings: pl.DataFrame,
    tables: Sequence[ViewTable],
    syncs: Mapping[str, TakeSync],
) -> tuple[TakeFacts, ...]:
    """Return the facts of every take in the order of `takes`, yet without a page."""
    counts, worst = _counts(findings), _worst_rules(findings)
    windows: Counter[str] = Counter()
    for table in tables:
        windows.update(dict(table.windows.group_by("take_id").len().iter_rows()))
    return tuple(
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
    )


def with_pages(takes: Iterable[TakeFacts], chosen: Collection[str]) -> tuple[TakeFacts, ...]:
    """Return `takes`; those whose id is in `chosen` have a page beside those that have one already."""
    return tuple(
        replace(take, page=page_of(take.take_id)) if take.take_id in chosen else take for take in takes
    )


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
