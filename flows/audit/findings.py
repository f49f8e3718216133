"""Findings of a snapshot, as one frame and as facts by rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from sensorloom.align.codec import finding_row
from sensorloom.align.rules import RULES, Rule
from sensorloom.align.stage import STAGE as INGEST
from sensorloom.embed.build import STAGE as BUILD
from sensorloom.flows.audit.report import NUM_EXAMPLES, SEVERITIES, Example, RuleFacts
from sensorloom.flows.tables import FINDINGS
from sensorloom.ingest.take import Finding
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = [
    "AUDIT",
    "BREAK_RULE",
    "clipped_by_take",
    "found_rows",
    "frame_of",
    "load_findings",
    "numbers_of",
    "rows_of",
    "rule_facts",
    "seconds_by_take",
    "waived",
]

AUDIT = "audit"
"""The stage of what the audit itself found."""
BREAK_RULE = "break-dropped"
"""Ingest says with this rule how many `total_s` of a take are breaks."""

_CLIPPED_RULE = "saturation"
_GROUP = ("severity", "rule", "dataset", "stage", "view")


def load_findings(repo: Repository, snapshot: Snapshot) -> pl.DataFrame:
    """Return all findings with a column `view`: the view they are of, null where they came from ingest."""
    empty = pl.DataFrame(pl.from_arrow(FINDINGS.empty_table())).with_columns(view=pl.lit(None, pl.String))
    frames = [empty]
    for shard in repo.manifest(snapshot, "findings").shards:
        rows = pl.DataFrame(pl.from_arrow(repo.read_table(shard)))
        # The key of the shard is `<stage or view>.<bucket>`.
        view = pl.when(pl.col("stage") == BUILD).then(pl.lit(shard.key.rpartition(".")[0]))
        frames.append(rows.with_columns(view=view))
    return pl.concat(frames).sort("take_id", "stage", "view", "target", "rule", "sentence")


def waived(findings: pl.DataFrame, severities: Mapping[str, str]) -> pl.DataFrame:
    """Return `findings` with the severity that each rule was given; what is `off` is left out."""
    given = pl.col("rule").replace_strict(severities, default=None, return_dtype=pl.String)
    judged = findings.with_columns(severity=pl.coalesce(given, "severity")) if severities else findings
    return judged.filter(pl.col("severity") != "off")


def rows_of(findings: Iterable[Finding], take_id: str, dataset: str, view: str | None = None) -> pl.DataFrame:
    """Return what the audit found as `load_findings` gives what others did; `take_id` "" where it is of no one take."""
    return frame_of(found_rows(findings, take_id, dataset), view)


def found_rows(findings: Iterable[Finding], take_id: str, dataset: str) -> list[dict[str, Any]]:
    """Return what the audit found as rows of the findings table."""
    return [finding_row(finding, AUDIT, take_id) | {"dataset": dataset} for finding in findings]


def frame_of(rows: Sequence[Mapping[str, Any]], view: str | None = None) -> pl.DataFrame:
    """Return rows of the findings table as one frame, with the view they are of."""
    frame = pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(list(rows), schema=FINDINGS)))
    return frame.with_columns(view=pl.lit(view, pl.String))


def rule_facts(findings: pl.DataFrame, rules: Mapping[str, Rule] = RULES) -> tuple[RuleFacts, ...]:
    """Return one record for each rule, severity, data set and view: the most severe and most frequent first.

    Of what the audit found, `rules` tell what it means and where the line was drawn.
    """
    ranked = findings.with_columns(rank=pl.int_range(pl.len()).over(*_GROUP, "take_id"))
    groups = ranked.group_by(_GROUP).agg(
        findings=pl.len(),
        takes=pl.col("take_id").filter(pl.col("take_id") != "").n_unique(),
        examples=pl.struct("target", "take_id", "sentence", "numbers")
        .sort_by("rank", "take_id", "target", "sentence")
        .head(NUM_EXAMPLES),
    )
    return tuple(sorted((_rule(row, rules) for row in groups.iter_rows(named=True)), key=_order))


def seconds_by_take(findings: pl.DataFrame, rule: str) -> dict[str, float]:
    """Return the `total_s` that findings of `rule` name, by take."""
    rows = findings.filter(rule=rule).iter_rows(named=True)
    return {row["take_id"]: numbers_of(row).get("total_s", 0.0) for row in rows}


def clipped_by_take(findings: pl.DataFrame) -> dict[str, tuple[Finding, ...]]:
    """Return what ingest said of sensors that stood at their limits, by take: the 200 Hz grid may not show it."""
    clipped: dict[str, tuple[Finding, ...]] = {}
    for row in findings.filter(rule=_CLIPPED_RULE, stage=INGEST).iter_rows(named=True):
        told = Finding(row["target"], row["rule"], row["severity"], row["sentence"], numbers_of(row))
        clipped[row["take_id"]] = (*clipped.get(row["take_id"], ()), told)
    return clipped


def numbers_of(finding: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of one row of the findings table by their names."""
    numbers: Sequence[Mapping[str, Any]] = finding["numbers"] or ()
    return {number["name"]: number["value"] for number in numbers}


def _rule(row: Mapping[str, Any], rules: Mapping[str, Rule]) -> RuleFacts:
    told = rules.get(row["rule"]) if row["stage"] == AUDIT else None
    return RuleFacts(
        rule=row["rule"],
        severity=row["severity"],
        stage=row["stage"],
        view=row["view"],
        dataset=row["dataset"],
        findings=row["findings"],
        takes=row["takes"],
        examples=tuple(_example(example) for example in row["examples"]),
        meaning="" if told is None else told.meaning,
        advice="" if told is None else told.advice,
        source="" if told is None else told.source,
        threshold=None if told is None else told.threshold,
        unit="" if told is None else told.unit,
    )


def _example(row: Mapping[str, Any]) -> Example:
    return Example(row["target"], row["take_id"], row["sentence"], numbers_of(row))


def _order(rule: RuleFacts) -> tuple[int, int, str, str, str]:
    return SEVERITIES.index(rule.severity), -rule.findings, rule.rule, rule.dataset, rule.view or ""
